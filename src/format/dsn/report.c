/* SPDX-License-Identifier: ISC */
#include "format/dsn/report.h"

#include "format/dsn/status.h"
#include "format/mime/date.h"
#include "format/mime/header.h"

enum {
	LINE_MAX = 900, /* octets of a value in one line; RFC 5322, 2.1.1 allows 998 */
	BOUNDARY_MAX = 128,
	BOUNDARY_TRIES = 100,
	REASON_COLUMNS = 70,
};

/* One line stays one line: control characters become blanks. */
static void
put_line_text(struct buf *b, Str s)
{
	for (size_t i = 0; i < s.n && i < LINE_MAX; i++) {
		unsigned char c = str_at(s, i);

		buf_put_char(b, c < ' ' || c == 127 ? ' ' : (char)c);
	}
}

static void
put_field(struct buf *b, const char *name, Str value)
{
	buf_put_c(b, name);
	buf_put(b, S(": "));
	put_line_text(b, value);
	buf_put_char(b, '\n');
}

static void
put_date_field(struct buf *b, const char *name, Time when)
{
	struct mime_date date = { .when = when };

	buf_put_c(b, name);
	buf_put(b, S(": "));
	mime_date_write(b, &date);
	buf_put_char(b, '\n');
}

static bool
is_ascii(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (str_at(s, i) > 127)
			return false;
	return true;
}

bool
dsn_report_is_8bit(Str report)
{
	return !is_ascii(report);
}

/* Octets of the header, cut at a line end where it is too long. */
static Str
header_of(Str original)
{
	Str header = str_part(original, 0, mime_header_size(original));
	size_t end;

	if (header.n <= DSN_HEADER_MAX)
		return header;
	header = str_part(header, 0, DSN_HEADER_MAX);
	end = str_find_last(header, '\n');
	return str_part(header, 0, end == STR_NONE ? 0 : end + 1);
}

/* A boundary that stands nowhere in what goes back (RFC 2046, 5.1.1). */
static void
make_boundary(struct buf *boundary, const struct dsn_report *r, Str header)
{
	for (unsigned i = 0; i < BOUNDARY_TRIES; i++) {
		buf_reset(boundary);
		buf_printf(boundary, "report-%lld-%08x-%u", (long long)r->now.us, r->seed, i);
		if (str_find_str(header, buf_view(boundary)) == STR_NONE)
			return;
	}
}

static void
put_part(struct buf *b, Str boundary, const char *type, bool eight_bit)
{
	buf_printf(b, "\n--%.*s\nContent-Type: %s\n", STR_ARG(boundary), type);
	if (eight_bit)
		buf_put(b, S("Content-Transfer-Encoding: 8bit\n"));
	buf_put_char(b, '\n');
}

/* What the recipients' diagnostics hold; decides how the parts are labelled. */
static bool
recipients_are_ascii(const struct dsn_report *r)
{
	for (size_t i = 0; i < r->recipient_count; i++)
		if (!is_ascii(r->recipients[i].address) || !is_ascii(r->recipients[i].text))
			return false;
	return true;
}

static void
put_header(struct buf *b, const struct dsn_report *r, Str boundary)
{
	buf_put(b, S("From: Mail Delivery System <MAILER-DAEMON@"));
	put_line_text(b, r->hostname);
	buf_put(b, S(">\nTo: <"));
	put_line_text(b, r->sender);
	buf_put(b, S(">\nSubject: "));
	buf_put_c(b, r->action == DSN_FAILED ? "Your message could not be delivered\n"
					     : "Your message is delayed\n");
	put_date_field(b, "Date", r->now);
	buf_printf(b, "Message-ID: <%lld.%08x@", (long long)r->now.us, r->seed);
	put_line_text(b, r->hostname);
	buf_put(b, S(">\nAuto-Submitted: auto-replied\nMIME-Version: 1.0\n"));
	buf_printf(b,
		"Content-Type: multipart/report; report-type=delivery-status;\n"
		"\tboundary=\"%.*s\"\n",
		STR_ARG(boundary));
}

/* Long diagnostics are broken at blanks, each line indented. */
static void
put_wrapped(struct buf *b, Str text)
{
	size_t column = 0;
	bool more = true;

	text = str_part(text, 0, LINE_MAX);
	while (more) {
		Str word = text, rest = S("");

		more = str_split(text, ' ', &word, &rest);
		if (column > 0 && column + 1 + word.n > REASON_COLUMNS)
			column = 0;
		buf_put_c(b, column == 0 ? "\n    " : " ");
		put_line_text(b, word);
		column += word.n + 1;
		text = rest;
	}
}

static void
put_words(struct buf *b, const struct dsn_report *r)
{
	buf_put(b, S("This is the mail server "));
	put_line_text(b, r->hostname);
	if (r->action == DSN_FAILED)
		buf_put(b,
			S(".\n\nYour message did not reach the addresses below, and nothing more "
			  "will be\ntried. Its header is attached.\n"));
	else
		buf_put(b,
			S(".\n\nYour message has not reached the addresses below yet. It will be "
			  "tried\nagain; you need not send it once more.\n"));
	for (size_t i = 0; i < r->recipient_count; i++) {
		const struct dsn_recipient *to = &r->recipients[i];

		buf_put(b, S("\n<"));
		put_line_text(b, to->address);
		buf_put(b, S(">: "));
		buf_put(b, dsn_status_words(to->status));
		buf_put(b, S(" ("));
		put_line_text(b, to->status);
		buf_put_char(b, ')');
		if (to->text.n > 0)
			put_wrapped(b, to->text);
		buf_put_char(b, '\n');
	}
}

/* "host[address]:port" without what is behind the name. */
static Str
remote_name(Str remote)
{
	Str name, rest;

	if (!str_split(remote, '[', &name, &rest))
		return remote;
	return name.n > 0 ? name : remote;
}

/* What the server itself said, where the text tells that it said something. */
static void
put_diagnostic(struct buf *b, Str text)
{
	Str said = S(" said: ");
	size_t at = str_find_str(text, said);

	if (text.n == 0)
		return;
	buf_put(b, S("Diagnostic-Code: "));
	buf_put_c(b, at == STR_NONE ? "x-posthorn; " : "smtp; ");
	put_line_text(b, at == STR_NONE ? text : str_from_at(text, at + said.n));
	buf_put_char(b, '\n');
}

/* RFC 3464, 2.1: per message, then per recipient, an empty line between. */
static void
put_status(struct buf *b, const struct dsn_report *r)
{
	buf_put(b, S("Reporting-MTA: dns; "));
	put_line_text(b, r->hostname);
	buf_put_char(b, '\n');
	put_field(b, "X-Posthorn-Queue-ID", r->queue_id);
	put_date_field(b, "Arrival-Date", r->arrived);
	for (size_t i = 0; i < r->recipient_count; i++) {
		const struct dsn_recipient *to = &r->recipients[i];

		buf_put_c(b, is_ascii(to->address) ? "\nFinal-Recipient: rfc822; "
						   : "\nFinal-Recipient: utf-8; ");
		put_line_text(b, to->address);
		buf_put_c(b,
			r->action == DSN_FAILED ? "\nAction: failed\n" : "\nAction: delayed\n");
		put_field(b, "Status", to->status);
		if (to->remote.n > 0) {
			buf_put(b, S("Remote-MTA: dns; "));
			put_line_text(b, remote_name(to->remote));
			buf_put_char(b, '\n');
		}
		put_diagnostic(b, to->text);
		put_date_field(b, "Last-Attempt-Date", r->now);
	}
}

/* NUL has no place in a message (RFC 5322, 2.2); all else goes back as it came. */
static void
put_original(struct buf *b, Str header)
{
	Str piece, rest = header;

	while (str_split(rest, '\0', &piece, &rest))
		buf_put(b, piece);
	buf_put(b, rest);
}

void
dsn_report_write(struct buf *b, const struct dsn_report *r, Str original)
{
	char room[BOUNDARY_MAX];
	struct buf boundary = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	bool ascii = recipients_are_ascii(r);
	Str header = header_of(original);
	Str line;

	make_boundary(&boundary, r, header);
	line = buf_view(&boundary);
	put_header(b, r, line);
	put_part(b, line, "text/plain; charset=utf-8", !ascii);
	put_words(b, r);
	/* RFC 6533: the same in UTF-8 has names of its own. */
	put_part(b, line, ascii ? "message/delivery-status" : "message/global-delivery-status",
		!ascii);
	put_status(b, r);
	put_part(b, line, is_ascii(header) ? "text/rfc822-headers" : "message/global-headers",
		!is_ascii(header));
	put_original(b, header);
	buf_printf(b, "\n--%.*s--\n", STR_ARG(line));
}
