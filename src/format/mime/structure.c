/* SPDX-License-Identifier: ISC */
#include "format/mime/structure.h"

#include "format/mime/envelope.h"
#include "format/mime/lexer.h"
#include "format/mime/text.h"

struct writer {
	struct buf *b;
	struct arena *scratch;
	bool raw;
};

/* body-fld-param = "(" string SP string *(SP string SP string) ")" / nil */
static void
put_params(struct buf *b, const struct mime_param *first)
{
	if (first == NULL) {
		buf_put(b, S("NIL"));
		return;
	}
	for (const struct mime_param *p = first; p != NULL; p = p->next) {
		buf_put_char(b, p == first ? '(' : ' ');
		mime_text_write(b, p->name);
		buf_put_char(b, ' ');
		mime_text_write(b, p->value);
	}
	buf_put_char(b, ')');
}

/* body-fld-enc = string */
static void
put_encoding(struct buf *b, Str body)
{
	struct cursor c = cursor_of(body);
	Str word;

	mime_lexer_skip(&c);
	word = mime_lexer_token(&c);
	mime_text_write(b, word.n == 0 ? S("7bit") : word);
}

/* body-fld-dsp = "(" string SP body-fld-param ")" / nil */
static Err
put_disposition(struct writer *w, Str body)
{
	const struct mime_param *params = NULL;
	Str word = S("");

	if (body.n > 0)
		TRY(mime_param_parse(body, w->scratch, &word, &params));
	if (word.n == 0) {
		buf_put(w->b, S("NIL"));
		return OK;
	}
	buf_put_char(w->b, '(');
	mime_text_write(w->b, word);
	buf_put_char(w->b, ' ');
	put_params(w->b, params);
	buf_put_char(w->b, ')');
	return OK;
}

/* body-fld-lang = nstring / "(" string *(SP string) ")" */
static void
put_language(struct buf *b, Str body)
{
	struct cursor c = cursor_of(body);
	size_t count = 0;

	for (;;) {
		Str word;

		mime_lexer_skip(&c);
		word = mime_lexer_token(&c);
		if (word.n == 0)
			break;
		buf_put_char(b, count++ == 0 ? '(' : ' ');
		mime_text_write(b, word);
		mime_lexer_skip(&c);
		if (!cursor_take_char(&c, ','))
			break;
	}
	buf_put(b, count == 0 ? S("NIL") : S(")"));
}

/* SP body-fld-dsp SP body-fld-lang SP body-fld-loc */
static Err
put_extensions(struct writer *w, const struct mime_part *part)
{
	const Str *fields = part->header.fields;

	buf_put_char(w->b, ' ');
	TRY(put_disposition(w, fields[MIME_CONTENT_DISPOSITION]));
	buf_put_char(w->b, ' ');
	put_language(w->b, fields[MIME_CONTENT_LANGUAGE]);
	buf_put_char(w->b, ' ');
	mime_text_write_field(w->b, fields[MIME_CONTENT_LOCATION]);
	return OK;
}

/* media type and body-fields */
static void
put_basic(struct writer *w, const struct mime_part *part)
{
	const Str *fields = part->header.fields;

	mime_text_write(w->b, part->type);
	buf_put_char(w->b, ' ');
	mime_text_write(w->b, part->subtype);
	buf_put_char(w->b, ' ');
	put_params(w->b, part->params);
	buf_put_char(w->b, ' ');
	mime_text_write_field(w->b, fields[MIME_CONTENT_ID]);
	buf_put_char(w->b, ' ');
	mime_text_write_field(w->b, fields[MIME_CONTENT_DESCRIPTION]);
	buf_put_char(w->b, ' ');
	put_encoding(w->b, fields[MIME_CONTENT_ENCODING]);
	buf_put_char(w->b, ' ');
	buf_put_u64(w->b, mime_part_wire_size(part->body_size, part->body_lines, w->raw));
}

/*
 * body = "(" (body-type-1part / body-type-mpart) ")"
 * NOLINTNEXTLINE(misc-no-recursion): a tree is at most MIME_DEPTH_MAX deep.
 */
static Err
put_part(struct writer *w, const struct mime_part *part)
{
	buf_put_char(w->b, '(');
	if (part->kind == MIME_MULTIPART) {
		for (const struct mime_part *at = part->child; at != NULL; at = at->next)
			TRY(put_part(w, at));
		buf_put_char(w->b, ' ');
		mime_text_write(w->b, part->subtype);
		buf_put_char(w->b, ' ');
		put_params(w->b, part->params);
	} else {
		put_basic(w, part);
		if (part->kind == MIME_MESSAGE) {
			buf_put_char(w->b, ' ');
			TRY(mime_envelope_write(w->b, &part->child->header, w->scratch));
			buf_put_char(w->b, ' ');
			TRY(put_part(w, part->child));
		}
		if (part->kind != MIME_LEAF) {
			buf_put_char(w->b, ' ');
			buf_put_u64(w->b, part->body_lines);
		}
		buf_put_char(w->b, ' ');
		mime_text_write_field(w->b, part->header.fields[MIME_CONTENT_MD5]);
	}
	TRY(put_extensions(w, part));
	buf_put_char(w->b, ')');
	return OK;
}

Err
mime_structure_write(struct buf *b, const struct mime_part *root, bool raw,
	struct arena *scratch)
{
	struct writer w = { .b = b, .scratch = scratch, .raw = raw };

	TRY(put_part(&w, root));
	return buf_check(b);
}

/*
 * Passes over one value: a string, number, NIL or list of values. Lists in a list are parameters,
 * addresses and parts: MIME_DEPTH_MAX messages inside one another, each with its list of parts.
 */
static Str
skip_value(struct cursor *c)
{
	Str start = c->rest;
	size_t depth = 0;

	do {
		if (cursor_take_char(c, '('))
			depth++;
		else if (depth > 0 && cursor_take_char(c, ')'))
			depth--;
		else if (depth == 0 || !cursor_take_char(c, ' '))
			mime_text_skip(c);
	} while (depth > 0 && !c->bad);
	return str_part(start, 0, start.n - c->rest.n);
}

static void
copy_values(struct buf *b, struct cursor *c, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		cursor_need_char(c, ' ');
		buf_put_char(b, ' ');
		buf_put(b, skip_value(c));
	}
}

static void
skip_rest(struct cursor *c)
{
	while (!c->bad && cursor_take_char(c, ' '))
		skip_value(c);
	cursor_need_char(c, ')');
}

/* NOLINTNEXTLINE(misc-no-recursion): goes no deeper than 2 * MIME_DEPTH_MAX. */
static void
copy_part(struct buf *b, struct cursor *c, size_t depth)
{
	if (depth > 2 * MIME_DEPTH_MAX)
		c->bad = true;
	cursor_need_char(c, '(');
	buf_put_char(b, '(');
	if (cursor_peek(c) == '(') {
		while (cursor_peek(c) == '(')
			copy_part(b, c, depth + 1);
		copy_values(b, c, 1);
	} else {
		Str type = mime_text_skip(c);
		Str subtype;

		buf_put(b, type);
		cursor_need_char(c, ' ');
		subtype = skip_value(c);
		buf_put_char(b, ' ');
		buf_put(b, subtype);
		copy_values(b, c, 5);
		if (str_eq_icase(type, S("\"message\"")) &&
			(str_eq_icase(subtype, S("\"rfc822\"")) ||
				str_eq_icase(subtype, S("\"global\"")))) {
			copy_values(b, c, 1);
			cursor_need_char(c, ' ');
			buf_put_char(b, ' ');
			copy_part(b, c, depth + 1);
			copy_values(b, c, 1);
		} else if (str_eq_icase(type, S("\"text\""))) {
			copy_values(b, c, 1);
		}
	}
	skip_rest(c);
	buf_put_char(b, ')');
}

Err
mime_structure_write_body(struct buf *b, Str structure)
{
	struct cursor c = cursor_of(structure);

	copy_part(b, &c, 0);
	if (c.bad || c.rest.n > 0)
		return fail(ERR_PEER, "not a body structure");
	return buf_check(b);
}
