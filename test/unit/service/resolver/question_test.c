/* SPDX-License-Identifier: ISC */
/* The tests play libunbound: they hand question.c its answers. */
#include "format/dns/record.h"
#include "service/resolver/question.h"
#include "test.h"

static const struct lookup_answer no_name = { .outcome = RESOLVER_NO_NAME, .ttl = 60 };
static const struct lookup_answer no_data = { .outcome = RESOLVER_NO_DATA, .ttl = 60 };
static const struct lookup_answer later = { .outcome = RESOLVER_LATER };
static const struct lookup_answer bogus = { .outcome = RESOLVER_LATER,
	.security = RESOLVER_BOGUS };

static struct lookup_answer
found(Str record)
{
	struct lookup_answer a = { .outcome = RESOLVER_FOUND, .ttl = 300, .count = 1 };

	a.security = RESOLVER_SECURE;
	a.records[0] = record;
	return a;
}

static struct arena *
begin(struct question *q, enum resolver_request request, Str name)
{
	struct arena *a = arena_new(QUESTION_MEMORY_MAX);

	assert_ok(question_init(q, request, exact(name), a));
	return a;
}

static void
expect_ask(struct question *q, Str name, uint16_t type)
{
	struct question_ask ask;
	size_t number;

	assert_true(question_next(q, &ask, &number));
	assert_str(name, ask.name);
	assert_int_equal(type, ask.type);
}

static void
expect_no_ask(struct question *q)
{
	struct question_ask ask;
	size_t number;

	assert_false(question_next(q, &ask, &number));
}

static void
test_exchangers_are_sorted(void **state)
{
	struct question q;
	AUTO(arena) a = begin(&q, RESOLVER_ASK_MX, S("example.org"));
	struct lookup_answer answer = found(S("\0\x14\1b\0"));

	(void)state;
	answer.records[answer.count++] = exact(S("\0\x0a\1a\0"));
	answer.records[answer.count++] = exact(S("\0\x05\3a b\0")); /* no host: left out */
	answer.records[answer.count++] = exact(S("\0\x14\1c\0"));
	answer.records[answer.count++] = exact(S("\0\x0a"));
	expect_ask(&q, S("example.org"), DNS_TYPE_MX);
	expect_no_ask(&q);
	assert_false(question_done(&q));
	question_feed(&q, 0, &answer);
	assert_true(question_done(&q));
	assert_int_equal(RESOLVER_FOUND, q.answer.mx.status.outcome);
	assert_int_equal(RESOLVER_SECURE, q.answer.mx.status.security);
	assert_int_equal(300, q.answer.mx.status.ttl);
	assert_int_equal(3, q.answer.mx.count);
	assert_str(S("a"), q.answer.mx.list[0].host);
	assert_str(S("b"), q.answer.mx.list[1].host);
	assert_str(S("c"), q.answer.mx.list[2].host);
}

/* 200 exchangers: the 32 most preferred stay, though they come last. */
static void
test_exchangers_are_limited(void **state)
{
	struct question q;
	AUTO(arena) a = begin(&q, RESOLVER_ASK_MX, S("example.org"));
	struct lookup_answer answer = found(S(""));

	(void)state;
	for (answer.count = 0; answer.count < 200; answer.count++) {
		char record[] = { 0, (char)(200 - answer.count), 1, 'x', 0 };

		answer.records[answer.count] = exact((Str){ record, sizeof(record) });
	}
	question_feed(&q, 0, &answer);
	assert_int_equal(RESOLVER_EXCHANGERS_MAX, q.answer.mx.count);
	for (size_t i = 0; i < q.answer.mx.count; i++)
		assert_int_equal(i + 1, q.answer.mx.list[i].preference);
}

static void
test_only_broken_exchangers(void **state)
{
	struct question q;
	AUTO(arena) a = begin(&q, RESOLVER_ASK_MX, S("example.org"));
	struct lookup_answer answer = found(S("\0\x0a\xc0\1"));

	(void)state;
	question_feed(&q, 0, &answer);
	assert_int_equal(RESOLVER_LATER, q.answer.mx.status.outcome);
}

static const struct {
	const char *why;
	const struct lookup_answer *v6, *v4; /* NULL: an address is found */
	enum resolver_outcome want;
	enum resolver_security security;
	size_t count;
} families[] = {
	{ "both", NULL, NULL, RESOLVER_FOUND, RESOLVER_SECURE, 2 },
	{ "IPv4 alone", &no_data, NULL, RESOLVER_FOUND, RESOLVER_INSECURE, 1 },
	{ "IPv6 alone", NULL, &no_data, RESOLVER_FOUND, RESOLVER_INSECURE, 1 },
	{ "one failed", &later, NULL, RESOLVER_FOUND, RESOLVER_INSECURE, 1 },
	{ "one failed, one empty", &later, &no_data, RESOLVER_LATER, RESOLVER_INSECURE, 0 },
	{ "one bogus, one empty", &bogus, &no_data, RESOLVER_LATER, RESOLVER_BOGUS, 0 },
	{ "both empty", &no_data, &no_data, RESOLVER_NO_DATA, RESOLVER_INSECURE, 0 },
	{ "no name", &no_name, &no_name, RESOLVER_NO_NAME, RESOLVER_INSECURE, 0 },
};

static void
test_addresses(void **state)
{
	struct lookup_answer v6 = found(S("\x2a\0\0\1\0\0\0\0\0\0\0\0\0\0\0\1"));
	struct lookup_answer v4 = found(S("\x08\x08\x04\x04"));

	(void)state;
	for (size_t i = 0; i < COUNT(families); i++) {
		struct question q;
		AUTO(arena) a = begin(&q, RESOLVER_ASK_ADDRESSES, S("mx.org"));

		expect_ask(&q, S("mx.org"), DNS_TYPE_AAAA);
		expect_ask(&q, S("mx.org"), DNS_TYPE_A);
		/* The answers may come in any order. */
		question_feed(&q, 1, families[i].v4 != NULL ? families[i].v4 : &v4);
		assert_false(question_done(&q));
		question_feed(&q, 0, families[i].v6 != NULL ? families[i].v6 : &v6);
		assert_true(question_done(&q));
		if (q.answer.addresses.status.outcome != families[i].want ||
			q.answer.addresses.count != families[i].count ||
			q.answer.addresses.status.security != families[i].security)
			fail_msg("%s", families[i].why);
	}
}

static const struct {
	const char *why;
	const struct lookup_answer *pointer; /* NULL: two names */
	Str second_address;                  /* what the second name leads to */
	const struct lookup_answer *first;   /* what the first name leads to */
	enum resolver_outcome want;
} reverse[] = {
	{ "second name leads back", NULL, S("\x08\x08\x04\x04"), &no_name, RESOLVER_FOUND },
	{ "the other still counts", NULL, S("\x08\x08\x04\x04"), &later, RESOLVER_FOUND },
	{ "none leads back", NULL, S("\x08\x08\x04\x05"), &no_name, RESOLVER_NO_DATA },
	{ "perhaps the first would", NULL, S("\x08\x08\x04\x05"), &later, RESOLVER_LATER },
	{ "no PTR", &no_name, S(""), NULL, RESOLVER_NO_NAME },
	{ "PTR failed", &later, S(""), NULL, RESOLVER_LATER },
};

static void
test_names_of_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(reverse); i++) {
		struct lookup_answer names = found(exact(S("\1a\3org\0")));
		struct lookup_answer second = found(exact(reverse[i].second_address));
		struct question q;
		AUTO(arena) a = begin(&q, RESOLVER_ASK_NAME, S("8.8.4.4"));

		names.records[names.count++] = exact(S("\1b\3org\0"));
		expect_ask(&q, S("4.4.8.8.in-addr.arpa"), DNS_TYPE_PTR);
		question_feed(&q, 0, reverse[i].pointer != NULL ? reverse[i].pointer : &names);
		if (reverse[i].pointer == NULL) {
			expect_ask(&q, S("a.org"), DNS_TYPE_AAAA);
			expect_ask(&q, S("a.org"), DNS_TYPE_A);
			expect_ask(&q, S("b.org"), DNS_TYPE_AAAA);
			expect_ask(&q, S("b.org"), DNS_TYPE_A);
			question_feed(&q, 4, &second);
			question_feed(&q, 3, &no_data);
			question_feed(&q, 2, reverse[i].first);
			question_feed(&q, 1, reverse[i].first);
		}
		expect_no_ask(&q);
		assert_true(question_done(&q));
		if (q.answer.name.status.outcome != reverse[i].want)
			fail_msg("%s", reverse[i].why);
		if (reverse[i].want == RESOLVER_FOUND)
			assert_str(S("b.org"), q.answer.name.name);
	}
}

/* Forty PTR records cost no more than four forward lookups. */
static void
test_many_names_are_limited(void **state)
{
	struct lookup_answer names = found(exact(S("\1a\3org\0")));
	struct question q;
	AUTO(arena) a = begin(&q, RESOLVER_ASK_NAME, S("8.8.4.4"));

	(void)state;
	for (names.count = 0; names.count < 40; names.count++)
		names.records[names.count] = exact(S("\1a\3org\0"));
	question_feed(&q, 0, &names);
	assert_int_equal(QUESTION_ASKS_MAX, q.ask_count);
}

static void
test_names_that_cannot_be_asked(void **state)
{
	AUTO(arena) a = arena_new(QUESTION_MEMORY_MAX);
	struct question q;

	(void)state;
	assert_err(ERR_PEER, question_init(&q, RESOLVER_ASK_MX, exact(S("a b")), a));
	assert_err(ERR_PEER, question_init(&q, RESOLVER_ASK_MX, exact(S("")), a));
	assert_err(ERR_PEER, question_init(&q, RESOLVER_ASK_NAME, exact(S("a.org")), a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchangers_are_sorted),
		cmocka_unit_test(test_exchangers_are_limited),
		cmocka_unit_test(test_only_broken_exchangers),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_names_of_addresses),
		cmocka_unit_test(test_many_names_are_limited),
		cmocka_unit_test(test_names_that_cannot_be_asked),
	};

	return cmocka_run_group_tests_name("service/resolver/question", tests, NULL, NULL);
}
