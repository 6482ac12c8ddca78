/* SPDX-License-Identifier: ISC */
#include "service/smtpd/clients.h"
#include "test.h"

enum {
	PLACES = 10,
	SHARE = 4,
};

static Ip
ip(const char *text)
{
	Ip ret;

	assert_ok(ip_parse(str_from(text), &ret));
	return ret;
}

static void
test_one_holder_does_not_take_all_places(void **state)
{
	static const struct {
		const char *why, *full, *other;
		enum err_kind want;
	} cases[] = {
		{ "the same address", "192.0.2.1", "192.0.2.1", ERR_LIMIT },
		{ "its neighbour", "192.0.2.1", "192.0.2.2", ERR_NONE },
		{ "the same /64", "2001:db8::1", "2001:db8::ffff:2", ERR_LIMIT },
		{ "the next /64", "2001:db8::1", "2001:db8:0:1::1", ERR_NONE },
		{ "this host", "127.0.0.1", "127.0.0.1", ERR_NONE },
		{ "this host on IPv6", "::1", "::1", ERR_NONE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct smtpd_clients *c = smtpd_clients_new(PLACES, SHARE);
		size_t places[SHARE], place;

		for (size_t k = 0; k < SHARE; k++)
			assert_ok(smtpd_clients_enter(c, ip(cases[i].full), &places[k]));
		if (smtpd_clients_enter(c, ip(cases[i].other), &place).kind != cases[i].want)
			fail_msg("%s", cases[i].why);
		smtpd_clients_leave(c, places[0]);
		assert_ok(smtpd_clients_enter(c, ip(cases[i].full), &place));
		smtpd_clients_free(c);
	}
}

static void
test_all_places(void **state)
{
	struct smtpd_clients *c = smtpd_clients_new(PLACES, SHARE);
	size_t place;

	(void)state;
	for (size_t i = 0; i < PLACES; i++)
		assert_ok(smtpd_clients_enter(c, ip("127.0.0.1"), &place));
	assert_err(ERR_TEMP, smtpd_clients_enter(c, ip("192.0.2.1"), &place));
	smtpd_clients_free(c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_holder_does_not_take_all_places),
		cmocka_unit_test(test_all_places),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
