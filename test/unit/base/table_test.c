/* SPDX-License-Identifier: ISC */
#include "base/arena.h"
#include "base/map.h"
#include "base/time.h"
#include "test.h"

static void
test_map_against_array(void **state)
{
	enum { KEYS = 500, STEPS = 20000 };
	static char values[KEYS];
	bool present[KEYS] = { false };
	AUTO(map) m = map_new();
	uint32_t random = 1;
	size_t count = 0;

	(void)state;
	for (int i = 0; i < STEPS; i++) {
		size_t key;

		random = random * 1664525 + 1013904223;
		key = (random >> 8) % KEYS;
		assert_ptr_equal(map_get(m, key), present[key] ? &values[key] : NULL);
		if ((random >> 30) == 0) {
			map_remove(m, key);
			count -= present[key];
			present[key] = false;
		} else {
			map_set(m, key, &values[key]);
			count += !present[key];
			present[key] = true;
		}
		assert_int_equal(count, map_count(m));
	}
}

static void
test_str_map(void **state)
{
	AUTO(str_map) m = str_map_new();
	int one = 1, two = 2;
	size_t at = 0;

	(void)state;
	assert_null(str_map_set(m, S("a"), &one));
	assert_null(str_map_set(m, S(""), &two));
	assert_ptr_equal(&one, str_map_set(m, S("a"), &two));
	assert_ptr_equal(&two, str_map_get(m, S("a")));
	assert_ptr_equal(&two, str_map_remove(m, S("")));
	assert_null(str_map_get(m, S("")));
	assert_ptr_equal(&two, str_map_each(m, &at));
	assert_null(str_map_each(m, &at));
}

static void
test_arena_limit(void **state)
{
	AUTO(arena) a = arena_new(10000);
	Str copy;

	(void)state;
	assert_non_null(arena_try(a, 5000));
	assert_non_null(arena_try(a, 4000));
	assert_null(arena_try(a, 2000));
	assert_null(arena_try_array(a, SIZE_MAX / 2, 4));
	arena_reset(a);
	assert_ok(arena_copy(a, S("mail"), &copy));
	assert_str(S("mail"), copy);
}

static void
test_crc32c(void **state)
{
	(void)state;
	/* RFC 3720, B.4: 32 octets of zeroes; and the classic check string. */
	assert_int_equal(0x8a9136aa, hash_crc32c(0, (Str){ (char[32]){ 0 }, 32 }));
	assert_int_equal(0xe3069283, hash_crc32c(0, S("123456789")));
	assert_int_equal(0xe3069283, hash_crc32c(hash_crc32c(0, S("1234")), S("56789")));
}

static void
test_siphash(void **state)
{
	/* The vectors of the SipHash paper: key 00..0f, input 00..0e. */
	const HashKey key = { 0x0706050403020100, 0x0f0e0d0c0b0a0908 };

	(void)state;
	assert_true(hash_sip(key, S("\0\1\2\3\4\5\6\7\x8\x9\xa\xb\xc\xd\xe")) ==
		    0xa129ca6149be45e5);
}

static void
test_civil(void **state)
{
	static const struct {
		int64_t seconds;
		struct civil civil;
	} cases[] = {
		{ 0, { 1970, 1, 1, 0, 0, 0, 4 } },
		{ -1, { 1969, 12, 31, 23, 59, 59, 3 } },
		{ 951782400, { 2000, 2, 29, 0, 0, 0, 2 } },
		{ 1795290064, { 2026, 11, 21, 19, 41, 4, 6 } },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct civil c = time_to_civil(time_from_seconds(cases[i].seconds));

		assert_memory_equal(&cases[i].civil, &c, sizeof(c));
		assert_true(time_seconds(time_from_civil(&c)) == cases[i].seconds);
		assert_true(time_civil_valid(&c));
	}
	assert_false(time_civil_valid(&(struct civil){ 2025, 2, 29, 0, 0, 0, 0 }));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_against_array),
		cmocka_unit_test(test_str_map),
		cmocka_unit_test(test_arena_limit),
		cmocka_unit_test(test_crc32c),
		cmocka_unit_test(test_siphash),
		cmocka_unit_test(test_civil),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
