/* SPDX-License-Identifier: ISC */
#include "format/mime/trace.h"

#include "format/mime/header.h"

/* Controls, blanks and what could end a comment become '?'. */
static void
put_safe(struct buf *b, Str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		if (ch <= ' ' || ch == 127 || ch == '(' || ch == ')' || ch == '\\' || ch == ';')
			ch = '?';
		buf_put_char(b, (char)ch);
	}
}

/* An address or text of our own grammar: only what would break the line is replaced. */
static void
put_line_safe(struct buf *b, Str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char ch = (unsigned char)s.p[i];

		buf_put_char(b, ch < ' ' || ch == 127 ? '?' : (char)ch);
	}
}

/* "from HELO (NAME [ADDRESS])" */
static void
put_from(struct buf *b, const struct mime_received *r)
{
	buf_put(b, S("from "));
	put_safe(b, r->helo.n == 0 ? S("unknown") : r->helo);
	if (r->peer.n > 0) {
		buf_put(b, S(" ("));
		put_safe(b, r->peer_name.n == 0 ? S("unknown") : r->peer_name);
		buf_put(b, S(" ["));
		put_safe(b, r->peer);
		buf_put(b, S("])"));
	}
	buf_put(b, S("\n\t"));
	if (r->tls.n > 0) {
		buf_put(b, S("(using "));
		put_line_safe(b, r->tls);
		buf_put(b, S(")\n\t"));
	}
}

void
mime_trace_write_received(struct buf *b, const struct mime_received *r)
{
	buf_put(b, S("Received: "));
	if (r->helo.n > 0 || r->peer.n > 0)
		put_from(b, r);
	buf_put(b, S("by "));
	put_safe(b, r->by);
	if (r->with.n > 0) {
		buf_put(b, S(" (Posthorn) with "));
		put_safe(b, r->with);
	} else {
		buf_printf(b, " (Posthorn, from userid %u)", r->user);
	}
	buf_put(b, S(" id "));
	put_safe(b, r->id);
	if (r->recipient.n > 0) {
		buf_put(b, S("\n\tfor <"));
		put_line_safe(b, r->recipient);
		buf_put(b, S(">"));
	}
	buf_put(b, S("; "));
	mime_date_write(b, &r->when);
	buf_put_char(b, '\n');
}

void
mime_trace_write_results(struct buf *b, const struct mime_received *r)
{
	Str address = str_starts(r->peer, S("IPv6:")) ? str_from_at(r->peer, 5) : r->peer;

	buf_put(b, S("Authentication-Results: "));
	put_safe(b, r->by);
	buf_put(b, r->peer_name.n > 0 ? S("; iprev=pass policy.iprev=\"")
				      : S("; iprev=fail policy.iprev=\""));
	put_safe(b, address);
	buf_put(b, S("\" ("));
	put_safe(b, r->peer_name.n > 0 ? r->peer_name : S("unknown"));
	buf_put(b, S(")\n"));
}

/* authserv-id is the first word, quoted or not (RFC 8601, 2.2); nobody honest begins with a comment. */
bool
mime_trace_is_forged_result(const struct mime_field *field, Str by)
{
	struct cursor c = cursor_of(field->body);
	Str id = S("");

	if (!str_eq_icase(field->name, S("Authentication-Results")))
		return false;
	while (cursor_take_char(&c, ' ') || cursor_take_char(&c, '\t') ||
		cursor_take_char(&c, '\n') || cursor_take_char(&c, '\r') ||
		cursor_take_char(&c, '"'))
		;
	if (str_starts(c.rest, S("(")))
		return true;
	for (id = c.rest, id.n = 0; id.n < c.rest.n; id.n++)
		if (str_has(S(" \t\r\n;(\""), (char)str_at(c.rest, id.n)))
			break;
	return str_eq_icase(id, by);
}

void
mime_trace_write_return_path(struct buf *b, Str sender)
{
	buf_put(b, S("Return-Path: <"));
	put_line_safe(b, sender);
	buf_put(b, S(">\n"));
}

void
mime_trace_write_delivered_to(struct buf *b, Str recipient)
{
	buf_put(b, S("Delivered-To: "));
	put_line_safe(b, recipient);
	buf_put_char(b, '\n');
}

void
mime_trace_write_date(struct buf *b, const struct mime_date *d, Str by)
{
	buf_put(b, S("Date: "));
	mime_date_write(b, d);
	buf_put(b, S(" (added by "));
	put_safe(b, by);
	buf_put(b, S(")\n"));
}

void
mime_trace_write_message_id(struct buf *b, Str unique, Str host)
{
	buf_put(b, S("Message-ID: <"));
	put_safe(b, unique);
	buf_put_char(b, '@');
	put_safe(b, host);
	buf_put(b, S(">\n"));
}

size_t
mime_trace_count_received(Str message, size_t most)
{
	struct cursor c = cursor_of(message);
	struct mime_field field;
	size_t count = 0;

	while (count < most && mime_field_next(&c, &field))
		if (str_eq_icase(field.name, S("Received")))
			count++;
	return count;
}

bool
mime_trace_was_delivered_to(Str message, Str recipient)
{
	struct cursor c = cursor_of(message);
	struct mime_field field;

	while (mime_field_next(&c, &field))
		if (str_eq_icase(field.name, S("Delivered-To")) &&
			str_eq_icase(str_trim(field.body), recipient))
			return true;
	return false;
}
