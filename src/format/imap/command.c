/* SPDX-License-Identifier: ISC */
#include "format/imap/command.h"

#include "format/imap/lex_internal.h"

enum {
	ID_PAIRS_MAX = 30, /* RFC 2971, 3.3 */
};

static void
parse_nothing(struct imap_lex *l, struct imap_command *cmd)
{
	(void)l;
	(void)cmd;
}

/* login = "LOGIN" SP userid SP password */
static void
parse_login(struct imap_lex *l, struct imap_command *cmd)
{
	cmd->login.user = imap_lex_astring(l);
	imap_lex_space(l);
	cmd->login.password = imap_lex_astring(l);
}

static bool
is_base64_char(int c)
{
	return char_is_alnum(c) || c == '+' || c == '/' || c == '=';
}

/* authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]; initial-resp = base64 / "=" */
static void
parse_authenticate(struct imap_lex *l, struct imap_command *cmd)
{
	cmd->authenticate.mechanism = imap_lex_atom(l);
	if (!imap_lex_take(l, ' '))
		return;
	cmd->authenticate.has_initial = true;
	cmd->authenticate.initial = cursor_while(&l->in, is_base64_char);
	if (cmd->authenticate.initial.n == 0)
		imap_lex_fail(l, ERR_PEER, "initial response is not base64");
	if (str_eq(cmd->authenticate.initial, S("=")))
		cmd->authenticate.initial = S("");
}

/* enable = "ENABLE" 1*(SP capability) */
static void
parse_enable(struct imap_lex *l, struct imap_command *cmd)
{
	do
		imap_lex_add(l, &cmd->strings, imap_lex_atom(l));
	while (imap_lex_take(l, ' '));
}

/* id_params_list = "(" [string SP nstring *(SP string SP nstring)] ")" / nil (RFC 2971, 4) */
static void
parse_id(struct imap_lex *l, struct imap_command *cmd)
{
	bool present;

	if (imap_lex_word(l, S("NIL")))
		return;
	imap_lex_need(l, '(');
	while (!imap_lex_take(l, ')') && !imap_lex_bad(l)) {
		imap_lex_add(l, &cmd->strings, imap_lex_string(l));
		imap_lex_space(l);
		imap_lex_add(l, &cmd->strings, imap_lex_nstring(l, &present));
		if (imap_lex_peek(l) != ')')
			imap_lex_space(l);
		if (cmd->strings.count > 2 * ID_PAIRS_MAX)
			imap_lex_fail(l, ERR_LIMIT, "too many ID fields");
	}
}

static void
parse_mailbox(struct imap_lex *l, struct imap_command *cmd)
{
	cmd->mailbox = imap_lex_astring(l);
}

/* QRESYNC SP "(" uidvalidity SP mod-sequence [SP known-uids] [SP seq-match-data] ")" (RFC 7162) */
static void
qresync(struct imap_lex *l, struct imap_select *select)
{
	select->qresync = true;
	imap_lex_space(l);
	imap_lex_need(l, '(');
	select->uid_validity = (uint32_t)imap_lex_number(l, UINT32_MAX);
	imap_lex_space(l);
	select->modseq = imap_lex_number(l, INT64_MAX);
	if (imap_lex_take(l, ' ')) {
		bool more = true;

		if (imap_lex_peek(l) != '(') {
			select->known_uids = imap_lex_set(l);
			more = imap_lex_take(l, ' ');
		}
		if (more) {
			imap_lex_need(l, '(');
			select->match_seqs = imap_lex_set(l);
			imap_lex_space(l);
			select->match_uids = imap_lex_set(l);
			imap_lex_need(l, ')');
		}
	}
	imap_lex_need(l, ')');
}

/* select = "SELECT" SP mailbox [SP "(" select-param *(SP select-param) ")"] */
static void
parse_select(struct imap_lex *l, struct imap_command *cmd)
{
	cmd->select.mailbox = imap_lex_astring(l);
	if (!imap_lex_take(l, ' '))
		return;
	imap_lex_need(l, '(');
	do {
		if (imap_lex_word(l, S("CONDSTORE")))
			cmd->select.condstore = true;
		else if (imap_lex_word(l, S("QRESYNC")))
			qresync(l, &cmd->select);
		else
			imap_lex_fail(l, ERR_PEER, "unknown SELECT parameter");
	} while (imap_lex_take(l, ' '));
	imap_lex_need(l, ')');
}

/* create = "CREATE" SP mailbox [SP "(USE (" use-attr *(SP use-attr) "))"] (RFC 6154, 6) */
static void
parse_create(struct imap_lex *l, struct imap_command *cmd)
{
	struct imap_flags flags;

	cmd->create.mailbox = imap_lex_astring(l);
	if (!imap_lex_take(l, ' '))
		return;
	imap_lex_need(l, '(');
	if (!imap_lex_word(l, S("USE")))
		imap_lex_fail(l, ERR_PEER, "unknown CREATE parameter");
	imap_lex_space(l);
	flags = imap_lex_flags(l);
	cmd->create.use = flags.keywords;
	imap_lex_need(l, ')');
}

static void
parse_rename(struct imap_lex *l, struct imap_command *cmd)
{
	cmd->rename.from = imap_lex_astring(l);
	imap_lex_space(l);
	cmd->rename.to = imap_lex_astring(l);
}

static void
parse_list(struct imap_lex *l, struct imap_command *cmd)
{
	imap_list_lex(l, &cmd->list);
}

/* lsub = "LSUB" SP mailbox SP list-mailbox (RFC 3501, 9) */
static void
parse_lsub(struct imap_lex *l, struct imap_command *cmd)
{
	cmd->list.reference = imap_lex_astring(l);
	imap_lex_space(l);
	imap_lex_add(l, &cmd->list.patterns, imap_lex_list_mailbox(l));
}

static void
parse_status(struct imap_lex *l, struct imap_command *cmd)
{
	cmd->status.mailbox = imap_lex_astring(l);
	imap_lex_space(l);
	imap_status_items_lex(l, &cmd->status.items);
}

/* append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal */
static void
parse_append(struct imap_lex *l, struct imap_command *cmd)
{
	struct imap_append *append = &cmd->append;

	append->mailbox = imap_lex_astring(l);
	imap_lex_space(l);
	if (imap_lex_peek(l) == '(') {
		append->flags = imap_lex_flags(l);
		imap_lex_space(l);
	}
	if (imap_lex_peek(l) == '"') {
		append->has_date = true;
		append->date = imap_lex_date_time(l);
		imap_lex_space(l);
	}
	append->binary = imap_lex_take(l, '~');
	imap_lex_need(l, '{');
	append->size = imap_lex_number(l, INT64_MAX);
	(void)imap_lex_take(l, '+');
	if (!cursor_take_str(&l->in, S("}\r\n")))
		imap_lex_fail(l, ERR_PEER, "bad literal");
	/* The message itself is not in the text. */
}

static void
parse_expunge(struct imap_lex *l, struct imap_command *cmd)
{
	if (cmd->uid)
		cmd->expunge = imap_lex_set(l);
}

static void
parse_search(struct imap_lex *l, struct imap_command *cmd)
{
	imap_search_lex(l, &cmd->search);
}

static void
parse_fetch(struct imap_lex *l, struct imap_command *cmd)
{
	imap_fetch_lex(l, &cmd->fetch);
}

/* store-modifiers = SP "(" "UNCHANGEDSINCE" SP mod-sequence-valzer ")" (RFC 7162, 7) */
static void
store_modifiers(struct imap_lex *l, struct imap_store *store)
{
	if (!imap_lex_take(l, '('))
		return;
	if (!imap_lex_word(l, S("UNCHANGEDSINCE")))
		imap_lex_fail(l, ERR_PEER, "unknown STORE modifier");
	imap_lex_space(l);
	store->unchanged_since = true;
	store->modseq = imap_lex_number(l, INT64_MAX);
	imap_lex_need(l, ')');
	imap_lex_space(l);
}

/* store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag))) */
static void
parse_store(struct imap_lex *l, struct imap_command *cmd)
{
	struct imap_store *store = &cmd->store;

	store->set = imap_lex_set(l);
	imap_lex_space(l);
	store_modifiers(l, store);
	if (imap_lex_take(l, '+'))
		store->mode = IMAP_STORE_ADD;
	else if (imap_lex_take(l, '-'))
		store->mode = IMAP_STORE_REMOVE;
	store->silent = imap_lex_word(l, S("FLAGS.SILENT"));
	if (!store->silent && !imap_lex_word(l, S("FLAGS")))
		imap_lex_fail(l, ERR_PEER, "FLAGS expected");
	imap_lex_space(l);
	if (imap_lex_peek(l) == '(') {
		store->flags = imap_lex_flags(l);
		return;
	}
	do
		imap_lex_flag(l, &store->flags);
	while (imap_lex_take(l, ' '));
}

static void
parse_copy(struct imap_lex *l, struct imap_command *cmd)
{
	cmd->copy.set = imap_lex_set(l);
	imap_lex_space(l);
	cmd->copy.mailbox = imap_lex_astring(l);
}

enum { PLAIN = 1 << 0, WITH_UID = 1 << 1 };

static const struct verb {
	Str name;
	void (*parse)(struct imap_lex *l, struct imap_command *cmd);
	unsigned forms;
	bool alone; /* no arguments, so no SP either */
} verbs[] = {
	[IMAP_CAPABILITY] = { S("CAPABILITY"), parse_nothing, PLAIN, true },
	[IMAP_NOOP] = { S("NOOP"), parse_nothing, PLAIN, true },
	[IMAP_LOGOUT] = { S("LOGOUT"), parse_nothing, PLAIN, true },
	[IMAP_ID] = { S("ID"), parse_id, PLAIN },
	[IMAP_STARTTLS] = { S("STARTTLS"), parse_nothing, PLAIN, true },
	[IMAP_LOGIN] = { S("LOGIN"), parse_login, PLAIN },
	[IMAP_AUTHENTICATE] = { S("AUTHENTICATE"), parse_authenticate, PLAIN },
	[IMAP_ENABLE] = { S("ENABLE"), parse_enable, PLAIN },
	[IMAP_SELECT] = { S("SELECT"), parse_select, PLAIN },
	[IMAP_EXAMINE] = { S("EXAMINE"), parse_select, PLAIN },
	[IMAP_CREATE] = { S("CREATE"), parse_create, PLAIN },
	[IMAP_DELETE] = { S("DELETE"), parse_mailbox, PLAIN },
	[IMAP_RENAME] = { S("RENAME"), parse_rename, PLAIN },
	[IMAP_SUBSCRIBE] = { S("SUBSCRIBE"), parse_mailbox, PLAIN },
	[IMAP_UNSUBSCRIBE] = { S("UNSUBSCRIBE"), parse_mailbox, PLAIN },
	[IMAP_LIST] = { S("LIST"), parse_list, PLAIN },
	[IMAP_LSUB] = { S("LSUB"), parse_lsub, PLAIN },
	[IMAP_NAMESPACE] = { S("NAMESPACE"), parse_nothing, PLAIN, true },
	[IMAP_STATUS] = { S("STATUS"), parse_status, PLAIN },
	[IMAP_APPEND] = { S("APPEND"), parse_append, PLAIN },
	[IMAP_IDLE] = { S("IDLE"), parse_nothing, PLAIN, true },
	[IMAP_CHECK] = { S("CHECK"), parse_nothing, PLAIN, true },
	[IMAP_CLOSE] = { S("CLOSE"), parse_nothing, PLAIN, true },
	[IMAP_UNSELECT] = { S("UNSELECT"), parse_nothing, PLAIN, true },
	[IMAP_EXPUNGE] = { S("EXPUNGE"), parse_expunge, PLAIN | WITH_UID },
	[IMAP_SEARCH] = { S("SEARCH"), parse_search, PLAIN | WITH_UID },
	[IMAP_FETCH] = { S("FETCH"), parse_fetch, PLAIN | WITH_UID },
	[IMAP_STORE] = { S("STORE"), parse_store, PLAIN | WITH_UID },
	[IMAP_COPY] = { S("COPY"), parse_copy, PLAIN | WITH_UID },
	[IMAP_MOVE] = { S("MOVE"), parse_copy, PLAIN | WITH_UID },
};

const char *
imap_verb_name(enum imap_verb verb)
{
	return verb == IMAP_UNKNOWN ? "?" : verbs[verb].name.p;
}

static enum imap_verb
find_verb(Str name, bool uid)
{
	for (size_t i = 1; i < COUNT(verbs); i++)
		if (str_eq_icase(name, verbs[i].name) &&
			(verbs[i].forms & (uid ? WITH_UID : PLAIN)) != 0)
			return (enum imap_verb)i;
	return IMAP_UNKNOWN;
}

/* tag = 1*<any ASTRING-CHAR except "+"> */
static bool
is_tag_char(int c)
{
	return imap_is_astring_char(c) && c != '+';
}

/* tag SP ["UID" SP] name */
static void
parse_name(struct imap_lex *l, struct imap_command *cmd)
{
	cmd->tag = cursor_while(&l->in, is_tag_char);
	if (cmd->tag.n == 0)
		imap_lex_fail(l, ERR_PEER, "tag expected");
	imap_lex_space(l);
	cmd->uid = imap_lex_word(l, S("UID"));
	if (cmd->uid)
		imap_lex_space(l);
	cmd->name = imap_lex_atom(l);
	cmd->verb = imap_lex_bad(l) ? IMAP_UNKNOWN : find_verb(cmd->name, cmd->uid);
}

static void
parse_arguments(struct imap_lex *l, struct imap_command *cmd)
{
	const struct verb *verb = &verbs[cmd->verb];

	if (imap_lex_bad(l) || cmd->verb == IMAP_UNKNOWN)
		return;
	if (!verb->alone && !(cmd->verb == IMAP_EXPUNGE && !cmd->uid))
		imap_lex_space(l);
	verb->parse(l, cmd);
}

Err
imap_command_parse(Str text, struct arena *a, struct imap_command *ret)
{
	struct imap_lex l = { .in = cursor_of(text), .arena = a };
	struct imap_command cmd = { 0 };

	parse_name(&l, &cmd);
	parse_arguments(&l, &cmd);
	if (cmd.verb != IMAP_UNKNOWN)
		imap_lex_end(&l);
	if (imap_lex_bad(&l))
		return l.err;
	*ret = cmd;
	return OK;
}

Err
imap_append_parse(Str text, struct arena *a, struct imap_command *ret, bool *ret_message)
{
	struct imap_lex l = { .in = cursor_of(text), .arena = a, .prefix = true };
	struct imap_command cmd = { 0 };

	parse_name(&l, &cmd);
	if (!imap_lex_bad(&l) && cmd.verb != IMAP_APPEND)
		imap_lex_fail(&l, ERR_PEER, "APPEND expected");
	parse_arguments(&l, &cmd);
	if (l.cut) {
		*ret_message = false;
		return OK;
	}
	if (!imap_lex_bad(&l) && l.in.rest.n > 0)
		imap_lex_fail(&l, ERR_PEER, "too many arguments");
	if (imap_lex_bad(&l))
		return l.err;
	*ret = cmd;
	*ret_message = true;
	return OK;
}

Str
imap_command_tag(Str text)
{
	struct cursor c = cursor_of(text);
	Str tag = cursor_while(&c, is_tag_char);
	int next = cursor_peek(&c);

	return tag.n > 0 && (next == ' ' || next == '\r' || next == '\n') ? tag : S("*");
}

bool
imap_command_is_append(Str text)
{
	struct cursor c = cursor_of(text);

	return cursor_while(&c, is_tag_char).n > 0 && cursor_take_char(&c, ' ') &&
	       cursor_take_icase(&c, S("APPEND")) && cursor_peek(&c) == ' ';
}
