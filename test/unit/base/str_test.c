/* SPDX-License-Identifier: ISC */
#include "base/buf.h"
#include "base/encode.h"
#include "test.h"

static void
test_parts_stay_inside(void **state)
{
	Str s = exact(S("posthorn"));

	(void)state;
	assert_str(S("horn"), str_part(s, 4, 99));
	assert_str(S(""), str_part(s, 99, 1));
	assert_str(S("post"), str_part(s, 0, 4));
	assert_int_equal(0, str_at(s, 8));
}

static const struct {
	const char *why;
	Str text;
	uint64_t max;
	bool want;
	uint64_t value;
} numbers[] = {
	{ "plain", S("42"), 100, true, 42 },
	{ "empty", S(""), 100, false, 0 },
	{ "sign", S("+1"), 100, false, 0 },
	{ "over max", S("101"), 100, false, 0 },
	{ "largest", S("18446744073709551615"), UINT64_MAX, true, UINT64_MAX },
	{ "one more", S("18446744073709551616"), UINT64_MAX, false, 0 },
	{ "long", S("99999999999999999999999"), UINT64_MAX, false, 0 },
};

static void
test_numbers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(numbers); i++) {
		uint64_t value = 0;
		bool got = str_to_u64(exact(numbers[i].text), numbers[i].max, &value);

		if (got != numbers[i].want || value != numbers[i].value)
			fail_msg("%s", numbers[i].why);
	}
}

static void
test_cursor_is_sticky(void **state)
{
	struct cursor c = cursor_of(exact(S("ab")));

	(void)state;
	assert_str(S(""), cursor_take(&c, 3));
	assert_true(c.bad);
	assert_int_equal(-1, cursor_next(&c));
	assert_str(S(""), cursor_until(&c, 'x'));
	assert_false(cursor_take_char(&c, 'a'));
}

static void
test_binary_round_trip(void **state)
{
	AUTO_BUF b = BUF_INIT(100);
	struct cursor c;

	(void)state;
	buf_u8(&b, 1);
	buf_u16(&b, 0x1234);
	buf_u32(&b, 0x12345678);
	buf_u64(&b, 0x123456789abcdef0);
	buf_str(&b, S("mail"));
	assert_ok(buf_check(&b));
	c = cursor_of(exact(buf_view(&b)));
	assert_int_equal(1, cursor_u8(&c));
	assert_int_equal(0x1234, cursor_u16(&c));
	assert_int_equal(0x12345678, cursor_u32(&c));
	assert_true(cursor_u64(&c) == 0x123456789abcdef0);
	assert_str(S("mail"), cursor_str(&c));
	assert_false(c.bad);
	cursor_u32(&c);
	assert_true(c.bad);
}

static void
test_buf_limit(void **state)
{
	AUTO_BUF b = BUF_INIT(4);

	(void)state;
	buf_put(&b, S("abcd"));
	assert_ok(buf_check(&b));
	buf_put(&b, S("e"));
	assert_err(ERR_LIMIT, buf_check(&b));
	assert_str(S("abcd"), buf_view(&b));
}

static const struct {
	Str plain, base64;
} base64[] = {
	{ S(""), S("") },
	{ S("f"), S("Zg==") },
	{ S("fo"), S("Zm8=") },
	{ S("foo"), S("Zm9v") },
	{ S("foob"), S("Zm9vYg==") },
	{ S("\0a\0b"), S("AGEAYg==") },
};

static void
test_base64(void **state)
{
	static const Str bad[] = { S("Zg="), S("Zg=a"), S("Z==="), S("Zh=="), S("Zm9v\n"),
		S("Z\0==") };

	(void)state;
	for (size_t i = 0; i < COUNT(base64); i++) {
		AUTO_BUF b = BUF_INIT(100);
		AUTO_BUF back = BUF_INIT(100);

		encode_base64(&b, base64[i].plain);
		assert_str(base64[i].base64, buf_view(&b));
		assert_ok(decode_base64(exact(base64[i].base64), &back));
		assert_str(base64[i].plain, buf_view(&back));
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		AUTO_BUF b = BUF_INIT(100);

		assert_err(ERR_PEER, decode_base64(exact(bad[i]), &b));
	}
}

static void
test_counts_one_octet(void **state)
{
	AUTO_BUF many = BUF_INIT(1000);

	(void)state;
	assert_int_equal(0, str_count(S(""), 'a'));
	assert_int_equal(2, str_count(exact(S("xaxa")), 'a'));
	for (int i = 0; i < 300; i++)
		buf_put_char(&many, i % 3 == 0 ? '\n' : 'x');
	assert_int_equal(100, str_count(exact(buf_view(&many)), '\n'));
}

static void
test_lines_end_in_crlf(void **state)
{
	static const struct {
		Str in, want;
	} cases[] = {
		{ S(""), S("") },
		{ S("a\nb"), S("a\r\nb") },
		{ S("\n\n"), S("\r\n\r\n") },
		{ S("abc"), S("abc") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO_BUF got = BUF_INIT(100);

		buf_put_crlf(&got, exact(cases[i].in));
		assert_str(cases[i].want, buf_view(&got));
	}
}

static void
test_distance_of_words(void **state)
{
	static const struct {
		const char *why;
		Str a, b;
		size_t want;
	} cases[] = {
		{ "the same", S("queue"), S("Queue"), 0 },
		{ "one left out", S("accont"), S("account"), 1 },
		{ "two swapped", S("qeuue"), S("queue"), 1 },
		{ "nothing in common", S("abc"), S("xyz"), 3 },
		{ "nothing at all", S(""), S("try"), 3 },
	};
	char room[STR_DISTANCE_MAX + 1] = { 0 };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(cases[i].want,
			str_distance(exact(cases[i].a), exact(cases[i].b)));
	assert_int_equal(STR_DISTANCE_MAX,
		str_distance(exact((Str){ room, sizeof(room) }), S("a")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_stay_inside),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_cursor_is_sticky),
		cmocka_unit_test(test_binary_round_trip),
		cmocka_unit_test(test_buf_limit),
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_counts_one_octet),
		cmocka_unit_test(test_lines_end_in_crlf),
		cmocka_unit_test(test_distance_of_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
