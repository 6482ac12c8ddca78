/* SPDX-License-Identifier: ISC */
#include "service/login/throttle.h"
#include "test.h"

static const Moment start = { 1000 };

static Moment
later(int64_t ms)
{
	return (Moment){ start.ms + ms };
}

/* SD_070: each wrong password waits longer than the one before. */
static void
test_SD_070_brute_force_is_throttled(void **state)
{
	AUTO(throttle) t = throttle_new(THROTTLE_FIRST_MS);
	int64_t before = 0;

	(void)state;
	for (int i = 0; i < 5; i++) {
		int64_t ms = throttle_add(t, S("192.0.2.1"), start);

		assert_true(ms > before);
		before = ms;
	}
	for (int i = 0; i < 1000; i++)
		assert_true(throttle_add(t, S("192.0.2.1"), start) <= THROTTLE_LONGEST_MS);
	assert_int_equal(THROTTLE_FIRST_MS, throttle_add(t, S("192.0.2.2"), start));
}

static void
test_forgets(void **state)
{
	AUTO(throttle) t = throttle_new(THROTTLE_FIRST_MS);

	(void)state;
	assert_int_equal(THROTTLE_FIRST_MS, throttle_add(t, S("192.0.2.1"), start));
	assert_int_equal(2 * THROTTLE_FIRST_MS,
		throttle_add(t, S("192.0.2.1"), later(THROTTLE_FORGET_MS)));
	assert_int_equal(THROTTLE_FIRST_MS,
		throttle_add(t, S("192.0.2.1"), later(2 * THROTTLE_FORGET_MS + 1)));
}

static void
test_ipv6_by_network(void **state)
{
	AUTO(throttle) t = throttle_new(THROTTLE_FIRST_MS);

	(void)state;
	assert_int_equal(THROTTLE_FIRST_MS, throttle_add(t, S("2001:db8::1"), start));
	assert_int_equal(2 * THROTTLE_FIRST_MS,
		throttle_add(t, S("2001:db8:0:0:ffff::2"), start));
	assert_int_equal(THROTTLE_FIRST_MS, throttle_add(t, S("2001:db8:0:1::1"), start));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_SD_070_brute_force_is_throttled),
		cmocka_unit_test(test_forgets),
		cmocka_unit_test(test_ipv6_by_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
