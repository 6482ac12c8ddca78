/* SPDX-License-Identifier: ISC */
#include "service/mailbox/arrive.h"

#include "base/memory.h"
#include "format/mime/trace.h"
#include "os/memfd.h"

#include <stdlib.h>

enum {
	BATCH_WAIT = 30 * 1000,         /* ms between the messages of one batch */
	BATCH_MEMORY = 8 * 1024 * 1024, /* octets of bodies in one commit */
	TRACE_MAX = 2048,               /* octets of the lines that we add */
	HEADER_MAX = 64 * 1024, /* octets of a message's header that are searched for loops */
	COPY_STEP = 64 * 1024,
};

struct arrive {
	char *buffer; /* CHANNEL_MESSAGE_MAX octets; pages that no message needed cost nothing */
	struct arena *arena;
	struct mailbox_delivery deliveries[DELIVERY_BATCH_MAX];
	struct delivery_answer answers[DELIVERY_BATCH_MAX];
	size_t places[DELIVERY_BATCH_MAX]; /* deliveries[i] is answered in answers[places[i]] */
	size_t count;                      /* deliveries gathered for the next commit */
	size_t answered;                   /* of the batch */
};

struct arrive *
arrive_new(void)
{
	struct arrive *a = memory_get(sizeof(*a));

	a->arena = arena_new(BATCH_MEMORY);
	a->buffer = memory_get(CHANNEL_MESSAGE_MAX);
	return a;
}

/* Return-Path and Delivered-To (RFC 5321, 4.4; RFC 9228), with the line ends of the message. */
static void
write_trace(struct buf *b, const struct delivery_message *m)
{
	AUTO_BUF lines = BUF_INIT(TRACE_MAX);
	Str rest, line;

	mime_trace_write_return_path(&lines, m->sender);
	mime_trace_write_delivered_to(&lines, m->recipient);
	if (!m->own_line_ends) {
		buf_put(b, buf_view(&lines));
		return;
	}
	for (rest = buf_view(&lines); str_split(rest, '\n', &line, &rest);) {
		buf_put(b, line);
		buf_put(b, S("\r\n"));
	}
}

static Err
copy_memfd(int from, uint64_t size, int to)
{
	char *step = memory_try(COPY_STEP);
	uint64_t at = 0;
	Err e = step == NULL ? fail(ERR_TEMP, "no room for a large message") : OK;

	while (!failed(e) && at < size) {
		size_t n = size - at < COPY_STEP ? (size_t)(size - at) : COPY_STEP;

		e = memfd_read(from, (off_t)at, step, n);
		if (!failed(e))
			e = memfd_write(to, (Str){ step, n });
		at += n;
	}
	free(step);
	return e;
}

/* A large message, with the lines in front of it, as another sealed memfd. */
static Err
make_large(Str trace, const struct delivery_message *m, struct mailbox_source *ret)
{
	AUTO_FD fd = -1;

	TRY(memfd_new(&fd));
	TRY(memfd_write(fd, trace));
	TRY(copy_memfd(m->fd, m->size, fd));
	TRY(memfd_seal(fd));
	ret->size = trace.n + m->size;
	ret->fd = TAKE_FD(fd);
	return OK;
}

static Err
make_source(struct arrive *a, const struct delivery_message *m, struct mailbox_source *ret)
{
	char room[TRACE_MAX];
	struct buf trace = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct mailbox_source source = { .fd = -1, .raw = m->own_line_ends };
	char *p;

	write_trace(&trace, m);
	if (m->fd >= 0) {
		TRY(make_large(buf_view(&trace), m, &source));
	} else {
		p = arena_try(a->arena, trace.n + m->bytes.n);
		if (p == NULL)
			return fail(ERR_LIMIT, "batch is full");
		memcpy(p, trace.p, trace.n);
		if (m->bytes.n > 0)
			memcpy(p + trace.n, m->bytes.p, m->bytes.n);
		source.bytes = (Str){ p, trace.n + m->bytes.n };
	}
	*ret = source;
	return OK;
}

/* Whether the message has been in this very mailbox before. */
static Err
check_loop(struct arrive *a, const struct delivery_message *m, bool *ret)
{
	size_t n = m->size < HEADER_MAX ? (size_t)m->size : HEADER_MAX;
	Str header = str_part(m->bytes, 0, n);

	if (m->fd >= 0) {
		char *p = arena_try(a->arena, n);

		if (p == NULL)
			return fail(ERR_LIMIT, "batch is full");
		TRY(memfd_read(m->fd, 0, p, n));
		header = (Str){ p, n };
	}
	*ret = mime_trace_was_delivered_to(header, m->recipient);
	return OK;
}

static struct delivery_answer *
add_answer(struct arrive *a, const struct delivery_message *m)
{
	struct delivery_answer *answer = &a->answers[a->answered++];

	*answer = (struct delivery_answer){ .queue_id = m->queue_id,
		.number = m->number,
		.verdict = DELIVERY_LATER,
		.status = S("4.3.0"),
		.text = S("cannot be stored now") };
	return answer;
}

/* Commits what was gathered. A failure leaves its messages to be tried later. */
static Err
commit(struct arrive *a, struct mailbox *m)
{
	struct mailbox_delivered delivered[DELIVERY_BATCH_MAX];
	Err e = a->count == 0 ? OK : mailbox_deliver(m, a->deliveries, a->count, delivered);

	for (size_t i = 0; i < a->count; i++) {
		struct delivery_answer *answer = &a->answers[a->places[i]];

		fd_drop(&a->deliveries[i].message.fd);
		if (failed(e))
			continue;
		answer->verdict = DELIVERY_DONE;
		answer->status = S("2.0.0");
		answer->text = S("delivered to INBOX");
	}
	a->count = 0;
	arena_reset(a->arena);
	if (e.kind == ERR_GONE)
		return fail(ERR_PERM, "the account's lease is lost");
	return e.kind == ERR_PERM ? e : OK;
}

static Err
gather(struct arrive *a, const struct delivery_message *m)
{
	struct mailbox_delivery d = {
		.queue_id = m->queue_id,
		.recipient = m->number,
		.accepted = m->queued,
		.unparsed = m->unparsed,
	};
	bool circle;

	TRY(check_loop(a, m, &circle));
	if (circle) {
		struct delivery_answer *answer = add_answer(a, m);

		answer->verdict = DELIVERY_REFUSED;
		answer->status = S("5.4.6");
		answer->text = S("mail forwarding loop: it has been delivered here before");
		return OK;
	}
	TRY(make_source(a, m, &d.message));
	a->places[a->count] = a->answered;
	add_answer(a, m);
	a->deliveries[a->count++] = d;
	return OK;
}

static Err
take_message(struct arrive *a, struct mailbox *m, const struct delivery_message *message)
{
	Err e;

	if (a->answered == DELIVERY_BATCH_MAX)
		return fail(ERR_PEER, "batch is too long");
	e = gather(a, message);
	if (e.kind == ERR_LIMIT) { /* full: commit what there is, and again */
		TRY(commit(a, m));
		e = gather(a, message);
	}
	if (failed(e))
		add_answer(a, message); /* later */
	return OK;
}

static Err
take_batch(struct arrive *a, struct mailbox *m, int channel, uint64_t *forget_below)
{
	bool last = false;

	while (!last) {
		struct delivery_message message;
		Err e;

		TRY(delivery_receive(channel, a->buffer, moment_after(BATCH_WAIT), &message));
		last = message.last;
		if (message.forget_below > *forget_below)
			*forget_below = message.forget_below;
		e = take_message(a, m, &message);
		fd_drop(&message.fd);
		TRY(e);
	}
	TRY(commit(a, m));
	return delivery_answer(channel, a->answers, a->answered);
}

Err
arrive_batch(struct arrive *a, struct mailbox *m, int channel, uint64_t *forget_below)
{
	Err e;

	a->answered = 0;
	a->count = 0;
	e = take_batch(a, m, channel, forget_below);
	for (size_t i = 0; i < a->count; i++)
		fd_drop(&a->deliveries[i].message.fd);
	arena_reset(a->arena);
	return e;
}
