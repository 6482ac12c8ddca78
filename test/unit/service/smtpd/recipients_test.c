/* SPDX-License-Identifier: ISC */
#include "service/smtpd/recipients.h"
#include "test.h"

static void
test_what_was_put_comes_back(void **state)
{
	struct smtpd_recipients *r = smtpd_recipients_new();
	struct directory_recipient anna = { DIRECTORY_ACCOUNT, 7 }, got = { 0 };

	(void)state;
	assert_false(smtpd_recipients_get(r, S("anna@example.org"), &got));
	smtpd_recipients_put(r, exact(S("anna@example.org")), &anna);
	assert_true(smtpd_recipients_get(r, exact(S("anna@example.org")), &got));
	assert_int_equal(DIRECTORY_ACCOUNT, got.class);
	assert_int_equal(7, got.account);
	assert_false(smtpd_recipients_get(r, S("Anna@example.org"), &got));
	assert_false(smtpd_recipients_get(r, S(""), &got));
	smtpd_recipients_free(r);
}

static void
test_more_than_there_are_places(void **state)
{
	struct smtpd_recipients *r = smtpd_recipients_new();
	size_t known = 0;

	(void)state;
	for (uint64_t i = 0; i < (uint64_t)2 * SMTPD_RECIPIENTS_KEPT; i++) {
		struct directory_recipient answer = { DIRECTORY_ACCOUNT, i }, got;
		AUTO_BUF b = BUF_INIT(100);

		buf_printf(&b, "user%llu@example.org", (unsigned long long)i);
		smtpd_recipients_put(r, buf_view(&b), &answer);
		assert_true(smtpd_recipients_get(r, buf_view(&b), &got));
		assert_int_equal(i, got.account);
	}
	for (uint64_t i = 0; i < (uint64_t)2 * SMTPD_RECIPIENTS_KEPT; i++) {
		struct directory_recipient got;
		AUTO_BUF b = BUF_INIT(100);

		buf_printf(&b, "user%llu@example.org", (unsigned long long)i);
		if (smtpd_recipients_get(r, buf_view(&b), &got)) {
			assert_int_equal(i, got.account);
			known++;
		}
	}
	assert_in_range(known, 1, SMTPD_RECIPIENTS_KEPT);
	smtpd_recipients_free(r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_was_put_comes_back),
		cmocka_unit_test(test_more_than_there_are_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
