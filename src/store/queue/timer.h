/* SPDX-License-Identifier: ISC */
#pragma once

/* A heap of timers. struct timer lies inside the thing; the heap owns nothing. */

#include <stddef.h>
#include <stdint.h>

struct timer {
	int64_t at;   /* ms of the queue's clock */
	size_t place; /* in the heap, from 1; 0: not set */
};

struct timers {
	struct timer **heap; /* from 1 */
	size_t count, cap;
};

void timers_done(struct timers *t);
void timers_set(struct timers *t, struct timer *timer, int64_t at); /* anew or moved */
void timers_clear(struct timers *t, struct timer *timer);           /* not set is fine */
/* The earliest, taken out, when it is not after `now`; else NULL. */
struct timer *timers_take_due(struct timers *t, int64_t now);
int64_t timers_first(const struct timers *t); /* INT64_MAX when there is none */

#define TIMER_OWNER(timer, type, member) \
	((type *)(void *)((char *)(timer)-offsetof(type, member)))
