/* SPDX-License-Identifier: ISC */
#include "format/smtp/command.h"
#include "test.h"

static const struct {
	const char *why;
	Str line;
	enum err_kind want;
	enum smtp_verb verb;
	Str path, argument;
} lines[] = {
	{ "helo", S("HELO a.example"), ERR_NONE, SMTP_HELO, S(""), S("a.example") },
	{ "lower case helo, as in 1990", S("helo hostA"), ERR_NONE, SMTP_HELO, S(""),
		S("hostA") },
	{ "ehlo with a literal", S("EHLO [192.0.2.1]"), ERR_NONE, SMTP_EHLO, S(""),
		S("[192.0.2.1]") },
	{ "ehlo with an underscore", S("EHLO my_pc"), ERR_NONE, SMTP_EHLO, S(""), S("my_pc") },
	{ "ehlo without a name", S("EHLO"), ERR_PEER, 0, S(""), S("") },
	{ "ehlo with two names", S("EHLO a b"), ERR_PEER, 0, S(""), S("") },
	{ "null sender", S("MAIL FROM:<>"), ERR_NONE, SMTP_MAIL, S(""), S("") },
	{ "sender", S("MAIL FROM:<a@b>"), ERR_NONE, SMTP_MAIL, S("a@b"), S("") },
	{ "mixed case", S("mAiL fRoM:<a@b>"), ERR_NONE, SMTP_MAIL, S("a@b"), S("") },
	{ "blank behind the colon", S("MAIL FROM: <a@b>"), ERR_NONE, SMTP_MAIL, S("a@b"),
		S("") },
	{ "blank at the end", S("MAIL FROM:<a@b> "), ERR_NONE, SMTP_MAIL, S("a@b"), S("") },
	{ "no brackets", S("mail from: a@b"), ERR_NONE, SMTP_MAIL, S("a@b"), S("") },
	{ "open bracket", S("MAIL FROM:<a@b"), ERR_PEER, 0, S(""), S("") },
	{ "junk after >", S("MAIL FROM:<a@b>x"), ERR_PEER, 0, S(""), S("") },
	{ "no from", S("MAIL <a@b>"), ERR_PEER, 0, S(""), S("") },
	{ "no colon", S("MAIL FROM <a@b>"), ERR_PEER, 0, S(""), S("") },
	{ "no address", S("MAIL FROM:"), ERR_PEER, 0, S(""), S("") },
	{ "recipient", S("RCPT TO:<a@b>"), ERR_NONE, SMTP_RCPT, S("a@b"), S("") },
	{ "null recipient", S("RCPT TO:<>"), ERR_PEER, 0, S(""), S("") },
	{ "postmaster", S("RCPT TO:<postmaster>"), ERR_NONE, SMTP_RCPT, S("postmaster"),
		S("") },
	{ "postmaster without brackets", S("rcpt to: Postmaster"), ERR_NONE, SMTP_RCPT,
		S("Postmaster"), S("") },
	{ "source route", S("RCPT TO:<@c,@d:a@b>"), ERR_NONE, SMTP_RCPT, S("a@b"), S("") },
	{ "two recipients", S("RCPT TO:<a@b>,<c@d>"), ERR_PEER, 0, S(""), S("") },
	{ "data", S("DATA"), ERR_NONE, SMTP_DATA, S(""), S("") },
	{ "data with an argument", S("DATA x"), ERR_PEER, 0, S(""), S("") },
	{ "quit with blanks", S("quit  "), ERR_NONE, SMTP_QUIT, S(""), S("") },
	{ "rset", S("RSET"), ERR_NONE, SMTP_RSET, S(""), S("") },
	{ "noop with text", S("NOOP what ever"), ERR_NONE, SMTP_NOOP, S(""), S("what ever") },
	{ "help", S("HELP"), ERR_NONE, SMTP_HELP, S(""), S("") },
	{ "vrfy", S("VRFY Smith"), ERR_NONE, SMTP_VRFY, S(""), S("Smith") },
	{ "vrfy of nobody", S("VRFY"), ERR_PEER, 0, S(""), S("") },
	{ "expn", S("EXPN staff"), ERR_NONE, SMTP_EXPN, S(""), S("staff") },
	{ "starttls", S("STARTTLS"), ERR_NONE, SMTP_STARTTLS, S(""), S("") },
	{ "starttls with an argument", S("STARTTLS x"), ERR_PEER, 0, S(""), S("") },
	{ "auth", S("AUTH plain AGEAYg=="), ERR_NONE, SMTP_AUTH, S(""), S("plain") },
	{ "auth without a mechanism", S("AUTH"), ERR_PEER, 0, S(""), S("") },
	{ "auth with three words", S("AUTH PLAIN a b"), ERR_PEER, 0, S(""), S("") },
	{ "bdat", S("BDAT 100 LAST"), ERR_NONE, SMTP_BDAT, S(""), S("") },
	{ "bdat without a size", S("BDAT LAST"), ERR_PEER, 0, S(""), S("") },
	{ "bdat with a huge size", S("BDAT 18446744073709551616"), ERR_PEER, 0, S(""), S("") },
	{ "unknown verb", S("FOO bar"), ERR_NONE, SMTP_UNKNOWN, S(""), S("bar") },
	{ "verb and more", S("DATA:"), ERR_NONE, SMTP_UNKNOWN, S(""), S(":") },
	{ "verb with a NUL", S("QUIT\0"), ERR_NONE, SMTP_UNKNOWN, S(""), S("\0") },
	{ "an HTTP request", S("GET / HTTP/1.1"), ERR_NONE, SMTP_UNKNOWN, S(""),
		S("/ HTTP/1.1") },
	{ "nothing", S(""), ERR_NONE, SMTP_UNKNOWN, S(""), S("") },
};

static void
test_lines(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++) {
		struct smtp_command cmd = { .argument = S(""), .path.text = S("") };
		Err e = smtp_command_parse(exact(lines[i].line), &cmd);

		if (e.kind != lines[i].want || cmd.verb != lines[i].verb ||
			!str_eq(cmd.path.text, lines[i].path) ||
			!str_eq(cmd.argument, lines[i].argument))
			fail_msg("%s: %s", lines[i].why, err_kind_name(e.kind));
	}
}

static void
test_mail_parameters(void **state)
{
	struct smtp_command cmd;

	(void)state;
	assert_ok(smtp_command_parse(
		exact(S("MAIL FROM:<a@b> size=380 BODY=8bitmime SMTPUTF8 AUTH=e+3Dmc2@x")),
		&cmd));
	assert_true(cmd.has_size && cmd.size == 380 && cmd.utf8 && !cmd.bare);
	assert_int_equal(SMTP_BODY_8BITMIME, cmd.body);
	assert_str(S("e+3Dmc2@x"), cmd.auth);
	assert_str(S(""), cmd.parameter);
	assert_ok(smtp_command_parse(exact(S("MAIL FROM:<a@b> RET=HDRS X-Y=1")), &cmd));
	assert_str(S("RET"), cmd.parameter);
	assert_ok(smtp_command_parse(exact(S("RCPT TO:<a@b> SIZE=1")), &cmd));
	assert_str(S("SIZE"), cmd.parameter);
}

static void
test_bad_parameters(void **state)
{
	static const Str bad[] = { S("SIZE"), S("SIZE=x"), S("SIZE=-1"), S("SIZE=1 SIZE=1"),
		S("SIZE=18446744073709551616"), S("BODY=9BIT"), S("BODY=7BIT BODY=7BIT"),
		S("="), S("SMTPUTF8=1"), S("AUTH"), S("X="), S("X=a=b"), S("X=\xff"),
		S("X=\x7f") };
	struct smtp_command cmd;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		AUTO_BUF b = BUF_INIT(200);

		buf_put(&b, S("MAIL FROM:<a@b> "));
		buf_put(&b, bad[i]);
		assert_err(ERR_PEER, smtp_command_parse(exact(buf_view(&b)), &cmd));
	}
}

static void
test_limits(void **state)
{
	AUTO_BUF b = BUF_INIT(SMTP_LINE_MAX + 10);
	struct smtp_command cmd;

	(void)state;
	buf_put(&b, S("MAIL FROM:<a@b>"));
	for (int i = 0; i <= SMTP_PARAMETERS_MAX; i++)
		buf_put(&b, S(" X=1"));
	assert_err(ERR_LIMIT, smtp_command_parse(exact(buf_view(&b)), &cmd));
	while (b.n <= SMTP_LINE_MAX)
		buf_put_char(&b, 'x');
	assert_err(ERR_LIMIT, smtp_command_parse(exact(buf_view(&b)), &cmd));
}

static void
test_bare_addresses_are_told(void **state)
{
	static const Str bare[] = { S("MAIL FROM:a@b"), S("MAIL FROM: <a@b>"),
		S("RCPT TO:a@b") };
	struct smtp_command cmd;

	(void)state;
	for (size_t i = 0; i < COUNT(bare); i++) {
		assert_ok(smtp_command_parse(exact(bare[i]), &cmd));
		assert_true(cmd.bare);
	}
}

static void
test_auth_and_bdat(void **state)
{
	struct smtp_command cmd;

	(void)state;
	assert_ok(smtp_command_parse(exact(S("AUTH PLAIN =")), &cmd));
	assert_true(cmd.has_initial);
	assert_str(S("="), cmd.initial);
	assert_ok(smtp_command_parse(exact(S("AUTH LOGIN")), &cmd));
	assert_false(cmd.has_initial);
	assert_ok(smtp_command_parse(exact(S("BDAT 0 last")), &cmd));
	assert_true(cmd.last && cmd.chunk == 0);
	assert_ok(smtp_command_parse(exact(S("BDAT 86")), &cmd));
	assert_true(!cmd.last && cmd.chunk == 86);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_mail_parameters),
		cmocka_unit_test(test_bad_parameters),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_bare_addresses_are_told),
		cmocka_unit_test(test_auth_and_bdat),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
