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
#include "service/login/guests.h"
#include "service/login/talk.h"

#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

enum {
	BATCH_MS = 60 * 1000, /* how long a process takes connections */
	THREADS_MAX = 256,    /* conversations of one process before authentication */
	LISTENERS_MAX = 16,
	REST_MS = 100, /* when nobody can be accepted: no descriptors, most of the time */
};

void login_serve(struct start *start);

struct connection {
	struct login *login;
	struct conn *conn;
	bool tls_at_once;
	size_t place; /* among the guests */
};

/* Shared with the conversations: `shared`, `guests`, and the eventfd that they end with. */
struct login {
	struct start *start;
	struct settings_login settings;
	struct talk_shared shared;
	struct thread_pool *threads;
	struct guests *guests;
	int ended;   /* eventfd */
	size_t most; /* conversations at a time */
	size_t accepted;
	Moment until; /* we take connections */
};

static void
run_connection(void *arg)
{
	struct connection *c = arg;
	struct login *l = c->login;
	uint64_t one = 1;

	talk_serve(&l->shared, c->conn, c->tls_at_once);
	guests_leave(l->guests, c->place);
	free(c);
	if (write(l->ended, &one, sizeof(one)) < 0)
		return; /* full: the wake-up is on its way */
}

static Err
enter(struct login *l, struct connection *c)
{
	Ip ip;
	Err e;

	if (c->tls_at_once && l->shared.tls == NULL)
		return fail(ERR_TEMP, "no certificate");
	TRY(ip_parse(conn_peer(c->conn), &ip));
	TRY(guests_enter(l->guests, ip, &c->place));
	l->accepted++;
	e = thread_pool_run(l->threads, c);
	if (failed(e))
		guests_leave(l->guests, c->place);
	return e;
}

static void
accept_one(struct login *l, int listener, const char *name)
{
	static const struct timespec rest = { .tv_nsec = REST_MS * 1000000 };
	struct connection *c;
	int fd;
	Err e = listen_accept(listener, &fd);

	if (failed(e)) {
		/* Another process was faster; or there is nothing to take it with, for now. */
		if (e.sys != EAGAIN)
			nanosleep(&rest, NULL);
		return;
	}
	c = memory_get(sizeof(*c));
	*c = (struct connection){ .login = l, .conn = conn_new(fd, CONN_EXACT) };
	c->tls_at_once = str_eq(str_from(name), S("imaps"));
	e = enter(l, c);
	if (failed(e)) {
		log_event(LOG_LEVEL_WARNING, "login.full", F_WORDS("what", str_from(e.what)),
			F_STR("rip", conn_peer(c->conn)));
		conn_free(c->conn);
		free(c);
	}
}

static bool
takes_more(const struct login *l)
{
	return !l->start->stopping && !l->start->retiring && l->accepted < l->settings.batch &&
	       !moment_past(l->until);
}

/* Empties an eventfd. */
static void
clear(int fd)
{
	uint64_t woken;

	if (read(fd, &woken, sizeof(woken)) < 0)
		return; /* it was empty */
}

/* Waits for connections and takes them, until this process has had its share. */
static void
accept_batch(struct login *l)
{
	struct pollfd polled[LISTENERS_MAX + 2];
	const char *names[LISTENERS_MAX + 2];
	size_t n = 2, at = 0;

	polled[0] = (struct pollfd){ .fd = l->start->master, .events = POLLIN };
	while (n < COUNT(polled) && start_listener(l->start, &at, &polled[n].fd, &names[n]))
		polled[n++].events = POLLIN;
	while (takes_more(l)) {
		/* The minute begins with the first connection: nobody is here to be among. */
		int wait = l->accepted == 0 ? -1 : moment_left(l->until);
		/* With all places taken, the next connections wait at the listening socket. */
		bool full = guests_count(l->guests) == l->most;

		polled[1] = (struct pollfd){ .fd = full ? l->ended : -1, .events = POLLIN };
		if (poll(polled, full ? 2 : n, wait) <= 0)
			continue;
		if (polled[1].revents != 0)
			clear(l->ended);
		if (polled[0].revents != 0)
			start_turn(l->start, NULL);
		if (l->accepted == 0)
			l->until = moment_after(BATCH_MS);
		for (size_t i = 2; i < n && !full && takes_more(l); i++)
			if (polled[i].revents != 0)
				accept_one(l, polled[i].fd, names[i]);
	}
}

static size_t
conversations(const struct login *l)
{
	return guests_count(l->guests);
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
		if (poll(polled, 2, -1) <= 0)
			continue;
		if (polled[1].revents != 0)
			clear(wake);
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
	l.most = l.settings.batch < THREADS_MAX ? l.settings.batch : THREADS_MAX;
	l.guests = guests_new(l.most);
	/* Twice as many: a place is free again a moment before its thread is. */
	l.threads = thread_pool_new(2 * l.most, TALK_STACK, run_connection, "login");
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
