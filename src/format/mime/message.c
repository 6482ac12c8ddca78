/* SPDX-License-Identifier: ISC */
/*
 * One pass, line by line, with a stack of the boundaries that are open. A line that begins with
 * "--" is compared with all of them, innermost first: that of an outer part ends all inner ones,
 * closed or not. The line end before a boundary belongs to the boundary (RFC 2046, 5.1.1).
 */
#include "format/mime/message.h"

#include "format/mime/lexer.h"

enum {
	NO_LEVEL = -1,
};

/* Where a body ended: before the boundary of `level`, or at the end of the message. */
struct stop {
	int level;
	bool close;       /* "--boundary--" */
	size_t at, lines; /* where the boundary's line begins; LFs before it */
};

static const struct mime_param us_ascii = { .name = S("charset"), .value = S("us-ascii") };

struct reader {
	Str message;
	struct cursor c;
	size_t lines; /* LFs before the cursor */
	struct arena *arena;
	size_t parts;
	Str boundaries[MIME_DEPTH_MAX];
	int depth;
};

static size_t
offset(const struct reader *r)
{
	return r->message.n - r->c.rest.n;
}

/* Octets of the line end that s ends with. */
static size_t
line_end_size(Str s)
{
	return str_ends(s, S("\r\n")) ? 2 : str_ends(s, S("\n")) ? 1 : 0;
}

/* The level of the boundary that this line is, or NO_LEVEL. Blanks may follow a boundary. */
static int
boundary_level(const struct reader *r, Str line, bool *ret_close)
{
	if (!str_starts(line, S("--")))
		return NO_LEVEL;
	for (int level = r->depth - 1; level >= 0; level--) {
		Str rest = str_from_at(line, 2);

		if (!str_starts(rest, r->boundaries[level]))
			continue;
		rest = str_from_at(rest, r->boundaries[level].n);
		*ret_close = str_starts(rest, S("--"));
		if (*ret_close || str_trim(rest).n == 0)
			return level;
	}
	return NO_LEVEL;
}

static void
skip_line(struct reader *r)
{
	cursor_until(&r->c, '\n');
	r->lines += cursor_take_char(&r->c, '\n');
}

/* Reads a body, or what stands around the parts of a multipart, up to a boundary or the end. */
static struct stop
skip_body(struct reader *r)
{
	struct stop stop = { .level = NO_LEVEL };

	while (stop.level == NO_LEVEL && !cursor_done(&r->c)) {
		struct cursor line = r->c;

		if (r->depth > 0 && cursor_peek(&r->c) == '-')
			stop.level = boundary_level(r, cursor_line(&line), &stop.close);
		stop.at = offset(r);
		stop.lines = r->lines;
		skip_line(r);
	}
	if (stop.level == NO_LEVEL) {
		stop.at = r->message.n;
		stop.lines = r->lines;
	}
	return stop;
}

/* Takes a header with its empty line, or up to a boundary, which is left for skip_body. */
static void
read_header(struct reader *r, struct mime_part *part)
{
	Str before = r->c.rest;
	size_t lines = r->lines;
	struct cursor fields;
	bool more = true, cut = false;

	part->header_at = offset(r);
	while (more && !cursor_done(&r->c)) {
		struct cursor c = r->c;
		Str line = cursor_line(&c);
		bool close;

		cut = r->depth > 0 && boundary_level(r, line, &close) != NO_LEVEL;
		if (cut)
			break;
		more = line.n > 0;
		r->lines += str_at(before, before.n - c.rest.n - 1) == '\n';
		r->c = c;
	}
	part->header_size = before.n - r->c.rest.n;
	part->header_lines = r->lines - lines;
	if (cut && part->header_size > 0) {
		part->header_lines--;
		part->header_size -= line_end_size(str_part(before, 0, part->header_size));
	}
	part->body_at = part->header_at + part->header_size;
	fields = cursor_of(str_part(before, 0, part->header_size));
	mime_header_read(&fields, &part->header);
}

/* parameter = attribute "=" value (RFC 2045, 5.1). False at the end of what can be read. */
static Err
read_param(struct cursor *c, struct arena *arena, struct mime_param *ret, bool *ret_some)
{
	AUTO_BUF value = BUF_INIT(c->rest.n + 1);

	*ret_some = false;
	mime_lexer_skip(c);
	while (cursor_take_char(c, ';'))
		mime_lexer_skip(c);
	ret->name = mime_lexer_token(c);
	mime_lexer_skip(c);
	if (ret->name.n == 0 || !cursor_take_char(c, '='))
		return OK;
	mime_lexer_skip(c);
	if (cursor_peek(c) == '"') {
		mime_lexer_quoted(c, &value);
		TRY(arena_copy(arena, buf_view(&value), &ret->value));
	} else {
		/* unquoted values with "/", "?" or "=" are common; they end at a blank or ";" */
		Str rest = c->rest;

		while (!cursor_done(c) && cursor_peek(c) > ' ' && cursor_peek(c) != ';')
			cursor_next(c);
		ret->value = str_part(rest, 0, rest.n - c->rest.n);
	}
	*ret_some = true;
	return OK;
}

static Err
read_params(struct cursor *c, struct arena *arena, const struct mime_param **ret)
{
	const struct mime_param **end = ret;

	*ret = NULL;
	for (size_t count = 0; count < MIME_PARAMS_MAX; count++) {
		struct mime_param value = { 0 }, *param;
		bool some;

		TRY(read_param(c, arena, &value, &some));
		if (!some)
			return OK;
		param = arena_try(arena, sizeof(*param));
		if (param == NULL)
			return fail(ERR_LIMIT, "too many parameters");
		*param = value;
		*end = param;
		end = &param->next;
	}
	return OK;
}

Err
mime_param_parse(Str body, struct arena *arena, Str *ret_word, const struct mime_param **ret)
{
	struct cursor c = cursor_of(str_part(body, 0, MIME_HEADER_MAX));

	mime_lexer_skip(&c);
	*ret_word = mime_lexer_token(&c);
	return read_params(&c, arena, ret);
}

Str
mime_param_get(const struct mime_param *first, Str name)
{
	for (const struct mime_param *p = first; p != NULL; p = p->next)
		if (str_eq_icase(p->name, name))
			return p->value;
	return (Str){ 0 };
}

/* content = "Content-Type" ":" type "/" subtype *(";" parameter); text/plain when unreadable */
static Err
read_type(struct reader *r, struct mime_part *part)
{
	Str body = part->header.fields[MIME_CONTENT_TYPE];
	struct cursor c = cursor_of(body);
	bool digest = part->parent != NULL && part->parent->kind == MIME_MULTIPART &&
		      str_eq_icase(part->parent->subtype, S("digest"));

	part->type = digest ? S("message") : S("text");
	part->subtype = digest ? S("rfc822") : S("plain");
	part->params = digest ? NULL : &us_ascii;
	if (body.n > 0) {
		Str type, subtype;

		mime_lexer_skip(&c);
		type = mime_lexer_token(&c);
		mime_lexer_skip(&c);
		cursor_need_char(&c, '/');
		mime_lexer_skip(&c);
		subtype = mime_lexer_token(&c);
		if (!c.bad && type.n > 0 && subtype.n > 0) {
			part->type = type;
			part->subtype = subtype;
			return read_params(&c, r->arena, &part->params);
		}
	}
	return OK;
}

/* What cannot be taken apart is shown as what it can be shown as. */
static void
make_leaf(struct mime_part *part, enum mime_kind kind)
{
	part->kind = kind;
	part->type = kind == MIME_TEXT ? S("text") : S("application");
	part->subtype = kind == MIME_TEXT ? S("plain") : S("octet-stream");
	part->params = NULL;
}

static void
set_kind(const struct reader *r, struct mime_part *part, size_t depth)
{
	bool deeper = depth < MIME_DEPTH_MAX && r->parts < MIME_PARTS_MAX;

	part->kind = str_eq_icase(part->type, S("text")) ? MIME_TEXT : MIME_LEAF;
	if (str_eq_icase(part->type, S("multipart"))) {
		size_t boundary = mime_param_get(part->params, S("boundary")).n;

		if (deeper && boundary > 0 && boundary <= MIME_BOUNDARY_MAX)
			part->kind = MIME_MULTIPART;
		else
			make_leaf(part, MIME_TEXT);
	} else if (str_eq_icase(part->type, S("message")) &&
		   (str_eq_icase(part->subtype, S("rfc822")) ||
			   str_eq_icase(part->subtype, S("global")))) {
		if (deeper)
			part->kind = MIME_MESSAGE;
		else
			make_leaf(part, MIME_LEAF);
	}
}

static Err
add_part(struct reader *r, struct mime_part *parent, struct mime_part **ret)
{
	struct mime_part *part = arena_try(r->arena, sizeof(*part));

	if (part == NULL)
		return fail(ERR_LIMIT, "too many parts");
	r->parts++;
	part->parent = parent;
	*ret = part;
	return OK;
}

/*
 * A body ends before the line end that belongs to the boundary, if it has any. `last`: the last
 * part in it, which may have kept that line end as the empty line behind its header.
 */
static void
end_body(const struct reader *r, struct mime_part *part, const struct mime_part *last,
	const struct stop *stop, size_t lines_before)
{
	Str body = str_part(r->message, part->body_at, stop->at - part->body_at);

	part->body_size = body.n;
	part->body_lines = stop->lines - lines_before;
	if (stop->level != NO_LEVEL && body.n > 0) {
		part->body_size -= line_end_size(body);
		part->body_lines--;
	}
	if (last != NULL && last->body_at + last->body_size > part->body_at + part->body_size) {
		part->body_size = body.n;
		part->body_lines++;
	}
}

/*
 * Reads a part whose first octet is at the cursor, and all parts in it.
 * NOLINTNEXTLINE(misc-no-recursion): set_kind lets it go MIME_DEPTH_MAX deep.
 */
static Err
read_part(struct reader *r, struct mime_part *part, size_t depth, struct stop *ret)
{
	struct mime_part **end = &part->child, *last = NULL;
	int level = r->depth;
	size_t lines = r->lines;

	read_header(r, part);
	lines += part->header_lines;
	TRY(read_type(r, part));
	set_kind(r, part, depth);
	if (part->kind == MIME_MESSAGE) {
		TRY(add_part(r, part, end));
		TRY(read_part(r, part->child, depth + 1, ret));
		end_body(r, part, part->child, ret, lines);
		return OK;
	}
	if (part->kind == MIME_MULTIPART)
		r->boundaries[r->depth++] = mime_param_get(part->params, S("boundary"));
	*ret = skip_body(r);
	while (ret->level == level && !ret->close && r->parts < MIME_PARTS_MAX) {
		TRY(add_part(r, part, end));
		last = *end;
		TRY(read_part(r, last, depth + 1, ret));
		end = &last->next;
	}
	r->depth = level;
	if (ret->level >= level)
		*ret = skip_body(r); /* behind the last part */
	if (part->kind == MIME_MULTIPART && part->child == NULL)
		make_leaf(part, MIME_TEXT);
	end_body(r, part, last, ret, lines);
	return OK;
}

Err
mime_message_parse(Str message, struct arena *arena, struct mime_part **ret)
{
	struct reader r = { .message = message, .c = cursor_of(message), .arena = arena };
	struct mime_part *root;
	struct stop stop;

	TRY(add_part(&r, NULL, &root));
	TRY(read_part(&r, root, 1, &stop));
	*ret = root;
	return OK;
}

size_t
mime_part_wire_size(size_t size, size_t lines, bool raw)
{
	return raw ? size : size + lines;
}

const struct mime_part *
mime_part_find(const struct mime_part *root, const uint32_t *numbers, size_t count)
{
	const struct mime_part *in = root; /* the part whose parts are counted */
	const struct mime_part *at = root;

	for (size_t i = 0; i < count; i++) {
		if (i > 0 && at->kind != MIME_MULTIPART && at->kind != MIME_MESSAGE)
			return NULL;
		if (i > 0)
			in = at->kind == MIME_MESSAGE ? at->child : at;
		at = in;
		if (in->kind != MIME_MULTIPART) {
			/* a message with one part has that as number 1 */
			if (numbers[i] != 1)
				return NULL;
			continue;
		}
		at = in->child;
		for (uint32_t n = 1; at != NULL && n < numbers[i]; n++)
			at = at->next;
		if (at == NULL || numbers[i] == 0)
			return NULL;
	}
	return at;
}
