/* SPDX-License-Identifier: ISC */
#include "store/queue.h"

#include "base/memory.h"
#include "os/memfd.h"
#include "store/queue/apply.h"
#include "store/queue/message.h"
#include "store/queue/schedule.h"

#include <assert.h>
#include <stdlib.h>

/*
 * Batches. A call that changes something adds its record to the driver's batch and a note to
 * `pending`; when the commit succeeds the notes are applied in order. When it fails, the messages
 * among them are forgotten (their senders are told so and keep them), and the rest is written once
 * more: the driver goes on in another place, and what was delivered must not be tried again.
 */

enum {
	SLACK = 4096,             /* octets that a record may be longer than its request */
	BUSY_WAIT = 1,            /* seconds */
	RESULTS_MAX = 512 * 1024, /* octets of one record */
	MEMBERS_MAX = 256 * 1024, /* the same */
	MOVE_MAX = 64,            /* messages moved at once */
	MOVE_OCTETS_MAX = 4 * 1024 * 1024,
	MOVE_AGE = 30,          /* seconds; a younger message is likely to go by itself */
	CLOSED_MAX = 8,         /* segments; with more, the oldest is emptied in any case */
	LIVE_SHARE = 4,         /* or when at most one in so many of its octets is waiting */
	MOVED_MAX = 4096 * 1024 /* octets of one record */
};

static struct pending *
add_pending(struct queue *q, uint16_t type, uint64_t position)
{
	struct pending *p;

	if (q->pending_count == q->pending_cap) {
		q->pending_cap = q->pending_cap == 0 ? 64 : q->pending_cap * 2;
		q->pending = memory_resize(q->pending, q->pending_cap, sizeof(*q->pending));
	}
	p = &q->pending[q->pending_count++];
	*p = (struct pending){ .type = type, .position = position };
	return p;
}

/* Adds a record that is applied from its own bytes. */
static Err
add_record(struct queue *q, uint16_t type, const struct buf *payload)
{
	Str part = buf_view(payload);
	uint64_t position;

	TRY(buf_check(payload));
	if (!q->driver->ops->fits(q->driver, part.n))
		return fail(ERR_TEMP, "batch is full");
	TRY(q->driver->ops->add(q->driver, type, &part, 1, &position));
	add_pending(q, type, position)->payload = memory_copy(part);
	return OK;
}

bool
queue_fits(const struct queue *q, size_t octets)
{
	return q->driver->ops->fits(q->driver, octets + octets / 4 + SLACK);
}

/* ---- Submitting ---- */

/* A message on its way into the batch. */
struct intake {
	struct envelope envelope; /* with numbers and the time */
	struct buf head;
	struct buf read; /* a memfd's bytes, when they go into the record */
	Str body;
	bool in_file;
	uint32_t file_sum;
};

static void
intake_done(struct intake *in)
{
	free(in->envelope.recipients);
	buf_done(&in->head);
	buf_done(&in->read);
}

static void
number_recipients(struct queue *q, const struct queue_new *new, struct intake *in)
{
	const struct envelope *e = new->envelope;
	size_t n = e->recipient_count;

	in->envelope = *e;
	in->envelope.queued = q->now.wall;
	in->envelope.size = new->size;
	in->envelope.recipients = memory_get_array(n, sizeof(*e->recipients));
	for (size_t i = 0; i < n; i++) {
		in->envelope.recipients[i] = e->recipients[i];
		in->envelope.recipients[i].number = (uint32_t)i + 1;
	}
}

static void
write_head(const struct queue_new *new, struct intake *in)
{
	buf_reset(&in->head);
	record_message_write(&in->head, &(struct record_message){ .in_file = in->in_file,
						.file_sum = in->file_sum,
						.settles_id = new->settles_id,
						.settles = new->settles,
						.settles_count = new->settles_count,
						.envelope = in->envelope });
}

/* Decides where the body goes, and gets its bytes when that is the record. */
static Err
place_body(struct queue *q, const struct queue_new *new, struct intake *in)
{
	char *room;

	in->in_file = new->size > QUEUE_INLINE_BODY_MAX ||
		      in->head.n + new->size > q->driver->ops->payload_max(q->driver);
	if (in->in_file)
		return OK;
	in->body = new->body;
	if (new->fd < 0)
		return OK;
	room = buf_room(&in->read, new->size);
	if (room == NULL)
		return fail(ERR_TEMP, "no memory for a message");
	TRY(memfd_read(new->fd, 0, room, new->size));
	buf_grew(&in->read, new->size);
	in->body = buf_view(&in->read);
	return OK;
}

static Err
save_file(struct queue *q, const struct queue_new *new, struct intake *in)
{
	const struct driver_ops *ops = q->driver->ops;
	uint64_t id;

	TRY(ops->next(q->driver, in->head.n, &id));
	TRY(ops->save_body(q->driver, id, new->body, new->fd, new->size, &in->file_sum));
	TRY(ops->sync_bodies(q->driver));
	write_head(new, in);
	return OK;
}

/* Keeps the body for the first attempt, while memory allows. */
static void
keep_body(struct queue *q, struct message *m, const struct queue_new *new)
{
	if (q->figures.memory + new->size > q->limits.memory)
		return;
	if (new->fd >= 0) {
		m->body_fd = dup(new->fd);
		if (m->body_fd < 0)
			return;
	} else {
		m->body = memory_try(new->size + 1);
		if (m->body == NULL)
			return;
		memcpy(m->body, new->body.p, new->size);
	}
	q->figures.memory += new->size;
}

static Err
take_in(struct queue *q, const struct queue_new *new, struct intake *in, uint64_t *ret_id)
{
	const struct driver_ops *ops = q->driver->ops;
	struct pending *p;
	struct message *m;
	Str parts[2];
	size_t size;

	number_recipients(q, new, in);
	write_head(new, in);
	TRY(buf_check(&in->head));
	TRY(place_body(q, new, in));
	write_head(new, in);
	size = in->head.n + in->body.n;
	if (!ops->fits(q->driver, size))
		return fail(ERR_TEMP, "batch is full");
	/* A bounce ends something that is here already; room is held back for it. */
	if (new->settles_id == 0 && !ops->has_room(q->driver, size))
		return (Err){ ERR_TEMP, ENOSPC, "the queue has no room" };
	if (in->in_file)
		TRY(save_file(q, new, in));
	parts[0] = buf_view(&in->head);
	parts[1] = in->body;
	TRY(ops->add(q->driver, RECORD_MESSAGE, parts, 2, ret_id));
	m = message_new(*ret_id, &in->envelope);
	m->in_file = in->in_file;
	m->file_sum = in->file_sum;
	keep_body(q, m, new);
	p = add_pending(q, RECORD_MESSAGE, *ret_id);
	p->message = m;
	p->settles_id = new->settles_id;
	p->payload = memory_copy((Str){
		(const char *)new->settles, new->settles_count * sizeof(*new->settles) });
	q->submissions_pending = true;
	q->octets += size;
	return OK;
}

Err
queue_submit(struct queue *q, const struct queue_new *new, uint64_t *ret_id)
{
	struct intake in = { .head = BUF_INIT(ENVELOPE_PACKED_MAX + SLACK +
					      ENVELOPE_RECIPIENTS_MAX * sizeof(uint32_t)),
		.read = BUF_INIT(QUEUE_INLINE_BODY_MAX) };
	Err e = take_in(q, new, &in, ret_id);

	intake_done(&in);
	return e;
}

/* ---- Results ---- */

static bool
too_old(const struct queue *q, const struct message *m)
{
	return q->now.wall.us - m->queued.us > (int64_t)q->limits.age_max * 1000000;
}

/* What the queue decides itself: that a message was tried for long enough. */
static void
give_up(struct queue *q, const struct message *m, const struct recipient *r, Str text,
	struct record_result *record)
{
	record->result.fate = QUEUE_FATE_FAILED;
	record->result.status = S("4.4.7");
	record->result.text = text.n == 0 ? S("delivery time expired") : text;
	if (q->watcher.gave_up != NULL)
		q->watcher.gave_up(q->watcher.self, m->id, r->address, record->result.status,
			record->result.text);
}

/*
 * All that waits for a destination that is down, and has done so for too long. The attempt that
 * found it down stands for all of them.
 */
static void
give_up_destination(struct queue *q, const struct destination *d, Str text, struct buf *payload)
{
	list_each (at, &d->ready) {
		const struct part *p = LINK_OWNER(at, struct part, in_list);
		struct message *m = p->message;

		for (uint32_t i = p->first; too_old(q, m) && i <= p->last; i++) {
			const struct recipient *r = &m->recipients[i];
			struct record_result record = { .result = { .id = m->id,
								.number = r->number } };

			if (r->part != p || payload->n > RESULTS_MAX / 2)
				continue;
			give_up(q, m, r, text, &record);
			record_result_write(payload, &record);
		}
	}
}

static void
write_result(struct queue *q, const struct queue_result *result, struct buf *payload)
{
	struct record_result record = { .result = *result };
	struct message *m = map_get(q->messages, result->id);
	const struct recipient *r = m == NULL ? NULL : message_find(m, result->number);
	int64_t wait = BUSY_WAIT;

	if (r == NULL)
		return;
	if (result->fate == QUEUE_FATE_LATER) {
		wait = schedule_retry_wait(q, r->attempts + 1U);
		if (too_old(q, m))
			give_up(q, m, r, result->text, &record);
		if (result->destination_down && r->part != NULL && r->part->destination != NULL)
			give_up_destination(q, r->part->destination, result->text, payload);
	}
	record.next = time_add_seconds(q->now.wall, wait);
	record_result_write(payload, &record);
}

Err
queue_results(struct queue *q, const struct queue_result *results, size_t count)
{
	AUTO_BUF payload = BUF_INIT(RESULTS_MAX);

	for (size_t i = 0; i < count; i++)
		write_result(q, &results[i], &payload);
	return payload.n == 0 ? OK : add_record(q, RECORD_RESULTS, &payload);
}

Err
queue_expand(struct queue *q, uint64_t id, uint32_t number,
	const struct envelope_recipient *members, size_t count, uint64_t cursor, bool done)
{
	AUTO_BUF payload = BUF_INIT(MEMBERS_MAX);
	struct message *m = map_get(q->messages, id);
	const struct recipient *r = m == NULL ? NULL : message_find(m, number);
	struct record_expand e = { id, number, cursor, done, NULL, count };

	if (r == NULL || r->state != QUEUE_WAITING)
		return fail(ERR_PEER, "no such recipient is waiting");
	e.members = memory_get_array(count, sizeof(*members));
	for (size_t i = 0; i < count; i++) {
		e.members[i] = members[i];
		e.members[i].number = m->next_number++;
	}
	record_expand_write(&payload, &e);
	free(e.members);
	return add_record(q, RECORD_EXPAND, &payload);
}

static Err
control(struct queue *q, uint64_t id, enum record_verb verb)
{
	AUTO_BUF payload = BUF_INIT(16);

	if (map_get(q->messages, id) == NULL)
		return fail(ERR_PEER, "no such message");
	record_control_write(&payload, id, verb);
	return add_record(q, RECORD_CONTROL, &payload);
}

Err
queue_hold(struct queue *q, uint64_t id, bool hold)
{
	return control(q, id, hold ? RECORD_HOLD : RECORD_RELEASE);
}

Err
queue_remove(struct queue *q, uint64_t id)
{
	return control(q, id, RECORD_REMOVE);
}

static void
flush_message(struct queue *q, struct message *m)
{
	list_each (at, &m->parts) {
		struct part *p = LINK_OWNER(at, struct part, in_message);
		struct destination *d = p->destination;

		if (p->state == PART_WAITING)
			schedule_ready(q, p);
		if (d != NULL && d->blocked.place != 0) {
			timers_clear(&q->destination_timers, &d->blocked);
			schedule_activate(q, d);
		}
	}
}

Err
queue_flush(struct queue *q, uint64_t id)
{
	if (id != 0) {
		struct message *m = map_get(q->messages, id);

		if (m == NULL)
			return fail(ERR_PEER, "no such message");
		flush_message(q, m);
		return OK;
	}
	list_each (at, &q->order)
		flush_message(q, LINK_OWNER(at, struct message, order));
	return OK;
}

/* ---- Committing ---- */

static void
apply_pending(struct queue *q)
{
	for (size_t i = 0; i < q->pending_count; i++) {
		struct pending *p = &q->pending[i];
		Err e = OK;

		if (p->message != NULL) {
			q->figures.submitted++;
			apply_message(q, p->message, p->position);
			apply_settles(q, p->settles_id, (const uint32_t *)p->payload.p,
				p->payload.n / sizeof(uint32_t));
		} else {
			e = apply_record(q,
				&(struct journal_record){ p->position, p->type, p->payload });
		}
		assert(!failed(e)); /* we wrote it ourselves */
		memory_free_str(&p->payload);
	}
	q->changes += q->pending_count;
	q->pending_count = 0;
	q->submissions_pending = false;
}

/* After a failure: forgets the messages, adds everything else to a new batch. */
static Err
add_rest_again(struct queue *q)
{
	size_t kept = 0;
	Err e = OK;

	for (size_t i = 0; i < q->pending_count; i++) {
		struct pending *p = &q->pending[i];

		if (p->message != NULL) {
			if (p->message->in_file)
				q->driver->ops->remove_body(q->driver, p->message->id);
			message_free(q, p->message);
			memory_free_str(&p->payload);
			continue;
		}
		if (!failed(e))
			e = q->driver->ops->add(q->driver, p->type, &p->payload, 1,
				&p->position);
		q->pending[kept++] = *p;
	}
	q->pending_count = kept;
	q->submissions_pending = false;
	return e;
}

static void
drop_pending(struct queue *q)
{
	for (size_t i = 0; i < q->pending_count; i++)
		memory_free_str(&q->pending[i].payload);
	q->pending_count = 0;
}

Err
queue_commit(struct queue *q, Err *ret_rest)
{
	Err e = q->driver->ops->commit(q->driver), rest;

	*ret_rest = OK;
	if (!failed(e)) {
		apply_pending(q);
		return OK;
	}
	rest = add_rest_again(q);
	if (!failed(rest))
		rest = q->driver->ops->commit(q->driver);
	if (failed(rest))
		drop_pending(q);
	else
		apply_pending(q);
	*ret_rest = rest;
	return e;
}

/* ---- Checkpoints ---- */

/*
 * A delivery id is needed as long as a restart could hand its message out again: when its result
 * comes after the checkpoint, so for all that is waiting now.
 */
static uint64_t
lowest_waiting(const struct queue *q, uint64_t below)
{
	list_each (at, &q->order) {
		const struct message *m = LINK_OWNER(at, struct message, order);

		if (m->id < below)
			below = m->id;
	}
	return below;
}

bool
queue_checkpoint_begin(struct queue *q, uint64_t *ret_checkpoint)
{
	struct link *first = list_first(&q->order);
	uint64_t end = q->driver->ops->end(q->driver);

	assert(q->pending_count == 0);
	if (q->changes == 0)
		return false;
	q->changes = 0;
	q->octets = 0;
	q->begun = (struct checkpoint){ .position = end,
		.floor = first == NULL ? end
				       : LINK_OWNER(first, struct message, order)->position,
		.forget_below = lowest_waiting(q, end),
		.finished = q->finished_count };
	*ret_checkpoint = end;
	return true;
}

static void
remove_finished(struct queue *q, size_t count)
{
	for (size_t i = 0; i < count; i++)
		q->driver->ops->remove_body(q->driver, q->finished[i]);
	q->finished_count -= count;
	memmove(q->finished, q->finished + count, q->finished_count * sizeof(*q->finished));
}

Err
queue_checkpoint_end(struct queue *q, uint64_t checkpoint)
{
	const struct driver_ops *ops = q->driver->ops;
	struct checkpoint done = q->begun;
	AUTO_BUF payload = BUF_INIT(8);
	uint64_t position;
	Str part;

	assert(q->pending_count == 0);
	if (checkpoint == 0 || checkpoint != done.position)
		return OK;
	buf_u64(&payload, done.position);
	part = buf_view(&payload);
	/* First that they are synced: without their messages, these results mean nothing. */
	if (!ops->fits(q->driver, part.n))
		TRY(ops->commit(q->driver));
	TRY(ops->add(q->driver, RECORD_CHECKPOINT, &part, 1, &position));
	if (!ops->fits(q->driver, part.n))
		TRY(ops->commit(q->driver));
	TRY(ops->set_floor(q->driver, done.floor));
	TRY(ops->commit(q->driver));
	q->begun = (struct checkpoint){ 0 };
	q->synced = done.position;
	q->forget_below = done.forget_below;
	remove_finished(q, done.finished);
	return OK;
}

uint64_t
queue_octets_since(const struct queue *q)
{
	return q->octets;
}

uint64_t
queue_forget_below(const struct queue *q)
{
	return q->forget_below;
}

/* ---- Moving ---- */

static void
write_moved(const struct message *m, uint32_t file_sum, struct buf *payload)
{
	struct record_moved moved = { .id = m->id,
		.held = m->held,
		.file_sum = file_sum,
		.next_number = m->next_number,
		.recipient_count = m->open };

	message_fill_envelope(m, &moved.envelope);
	record_moved_write(payload, &moved);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct recipient *r = &m->recipients[i];
		struct record_moved_recipient to = { .number = r->number,
			.class = (enum envelope_class)r->class,
			.state = (enum queue_recipient_state)r->state,
			.attempts = r->attempts,
			.crashes = r->crashes,
			.cursor = r->cursor,
			.next = r->next,
			.address = r->address };

		if (r->state == QUEUE_SETTLED)
			continue;
		if (r->reason != NULL)
			to.reason = *r->reason;
		record_moved_write_recipient(payload, &to);
	}
}

static Err
move_one(struct queue *q, struct message *m)
{
	AUTO_BUF payload = BUF_INIT(MOVED_MAX);
	AUTO_BUF body = BUF_INIT(m->size);
	uint32_t sum = m->file_sum;

	if (!m->in_file) {
		TRY(queue_read_body(q, m->id, &body));
		TRY(q->driver->ops->save_body(q->driver, m->id, buf_view(&body), -1, m->size,
			&sum));
	}
	write_moved(m, sum, &payload);
	return add_record(q, RECORD_MOVED, &payload);
}

/* Whether the oldest segment is kept by little, or too many are. */
static bool
should_move(const struct queue *q, uint64_t *ret_behind)
{
	uint64_t live = 0;
	size_t closed;

	if (!q->driver->ops->oldest(q->driver, ret_behind, &closed))
		return false;
	list_each (at, &q->order) {
		const struct message *m = LINK_OWNER(at, struct message, order);

		if (m->position >= *ret_behind)
			break;
		/* Without age, it is on its way; with it, the clock was set back. */
		if (q->now.wall.us - m->queued.us < MOVE_AGE * INT64_C(1000000) &&
			q->now.wall.us >= m->queued.us)
			return false;
		live += m->in_file ? SLACK : m->size;
		if (closed < CLOSED_MAX && live > q->limits.segment_size / LIVE_SHARE)
			return false;
	}
	return live > 0;
}

/* Moves some of the messages below `behind`; the commit makes it count. */
static Err
move_some(struct queue *q, uint64_t behind)
{
	uint64_t octets = 0;
	size_t n = 0;
	Err rest;

	list_each (at, &q->order) {
		struct message *m = LINK_OWNER(at, struct message, order);

		if (m->position >= behind || n == MOVE_MAX || octets > MOVE_OCTETS_MAX ||
			!queue_fits(q, SLACK + m->open * 256))
			break;
		TRY(move_one(q, m));
		octets += m->size;
		n++;
	}
	TRY(q->driver->ops->sync_bodies(q->driver));
	TRY(queue_commit(q, &rest));
	return OK;
}

Err
queue_tidy(struct queue *q, bool *ret_more)
{
	uint64_t behind;
	Err e, rest;

	assert(q->pending_count == 0);
	TRY(q->driver->ops->prepare(q->driver, ret_more));
	if (*ret_more || !should_move(q, &behind))
		return OK;
	*ret_more = true;
	e = move_some(q, behind);
	if (failed(e) && q->pending_count > 0)
		(void)!failed(queue_commit(q, &rest)); /* those that were added may count */
	return e;
}

void
queue_rest(struct queue *q)
{
	q->driver->ops->rest(q->driver);
}

/* ---- Opening ---- */

static Err
replay_record(void *self, const struct journal_record *record)
{
	struct queue *q = self;
	Err e = apply_record(q, record);

	/* A record that makes no sense is damage; the rest of the journal is still wanted. */
	if (e.kind == ERR_PEER || e.kind == ERR_LIMIT) {
		q->figures.damages++;
		return OK;
	}
	return e;
}

static void
replay_damage(void *self, const struct journal_damage *damage)
{
	struct queue *q = self;

	q->figures.damages++;
	if (q->watcher.damaged != NULL)
		q->watcher.damaged(q->watcher.self, damage->file, damage->at, damage->size);
}

static bool
wants_body(void *self, uint64_t id)
{
	const struct queue *q = self;
	const struct message *m = map_get(q->messages, id);

	return m != NULL && m->in_file;
}

static void
end_replay(struct queue *q)
{
	list_each (at, &q->order)
		apply_end_of_replay(q, LINK_OWNER(at, struct message, order));
	q->replaying = false;
	list_each (at, &q->order)
		schedule_message(q, LINK_OWNER(at, struct message, order));
	q->driver->ops->sweep_bodies(q->driver, wants_body, q);
	q->finished_count = 0;
	q->changes = 1;
}

static Err
open_with(struct driver *d, const struct queue_limits *limits,
	const struct queue_watcher *watcher, struct queue_now now, struct queue **ret)
{
	static const struct journal_reader reader = { replay_record, replay_damage };
	AUTO(queue) q = memory_get(sizeof(*q));

	assert(limits->retry_count > 0 && limits->retry_count <= QUEUE_RETRY_MAX);
	q->driver = d;
	q->limits = *limits;
	q->now = now;
	if (watcher != NULL)
		q->watcher = *watcher;
	q->messages = map_new();
	q->destinations = str_map_new();
	list_init(&q->order);
	list_init(&q->ready_local);
	list_init(&q->leased);
	list_init(&q->active);
	q->replaying = true;
	TRY(d->ops->replay(d, &reader, q));
	end_replay(q);
	*ret = TAKE(q);
	return OK;
}

Err
queue_open_local(int spool, const struct queue_limits *limits,
	const struct queue_watcher *watcher, struct queue_now now, struct queue **ret)
{
	struct driver *d;

	TRY(driver_local_open(spool, limits, &d));
	return open_with(d, limits, watcher, now, ret);
}

Err
queue_open_ram(const struct queue_limits *limits, const struct queue_watcher *watcher,
	struct queue_now now, struct queue **ret)
{
	return open_with(driver_ram_new(), limits, watcher, now, ret);
}

/* All but the driver. */
static void
clear(struct queue *q)
{
	for (size_t i = 0; i < q->pending_count; i++)
		if (q->pending[i].message != NULL)
			message_free(q, q->pending[i].message);
	drop_pending(q);
	list_each (at, &q->order)
		message_free(q, LINK_OWNER(at, struct message, order));
	for (struct timer *t;
		(t = timers_take_due(&q->destination_timers, INT64_MAX)) != NULL;) {
		struct destination *d = TIMER_OWNER(t, struct destination, blocked);

		memory_free_str(&d->name);
		free(d);
	}
	timers_done(&q->part_timers);
	timers_done(&q->destination_timers);
	map_free(q->messages);
	str_map_free(q->destinations);
	free(q->pending);
	free(q->finished);
}

void
queue_free(struct queue *q)
{
	if (q == NULL)
		return;
	clear(q);
	q->driver->ops->free(q->driver);
	free(q);
}

Err
queue_reopen_ram(struct queue **q, struct queue_now now)
{
	struct queue *old = *q;
	struct driver *d = old->driver;
	struct queue_limits limits = old->limits;
	struct queue_watcher watcher = old->watcher;

	clear(old);
	free(old);
	*q = NULL;
	driver_ram_crash(d);
	return open_with(d, &limits, &watcher, now, q);
}

void
queue_set_now(struct queue *q, struct queue_now now)
{
	q->now = now;
	schedule_due(q);
}

int64_t
queue_due(const struct queue *q)
{
	int64_t part = timers_first(&q->part_timers),
		destination = timers_first(&q->destination_timers);

	return part < destination ? part : destination;
}
