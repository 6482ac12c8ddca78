/* SPDX-License-Identifier: ISC */
#include "format/mime/date.h"
#include "test.h"

static const struct {
	const char *why;
	Str text;
	enum err_kind want;
	int64_t seconds;
	int zone;
} dates[] = {
	{ "as we write it", S("Sat, 21 Nov 2026 19:57:11 +0000"), ERR_NONE, 1795291031, 0 },
	{ "zone east", S("Sat, 21 Nov 2026 20:57:11 +0100"), ERR_NONE, 1795291031, 60 },
	{ "zone west", S("Sat, 21 Nov 2026 14:27:11 -0530"), ERR_NONE, 1795291031, -330 },
	{ "no weekday, no seconds", S("21 Nov 2026 19:57 GMT"), ERR_NONE, 1795291020, 0 },
	{ "zone name", S("21 Nov 2026 14:57:11 EST"), ERR_NONE, 1795291031, -300 },
	{ "comments and folding", S(" Sat, (a (b)) 21 Nov\r\n 2026 19:57:11 +0000 (UTC)"),
		ERR_NONE, 1795291031, 0 },
	{ "two-digit year", S("1 Jan 70 00:00:00 +0000"), ERR_NONE, 0, 0 },
	{ "two-digit year, this century", S("1 Jan 00 00:00:00 +0000"), ERR_NONE, 946684800,
		0 },
	{ "dashes", S("Sat, 21-Nov-2026 19:57:11 GMT"), ERR_NONE, 1795291031, 0 },
	{ "no zone", S("21 Nov 2026 19:57:11"), ERR_NONE, 1795291031, 0 },
	{ "empty", S(""), ERR_PEER, 0, 0 },
	{ "no such day", S("31 Feb 2026 00:00:00 +0000"), ERR_PEER, 0, 0 },
	{ "no such hour", S("21 Nov 2026 25:00:00 +0000"), ERR_PEER, 0, 0 },
	{ "no such zone", S("21 Nov 2026 19:57:11 +9999"), ERR_PEER, 0, 0 },
	{ "words", S("yesterday"), ERR_PEER, 0, 0 },
	{ "NUL", S("21 Nov\0 2026 19:57:11 +0000"), ERR_PEER, 0, 0 },
};

static void
test_header_dates(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(dates); i++) {
		struct mime_date d = { 0 };
		Err e = mime_date_parse(exact(dates[i].text), &d);

		if (e.kind != dates[i].want || time_seconds(d.when) != dates[i].seconds ||
			d.zone != dates[i].zone)
			fail_msg("%s: %ld %d", dates[i].why, (long)time_seconds(d.when),
				d.zone);
	}
}

static void
test_date_is_written_as_read(void **state)
{
	struct mime_date d;
	AUTO_BUF b = BUF_INIT(100);

	(void)state;
	assert_ok(mime_date_parse(S("1 Mar 2024 00:30 -0130"), &d));
	mime_date_write(&b, &d);
	assert_str(S("Fri, 1 Mar 2024 00:30:00 -0130"), buf_view(&b));
	buf_reset(&b);
	mime_date_write_internal(&b, &d);
	assert_str(S("01-Mar-2024 00:30:00 -0130"), buf_view(&b));
}

static const struct {
	const char *why;
	Str text;
	enum err_kind want;
	int64_t seconds;
} internals[] = {
	{ "two digits", S("21-Nov-2026 19:57:11 +0000"), ERR_NONE, 1795291031 },
	{ "blank and digit", S(" 1-Jan-1970 00:00:00 +0000"), ERR_NONE, 0 },
	{ "behind it", S(" 1-Jan-1970 00:00:00 +0000 "), ERR_PEER, 0 },
	{ "no zone", S(" 1-Jan-1970 00:00:00"), ERR_PEER, 0 },
	{ "short year", S("01-Jan-70 00:00:00 +0000"), ERR_PEER, 0 },
	{ "empty", S(""), ERR_PEER, 0 },
};

static void
test_internal_dates(void **state)
{
	Time day;

	(void)state;
	for (size_t i = 0; i < COUNT(internals); i++) {
		struct mime_date d = { 0 };
		Err e = mime_date_parse_internal(exact(internals[i].text), &d);

		if (e.kind != internals[i].want || time_seconds(d.when) != internals[i].seconds)
			fail_msg("%s", internals[i].why);
	}
	assert_ok(mime_date_parse_day(exact(S("2-Jan-1970")), &day));
	assert_int_equal(DAY, time_seconds(day));
	assert_err(ERR_PEER, mime_date_parse_day(exact(S("2-Jan-1970 ")), &day));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header_dates),
		cmocka_unit_test(test_date_is_written_as_read),
		cmocka_unit_test(test_internal_dates),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
