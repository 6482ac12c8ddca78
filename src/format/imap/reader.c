/* SPDX-License-Identifier: ISC */
/*
 * A command is lines and literals in turn. A line that ends in "{n}" or "{n+}" announces a
 * literal; the line behind the literal continues the command. What goes over a limit is eaten in
 * the same rhythm, without being kept, so that its octets are never taken for commands.
 */
#include "format/imap/reader.h"

enum {
	KEEP_TEXT = 16 * 1024, /* memory kept between commands */
	DIGITS_MAX = 20,       /* of a literal's size; more would be padding with zeros */
};

/* number64 (RFC 9051, 9): up to 2^63 - 1. */
static const uint64_t number64_max = INT64_MAX;

void
imap_reader_init(struct imap_reader *r, size_t line_max, size_t literal_max)
{
	*r = (struct imap_reader){
		.text = BUF_INIT(line_max + literal_max),
		.line_max = line_max,
		.literal_max = literal_max,
	};
}

void
imap_reader_done(struct imap_reader *r)
{
	buf_done(&r->text);
}

Str
imap_reader_text(const struct imap_reader *r)
{
	return buf_view(&r->text);
}

struct imap_literal
imap_reader_literal(const struct imap_reader *r)
{
	return r->literal;
}

static enum imap_event
end_with(struct imap_reader *r, enum imap_event event)
{
	r->state = IMAP_READER_ENDED;
	r->end = event;
	return event;
}

/*
 * literal = "{" number64 ["+"] "}" CRLF *CHAR8 ; literal8 = "~{" ...
 *
 * line  with its CRLF.
 * cut   its beginning is missing, maybe the brace too.
 *
 * False when nothing is announced at its end.
 */
static bool
find_literal(Str line, bool cut, struct imap_literal *ret)
{
	struct imap_literal literal = { .sync = true };
	Str digits = { 0 };
	size_t at;

	if (!str_ends(line, S("}\r\n")))
		return false;
	line.n -= 3;
	if (str_ends(line, S("+"))) {
		literal.sync = false;
		line.n--;
	}
	for (at = line.n; at > 0 && char_is_digit(str_at(line, at - 1)); at--)
		;
	digits = str_from_at(line, at);
	if (digits.n == 0 || (str_at(line, at - 1) != '{' && !(cut && digits.n > DIGITS_MAX)))
		return false;
	literal.binary = at > 1 && str_at(line, at - 2) == '~';
	literal.malformed =
		digits.n > DIGITS_MAX || !str_to_u64(digits, number64_max, &literal.size);
	if (literal.malformed)
		literal.size = UINT64_MAX;
	*ret = literal;
	return true;
}

/* A literal whose octets are to be thrown away. */
static enum imap_event
skip_literal(struct imap_reader *r, const struct imap_literal *literal)
{
	if (literal->sync)
		return end_with(r, IMAP_READ_LONG); /* it is never sent */
	if (literal->size > IMAP_DISCARD_MAX - r->discarded)
		return end_with(r, IMAP_READ_BROKEN);
	r->left = literal->size;
	r->state = IMAP_READER_SKIP_LITERAL;
	return IMAP_READ_MORE;
}

/* A whole line is in the text. */
static enum imap_event
end_line(struct imap_reader *r)
{
	Str line = str_from_at(buf_view(&r->text), r->line_at);

	if (find_literal(line, false, &r->literal)) {
		r->state = IMAP_READER_ASK;
		return IMAP_READ_LITERAL;
	}
	return end_with(r, IMAP_READ_COMMAND);
}

static void
keep_tail(struct imap_reader *r, Str part)
{
	Str end = str_from_at(part, part.n > sizeof(r->tail) ? part.n - sizeof(r->tail) : 0);

	if (r->tail_n + end.n > sizeof(r->tail)) {
		size_t drop = r->tail_n + end.n - sizeof(r->tail);

		memmove(r->tail, r->tail + drop, r->tail_n - drop);
		r->tail_n -= drop;
	}
	memcpy(r->tail + r->tail_n, end.p, end.n);
	r->tail_n += end.n;
}

static enum imap_event
feed_line(struct imap_reader *r, struct cursor *in)
{
	size_t lf = str_find(in->rest, '\n');
	size_t length = lf == STR_NONE ? in->rest.n : lf + 1, room = r->line_max - r->lines;
	Str part = cursor_take(in, length > room ? room : length);

	r->lines += part.n;
	buf_put(&r->text, part);
	if (length > room) {
		/* What is in the text stays there: it begins with the tag. */
		keep_tail(r, str_from_at(buf_view(&r->text), r->line_at));
		r->state = IMAP_READER_SKIP_LINE;
		return IMAP_READ_MORE;
	}
	return lf == STR_NONE ? IMAP_READ_MORE : end_line(r);
}

static enum imap_event
feed_skip_line(struct imap_reader *r, struct cursor *in)
{
	size_t lf = str_find(in->rest, '\n');
	Str part = cursor_take(in, lf == STR_NONE ? in->rest.n : lf + 1);
	struct imap_literal literal;

	if (part.n > IMAP_DISCARD_MAX - r->discarded)
		return end_with(r, IMAP_READ_BROKEN);
	r->discarded += part.n;
	keep_tail(r, part);
	if (lf == STR_NONE)
		return IMAP_READ_MORE;
	if (find_literal((Str){ r->tail, r->tail_n }, true, &literal))
		return skip_literal(r, &literal);
	return end_with(r, IMAP_READ_LONG);
}

static enum imap_event
feed_literal(struct imap_reader *r, struct cursor *in)
{
	Str part = cursor_take(in, in->rest.n < r->left ? in->rest.n : (size_t)r->left);

	r->left -= part.n;
	if (r->state == IMAP_READER_SKIP_LITERAL)
		r->discarded += part.n;
	else
		buf_put(&r->text, part);
	if (r->left > 0)
		return IMAP_READ_MORE;
	r->line_at = r->text.n;
	r->tail_n = 0;
	r->state =
		r->state == IMAP_READER_SKIP_LITERAL ? IMAP_READER_SKIP_LINE : IMAP_READER_LINE;
	return IMAP_READ_MORE;
}

enum imap_event
imap_reader_feed(struct imap_reader *r, Str in, size_t *ret_used)
{
	struct cursor c = cursor_of(in);
	enum imap_event event = IMAP_READ_MORE;

	while (event == IMAP_READ_MORE) {
		if (r->state == IMAP_READER_ENDED) {
			event = r->end;
			break;
		}
		if (r->state == IMAP_READER_ASK) {
			event = IMAP_READ_LITERAL;
			break;
		}
		if (c.rest.n == 0)
			break;
		if (r->state == IMAP_READER_LINE)
			event = feed_line(r, &c);
		else if (r->state == IMAP_READER_SKIP_LINE)
			event = feed_skip_line(r, &c);
		else
			event = feed_literal(r, &c);
	}
	*ret_used = in.n - c.rest.n;
	return event;
}

bool
imap_reader_take(struct imap_reader *r)
{
	if (r->literal.size > r->literal_max - r->literals) {
		imap_reader_refuse(r);
		return false;
	}
	r->left = r->literal.size;
	r->literals += (size_t)r->literal.size;
	r->state = r->left > 0 ? IMAP_READER_IN_LITERAL : IMAP_READER_LINE;
	r->line_at = r->text.n;
	return true;
}

void
imap_reader_pass(struct imap_reader *r)
{
	r->line_at = r->text.n;
	r->state = IMAP_READER_LINE;
}

void
imap_reader_refuse(struct imap_reader *r)
{
	(void)skip_literal(r, &r->literal);
	if (r->state == IMAP_READER_SKIP_LITERAL && r->left == 0) {
		r->state = IMAP_READER_SKIP_LINE;
		r->tail_n = 0;
	}
}

void
imap_reader_next(struct imap_reader *r)
{
	if (r->text.cap > KEEP_TEXT)
		buf_done(&r->text);
	buf_reset(&r->text);
	r->lines = r->literals = r->discarded = r->line_at = r->tail_n = 0;
	r->state = IMAP_READER_LINE;
}
