/* SPDX-License-Identifier: ISC */
#include "format/dns/ip.h"
#include "test.h"

static const struct {
	const char *why;
	Str text;
	bool valid, loopback, private;
	Str reverse;
} cases[] = {
	{ "public IPv4", S("8.8.4.1"), true, false, false, S("1.4.8.8.in-addr.arpa") },
	{ "loopback", S("127.9.9.9"), true, true, false, S("9.9.9.127.in-addr.arpa") },
	{ "this host", S("0.0.0.0"), true, true, false, S("0.0.0.0.in-addr.arpa") },
	{ "ten", S("10.1.2.3"), true, false, true, S("3.2.1.10.in-addr.arpa") },
	{ "172.16/12, last", S("172.31.255.255"), true, false, true,
		S("255.255.31.172.in-addr.arpa") },
	{ "behind 172.16/12", S("172.32.0.1"), true, false, false,
		S("1.0.32.172.in-addr.arpa") },
	{ "multicast", S("224.0.0.1"), true, false, true, S("1.0.0.224.in-addr.arpa") },
	{ "public IPv6", S("2a00:1::2"), true, false, false,
		S("2.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.0.a.2.ip6.arpa") },
	{ "loopback IPv6", S("::1"), true, true, false, S("") },
	{ "unspecified IPv6", S("::"), true, true, false, S("") },
	{ "second of ::/126", S("::2"), true, false, false, S("") },
	{ "unique local", S("fd00::1"), true, false, true, S("") },
	{ "link-local", S("fe80::1"), true, false, true, S("") },
	{ "mapped loopback", S("::ffff:127.0.0.1"), true, true, false,
		S("1.0.0.127.in-addr.arpa") },
	{ "mapped private", S("::ffff:192.168.1.1"), true, false, true,
		S("1.1.168.192.in-addr.arpa") },
	{ "three parts", S("1.2.3"), false, false, false, S("") },
	{ "leading zero", S("01.2.3.4"), false, false, false, S("") },
	{ "brackets", S("[1.2.3.4]"), false, false, false, S("") },
	{ "zone", S("fe80::1%lo"), false, false, false, S("") },
	{ "empty", S(""), false, false, false, S("") },
	{ "inner NUL", S("1.2.3.4\0"), false, false, false, S("") },
	{ "long", S("1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:1111"), false, false,
		false, S("") },
};

static void
test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO_BUF text = BUF_INIT(IP_TEXT_MAX);
		AUTO_BUF reverse = BUF_INIT(IP_REVERSE_MAX);
		Ip ip, again;

		if (failed(ip_parse(exact(cases[i].text), &ip))) {
			if (cases[i].valid)
				fail_msg("%s: refused", cases[i].why);
			continue;
		}
		if (!cases[i].valid || ip_is_loopback(ip) != cases[i].loopback ||
			ip_is_private(ip) != cases[i].private)
			fail_msg("%s", cases[i].why);
		ip_write(ip, &text);
		assert_ok(ip_parse(buf_view(&text), &again));
		assert_true(ip_eq(ip, again));
		ip_write_reverse(ip, &reverse);
		assert_ok(buf_check(&reverse));
		if (cases[i].reverse.n > 0)
			assert_str(cases[i].reverse, buf_view(&reverse));
	}
}

static void
test_mapped_equals_plain(void **state)
{
	Ip plain, mapped, other;

	(void)state;
	assert_ok(ip_parse(S("192.0.2.1"), &plain));
	assert_ok(ip_parse(S("::ffff:192.0.2.1"), &mapped));
	assert_ok(ip_parse(S("::192.0.2.1"), &other));
	assert_true(ip_eq(plain, mapped));
	assert_false(ip_eq(plain, other));
	assert_true(ip_from_octets(exact(S("\xc0\x00\x02\x01")), &other));
	assert_true(ip_eq(plain, other));
	assert_false(ip_from_octets(exact(S("\xc0\x00\x02")), &other));
}

static const struct {
	Str network, ip;
	bool valid, has;
} networks[] = {
	{ S("10.0.0.0/8"), S("10.255.0.1"), true, true },
	{ S("10.0.0.0/8"), S("11.0.0.1"), true, false },
	{ S("0.0.0.0/0"), S("11.0.0.1"), true, true },
	{ S("0.0.0.0/0"), S("2a00::1"), true, false },
	{ S("192.0.2.128/25"), S("192.0.2.127"), true, false },
	{ S("192.0.2.1"), S("::ffff:192.0.2.1"), true, true },
	{ S("2001:db8::/33"), S("2001:db8:7fff::"), true, true },
	{ S("2001:db8::/33"), S("2001:db8:8000::"), true, false },
	{ S("10.0.0.1/8"), S("10.0.0.1"), false, false },
	{ S("10.0.0.0/33"), S("10.0.0.1"), false, false },
	{ S("10.0.0.0/"), S("10.0.0.1"), false, false },
	{ S("/8"), S("10.0.0.1"), false, false },
};

static void
test_networks(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(networks); i++) {
		bool valid = false, has = false;
		IpNetwork net;
		Ip ip;

		assert_ok(ip_parse(networks[i].ip, &ip));
		if (!failed(ip_network_parse(exact(networks[i].network), &net))) {
			valid = true;
			has = ip_network_has(net, ip);
		}
		if (valid != networks[i].valid || has != networks[i].has)
			fail_msg("%.*s", STR_ARG(networks[i].network));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_mapped_equals_plain),
		cmocka_unit_test(test_networks),
	};

	return cmocka_run_group_tests_name("format/dns/ip", tests, NULL, NULL);
}
