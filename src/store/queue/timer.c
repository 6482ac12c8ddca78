/* SPDX-License-Identifier: ISC */
#include "store/queue/timer.h"

#include "base/memory.h"

#include <stdlib.h>

void
timers_done(struct timers *t)
{
	free(t->heap);
	*t = (struct timers){ 0 };
}

static void
put(struct timers *t, size_t place, struct timer *timer)
{
	t->heap[place] = timer;
	timer->place = place;
}

static void
rise(struct timers *t, size_t place)
{
	struct timer *timer = t->heap[place];

	while (place > 1 && t->heap[place / 2]->at > timer->at) {
		put(t, place, t->heap[place / 2]);
		place /= 2;
	}
	put(t, place, timer);
}

static void
sink(struct timers *t, size_t place)
{
	struct timer *timer = t->heap[place];

	for (;;) {
		size_t child = place * 2;

		if (child > t->count)
			break;
		if (child < t->count && t->heap[child + 1]->at < t->heap[child]->at)
			child++;
		if (t->heap[child]->at >= timer->at)
			break;
		put(t, place, t->heap[child]);
		place = child;
	}
	put(t, place, timer);
}

void
timers_set(struct timers *t, struct timer *timer, int64_t at)
{
	timers_clear(t, timer);
	if (t->count + 1 >= t->cap) {
		t->cap = t->cap == 0 ? 64 : t->cap * 2;
		t->heap = memory_resize(t->heap, t->cap, sizeof(*t->heap));
	}
	timer->at = at;
	put(t, ++t->count, timer);
	rise(t, t->count);
}

void
timers_clear(struct timers *t, struct timer *timer)
{
	size_t place = timer->place;
	struct timer *last;

	if (place == 0)
		return;
	last = t->heap[t->count--];
	timer->place = 0;
	if (last == timer)
		return;
	put(t, place, last);
	rise(t, place);
	sink(t, last->place);
}

struct timer *
timers_take_due(struct timers *t, int64_t now)
{
	struct timer *first;

	if (t->count == 0 || t->heap[1]->at > now)
		return NULL;
	first = t->heap[1];
	timers_clear(t, first);
	return first;
}

int64_t
timers_first(const struct timers *t)
{
	return t->count == 0 ? INT64_MAX : t->heap[1]->at;
}
