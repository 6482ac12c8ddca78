/* SPDX-License-Identifier: ISC */
#include "service/smtpd/message.h"

#include "format/mime/header.h"
#include "os/memfd.h"
#include "service/smtpd/smtpd.h"

enum {
	PIECE_MAX = 256 * 1024,      /* octets of text; one read adds far less */
	ADDED_MAX = 8 * 1024,        /* octets of our own lines */
	ROOM_STEP = 8 * 1024 * 1024, /* octets of room asked for when no size was announced */
};

void
smtpd_message_begin(struct smtpd_message *m, bool dots, enum smtp_bare bare, uint64_t size_max,
	uint64_t size, const struct smtpd_trace *trace, struct caller *queue)
{
	size_t expected = size < QUEUE_INLINE_MAX ? (size_t)size : QUEUE_INLINE_MAX;

	*m = (struct smtpd_message){
		.trace = trace,
		.queue = queue,
		.text = BUF_INIT(PIECE_MAX),
		.memfd = -1,
		.id = BUF_INIT(SMTPD_MESSAGE_ID_MAX),
	};
	smtp_data_init(&m->data, dots, bare, size_max);
	if (expected > 0)
		buf_room(&m->text, expected);
}

static void
keep_id(struct smtpd_message *m, Str body)
{
	if (m->id.n == 0)
		buf_put(&m->id,
			str_part(mime_header_message_id(body), 0, SMTPD_MESSAGE_ID_MAX));
}

struct seen {
	size_t hops;
	bool date, message_id, recipients, bcc;
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
		} else if (str_eq_icase(f.name, S("Bcc"))) {
			seen->bcc = true;
		}
	}
}

/* RFC 6409, 8.2 and 8.3; RFC 5322, 3.6.3: a Bcc alone leaves nobody to name */
static void
add_missing(struct smtpd_message *m, const struct seen *seen, struct buf *out)
{
	const struct mime_received *r = &m->trace->received;

	if (!seen->date)
		mime_trace_write_date(out, &r->when);
	if (!seen->message_id) {
		size_t at = out->n;

		mime_trace_write_message_id(out, r->id, r->by);
		keep_id(m, str_from_at(buf_view(out), at + sizeof("Message-ID:") - 1));
	}
	if (!seen->recipients)
		buf_put(out, S("To: undisclosed-recipients: ;\n"));
}

/* The text without Bcc fields: those are nobody's business (RFC 5322, 3.6.3). */
static void
put_without_bcc(Str text, struct buf *out)
{
	struct cursor c = cursor_of(text);
	Str behind = text;
	struct mime_field f;

	while (mime_field_next(&c, &f)) {
		if (!str_eq_icase(f.name, S("Bcc")))
			buf_put(out, f.whole);
		behind = str_from_at(text, text.n - c.rest.n);
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
	mime_trace_write_received(&whole, &m->trace->received);
	if (m->trace->submission)
		add_missing(m, &seen, &whole);
	if (seen.no_header)
		buf_put_char(&whole, '\n');
	if (m->trace->submission && seen.bcc)
		put_without_bcc(buf_view(&m->text), &whole);
	else
		buf_put(&whole, buf_view(&m->text));
	buf_done(&m->text);
	m->text = whole;
}

/* Memory for large messages is rationed by `queue`. */
static Err
ask_room(struct smtpd_message *m, uint64_t size)
{
	uint64_t want;

	if (size <= QUEUE_BODY_FREE || size <= m->room)
		return OK;
	want = size + ROOM_STEP - m->room;
	if (m->room + want > m->data.size_max + ADDED_MAX)
		want = m->data.size_max + ADDED_MAX - m->room;
	m->no_room = true;
	TRY(queue_call_room(m->queue, want));
	m->no_room = false;
	m->room += want;
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
		queue_tell_room_unused(m->queue, m->room);
	fd_drop(&m->memfd);
	buf_done(&m->text);
	buf_done(&m->id);
}
