/* SPDX-License-Identifier: ISC */
#include "rpc/pool.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>

enum {
	KEPT_MAX = 8, /* callers that wait for the next question */
};

/* Shared between threads: the callers that nobody uses now, behind the lock. */
struct caller_pool {
	struct peer *peer;
	pthread_mutex_t lock;
	struct caller *kept[KEPT_MAX]; /* guarded by lock */
	size_t kept_count;             /* guarded by lock */
};

struct caller_pool *
caller_pool_new(struct peer *p)
{
	struct caller_pool *pool = memory_get(sizeof(*pool));

	pool->peer = p;
	pthread_mutex_init(&pool->lock, NULL);
	return pool;
}

void
caller_pool_free(struct caller_pool *pool)
{
	if (pool == NULL)
		return;
	while (pool->kept_count > 0)
		caller_free(pool->kept[--pool->kept_count]);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}

struct caller *
caller_pool_take(struct caller_pool *pool)
{
	struct caller *c = NULL;

	pthread_mutex_lock(&pool->lock);
	if (pool->kept_count > 0)
		c = pool->kept[--pool->kept_count];
	pthread_mutex_unlock(&pool->lock);
	return c != NULL ? c : caller_new(pool->peer);
}

void
caller_pool_give(struct caller_pool *pool, struct caller *c)
{
	pthread_mutex_lock(&pool->lock);
	if (pool->kept_count < KEPT_MAX)
		pool->kept[pool->kept_count++] = TAKE(c);
	pthread_mutex_unlock(&pool->lock);
	caller_free(c);
}
