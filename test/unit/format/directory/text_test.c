/* SPDX-License-Identifier: ISC */
#include "format/directory/record.h"
#include "test.h"

enum {
	SCRATCH = 1024 * 1024,
};

#define V "directory-version 1\n"

static const struct {
	const char *why;
	Str text, errors;
} cases[] = {
	{ "empty", S(""), S("f:1:1: the first line must be: directory-version 1\n") },
	{ "nothing in it", S(V), S("") },
	{ "not a dump", S("config-version 1\n"),
		S("f:1:1: the first line must be: directory-version 1\n") },
	{ "unknown word", S(V "user a@b\n"),
		S("f:2:1: unknown word; there are domain, account, alias\n") },
	{ "no name", S(V "domain\n"), S("f:2:1: wants a name\n") },
	{ "two names", S(V "domain a b\n"), S("f:2:10: a domain has one name\n") },
	{ "empty alias", S(V "alias a@b\n"),
		S("f:2:7: an alias needs at least one member behind its name\n") },
	{ "unknown detail", S(V "account a@b { colour red }\n"),
		S("f:2:15: unknown word; an account has password, created, folder, disabled\n") },
	{ "no such day", S(V "account a@b { created 2026-02-30T00:00:00Z }\n"),
		S("f:2:23: wants a time such as 2026-03-01T08:30:00Z\n") },
	{ "value behind disabled", S(V "account a@b { disabled yes }\n"),
		S("f:2:24: nothing comes behind disabled\n") },
	{ "block at an alias", S(V "alias a@b c@d { }\n"),
		S("f:2:1: only an account has a block\n") },
};

static void
test_errors(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO(arena) a = arena_new(SCRATCH);
		AUTO_BUF packed = BUF_INIT(SCRATCH);
		AUTO_BUF text = BUF_INIT(SCRATCH);
		struct config_errors errors = { .arena = a };

		assert_err(cases[i].errors.n == 0 ? ERR_NONE : ERR_PEER,
			directory_text_parse(exact(cases[i].text), a, &packed, &errors));
		config_errors_write(&errors, S("f"), &text);
		if (!str_eq(cases[i].errors, buf_view(&text)))
			fail_msg("%s: got\n%.*s", cases[i].why, STR_ARG(buf_view(&text)));
	}
}

static void
test_text_and_records_are_the_same(void **state)
{
	static const char dump[] = V "domain example.org\n"
				     "account ann@example.org {\n"
				     "\tpassword $6$salt$hash\n"
				     "\tcreated 2026-03-01T08:30:00Z\n"
				     "\tfolder example.org/ann~2\n"
				     "\tdisabled\n"
				     "}\n"
				     "alias @example.org \"a b@example.org\" c@d\n";
	AUTO(arena) a = arena_new(SCRATCH);
	AUTO_BUF packed = BUF_INIT(SCRATCH);
	AUTO_BUF text = BUF_INIT(SCRATCH);
	struct config_errors errors = { .arena = a };
	struct directory_record record;
	struct cursor c;

	(void)state;
	assert_ok(directory_text_parse(exact(str_from(dump)), a, &packed, &errors));
	c = cursor_of(exact(buf_view(&packed)));
	directory_text_begin(&text);
	while (!cursor_done(&c)) {
		assert_ok(directory_record_parse(&c, a, &record));
		directory_text_write(&record, &text);
	}
	assert_str(str_from(dump), buf_view(&text));
	for (size_t n = 1; n < packed.n; n++) {
		c = cursor_of(exact(str_part(buf_view(&packed), 0, n)));
		while (!cursor_done(&c) && !failed(directory_record_parse(&c, a, &record)))
			;
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_text_and_records_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
