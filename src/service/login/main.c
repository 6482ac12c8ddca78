/* SPDX-License-Identifier: ISC */
/*
 * login: talks to IMAP clients until they have shown who they are; then hands plain connections
 * to their account's process, and carries bytes between TLS and that process.
 *
 * reads      hostile network input
 * runs as    _posthorn-login; no files, no network but the connections it accepts
 * asks       directory (is this password right? then open the account), keys (sign a handshake)
 * if it dies its clients see a closed connection and come back
 *
 * Strangers do not stay among users: after so many connections, or a minute, a process takes no
 * new ones, has master start the next, and lives until its last session ends.
 */

#include "base/memory.h"
#include "os/listen.h"
#include "os/thread.h"
#include "rpc/keys.h"
#include "rpc/log.h"
#include "rpc/start.h"
#include "service/login/talk.h"

#include <malloc.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

enum {
	BATCH_MS = 60 * 1000, /* how long a process takes connections */
	THREADS_MAX = 256,    /* conversations of one process before authentication */
	LISTENERS_MAX = 16,
};

void login_serve(struct start *start);

struct connection {
	struct login *login;
	int fd;
	bool tls_at_once;
};

/* Shared with the conversations: `shared`, the count of them, and the eventfd that they end with. */
struct login {
	struct start *start;
	struct settings_login settings;
	struct talk_shared shared;
	struct thread_pool *threads;
	atomic_size_t talking; /* conversations going on */
	int ended;             /* eventfd */
	size_t accepted;
	Moment until; /* we take connections */
};

static void
run_connection(void *arg)
{
	struct connection *c = arg;
	struct login *l = c->login;
	uint64_t one = 1;

	talk_serve(&l->shared, c->fd, c->tls_at_once);
	free(c);
	atomic_fetch_sub(&l->talking, 1);
	if (write(l->ended, &one, sizeof(one)) < 0)
		return; /* full: the wake-up is on its way */
}

static void
accept_one(struct login *l, int listener, const char *name)
{
	struct connection *c;
	Err e;
	int fd;

	if (failed(listen_accept(listener, &fd)))
		return; /* another process was faster */
	l->accepted++;
	c = memory_get(sizeof(*c));
	*c = (struct connection){ l, fd, str_eq(str_from(name), S("imaps")) };
	atomic_fetch_add(&l->talking, 1);
	e = c->tls_at_once && l->shared.tls == NULL ? fail(ERR_TEMP, "no certificate")
						    : thread_pool_run(l->threads, c);
	if (failed(e)) {
		atomic_fetch_sub(&l->talking, 1);
		log_failure(LOG_LEVEL_WARNING, "login.full", e);
		fd_drop(&c->fd);
		free(c);
	}
}

static bool
takes_more(const struct login *l)
{
	return !l->start->stopping && l->accepted < l->settings.batch && !moment_past(l->until);
}

/* Waits for connections and takes them, until this process has had its share. */
static void
accept_batch(struct login *l)
{
	struct pollfd polled[LISTENERS_MAX + 1];
	const char *names[LISTENERS_MAX + 1];
	size_t n = 1, at = 0;

	polled[0] = (struct pollfd){ .fd = l->start->master, .events = POLLIN };
	while (n <= LISTENERS_MAX && start_listener(l->start, &at, &polled[n].fd, &names[n]))
		polled[n++].events = POLLIN;
	while (takes_more(l)) {
		/* The minute begins with the first connection: nobody is here to be among. */
		int wait = l->accepted == 0 ? -1 : moment_left(l->until);

		if (poll(polled, n, wait) <= 0)
			continue;
		if (polled[0].revents != 0)
			start_turn(l->start, NULL);
		if (l->accepted == 0)
			l->until = moment_after(BATCH_MS);
		for (size_t i = 1; i < n && takes_more(l); i++)
			if (polled[i].revents != 0)
				accept_one(l, polled[i].fd, names[i]);
	}
}

static size_t
conversations(const struct login *l)
{
	return atomic_load(&l->talking);
}

static size_t
sessions(const struct login *l)
{
	return l->shared.carrier == NULL ? 0 : carrier_count(l->shared.carrier);
}

/* Waits until there is none left; `wake` is written to when one ends. */
static void
wait_for_last(struct login *l, size_t (*count)(const struct login *l), int wake)
{
	struct pollfd polled[2] = {
		{ .fd = l->start->master, .events = POLLIN },
		{ .fd = wake, .events = POLLIN },
	};

	while (!l->start->stopping && count(l) > 0) {
		uint64_t woken;

		if (poll(polled, 2, -1) <= 0)
			continue;
		if (polled[1].revents != 0 && read(wake, &woken, sizeof(woken)) < 0)
			continue;
		if (polled[0].revents != 0)
			start_turn(l->start, NULL);
	}
}

void
login_serve(struct start *start)
{
	struct login l = { .start = start, .until = MOMENT_NEVER };
	struct peer *directory = start_ask(start, SERVICE_DIRECTORY, 0);
	struct peer *keys_peer = start_ask(start, SERVICE_KEYS, 0);
	struct keys_client *keys = keys_client_new(keys_peer);
	size_t threads;
	Err e;

	/* One heap for all threads: what a handshake needs for a moment is not kept once for each. */
	mallopt(M_ARENA_MAX, 1);
	start_settings(start, settings_login_table, &l.settings);
	e = keys_client_server(keys, start, &l.shared.tls);
	if (failed(e))
		log_failure(LOG_LEVEL_ERROR, "login.tls", e);
	start_walls(start);
	l.shared.settings = &l.settings;
	l.shared.directory = caller_pool_new(directory);
	l.shared.throttle = throttle_new(THROTTLE_FIRST_MS);
	if (l.shared.tls != NULL) {
		e = carrier_new(&l.shared.carrier);
		if (failed(e)) {
			log_failure(LOG_LEVEL_ERROR, "login.carrier", e);
			return;
		}
	}
	l.ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	threads = l.settings.batch < THREADS_MAX ? l.settings.batch : THREADS_MAX;
	l.threads = thread_pool_new(threads, TALK_STACK, run_connection, "login");
	start_ready(start);
	accept_batch(&l);
	start_retire(start);
	wait_for_last(&l, conversations, l.ended);
	if (!start->stopping) {
		peer_free(directory);
		peer_free(keys_peer);
		start_detach(start);
	}
	if (l.shared.carrier != NULL)
		wait_for_last(&l, sessions, carrier_idle_fd(l.shared.carrier));
	_exit(EXIT_SUCCESS); /* when told to stop, threads may be at work: nothing is freed under them */
}
