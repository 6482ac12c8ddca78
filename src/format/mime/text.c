/* SPDX-License-Identifier: ISC */
#include "format/mime/text.h"

#include "format/mime/header.h"

enum {
	QUOTED_MAX = 1000, /* octets; longer strings go as literals */
};

enum shape {
	PLAIN,   /* may stand between quotes as it is */
	ESCAPED, /* has quotes or backslashes */
	LITERAL,
};

static enum shape
shape_of(Str s)
{
	enum shape shape = s.n > QUOTED_MAX ? LITERAL : PLAIN;

	for (size_t i = 0; i < s.n && shape != LITERAL; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if (ch >= 127 || (ch < ' ' && ch != '\t'))
			shape = LITERAL;
		else if (ch == '"' || ch == '\\')
			shape = ESCAPED;
	}
	return shape;
}

static void
put_literal(struct buf *b, Str s)
{
	size_t nuls = 0;

	for (size_t i = 0; i < s.n; i++)
		nuls += s.p[i] == '\0';
	buf_put_char(b, '{');
	buf_put_u64(b, s.n - nuls);
	buf_put(b, S("}\r\n"));
	for (size_t i = 0; i < s.n && nuls > 0; i++)
		if (s.p[i] != '\0')
			buf_put_char(b, s.p[i]);
	if (nuls == 0)
		buf_put(b, s);
}

void
mime_text_write(struct buf *b, Str s)
{
	enum shape shape = shape_of(s);

	if (s.p == NULL) {
		buf_put(b, S("NIL"));
		return;
	}
	if (shape == LITERAL) {
		put_literal(b, s);
		return;
	}
	buf_put_char(b, '"');
	for (size_t i = 0; i < s.n && shape == ESCAPED; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_put_char(b, '\\');
		buf_put_char(b, s.p[i]);
	}
	if (shape == PLAIN)
		buf_put(b, s);
	buf_put_char(b, '"');
}

void
mime_text_write_field(struct buf *b, Str body)
{
	Str s = str_trim(body);

	if (body.p != NULL && str_has(s, '\n')) {
		AUTO_BUF line = BUF_INIT(s.n);

		mime_field_unfold(&line, s);
		mime_text_write(b, buf_view(&line));
		return;
	}
	mime_text_write(b, body.p == NULL ? body : s);
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE, whose first quote is taken */
static Err
parse_quoted(struct cursor *c, struct arena *arena, Str *ret)
{
	AUTO_BUF b = BUF_INIT(QUOTED_MAX);
	Str rest = c->rest;
	bool escaped = false;
	size_t n = 0;

	for (;;) {
		int ch = cursor_next(c);

		if (ch < 0)
			return OK; /* bad */
		if (ch == '"')
			break;
		if (ch == '\\') {
			if (!escaped)
				buf_put(&b, str_part(rest, 0, n));
			escaped = true;
			ch = cursor_next(c);
		}
		n++;
		if (escaped)
			buf_put_char(&b, (char)ch);
	}
	if (!escaped) {
		*ret = str_part(rest, 0, n);
		return OK;
	}
	TRY(buf_check(&b));
	return arena_copy(arena, buf_view(&b), ret);
}

/* "{" number "}" CRLF *OCTET, whose first brace is taken */
static Str
take_literal(struct cursor *c)
{
	Str digits = cursor_until(c, '}');
	uint64_t n;

	if (!cursor_take_str(c, S("}\r\n")) || !str_to_u64(digits, c->rest.n, &n)) {
		c->bad = true;
		return S("");
	}
	return cursor_take(c, n);
}

Err
mime_text_parse(struct cursor *c, struct arena *arena, Str *ret)
{
	*ret = (Str){ 0 };
	if (cursor_take_char(c, '"'))
		return parse_quoted(c, arena, ret);
	if (cursor_take_char(c, '{'))
		*ret = take_literal(c);
	else if (!cursor_take_str(c, S("NIL")))
		c->bad = true;
	return OK;
}

Str
mime_text_skip(struct cursor *c)
{
	Str start = c->rest;

	if (cursor_take_char(c, '"')) {
		for (int ch = cursor_next(c); ch >= 0 && ch != '"'; ch = cursor_next(c))
			if (ch == '\\')
				cursor_next(c);
	} else if (cursor_take_char(c, '{')) {
		take_literal(c);
	} else if (cursor_while(c, char_is_alnum).n == 0) {
		c->bad = true;
	}
	return str_part(start, 0, start.n - c->rest.n);
}
