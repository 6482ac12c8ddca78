/* SPDX-License-Identifier: ISC */
#include "format/dsn/report.h"
#include "format/dsn/status.h"
#include "test.h"

static const struct dsn_recipient two[] = {
	{ .address = S("bob@example.net"),
		.status = S("5.1.1"),
		.text = S(
			"mx.example.net[192.0.2.1] said: 550 5.1.1 no bob here (in reply to RCPT TO)"),
		.remote = S("mx.example.net[192.0.2.1]:25") },
	{ .address = S("eve@example.com"),
		.status = S("5.1.10"),
		.text = S("example.com: Domain does not accept mail (null MX)") },
};

static struct dsn_report
report(const struct dsn_recipient *recipients, size_t count)
{
	return (struct dsn_report){ .hostname = S("mail.example.org"),
		.sender = S("me@example.org"),
		.queue_id = S("00000002A1"),
		.arrived = time_from_seconds(1000000000),
		.now = time_from_seconds(1000000060),
		.seed = 7,
		.recipients = recipients,
		.recipient_count = count };
}

static bool
has(const struct buf *b, Str what)
{
	return str_find_str(buf_view(b), what) != STR_NONE;
}

static size_t
count_of(const struct buf *b, Str what)
{
	Str s = buf_view(b);
	size_t n = 0, at;

	while ((at = str_find_str(s, what)) != STR_NONE) {
		s = str_from_at(s, at + what.n);
		n++;
	}
	return n;
}

static void
test_bounce(void **state)
{
	struct dsn_report r = report(two, 2);
	AUTO_BUF b = BUF_INIT(DSN_REPORT_MAX);

	(void)state;
	dsn_report_write(&b, &r, exact(S("Subject: hello\nFrom: me\n\nSecret body\n")));
	assert_ok(buf_check(&b));
	assert_true(str_starts(buf_view(&b),
		S("From: Mail Delivery System <MAILER-DAEMON@mail.example.org>\n"
		  "To: <me@example.org>\n"
		  "Subject: Your message could not be delivered\n"
		  "Date: Sun, 9 Sep 2001 01:47:40 +0000\n")));
	assert_true(has(&b, S("Auto-Submitted: auto-replied\n")));
	assert_true(has(&b, S("<bob@example.net>: there is no such mailbox (5.1.1)\n")));
	assert_true(has(&b,
		S("Reporting-MTA: dns; mail.example.org\n"
		  "X-Posthorn-Queue-ID: 00000002A1\n"
		  "Arrival-Date: Sun, 9 Sep 2001 01:46:40 +0000\n"
		  "\n"
		  "Final-Recipient: rfc822; bob@example.net\n"
		  "Action: failed\n"
		  "Status: 5.1.1\n"
		  "Remote-MTA: dns; mx.example.net\n"
		  "Diagnostic-Code: smtp; 550 5.1.1 no bob here (in reply to RCPT TO)\n"
		  "Last-Attempt-Date: Sun, 9 Sep 2001 01:47:40 +0000\n"
		  "\n"
		  "Final-Recipient: rfc822; eve@example.com\n"
		  "Action: failed\n"
		  "Status: 5.1.10\n"
		  "Diagnostic-Code: x-posthorn; example.com: Domain does not accept mail "
		  "(null MX)\n")));
	assert_true(has(&b,
		S("Content-Type: text/rfc822-headers\n\nSubject: hello\nFrom: me\n\n")));
	assert_false(has(&b, S("Secret body")));
	assert_false(has(&b, S("8bit")));
	assert_int_equal(4, count_of(&b, S("\n--report-")));
	assert_true(str_ends(buf_view(&b), S("--\n")));
}

static void
test_utf8(void **state)
{
	const struct dsn_recipient one = { .address = S("j\xc3\xbcrgen@example.net"),
		.status = S("5.6.7") };
	struct dsn_report r = report(&one, 1);
	AUTO_BUF b = BUF_INIT(DSN_REPORT_MAX);

	(void)state;
	dsn_report_write(&b, &r, exact(S("Subject: \xc3\xbc\n\n")));
	assert_true(has(&b,
		S("message/global-delivery-status\nContent-Transfer-Encoding: 8bit\n")));
	assert_true(has(&b, S("Final-Recipient: utf-8; j\xc3\xbcrgen@example.net\n")));
	assert_true(has(&b, S("message/global-headers\nContent-Transfer-Encoding: 8bit\n")));
	assert_true(dsn_report_is_8bit(buf_view(&b)));
}

/* Nothing that a stranger wrote ends a line, a field or a part. */
static void
test_strangers_stay_in_their_place(void **state)
{
	const struct dsn_recipient one = { .address = S("a\r\nX-Evil: 1@example.net"),
		.status = S("5.0.0"),
		.text = S("evil\n\n--report-1000000060000000-00000007-0\n\nX-Evil: 2") };
	struct dsn_report r = report(&one, 1);
	AUTO_BUF b = BUF_INIT(DSN_REPORT_MAX);

	(void)state;
	dsn_report_write(&b, &r,
		exact(S("X: --report-1000000060000000-00000007-0\n--report-1000000060000000-00000007-0\n"
			"N: a\0b\n\nbody")));
	assert_false(has(&b, S("\nX-Evil")));
	assert_true(has(&b, S("boundary=\"report-1000000060000000-00000007-1\"")));
	assert_int_equal(4, count_of(&b, S("\n--report-1000000060000000-00000007-1")));
	assert_true(has(&b, S("N: ab\n")));
}

static void
test_long_headers_are_cut(void **state)
{
	struct dsn_report r = report(two, 2);
	AUTO_BUF b = BUF_INIT(DSN_REPORT_MAX);
	AUTO_BUF header = BUF_INIT(4 * DSN_HEADER_MAX);

	(void)state;
	for (size_t i = 0; header.n < 2 * DSN_HEADER_MAX; i++)
		buf_printf(&header, "X-%zu: a line of a very long header\n", i);
	buf_put_char(&header, '\n');
	dsn_report_write(&b, &r, exact(buf_view(&header)));
	assert_ok(buf_check(&b));
	assert_in_range(b.n, DSN_HEADER_MAX, DSN_HEADER_MAX + 8192);
	assert_true(has(&b, S("a line of a very long header\n\n--report-")));
}

static void
test_SD_022_words(void **state)
{
	(void)state;
	assert_str(S("there is no such mailbox"), dsn_status_words(S("5.1.1")));
	assert_str(S("the domain takes no mail at all"), dsn_status_words(S("5.1.10")));
	assert_str(S("the address was not accepted"), dsn_status_words(S("5.1.99")));
	assert_str(S("no reason was given"), dsn_status_words(S("5.0.0")));
	assert_str(S("no reason was given"), dsn_status_words(S("x")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bounce),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_strangers_stay_in_their_place),
		cmocka_unit_test(test_long_headers_are_cut),
		cmocka_unit_test(test_SD_022_words),
	};

	return cmocka_run_group_tests_name("format/dsn/report", tests, NULL, NULL);
}
