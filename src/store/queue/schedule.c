/* SPDX-License-Identifier: ISC */
#include "store/queue/schedule.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

/*
 * When what is tried. A part is in one of three states: READY lies in the list of its destination
 * (or of the local side), WAITING and LEASED have a timer. A destination is in the list `active`
 * while it has something ready, is not held back and has fewer parts leased than its window; from
 * there `queue_take` serves them in turn, so a slow or dead one costs the others nothing.
 *
 * The window starts at WINDOW_FIRST, grows by one with each success, and falls to one probe when
 * nobody there can be reached.
 */

enum {
	WINDOW_FIRST = 5,
	NAME_MAX_OCTETS = 255, /* of a domain */
};

void
schedule_activate(struct queue *q, struct destination *d)
{
	if (link_in_list(&d->active) || list_empty(&d->ready) || d->blocked.place != 0 ||
		d->leased >= d->window)
		return;
	list_add_last(&q->active, &d->active);
}

/* The domain of an address, in lower case. */
static Str
domain_of(Str address, char room[NAME_MAX_OCTETS])
{
	size_t at = str_find_last(address, '@');
	Str domain = at == STR_NONE ? S("") : str_from_at(address, at + 1);

	domain = str_part(domain, 0, NAME_MAX_OCTETS);
	for (size_t i = 0; i < domain.n; i++)
		room[i] = char_lower((char)str_at(domain, i));
	return (Str){ room, domain.n };
}

static struct destination *
find_destination(struct queue *q, Str name)
{
	struct destination *d = str_map_get(q->destinations, name);

	if (d != NULL)
		return d;
	d = memory_get(sizeof(*d));
	d->name = memory_copy(name);
	d->window = WINDOW_FIRST;
	list_init(&d->ready);
	link_init(&d->active);
	str_map_set(q->destinations, d->name, d);
	return d;
}

static void
forget_destination(struct queue *q, struct destination *d)
{
	if (d->parts > 0 || d->blocked.place != 0)
		return;
	link_remove(&d->active);
	str_map_remove(q->destinations, d->name);
	memory_free_str(&d->name);
	free(d);
}

static struct part *
part_new(struct message *m, struct destination *d, bool bounce)
{
	struct part *p = memory_get(sizeof(*p));

	p->message = m;
	p->destination = d;
	p->bounce = bounce;
	p->state = PART_WAITING;
	p->first = UINT32_MAX;
	link_init(&p->in_list);
	list_add_last(&m->parts, &p->in_message);
	if (d != NULL)
		d->parts++;
	return p;
}

static void
join(struct part *p, struct recipient *r)
{
	uint32_t place = (uint32_t)(r - p->message->recipients);

	r->part = p;
	p->members++;
	if (place < p->first)
		p->first = place;
	if (place > p->last)
		p->last = place;
}

static void
end_lease(struct queue *q, struct part *p)
{
	if (p->state != PART_LEASED)
		return;
	p->state = PART_WAITING;
	q->figures.parts_leased--;
	if (p->destination != NULL) {
		p->destination->leased--;
		schedule_activate(q, p->destination);
	}
}

static void
leave_lists(struct queue *q, struct part *p)
{
	struct destination *d = p->destination;

	link_remove(&p->in_list);
	timers_clear(&q->part_timers, &p->timer);
	if (d != NULL && list_empty(&d->ready))
		link_remove(&d->active);
}

void
schedule_part_freed(struct queue *q, struct part *p)
{
	struct destination *d = p->destination;

	leave_lists(q, p);
	end_lease(q, p);
	link_remove(&p->in_message);
	free(p);
	if (d != NULL) {
		d->parts--;
		forget_destination(q, d);
	}
}

void
schedule_ready(struct queue *q, struct part *p)
{
	leave_lists(q, p);
	end_lease(q, p);
	p->state = PART_READY;
	if (p->message->held)
		return;
	if (p->destination == NULL) {
		list_add_last(&q->ready_local, &p->in_list);
		return;
	}
	list_add_last(&p->destination->ready, &p->in_list);
	schedule_activate(q, p->destination);
}

int64_t
schedule_retry_wait(const struct queue *q, uint32_t attempts)
{
	size_t at = attempts == 0 ? 0 : attempts - 1;

	if (at >= q->limits.retry_count)
		at = q->limits.retry_count - 1;
	return q->limits.retry[at];
}

void
schedule_wait(struct queue *q, struct part *p)
{
	/* A clock that jumped must not make anybody wait longer than the longest wait there is. */
	int64_t longest = schedule_retry_wait(q, UINT32_MAX) * 1000, wait = longest;

	for (uint32_t i = p->first; i <= p->last; i++) {
		const struct recipient *r = &p->message->recipients[i];
		int64_t ms = (r->next.us - q->now.wall.us) / 1000;

		if (r->part == p && ms < wait)
			wait = ms;
	}
	if (wait <= 0) {
		schedule_ready(q, p);
		return;
	}
	leave_lists(q, p);
	end_lease(q, p);
	p->state = PART_WAITING;
	timers_set(&q->part_timers, &p->timer, q->now.ms + wait);
}

/* A part of this message that the recipient can join, or a new one. */
static struct part *
find_part(struct queue *q, struct message *m, struct recipient *r)
{
	char room[NAME_MAX_OCTETS];
	struct destination *d = NULL;

	if (r->class == ENVELOPE_REMOTE)
		d = find_destination(q, domain_of(r->address, room));
	list_each (at, &m->parts) {
		struct part *p = LINK_OWNER(at, struct part, in_message);

		if (p->destination == d && !p->bounce && p->state != PART_LEASED &&
			p->members < QUEUE_PART_MAX)
			return p;
	}
	return part_new(m, d, false);
}

void
schedule_bounce(struct queue *q, struct message *m, struct recipient *r)
{
	struct part *found = NULL;

	list_each (at, &m->parts) {
		struct part *p = LINK_OWNER(at, struct part, in_message);

		if (p->bounce && p->state != PART_LEASED && p->members < QUEUE_PART_MAX)
			found = p;
	}
	if (found == NULL)
		found = part_new(m, NULL, true);
	join(found, r);
	schedule_ready(q, found);
}

void
schedule_message(struct queue *q, struct message *m)
{
	for (uint32_t i = 0; i < m->count; i++) {
		struct recipient *r = &m->recipients[i];

		if (r->part != NULL)
			continue;
		if (r->state == QUEUE_BOUNCING)
			schedule_bounce(q, m, r);
		else if (r->state == QUEUE_WAITING)
			join(find_part(q, m, r), r);
	}
	list_each (at, &m->parts) {
		struct part *p = LINK_OWNER(at, struct part, in_message);

		if (p->state == PART_WAITING)
			schedule_wait(q, p);
	}
}

void
schedule_owed_done(struct queue *q, struct recipient *r)
{
	struct part *p = r->part;

	if (p == NULL)
		return;
	if (r->owed) {
		r->owed = false;
		p->owed--;
	}
	if (p->owed == 0)
		schedule_wait(q, p);
}

void
schedule_leave(struct queue *q, struct recipient *r)
{
	struct part *p = r->part;

	if (p == NULL)
		return;
	if (r->owed) {
		r->owed = false;
		p->owed--;
	}
	r->part = NULL;
	p->members--;
	if (p->members == 0)
		schedule_part_freed(q, p);
	else if (p->state == PART_LEASED && p->owed == 0)
		schedule_wait(q, p);
}

void
schedule_lost(struct queue *q, struct part *p)
{
	for (uint32_t i = p->first; i <= p->last; i++) {
		struct recipient *r = &p->message->recipients[i];

		if (r->part != p || !r->owed)
			continue;
		r->owed = false;
		r->attempts++;
		/* Of many that were taken together, all but one are innocent. */
		if (p->alone || r->crashes == 0)
			r->crashes++;
	}
	p->owed = 0;
	schedule_ready(q, p);
}

void
schedule_due(struct queue *q)
{
	struct timer *t;

	while ((t = timers_take_due(&q->part_timers, q->now.ms)) != NULL) {
		struct part *p = TIMER_OWNER(t, struct part, timer);

		if (p->state == PART_LEASED)
			schedule_lost(q, p);
		else
			schedule_ready(q, p);
	}
	while ((t = timers_take_due(&q->destination_timers, q->now.ms)) != NULL) {
		struct destination *d = TIMER_OWNER(t, struct destination, blocked);

		schedule_activate(q, d);
		forget_destination(q, d);
	}
}

void
schedule_destination_went(struct queue *q, struct destination *d, bool down)
{
	if (!down) {
		d->failures = 0;
		if (d->window < q->limits.concurrency_max)
			d->window++;
		timers_clear(&q->destination_timers, &d->blocked);
		schedule_activate(q, d);
		return;
	}
	/* Several connections fail at once; they are one failure. */
	if (d->blocked.place != 0)
		return;
	d->failures++;
	d->window = 1;
	link_remove(&d->active);
	timers_set(&q->destination_timers, &d->blocked,
		q->now.ms + schedule_retry_wait(q, d->failures) * 1000);
}
