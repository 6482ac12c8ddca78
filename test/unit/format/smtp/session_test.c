/* SPDX-License-Identifier: ISC */
#include "format/smtp/session.h"
#include "test.h"

static const struct smtp_settings mx = {
	.hostname = { "mail.example", 12 },
	.message_max = 50000000,
	.recipients_max = 3,
	.bad_max = 10,
	.tls = true,
	.bare_paths = true,
};

static const struct smtp_settings msa = {
	.hostname = { "mail.example", 12 },
	.message_max = 50000000,
	.recipients_max = 3,
	.bad_max = 10,
	.submission = true,
	.tls = true,
};

/* Plays the service that says yes to everything. */
static Str
play(struct smtp_session *s, Str line, enum smtp_step *ret_step)
{
	struct smtp_command cmd;
	Str reply;

	assert_ok(smtp_command_parse(exact(line), &cmd));
	*ret_step = smtp_session_step(s, &cmd, &reply);
	switch (*ret_step) {
	case SMTP_STEP_CHECK_SENDER:
		smtp_session_set_sender(s, &cmd);
		break;
	case SMTP_STEP_CHECK_RCPT:
		smtp_session_add_rcpt(s);
		break;
	case SMTP_STEP_RECEIVE:
		smtp_session_end_message(s, true);
		break;
	case SMTP_STEP_CHUNK:
		if (cmd.last)
			smtp_session_end_message(s, true);
		break;
	case SMTP_STEP_STARTTLS:
		smtp_session_set_secure(s);
		break;
	case SMTP_STEP_AUTH:
		smtp_session_set_user(s);
		break;
	case SMTP_STEP_REPLY:
	case SMTP_STEP_GREET:
	case SMTP_STEP_SKIP_CHUNK:
	case SMTP_STEP_VERIFY:
	case SMTP_STEP_CLOSE:
		break;
	}
	return reply;
}

struct line {
	Str line, code;
};

static void
play_all(struct smtp_session *s, const struct line *lines, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		enum smtp_step step;
		Str reply = play(s, lines[i].line, &step);

		if (!str_starts(reply, lines[i].code))
			fail_msg("%.*s: %.*s", STR_ARG(lines[i].line), STR_ARG(reply));
	}
}

static void
test_SD_008_order_of_commands(void **state)
{
	static const struct line lines[] = {
		{ S("MAIL FROM:<a@b>"), S("503 5.5.1") },
		{ S("RCPT TO:<a@b>"), S("503 5.5.1") },
		{ S("DATA"), S("503 5.5.1") },
		{ S("HELP"), S("214 2.0.0") },
		{ S("EHLO x"), S("250") },
		{ S("RCPT TO:<a@b>"), S("503 5.5.1") },
		{ S("MAIL FROM:<>"), S("250 2.1.0") },
		{ S("MAIL FROM:<a@b>"), S("503 5.5.1") },
		{ S("DATA"), S("503 5.5.1") },
		{ S("RCPT TO:<a@b>"), S("250 2.1.5") },
		{ S("STARTTLS"), S("503 5.5.1") },
		{ S("DATA"), S("354") },
		{ S("DATA"), S("503 5.5.1") },
		{ S("QUIT"), S("221 2.0.0") },
	};
	struct smtp_session s;

	(void)state;
	smtp_session_init(&s, &mx, false, false);
	play_all(&s, lines, COUNT(lines));
	assert_int_equal(1, s.messages);
}

static void
test_SD_011_rset_forgets_the_transaction_only(void **state)
{
	static const struct line lines[] = {
		{ S("EHLO x"), S("250") },
		{ S("AUTH PLAIN AGEAYg=="), S("235") },
		{ S("MAIL FROM:<a@b>"), S("250") },
		{ S("RCPT TO:<a@b>"), S("250") },
		{ S("RSET"), S("250 2.0.0") },
		{ S("DATA"), S("503") },
		{ S("MAIL FROM:<a@b>"), S("250") },
	};
	struct smtp_session s;

	(void)state;
	smtp_session_init(&s, &msa, true, false);
	play_all(&s, lines, COUNT(lines));
	assert_true(s.secure && s.user);
	assert_int_equal(0, s.rcpts);
}

static void
test_SD_012_idle_commands_run_out(void **state)
{
	struct smtp_session s;
	enum smtp_step step = SMTP_STEP_REPLY;
	unsigned rounds = 0;

	(void)state;
	smtp_session_init(&s, &mx, false, false);
	while (step != SMTP_STEP_CLOSE && rounds++ < 1000)
		play(&s, S("NOOP"), &step);
	assert_int_equal(mx.bad_max + 1, rounds);
}

static void
test_mail_parameters(void **state)
{
	static const struct line lines[] = {
		{ S("HELO x"), S("250") },
		{ S("MAIL FROM:<a@b> SIZE=1"), S("555 5.5.4") },
		{ S("EHLO x"), S("250") },
		{ S("MAIL FROM:<a@b> SIZE=50000001"), S("552 5.3.4") },
		{ S("MAIL FROM:<a@b> FOO=1"), S("555 5.5.4") },
		{ S("MAIL FROM:<a@b> BODY=BINARYMIME"), S("555 5.5.4") },
		{ S("MAIL FROM:<a@b> AUTH=<>"), S("555 5.5.4") },
		{ S("MAIL FROM:<\xc3\xa9@b>"), S("553 5.6.7") },
		{ S("MAIL FROM:<> SIZE=380 BODY=8BITMIME SMTPUTF8"), S("250") },
		{ S("RCPT TO:<\xc3\xa9@b>"), S("250") },
		{ S("RCPT TO:<a@b> NOTIFY=NEVER"), S("555 5.5.4") },
		{ S("RCPT TO:<a@b>"), S("250") },
		{ S("RCPT TO:<a@b>"), S("250") },
		{ S("RCPT TO:<a@b>"), S("452 4.5.3") },
	};
	struct smtp_session s;

	(void)state;
	smtp_session_init(&s, &mx, false, false);
	play_all(&s, lines, COUNT(lines));
	assert_str(S("UTF8SMTP"), smtp_session_with(&s));
}

static void
test_chunks(void **state)
{
	static const struct line lines[] = {
		{ S("EHLO x"), S("250") },
		{ S("BDAT 5"), S("503") },
		{ S("MAIL FROM:<a@b>"), S("250") },
		{ S("BDAT 5"), S("503") },
		{ S("RCPT TO:<a@b>"), S("250") },
		{ S("BDAT 5"), S("250") },
		{ S("DATA"), S("503") },
		{ S("RCPT TO:<a@b>"), S("503") },
		{ S("BDAT 0 LAST"), S("250") },
		{ S("BDAT 5"), S("503") },
	};
	struct smtp_session s;

	(void)state;
	smtp_session_init(&s, &mx, false, false);
	play_all(&s, lines, COUNT(lines));
	assert_int_equal(1, s.messages);
	assert_int_equal(1, s.counts[SMTP_BDAT].good);
}

static void
test_SD_068_no_auth_without_tls(void **state)
{
	static const struct line lines[] = {
		{ S("EHLO x"), S("250") },
		{ S("AUTH PLAIN AGEAYg=="), S("538 5.7.11") },
		{ S("MAIL FROM:<a@b>"), S("530 5.7.0") },
		{ S("STARTTLS"), S("220 2.0.0") },
		{ S("MAIL FROM:<a@b>"), S("530 5.7.0") },
		{ S("EHLO x"), S("250") },
		{ S("STARTTLS"), S("503 5.5.1") },
		{ S("AUTH PLAIN AGEAYg=="), S("235 2.7.0") },
		{ S("AUTH PLAIN AGEAYg=="), S("503 5.5.1") },
		{ S("MAIL FROM:<a@b>"), S("250 2.1.0") },
	};
	AUTO_BUF b = BUF_INIT(1000);
	struct smtp_session s;

	(void)state;
	smtp_session_init(&s, &msa, false, false);
	s.extended = true;
	smtp_session_put_greeting(&s, S("x [192.0.2.1]"), &b);
	assert_true(str_starts(buf_view(&b), S("250-mail.example Hello x [192.0.2.1]\r\n")));
	assert_true(str_find_str(buf_view(&b), S("AUTH")) == STR_NONE);
	assert_true(str_find_str(buf_view(&b), S("STARTTLS")) != STR_NONE);
	play_all(&s, lines, COUNT(lines));
	assert_str(S("ESMTPSA"), smtp_session_with(&s));
	buf_reset(&b);
	s.user = false;
	smtp_session_put_greeting(&s, S("x"), &b);
	assert_true(str_find_str(buf_view(&b), S("250-AUTH PLAIN LOGIN\r\n")) != STR_NONE);
	assert_true(str_find_str(buf_view(&b), S("STARTTLS")) == STR_NONE);
}

static void
test_SD_065_port_25_knows_no_auth(void **state)
{
	static const struct line lines[] = {
		{ S("EHLO x"), S("250") },
		{ S("AUTH PLAIN AGEAYg=="), S("502 5.5.1") },
		{ S("STARTTLS"), S("220") },
		{ S("EHLO x"), S("250") },
		{ S("AUTH PLAIN AGEAYg=="), S("502 5.5.1") },
	};
	struct smtp_session s;

	(void)state;
	smtp_session_init(&s, &mx, false, true);
	play_all(&s, lines, COUNT(lines));
}

static void
test_bad_lines_are_counted(void **state)
{
	AUTO_BUF b = BUF_INIT(1000);
	struct smtp_session s;
	struct smtp_command cmd;
	Err e;

	(void)state;
	smtp_session_init(&s, &mx, false, false);
	e = smtp_command_parse(S("MAIL FROM:<"), &cmd);
	assert_true(failed(e));
	for (uint32_t i = 0; i < mx.bad_max; i++)
		assert_int_equal(SMTP_STEP_REPLY, smtp_session_step_bad(&s, e, &b));
	assert_true(str_starts(buf_view(&b), S("501 5.5.4 ")));
	assert_int_equal(SMTP_STEP_CLOSE, smtp_session_step_bad(&s, e, &b));
}

static void
test_bare_path_policy(void **state)
{
	static const struct line lines[] = {
		{ S("EHLO x"), S("250") },
		{ S("AUTH PLAIN AGEAYg=="), S("235") },
		{ S("MAIL FROM:a@b"), S("501 5.1.7") },
		{ S("MAIL FROM:<a@b>"), S("250") },
		{ S("RCPT TO: <a@b>"), S("501 5.1.3") },
	};
	struct smtp_session s;

	(void)state;
	smtp_session_init(&s, &msa, true, false);
	play_all(&s, lines, COUNT(lines));
}

static void
test_counts(void **state)
{
	static const struct line lines[] = {
		{ S("EHLO x"), S("250") },
		{ S("MAIL FROM:<a@b>"), S("250") },
		{ S("FOO"), S("500") },
		{ S("DATA"), S("503") },
		{ S("QUIT"), S("221") },
	};
	AUTO_BUF b = BUF_INIT(1000);
	struct smtp_session s;

	(void)state;
	smtp_session_init(&s, &mx, false, false);
	play_all(&s, lines, COUNT(lines));
	smtp_session_put_counts(&s, &b);
	assert_str(S("unknown=0/1 ehlo=1 mail=1 data=0/1 quit=1 commands=3/5"), buf_view(&b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_SD_008_order_of_commands),
		cmocka_unit_test(test_SD_011_rset_forgets_the_transaction_only),
		cmocka_unit_test(test_SD_012_idle_commands_run_out),
		cmocka_unit_test(test_mail_parameters),
		cmocka_unit_test(test_chunks),
		cmocka_unit_test(test_SD_068_no_auth_without_tls),
		cmocka_unit_test(test_SD_065_port_25_knows_no_auth),
		cmocka_unit_test(test_bad_lines_are_counted),
		cmocka_unit_test(test_bare_path_policy),
		cmocka_unit_test(test_counts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
