/* SPDX-License-Identifier: ISC */
#include "store/queue/apply.h"

#include "base/memory.h"
#include "store/queue/message.h"
#include "store/queue/schedule.h"

#include <stdlib.h>

/*
 * What a record means. The same code runs when a batch was committed and when the journal is
 * replayed at a start; in a replay parts are made at its end, when it is known what still waits.
 *
 * One thing differs. A local delivery is not synced when its result is journaled: the journal
 * itself stands in for it until the next checkpoint. So a replay takes "delivered" of a local
 * recipient that is younger than the last checkpoint for "not known" and hands the message out
 * again; the account knows by its delivery id whether it has it.
 */

static void
remember_finished(struct queue *q, const struct message *m)
{
	if (!m->in_file)
		return;
	if (q->finished_count == q->finished_cap) {
		q->finished_cap = q->finished_cap == 0 ? 16 : q->finished_cap * 2;
		q->finished = memory_resize(q->finished, q->finished_cap, sizeof(*q->finished));
	}
	q->finished[q->finished_count++] = m->id;
}

void
apply_remove(struct queue *q, struct message *m)
{
	uint64_t id = m->id;

	remember_finished(q, m);
	map_remove(q->messages, id);
	message_free(q, m);
	if (!q->replaying && q->watcher.removed != NULL)
		q->watcher.removed(q->watcher.self, id);
}

static void
settle(struct message *m, struct recipient *r, struct queue *q)
{
	if (r->state == QUEUE_SETTLED)
		return;
	r->state = QUEUE_SETTLED;
	free(r->reason);
	r->reason = NULL;
	m->open--;
	schedule_leave(q, r);
}

static void
fail_recipient(struct queue *q, struct message *m, struct recipient *r,
	const struct queue_result *result)
{
	if (r->state == QUEUE_BOUNCING || m->sender.n == 0) {
		/* A bounce that fails, or a sender that wants none: nobody is left to tell. */
		settle(m, r, q);
		return;
	}
	recipient_set_reason(r, result->status, result->text, result->remote);
	r->state = QUEUE_BOUNCING;
	r->attempts = 0;
	r->crashes = 0;
	r->next = (Time){ 0 };
	schedule_leave(q, r);
	if (!q->replaying)
		schedule_bounce(q, m, r);
}

static void
apply_destination(struct queue *q, const struct recipient *r, const struct queue_result *result)
{
	struct destination *d = r->part == NULL ? NULL : r->part->destination;

	if (d == NULL || result->fate == QUEUE_FATE_BUSY)
		return;
	schedule_destination_went(q, d,
		result->fate == QUEUE_FATE_LATER && result->destination_down);
}

static void
apply_result(struct queue *q, const struct record_result *record, uint64_t position)
{
	const struct queue_result *result = &record->result;
	struct message *m = map_get(q->messages, result->id);
	struct recipient *r = m == NULL ? NULL : message_find(m, result->number);

	if (r == NULL || r->state == QUEUE_SETTLED)
		return;
	apply_destination(q, r, result);
	switch (result->fate) {
	case QUEUE_FATE_DONE:
		if (q->replaying && r->class == ENVELOPE_LOCAL && r->state == QUEUE_WAITING) {
			r->crashes = 0;
			r->done_at = position;
			return;
		}
		FALLTHROUGH;
	case QUEUE_FATE_SETTLED:
		settle(m, r, q);
		return;
	case QUEUE_FATE_FAILED:
		fail_recipient(q, m, r, result);
		return;
	case QUEUE_FATE_LATER:
		r->attempts++;
		r->crashes = 0;
		recipient_set_reason(r, result->status, result->text, result->remote);
		message_drop_body(q, m);
		break;
	case QUEUE_FATE_CRASHED:
		r->attempts++;
		/* In a replay, the attempt's own record has counted it. */
		if (r->part != NULL && (r->part->alone || r->crashes == 0))
			r->crashes++;
		break;
	case QUEUE_FATE_BUSY:
		if (q->replaying)
			r->crashes = 0;
		break;
	}
	r->next = record->next;
	schedule_owed_done(q, r);
}

static void
apply_results(struct queue *q, Str payload, uint64_t position)
{
	struct cursor c = cursor_of(payload), again = c;
	struct record_result r;

	while (record_result_parse(&c, &r))
		apply_result(q, &r, position);
	/* Removed only now: results of one message stand side by side. */
	while (record_result_parse(&again, &r)) {
		struct message *m = map_get(q->messages, r.result.id);

		if (m != NULL && m->open == 0 && !q->replaying)
			apply_remove(q, m);
	}
}

static void
apply_attempts(struct queue *q, Str payload)
{
	struct cursor c = cursor_of(payload);
	uint32_t count;
	uint64_t id;
	bool alone;

	/* Live, the lease itself remembers it. */
	while (q->replaying && record_attempt_parse(&c, &id, &alone, &count)) {
		struct message *m = map_get(q->messages, id);

		for (uint32_t i = 0; i < count; i++) {
			uint32_t number = cursor_u32(&c);
			struct recipient *r = m == NULL ? NULL : message_find(m, number);

			if (r != NULL && (alone || r->crashes == 0))
				r->crashes++;
		}
	}
}

/* Which of the members are new: by address, whatever its case. */
static size_t
drop_known(const struct message *m, struct envelope_recipient *members, size_t count)
{
	AUTO(arena) a = arena_new(256 * 1024 * 1024);
	AUTO(str_map) known = str_map_new();
	AUTO_BUF lower = BUF_INIT(4096);
	size_t kept = 0;

	for (size_t i = 0; i < m->count + count; i++) {
		bool member = i >= m->count;
		Str address = member ? members[i - m->count].address : m->recipients[i].address,
		    key;

		buf_reset(&lower);
		buf_put(&lower, address);
		buf_lower_from(&lower, 0);
		if (str_map_get(known, buf_view(&lower)) != NULL)
			continue;
		if (!failed(arena_copy(a, buf_view(&lower), &key)))
			str_map_set(known, key, known);
		if (member)
			members[kept++] = members[i - m->count];
	}
	return kept;
}

static void
apply_checkpoint(struct queue *q, Str payload)
{
	struct cursor c = cursor_of(payload);
	uint64_t position = cursor_u64(&c);

	if (!c.bad && position > q->synced)
		q->synced = position;
}

void
apply_end_of_replay(struct queue *q, struct message *m)
{
	for (uint32_t i = 0; i < m->count; i++) {
		struct recipient *r = &m->recipients[i];

		if (r->done_at != 0 && r->done_at < q->synced)
			settle(m, r, q);
	}
	if (m->open == 0)
		apply_remove(q, m);
}

static Err
apply_expand(struct queue *q, Str payload)
{
	AUTO(arena) a = arena_new(payload.n * 8 + 4096);
	struct record_expand e;
	struct recipient *r;
	struct message *m;

	TRY(record_expand_parse(payload, a, &e));
	m = map_get(q->messages, e.id);
	r = m == NULL ? NULL : message_find(m, e.number);
	if (r == NULL || r->state == QUEUE_SETTLED)
		return OK;
	if (!e.done)
		r->cursor = e.cursor;
	e.count = drop_known(m, e.members, e.count);
	/* The array may move, so r dies here. Parts hold places in it, which stay. */
	message_add_recipients(m, e.members, e.count);
	if (e.done)
		settle(m, message_find(m, e.number), q);
	if (q->replaying)
		return OK;
	if (m->open == 0)
		apply_remove(q, m);
	else
		schedule_message(q, m);
	return OK;
}

static void
set_held(struct queue *q, struct message *m, bool held)
{
	m->held = held;
	list_each (at, &m->parts) {
		struct part *p = LINK_OWNER(at, struct part, in_message);

		if (p->state == PART_READY)
			schedule_ready(q, p);
	}
}

static void
apply_control(struct queue *q, Str payload)
{
	enum record_verb verb;
	struct message *m;
	uint64_t id;

	if (!record_control_parse(payload, &id, &verb))
		return;
	m = map_get(q->messages, id);
	if (m == NULL)
		return;
	if (verb == RECORD_REMOVE)
		apply_remove(q, m);
	else
		set_held(q, m, verb == RECORD_HOLD);
}

void
apply_settles(struct queue *q, uint64_t id, const uint32_t *numbers, size_t count)
{
	struct message *m = map_get(q->messages, id);

	if (m == NULL)
		return;
	for (size_t i = 0; i < count; i++) {
		struct recipient *r = message_find(m, numbers[i]);

		if (r != NULL)
			settle(m, r, q);
	}
	if (m->open == 0 && !q->replaying)
		apply_remove(q, m);
}

void
apply_message(struct queue *q, struct message *m, uint64_t position)
{
	m->id = m->position = position;
	map_set(q->messages, m->id, m);
	list_add_last(&q->order, &m->order);
	if (!q->replaying)
		schedule_message(q, m);
}

static Err
replay_message(struct queue *q, const struct journal_record *record)
{
	AUTO(arena) a = arena_new(1024 * 1024);
	struct record_message r;
	struct message *m;

	TRY(record_message_parse(record->payload, a, &r));
	m = message_new(record->position, &r.envelope);
	m->in_file = r.in_file;
	m->file_sum = r.file_sum;
	apply_message(q, m, record->position);
	if (r.settles_id != 0)
		apply_settles(q, r.settles_id, r.settles, r.settles_count);
	return OK;
}

static void
restore_recipient(struct message *m, const struct record_moved_recipient *from)
{
	struct envelope_recipient to = { .address = from->address,
		.class = from->class,
		.number = from->number,
		.cursor = from->cursor };
	struct recipient *r;

	message_add_recipients(m, &to, 1);
	r = &m->recipients[m->count - 1];
	r->state = (uint8_t)from->state;
	r->attempts = from->attempts;
	r->crashes = from->crashes;
	r->next = from->next;
	recipient_set_reason(r, from->reason.status, from->reason.text, from->reason.remote);
}

/* Also for a message that is known: then its recipients are, too. */
static Err
apply_moved(struct queue *q, const struct journal_record *record)
{
	AUTO(arena) a = arena_new(64 * 1024);
	struct record_moved_recipient recipient;
	struct record_moved moved;
	struct message *m;

	TRY(record_moved_parse(record->payload, a, &moved));
	m = map_get(q->messages, moved.id);
	if (m == NULL && !q->replaying)
		return OK; /* removed in the same batch */
	if (m == NULL) {
		m = message_new(moved.id, &moved.envelope);
		while (record_moved_next(&moved, &recipient))
			restore_recipient(m, &recipient);
		m->next_number = moved.next_number;
		m->held = moved.held;
		map_set(q->messages, m->id, m);
	}
	m->in_file = true;
	m->file_sum = moved.file_sum;
	m->position = record->position;
	link_remove(&m->order);
	list_add_last(&q->order, &m->order);
	return OK;
}

Err
apply_record(struct queue *q, const struct journal_record *record)
{
	switch ((enum record_type)record->type) {
	case RECORD_MESSAGE:
		return replay_message(q, record);
	case RECORD_RESULTS:
		apply_results(q, record->payload, record->position);
		return OK;
	case RECORD_ATTEMPT:
		apply_attempts(q, record->payload);
		return OK;
	case RECORD_EXPAND:
		return apply_expand(q, record->payload);
	case RECORD_CONTROL:
		apply_control(q, record->payload);
		return OK;
	case RECORD_MOVED:
		return apply_moved(q, record);
	case RECORD_CHECKPOINT:
		apply_checkpoint(q, record->payload);
		return OK;
	}
	return fail(ERR_PEER, "journal record of an unknown type");
}
