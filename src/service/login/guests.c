/* SPDX-License-Identifier: ISC */
#include "service/login/guests.h"

#include "base/memory.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

/* Shared between threads: all of it, behind the lock. */
struct guests {
	pthread_mutex_t lock;
	size_t most, count;
	struct guest {
		bool here;
		Ip ip;
	} * places;
};

struct guests *
guests_new(size_t most)
{
	struct guests *g = memory_get(sizeof(*g));

	pthread_mutex_init(&g->lock, NULL);
	g->most = most;
	g->places = memory_get_array(most, sizeof(*g->places));
	return g;
}

void
guests_free(struct guests *g)
{
	if (g == NULL)
		return;
	pthread_mutex_destroy(&g->lock);
	free(g->places);
	free(g);
}

Err
guests_enter(struct guests *g, Ip ip, size_t *ret_place)
{
	size_t free_place = g->most, same = 0;
	Err e = OK;

	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < g->most; i++) {
		const struct guest *other = &g->places[i];

		if (!other->here)
			free_place = i;
		else if (other->ip.version == ip.version &&
			 str_eq(ip_holder(&other->ip), ip_holder(&ip)))
			same++;
	}
	if (same >= GUESTS_PER_NETWORK && !ip_is_loopback(ip)) {
		e = fail(ERR_LIMIT, "too many connections of one network before login");
	} else if (free_place == g->most) {
		e = fail(ERR_TEMP, "too many connections before login");
	} else {
		g->places[free_place] = (struct guest){ true, ip };
		g->count++;
		*ret_place = free_place;
	}
	pthread_mutex_unlock(&g->lock);
	return e;
}

void
guests_leave(struct guests *g, size_t place)
{
	pthread_mutex_lock(&g->lock);
	assert(g->places[place].here);
	g->places[place].here = false;
	g->count--;
	pthread_mutex_unlock(&g->lock);
}

size_t
guests_count(struct guests *g)
{
	size_t count;

	pthread_mutex_lock(&g->lock);
	count = g->count;
	pthread_mutex_unlock(&g->lock);
	return count;
}
