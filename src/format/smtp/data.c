/* SPDX-License-Identifier: ISC */
#include "format/smtp/data.h"

#include "base/utf8.h"

/*
 * The reader. Text goes through in runs between line ends, found with memchr; single octets are
 * looked at only behind a CR and at the start of a line:
 *
 *	START      at the start of a line, where a dot is special
 *	DOT        behind a dot at the start of a line
 *	DOT_CR     behind that dot and a CR: an LF ends the message
 *	TEXT       inside a line
 *	CR         behind a CR inside a line
 */
enum {
	START,
	DOT,
	DOT_CR,
	TEXT,
	CR,
};

void
smtp_data_init(struct smtp_data *d, bool dots, enum smtp_bare bare, uint64_t size_max)
{
	*d = (struct smtp_data){
		.dots = dots, .bare = bare, .size_max = size_max, .at = START
	};
}

static bool
refused(const struct smtp_data *d)
{
	return (d->faults & SMTP_DATA_TOO_LARGE) != 0 ||
	       (d->faults != 0 && d->bare == SMTP_BARE_REFUSE);
}

static void
put(struct smtp_data *d, Str s, size_t counted, struct buf *out)
{
	d->size += counted;
	if (d->size > d->size_max)
		d->faults |= SMTP_DATA_TOO_LARGE;
	if (!refused(d))
		buf_put(out, s);
}

/* `next` is START behind CRLF; behind a mended line end a dot is text like any other. */
static void
put_line_end(struct smtp_data *d, int next, struct buf *out)
{
	if (d->line > d->longest)
		d->longest = d->line;
	d->line = 0;
	d->at = next;
	put(d, S("\n"), 2, out);
}

/* Text without CR and LF; a NUL in it is a fault. */
static void
put_text(struct smtp_data *d, Str text, struct buf *out)
{
	Str clean, rest;

	d->line += text.n;
	if (!d->eight_bit && !utf8_is_ascii(text))
		d->eight_bit = true;
	while (str_split(text, '\0', &clean, &rest)) {
		d->faults |= SMTP_DATA_NUL;
		put(d, clean, clean.n, out);
		put(d, S(" "), 1, out);
		text = rest;
	}
	put(d, text, text.n, out);
}

/* A run up to the next CR, or all there is. Bare LFs in it are faults. */
static void
put_run(struct smtp_data *d, Str run, struct buf *out)
{
	Str line, rest;

	while (str_split(run, '\n', &line, &rest)) {
		d->faults |= SMTP_DATA_BARE_LF;
		put_text(d, line, out);
		put_line_end(d, TEXT, out);
		run = rest;
	}
	put_text(d, run, out);
}

/* Behind a CR: its LF, or the proof that it was a bare one. */
static void
read_after_cr(struct smtp_data *d, struct cursor *in, struct buf *out)
{
	if (cursor_take_char(in, '\n')) {
		put_line_end(d, START, out);
		return;
	}
	d->faults |= SMTP_DATA_BARE_CR;
	put_line_end(d, TEXT, out);
}

static void
read_text(struct smtp_data *d, struct cursor *in, struct buf *out)
{
	put_run(d, cursor_until(in, '\r'), out);
	if (cursor_take_char(in, '\r'))
		d->at = CR;
}

bool
smtp_data_read(struct smtp_data *d, struct cursor *in, struct buf *out)
{
	while (!cursor_done(in))
		switch (d->at) {
		case START:
			d->at = d->dots && cursor_take_char(in, '.') ? DOT : TEXT;
			break;
		case DOT:
			d->at = cursor_take_char(in, '\r') ? DOT_CR : TEXT;
			break;
		case DOT_CR:
			if (cursor_take_char(in, '\n'))
				return true;
			read_after_cr(d, in, out);
			break;
		case CR:
			read_after_cr(d, in, out);
			break;
		default:
			read_text(d, in, out);
			break;
		}
	return false;
}

void
smtp_data_end(struct smtp_data *d, struct buf *out)
{
	if (d->at != CR)
		return;
	d->faults |= SMTP_DATA_BARE_CR;
	put_line_end(d, TEXT, out);
}

Err
smtp_data_check(const struct smtp_data *d)
{
	if ((d->faults & SMTP_DATA_TOO_LARGE) != 0)
		return fail(ERR_LIMIT, "message is too large");
	if (!refused(d))
		return OK;
	if ((d->faults & SMTP_DATA_NUL) != 0)
		return fail(ERR_PEER, "message holds a NUL");
	return fail(ERR_PEER, "line ends must be CRLF");
}

/* Text without CR and LF. */
static void
write_text(struct smtp_data_writer *w, Str text, struct buf *out)
{
	if (text.n == 0)
		return;
	if (!w->inside && str_starts(text, S(".")))
		buf_put_char(out, '.');
	w->inside = true;
	w->after_cr = false;
	buf_put(out, text);
}

static void
write_line_end(struct smtp_data_writer *w, struct buf *out)
{
	w->inside = false;
	buf_put(out, S("\r\n"));
}

/* A line up to its LF, in which CRs may be. */
static void
write_run(struct smtp_data_writer *w, Str run, struct buf *out)
{
	Str text, rest;

	while (str_split(run, '\r', &text, &rest)) {
		write_text(w, text, out);
		write_line_end(w, out);
		w->after_cr = true;
		run = rest;
	}
	write_text(w, run, out);
}

void
smtp_data_write(struct smtp_data_writer *w, Str piece, struct buf *out)
{
	Str line, rest;

	while (str_split(piece, '\n', &line, &rest)) {
		write_run(w, line, out);
		if (!w->after_cr)
			write_line_end(w, out);
		w->after_cr = false;
		piece = rest;
	}
	write_run(w, piece, out);
}

void
smtp_data_write_end(struct smtp_data_writer *w, struct buf *out)
{
	if (w->inside)
		write_line_end(w, out);
	buf_put(out, S(".\r\n"));
}
