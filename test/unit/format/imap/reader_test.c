/* SPDX-License-Identifier: ISC */
#include "format/imap/reader.h"
#include "test.h"

enum { LINE = 40, LITERAL = 20 };

/* Feeds in pieces and writes down what happens: C text, L size, !, X. Literals over 20 are refused. */
static void
play(Str in, size_t piece, struct buf *ret)
{
	struct imap_reader r;
	size_t used;

	imap_reader_init(&r, LINE, LITERAL);
	while (in.n > 0) {
		Str part = str_part(in, 0, piece);
		enum imap_event event = imap_reader_feed(&r, exact(part), &used);

		in = str_from_at(in, used);
		switch (event) {
		case IMAP_READ_MORE:
			assert_int_equal(used, part.n);
			break;
		case IMAP_READ_LITERAL:
			buf_printf(ret, "L%llu%s%s ", (unsigned long long)r.literal.size,
				r.literal.sync ? "" : "+", r.literal.malformed ? "?" : "");
			imap_reader_take(&r);
			break;
		case IMAP_READ_COMMAND:
			buf_printf(ret, "C<%.*s> ", STR_ARG(imap_reader_text(&r)));
			imap_reader_next(&r);
			break;
		case IMAP_READ_LONG:
			buf_printf(ret, "!<%.*s> ",
				STR_ARG(str_part(imap_reader_text(&r), 0, 4)));
			imap_reader_next(&r);
			break;
		case IMAP_READ_BROKEN:
			buf_put(ret, S("X"));
			in = S("");
			break;
		}
	}
	imap_reader_feed(&r, S(""), &used);
	imap_reader_done(&r);
}

static const struct {
	const char *why;
	Str in;
	const char *want;
} cases[] = {
	{ "one line", S("a NOOP\r\n"), "C<a NOOP\r\n> " },
	{ "two lines", S("a A\r\nb B\r\n"), "C<a A\r\n> C<b B\r\n> " },
	{ "bare LF ends a line, the parser refuses it", S("a A\nb B\r\n"),
		"C<a A\n> C<b B\r\n> " },
	{ "literal", S("a L {3}\r\nx\r\n y\r\n"), "L3 C<a L {3}\r\nx\r\n y\r\n> " },
	{ "literal without waiting", S("a L {3+}\r\nxyz\r\n"), "L3+ C<a L {3+}\r\nxyz\r\n> " },
	{ "two literals", S("a {1}\r\nx {1}\r\ny\r\n"), "L1 L1 C<a {1}\r\nx {1}\r\ny\r\n> " },
	{ "empty literal", S("a {0}\r\n\r\n"), "L0 C<a {0}\r\n\r\n> " },
	{ "literal that looks like a command", S("a {5}\r\nb X\r\n\r\n"),
		"L5 C<a {5}\r\nb X\r\n\r\n> " },
	{ "too large, waiting: nothing follows", S("a {21}\r\nb B\r\n"),
		"L21 !<a {2> C<b B\r\n> " },
	{ "too large, not waiting: eaten", S("a {21+}\r\n123456789012345678901 c\r\nb B\r\n"),
		"L21+ !<a {2> C<b B\r\n> " },
	{ "together too large", S("a {15}\r\n123456789012345 {6}\r\nb B\r\n"),
		"L15 L6 !<a {1> C<b B\r\n> " },
	{ "2^63", S("a {9223372036854775808}\r\nb B\r\n"),
		"L18446744073709551615? !<a {9> C<b B\r\n> " },
	{ "2^63, not waiting", S("a {9223372036854775808+}\r\nb B\r\n"),
		"L18446744073709551615+? X" },
	{ "2^63 - 1, not waiting", S("a {9223372036854775807+}\r\nb B\r\n"),
		"L9223372036854775807+ X" },
	{ "line too long", S("a 34567890123456789012345678901234567890\r\nb B\r\n"),
		"!<a 34> C<b B\r\n> " },
	{ "just fits", S("a 345678901234567890123456789012345678\r\nb B\r\n"),
		"C<a 345678901234567890123456789012345678\r\n> C<b B\r\n> " },
	{ "a long line may end in a literal",
		S("a 34567890123456789012345678901234567{9+}\r\nb X\r\nc Y\r\n\r\nb B\r\n"),
		"!<a 34> C<\r\n> C<b B\r\n> " },
	{ "not a literal", S("a {x}\r\nb {}\r\nc {+}\r\nd 3}\r\n"),
		"C<a {x}\r\n> C<b {}\r\n> C<c {+}\r\n> C<d 3}\r\n> " },
};

static void
test_any_split_gives_the_same(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		for (size_t piece = 1; piece <= cases[i].in.n; piece++) {
			AUTO_BUF got = BUF_INIT(4096);

			play(cases[i].in, piece, &got);
			if (!str_eq(buf_view(&got), str_from(cases[i].want)))
				fail_msg("%s in pieces of %zu: wanted \"%s\", got \"%.*s\"",
					cases[i].why, piece, cases[i].want,
					STR_ARG(buf_view(&got)));
		}
	}
}

static void
test_passed_literal_is_not_in_the_text(void **state)
{
	struct imap_reader r;
	size_t used;

	(void)state;
	imap_reader_init(&r, LINE, LITERAL);
	assert_int_equal(imap_reader_feed(&r, S("a APPEND x {900}\r\n"), &used),
		IMAP_READ_LITERAL);
	assert_int_equal(imap_reader_literal(&r).size, 900);
	imap_reader_pass(&r);
	assert_int_equal(imap_reader_feed(&r, S("\r\n"), &used), IMAP_READ_COMMAND);
	assert_str(S("a APPEND x {900}\r\n\r\n"), imap_reader_text(&r));
	imap_reader_done(&r);
}

static void
test_endless_line_ends(void **state)
{
	static char much[64 * 1024];
	struct imap_reader r;
	enum imap_event event = IMAP_READ_MORE;
	size_t used, rounds = 0;

	(void)state;
	memset(much, 'x', sizeof(much));
	imap_reader_init(&r, LINE, LITERAL);
	while (event == IMAP_READ_MORE && rounds++ < 100)
		event = imap_reader_feed(&r, (Str){ much, sizeof(much) }, &used);
	assert_int_equal(event, IMAP_READ_BROKEN);
	assert_true(r.text.cap <= LINE + LITERAL + 64);
	imap_reader_done(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_split_gives_the_same),
		cmocka_unit_test(test_passed_literal_is_not_in_the_text),
		cmocka_unit_test(test_endless_line_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
