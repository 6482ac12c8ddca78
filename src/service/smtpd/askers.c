/* SPDX-License-Identifier: ISC */
#include "service/smtpd/askers.h"

#include "base/arena.h"
#include "base/memory.h"

#include <pthread.h>

/* Shared between threads: the list of those that nobody uses. */
struct smtpd_askers {
	struct peer *directory, *queue, *resolver;
	pthread_mutex_t lock;
	struct smtpd_asker *idle; /* guarded by lock; the one used last is first */
};

struct smtpd_askers *
smtpd_askers_new(struct peer *directory, struct peer *queue, struct peer *resolver)
{
	struct smtpd_askers *a = memory_get(sizeof(*a));

	a->directory = directory;
	a->queue = queue;
	a->resolver = resolver;
	pthread_mutex_init(&a->lock, NULL);
	return a;
}

struct smtpd_asker *
smtpd_askers_take(struct smtpd_askers *a)
{
	struct smtpd_asker *asker;

	pthread_mutex_lock(&a->lock);
	asker = a->idle;
	if (asker != NULL)
		a->idle = asker->next;
	pthread_mutex_unlock(&a->lock);
	if (asker != NULL)
		return asker;
	asker = memory_get(sizeof(*asker));
	asker->directory = caller_new(a->directory);
	asker->queue = caller_new(a->queue);
	asker->resolver = caller_new(a->resolver);
	asker->arena = arena_new(SMTPD_TRANSACTION_MAX);
	return asker;
}

void
smtpd_askers_give_back(struct smtpd_askers *a, struct smtpd_asker *asker)
{
	arena_reset(asker->arena);
	pthread_mutex_lock(&a->lock);
	asker->next = a->idle;
	a->idle = asker;
	pthread_mutex_unlock(&a->lock);
}
