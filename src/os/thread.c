/* SPDX-License-Identifier: ISC */
#include "os/thread.h"

#include "base/memory.h"

#include <pthread.h>
#include <sys/prctl.h>
#include <time.h>

enum {
	KEPT_SECONDS = 5, /* that a thread waits for its next conversation */
};

/*
 * Shared: everything behind `lock`. An idle thread waits for `work`; each hand-over wakes one.
 * What waits to be taken stands in a ring of at most `most` places.
 */
struct thread_pool {
	void (*run)(void *arg);
	const char *name;
	size_t most, stack;
	pthread_mutex_t lock;
	pthread_cond_t work;
	pthread_cond_t rest;
	void **waiting; /* ring of `most` */
	size_t first, waiting_count;
	size_t threads, busy; /* busy counts what waits, too */
};

struct thread_pool *
thread_pool_new(size_t most, size_t stack, void (*run)(void *arg), const char *name)
{
	struct thread_pool *p = memory_get(sizeof(*p));
	pthread_condattr_t steady;

	p->run = run;
	p->name = name;
	p->most = most;
	p->stack = stack;
	p->waiting = memory_get_array(most, sizeof(*p->waiting));
	pthread_mutex_init(&p->lock, NULL);
	pthread_condattr_init(&steady);
	pthread_condattr_setclock(&steady, CLOCK_MONOTONIC);
	pthread_cond_init(&p->work, &steady);
	pthread_condattr_destroy(&steady);
	pthread_cond_init(&p->rest, NULL);
	return p;
}

/* False when none has come for so long that the thread's stack is better given back. */
static bool
wait_for_conversation(struct thread_pool *p)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += KEPT_SECONDS;
	while (p->waiting_count == 0)
		if (pthread_cond_timedwait(&p->work, &p->lock, &until) == ETIMEDOUT)
			return p->waiting_count > 0;
	return true;
}

static void *
thread_main(void *arg)
{
	struct thread_pool *p = arg;

	prctl(PR_SET_NAME, p->name);
	pthread_mutex_lock(&p->lock);
	while (wait_for_conversation(p)) {
		void *conversation = p->waiting[p->first];

		p->first = (p->first + 1) % p->most;
		p->waiting_count--;
		pthread_mutex_unlock(&p->lock);
		p->run(conversation);
		pthread_mutex_lock(&p->lock);
		p->busy--;
		if (p->busy == 0)
			pthread_cond_broadcast(&p->rest);
	}
	p->threads--;
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

static bool
add_thread(struct thread_pool *p)
{
	pthread_attr_t attributes;
	pthread_t thread;
	bool made;

	pthread_attr_init(&attributes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	pthread_attr_setstacksize(&attributes, p->stack);
#endif
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	made = pthread_create(&thread, &attributes, thread_main, p) == 0;
	pthread_attr_destroy(&attributes);
	return made;
}

Err
thread_pool_run(struct thread_pool *p, void *arg)
{
	Err e = OK;

	pthread_mutex_lock(&p->lock);
	if (p->busy == p->most) {
		e = fail(ERR_TEMP, "too many conversations");
	} else if (p->busy == p->threads && !add_thread(p)) {
		e = fail(ERR_TEMP, "cannot make a thread");
	} else {
		if (p->busy == p->threads)
			p->threads++;
		p->waiting[(p->first + p->waiting_count) % p->most] = arg;
		p->waiting_count++;
		p->busy++;
		pthread_cond_signal(&p->work);
	}
	pthread_mutex_unlock(&p->lock);
	return e;
}

size_t
thread_pool_busy(struct thread_pool *p)
{
	size_t busy;

	pthread_mutex_lock(&p->lock);
	busy = p->busy;
	pthread_mutex_unlock(&p->lock);
	return busy;
}

void
thread_pool_wait(struct thread_pool *p)
{
	pthread_mutex_lock(&p->lock);
	while (p->busy > 0)
		pthread_cond_wait(&p->rest, &p->lock);
	pthread_mutex_unlock(&p->lock);
}
