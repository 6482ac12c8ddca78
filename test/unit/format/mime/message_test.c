/* SPDX-License-Identifier: ISC */
/* The structure of messages, and the texts that IMAP sends of it. */
#include "format/mime/envelope.h"
#include "format/mime/lexer.h"
#include "format/mime/message.h"
#include "format/mime/structure.h"
#include "format/mime/text.h"
#include "test.h"

static const struct {
	const char *why;
	Str message, want;
} structures[] = {
	{ "empty", S(""),
		S("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0 NIL NIL NIL "
		  "NIL)") },
	{ "plain text", S("Subject: a\n\none\ntwo\n"),
		S("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 2 NIL NIL NIL "
		  "NIL)") },
	{ "all fields",
		S("Content-Type: Application/PDF; name=\"a\\\"b.pdf\" (c); x=y/z\n"
		  "Content-Transfer-Encoding: BASE64\nContent-ID: <a@b>\nContent-Description: d\n"
		  " e\nContent-Disposition: attachment; filename=a.pdf\n"
		  "Content-Language: de, en\nContent-Location: l\nContent-MD5: m\n\nAAAA\n"),
		S("(\"Application\" \"PDF\" (\"name\" \"a\\\"b.pdf\" \"x\" \"y/z\") \"<a@b>\" "
		  "\"d e\" \"BASE64\" 6 \"m\" (\"attachment\" (\"filename\" \"a.pdf\")) (\"de\" "
		  "\"en\") \"l\")") },
	{ "two parts, CRLF kept",
		S("Content-Type: multipart/mixed; boundary=b\r\n\r\npre\r\n--b\r\n\r\na\r\nb\r\n--b "
		  "\r\nContent-Type: text/html\r\n\r\n\r\n--b--\r\npost\r\n"),
		S("((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 4 1 NIL NIL NIL "
		  "NIL)(\"text\" \"html\" NIL NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) \"mixed\" "
		  "(\"boundary\" \"b\") NIL NIL NIL)") },
	{ "an outer boundary ends an inner multipart",
		S("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: "
		  "multipart/alternative; boundary=bb\n\n--bb\n\nx\n--b--\n--bb\n\ny\n"),
		S("(((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 NIL NIL NIL "
		  "NIL) \"alternative\" (\"boundary\" \"bb\") NIL NIL NIL) \"mixed\" (\"boundary\" "
		  "\"b\") NIL NIL NIL)") },
	{ "header that runs into the boundary",
		S("Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: "
		  "text/html\n--b--\n"),
		S("((\"text\" \"html\" NIL NIL NIL \"7bit\" 0 0 NIL NIL NIL NIL) \"mixed\" "
		  "(\"boundary\" \"b\") NIL NIL NIL)") },
	{ "no boundary at all", S("Content-Type: multipart/mixed\n\nx\n"),
		S("(\"text\" \"plain\" NIL NIL NIL \"7bit\" 3 1 NIL NIL NIL NIL)") },
	{ "message in a digest",
		S("Content-Type: multipart/digest; boundary=\"b b\"\n\n--b b\n\nSubject: s\n\nt\n--b "
		  "b--\n"),
		S("((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 15 (NIL \"s\" NIL NIL NIL NIL NIL "
		  "NIL NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 1 0 "
		  "NIL NIL NIL NIL) 2 NIL NIL NIL NIL) \"digest\" (\"boundary\" \"b b\") NIL NIL "
		  "NIL)") },
};

static void
test_structures(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(structures); i++) {
		AUTO(arena) arena = arena_new(MIME_ARENA_MAX);
		AUTO_BUF b = BUF_INIT(100000);
		Str message = exact(structures[i].message);
		bool raw = str_find_str(message, S("\r\n")) != STR_NONE;
		struct mime_part *root;

		assert_ok(mime_message_parse(message, arena, &root));
		assert_ok(mime_structure_write(&b, root, raw, arena));
		if (!str_eq(buf_view(&b), structures[i].want))
			fail_msg("%s:\n%.*s\n%.*s", structures[i].why,
				STR_ARG(structures[i].want), STR_ARG(buf_view(&b)));
	}
}

static void
test_body_is_structure_without_extensions(void **state)
{
	AUTO_BUF b = BUF_INIT(10000);

	(void)state;
	assert_ok(mime_structure_write_body(&b, exact(structures[7].want)));
	assert_str(
		S("((\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 15 (NIL \"s\" NIL NIL NIL NIL "
		  "NIL NIL NIL NIL) (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL "
		  "\"7bit\" 1 0) 2) \"digest\")"),
		buf_view(&b));
	assert_err(ERR_PEER, mime_structure_write_body(&b, exact(S("(\"text\""))));
}

static const struct {
	const char *why;
	Str header, want;
} envelopes[] = {
	{ "nothing", S("\n"), S("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)") },
	{ "From stands in", S("From: a@b\n\n"),
		S("(NIL NIL ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) "
		  "NIL NIL NIL NIL NIL)") },
	{ "names",
		S("To: \"Q, \\\"J\" <j@x>, John Q. Public <a.b@[192.0.2.1]>, c@d (Carl (x)),\n "
		  "<@r,@s:e@f>, root\nCc: A group: g@h, i@j;, undisclosed:;\n\n"),
		S("(NIL NIL NIL NIL NIL ((\"Q, \\\"J\" NIL \"j\" \"x\")(\"John Q. Public\" NIL "
		  "\"a.b\" \"[192.0.2.1]\")(\"Carl (x)\" NIL \"c\" \"d\")(NIL \"@r,@s\" \"e\" "
		  "\"f\")(NIL NIL \"root\" \"\")) ((NIL NIL \"A group\" NIL)(NIL NIL \"g\" "
		  "\"h\")(NIL NIL \"i\" \"j\")(NIL NIL NIL NIL)(NIL NIL \"undisclosed\" NIL)(NIL "
		  "NIL NIL NIL)) NIL NIL NIL)") },
	{ "8-bit and NUL as a literal", S("Subject: gr\xc3\xbc\0\xc3\x9f\n\n"),
		S("(NIL {6}\r\ngr\xc3\xbc\xc3\x9f NIL NIL NIL NIL NIL NIL NIL NIL)") },
	{ "folded, first of two", S("Subject: a\r\n  \"b\"\r\nSubject: c\r\n\r\n"),
		S("(NIL \"a  \\\"b\\\"\" NIL NIL NIL NIL NIL NIL NIL NIL)") },
	{ "ids and date", S("Date: d\nMessage-Id: <m@x>\nIn-reply-to: <i@x>\n\n"),
		S("(\"d\" NIL NIL NIL NIL NIL NIL NIL \"<i@x>\" \"<m@x>\")") },
};

static void
test_envelopes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(envelopes); i++) {
		AUTO(arena) arena = arena_new(MIME_ARENA_MAX);
		AUTO_BUF b = BUF_INIT(100000);
		struct cursor c = cursor_of(exact(envelopes[i].header));
		struct mime_header header;
		struct mime_envelope back;

		mime_header_read(&c, &header);
		assert_ok(mime_envelope_write(&b, &header, arena));
		if (!str_eq(buf_view(&b), envelopes[i].want))
			fail_msg("%s:\n%.*s\n%.*s", envelopes[i].why,
				STR_ARG(envelopes[i].want), STR_ARG(buf_view(&b)));
		assert_ok(mime_envelope_parse(exact(buf_view(&b)), arena, &back));
	}
}

static void
test_envelope_is_read_back(void **state)
{
	AUTO(arena) arena = arena_new(MIME_ARENA_MAX);
	struct mime_envelope e;
	AUTO_BUF list = BUF_INIT(1000);

	(void)state;
	assert_ok(mime_envelope_parse(exact(envelopes[2].want), arena, &e));
	mime_address_write(&list, e.to);
	assert_str(
		S("\"Q, \\\"J\" <j@x>, \"John Q. Public\" <a.b@[192.0.2.1]>, \"Carl (x)\" <c@d>,"
		  "  <@r,@s:e@f>, root"),
		buf_view(&list));
	assert_true(e.subject.p == NULL);
	assert_err(ERR_PEER, mime_envelope_parse(exact(S("(NIL")), arena, &e));
	assert_err(ERR_PEER, mime_envelope_parse(exact(S("(\"a\\")), arena, &e));
}

static void
test_parts_are_found_by_number(void **state)
{
	AUTO(arena) arena = arena_new(MIME_ARENA_MAX);
	Str m = exact(
		S("Content-Type: multipart/mixed; boundary=b\n\n--b\n\none\n--b\nContent-Type: "
		  "message/rfc822\n\nSubject: in\n\ntext\n--b--\n"));
	struct mime_part *root;
	const struct mime_part *part;

	(void)state;
	assert_ok(mime_message_parse(m, arena, &root));
	part = mime_part_find(root, (uint32_t[]){ 1 }, 1);
	assert_str(S("one"), str_part(m, part->body_at, part->body_size));
	part = mime_part_find(root, (uint32_t[]){ 2, 1 }, 2);
	assert_str(S("text"), str_part(m, part->body_at, part->body_size));
	part = mime_part_find(root, (uint32_t[]){ 2 }, 1);
	assert_str(S("Subject: in\n\ntext"), str_part(m, part->body_at, part->body_size));
	assert_null(mime_part_find(root, (uint32_t[]){ 3 }, 1));
	assert_null(mime_part_find(root, (uint32_t[]){ 0 }, 1));
	assert_null(mime_part_find(root, (uint32_t[]){ 1, 1 }, 2));
	assert_null(mime_part_find(root, (uint32_t[]){ 2, 2 }, 2));
}

/* Parts inside parts, far beyond the limit: no error, no deep recursion. */
static void
test_depth_is_limited(void **state)
{
	AUTO(arena) arena = arena_new(MIME_ARENA_MAX);
	AUTO_BUF b = BUF_INIT(10000000);
	AUTO_BUF text = BUF_INIT(10000000);
	AUTO_BUF body = BUF_INIT(10000000);
	struct mime_part *root;
	size_t depth = 0;

	(void)state;
	for (unsigned i = 0; i < 10000; i++)
		buf_printf(&b, "Content-Type: multipart/mixed; boundary=b%u\n\n--b%u\n", i, i);
	assert_ok(mime_message_parse(exact(buf_view(&b)), arena, &root));
	for (const struct mime_part *at = root; at != NULL; at = at->child)
		depth++;
	assert_int_equal(MIME_DEPTH_MAX, depth);
	assert_ok(mime_structure_write(&text, root, false, arena));
	assert_ok(mime_structure_write_body(&body, buf_view(&text)));
	buf_reset(&b);
	arena_reset(arena);
	for (unsigned i = 0; i < 10000; i++)
		buf_put(&b, S("Content-Type: message/rfc822\n\n"));
	assert_ok(mime_message_parse(exact(buf_view(&b)), arena, &root));
	buf_reset(&b);
	arena_reset(arena);
	buf_put(&b, S("Content-Type: multipart/mixed; boundary=b\n\n"));
	for (unsigned i = 0; i < 10000; i++)
		buf_put(&b, S("--b\n\n"));
	assert_ok(mime_message_parse(exact(buf_view(&b)), arena, &root));
}

static const struct {
	const char *why;
	Str line, name, body;
} fields[] = {
	{ "plain", S("A: b\n"), S("A"), S(" b") },
	{ "blank before the colon", S("A \t: b\n"), S("A"), S(" b") },
	{ "folded", S("A: b\r\n c\r\nB: d\r\n"), S("A"), S(" b\r\n c") },
	{ "folded over an empty line", S("A: b\n \nB: d"), S("A"), S(" b\n ") },
	{ "no colon", S("From me\n"), S(""), S("From me") },
	{ "no name", S(": x\n"), S(""), S(": x") },
	{ "no line end", S("A:"), S("A"), S("") },
	{ "NUL stays", S("A: \0\n"), S("A"), S(" \0") },
	{ "continuation first", S(" x: y\n"), S(""), S(" x: y") },
};

static void
test_fields(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(fields); i++) {
		struct cursor c = cursor_of(exact(fields[i].line));
		struct mime_field field;

		assert_true(mime_field_next(&c, &field));
		if (!str_eq(fields[i].name, field.name) || !str_eq(fields[i].body, field.body))
			fail_msg("%s: \"%.*s\"", fields[i].why, STR_ARG(field.body));
	}
	assert_int_equal(6, mime_header_size(exact(S("A: b\n\nc"))));
	assert_int_equal(8, mime_header_size(exact(S("A: b\r\n\r\nc"))));
	assert_str(S("<a@b>"), mime_header_message_id(S(" (x) <a@b> c")));
	assert_str(S(""), mime_header_message_id(S("a@b")));
}

static void
test_words(void **state)
{
	AUTO_BUF b = BUF_INIT(100);
	AUTO(arena) arena = arena_new(1000);
	struct cursor c = cursor_of(exact(S(" (a (b\\)) c) \"q\\\"\" x=y")));
	Str s;

	(void)state;
	mime_lexer_skip_keep(&c, &b);
	assert_str(S("a (b)) c"), buf_view(&b));
	buf_reset(&b);
	mime_lexer_quoted(&c, &b);
	assert_str(S("q\""), buf_view(&b));
	mime_lexer_skip(&c);
	assert_str(S("x"), mime_lexer_token(&c));
	assert_str(S("=y"), mime_lexer_atom(&c));
	buf_reset(&b);
	mime_text_write(&b, S("a\\b"));
	assert_str(S("\"a\\\\b\""), buf_view(&b));
	c = cursor_of(exact(buf_view(&b)));
	assert_ok(mime_text_parse(&c, arena, &s));
	assert_str(S("a\\b"), s);
	c = cursor_of(exact(S("{3}\r\nab")));
	assert_ok(mime_text_parse(&c, arena, &s));
	assert_true(c.bad);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_structures),
		cmocka_unit_test(test_body_is_structure_without_extensions),
		cmocka_unit_test(test_envelopes),
		cmocka_unit_test(test_envelope_is_read_back),
		cmocka_unit_test(test_parts_are_found_by_number),
		cmocka_unit_test(test_depth_is_limited),
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
