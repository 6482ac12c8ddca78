/* SPDX-License-Identifier: ISC */
#include "format/smtp/data.h"
#include "test.h"

static const struct {
	const char *why;
	Str wire;
	enum smtp_bare bare;
	bool done;
	enum err_kind want;
	Str text;
} messages[] = {
	{ "empty", S(".\r\n"), SMTP_BARE_REFUSE, true, ERR_NONE, S("") },
	{ "one line", S("a\r\n.\r\n"), SMTP_BARE_REFUSE, true, ERR_NONE, S("a\n") },
	{ "dots", S("..a\r\n...\r\n..\r\na.\r\n.\r\n"), SMTP_BARE_REFUSE, true, ERR_NONE,
		S(".a\n..\n.\na.\n") },
	{ "a dot that was not doubled", S(".a\r\n.\r\n"), SMTP_BARE_REFUSE, true, ERR_NONE,
		S("a\n") },
	{ "8 bit", S("\xe9\xff\r\n.\r\n"), SMTP_BARE_REFUSE, true, ERR_NONE, S("\xe9\xff\n") },
	{ "LF.LF does not end it", S("a\n.\nb\r\n.\r\n"), SMTP_BARE_CONVERT, true, ERR_NONE,
		S("a\n.\nb\n") },
	{ "LF.CRLF does not end it", S("a\n.\r\nb\r\n.\r\n"), SMTP_BARE_CONVERT, true, ERR_NONE,
		S("a\n.\nb\n") },
	{ "CRLF.LF does not end it", S("a\r\n.\nb\r\n.\r\n"), SMTP_BARE_CONVERT, true, ERR_NONE,
		S("a\n\nb\n") },
	{ "CR.CR does not end it", S("a\r.\rb\r\n.\r\n"), SMTP_BARE_CONVERT, true, ERR_NONE,
		S("a\n.\nb\n") },
	{ "CR.CRLF does not end it", S("a\r.\r\nb\r\n.\r\n"), SMTP_BARE_CONVERT, true, ERR_NONE,
		S("a\n.\nb\n") },
	{ "CRLF.CR does not end it", S("a\r\n.\rb\r\n.\r\n"), SMTP_BARE_CONVERT, true, ERR_NONE,
		S("a\n\nb\n") },
	{ "CR CRLF", S("a\r\r\n.\r\n"), SMTP_BARE_CONVERT, true, ERR_NONE, S("a\n\n") },
	{ "NUL mended", S("a\0b\0\r\n.\r\n"), SMTP_BARE_CONVERT, true, ERR_NONE, S("a b \n") },
	{ "bare LF refused", S("a\nb\r\n.\r\n"), SMTP_BARE_REFUSE, true, ERR_PEER, S("") },
	{ "bare CR refused", S("a\rb\r\n.\r\n"), SMTP_BARE_REFUSE, true, ERR_PEER, S("a") },
	{ "NUL refused", S("a\0b\r\n.\r\n"), SMTP_BARE_REFUSE, true, ERR_PEER, S("") },
	{ "LF.LF refused, and read on", S("a\n.\nb\r\n.\r\n"), SMTP_BARE_REFUSE, true, ERR_PEER,
		S("") },
	{ "no end yet", S("a\r\n."), SMTP_BARE_REFUSE, false, ERR_NONE, S("a\n") },
	{ "nor here", S("a\r\n.\r"), SMTP_BARE_REFUSE, false, ERR_NONE, S("a\n") },
	{ "too large", S("123456789012345678901234567890\r\n.\r\n"), SMTP_BARE_REFUSE, true,
		ERR_LIMIT, S("") },
};

enum {
	SIZE_LIMIT = 30,
};

static bool
read_split(Str wire, size_t at, enum smtp_bare bare, struct smtp_data *d, struct buf *out)
{
	struct cursor first = cursor_of(exact(str_part(wire, 0, at)));
	struct cursor second = cursor_of(exact(str_from_at(wire, at)));

	smtp_data_init(d, true, bare, SIZE_LIMIT);
	return smtp_data_read(d, &first, out) || smtp_data_read(d, &second, out);
}

static void
test_messages_in_any_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(messages); i++)
		for (size_t at = 0; at <= messages[i].wire.n; at++) {
			AUTO_BUF out = BUF_INIT(1000);
			struct smtp_data d;
			bool done =
				read_split(messages[i].wire, at, messages[i].bare, &d, &out);
			Err e = smtp_data_check(&d);

			if (done != messages[i].done || e.kind != messages[i].want)
				fail_msg("%s, split at %zu: %s", messages[i].why, at,
					err_kind_name(e.kind));
			if (!failed(e) && !str_eq(buf_view(&out), messages[i].text))
				fail_msg("%s, split at %zu: %.*s", messages[i].why, at,
					STR_ARG(buf_view(&out)));
		}
}

static void
test_what_follows_is_left(void **state)
{
	AUTO_BUF out = BUF_INIT(1000);
	struct cursor c = cursor_of(exact(S("a\r\n.\r\nQUIT\r\n")));
	struct smtp_data d;

	(void)state;
	smtp_data_init(&d, true, SMTP_BARE_REFUSE, SIZE_LIMIT);
	assert_true(smtp_data_read(&d, &c, &out));
	assert_str(S("QUIT\r\n"), c.rest);
	assert_int_equal(3, d.size);
}

static void
test_chunks_keep_dots(void **state)
{
	AUTO_BUF out = BUF_INIT(1000);
	struct cursor first = cursor_of(exact(S(".a\r\n.\r")));
	struct cursor second = cursor_of(exact(S("\n..\r\nend")));
	struct smtp_data d;

	(void)state;
	smtp_data_init(&d, false, SMTP_BARE_REFUSE, SIZE_LIMIT);
	assert_false(smtp_data_read(&d, &first, &out));
	assert_false(smtp_data_read(&d, &second, &out));
	smtp_data_end(&d, &out);
	assert_ok(smtp_data_check(&d));
	assert_str(S(".a\n.\n..\nend"), buf_view(&out));
}

static void
test_chunk_ends_in_cr(void **state)
{
	AUTO_BUF out = BUF_INIT(1000);
	struct cursor c = cursor_of(exact(S("a\r")));
	struct smtp_data d;

	(void)state;
	smtp_data_init(&d, false, SMTP_BARE_REFUSE, SIZE_LIMIT);
	assert_false(smtp_data_read(&d, &c, &out));
	smtp_data_end(&d, &out);
	assert_err(ERR_PEER, smtp_data_check(&d));
}

static void
test_facts_about_a_message(void **state)
{
	AUTO_BUF out = BUF_INIT(1000);
	struct cursor c = cursor_of(exact(S("ab\r\nabcde\xe9\r\n.\r\n")));
	struct smtp_data d;

	(void)state;
	smtp_data_init(&d, true, SMTP_BARE_REFUSE, SIZE_LIMIT);
	assert_true(smtp_data_read(&d, &c, &out));
	assert_int_equal(6, d.longest);
	assert_int_equal(12, d.size);
	assert_true(d.eight_bit);
	assert_int_equal(0, d.faults);
}

static const struct {
	Str text, wire;
} written[] = {
	{ S(""), S(".\r\n") },
	{ S("a\n"), S("a\r\n.\r\n") },
	{ S("a"), S("a\r\n.\r\n") },
	{ S(".\n..a\n\n"), S("..\r\n...a\r\n\r\n.\r\n") },
	{ S("a\r\nb\rc\n"), S("a\r\nb\r\nc\r\n.\r\n") },
	{ S("a\r\r\n.b"), S("a\r\n\r\n..b\r\n.\r\n") },
};

static void
test_writing_in_any_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(written); i++)
		for (size_t at = 0; at <= written[i].text.n; at++) {
			AUTO_BUF out = BUF_INIT(1000);
			struct smtp_data_writer w = { 0 };

			smtp_data_write(&w, exact(str_part(written[i].text, 0, at)), &out);
			smtp_data_write(&w, exact(str_from_at(written[i].text, at)), &out);
			smtp_data_write_end(&w, &out);
			assert_str(written[i].wire, buf_view(&out));
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages_in_any_split),
		cmocka_unit_test(test_what_follows_is_left),
		cmocka_unit_test(test_chunks_keep_dots),
		cmocka_unit_test(test_chunk_ends_in_cr),
		cmocka_unit_test(test_facts_about_a_message),
		cmocka_unit_test(test_writing_in_any_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
