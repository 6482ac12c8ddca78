/* SPDX-License-Identifier: ISC */
#include "format/mime/decode.h"
#include "test.h"

static const struct {
	const char *why;
	Str text, want;
} words[] = {
	{ "plain", S("hello  world"), S("hello  world") },
	{ "quoted", S("=?utf-8?Q?gr=C3=BC=C3=9Fe_an?= alle"), S("grüße an alle") },
	{ "base64", S("=?UTF-8?b?Z3LDvMOfZQ==?="), S("grüße") },
	{ "latin, with language", S("=?iso-8859-1*de?q?gr=FC=DFe?="), S("grüße") },
	{ "two words", S("a =?utf-8?q?b?=\n =?utf-8?q?c?= d"), S("a bc d") },
	{ "euro", S("=?windows-1252?q?=80?= =?iso-8859-15?q?=A4?="), S("€€") },
	{ "unknown set", S("=?koi8-r?q?a=C1?="), S("a\xef\xbf\xbd") },
	{ "broken", S("=?utf-8?q?b"), S("=?utf-8?q?b") },
	{ "unknown encoding", S("=?utf-8?x?b?="), S("=?utf-8?x?b?=") },
	{ "raw UTF-8", S("grüße"), S("grüße") },
	{ "raw 8-bit", S("gr\xfc"), S("grü") },
	{ "in the middle", S("x=?utf-8?q?b?="), S("xb") },
};

static void
test_encoded_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(words); i++) {
		AUTO_BUF b = BUF_INIT(1000);

		mime_decode_words(&b, exact(words[i].text));
		if (!str_eq(buf_view(&b), words[i].want))
			fail_msg("%s: %.*s", words[i].why, STR_ARG(buf_view(&b)));
	}
}

static const struct {
	const char *why;
	Str encoding, text, want;
} bodies[] = {
	{ "none", S(""), S("a=20b"), S("a=20b") },
	{ "quoted", S(" Quoted-Printable"), S("a=20b=\n c=\r\nd=3d=x="), S("a b cd==x=") },
	{ "base64 with line ends", S("BASE64"), S("Zm9v\nYmFy\r\n"), S("foobar") },
	{ "base64 in two pieces", S("base64"), S("Zg==Zm9v"), S("ffoo") },
	{ "base64 cut short", S("base64"), S("Zm9vY"), S("foo") },
};

static void
test_transfer_encodings(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bodies); i++) {
		AUTO_BUF b = BUF_INIT(1000);

		mime_decode_transfer(&b, mime_decode_encoding(exact(bodies[i].encoding)),
			exact(bodies[i].text));
		if (!str_eq(buf_view(&b), bodies[i].want))
			fail_msg("%s: %.*s", bodies[i].why, STR_ARG(buf_view(&b)));
	}
}

static const struct {
	Str text;
	bool want;
} utf8[] = {
	{ S("a"), true },
	{ S("\xc3\xa4"), true },
	{ S("\xe2\x82\xac"), true },
	{ S("\xf0\x9f\x93\xaf"), true },
	{ S("\xc0\x80"), false },
	{ S("\xe0\x80\x80"), false },
	{ S("\xed\xa0\x80"), false },
	{ S("\xf4\x90\x80\x80"), false },
	{ S("\xc3"), false },
	{ S("\xe2\x82"), false },
	{ S("\x80"), false },
	{ S("\xff"), false },
};

static void
test_utf8(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(utf8); i++)
		assert_int_equal(utf8[i].want, mime_decode_is_utf8(exact(utf8[i].text)));
	assert_true(mime_decode_knows_charset(S("Latin1")));
	assert_false(mime_decode_knows_charset(S("big5")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_encoded_words),
		cmocka_unit_test(test_transfer_encodings),
		cmocka_unit_test(test_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
