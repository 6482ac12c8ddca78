/* SPDX-License-Identifier: ISC */
#include "store/queue/state.h"

/* What people are shown. */

enum {
	ARENA_MAX = 64 * 1024 * 1024,
};

static Err
fill_view(const struct message *m, struct arena *a, struct queue_view *ret)
{
	struct queue_view v = { .id = m->id,
		.sender = m->sender,
		.client = m->client,
		.size = m->size,
		.queued = m->queued,
		.held = m->held,
		.in_file = m->in_file };

	v.recipients = arena_try_array(a, m->count, sizeof(*v.recipients));
	if (v.recipients == NULL)
		return fail(ERR_LIMIT, "message has too many recipients to show");
	v.recipient_count = m->count;
	for (uint32_t i = 0; i < m->count; i++) {
		const struct recipient *r = &m->recipients[i];
		struct queue_view_recipient *to = &v.recipients[i];

		to->address = r->address;
		to->number = r->number;
		to->class = (enum envelope_class)r->class;
		to->state = (enum queue_recipient_state)r->state;
		to->attempts = r->attempts;
		to->next = r->next;
		if (r->reason != NULL)
			to->reason = *r->reason;
		if (r->part != NULL && r->part->state == PART_LEASED)
			v.active = true;
	}
	*ret = v;
	return OK;
}

void
queue_view_each(struct queue *q, bool (*see)(void *self, const struct queue_view *view),
	void *self)
{
	AUTO(arena) a = arena_new(ARENA_MAX);

	list_each (at, &q->order) {
		struct queue_view view;

		arena_reset(a);
		if (failed(fill_view(LINK_OWNER(at, struct message, order), a, &view)))
			continue;
		if (!see(self, &view))
			return;
	}
}

Err
queue_view_get(struct queue *q, uint64_t id, struct arena *a, struct queue_view *ret)
{
	const struct message *m = map_get(q->messages, id);

	return m == NULL ? fail(ERR_PEER, "no such message") : fill_view(m, a, ret);
}

struct queue_figures
queue_figures(const struct queue *q)
{
	struct queue_figures f = q->figures;
	struct journal_figures journal = q->driver->ops->figures(q->driver);

	list_each (at, &q->order) {
		const struct message *m = LINK_OWNER(at, struct message, order);

		f.messages++;
		f.held += m->held;
		list_each (in_message, &m->parts) {
			const struct part *p = LINK_OWNER(in_message, struct part, in_message);

			f.parts_ready += p->state == PART_READY;
			f.parts_waiting += p->state == PART_WAITING;
		}
	}
	f.destinations = str_map_count(q->destinations);
	f.syncs = journal.batches;
	f.failed = journal.failed;
	f.segments = journal.segments;
	f.segments_empty = journal.empty;
	return f;
}

uint64_t
queue_memory(const struct queue *q)
{
	return q->figures.memory;
}
