/* SPDX-License-Identifier: ISC */
#include "format/imap/fold.h"
#include "test.h"

static void
test_fold(void **state)
{
	static const struct {
		const char *why;
		Str in, want;
	} cases[] = {
		{ "ASCII", S("Hello WORLD"), S("hello world") },
		{ "Latin-1", S("GR\xc3\x9c\xc3\x9f\xc3\x89"), S("gr\xc3\xbc\xc3\x9f\xc3\xa9") },
		{ "not the multiplication sign", S("\xc3\x97"), S("\xc3\x97") },
		{ "Latin extended", S("\xc4\x8c\xc5\xbd"), S("\xc4\x8d\xc5\xbe") },
		{ "Greek", S("\xce\x91\xce\xa9"), S("\xce\xb1\xcf\x89") },
		{ "Cyrillic", S("\xd0\x94\xd0\x96\xd0\x81"), S("\xd0\xb4\xd0\xb6\xd1\x91") },
		{ "blanks", S("a \r\n\tb"), S("a b") },
		{ "not UTF-8", S("\xc3"), S("\xc3") },
		{ "NUL", S("A\0B"), S("a\0b") },
		{ "three octets stay", S("\xe2\x82\xac"), S("\xe2\x82\xac") },
		{ "empty", S(""), S("") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO_BUF got = BUF_INIT(100);

		imap_fold(&got, exact(cases[i].in));
		assert_str(cases[i].want, buf_view(&got));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
