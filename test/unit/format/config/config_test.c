/* SPDX-License-Identifier: ISC */
#include "format/config/config.h"
#include "test.h"

enum {
	SCRATCH = 1024 * 1024,
};

struct values {
	Str hostname;
	uint64_t size;
	uint32_t wait, count, policy;
	bool imap;
	SettingAddress relay;
	Str login;
	SettingList names, times;
};

#define AT(member) offsetof(struct values, member)
static const struct setting table[] = {
	{ "hostname", SETTING_TEXT, AT(hostname), "@hostname@", "Name." },
	{ "message-size-max", SETTING_SIZE, AT(size), "50M", "Size.", .min = 1024 },
	{ "wait", SETTING_SECONDS, AT(wait), "5m", "Wait.", .max = 3600 },
	{ "count", SETTING_NUMBER, AT(count), "7", "Count.", .min = 1, .max = 9 },
	{ "bare-line-feed", SETTING_CHOICE, AT(policy), "refuse", "Policy.",
		.choices = "refuse convert" },
	{ "listen.imap", SETTING_YES_NO, AT(imap), "yes", "IMAP." },
	{ "relay-host", SETTING_ADDRESS, AT(relay), "", "Smart host." },
	{ "relay-host.login", SETTING_TEXT, AT(login), "", "Login." },
	{ "names", SETTING_LIST, AT(names), "a b", "Names." },
	{ "times", SETTING_TIMES, AT(times), "5m 1h", "Times." },
	{ 0 },
};
#undef AT

static const struct setting *const tables[] = { table, NULL };
static const struct setting_fact facts[] = { { "@hostname@", S("mx.example.org") }, { 0 } };

/* Everything that `posthorn config check` does; the errors as text. */
static void
check(Str text, struct arena *a, struct values *ret, struct buf *ret_errors)
{
	struct config_errors errors = { .arena = a };
	struct config_tree tree;

	assert_ok(settings_set_standard(table, facts, a, ret));
	(void)config_parse(text, a, &tree, &errors).kind;
	(void)config_check(&tree, tables, &errors).kind;
	(void)config_apply(&tree, table, a, ret, &errors).kind;
	config_errors_write(&errors, S("f"), ret_errors);
}

#define V "config-version 1\n"

static const struct {
	const char *why;
	Str text, errors;
} cases[] = {
	{ "nothing is fine", S(""), S("") },
	{ "comments and blanks alone", S("# nothing\n\n \t# more\n"), S("") },
	{ "version first", S("hostname a\n"),
		S("f:1:1: the first line must be: config-version 1\n") },
	{ "version of the future", S("config-version 2\n"),
		S("f:1:16: this program reads config-version 1, not \"2\"\n") },
	{ "all kinds of values",
		S(V "hostname mx.example # mine\nmessage-size-max 1G\nwait 1m30s\ncount 3\n"
		    "bare-line-feed convert\nlisten { imap no }\nrelay-host [::1]:587 { login x }\n"
		    "names x \"y z\"\ntimes 1m 2m\n"),
		S("") },
	{ "unknown word", S(V "hostnmae x\n"),
		S("f:2:1: unknown word \"hostnmae\"; did you mean \"hostname\"?\n") },
	{ "unknown word in a block", S(V "listen {\n\timpa yes\n}\n"),
		S("f:3:2: unknown word \"impa\"; did you mean \"imap\"?\n") },
	{ "word at the wrong place", S(V "imap yes\n"),
		S("f:2:1: unknown word \"imap\" here; its place is listen.imap\n") },
	{ "word near nothing", S(V "zzzzzzzzzzz yes\n"),
		S("f:2:1: unknown word \"zzzzzzzzzzz\"; `posthorn config show -d` lists all\n") },
	{ "every error is told",
		S(V "hostnam x\ncount 10\nmessage-size-max 50Q\nlisten { imap on }\n"),
		S("f:2:1: unknown word \"hostnam\"; did you mean \"hostname\"?\n"
		  "f:3:7: count must be at least 1 and at most 9\n"
		  "f:4:18: message-size-max wants a size such as 512K, 50M or 2G, not \"50Q\"\n"
		  "f:5:15: listen.imap wants yes or no, not \"on\"\n") },
	{ "columns are characters", S(V "names \xc3\xa4\xc3\xb6 \x01\n"),
		S("f:2:10: control character (code 1)\n") },
	{ "no value", S(V "hostname\n"), S("f:2:1: hostname wants a value\n") },
	{ "two values", S(V "hostname a b\n"),
		S("f:2:12: hostname takes one value; quote a text with blanks\n") },
	{ "twice", S(V "count 1\ncount 2\n"),
		S("f:3:1: \"count\" is given twice (first in line 2)\n") },
	{ "block where none belongs", S(V "count 1 { }\n"),
		S("f:2:1: \"count\" has no block\n") },
	{ "block missing", S(V "listen yes\n"),
		S("f:2:1: \"listen\" wants a block: listen { ... }\n") },
	{ "value before a block", S(V "listen yes { }\n"),
		S("f:2:8: \"listen\" takes no value, only a block\n") },
	{ "block left open", S(V "listen {\nimap yes\n"),
		S("f:2:1: the block of \"listen\" has no closing }\n") },
	{ "one brace too many", S(V "}\n"), S("f:2:1: } without a { before it\n") },
	{ "brace on its own line", S(V "listen\n{ imap yes }\n"),
		S("f:2:1: \"listen\" wants a block: listen { ... }\n"
		  "f:3:1: { must stand on the line of the word it belongs to\n"
		  "f:3:3: unknown word \"imap\" here; its place is listen.imap\n"
		  "f:3:12: } without a { before it\n") },
	{ "open quote", S(V "hostname \"x\ncount 3\n"),
		S("f:2:10: this text has no closing \"\n") },
	{ "unknown escape", S(V "hostname \"a\\n\"\n"),
		S("f:2:13: after \\ comes \" or \\ only\n") },
	{ "choice", S(V "bare-line-feed keep\n"),
		S("f:2:16: bare-line-feed wants one of: refuse convert, not \"keep\"\n") },
	{ "limit in its own unit", S(V "wait 2h\n"), S("f:2:6: wait must be at most 1h\n") },
	{ "bad time in a list", S(V "times 5m soon\n"),
		S("f:2:10: times wants times such as 5m 1h30m, not \"soon\"\n") },
	{ "too deep", S(V "a{b{c{d{e{f{g{h{i{\n"),
		S("f:2:1: unknown word \"a\"; `posthorn config show -d` lists all\n"
		  "f:2:18: more than 8 blocks within one another\n") },
	{ "semicolons and one line", S(V "listen { imap yes; }; count 3;\n"), S("") },
	{ "CRLF and a byte order mark",
		S("\xef\xbb\xbf"
		  "config-version 1\r\ncount 3\r\n"),
		S("") },
};

static void
test_SD_152_every_error_has_its_place_and_a_suggestion(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO(arena) a = arena_new(SCRATCH);
		AUTO_BUF errors = BUF_INIT(SCRATCH);
		struct values values;

		check(exact(cases[i].text), a, &values, &errors);
		if (!str_eq(cases[i].errors, buf_view(&errors)))
			fail_msg("%s: got\n%.*s", cases[i].why, STR_ARG(buf_view(&errors)));
	}
}

static void
test_values(void **state)
{
	AUTO(arena) a = arena_new(SCRATCH);
	AUTO_BUF errors = BUF_INIT(SCRATCH);
	struct values v;

	(void)state;
	check(exact(S(V "message-size-max 2G\nwait 1h\nbare-line-feed convert\n"
			"listen { imap no }\nrelay-host [::1]:587 { login \"a \\\"b\\\\\" }\n"
			"names x \"y z\"\ntimes 90s\n")),
		a, &v, &errors);
	assert_str(S(""), buf_view(&errors));
	assert_str(S("mx.example.org"), v.hostname);
	assert_true(v.size == 2147483648);
	assert_int_equal(3600, v.wait);
	assert_int_equal(7, v.count);
	assert_int_equal(1, v.policy);
	assert_false(v.imap);
	assert_str(S("::1"), v.relay.host);
	assert_int_equal(587, v.relay.port);
	assert_str(S("a \"b\\"), v.login);
	assert_int_equal(2, v.names.n);
	assert_str(S("y z"), v.names.items[1]);
	assert_int_equal(1, v.times.n);
}

static void
test_what_is_packed_unpacks_to_the_same(void **state)
{
	AUTO(arena) a = arena_new(SCRATCH);
	AUTO_BUF errors = BUF_INIT(SCRATCH);
	AUTO_BUF packed = BUF_INIT(SCRATCH);
	AUTO_BUF again = BUF_INIT(SCRATCH);
	struct values v, back;

	(void)state;
	check(exact(S(V "names\nrelay-host smtp.isp.example:25\n")), a, &v, &errors);
	settings_pack(table, &v, &packed);
	assert_ok(settings_unpack(table, exact(buf_view(&packed)), a, &back));
	settings_pack(table, &back, &again);
	assert_str(buf_view(&packed), buf_view(&again));
	for (size_t n = 0; n < packed.n; n++)
		assert_err(ERR_PEER,
			settings_unpack(table, exact(str_part(buf_view(&packed), 0, n)), a,
				&back));
}

static const struct {
	Str text;
	enum err_kind want;
	uint32_t seconds;
	Str written;
} times[] = {
	{ S("0"), ERR_NONE, 0, S("0") },
	{ S("90s"), ERR_NONE, 90, S("1m30s") },
	{ S("1h30m"), ERR_NONE, 5400, S("1h30m") },
	{ S("2w"), ERR_NONE, 1209600, S("2w") },
	{ S("0m"), ERR_NONE, 0, S("0") },
	{ S("90"), ERR_PEER, 0, S("") },
	{ S("m"), ERR_PEER, 0, S("") },
	{ S("5x"), ERR_PEER, 0, S("") },
	{ S("99999999999999999999s"), ERR_PEER, 0, S("") },
	{ S("300000000w"), ERR_PEER, 0, S("") },
	{ S(""), ERR_PEER, 0, S("") },
};

static void
test_times(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(times); i++) {
		AUTO_BUF written = BUF_INIT(100);
		uint32_t seconds = 0;

		assert_err(times[i].want,
			settings_seconds_parse(exact(times[i].text), &seconds));
		assert_int_equal(times[i].seconds, seconds);
		if (times[i].want != ERR_NONE)
			continue;
		settings_seconds_write(seconds, &written);
		assert_str(times[i].written, buf_view(&written));
	}
}

static const struct {
	Str text;
	enum err_kind want;
	Str host;
	uint16_t port;
} addresses[] = {
	{ S("mx.example"), ERR_NONE, S("mx.example"), 0 },
	{ S("mx.example:25"), ERR_NONE, S("mx.example"), 25 },
	{ S("[::1]:53"), ERR_NONE, S("::1"), 53 },
	{ S("[::1]"), ERR_NONE, S("::1"), 0 },
	{ S("2001:db8::1"), ERR_NONE, S("2001:db8::1"), 0 },
	{ S("mx:0"), ERR_PEER, S(""), 0 },
	{ S("mx:65536"), ERR_PEER, S(""), 0 },
	{ S("mx:"), ERR_PEER, S(""), 0 },
	{ S(":25"), ERR_PEER, S(""), 0 },
	{ S("[::1"), ERR_PEER, S(""), 0 },
	{ S("[::1]x"), ERR_PEER, S(""), 0 },
	{ S(""), ERR_PEER, S(""), 0 },
};

static void
test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		SettingAddress address = { .host = S("") };

		assert_err(addresses[i].want,
			settings_address_parse(exact(addresses[i].text), &address));
		assert_str(addresses[i].host, address.host);
		assert_int_equal(addresses[i].port, address.port);
	}
}

static void
test_values_are_written_as_they_are_read(void **state)
{
	static const struct {
		const char *path;
		Str want;
	} wants[] = {
		{ "message-size-max", S("50M") },
		{ "wait", S("5m") },
		{ "bare-line-feed", S("convert") },
		{ "listen.imap", S("yes") },
		{ "relay-host", S("[::1]:587") },
		{ "relay-host.login", S("\"a b\"") },
		{ "names", S("a b") },
	};
	AUTO(arena) a = arena_new(SCRATCH);
	AUTO_BUF errors = BUF_INIT(SCRATCH);
	struct values v;

	(void)state;
	check(exact(S(V "bare-line-feed convert\nrelay-host [::1]:587 { login \"a b\" }\n")), a,
		&v, &errors);
	for (size_t i = 0; i < COUNT(wants); i++) {
		AUTO_BUF b = BUF_INIT(100);

		settings_value_write(settings_find(table, str_from(wants[i].path)), &v, &b);
		assert_str(wants[i].want, buf_view(&b));
	}
}

static void
test_errors_are_bounded(void **state)
{
	AUTO(arena) a = arena_new(SCRATCH);
	AUTO_BUF text = BUF_INIT(SCRATCH);
	AUTO_BUF errors = BUF_INIT(SCRATCH);
	struct values v;

	(void)state;
	buf_put(&text, S(V));
	for (int i = 0; i < CONFIG_ERRORS_MAX + 20; i++)
		buf_printf(&text, "zzzzzzzzzz%d yes\n", i);
	check(exact(buf_view(&text)), a, &v, &errors);
	assert_true(str_ends(buf_view(&errors), S("f: and 20 more\n")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_SD_152_every_error_has_its_place_and_a_suggestion),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_what_is_packed_unpacks_to_the_same),
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_values_are_written_as_they_are_read),
		cmocka_unit_test(test_errors_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
