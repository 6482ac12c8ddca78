/* SPDX-License-Identifier: ISC */
#include "base/hash.h"
#include "os/memfd.h"
#include "store/queue/message.h"
#include "store/queue/schedule.h"

#include <assert.h>

enum {
	BYTES_MAX = 64 * 1024, /* a longer body goes out as a memfd */
	POSTPONE = 5,          /* seconds */
};

static uint8_t
part_crashes(const struct part *p)
{
	uint8_t most = 0;

	for (uint32_t i = p->first; i <= p->last; i++) {
		const struct recipient *r = &p->message->recipients[i];

		if (r->part == p && r->crashes > most)
			most = r->crashes;
	}
	return most;
}

/* The body as it lies on disk, appended to ret. ERR_PERM: it is not there, or damaged. */
static Err
read_body(struct queue *q, const struct message *m, struct arena *a, struct buf *ret)
{
	AUTO_BUF record = BUF_INIT(m->size + ENVELOPE_PACKED_MAX + 64 * 1024);
	size_t before = ret->n;
	uint16_t type;
	Str body;

	if (m->in_file) {
		TRY(q->driver->ops->load_body(q->driver, m->id, m->size, ret));
		if (hash_crc32c(0, str_from_at(buf_view(ret), before)) != m->file_sum)
			return fail(ERR_PERM, "a large message's file is damaged");
		return OK;
	}
	TRY(q->driver->ops->read(q->driver, m->position, &type, &record));
	if (type != RECORD_MESSAGE)
		return fail(ERR_PERM, "journal record is not a message");
	if (failed(record_message_find_body(buf_view(&record), a, &body)))
		return fail(ERR_PERM, "journal record holds no body");
	buf_put(ret, body);
	return buf_check(ret);
}

Err
queue_read_body(struct queue *q, uint64_t id, struct buf *ret)
{
	AUTO(arena) a = arena_new(1024 * 1024);
	struct message *m = map_get(q->messages, id);
	char *room;

	if (m == NULL)
		return fail(ERR_PEER, "no such message");
	if (m->body != NULL) {
		buf_put(ret, (Str){ m->body, m->size });
		return buf_check(ret);
	}
	if (m->body_fd < 0)
		return read_body(q, m, a, ret);
	room = buf_room(ret, m->size);
	if (room == NULL)
		return fail(ERR_LIMIT, "no room for the message");
	TRY(memfd_read(m->body_fd, 0, room, m->size));
	buf_grew(ret, m->size);
	return OK;
}

/* Gives the body as bytes in the arena (or at hand), or as a memfd of the taker's. */
static Err
give_body(struct queue *q, struct message *m, struct arena *a, struct queue_work *ret)
{
	AUTO_BUF bytes = BUF_INIT(m->size);

	if (m->body != NULL) {
		ret->body = (Str){ m->body, m->size };
		return OK;
	}
	if (m->body_fd >= 0) {
		ret->fd = dup(m->body_fd);
		return ret->fd < 0 ? fail_sys(ERR_TEMP, "cannot hand a message on") : OK;
	}
	TRY(read_body(q, m, a, &bytes));
	if (m->size > BYTES_MAX)
		return memfd_from(buf_view(&bytes), &ret->fd);
	return arena_copy(a, buf_view(&bytes), &ret->body);
}

static Err
give_recipients(const struct part *p, struct arena *a, struct queue_work *ret)
{
	struct envelope_recipient *to = arena_try_array(a, p->members, sizeof(*to));
	struct queue_reason *reasons = arena_try_array(a, p->members, sizeof(*reasons));
	size_t n = 0;

	if (to == NULL || reasons == NULL)
		return fail(ERR_TEMP, "no room for a message's recipients");
	for (uint32_t i = p->first; i <= p->last; i++) {
		const struct recipient *r = &p->message->recipients[i];

		if (r->part != p)
			continue;
		if (r->reason != NULL)
			reasons[n] = *r->reason;
		to[n++] = (struct envelope_recipient){ .address = r->address,
			.class = (enum envelope_class)r->class,
			.number = r->number,
			.cursor = r->cursor };
		if (r->attempts >= ret->attempt)
			ret->attempt = r->attempts + 1U;
	}
	assert(n == p->members);
	ret->envelope.recipients = to;
	ret->envelope.recipient_count = n;
	ret->reasons = reasons;
	return OK;
}

static Err
give(struct queue *q, struct part *p, struct arena *a, struct queue_work *ret)
{
	struct message *m = p->message;

	*ret = (struct queue_work){ .id = m->id, .fd = -1, .attempt = 1, .handle = p };
	ret->kind = p->bounce                              ? QUEUE_WORK_BOUNCE
		    : part_crashes(p) >= QUEUE_CRASHES_MAX ? QUEUE_WORK_CAREFUL
							   : QUEUE_WORK_MESSAGE;
	message_fill_envelope(m, &ret->envelope);
	TRY(give_recipients(p, a, ret));
	return give_body(q, m, a, ret);
}

static void
lease(struct queue *q, struct part *p, uint32_t holder, bool alone)
{
	link_remove(&p->in_list);
	list_add_last(&q->leased, &p->in_list);
	p->state = PART_LEASED;
	p->holder = holder;
	p->alone = alone;
	p->owed = 0;
	for (uint32_t i = p->first; i <= p->last; i++) {
		struct recipient *r = &p->message->recipients[i];

		if (r->part == p) {
			r->owed = true;
			p->owed++;
		}
	}
	timers_set(&q->part_timers, &p->timer, q->now.ms + (int64_t)q->limits.lease * 1000);
	q->figures.parts_leased++;
	if (p->destination != NULL)
		p->destination->leased++;
}

void
queue_give_back(struct queue *q, void *handle)
{
	struct part *p = handle;

	for (uint32_t i = p->first; i <= p->last; i++)
		if (p->message->recipients[i].part == p)
			p->message->recipients[i].owed = false;
	p->owed = 0;
	schedule_ready(q, p);
}

void
queue_lease_lost(struct queue *q, uint32_t first, uint32_t last)
{
	list_each (at, &q->leased) {
		struct part *p = LINK_OWNER(at, struct part, in_list);

		if (p->holder >= first && p->holder <= last)
			schedule_lost(q, p);
	}
}

/* Due again in a while, as if never taken. */
static void
postpone(struct queue *q, struct part *p)
{
	for (uint32_t i = p->first; i <= p->last; i++) {
		struct recipient *r = &p->message->recipients[i];

		if (r->part != p)
			continue;
		r->owed = false;
		r->next = time_add_seconds(q->now.wall, POSTPONE);
	}
	p->owed = 0;
	schedule_wait(q, p);
}

void
queue_lease_over(struct queue *q, uint32_t holder)
{
	list_each (at, &q->leased) {
		struct part *p = LINK_OWNER(at, struct part, in_list);

		if (p->holder == holder)
			postpone(q, p);
	}
}

/* Journals that these attempts begin, before anybody begins them. No sync: see journal_write. */
static Err
note_attempts(struct queue *q, const struct queue_work *work, size_t count)
{
	AUTO_BUF payload = BUF_INIT(256 * 1024);
	const struct driver_ops *ops = q->driver->ops;
	uint64_t position;
	Str part;

	for (size_t i = 0; i < count; i++) {
		const struct envelope *e = &work[i].envelope;

		record_attempt_begin(&payload, work[i].id, count == 1,
			(uint32_t)e->recipient_count);
		for (size_t k = 0; k < e->recipient_count; k++)
			buf_u32(&payload, e->recipients[k].number);
	}
	TRY(buf_check(&payload));
	part = buf_view(&payload);
	if (!ops->fits(q->driver, part.n))
		TRY(ops->commit(q->driver));
	TRY(ops->add(q->driver, RECORD_ATTEMPT, &part, 1, &position));
	return ops->write(q->driver);
}

static struct part *
first_ready(const struct queue *q, enum queue_way way, const struct destination *d)
{
	struct link *first;

	if (way == QUEUE_WAY_REMOTE && d == NULL)
		return NULL;
	first = list_first(way == QUEUE_WAY_LOCAL ? &q->ready_local : &d->ready);
	return first == NULL ? NULL : LINK_OWNER(first, struct part, in_list);
}

static struct destination *
pick_destination(const struct queue *q, enum queue_way way, Str name)
{
	if (way == QUEUE_WAY_LOCAL)
		return NULL;
	if (name.n > 0)
		return str_map_get(q->destinations, name);
	return list_empty(&q->active)
		       ? NULL
		       : LINK_OWNER(list_first(&q->active), struct destination, active);
}

/* A body that cannot be read now is tried again later; one that is lost holds its message. */
static void
put_off(struct queue *q, struct part *p, Err e)
{
	struct message *m = p->message;

	if (e.kind == ERR_PERM) {
		m->held = true;
		list_each (at, &m->parts) {
			struct part *each = LINK_OWNER(at, struct part, in_message);

			if (each->state == PART_READY)
				schedule_ready(q, each);
		}
		if (q->watcher.body_lost != NULL)
			q->watcher.body_lost(q->watcher.self, m->id);
		return;
	}
	postpone(q, p);
}

bool
queue_has_ready(const struct queue *q, enum queue_way way, Str destination)
{
	return first_ready(q, way, pick_destination(q, way, destination)) != NULL;
}

/* What queue_take was asked for. */
struct taking {
	enum queue_way way;
	struct destination *destination;
	size_t most, octets;
	uint32_t holder;
	struct arena *arena;
};

/* Leases parts; says how many. */
static size_t
take_parts(struct queue *q, const struct taking *t, struct queue_work *ret)
{
	const struct destination *d = t->destination;
	size_t n = 0, used = 0;
	struct part *p;

	while (n < t->most && (d == NULL || d->leased < d->window) &&
		(p = first_ready(q, t->way, d)) != NULL) {
		bool alone = part_crashes(p) > 0;
		Err e;

		if (n > 0 && (alone || used + p->message->size > t->octets))
			break;
		e = give(q, p, t->arena, &ret[n]);
		if (failed(e) && n > 0 && e.kind != ERR_PERM)
			break; /* the arena is full, or descriptors have run out */
		if (failed(e)) {
			put_off(q, p, e);
			continue;
		}
		lease(q, p, t->holder, alone);
		used += ret[n].fd < 0 ? p->message->size : 0;
		n++;
		if (alone)
			break;
	}
	return n;
}

Err
queue_take(struct queue *q, enum queue_way way, Str destination, size_t most, size_t octets,
	uint32_t holder, struct arena *a, struct queue_work *ret, size_t *ret_count)
{
	struct destination *d = pick_destination(q, way, destination);
	struct taking taking = { way, d, most, octets, holder, a };
	size_t n;
	Err e;

	assert(q->pending_count == 0 && most <= QUEUE_TAKE_MAX);
	n = take_parts(q, &taking, ret);
	if (d != NULL) {
		link_remove(&d->active);
		schedule_activate(q, d);
	}
	e = n == 0 ? OK : note_attempts(q, ret, n);
	if (failed(e)) {
		for (size_t i = 0; i < n; i++) {
			fd_drop(&ret[i].fd);
			queue_give_back(q, ret[i].handle);
		}
		return e;
	}
	*ret_count = n;
	return OK;
}
