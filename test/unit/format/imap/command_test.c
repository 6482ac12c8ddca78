/* SPDX-License-Identifier: ISC */
#include "base/arena.h"
#include "format/imap/command.h"
#include "format/imap/write.h"
#include "test.h"

enum { SCRATCH = 256 * 1024 };

/* Says in one line what was understood, so that the tables below can name it. */
static void
describe_set(struct buf *b, const struct imap_set *set)
{
	if (set->saved)
		buf_put(b, S("$"));
	for (size_t i = 0; i < set->count; i++)
		buf_printf(b, "%s%u:%u", i > 0 ? "," : "", set->ranges[i].first,
			set->ranges[i].last);
}

static void
describe_strings(struct buf *b, const struct imap_strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		buf_printf(b, "<%.*s>", STR_ARG(strings->at[i]));
}

static void
describe_keys(struct buf *b, const struct imap_search_key *key)
{
	for (; key != NULL; key = key->next) {
		buf_printf(b, "[%d", (int)key->kind);
		if (key->flag != 0)
			buf_printf(b, " f%u", key->flag);
		if (key->name.n > 0)
			buf_printf(b, " %.*s", STR_ARG(key->name));
		if (key->text.n > 0)
			buf_printf(b, " '%.*s'", STR_ARG(key->text));
		if (key->number > 0)
			buf_printf(b, " %llu", (unsigned long long)key->number);
		if (key->day.us != 0)
			buf_printf(b, " d%lld", (long long)(time_seconds(key->day) / DAY));
		if (key->set.count > 0 || key->set.saved)
			buf_put_char(b, ' ');
		describe_set(b, &key->set);
		describe_keys(b, key->inner);
		describe_keys(b, key->other);
		buf_put_char(b, ']');
	}
}

static void
describe_fetch(struct buf *b, const struct imap_fetch *f)
{
	describe_set(b, &f->set);
	for (size_t i = 0; i < f->count; i++) {
		const struct imap_fetch_item *item = &f->items[i];

		buf_printf(b, " %.*s", STR_ARG(item->name));
		if (item->peek)
			buf_put(b, S("!"));
		if (item->partial)
			buf_printf(b, "+%llu", (unsigned long long)item->length);
	}
	if (f->changed_since)
		buf_printf(b, " since %llu%s", (unsigned long long)f->modseq,
			f->vanished ? " vanished" : "");
}

static void
describe(struct buf *b, const struct imap_command *cmd)
{
	buf_printf(b, "%.*s %s%s ", STR_ARG(cmd->tag), cmd->uid ? "UID " : "",
		imap_verb_name(cmd->verb));
	switch (cmd->verb) {
	case IMAP_LOGIN:
		buf_printf(b, "<%.*s><%.*s>", STR_ARG(cmd->login.user),
			STR_ARG(cmd->login.password));
		break;
	case IMAP_AUTHENTICATE:
		buf_printf(b, "%.*s %d <%.*s>", STR_ARG(cmd->authenticate.mechanism),
			cmd->authenticate.has_initial, STR_ARG(cmd->authenticate.initial));
		break;
	case IMAP_ENABLE:
	case IMAP_ID:
		describe_strings(b, &cmd->strings);
		break;
	case IMAP_SELECT:
	case IMAP_EXAMINE:
		buf_printf(b, "<%.*s>", STR_ARG(cmd->select.mailbox));
		if (cmd->select.condstore)
			buf_put(b, S(" condstore"));
		if (cmd->select.qresync)
			buf_printf(b, " qresync %u %llu ", cmd->select.uid_validity,
				(unsigned long long)cmd->select.modseq);
		describe_set(b, &cmd->select.known_uids);
		describe_set(b, &cmd->select.match_uids);
		break;
	case IMAP_CREATE:
		buf_printf(b, "<%.*s>", STR_ARG(cmd->create.mailbox));
		describe_strings(b, &cmd->create.use);
		break;
	case IMAP_RENAME:
		buf_printf(b, "<%.*s><%.*s>", STR_ARG(cmd->rename.from),
			STR_ARG(cmd->rename.to));
		break;
	case IMAP_DELETE:
	case IMAP_SUBSCRIBE:
	case IMAP_UNSUBSCRIBE:
		buf_printf(b, "<%.*s>", STR_ARG(cmd->mailbox));
		break;
	case IMAP_LIST:
	case IMAP_LSUB:
		buf_printf(b, "%d %u %u %u <%.*s> ", cmd->list.extended, cmd->list.select,
			cmd->list.give, cmd->list.status, STR_ARG(cmd->list.reference));
		describe_strings(b, &cmd->list.patterns);
		break;
	case IMAP_STATUS:
		buf_printf(b, "<%.*s> %u", STR_ARG(cmd->status.mailbox), cmd->status.items);
		break;
	case IMAP_APPEND:
		buf_printf(b, "<%.*s> %u ", STR_ARG(cmd->append.mailbox),
			cmd->append.flags.system);
		describe_strings(b, &cmd->append.flags.keywords);
		buf_printf(b, " %lld %llu%s",
			(long long)(cmd->append.has_date ? time_seconds(cmd->append.date) : -1),
			(unsigned long long)cmd->append.size,
			cmd->append.binary ? " binary" : "");
		break;
	case IMAP_EXPUNGE:
		describe_set(b, &cmd->expunge);
		break;
	case IMAP_SEARCH:
		buf_printf(b, "%d %u <%.*s> ", cmd->search.extended, cmd->search.give,
			STR_ARG(cmd->search.charset));
		describe_keys(b, cmd->search.keys);
		break;
	case IMAP_FETCH:
		describe_fetch(b, &cmd->fetch);
		break;
	case IMAP_STORE:
		describe_set(b, &cmd->store.set);
		buf_printf(b, " %d%s %u ", (int)cmd->store.mode,
			cmd->store.silent ? " silent" : "", cmd->store.flags.system);
		describe_strings(b, &cmd->store.flags.keywords);
		if (cmd->store.unchanged_since)
			buf_printf(b, " since %llu", (unsigned long long)cmd->store.modseq);
		break;
	case IMAP_COPY:
	case IMAP_MOVE:
		describe_set(b, &cmd->copy.set);
		buf_printf(b, " <%.*s>", STR_ARG(cmd->copy.mailbox));
		break;
	case IMAP_UNKNOWN:
	case IMAP_CAPABILITY:
	case IMAP_NOOP:
	case IMAP_LOGOUT:
	case IMAP_STARTTLS:
	case IMAP_NAMESPACE:
	case IMAP_IDLE:
	case IMAP_CHECK:
	case IMAP_CLOSE:
	case IMAP_UNSELECT:
		break;
	}
}

static const struct {
	const char *why;
	Str line; /* without CRLF */
	const char *want;
} good[] = {
	{ "no arguments", S("a1 NOOP"), "a1 NOOP " },
	{ "any case", S("a1 nOOp"), "a1 NOOP " },
	{ "odd tag", S("a.]-1 LOGOUT"), "a.]-1 LOGOUT " },
	{ "unknown is told apart", S("a1 FROB 1 2"), "a1 ? " },
	{ "no UID form", S("a1 UID NOOP"), "a1 UID ? " },
	{ "IDLE", S("a1 IDLE"), "a1 IDLE " },

	{ "atoms", S("a1 LOGIN me secret"), "a1 LOGIN <me><secret>" },
	{ "quoted", S("a1 LOGIN \"me\" \"a b\""), "a1 LOGIN <me><a b>" },
	{ "escapes", S("a1 LOGIN me \"a\\\"b\\\\c\""), "a1 LOGIN <me><a\"b\\c>" },
	{ "literal", S("a1 LOGIN {2}\r\nme {3+}\r\na\r\n"), "a1 LOGIN <me><a\r\n>" },
	{ "UTF-8 in quotes", S("a1 LOGIN me \"\xc3\xa9\""), "a1 LOGIN <me><\xc3\xa9>" },
	{ "empty quoted", S("a1 LOGIN \"\" \"\""), "a1 LOGIN <><>" },
	{ "bracket in a string", S("a1 LOGIN a]b c"), "a1 LOGIN <a]b><c>" },
	{ "without initial response", S("a1 AUTHENTICATE PLAIN"),
		"a1 AUTHENTICATE PLAIN 0 <>" },
	{ "initial response", S("a1 AUTHENTICATE PLAIN AGEAYg=="),
		"a1 AUTHENTICATE PLAIN 1 <AGEAYg==>" },
	{ "empty initial response", S("a1 AUTHENTICATE X ="), "a1 AUTHENTICATE X 1 <>" },
	{ "ENABLE", S("a1 ENABLE CONDSTORE X"), "a1 ENABLE <CONDSTORE><X>" },
	{ "ID NIL", S("a1 ID NIL"), "a1 ID " },
	{ "ID", S("a1 ID (\"name\" \"x\" \"v\" NIL)"), "a1 ID <name><x><v><>" },
	{ "ID with nothing", S("a1 ID ()"), "a1 ID " },

	{ "SELECT", S("a1 SELECT inbox"), "a1 SELECT <inbox>" },
	{ "SELECT condstore", S("a1 EXAMINE \"a b\" (CONDSTORE)"),
		"a1 EXAMINE <a b> condstore" },
	{ "SELECT qresync", S("a1 SELECT x (QRESYNC (7 9 1:3 (1,2 5,6)))"),
		"a1 SELECT <x> qresync 7 9 1:35:5,6:6" },
	{ "CREATE", S("a1 CREATE x/y"), "a1 CREATE <x/y>" },
	{ "CREATE USE", S("a1 CREATE x (USE (\\Drafts \\Sent))"),
		"a1 CREATE <x><\\Drafts><\\Sent>" },
	{ "RENAME", S("a1 RENAME x y"), "a1 RENAME <x><y>" },
	{ "DELETE", S("a1 DELETE &AOk-"), "a1 DELETE <&AOk->" },
	{ "LIST", S("a1 LIST \"\" *"), "a1 LIST 0 0 0 0 <> <*>" },
	{ "LIST quoted", S("a1 LIST \"a\" \"%\""), "a1 LIST 0 0 0 0 <a> <%>" },
	{ "LIST extended",
		S("a1 LIST (SUBSCRIBED RECURSIVEMATCH) \"\" (a* b%) RETURN (CHILDREN STATUS "
		  "(MESSAGES SIZE))"),
		"a1 LIST 1 5 48 65 <> <a*><b%>" },
	{ "LIST without options", S("a1 LIST () \"\" * RETURN ()"), "a1 LIST 1 0 0 0 <> <*>" },
	{ "LSUB", S("a1 LSUB \"\" %"), "a1 LSUB 0 0 0 0 <> <%>" },
	{ "STATUS", S("a1 STATUS x (MESSAGES UNSEEN)"), "a1 STATUS <x> 17" },

	{ "APPEND", S("a1 APPEND x {310}\r\n"), "a1 APPEND <x> 0  -1 310" },
	{ "APPEND with all",
		S("a1 APPEND x (\\Seen $k) \" 7-Feb-1994 21:52:25 -0800\" {310+}\r\n"),
		"a1 APPEND <x> 1 <$k> 760686745 310" },
	{ "APPEND binary", S("a1 APPEND {1}\r\nx () ~{310}\r\n"),
		"a1 APPEND <x> 0  -1 310 binary" },

	{ "EXPUNGE", S("a1 EXPUNGE"), "a1 EXPUNGE " },
	{ "UID EXPUNGE", S("a1 UID EXPUNGE 3:*"), "a1 UID EXPUNGE 3:0" },
	{ "COPY", S("a1 COPY 1,2:4 \"x y\""), "a1 COPY 1:1,2:4 <x y>" },
	{ "saved set", S("a1 UID MOVE $ x"), "a1 UID MOVE $ <x>" },
	{ "STORE", S("a1 STORE 1 +FLAGS (\\deleted Work)"), "a1 STORE 1:1 1 8 <Work>" },
	{ "STORE without brackets", S("a1 STORE 1 -FLAGS.SILENT \\Seen \\Draft"),
		"a1 STORE 1:1 2 silent 17 " },
	{ "STORE nothing", S("a1 UID STORE * FLAGS ()"), "a1 UID STORE 0:0 0 0 " },
	{ "STORE if unchanged", S("a1 STORE 1 (UNCHANGEDSINCE 12) FLAGS x"),
		"a1 STORE 1:1 0 0 <x> since 12" },
	{ "unknown system flag", S("a1 STORE 1 FLAGS (\\Frob \\Recent)"),
		"a1 STORE 1:1 0 0 <\\Frob>" },

	{ "FETCH one", S("a1 FETCH 1 FLAGS"), "a1 FETCH 1:1 FLAGS" },
	{ "FETCH macro", S("a1 FETCH 1:* fast"),
		"a1 FETCH 1:0 FLAGS INTERNALDATE RFC822.SIZE" },
	{ "FETCH several", S("a1 UID FETCH 1:* (FLAGS UID BODY BODYSTRUCTURE MODSEQ)"),
		"a1 UID FETCH 1:0 FLAGS UID BODY BODYSTRUCTURE MODSEQ" },
	{ "FETCH whole", S("a1 FETCH 1 BODY[]"), "a1 FETCH 1:1 BODY[]" },
	{ "FETCH old names", S("a1 FETCH 1 (RFC822 RFC822.HEADER RFC822.TEXT RFC822.SIZE)"),
		"a1 FETCH 1:1 RFC822 RFC822.HEADER! RFC822.TEXT RFC822.SIZE" },
	{ "FETCH sections",
		S("a1 FETCH 1 (BODY.PEEK[TEXT] BODY[1.2.MIME] BODY[3.HEADER] body[4])"),
		"a1 FETCH 1:1 BODY[TEXT]! BODY[1.2.MIME] BODY[3.HEADER] BODY[4]" },
	{ "FETCH fields", S("a1 FETCH 1 BODY.PEEK[HEADER.FIELDS (From \"to\" {2}\r\ncc)]"),
		"a1 FETCH 1:1 BODY[HEADER.FIELDS (From to cc)]!" },
	{ "FETCH other fields", S("a1 FETCH 1 BODY[1.HEADER.FIELDS.NOT (x)]<10.20>"),
		"a1 FETCH 1:1 BODY[1.HEADER.FIELDS.NOT (x)]<10>+20" },
	{ "FETCH binary", S("a1 FETCH 1 (BINARY[1.2] BINARY.PEEK[]<0.5> BINARY.SIZE[1])"),
		"a1 FETCH 1:1 BINARY[1.2] BINARY[]<0>!+5 BINARY.SIZE[1]!" },
	{ "FETCH changed", S("a1 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345 VANISHED)"),
		"a1 UID FETCH 1:0 FLAGS since 12345 vanished" },

	{ "SEARCH", S("a1 SEARCH ALL"), "a1 SEARCH 0 0 <> [0]" },
	{ "SEARCH flags", S("a1 SEARCH UNSEEN DELETED"), "a1 SEARCH 0 0 <> [3[6 f1]][6 f8]" },
	{ "SEARCH text", S("a1 SEARCH CHARSET utf-8 TEXT {3}\r\na b"),
		"a1 SEARCH 0 0 <utf-8> [22 'a b']" },
	{ "SEARCH or, not", S("a1 UID SEARCH OR NOT 1:3 (FROM a TO b)"),
		"a1 UID SEARCH 0 0 <> [2[3[4 1:3]][1[20 From 'a'][20 To 'b']]]" },
	{ "SEARCH dates", S("a1 SEARCH SINCE 2-Jan-1970 BEFORE \"03-jan-1970\""),
		"a1 SEARCH 0 0 <> [11 d1][9 d2]" },
	{ "SEARCH return", S("a1 SEARCH RETURN (MIN COUNT) UID 5:*"),
		"a1 SEARCH 1 9 <> [5 5:0]" },
	{ "SEARCH return nothing", S("a1 SEARCH RETURN () ALL"), "a1 SEARCH 1 4 <> [0]" },
	{ "SEARCH header", S("a1 SEARCH HEADER X-Y \"\" UNKEYWORD k LARGER 10"),
		"a1 SEARCH 0 0 <> [20 X-Y][3[7 'k']][17 10]" },
	{ "SEARCH modseq", S("a1 SEARCH MODSEQ \"/flags/\\\\draft\" all 620162338"),
		"a1 SEARCH 0 0 <> [19 620162338]" },
};

static void
test_understands(void **state)
{
	AUTO(arena) a = arena_new(SCRATCH);

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		AUTO_BUF line = BUF_INIT(SCRATCH), got = BUF_INIT(SCRATCH);
		struct imap_command cmd;
		Err e;

		arena_reset(a);
		buf_put(&line, good[i].line);
		buf_put(&line, S("\r\n"));
		e = imap_command_parse(exact(buf_view(&line)), a, &cmd);
		if (failed(e))
			fail_msg("%s: %s", good[i].why, e.what);
		describe(&got, &cmd);
		if (!str_eq(buf_view(&got), str_from(good[i].want)))
			fail_msg("%s: wanted \"%s\", got \"%.*s\"", good[i].why, good[i].want,
				STR_ARG(buf_view(&got)));
	}
}

static const struct {
	const char *why;
	Str text;
	enum err_kind want;
} bad[] = {
	{ "empty", S(""), ERR_PEER },
	{ "only CRLF", S("\r\n"), ERR_PEER },
	{ "tag alone", S("a1\r\n"), ERR_PEER },
	{ "plus in a tag", S("a+ NOOP\r\n"), ERR_PEER },
	{ "bare LF", S("a1 NOOP\n"), ERR_PEER },
	{ "bare CR", S("a1 NOOP\r"), ERR_PEER },
	{ "two spaces", S("a1  NOOP\r\n"), ERR_PEER },
	{ "something behind", S("a1 NOOP x\r\n"), ERR_PEER },
	{ "space behind", S("a1 NOOP \r\n"), ERR_PEER },
	{ "missing argument", S("a1 SELECT\r\n"), ERR_PEER },
	{ "open quote", S("a1 SELECT \"x\r\n"), ERR_PEER },
	{ "bad escape", S("a1 SELECT \"\\x\"\r\n"), ERR_PEER },
	{ "NUL in quotes", S("a1 SELECT \"\0\"\r\n"), ERR_PEER },
	{ "NUL in a literal", S("a1 SELECT {1}\r\n\0\r\n"), ERR_PEER },
	{ "NUL in an atom", S("a1 SELECT x\0y\r\n"), ERR_PEER },
	{ "8 bits in an atom", S("a1 SELECT \xc3\xa9\r\n"), ERR_PEER },
	{ "literal longer than the text", S("a1 SELECT {9}\r\nab\r\n"), ERR_PEER },
	{ "literal of 2^63", S("a1 SELECT {9223372036854775808}\r\n"), ERR_PEER },
	{ "literal of 2^64", S("a1 SELECT {18446744073709551616}\r\n"), ERR_PEER },
	{ "set with 0", S("a1 FETCH 0 FLAGS\r\n"), ERR_PEER },
	{ "set over 32 bits", S("a1 FETCH 4294967296 FLAGS\r\n"), ERR_PEER },
	{ "set that ends in a comma", S("a1 FETCH 1, FLAGS\r\n"), ERR_PEER },
	{ "dollar among numbers", S("a1 FETCH 1,$ FLAGS\r\n"), ERR_PEER },
	{ "unknown item", S("a1 FETCH 1 FROB\r\n"), ERR_PEER },
	{ "no items", S("a1 FETCH 1 ()\r\n"), ERR_PEER },
	{ "macro in a list", S("a1 FETCH 1 (ALL)\r\n"), ERR_PEER },
	{ "MIME without a part", S("a1 FETCH 1 BODY[MIME]\r\n"), ERR_PEER },
	{ "part 0", S("a1 FETCH 1 BODY[0]\r\n"), ERR_PEER },
	{ "dot at the end", S("a1 FETCH 1 BODY[1.]\r\n"), ERR_PEER },
	{ "partial of nothing", S("a1 FETCH 1 BODY[]<0.0>\r\n"), ERR_PEER },
	{ "binary has no HEADER", S("a1 FETCH 1 BINARY[HEADER]\r\n"), ERR_PEER },
	{ "section with fields missing", S("a1 FETCH 1 BODY[HEADER.FIELDS]\r\n"), ERR_PEER },
	{ "unknown key", S("a1 SEARCH FROB\r\n"), ERR_PEER },
	{ "open bracket", S("a1 SEARCH (SEEN\r\n"), ERR_PEER },
	{ "OR with one key", S("a1 SEARCH OR SEEN\r\n"), ERR_PEER },
	{ "no such day", S("a1 SEARCH ON 31-Feb-2024\r\n"), ERR_PEER },
	{ "STORE what", S("a1 STORE 1 FROB (x)\r\n"), ERR_PEER },
	{ "initial response of nothing", S("a1 AUTHENTICATE PLAIN \r\n"), ERR_PEER },
	{ "odd status item", S("a1 STATUS x (FROB)\r\n"), ERR_PEER },
	{ "no status items", S("a1 STATUS x ()\r\n"), ERR_PEER },
	{ "RECURSIVEMATCH alone", S("a1 LIST (RECURSIVEMATCH) \"\" *\r\n"), ERR_PEER },
};

static void
test_refuses(void **state)
{
	AUTO(arena) a = arena_new(SCRATCH);

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct imap_command cmd;
		Err e;

		arena_reset(a);
		e = imap_command_parse(exact(bad[i].text), a, &cmd);
		if (e.kind != bad[i].want)
			fail_msg("%s: got %s", bad[i].why, err_kind_name(e.kind));
	}
}

static void
test_nesting_has_a_limit(void **state)
{
	AUTO(arena) a = arena_new(SCRATCH);
	AUTO_BUF deep = BUF_INIT(SCRATCH);
	struct imap_command cmd;

	(void)state;
	buf_put(&deep, S("a1 SEARCH "));
	for (int i = 0; i < 10000; i++)
		buf_put(&deep, S("NOT "));
	buf_put(&deep, S("SEEN\r\n"));
	assert_err(ERR_LIMIT, imap_command_parse(exact(buf_view(&deep)), a, &cmd));
	buf_reset(&deep);
	buf_put(&deep, S("a1 SEARCH "));
	for (int i = 0; i < 10000; i++)
		buf_put_char(&deep, '(');
	assert_err(ERR_LIMIT, imap_command_parse(exact(buf_view(&deep)), a, &cmd));
}

static void
test_memory_has_a_limit(void **state)
{
	AUTO(arena) a = arena_new(16 * 1024);
	AUTO_BUF wide = BUF_INIT(SCRATCH);
	struct imap_command cmd;

	(void)state;
	buf_put(&wide, S("a1 FETCH 1"));
	for (int i = 0; i < 30000; i++)
		buf_put(&wide, S(",1"));
	buf_put(&wide, S(" FLAGS\r\n"));
	assert_err(ERR_LIMIT, imap_command_parse(exact(buf_view(&wide)), a, &cmd));
}

static void
test_append_is_read_before_its_message(void **state)
{
	static const struct {
		const char *why;
		Str text;
		enum err_kind want;
		bool message;
	} cases[] = {
		{ "message", S("a APPEND x {5}\r\n"), ERR_NONE, true },
		{ "mailbox is a literal", S("a APPEND {5}\r\n"), ERR_NONE, false },
		{ "empty mailbox literal", S("a APPEND {0}\r\n"), ERR_NONE, false },
		{ "mailbox and message", S("a APPEND {1}\r\nx {5}\r\n"), ERR_NONE, true },
		{ "flags missing an end", S("a APPEND x (\\Seen {5}\r\n"), ERR_PEER, false },
		{ "another command", S("a LOGIN {5}\r\n"), ERR_PEER, false },
		{ "too large a number", S("a APPEND x {9223372036854775808}\r\n"), ERR_PEER,
			false },
	};
	AUTO(arena) a = arena_new(SCRATCH);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct imap_command cmd;
		bool message = false;
		Err e = imap_append_parse(exact(cases[i].text), a, &cmd, &message);

		if (e.kind != cases[i].want || message != cases[i].message)
			fail_msg("%s: %s %d", cases[i].why, err_kind_name(e.kind), message);
	}
}

static void
test_tag_is_found(void **state)
{
	(void)state;
	assert_str(S("a1"), imap_command_tag(S("a1 FROB\r\n")));
	assert_str(S("a1"), imap_command_tag(S("a1\r\n")));
	assert_str(S("*"), imap_command_tag(S("\r\n")));
	assert_str(S("*"), imap_command_tag(S("a\"1 NOOP\r\n")));
	assert_true(imap_command_is_append(S("a1 append x {3}\r\n")));
	assert_false(imap_command_is_append(S("a1 appendix x {3}\r\n")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_understands),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_nesting_has_a_limit),
		cmocka_unit_test(test_memory_has_a_limit),
		cmocka_unit_test(test_append_is_read_before_its_message),
		cmocka_unit_test(test_tag_is_found),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
