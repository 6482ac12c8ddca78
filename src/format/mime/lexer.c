/* SPDX-License-Identifier: ISC */
#include "format/mime/lexer.h"

/* 1: not in a token (tspecials, controls, blank); 2: not in an atom (specials without the dot). */
enum {
	NOT_TOKEN = 1,
	NOT_ATOM = 2,
	NEITHER = 3,
};

static const unsigned char classes[256] = {
	[0 ... ' '] = NEITHER,
	[127] = NEITHER,
	['('] = NEITHER,
	[')'] = NEITHER,
	['<'] = NEITHER,
	['>'] = NEITHER,
	['@'] = NEITHER,
	[','] = NEITHER,
	[';'] = NEITHER,
	[':'] = NEITHER,
	['\\'] = NEITHER,
	['"'] = NEITHER,
	['/'] = NOT_TOKEN,
	['['] = NEITHER,
	[']'] = NEITHER,
	['?'] = NOT_TOKEN,
	['='] = NOT_TOKEN,
};

static bool
is_blank(int ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

/* The opening parenthesis is next. `comment` may be NULL. */
static void
skip_comment(struct cursor *c, struct buf *comment)
{
	size_t depth = 0;

	while (!cursor_done(c)) {
		int ch = cursor_next(c);

		if (ch == '(' && ++depth == 1)
			continue;
		if (depth > MIME_LEXER_COMMENT_DEPTH) {
			c->bad = true;
			return;
		}
		if (ch == ')' && --depth == 0)
			return;
		if (ch == '\\' && c->rest.n > 0)
			ch = cursor_next(c);
		if (comment != NULL && ch != '\r' && ch != '\n')
			buf_put_char(comment, (char)ch);
	}
}

void
mime_lexer_skip_keep(struct cursor *c, struct buf *comment)
{
	for (;;) {
		int ch = cursor_peek(c);

		if (is_blank(ch)) {
			cursor_next(c);
		} else if (ch == '(') {
			if (comment != NULL)
				buf_reset(comment);
			skip_comment(c, comment);
		} else {
			return;
		}
	}
}

void
mime_lexer_skip(struct cursor *c)
{
	mime_lexer_skip_keep(c, NULL);
}

void
mime_lexer_quoted(struct cursor *c, struct buf *ret)
{
	cursor_need_char(c, '"');
	while (!cursor_done(c)) {
		int ch = cursor_next(c);

		if (ch == '"')
			return;
		if (ch == '\\' && c->rest.n > 0)
			ch = cursor_next(c);
		if (ch != '\r' && ch != '\n')
			buf_put_char(ret, (char)ch);
	}
}

static bool
is_token(int ch)
{
	return (classes[ch] & NOT_TOKEN) == 0;
}

static bool
is_atom(int ch)
{
	return (classes[ch] & NOT_ATOM) == 0;
}

Str
mime_lexer_token(struct cursor *c)
{
	return cursor_while(c, is_token);
}

Str
mime_lexer_atom(struct cursor *c)
{
	return cursor_while(c, is_atom);
}
