/* SPDX-License-Identifier: ISC */
#include "service/login/guests.h"
#include "test.h"

enum { PLACES = 40 };

static Ip
ip(const char *text)
{
	Ip ret;

	assert_ok(ip_parse(str_from(text), &ret));
	return ret;
}

/* Fills the share of a network; one more is refused, somebody else is not. */
static void
fill(const char *text, const char *other, enum err_kind want_other)
{
	AUTO(guests) g = guests_new(PLACES);
	size_t places[GUESTS_PER_NETWORK], place;

	for (size_t i = 0; i < GUESTS_PER_NETWORK; i++)
		assert_ok(guests_enter(g, ip(text), &places[i]));
	assert_err(ERR_LIMIT, guests_enter(g, ip(text), &place));
	assert_err(want_other, guests_enter(g, ip(other), &place));
	guests_leave(g, places[3]);
	assert_ok(guests_enter(g, ip(text), &place));
	assert_int_equal(GUESTS_PER_NETWORK + (want_other == ERR_NONE), guests_count(g));
}

static void
test_one_network_does_not_take_all(void **state)
{
	(void)state;
	fill("192.0.2.1", "192.0.2.2", ERR_NONE);
	fill("2001:db8::1", "2001:db8:0:1::1", ERR_NONE);
	fill("2001:db8::1", "2001:db8::ffff:2", ERR_LIMIT);
}

static void
test_all_places(void **state)
{
	AUTO(guests) g = guests_new(PLACES);
	size_t place;

	(void)state;
	for (size_t i = 0; i < PLACES; i++)
		assert_ok(guests_enter(g, ip("127.0.0.1"), &place));
	assert_err(ERR_TEMP, guests_enter(g, ip("127.0.0.1"), &place));
	assert_int_equal(PLACES, guests_count(g));
	guests_leave(g, 0);
	assert_ok(guests_enter(g, ip("127.0.0.1"), &place));
	assert_int_equal(0, place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_network_does_not_take_all),
		cmocka_unit_test(test_all_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
