/* SPDX-License-Identifier: ISC */
#include "service/relay/route.h"
#include "test.h"

enum {
	SEEDS = 64,
};

static const struct route_policy policy = {
	.own_name = { "mail.example.org", 16 }, .own = { { 4, { 8, 8, 1, 1 } } }, .own_count = 1
};

static const struct {
	const char *why;
	Str text;
	bool valid;
	enum route_by by;
	Str name;
	uint16_t port;
} hops[] = {
	{ "name", S("mx.org"), true, ROUTE_BY_MX, S("mx.org"), 25 },
	{ "name and port", S("mx.org:587"), true, ROUTE_BY_MX, S("mx.org"), 587 },
	{ "brackets suppress MX", S("[mx.org]"), true, ROUTE_BY_HOST, S("mx.org"), 25 },
	{ "brackets and port", S("[mx.org]:26"), true, ROUTE_BY_HOST, S("mx.org"), 26 },
	{ "address", S("192.0.2.1"), true, ROUTE_BY_ADDRESS, S("192.0.2.1"), 25 },
	{ "address and port", S("127.0.0.1:2525"), true, ROUTE_BY_ADDRESS, S("127.0.0.1"),
		2525 },
	{ "address in brackets", S("[192.0.2.1]:26"), true, ROUTE_BY_ADDRESS, S("192.0.2.1"),
		26 },
	{ "IPv6", S("2001:db8::1"), true, ROUTE_BY_ADDRESS, S("2001:db8::1"), 25 },
	{ "IPv6 and port", S("[2001:db8::1]:26"), true, ROUTE_BY_ADDRESS, S("2001:db8::1"),
		26 },
	{ "empty", S(""), false, 0, S(""), 0 },
	{ "no name", S(":25"), false, 0, S(""), 0 },
	{ "no port", S("mx.org:"), false, 0, S(""), 0 },
	{ "port 0", S("mx.org:0"), false, 0, S(""), 0 },
	{ "large port", S("mx.org:65536"), false, 0, S(""), 0 },
	{ "open bracket", S("[mx.org"), false, 0, S(""), 0 },
	{ "junk behind", S("[mx.org]x"), false, 0, S(""), 0 },
	{ "a space", S("mx .org"), false, 0, S(""), 0 },
};

static void
test_SD_034_next_hops(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hops); i++) {
		struct route_hop hop = { 0 };
		SettingAddress address;
		Err e = settings_address_parse(exact(hops[i].text), &address);

		if (!failed(e))
			e = route_hop_init(&hop, address, 25);
		if (failed(e))
			hop = (struct route_hop){ 0 };
		if (failed(e) == hops[i].valid || hop.by != hops[i].by ||
			hop.port != hops[i].port)
			fail_msg("%s", hops[i].why);
		if (hops[i].valid)
			assert_str(hops[i].name, hop.name);
	}
}

static struct resolver_mx
exchangers(size_t count, const struct resolver_exchanger *list)
{
	struct resolver_mx mx = { .count = count };

	memcpy(mx.list, list, count * sizeof(*list));
	return mx;
}

static const struct {
	const char *why;
	size_t count;
	struct resolver_exchanger mx[4];
	enum resolver_outcome outcome;
	const char *dsn;
	size_t hosts;
	Str first;
} choices[] = {
	{ "one", 1, { { 10, S("a") } }, RESOLVER_FOUND, NULL, 1, S("a") },
	{ "lower first", 2, { { 10, S("a") }, { 20, S("b") } }, RESOLVER_FOUND, NULL, 2,
		S("a") },
	{ "null MX", 1, { { 0, S("") } }, RESOLVER_FOUND, "5.1.10", 0, S("") },
	{ "null MX among others", 2, { { 0, S("") }, { 5, S("a") } }, RESOLVER_FOUND, NULL, 1,
		S("a") },
	{ "two null MX", 2, { { 0, S("") }, { 5, S("") } }, RESOLVER_FOUND, "5.1.10", 0,
		S("") },
	{ "implicit MX", 0, { { 0 } }, RESOLVER_NO_DATA, NULL, 1, S("example.net") },
	{ "no domain", 0, { { 0 } }, RESOLVER_NO_NAME, "5.1.2", 0, S("") },
	{ "no answer", 0, { { 0 } }, RESOLVER_LATER, "4.4.3", 0, S("") },
	{ "we are the best", 2, { { 10, S("Mail.Example.Org") }, { 20, S("b") } },
		RESOLVER_FOUND, "5.4.6", 0, S("") },
	{ "we are among the best", 2, { { 10, S("b") }, { 10, S("mail.example.org") } },
		RESOLVER_FOUND, "5.4.6", 0, S("") },
	{ "we are the second", 3,
		{ { 10, S("a") }, { 20, S("mail.example.org") }, { 30, S("c") } },
		RESOLVER_FOUND, NULL, 1, S("a") },
	{ "equals of ours go too", 4,
		{ { 10, S("a") }, { 20, S("b") }, { 20, S("mail.example.org") },
			{ 20, S("c") } },
		RESOLVER_FOUND, NULL, 1, S("a") },
};

static void
test_SD_023_SD_029_hosts(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(choices); i++) {
		struct resolver_mx mx = exchangers(choices[i].count, choices[i].mx);
		struct route_hosts hosts = { 0 };
		struct route_verdict v;

		mx.status.outcome = choices[i].outcome;
		v = route_choose_hosts(&mx, S("example.net"), &policy, i, &hosts);
		if ((v.dsn == NULL) != (choices[i].dsn == NULL) ||
			hosts.count != choices[i].hosts)
			fail_msg("%s", choices[i].why);
		if (v.dsn != NULL)
			assert_string_equal(choices[i].dsn, v.dsn);
		else
			assert_str(choices[i].first, hosts.list[0]);
	}
}

/* Over many seeds each of three equals comes first, and never before a more preferred one. */
static void
test_SD_023_equals_are_shuffled(void **state)
{
	const struct resolver_exchanger list[] = { { 5, S("best") }, { 10, S("a") },
		{ 10, S("b") }, { 10, S("c") }, { 20, S("last") } };
	struct resolver_mx mx = exchangers(COUNT(list), list);
	size_t first[3] = { 0 };

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct route_hosts hosts;

		assert_null(route_choose_hosts(&mx, S("d"), &policy, seed, &hosts).dsn);
		assert_int_equal(5, hosts.count);
		assert_str(S("best"), hosts.list[0]);
		assert_str(S("last"), hosts.list[4]);
		first[str_at(hosts.list[1], 0) - 'a']++;
	}
	for (size_t i = 0; i < COUNT(first); i++)
		assert_in_range(first[i], SEEDS / 8, SEEDS / 2 + SEEDS / 8);
}

static struct resolver_addresses
addresses(Str text)
{
	struct resolver_addresses all = { .status.outcome = RESOLVER_FOUND };
	Str one;

	while (str_split(text, ' ', &one, &text))
		assert_ok(ip_parse(one, &all.list[all.count++]));
	return all;
}

static const struct {
	const char *why;
	Str found; /* each with a space behind it */
	bool named;
	const char *dsn;
	size_t count;
	uint8_t first_version;
} targets[] = {
	{ "IPv6 first", S("8.8.2.2 2a00::1 "), false, NULL, 2, 6 },
	{ "IPv4 alone", S("8.8.2.2 "), false, NULL, 1, 4 },
	{ "loopback is refused", S("127.0.0.1 ::1 "), false, "5.4.4", 0, 0 },
	{ "mapped loopback too", S("::ffff:127.0.0.1 "), false, "5.4.4", 0, 0 },
	{ "private is refused", S("10.0.0.1 fd00::1 "), false, "5.4.4", 0, 0 },
	{ "the public one is left", S("10.0.0.1 8.8.2.2 127.0.0.1 "), false, NULL, 1, 4 },
	{ "a named route may be anything", S("127.0.0.1 10.0.0.1 "), true, NULL, 2, 4 },
	{ "our own address is a loop", S("8.8.1.1 "), false, "5.4.6", 0, 0 },
	{ "many of each leave room",
		S("2a00::1 2a00::2 2a00::3 2a00::4 2a00::5 2a00::6 2a00::7 "
		  "2a00::8 2a00::9 8.8.2.1 8.8.2.2 8.8.2.3 8.8.2.4 8.8.2.5 "),
		false, NULL, 8, 6 },
};

static void
test_targets(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(targets); i++) {
		struct resolver_addresses found = addresses(targets[i].found);
		struct route_hop hop = { .named = targets[i].named };
		struct route_addresses chosen = { 0 };
		struct route_verdict v =
			route_choose_addresses(&found, &hop, &policy, i, &chosen);

		if ((v.dsn == NULL) != (targets[i].dsn == NULL) ||
			chosen.count != targets[i].count)
			fail_msg("%s", targets[i].why);
		if (v.dsn != NULL)
			assert_string_equal(targets[i].dsn, v.dsn);
		else
			assert_int_equal(targets[i].first_version, chosen.list[0].version);
	}
}

static void
test_SD_030_addresses_are_shuffled(void **state)
{
	struct resolver_addresses found = addresses(S("8.8.2.1 8.8.2.2 8.8.2.3 8.8.2.4 "));
	struct route_hop hop = { 0 };
	size_t first[4] = { 0 };

	(void)state;
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct route_addresses chosen;

		assert_null(route_choose_addresses(&found, &hop, &policy, seed, &chosen).dsn);
		first[chosen.list[0].octets[3] - 1]++;
	}
	for (size_t i = 0; i < COUNT(first); i++)
		assert_in_range(first[i], 4, SEEDS / 2);
}

static void
test_private_addresses(void **state)
{
	struct route_policy p = policy;
	Ip ip;

	(void)state;
	p.to_private = true;
	assert_ok(ip_parse(S("127.0.0.9"), &ip));
	assert_false(route_address_allowed(&policy, ip));
	assert_true(route_address_allowed(&p, ip));
	assert_ok(ip_parse(S("10.0.0.9"), &ip));
	assert_true(route_address_allowed(&p, ip));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_SD_034_next_hops),
		cmocka_unit_test(test_SD_023_SD_029_hosts),
		cmocka_unit_test(test_SD_023_equals_are_shuffled),
		cmocka_unit_test(test_targets),
		cmocka_unit_test(test_SD_030_addresses_are_shuffled),
		cmocka_unit_test(test_private_addresses),
	};

	return cmocka_run_group_tests_name("service/relay/route", tests, NULL, NULL);
}
