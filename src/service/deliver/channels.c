/* SPDX-License-Identifier: ISC */
#include "service/deliver/channels.h"

#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

/* Shared: everything here, behind `lock`. A worker that wants a busy channel waits for `given`. */
struct channels {
	pthread_mutex_t lock;
	pthread_cond_t given; /* on CLOCK_MONOTONIC */
	struct map *map;      /* account -> struct channel */
	struct list idle;     /* used longest ago first; busy ones are not in it */
};

struct channel {
	struct link link;
	uint64_t account;
	int fd; /* -1: being opened by the worker that has it */
	bool busy;
};

struct channels *
channels_new(void)
{
	struct channels *c = memory_get(sizeof(*c));
	pthread_condattr_t attributes;

	pthread_mutex_init(&c->lock, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&c->given, &attributes);
	pthread_condattr_destroy(&attributes);
	c->map = map_new();
	list_init(&c->idle);
	return c;
}

/* False when the time is over. */
static bool
wait_given(struct channels *c, Moment until)
{
	int left = moment_left(until);
	struct timespec at;

	if (left == 0)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &at);
	at.tv_sec += left / 1000;
	at.tv_nsec += left % 1000 * 1000000L;
	if (at.tv_nsec >= 1000000000) {
		at.tv_sec++;
		at.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&c->given, &c->lock, &at);
	return true;
}

static void
forget(struct channels *c, struct channel *ch)
{
	link_remove(&ch->link);
	map_remove(c->map, ch->account);
	fd_drop(&ch->fd);
	free(ch);
}

static struct channel *
add(struct channels *c, uint64_t account)
{
	struct channel *ch;

	if (map_count(c->map) >= CHANNELS_MAX && !list_empty(&c->idle))
		forget(c, LINK_OWNER(list_first(&c->idle), struct channel, link));
	ch = memory_get(sizeof(*ch));
	ch->account = account;
	ch->fd = -1;
	link_init(&ch->link);
	map_set(c->map, account, ch);
	return ch;
}

/* The account's channel, marked busy; NULL when another worker keeps it too long. */
static struct channel *
claim(struct channels *c, uint64_t account, Moment until)
{
	struct channel *ch;

	pthread_mutex_lock(&c->lock);
	while ((ch = map_get(c->map, account)) != NULL && ch->busy)
		if (!wait_given(c, until))
			break;
	if (ch == NULL)
		ch = add(c, account);
	else if (ch->busy)
		ch = NULL;
	if (ch != NULL) {
		ch->busy = true;
		link_remove(&ch->link);
	}
	pthread_mutex_unlock(&c->lock);
	return ch;
}

static Err
open_channel(struct caller *directory, uint64_t account, int *ret)
{
	AUTO_FD ours = -1;
	AUTO_FD theirs = -1;
	int pair[2];

	TRY(channel_pair(pair));
	ours = pair[0];
	theirs = pair[1];
	TRY(directory_call_open(directory, account, theirs));
	*ret = TAKE_FD(ours);
	return OK;
}

Err
channels_take(struct channels *c, struct caller *directory, uint64_t account, Moment until,
	int *ret_fd, bool *ret_fresh)
{
	struct channel *ch = claim(c, account, until);
	bool fresh;
	Err e;

	if (ch == NULL)
		return fail(ERR_LIMIT, "another delivery to this account is going on");
	fresh = ch->fd < 0;
	if (fresh) {
		e = open_channel(directory, account, &ch->fd);
		if (failed(e)) {
			channels_give_back(c, account, true);
			return (Err){ ERR_TEMP, e.sys, e.what };
		}
	}
	*ret_fd = ch->fd;
	*ret_fresh = fresh;
	return OK;
}

void
channels_give_back(struct channels *c, uint64_t account, bool broken)
{
	struct channel *ch;

	pthread_mutex_lock(&c->lock);
	ch = map_get(c->map, account);
	ch->busy = false;
	if (broken)
		forget(c, ch);
	else
		list_add_last(&c->idle, &ch->link);
	pthread_cond_broadcast(&c->given);
	pthread_mutex_unlock(&c->lock);
}
