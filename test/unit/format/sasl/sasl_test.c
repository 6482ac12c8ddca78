/* SPDX-License-Identifier: ISC */
#include "base/encode.h"
#include "format/sasl/sasl.h"
#include "test.h"

static const struct {
	const char *why;
	Str message; /* before base64 */
	enum err_kind want;
	Str user, password;
} plain[] = {
	{ "user and password", S("\0bob\0secret"), ERR_NONE, S("bob"), S("secret") },
	{ "as oneself", S("bob\0bob\0secret"), ERR_NONE, S("bob"), S("secret") },
	{ "as somebody else", S("root\0bob\0secret"), ERR_PEER, S(""), S("") },
	{ "one NUL", S("bob\0secret"), ERR_PEER, S(""), S("") },
	{ "three NUL", S("\0bob\0sec\0ret"), ERR_PEER, S(""), S("") },
	{ "no user", S("\0\0secret"), ERR_PEER, S(""), S("") },
	{ "no password", S("\0bob\0"), ERR_PEER, S(""), S("") },
	{ "nothing", S(""), ERR_PEER, S(""), S("") },
	{ "UTF-8", S("\0j\xc3\xbcrg@example.org\0p\xc3\xa4ss w\xc3\xb6rd"), ERR_NONE,
		S("j\xc3\xbcrg@example.org"), S("p\xc3\xa4ss w\xc3\xb6rd") },
};

static Str
base64(struct buf *b, Str s)
{
	buf_reset(b);
	encode_base64(b, s);
	return exact(buf_view(b));
}

static void
test_plain(void **state)
{
	AUTO_BUF b = BUF_INIT(8192);

	(void)state;
	for (size_t i = 0; i < COUNT(plain); i++) {
		struct sasl s;
		bool done = false;
		Err e;

		sasl_init(&s, SASL_PLAIN);
		assert_str(S(""), sasl_challenge(&s));
		e = sasl_respond(&s, base64(&b, plain[i].message), &done);
		if (e.kind != plain[i].want)
			fail_msg("%s: %s", plain[i].why, e.what == NULL ? "ok" : e.what);
		if (!failed(e)) {
			assert_true(done);
			assert_str(plain[i].user, sasl_user(&s));
			assert_str(plain[i].password, sasl_password(&s));
		}
		sasl_done(&s);
	}
}

static void
test_login(void **state)
{
	AUTO_BUF b = BUF_INIT(8192);
	struct sasl s;
	bool done = true;

	(void)state;
	sasl_init(&s, SASL_LOGIN);
	assert_str(base64(&b, S("Username:")), sasl_challenge(&s));
	assert_ok(sasl_respond(&s, base64(&b, S("bob")), &done));
	assert_false(done);
	assert_str(base64(&b, S("Password:")), sasl_challenge(&s));
	assert_ok(sasl_respond(&s, base64(&b, S("secret")), &done));
	assert_true(done);
	assert_str(S("bob"), sasl_user(&s));
	assert_str(S("secret"), sasl_password(&s));
	sasl_done(&s);
}

static void
test_refusals(void **state)
{
	AUTO_BUF b = BUF_INIT(8192);
	char longest[SASL_LINE_MAX + 4];
	struct sasl s;
	bool done;

	(void)state;
	memset(longest, 'A', sizeof(longest));
	sasl_init(&s, SASL_LOGIN);
	assert_err(ERR_PEER, sasl_respond(&s, S("*"), &done));
	assert_err(ERR_PEER, sasl_respond(&s, S("a b"), &done));
	assert_err(ERR_PEER, sasl_respond(&s, base64(&b, S("b\0b")), &done));
	assert_err(ERR_PEER, sasl_respond(&s, S(""), &done));
	sasl_init(&s, SASL_LOGIN);
	assert_err(ERR_LIMIT,
		sasl_respond(&s, (Str){ longest, SASL_USER_MAX / 3 * 4 + 8 }, &done));
	sasl_init(&s, SASL_PLAIN);
	assert_err(ERR_LIMIT, sasl_respond(&s, (Str){ longest, sizeof(longest) }, &done));
}

static void
test_names(void **state)
{
	enum sasl_mechanism m;

	(void)state;
	assert_true(sasl_mechanism_find(S("plain"), &m) && m == SASL_PLAIN);
	assert_true(sasl_mechanism_find(S("LOGIN"), &m) && m == SASL_LOGIN);
	assert_false(sasl_mechanism_find(S("CRAM-MD5"), &m));
	assert_false(sasl_mechanism_find(S(""), &m));
}

static void
test_write_plain(void **state)
{
	AUTO_BUF b = BUF_INIT(8192);
	struct sasl s;
	bool done;

	(void)state;
	assert_ok(sasl_write_plain(&b, S("bob"), S("secret")));
	assert_str(S("AGJvYgBzZWNyZXQ="), buf_view(&b));
	sasl_init(&s, SASL_PLAIN);
	assert_ok(sasl_respond(&s, buf_view(&b), &done));
	assert_err(ERR_PERM, sasl_write_plain(&b, S("b\0b"), S("x")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_login),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_write_plain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
