/* SPDX-License-Identifier: ISC */
#include "base/arena.h"
#include "format/imap/match.h"
#include "format/imap/mutf7.h"
#include "format/imap/set.h"
#include "format/imap/write.h"
#include "test.h"

static void
test_mutf7_both_ways(void **state)
{
	static const struct {
		const char *why;
		Str utf8, mutf7;
	} cases[] = {
		{ "ASCII", S("INBOX/a b"), S("INBOX/a b") },
		{ "ampersand", S("R&D"), S("R&-D") },
		{ "RFC 3501, 5.1.3",
			S("~peter/mail/\xe5\x8f\xb0\xe5\x8c\x97/\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e"),
			S("~peter/mail/&U,BTFw-/&ZeVnLIqe-") },
		{ "one letter", S("\xc3\xa9t\xc3\xa9"), S("&AOk-t&AOk-") },
		{ "beyond 16 bits", S("\xf0\x9f\x93\xae"), S("&2D3c7g-") },
		{ "empty", S(""), S("") },
		{ "control", S("a\tb"), S("a&AAk-b") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO_BUF wire = BUF_INIT(1024), back = BUF_INIT(1024);

		assert_ok(imap_mutf7_write(&wire, exact(cases[i].utf8)));
		assert_str(cases[i].mutf7, buf_view(&wire));
		assert_ok(imap_mutf7_parse(exact(cases[i].mutf7), &back));
		assert_str(cases[i].utf8, buf_view(&back));
	}
}

static void
test_mutf7_one_spelling_only(void **state)
{
	static const struct {
		const char *why;
		Str s;
	} cases[] = {
		{ "no end", S("&AOk") },
		{ "not base64", S("&A*k-") },
		{ "8 bits", S("\xc3\xa9") },
		{ "ASCII in base64", S("&AGE-") },
		{ "half a pair", S("&2D0-") },
		{ "second half first", S("&3K4-") },
		{ "bits left over", S("&AOl-") },
		{ "a letter too many", S("&AOkA-") },
		{ "two runs in a row", S("&AOk-&AOk-") },
		{ "one letter", S("&A-") },
		{ "NUL", S("a\0b") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO_BUF back = BUF_INIT(1024);
		Err e = imap_mutf7_parse(exact(cases[i].s), &back);

		if (e.kind != ERR_PEER)
			fail_msg("%s: taken as \"%.*s\"", cases[i].why,
				STR_ARG(buf_view(&back)));
	}
}

static void
test_utf8(void **state)
{
	(void)state;
	assert_true(imap_utf8_valid(S("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x93\xae")));
	assert_false(imap_utf8_valid(exact(S("\xc3"))));
	assert_false(imap_utf8_valid(S("\xc0\x80")));
	assert_false(imap_utf8_valid(S("\xed\xa0\x80")));
	assert_false(imap_utf8_valid(S("\xf4\x90\x80\x80")));
	assert_false(imap_utf8_valid(S("\xe0\x80\x80")));
	assert_false(imap_utf8_valid(S("\x80")));
}

static void
test_match(void **state)
{
	static const struct {
		const char *why;
		Str pattern, name;
		bool want;
	} cases[] = {
		{ "same", S("a/b"), S("a/b"), true },
		{ "shorter", S("a"), S("a/b"), false },
		{ "star goes down", S("a*"), S("a/b/c"), true },
		{ "percent does not", S("a/%"), S("a/b/c"), false },
		{ "percent one level", S("%/%/c"), S("a/b/c"), true },
		{ "percent may be nothing", S("a%"), S("a"), true },
		{ "star may be nothing", S("*a*"), S("a"), true },
		{ "empty", S(""), S(""), true },
		{ "empty pattern", S(""), S("a"), false },
		{ "inbox in any case", S("inbox"), S("INBOX"), true },
		{ "below inbox", S("iNbOx/%"), S("INBOX/x"), true },
		{ "others are exact", S("A"), S("a"), false },
		{ "inbox is not a prefix", S("inboxes"), S("INBOXES"), false },
		{ "backtracking", S("*a%b*c"), S("xa/b/aab/c"), true },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		if (imap_match(exact(cases[i].pattern), exact(cases[i].name), '/') !=
			cases[i].want)
			fail_msg("%s", cases[i].why);
}

static void
test_match_takes_bounded_time(void **state)
{
	static char stars[IMAP_PATTERN_MAX], name[1000];

	(void)state;
	for (size_t i = 0; i < sizeof(stars); i++)
		stars[i] = i % 2 == 0 ? '*' : 'a';
	memset(name, 'a', sizeof(name));
	assert_false(imap_match((Str){ stars, sizeof(stars) }, (Str){ name, 400 }, '/'));
	assert_true(imap_match((Str){ stars, sizeof(stars) }, (Str){ name, 1000 }, '/'));
}

static void
test_sets(void **state)
{
	static const struct {
		const char *why;
		Str in;
		uint32_t largest;
		const char *want;
	} cases[] = {
		{ "order and overlap", S("5,1:3,2:4"), 9, "1:5" },
		{ "backwards", S("4:2"), 9, "2:4" },
		{ "star", S("*"), 9, "9" },
		{ "from beyond the end", S("12:*"), 9, "9:12" },
		{ "star in an empty mailbox", S("1:*"), 0, "" },
		{ "largest number", S("4294967295,1"), 9, "1,4294967295" },
		{ "apart", S("1,3,5:6"), 9, "1,3,5:6" },
	};
	AUTO(arena) a = arena_new(4096);

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO_BUF got = BUF_INIT(1024);
		struct imap_set set;

		arena_reset(a);
		assert_ok(imap_set_parse(exact(cases[i].in), a, &set));
		imap_set_settle(&set, cases[i].largest);
		for (size_t k = 0; k < set.count; k++) {
			if (k > 0)
				buf_put_char(&got, ',');
			buf_put_u64(&got, set.ranges[k].first);
			if (set.ranges[k].last != set.ranges[k].first)
				buf_printf(&got, ":%u", set.ranges[k].last);
			assert_true(imap_set_has(&set, set.ranges[k].first));
			assert_true(imap_set_has(&set, set.ranges[k].last));
		}
		assert_false(imap_set_has(&set, 7));
		assert_str(str_from(cases[i].want), buf_view(&got));
	}
}

static void
test_set_writer_joins(void **state)
{
	static const uint32_t numbers[] = { 1, 2, 3, 7, 9, 10 };
	struct imap_set_writer w = { 0 };
	AUTO_BUF got = BUF_INIT(100);

	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++)
		imap_set_add(&w, &got, numbers[i]);
	imap_set_end(&w, &got);
	assert_str(S("1:3,7,9:10"), buf_view(&got));
}

static void
test_strings(void **state)
{
	static const struct {
		const char *why;
		Str s;
		bool utf8;
		const char *want;
	} cases[] = {
		{ "plain", S("a b"), false, "\"a b\"" },
		{ "escapes", S("a\"\\"), false, "\"a\\\"\\\\\"" },
		{ "line end", S("a\r\nb"), false, "{4}\r\na\r\nb" },
		{ "8 bits", S("\xc3\xa9"), false, "{2}\r\n\xc3\xa9" },
		{ "UTF-8 when enabled", S("\xc3\xa9"), true, "\"\xc3\xa9\"" },
		{ "not UTF-8", S("\xc3"), true, "{1}\r\n\xc3" },
		{ "NUL", S("a\0b"), false,
			"{3}\r\na\x80"
			"b" },
		{ "empty", S(""), false, "\"\"" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO_BUF got = BUF_INIT(1024);

		imap_write_string(&got, exact(cases[i].s), cases[i].utf8);
		assert_str(str_from(cases[i].want), buf_view(&got));
	}
}

static void
test_words(void **state)
{
	AUTO_BUF got = BUF_INIT(1024);

	(void)state;
	imap_write_flags(&got, IMAP_FLAG_SEEN | IMAP_FLAG_DRAFT);
	buf_put_char(&got, '|');
	imap_write_nstring(&got, false, S(""), false);
	buf_put_char(&got, '|');
	imap_write_astring(&got, S("x]y"), false);
	buf_put_char(&got, '|');
	imap_write_astring(&got, S("nil"), false);
	buf_put_char(&got, '|');
	imap_write_mailbox(&got, S("R&D \xc3\xa9"), false);
	buf_put_char(&got, '|');
	imap_write_mailbox(&got, S("R&D \xc3\xa9"), true);
	buf_put_char(&got, '|');
	imap_write_date_time(&got, time_from_seconds(760686745));
	assert_str(S("\\Seen \\Draft|NIL|x]y|\"nil\"|\"R&-D &AOk-\"|\"R&D \xc3\xa9\"|"
		     "\"08-Feb-1994 05:52:25 +0000\""),
		buf_view(&got));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mutf7_both_ways),
		cmocka_unit_test(test_mutf7_one_spelling_only),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_match_takes_bounded_time),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_set_writer_joins),
		cmocka_unit_test(test_strings),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
