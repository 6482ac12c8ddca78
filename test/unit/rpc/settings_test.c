/* SPDX-License-Identifier: ISC */
#include "rpc/settings.h"
#include "test.h"

enum {
	SCRATCH = 1024 * 1024,
};

static void
test_SD_159_every_setting_has_a_default_and_a_description(void **state)
{
	static const struct setting_fact facts[] = { { "@hostname@", S("mx.example.org") },
		{ 0 } };
	AUTO(arena) a = arena_new(SCRATCH);
	uint64_t values[64];

	(void)state;
	for (size_t i = 0; settings_tables[i] != NULL; i++) {
		assert_ok(settings_set_standard(settings_tables[i], facts, a, values));
		for (const struct setting *s = settings_tables[i]; s->path != NULL; s++) {
			assert_true(s->offset < sizeof(values));
			assert_true(strlen(s->text) > 10);
			assert_true(s->text[strlen(s->text) - 1] == '.');
		}
	}
}

static void
test_shared_words_are_the_same_everywhere(void **state)
{
	(void)state;
	for (size_t i = 0; settings_tables[i] != NULL; i++)
		for (const struct setting *s = settings_tables[i]; s->path != NULL; s++)
			for (size_t j = 0; j < i; j++) {
				const struct setting *other =
					settings_find(settings_tables[j], str_from(s->path));

				if (other == NULL)
					continue;
				assert_int_equal(s->type, other->type);
				assert_string_equal(s->standard, other->standard);
				assert_string_equal(s->text, other->text);
			}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_SD_159_every_setting_has_a_default_and_a_description),
		cmocka_unit_test(test_shared_words_are_the_same_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
