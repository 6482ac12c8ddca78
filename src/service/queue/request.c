/* SPDX-License-Identifier: ISC */
/* What the others ask: parsed, added to the queue's batch, answered once it is committed. */
#include "rpc/log.h"
#include "rpc/verdict.h"
#include "service/queue/desk.h"

#include <sys/statvfs.h>

enum {
	DISK_LOOK = 1000,       /* ms between looks at how full the disk is */
	ADDED_MAX = 65536,      /* octets of lines that a service may add to a message */
	IDLE_AFTER = 20 * 1000, /* ms without a change; then nothing is left to tidy */
};

void
desk_answer(struct desk *d, ReplyTo to, Err e)
{
	char room[16];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	verdict_write(&b, e);
	/* Who is no longer there needs no answer. */
	(void)!failed(server_answer(d->server, to, (Str[]){ buf_view(&b) }, 1, NULL, 0));
}

static void
answer_submission(struct desk *d, const struct desk_answer *a)
{
	char room[32];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	verdict_write(&b, OK);
	buf_u64(&b, a->id);
	(void)!failed(server_answer(d->server, a->reply_to, (Str[]){ buf_view(&b) }, 1, NULL,
		0));
}

static void
log_accepted(const struct desk_answer *a)
{
	log_event(LOG_LEVEL_INFO, "queue.active", F_QUEUE(a->id),
		F_ADDR("from", a->said.sender), F_INT("size", a->said.size),
		F_INT("nrcpt", a->said.recipients), F_BEHIND("state", S("queue active")));
}

void
desk_finish(struct desk *d)
{
	Err rest, e = queue_commit(d->queue, &rest);

	if (failed(e))
		log_failure(LOG_LEVEL_ERROR, "queue.commit", e);
	/* Those who wait come first; the log has time. */
	for (size_t i = 0; i < d->answer_count; i++) {
		struct desk_answer *a = &d->answers[i];

		if (!failed(a->result))
			a->result = a->submission ? e : rest;
		if (a->submission && !failed(a->result))
			answer_submission(d, a);
		else
			desk_answer(d, a->reply_to, a->result);
	}
	for (size_t i = 0; i < d->answer_count; i++)
		if (d->answers[i].submission && !failed(d->answers[i].result))
			log_accepted(&d->answers[i]);
	d->answer_count = 0;
	arena_reset(d->arena);
}

static struct desk_answer *
add_answer(struct desk *d, const struct server_request *r, bool submission)
{
	struct desk_answer *a = &d->answers[d->answer_count++];

	*a = (struct desk_answer){ .reply_to = r->reply_to, .submission = submission };
	return a;
}

/* A file system that runs full takes no new mail, so that what it has can still move. */
static bool
disk_is_low(struct desk *d)
{
	struct statvfs st;
	bool low;

	if (!moment_past(d->disk_seen))
		return d->disk_low;
	d->disk_seen = moment_after(DISK_LOOK);
	low = fstatvfs(d->spool, &st) == 0 && st.f_bavail * st.f_frsize < d->settings.free_min;
	if (low && !d->disk_low)
		log_event(LOG_LEVEL_ERROR, "queue.disk.low",
			F_WORDS("what", S("no mail is taken until there is room on the disk")),
			F_INT("free", st.f_bavail * st.f_frsize));
	d->disk_low = low;
	return low;
}

static Err
submit(struct desk *d, const struct server_request *r, struct desk_answer *a)
{
	struct cursor c = r->fields;
	struct queue_submit s;
	struct queue_new new;

	TRY(queue_parse_submit(&c, &r->message, d->arena, &s));
	if (s.body.size > QUEUE_BODY_FREE)
		desk_room_used(d, r->reply_to);
	if (s.envelope.recipient_count == 0)
		return fail(ERR_PEER, "message without recipients");
	if (s.body.size > d->settings.message_size_max + ADDED_MAX)
		return fail(ERR_LIMIT, "message is too large");
	if (s.settles_id == 0 && disk_is_low(d))
		return (Err){ ERR_TEMP, ENOSPC, "the disk is too full" };
	new = (struct queue_new){ .envelope = &s.envelope,
		.body = s.body.bytes,
		.fd = s.body.fd,
		.size = s.body.size,
		.settles_id = s.settles_id,
		.settles = s.settles,
		.settles_count = s.settles_count };
	TRY(queue_submit(d->queue, &new, &a->id));
	a->said.sender = s.envelope.sender;
	a->said.size = s.body.size;
	a->said.recipients = s.envelope.recipient_count;
	return OK;
}

static struct queue_result
result_of(const struct queue_outcome *o)
{
	static const enum queue_fate fates[] = {
		[QUEUE_DELIVERED] = QUEUE_FATE_DONE,
		[QUEUE_DEFERRED] = QUEUE_FATE_LATER,
		[QUEUE_FAILED] = QUEUE_FATE_FAILED,
		[QUEUE_EXPANDED] = QUEUE_FATE_SETTLED,
		[QUEUE_RETURNED] = QUEUE_FATE_BUSY,
		[QUEUE_CRASHED] = QUEUE_FATE_CRASHED,
	};

	return (struct queue_result){ .id = o->id,
		.number = o->number,
		.fate = fates[o->kind],
		.status = o->status,
		.text = o->text,
		.remote = o->remote,
		.destination_down = o->destination_down };
}

static Err
take_outcomes(struct desk *d, const struct server_request *r)
{
	struct cursor c = r->fields;
	struct queue_outcome *outcomes;
	struct queue_result *results;
	size_t count;

	TRY(queue_parse_outcomes(&c, d->arena, &outcomes, &count));
	results = arena_try_array(d->arena, count, sizeof(*results));
	if (results == NULL)
		return fail(ERR_TEMP, "no room for outcomes");
	for (size_t i = 0; i < count; i++)
		results[i] = result_of(&outcomes[i]);
	return queue_results(d->queue, results, count);
}

static Err
expand(struct desk *d, const struct server_request *r)
{
	struct cursor c = r->fields;
	struct queue_expand x;

	TRY(queue_parse_expand(&c, d->arena, &x));
	return queue_expand(d->queue, x.id, x.number, x.members, x.count, x.cursor, x.done);
}

static void
pull(struct desk *d, const struct server_request *r)
{
	struct cursor c = r->fields;
	struct queue_pull p;
	Err e = queue_parse_pull(&c, &p);

	if (failed(e))
		desk_answer(d, r->reply_to, e);
	else
		desk_park(d, r, &p);
}

static void
room(struct desk *d, const struct server_request *r)
{
	struct cursor c = r->fields;
	uint64_t size = cursor_u64(&c);
	bool unused = cursor_u8(&c) != 0;

	if (c.bad)
		desk_answer(d, r->reply_to, fail(ERR_PEER, "request for room is cut"));
	else
		desk_ask_room(d, r, size, unused);
}

/* On an error nothing is dropped; and the error will not be told twice, so all begins anew. */
static void
synced(struct desk *d, const struct server_request *r)
{
	struct cursor c = r->fields;
	uint64_t checkpoint = cursor_u64(&c);
	bool success = cursor_u8(&c) != 0;
	Err e = OK;

	if (c.bad || checkpoint != d->checkpoint) {
		desk_answer(d, r->reply_to, OK);
		return;
	}
	d->checkpoint = 0;
	if (success)
		e = queue_checkpoint_end(d->queue, checkpoint);
	else
		d->broken = true;
	if (failed(e))
		log_failure(LOG_LEVEL_ERROR, "queue.checkpoint", e);
	desk_answer(d, r->reply_to, e);
}

/* What a request adds to the batch at most: its datagram, and the memfd that came along. */
static size_t
octets_of(const struct server_request *r)
{
	size_t octets = r->message.bytes.n;

	if (r->type == QUEUE_SUBMIT && r->message.fd_count > 0)
		octets += QUEUE_INLINE_BODY_MAX;
	return octets;
}

static void
take_change(struct desk *d, const struct server_request *r)
{
	struct desk_answer *a;

	d->idle_from = moment_after(IDLE_AFTER);
	d->resting = false;
	if (d->answer_count == SERVER_BATCH_MAX || !queue_fits(d->queue, octets_of(r)))
		desk_finish(d);
	a = add_answer(d, r, r->type == QUEUE_SUBMIT);
	if (r->type == QUEUE_SUBMIT)
		a->result = submit(d, r, a);
	else if (r->type == QUEUE_OUTCOMES)
		a->result = take_outcomes(d, r);
	else
		a->result = expand(d, r);
}

void
desk_take(struct desk *d, const struct server_request *r)
{
	switch (r->type) {
	case QUEUE_SUBMIT:
	case QUEUE_OUTCOMES:
	case QUEUE_EXPAND:
		take_change(d, r);
		return;
	case QUEUE_PULL:
		pull(d, r);
		return;
	case QUEUE_ROOM:
		room(d, r);
		return;
	case QUEUE_SYNCED:
		desk_finish(d);
		synced(d, r);
		return;
	case QUEUE_ADMIN:
		desk_finish(d);
		desk_admin(d, r);
		return;
	default:
		return;
	}
}
