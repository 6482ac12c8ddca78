/* SPDX-License-Identifier: ISC */
#include "format/dns/record.h"
#include "test.h"

#define L63 "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffabc"

static const struct {
	const char *why;
	Str data;
	enum err_kind want;
	uint16_t preference;
	Str host;
} exchangers[] = {
	{ "plain", S("\0\x0a\2mx\7example\3org\0"), ERR_NONE, 10, S("mx.example.org") },
	{ "capitals", S("\1\0\2MX\3Org\0"), ERR_NONE, 256, S("mx.org") },
	{ "null MX", S("\0\0\0"), ERR_NONE, 0, S("") },
	{ "underscore", S("\0\1\4_smt\1x\0"), ERR_NONE, 1, S("_smt.x") },
	{ "empty data", S(""), ERR_PEER, 0, S("") },
	{ "preference alone", S("\0\1"), ERR_PEER, 0, S("") },
	{ "no root at the end", S("\0\1\2mx"), ERR_PEER, 0, S("") },
	{ "label cut off", S("\0\1\5mx"), ERR_PEER, 0, S("") },
	{ "compression pointer", S("\0\1\xc0\x0c"), ERR_PEER, 0, S("") },
	{ "octets behind", S("\0\1\2mx\0x"), ERR_PEER, 0, S("") },
	{ "a dot inside a label", S("\0\1\3a.b\0"), ERR_PEER, 0, S("") },
	{ "a space", S("\0\1\3a b\0"), ERR_PEER, 0, S("") },
	{ "line end", S("\0\1\3a\r\n\0"), ERR_PEER, 0, S("") },
	{ "four full labels", S("\0\1\x3f" L63 "\x3f" L63 "\x3f" L63 "\x3f" L63 "\0"), ERR_PEER,
		0, S("") },
	{ "three full labels", S("\0\1\x3f" L63 "\x3f" L63 "\x3f" L63 "\0"), ERR_NONE, 1,
		S(L63 "." L63 "." L63) },
};

static void
test_exchangers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(exchangers); i++) {
		AUTO_BUF host = BUF_INIT(1024);
		uint16_t preference = 0;
		Err e = dns_record_parse_mx(exact(exchangers[i].data), &preference, &host);

		if (e.kind != exchangers[i].want || preference != exchangers[i].preference)
			fail_msg("%s: %s", exchangers[i].why, e.what);
		if (!failed(e))
			assert_str(exchangers[i].host, buf_view(&host));
	}
}

static const struct {
	Str name;
	bool want;
} names[] = {
	{ S("example.org"), true },
	{ S("example.org."), true },
	{ S("org"), true },
	{ S("_dmarc.example.org"), true },
	{ S("xn--bcher-kva.example"), true },
	{ S(""), false },
	{ S("."), false },
	{ S("a..b"), false },
	{ S(".a"), false },
	{ S("a.."), false },
	{ S("a b"), false },
	{ S("b\xc3\xbc"), false },
	{ S("a\0b"), false },
	{ S(L63 ".x"), true },
	{ S("x" L63 ".x"), false },
	{ S(L63 "." L63 "." L63 "." L63), false },
};

static void
test_names(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(names); i++)
		if (dns_record_name_valid(exact(names[i].name)) != names[i].want)
			fail_msg("%.*s", STR_ARG(names[i].name));
}

static void
test_txt(void **state)
{
	AUTO_BUF b = BUF_INIT(100);

	(void)state;
	assert_ok(dns_record_parse_txt(exact(S("\3v=s\0\2pf")), &b));
	assert_str(S("v=spf"), buf_view(&b));
	assert_err(ERR_PEER, dns_record_parse_txt(exact(S("")), &b));
	assert_err(ERR_PEER, dns_record_parse_txt(exact(S("\4v=s")), &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchangers),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_txt),
	};

	return cmocka_run_group_tests_name("format/dns/record", tests, NULL, NULL);
}
