/* SPDX-License-Identifier: ISC */
#include "service/smtpd/message.h"

#include "format/mime/header.h"
#include "os/memfd.h"
#include "service/smtpd/smtpd.h"

enum {
	PIECE_MAX = 256 * 1024, /* octets of text; one read adds far less */
	ADDED_MAX = 8 * 1024,   /* octets of our own lines */
};

void
smtpd_message_begin(struct smtpd_message *m, const struct smtpd_terms *terms, bool dots,
	uint64_t announced)
{
	*m = (struct smtpd_message){
		.terms = terms,
		.announced = announced,
		.text = BUF_INIT(PIECE_MAX),
		.memfd = -1,
		.id = BUF_INIT(SMTPD_MESSAGE_ID_MAX),
	};
	smtp_data_init(&m->data, dots, terms->bare, terms->size_max);
	if (announced > 0)
		buf_room(&m->text,
			announced < QUEUE_INLINE_MAX ? (size_t)announced : QUEUE_INLINE_MAX);
}

static void
keep_id(struct smtpd_message *m, Str body)
{
	if (m->id.n == 0)
		buf_put(&m->id,
			str_part(mime_header_message_id(body), 0, SMTPD_MESSAGE_ID_MAX));
}

/*
 * Bcc of what is submitted is nobody's business (RFC 5322, 3.6.3). Return-Path belongs to whoever
 * delivers the message in the end, and is written then (RFC 5321, 4.4). What claims to be our own
 * judgement of the message is not (RFC 8601, 5).
 */
static bool
drop_field(const struct smtpd_message *m, const struct mime_field *f)
{
	return str_eq_icase(f->name, S("Return-Path")) ||
	       mime_trace_is_forged_result(f, m->terms->received.by) ||
	       (m->terms->submission && str_eq_icase(f->name, S("Bcc")));
}

struct seen {
	size_t hops;
	bool date, message_id, recipients;
	bool unwanted;  /* a field that drop_field drops */
	bool no_header; /* the first line is no field */
};

static void
look_at(struct smtpd_message *m, struct seen *seen)
{
	struct cursor c = cursor_of(buf_view(&m->text));
	struct mime_field f;

	for (bool first = true; mime_field_next(&c, &f); first = false) {
		if (f.name.n == 0) {
			seen->no_header = seen->no_header || first;
		} else if (str_eq_icase(f.name, S("Received"))) {
			seen->hops++;
		} else if (str_eq_icase(f.name, S("Date"))) {
			seen->date = true;
		} else if (str_eq_icase(f.name, S("Message-ID"))) {
			seen->message_id = true;
			keep_id(m, f.body);
		} else if (str_eq_icase(f.name, S("To")) || str_eq_icase(f.name, S("Cc"))) {
			seen->recipients = true;
		}
		if (drop_field(m, &f))
			seen->unwanted = true;
	}
}

/* RFC 6409, 8.2 and 8.3; RFC 5322, 3.6.3: a Bcc alone leaves nobody to name */
static void
add_missing(struct smtpd_message *m, const struct seen *seen, struct buf *out)
{
	const struct mime_received *r = &m->terms->received;

	if (!seen->date)
		mime_trace_write_date(out, &r->when, r->by);
	if (!seen->message_id) {
		size_t at = out->n;

		mime_trace_write_message_id(out, r->id, r->by);
		keep_id(m, str_from_at(buf_view(out), at + sizeof("Message-ID:") - 1));
	}
	if (!seen->recipients)
		buf_put(out, S("To: undisclosed-recipients: ;\n"));
}

static void
put_wanted(const struct smtpd_message *m, struct buf *out)
{
	Str text = buf_view(&m->text), behind = text;
	struct cursor c = cursor_of(text);
	struct mime_field f;

	while (mime_field_next(&c, &f)) {
		if (!drop_field(m, &f))
			buf_put(out, f.whole);
		behind = c.rest;
	}
	buf_put(out, behind);
}

/* Puts our lines in front of the text. Called once, when the header is there or 64 KiB of it. */
static void
begin_text(struct smtpd_message *m)
{
	struct seen seen = { 0 };
	struct buf whole = BUF_INIT(PIECE_MAX + ADDED_MAX);

	m->begun = true;
	look_at(m, &seen);
	m->looping = seen.hops >= SMTPD_HOPS_MAX;
	buf_room(&whole, m->text.n + ADDED_MAX / 8);
	if (!m->terms->submission)
		mime_trace_write_results(&whole, &m->terms->received);
	mime_trace_write_received(&whole, &m->terms->received);
	if (m->terms->submission)
		add_missing(m, &seen, &whole);
	if (seen.no_header)
		buf_put_char(&whole, '\n');
	if (seen.unwanted)
		put_wanted(m, &whole);
	else
		buf_put(&whole, buf_view(&m->text));
	buf_done(&m->text);
	m->text = whole;
}

/*
 * Memory for large messages is rationed by `queue`. All of it is asked for at once: what MAIL
 * announced, or the limit when it said nothing. Who came back for more while holding some would
 * wait for others who do the same.
 */
static Err
ask_room(struct smtpd_message *m, uint64_t size)
{
	uint64_t all = m->data.size_max + ADDED_MAX;

	if (size <= QUEUE_BODY_FREE || size <= m->room)
		return OK;
	if (m->announced > 0 && size <= m->announced + ADDED_MAX)
		all = m->announced + ADDED_MAX;
	m->no_room = true;
	TRY(queue_call_room(m->terms->queue, all - m->room));
	m->no_room = false;
	m->room = all;
	return OK;
}

static Err
store(struct smtpd_message *m)
{
	if (!m->begun)
		begin_text(m);
	TRY(buf_check(&m->text));
	TRY(ask_room(m, m->stored + m->text.n));
	if (m->memfd < 0)
		TRY(memfd_new(&m->memfd));
	TRY(memfd_write(m->memfd, buf_view(&m->text)));
	m->stored += m->text.n;
	buf_reset(&m->text);
	return OK;
}

bool
smtpd_message_read(struct smtpd_message *m, struct cursor *in)
{
	bool done = smtp_data_read(&m->data, in, &m->text);

	if (!failed(m->failed) && m->text.bad)
		m->failed = fail(ERR_TEMP, "no memory for the message");
	if (!failed(m->failed) && m->text.n > QUEUE_INLINE_MAX)
		m->failed = store(m);
	if (failed(m->failed))
		buf_reset(&m->text);
	return done;
}

Err
smtpd_message_end(struct smtpd_message *m, struct queue_body *ret)
{
	if (!m->data.dots)
		smtp_data_end(&m->data, &m->text);
	TRY(smtp_data_check(&m->data));
	TRY(m->failed);
	if (!m->begun)
		begin_text(m);
	TRY(buf_check(&m->text));
	if (m->looping)
		return fail(ERR_PEER, "too many hops");
	if (m->memfd < 0 && m->text.n <= QUEUE_INLINE_MAX) {
		*ret = (struct queue_body){ buf_view(&m->text), -1, m->text.n };
		return OK;
	}
	TRY(store(m));
	TRY(memfd_seal(m->memfd));
	*ret = (struct queue_body){ S(""), m->memfd, m->stored };
	return OK;
}

void
smtpd_message_done(struct smtpd_message *m, bool taken)
{
	if (!taken && m->room > 0)
		queue_tell_room_unused(m->terms->queue, m->room);
	fd_drop(&m->memfd);
	buf_done(&m->text);
	buf_done(&m->id);
}
