/* SPDX-License-Identifier: ISC */
#include "service/login/throttle.h"

#include "base/hash.h"
#include "base/memory.h"
#include "format/dns/ip.h"

#include <pthread.h>
#include <stdlib.h>

/*
 * Places are found by a keyed hash of the address; two addresses that fall on the same place share
 * it, so memory is fixed and nobody can choose whom he slows down.
 */
struct place {
	uint32_t failures;
	Moment forget;
};

/* Shared between threads: the places, behind the lock. */
struct throttle {
	int64_t first_ms;
	HashKey key;
	pthread_mutex_t lock;
	struct place places[THROTTLE_PLACES];
};

struct throttle *
throttle_new(int64_t first_ms)
{
	struct throttle *t = memory_get(sizeof(*t));

	t->first_ms = first_ms;
	t->key = hash_key_new();
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void
throttle_free(struct throttle *t)
{
	if (t == NULL)
		return;
	pthread_mutex_destroy(&t->lock);
	free(t);
}

static Str
network(Str address, Ip *room)
{
	return failed(ip_parse(address, room)) ? address : ip_holder(room);
}

static int64_t
delay(int64_t first_ms, uint32_t failures)
{
	int64_t ms = first_ms;

	for (uint32_t i = 1; i < failures && ms < THROTTLE_LONGEST_MS; i++)
		ms *= 2;
	return ms < THROTTLE_LONGEST_MS ? ms : THROTTLE_LONGEST_MS;
}

int64_t
throttle_add(struct throttle *t, Str address, Moment now)
{
	Ip ip;
	struct place *p = &t->places[hash_sip(t->key, network(address, &ip)) % THROTTLE_PLACES];
	int64_t ms;

	pthread_mutex_lock(&t->lock);
	if (p->forget.ms < now.ms)
		p->failures = 0;
	p->failures++;
	p->forget.ms = now.ms + THROTTLE_FORGET_MS;
	ms = delay(t->first_ms, p->failures);
	pthread_mutex_unlock(&t->lock);
	return ms;
}
