/* SPDX-License-Identifier: ISC */
/*
 * Memory for messages over 1 MiB is promised before their bytes come, so that many large messages
 * at once wait at their senders instead of filling the machine. A promise ends when its message is
 * submitted (from then on the queue counts it), is given back, or after a while.
 */
#include "base/memory.h"
#include "service/queue/desk.h"

enum {
	WAIT = 60 * 1000,         /* ms that a caller waits for room */
	PROMISE = 30 * 60 * 1000, /* ms that a message may take to come */
};

static bool
same_caller(ReplyTo a, ReplyTo b)
{
	return a.client == b.client && a.slot == b.slot;
}

static struct desk_promise *
find_promise(struct desk *d, ReplyTo holder)
{
	for (size_t i = 0; i < d->promise_count; i++)
		if (same_caller(d->promises[i].holder, holder))
			return &d->promises[i];
	return NULL;
}

static void
end_promise(struct desk *d, struct desk_promise *p)
{
	d->promised -= p->size;
	*p = d->promises[--d->promise_count];
}

static void
promise(struct desk *d, ReplyTo holder, uint64_t size)
{
	struct desk_promise *p = find_promise(d, holder);

	if (p == NULL) {
		if (d->promise_count == d->promise_cap) {
			d->promise_cap = d->promise_cap == 0 ? 16 : d->promise_cap * 2;
			d->promises = memory_resize(d->promises, d->promise_cap,
				sizeof(*d->promises));
		}
		p = &d->promises[d->promise_count++];
		*p = (struct desk_promise){ .holder = holder };
	}
	p->size += size;
	p->until = moment_after(PROMISE);
	d->promised += size;
}

static bool
has_room(const struct desk *d, uint64_t size)
{
	uint64_t used = d->promised + queue_memory(d->queue);

	return used + size <= d->settings.memory || d->promised == 0;
}

void
desk_ask_room(struct desk *d, const struct server_request *r, uint64_t size, bool unused)
{
	struct desk_promise *p = find_promise(d, r->reply_to);

	if (size > d->settings.message_size_max * 2) {
		desk_answer(d, r->reply_to, fail(ERR_LIMIT, "message is too large"));
		return;
	}
	if (unused) {
		if (p != NULL)
			end_promise(d, p);
		desk_answer(d, r->reply_to, OK);
		return;
	}
	if (d->room_count == d->room_cap) {
		d->room_cap = d->room_cap == 0 ? 16 : d->room_cap * 2;
		d->rooms = memory_resize(d->rooms, d->room_cap, sizeof(*d->rooms));
	}
	d->rooms[d->room_count++] = (struct desk_room){ r->reply_to, size, moment_after(WAIT) };
}

void
desk_room_used(struct desk *d, ReplyTo by)
{
	struct desk_promise *p = find_promise(d, by);

	if (p != NULL)
		end_promise(d, p);
}

void
desk_room_gone(struct desk *d, uint16_t client)
{
	for (size_t i = d->promise_count; i-- > 0;)
		if (d->promises[i].holder.client == client)
			end_promise(d, &d->promises[i]);
}

/* In the order of asking: a large one is not overtaken for ever by small ones. */
void
desk_give_rooms(struct desk *d)
{
	size_t kept = 0;
	bool full = false;

	for (size_t i = d->promise_count; i-- > 0;)
		if (moment_past(d->promises[i].until))
			end_promise(d, &d->promises[i]);
	for (size_t i = 0; i < d->room_count; i++) {
		struct desk_room *r = &d->rooms[i];

		if (!full && has_room(d, r->size)) {
			promise(d, r->reply_to, r->size);
			desk_answer(d, r->reply_to, OK);
		} else if (moment_past(r->until)) {
			desk_answer(d, r->reply_to,
				(Err){ ERR_TEMP, ENOSPC, "no room for large messages" });
		} else {
			full = true;
			d->rooms[kept++] = *r;
		}
	}
	d->room_count = kept;
}

Moment
desk_room_until(const struct desk *d)
{
	/* The first in line waits longest. */
	return d->room_count == 0 ? MOMENT_NEVER : d->rooms[0].until;
}
