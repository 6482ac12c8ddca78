/* SPDX-License-Identifier: ISC */
#include "format/mime/header.h"
#include "format/mime/trace.h"
#include "test.h"

static void
test_received_line(void **state)
{
	struct mime_received r = {
		.helo = S("mx.example.net"),
		.peer_name = S("mx.example.net"),
		.peer = S("192.0.2.1"),
		.by = S("mail.example.org"),
		.with = S("ESMTP"),
		.id = S("2A17"),
		.recipient = S("anna@example.org"),
		.when = { { 0 }, 0 },
	};
	AUTO_BUF b = BUF_INIT(1000);

	(void)state;
	mime_trace_write_received(&b, &r);
	assert_str(S("Received: from mx.example.net (mx.example.net [192.0.2.1])\n"
		     "\tby mail.example.org (Posthorn) with ESMTP id 2A17\n"
		     "\tfor <anna@example.org>; Thu, 1 Jan 1970 00:00:00 +0000\n"),
		buf_view(&b));
}

static void
test_a_client_cannot_break_the_line(void **state)
{
	struct mime_received r = { .helo = S("a)\r\nBcc: x; (\\"), .peer = S("192.0.2.1") };
	AUTO_BUF b = BUF_INIT(1000);
	struct mime_field field;
	struct cursor c;

	(void)state;
	mime_trace_write_received(&b, &r);
	c = cursor_of(buf_view(&b));
	assert_true(mime_field_next(&c, &field));
	assert_str(S("Received"), field.name);
	assert_false(mime_field_next(&c, &field));
	assert_true(str_find_str(buf_view(&b), S("from a???Bcc:?x????\n")) == STR_NONE);
	assert_true(str_find_str(buf_view(&b), S("from a???Bcc:?x???")) != STR_NONE);
}

static void
test_SD_052_return_path(void **state)
{
	AUTO_BUF b = BUF_INIT(1000);

	(void)state;
	mime_trace_write_return_path(&b, S(""));
	mime_trace_write_return_path(&b, S("anna@example.org"));
	assert_str(S("Return-Path: <>\nReturn-Path: <anna@example.org>\n"), buf_view(&b));
}

static void
test_SD_054_circles_are_seen(void **state)
{
	Str message =
		exact(S("Delivered-To: other@example.org\r\nDelivered-To:\n Anna@example.org\n"
			"Received: a\nreceived: b\nReceived-SPF: c\n\n"
			"Delivered-To: body@example.org\nReceived: d\n"));

	(void)state;
	assert_true(mime_trace_was_delivered_to(message, S("anna@example.org")));
	assert_true(mime_trace_was_delivered_to(message, S("other@example.org")));
	assert_false(mime_trace_was_delivered_to(message, S("body@example.org")));
	assert_int_equal(2, mime_trace_count_received(message, 50));
	assert_int_equal(1, mime_trace_count_received(message, 1));
}

static void
test_SD_031_results_that_claim_to_be_ours(void **state)
{
	static const struct {
		const char *why;
		Str line;
		bool forged;
	} cases[] = {
		{ "our name", S("Authentication-Results: mx.here; spf=pass\n"), true },
		{ "in another case", S("authentication-results:MX.Here;spf=pass\n"), true },
		{ "quoted", S("Authentication-Results: \"mx.here\"; spf=pass\n"), true },
		{ "with a version", S("Authentication-Results: mx.here 1; none\n"), true },
		{ "folded", S("Authentication-Results:\n\tmx.here;\n spf=pass\n"), true },
		{ "behind a comment", S("Authentication-Results: (x) mx.here; a=b\n"), true },
		{ "and nothing else", S("Authentication-Results: mx.here\n"), true },
		{ "another's", S("Authentication-Results: mx.there; spf=pass\n"), false },
		{ "a longer name", S("Authentication-Results: mx.here.org; spf=pass\n"),
			false },
		{ "empty", S("Authentication-Results:\n"), false },
		{ "another field", S("X-Results: mx.here; spf=pass\n"), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cursor c = cursor_of(exact(cases[i].line));
		struct mime_field field;

		assert_true(mime_field_next(&c, &field));
		if (mime_trace_is_forged_result(&field, S("mx.here")) != cases[i].forged)
			fail_msg("%s", cases[i].why);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_received_line),
		cmocka_unit_test(test_a_client_cannot_break_the_line),
		cmocka_unit_test(test_SD_052_return_path),
		cmocka_unit_test(test_SD_054_circles_are_seen),
		cmocka_unit_test(test_SD_031_results_that_claim_to_be_ours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
