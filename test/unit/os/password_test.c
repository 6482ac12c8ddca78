/* SPDX-License-Identifier: ISC */
#include "os/password.h"
#include "test.h"

/* All of "secret", made by crypt(3) and by libargon2's own argon2id_hash_encoded. */
static const Str hashes[] = {
	S("$argon2id$v=19$m=64,t=1,p=2$c2FsdHNhbHRzYWx0$aonmKU9c2ptN7tFmfXKhnOt2GZrDgTVI"),
	S("$y$j75$saltsaltsalt$jyf/lxrpdyAIshWRo1x5DRC6KIE7sNRRtjcomR3PgHA"),
	S("$6$rounds=1000$saltsalt$LAV5VE5Y7w1d73x1mFNspYWUpazfmwv2SoepNXNKJ/otop/"
	  "Zok96Hr8Q13LEv0DRY/x8v0/crpIjl8NJSAqXV/"),
	S("$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2"),
	S("$2b$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"),
	S("$1$saltsalt$9xy1btjgzLYfb7hivXtC//"),
};

static void
test_hashes_of_others(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hashes); i++) {
		bool right = false, wrong = true, none = true, nul = true;

		assert_true(password_hash_known(exact(hashes[i])));
		assert_ok(password_verify(exact(hashes[i]), exact(S("secret")), &right));
		assert_ok(password_verify(exact(hashes[i]), exact(S("Secret")), &wrong));
		assert_ok(password_verify(exact(hashes[i]), exact(S("")), &none));
		assert_ok(password_verify(exact(hashes[i]), exact(S("secret\0")), &nul));
		if (!right || wrong || none || nul)
			fail_msg("%.*s", STR_ARG(hashes[i]));
	}
}

static void
test_new_hash(void **state)
{
	AUTO_BUF hash = BUF_INIT(PASSWORD_HASH_MAX);
	AUTO_BUF other = BUF_INIT(PASSWORD_HASH_MAX);
	bool right;

	(void)state;
	assert_ok(password_hash(S("a \0 NUL and \xc3\xa4"), &hash));
	assert_ok(password_hash(S("a \0 NUL and \xc3\xa4"), &other));
	assert_true(str_starts(buf_view(&hash), S("$argon2id$v=19$m=19456,t=2,p=1$")));
	assert_false(str_eq(buf_view(&hash), buf_view(&other)));
	assert_ok(password_verify(exact(buf_view(&hash)), S("a \0 NUL and \xc3\xa4"), &right));
	assert_true(right);
	assert_ok(password_verify(exact(buf_view(&hash)), S("a "), &right));
	assert_false(right);
}

static const struct {
	const char *why;
	Str hash;
	enum err_kind want;
} bad[] = {
	{ "locked", S(""), ERR_NONE },
	{ "plain text", S("secret"), ERR_PERM },
	{ "unknown scheme", S("$8$salt$hash"), ERR_PERM },
	{ "DES", S("ab3UFRA7RoAXc"), ERR_PERM },
	{ "shadow's lock", S("!"), ERR_PERM },
	{ "argon2i", S("$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aGFzaA"), ERR_PERM },
	{ "too much memory", S("$argon2id$v=19$m=99999999,t=1,p=1$c2FsdHNhbHQ$aGFzaA"),
		ERR_PERM },
	{ "no tag", S("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ"), ERR_PERM },
	{ "tag of one octet", S("$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHQ$aA"), ERR_PERM },
	{ "cut", S("$argon2id$v=19$m="), ERR_PERM },
	{ "crypt(3) without a salt", S("$6$"), ERR_NONE },
	{ "crypt(3) with a NUL", S("$6$salt\0$x"), ERR_PERM },
};

static void
test_nothing_fits_a_bad_hash(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		bool right = false;
		Err e = password_verify(exact(bad[i].hash), exact(S("secret")), &right);

		if (e.kind != bad[i].want || right)
			fail_msg("%s: %s", bad[i].why, err_kind_name(e.kind));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hashes_of_others),
		cmocka_unit_test(test_new_hash),
		cmocka_unit_test(test_nothing_fits_a_bad_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
