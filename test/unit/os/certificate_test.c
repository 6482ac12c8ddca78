/* SPDX-License-Identifier: ISC */
#include "os/certificate.h"
#include "test.h"

enum {
	PEM_MAX = 64 * 1024,
};

static const Time now = { 1772352000000000 };

static void
test_own_certificate(void **state)
{
	AUTO_BUF pem = BUF_INIT(PEM_MAX);
	AUTO_BUF certificate = BUF_INIT(PEM_MAX);
	AUTO(key) key = NULL;
	const Str names[] = { S("mx.example.org"), S("localhost") };
	struct certificate c;
	KeyId id;

	(void)state;
	assert_ok(key_make_self_signed(names, COUNT(names), now, &pem, &certificate));
	assert_ok(key_read(buf_view(&pem), &key));
	assert_ok(certificate_read(exact(buf_view(&certificate)), S("mx.example.org"), &c));
	id = key_id(key);
	assert_memory_equal(&id, &c.key, sizeof(id));
	assert_true(c.own_issuer);
	assert_true(c.names_host);
	assert_true(c.begins.us < now.us && c.ends.us > now.us);
	assert_ok(certificate_read(exact(buf_view(&certificate)), S("other.example"), &c));
	assert_false(c.names_host);
}

static void
test_not_a_certificate(void **state)
{
	struct certificate c;

	(void)state;
	assert_err(ERR_PERM, certificate_read(exact(S("")), S("a"), &c));
	assert_err(ERR_PERM,
		certificate_read(
			exact(S("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")),
			S("a"), &c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_certificate),
		cmocka_unit_test(test_not_a_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
