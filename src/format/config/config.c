/* SPDX-License-Identifier: ISC */
#include "format/config/config.h"

#include <stdio.h>

enum {
	ERROR_TEXT_MAX = 400, /* octets */
};

/* Where the reader is. A column counts characters: continuation octets of UTF-8 add nothing. */
struct reader {
	struct cursor c;
	struct arena *arena;
	struct config_errors *errors;
	uint32_t line, column;
};

/* Where the next statement goes, and the block it is in. */
struct block {
	struct config_entry **end;
	struct config_entry *owner;
};

void
config_errors_add(struct config_errors *errors, uint32_t line, uint32_t column,
	const char *format, ...)
{
	AUTO_BUF text = BUF_INIT(ERROR_TEXT_MAX * 4);
	struct config_error **at = &errors->first;
	struct config_error *e;
	va_list args;

	while (*at != NULL &&
		((*at)->line < line || ((*at)->line == line && (*at)->column < column)))
		at = &(*at)->next;
	if (line > 0 && *at != NULL && (*at)->line == line && (*at)->column == column)
		return;
	errors->n++;
	if (errors->n > CONFIG_ERRORS_MAX)
		return;
	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	buf_cut(&text, ERROR_TEXT_MAX);
	for (size_t i = 0; i < text.n; i++)
		if ((unsigned char)text.p[i] < ' ' || text.p[i] == 0x7f)
			text.p[i] = '?';
	e = arena_try(errors->arena, sizeof(*e));
	if (e == NULL || failed(arena_copy(errors->arena, buf_view(&text), &e->text)))
		return;
	e->line = line;
	e->column = column;
	e->next = *at;
	*at = e;
}

void
config_errors_write(const struct config_errors *errors, Str file, struct buf *b)
{
	uint32_t shown = 0;

	for (const struct config_error *e = errors->first; e != NULL; e = e->next) {
		buf_put(b, file);
		if (e->line > 0)
			buf_printf(b, ":%u:%u", e->line, e->column);
		buf_printf(b, ": %.*s\n", STR_ARG(e->text));
		shown++;
	}
	if (errors->n > shown)
		buf_printf(b, "%.*s: and %u more\n", STR_ARG(file), errors->n - shown);
}

static int
next(struct reader *r)
{
	int c = cursor_next(&r->c);

	if (c == '\n') {
		r->line++;
		r->column = 1;
	} else if (c >= 0 && (c & 0xc0) != 0x80) {
		r->column++;
	}
	return c;
}

static bool
is_control(int c)
{
	return (c >= 0 && c < ' ' && c != '\t' && c != '\r') || c == 0x7f;
}

static bool
is_word(int c)
{
	return c > ' ' && c != 0x7f && c != '"' && c != '{' && c != '}' && c != ';';
}

static void
skip_blanks(struct reader *r)
{
	for (;;) {
		int c = cursor_peek(&r->c);

		if (c == '#')
			while ((c = cursor_peek(&r->c)) >= 0 && c != '\n')
				next(r);
		if (c != ' ' && c != '\t' && c != '\r')
			return;
		next(r);
	}
}

/* Without its backslashes. */
static Err
unescape(struct arena *a, Str raw, Str *ret)
{
	AUTO_BUF plain = BUF_INIT(raw.n);
	struct cursor c = cursor_of(raw);

	while (!cursor_done(&c)) {
		cursor_take_char(&c, '\\');
		buf_put_char(&plain, (char)cursor_next(&c));
	}
	return arena_copy(a, buf_view(&plain), ret);
}

/* `"` *( any but control, `"` and `\` / `\"` / `\\` ) `"` */
static Err
read_quoted(struct reader *r, struct config_word *word)
{
	Str from = (next(r), r->c.rest);
	bool escapes = false;
	size_t n = 0;

	word->quoted = true;
	for (;; n++) {
		int c = cursor_peek(&r->c);

		if (c < 0 || c == '\n') {
			config_errors_add(r->errors, word->line, word->column,
				"this text has no closing \"");
			break;
		}
		if (c == '"') {
			next(r);
			break;
		}
		if (is_control(c))
			config_errors_add(r->errors, r->line, r->column,
				"control character in a text (code %d)", c);
		next(r);
		if (c != '\\')
			continue;
		c = cursor_peek(&r->c);
		if (c != '"' && c != '\\') {
			config_errors_add(r->errors, r->line, r->column,
				"after \\ comes \" or \\ only");
			continue;
		}
		escapes = true;
		next(r);
		n++;
	}
	word->text = str_part(from, 0, n);
	return escapes ? unescape(r->arena, word->text, &word->text) : OK;
}

static Err
read_word(struct reader *r, struct config_word *word)
{
	Str from = r->c.rest;
	size_t n = 0;

	word->line = r->line;
	word->column = r->column;
	if (cursor_peek(&r->c) == '"')
		return read_quoted(r, word);
	while (is_word(cursor_peek(&r->c))) {
		next(r);
		n++;
	}
	word->text = str_part(from, 0, n);
	return OK;
}

/* word *word, up to what ends a statement or begins its block. */
static Err
read_statement(struct reader *r, struct config_entry **ret)
{
	struct config_entry *entry = arena_try(r->arena, sizeof(*entry));
	struct config_word **end;

	if (entry == NULL)
		return fail(ERR_LIMIT, "configuration is too large");
	TRY(read_word(r, &entry->name));
	if (entry->name.quoted)
		config_errors_add(r->errors, entry->name.line, entry->name.column,
			"a statement begins with a word without quotes");
	end = &entry->args;
	for (;;) {
		skip_blanks(r);
		if (!is_word(cursor_peek(&r->c)) && cursor_peek(&r->c) != '"')
			break;
		*end = arena_try(r->arena, sizeof(**end));
		if (*end == NULL)
			return fail(ERR_LIMIT, "configuration is too large");
		TRY(read_word(r, *end));
		end = &(*end)->next;
	}
	*ret = entry;
	return OK;
}

static Err
read_one(struct reader *r, struct block *open, size_t *depth)
{
	struct config_entry *entry;
	int c = cursor_peek(&r->c);

	if (c == '\n' || c == ';') {
		next(r);
		return OK;
	}
	if (c == '}') {
		if (*depth == 0)
			config_errors_add(r->errors, r->line, r->column,
				"} without a { before it");
		else
			--*depth;
		next(r);
		return OK;
	}
	if (c == '{') {
		config_errors_add(r->errors, r->line, r->column,
			"{ must stand on the line of the word it belongs to");
		next(r);
		return OK;
	}
	if (!is_word(c) && c != '"') {
		config_errors_add(r->errors, r->line, r->column, "control character (code %d)",
			c);
		next(r);
		return OK;
	}
	TRY(read_statement(r, &entry));
	*open[*depth].end = entry;
	open[*depth].end = &entry->next;
	if (cursor_peek(&r->c) != '{')
		return OK;
	entry->block = true;
	if (*depth + 1 > CONFIG_DEPTH_MAX) {
		config_errors_add(r->errors, r->line, r->column,
			"more than %d blocks within one another", CONFIG_DEPTH_MAX);
		return fail(ERR_PEER, "configuration is nested too deep");
	}
	next(r);
	++*depth;
	open[*depth] = (struct block){ &entry->first, entry };
	return OK;
}

/* The version comes first, so that a later grammar can be told from this one. */
static void
check_version(const struct config_tree *tree, Str word, struct config_errors *errors)
{
	const struct config_entry *first = tree->first;
	uint64_t version;

	if (first == NULL)
		return;
	if (!str_eq(first->name.text, word)) {
		config_errors_add(errors, first->name.line, first->name.column,
			"the first line must be: %.*s %d", STR_ARG(word), CONFIG_VERSION);
		return;
	}
	if (first->args == NULL || first->args->next != NULL || first->block) {
		config_errors_add(errors, first->name.line, first->name.column,
			"write: %.*s %d", STR_ARG(word), CONFIG_VERSION);
		return;
	}
	if (!str_to_u64(first->args->text, UINT32_MAX, &version) || version != CONFIG_VERSION)
		config_errors_add(errors, first->args->line, first->args->column,
			"this program reads %.*s %d, not \"%.*s\"", STR_ARG(word),
			CONFIG_VERSION, STR_ARG(first->args->text));
}

Err
config_parse_as(Str first_word, Str text, struct arena *a, struct config_tree *ret,
	struct config_errors *errors)
{
	struct reader r = { cursor_of(text), a, errors, 1, 1 };
	struct block open[CONFIG_DEPTH_MAX + 1] = { { &ret->first, NULL } };
	uint32_t before = errors->n;
	size_t depth = 0;

	ret->first = NULL;
	cursor_take_str(&r.c, S("\xef\xbb\xbf")); /* some editors put a byte order mark */
	for (skip_blanks(&r); !cursor_done(&r.c); skip_blanks(&r))
		TRY(read_one(&r, open, &depth));
	if (depth > 0)
		config_errors_add(errors, open[depth].owner->name.line,
			open[depth].owner->name.column,
			"the block of \"%.*s\" has no closing }",
			STR_ARG(open[depth].owner->name.text));
	check_version(ret, first_word, errors);
	return errors->n == before ? OK : fail(ERR_PEER, "configuration has errors");
}

Err
config_parse(Str text, struct arena *a, struct config_tree *ret, struct config_errors *errors)
{
	if (text.n <= CONFIG_TEXT_MAX)
		return config_parse_as(S("config-version"), text, a, ret, errors);
	config_errors_add(errors, 0, 0, "longer than %d octets", CONFIG_TEXT_MAX);
	ret->first = NULL;
	return fail(ERR_PEER, "configuration is too long");
}

void
config_write_word(Str word, struct buf *b)
{
	bool quote = word.n == 0 || str_at(word, 0) == '#';

	for (size_t i = 0; i < word.n; i++)
		quote = quote || !is_word(str_at(word, i));
	if (!quote) {
		buf_put(b, word);
		return;
	}
	buf_put_char(b, '"');
	for (size_t i = 0; i < word.n; i++) {
		char c = (char)str_at(word, i);

		if (c == '"' || c == '\\')
			buf_put_char(b, '\\');
		buf_put_char(b, c);
	}
	buf_put_char(b, '"');
}

static void
write_indent(size_t depth, struct buf *b)
{
	for (size_t i = 0; i < depth; i++)
		buf_put_char(b, '\t');
}

static void /* NOLINTNEXTLINE(misc-no-recursion): at most CONFIG_DEPTH_MAX */
write_entries(const struct config_entry *entry, size_t depth, struct buf *b)
{
	for (; entry != NULL; entry = entry->next) {
		write_indent(depth, b);
		config_write_word(entry->name.text, b);
		for (const struct config_word *w = entry->args; w != NULL; w = w->next) {
			buf_put_char(b, ' ');
			config_write_word(w->text, b);
		}
		if (entry->block) {
			buf_put(b, S(" {\n"));
			write_entries(entry->first, depth + 1, b);
			write_indent(depth, b);
			buf_put_char(b, '}');
		}
		buf_put_char(b, '\n');
	}
}

void
config_write(const struct config_tree *tree, struct buf *b)
{
	write_entries(tree->first, 0, b);
}
