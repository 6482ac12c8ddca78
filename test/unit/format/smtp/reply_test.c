/* SPDX-License-Identifier: ISC */
#include "format/smtp/reply.h"
#include "test.h"

static const struct {
	const char *why;
	Str lines; /* with LF ends */
	enum err_kind want;
	enum smtp_reply_kind kind;
	Str status, all;
} replies[] = {
	{ "plain", S("250 2.0.0 Ok: queued as X\n"), ERR_NONE, SMTP_REPLY_DONE, S("2.0.0"),
		S("250 2.0.0 Ok: queued as X") },
	{ "no enhanced code", S("550 no such user\n"), ERR_NONE, SMTP_REPLY_NEVER, S("5.0.0"),
		S("550 no such user") },
	{ "bare code", S("250\n"), ERR_NONE, SMTP_REPLY_DONE, S("2.0.0"), S("250") },
	{ "several lines", S("550-5.1.1 The account\n550-5.1.1 does not\n550 5.1.1 exist\n"),
		ERR_NONE, SMTP_REPLY_NEVER, S("5.1.1"),
		S("550 5.1.1 The account does not exist") },
	{ "code of another class is text", S("450 5.1.1 x\n"), ERR_NONE, SMTP_REPLY_LATER,
		S("4.0.0"), S("450 5.1.1 x") },
	{ "1yz", S("199 x\n"), ERR_NONE, SMTP_REPLY_LATER, S("4.0.0"), S("199 x") },
	{ "354", S("354 go on\n"), ERR_NONE, SMTP_REPLY_GO_ON, S("5.5.0"), S("354 go on") },
	{ "unknown 5yz", S("599 x\n"), ERR_NONE, SMTP_REPLY_NEVER, S("5.0.0"), S("599 x") },
	{ "control characters", S("250 a\x1b[1mb\n"), ERR_NONE, SMTP_REPLY_DONE, S("2.0.0"),
		S("250 a?[1mb") },
	{ "two digits", S("25 x\n"), ERR_PEER, 0, S(""), S("") },
	{ "no code", S("hello\n"), ERR_PEER, 0, S(""), S("") },
	{ "code out of range", S("600 x\n"), ERR_PEER, 0, S(""), S("") },
	{ "wrong sign behind the code", S("250+x\n"), ERR_PEER, 0, S(""), S("") },
	{ "code changes", S("250-a\n251 b\n"), ERR_PEER, 0, S(""), S("") },
};

static Err
read_reply(struct smtp_reply *r, Str text)
{
	bool last = false;
	Str line, rest;

	while (!last && str_split(text, '\n', &line, &text))
		TRY(smtp_reply_add_line(r, exact(line), &last, &rest));
	return last ? OK : (Err){ .kind = ERR_GONE };
}

static void
test_SD_019_replies_by_first_digit(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(replies); i++) {
		struct smtp_reply r = SMTP_REPLY_INIT;
		AUTO_BUF b = BUF_INIT(1000);
		Err e = read_reply(&r, replies[i].lines);

		if (e.kind != replies[i].want)
			fail_msg("%s: %s", replies[i].why, err_kind_name(e.kind));
		if (!failed(e)) {
			assert_int_equal(replies[i].kind, smtp_reply_kind(&r));
			smtp_status_put(&b, smtp_reply_status(&r));
			assert_str(replies[i].status, buf_view(&b));
			buf_reset(&b);
			smtp_reply_put(&b, &r);
			assert_str(replies[i].all, buf_view(&b));
		}
		buf_done(&r.text);
	}
}

static void
test_reply_limits(void **state)
{
	struct smtp_reply r = SMTP_REPLY_INIT;
	bool last;
	Str text;

	(void)state;
	for (int i = 0; i < SMTP_REPLY_LINES_MAX; i++)
		assert_ok(smtp_reply_add_line(&r,
			S("250-0123456789012345678901234567890123456789012345678901234567890123456789"),
			&last, &text));
	assert_int_equal(SMTP_REPLY_TEXT_MAX, r.text.n);
	assert_err(ERR_LIMIT, smtp_reply_add_line(&r, S("250 x"), &last, &text));
	buf_done(&r.text);
}

static void
test_offers(void **state)
{
	static const Str lines[] = { S("PIPELINING"), S("size 52428800"), S("8BITMIME"),
		S("ENHANCEDSTATUSCODES"), S("SMTPUTF8"), S("CHUNKING"), S("STARTTLS"),
		S("AUTH CRAM-MD5 plain LOGIN"), S("DSN"), S("X-STRANGE 1 2") };
	struct smtp_offers o = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		smtp_offers_add(&o, exact(lines[i]));
	assert_int_equal((1 << 11) - 1, o.set);
	assert_int_equal(52428800, o.size_max);
	o = (struct smtp_offers){ 0 };
	smtp_offers_add(&o, exact(S("AUTH=LOGIN")));
	assert_int_equal(SMTP_OFFER_AUTH | SMTP_OFFER_AUTH_LOGIN, o.set);
	smtp_offers_add(&o, exact(S("SIZE")));
	assert_int_equal(0, o.size_max);
}

static void
test_writing(void **state)
{
	AUTO_BUF b = BUF_INIT(100);

	(void)state;
	smtp_reply_write(&b, 250, S("2.0.0 Ok"));
	smtp_reply_write(&b, 214, S("a\nb"));
	assert_str(S("250 2.0.0 Ok\r\n214-a\r\n214 b\r\n"), buf_view(&b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_SD_019_replies_by_first_digit),
		cmocka_unit_test(test_reply_limits),
		cmocka_unit_test(test_offers),
		cmocka_unit_test(test_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
