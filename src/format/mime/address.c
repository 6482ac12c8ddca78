/* SPDX-License-Identifier: ISC */
#include "format/mime/address.h"

#include "format/mime/lexer.h"

struct reader {
	struct cursor c;
	struct arena *arena;
	struct buf words;   /* the phrase or local part read last */
	struct buf comment; /* the comment read last */
	struct buf other;   /* route, domain */
	struct mime_address *first, *last;
	size_t count;
	bool in_group;
};

static Err
add(struct reader *r, const struct mime_address *value)
{
	struct mime_address *at;

	if (r->count++ >= MIME_ADDRESS_MAX)
		return OK;
	at = arena_try(r->arena, sizeof(*at));
	if (at == NULL)
		return fail(ERR_LIMIT, "too many addresses");
	*at = *value;
	at->next = NULL;
	if (r->last == NULL)
		r->first = at;
	else
		r->last->next = at;
	r->last = at;
	return OK;
}

/*
 * phrase and local-part alike: words, between which one blank is kept where there was one, as in
 * "John Q. Public". Stops at what is neither word nor blank nor comment.
 */
static void
read_words(struct reader *r)
{
	buf_reset(&r->words);
	buf_reset(&r->comment);
	for (;;) {
		size_t before = r->c.rest.n;
		bool apart;
		int ch;

		mime_lexer_skip_keep(&r->c, &r->comment);
		apart = r->c.rest.n < before && r->words.n > 0;
		ch = cursor_peek(&r->c);
		if (ch == '"') {
			if (apart)
				buf_put_char(&r->words, ' ');
			mime_lexer_quoted(&r->c, &r->words);
		} else {
			Str atom = mime_lexer_atom(&r->c);

			if (atom.n == 0)
				return;
			if (apart)
				buf_put_char(&r->words, ' ');
			buf_put(&r->words, atom);
		}
	}
}

/* Without the blanks that "anna . b @ example" may have (obs-local-part). */
static void
close_up(struct buf *b)
{
	size_t to = 0;

	for (size_t i = 0; i < b->n; i++) {
		bool at_dot =
			(to > 0 && b->p[to - 1] == '.') || (i + 1 < b->n && b->p[i + 1] == '.');

		if (b->p[i] != ' ' || !at_dot)
			b->p[to++] = b->p[i];
	}
	buf_cut(b, to);
}

/* "[" ... "]" */
static void
read_literal(struct reader *r)
{
	while (!cursor_done(&r->c)) {
		int ch = cursor_next(&r->c);

		if (ch == '\\' && r->c.rest.n > 0)
			ch = cursor_next(&r->c);
		if (ch > ' ' && ch != 127)
			buf_put_char(&r->other, (char)ch);
		if (ch == ']')
			return;
	}
}

/* domain = dot-atom / domain-literal, put behind what `other` holds */
static void
read_domain(struct reader *r)
{
	mime_lexer_skip_keep(&r->c, &r->comment);
	if (cursor_peek(&r->c) == '[') {
		read_literal(r);
		return;
	}
	for (;;) {
		Str atom = mime_lexer_atom(&r->c);
		bool dot = str_ends(atom, S("."));

		buf_put(&r->other, atom);
		mime_lexer_skip_keep(&r->c, &r->comment);
		/* obs-domain: "example . org" */
		if (atom.n == 0 || (!dot && cursor_peek(&r->c) != '.'))
			return;
	}
}

static Err
keep(struct reader *r, const struct buf *b, Str *ret)
{
	TRY(buf_check(b));
	return arena_copy(r->arena, buf_view(b), ret);
}

/* obs-route = "@" domain *("," "@" domain) ":" */
static Err
read_route(struct reader *r, Str *ret)
{
	buf_reset(&r->other);
	while (cursor_peek(&r->c) == '@' || cursor_peek(&r->c) == ',') {
		buf_put_char(&r->other, (char)cursor_next(&r->c));
		if (r->other.p[r->other.n - 1] == '@')
			read_domain(r);
		mime_lexer_skip(&r->c);
	}
	cursor_take_char(&r->c, ':');
	return r->other.n == 0 ? OK : keep(r, &r->other, ret);
}

/* The words read last are a local part; "@" domain may follow. */
static Err
read_spec(struct reader *r, struct mime_address *a)
{
	close_up(&r->words);
	TRY(keep(r, &r->words, &a->local));
	a->domain = S("");
	buf_reset(&r->other);
	if (!cursor_take_char(&r->c, '@'))
		return OK;
	read_domain(r);
	return keep(r, &r->other, &a->domain);
}

/* angle-addr, whose "<" is taken; `name` was read before. Anything up to ">" is passed over. */
static Err
read_angle(struct reader *r, struct mime_address *a)
{
	mime_lexer_skip(&r->c);
	TRY(read_route(r, &a->route));
	read_words(r);
	TRY(read_spec(r, a));
	while (!cursor_done(&r->c) && cursor_peek(&r->c) != '>' && cursor_peek(&r->c) != ',')
		cursor_next(&r->c);
	cursor_take_char(&r->c, '>');
	return OK;
}

static Err
read_group(struct reader *r)
{
	struct mime_address a = { .kind = MIME_ADDRESS_GROUP };

	TRY(keep(r, &r->words, &a.name));
	r->in_group = true;
	return add(r, &a);
}

static Err
end_group(struct reader *r)
{
	struct mime_address a = { .kind = MIME_ADDRESS_END };

	if (!r->in_group)
		return OK;
	r->in_group = false;
	return add(r, &a);
}

/* A name for an address without a phrase: "anna@example.org (Anna)". */
static Err
take_comment(struct reader *r, struct mime_address *a)
{
	mime_lexer_skip_keep(&r->c, &r->comment);
	return r->comment.n == 0 ? OK : keep(r, &r->comment, &a->name);
}

static Err
read_mailbox(struct reader *r)
{
	struct mime_address a = { .kind = MIME_ADDRESS_MAILBOX };

	if (cursor_take_char(&r->c, '<')) {
		if (r->words.n > 0)
			TRY(keep(r, &r->words, &a.name));
		buf_reset(&r->comment);
		TRY(read_angle(r, &a));
	} else {
		TRY(read_spec(r, &a));
	}
	if (a.name.p == NULL)
		TRY(take_comment(r, &a));
	return a.local.n == 0 && a.domain.n == 0 && a.name.n == 0 ? OK : add(r, &a);
}

/* One item of the list, or one character that fits nowhere. */
static Err
read_item(struct reader *r)
{
	int ch;

	read_words(r);
	ch = cursor_peek(&r->c);
	if (ch == ':' && !r->in_group) {
		cursor_next(&r->c);
		return read_group(r);
	}
	if (ch == '<' || ch == '@' || r->words.n > 0)
		return read_mailbox(r);
	if (ch == ';')
		TRY(end_group(r));
	if (ch >= 0)
		cursor_next(&r->c);
	return OK;
}

static Err
read_all(struct reader *r)
{
	while (!cursor_done(&r->c) && r->count < MIME_ADDRESS_MAX)
		TRY(read_item(r));
	return end_group(r);
}

Err
mime_address_parse(Str body, struct arena *arena, struct mime_address **ret)
{
	struct reader r = { .c = cursor_of(body), .arena = arena };
	Err e;

	r.words = r.comment = r.other = BUF_INIT(body.n + 1);
	e = read_all(&r);
	buf_done(&r.words);
	buf_done(&r.comment);
	buf_done(&r.other);
	TRY(e);
	*ret = r.first;
	return OK;
}

/* As a quoted string; what cannot stand in one is left out. */
static void
put_quoted(struct buf *b, Str s)
{
	buf_put_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_put_char(b, '\\');
		if (s.p[i] != '\r' && s.p[i] != '\n')
			buf_put_char(b, s.p[i]);
	}
	buf_put_char(b, '"');
}

/* Bare when it is one atom. */
static void
put_word(struct buf *b, Str s)
{
	struct cursor c = cursor_of(s);

	mime_lexer_atom(&c);
	if (s.n > 0 && c.rest.n == 0)
		buf_put(b, s);
	else
		put_quoted(b, s);
}

static void
put_mailbox(struct buf *b, const struct mime_address *a)
{
	bool angle = a->name.p != NULL || a->route.p != NULL;

	if (a->name.p != NULL)
		put_quoted(b, a->name);
	if (angle)
		buf_put(b, S(" <"));
	if (a->route.p != NULL) {
		buf_put(b, a->route);
		buf_put_char(b, ':');
	}
	put_word(b, a->local);
	if (a->domain.n > 0) {
		buf_put_char(b, '@');
		buf_put(b, a->domain);
	}
	if (angle)
		buf_put_char(b, '>');
}

void
mime_address_write(struct buf *b, const struct mime_address *first)
{
	bool comma = false;

	for (const struct mime_address *a = first; a != NULL; a = a->next) {
		if (comma && a->kind != MIME_ADDRESS_END)
			buf_put(b, S(", "));
		comma = a->kind != MIME_ADDRESS_GROUP;
		if (a->kind == MIME_ADDRESS_MAILBOX) {
			put_mailbox(b, a);
		} else if (a->kind == MIME_ADDRESS_GROUP) {
			put_quoted(b, a->name);
			buf_put(b, S(": "));
		} else {
			buf_put_char(b, ';');
		}
	}
}
