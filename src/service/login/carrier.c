/* SPDX-License-Identifier: ISC */
#include "service/login/carrier.h"

#include "base/list.h"
#include "base/map.h"
#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

/*
 * One reactor, level-triggered. An event only names the session to look at; session_turn then
 * moves what can be moved in both directions and says what to wait for. A descriptor with nothing
 * to wait for leaves the epoll set, or its hang-up would wake us without end. Sessions are freed
 * at the end of a round, when no event of that round can name them any more.
 *
 * Shared between threads: the sessions that came, their number and `stop`, behind the lock.
 */
enum {
	EVENTS_MAX = 64,
	PIECES_MAX = 8,     /* moved in one direction before another session's turn */
	PIECE = 16 << 10,   /* octets; a TLS record */
	STACK = 128 << 10,  /* octets; TLS runs here */
	ID_WAKE = 0,        /* sessions have ids from 1 */
	SWEEP_MS = 5 * 1000 /* how often those that take long to close are looked for */
};

struct session {
	uint64_t id;
	struct link link; /* of those that came, are busy, or are over; else of none */
	struct conn *client;
	int fd;                    /* our end towards the account's process; -1: it has ended */
	uint32_t client_on, fd_on; /* EPOLL bits asked for now; 0: not in the set */
	bool up_done;              /* nothing more comes from the client, or nobody takes it */
	bool over;
	Moment until; /* MOMENT_NEVER until one side has ended */
};

struct carrier {
	int epoll, wake, idle;
	pthread_t thread;
	pthread_mutex_t lock;
	struct list arrived; /* guarded by lock */
	size_t count;        /* guarded by lock */
	bool stop;           /* guarded by lock */

	/* The thread's own. */
	struct map *sessions;
	struct list busy; /* had more to move than one turn allows */
	struct list dead;
	uint64_t last_id;
	Moment next_sweep;
	char piece[PIECE];
};

static void
session_free(struct session *s)
{
	conn_free(s->client);
	fd_drop(&s->fd);
	free(s);
}

/* One side has said its last. */
static void
begin_closing(struct session *s)
{
	if (s->until.ms == MOMENT_NEVER.ms)
		s->until = moment_after(CARRIER_CLOSING_MS);
}

/* The client has ended: its process reads what is on the way and then the end. */
static void
end_up(struct session *s, Err why)
{
	s->up_done = true;
	begin_closing(s);
	if (why.sys != 0 || s->fd < 0)
		s->over = true;
	else
		shutdown(s->fd, SHUT_WR);
}

/* From the client to the account's process. True when there may be more to move now. */
static bool
carry_up(struct session *s, uint32_t *client, uint32_t *fd)
{
	for (int i = 0; i < PIECES_MAX; i++) {
		Str piece;
		ssize_t sent;
		Err e = conn_try_read(s->client, &piece);

		if (failed(e)) {
			end_up(s, e);
			return false;
		}
		if (piece.n == 0) {
			*client |= conn_wants_write(s->client) ? EPOLLOUT : EPOLLIN;
			return false;
		}
		sent = send(s->fd, piece.p, piece.n, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent < 0 && errno == EAGAIN) {
			*fd |= EPOLLOUT;
			return false;
		}
		if (sent < 0) {
			s->up_done = true; /* carry_down still brings its last words */
			return false;
		}
		conn_eat(s->client, (size_t)sent);
	}
	return true;
}

/* From the account's process to the client: reads on only when all before has left. */
static bool
carry_down(struct carrier *k, struct session *s, uint32_t *client, uint32_t *fd)
{
	for (int i = 0; i < PIECES_MAX; i++) {
		bool all = false;
		ssize_t got;

		if (failed(conn_try_flush(s->client, &all))) {
			s->over = true;
			return false;
		}
		if (!all) {
			*client |= EPOLLOUT;
			return false;
		}
		if (s->fd < 0) {
			s->over = true;
			return false;
		}
		got = recv(s->fd, k->piece, sizeof(k->piece), MSG_DONTWAIT);
		if (got < 0 && errno == EAGAIN) {
			*fd |= EPOLLIN;
			return false;
		}
		if (got > 0) {
			if (failed(conn_write(s->client, (Str){ k->piece, (size_t)got })))
				s->over = true;
			continue;
		}
		fd_drop(&s->fd);
		s->fd_on = 0;
		s->up_done = true;
		begin_closing(s);
	}
	return true;
}

static void
watch(struct carrier *k, struct session *s, int fd, bool of_client, uint32_t *on, uint32_t want)
{
	struct epoll_event event = { want, { .u64 = s->id << 1 | of_client } };
	int how = want == 0 ? EPOLL_CTL_DEL : *on == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;

	if (*on == want)
		return;
	if (epoll_ctl(k->epoll, how, fd, &event) != 0)
		s->over = true;
	*on = want;
}

/* Moves all that can be moved now, both ways, and says what to wait for. */
static void
session_turn(struct carrier *k, struct session *s)
{
	uint32_t client = 0, fd = 0;
	bool more = carry_down(k, s, &client, &fd);

	if (!s->over && !s->up_done)
		more |= carry_up(s, &client, &fd);
	if (!s->over)
		watch(k, s, conn_fd(s->client), true, &s->client_on, client);
	if (!s->over && s->fd >= 0)
		watch(k, s, s->fd, false, &s->fd_on, fd);
	link_remove(&s->link);
	if (s->over)
		list_add_last(&k->dead, &s->link);
	else if (more)
		list_add_last(&k->busy, &s->link);
}

static void
move_all(struct list *from, struct list *to)
{
	list_each (at, from) {
		link_remove(at);
		list_add_last(to, at);
	}
}

static void
take_arrived(struct carrier *k)
{
	struct list arrived;

	list_init(&arrived);
	pthread_mutex_lock(&k->lock);
	move_all(&k->arrived, &arrived);
	pthread_mutex_unlock(&k->lock);
	list_each (at, &arrived) {
		struct session *s = LINK_OWNER(at, struct session, link);

		s->id = ++k->last_id;
		map_set(k->sessions, s->id, s);
		session_turn(k, s);
	}
}

static void
turn_busy(struct carrier *k)
{
	struct list busy;

	list_init(&busy);
	move_all(&k->busy, &busy);
	list_each (at, &busy)
		session_turn(k, LINK_OWNER(at, struct session, link));
}

/* A client that does not take its last bytes ends all the same. */
static void
sweep(struct carrier *k)
{
	struct session *s;
	size_t at = 0;

	if (!moment_past(k->next_sweep))
		return;
	k->next_sweep = moment_after(SWEEP_MS);
	while ((s = map_each(k->sessions, &at)) != NULL) {
		if (s->over || !moment_past(s->until))
			continue;
		s->over = true;
		link_remove(&s->link);
		list_add_last(&k->dead, &s->link);
	}
}

static void
free_dead(struct carrier *k)
{
	uint64_t one = 1;
	size_t n = 0;

	list_each (at, &k->dead) {
		struct session *s = LINK_OWNER(at, struct session, link);

		link_remove(at);
		map_remove(k->sessions, s->id);
		session_free(s);
		n++;
	}
	if (n == 0)
		return;
	pthread_mutex_lock(&k->lock);
	k->count -= n;
	pthread_mutex_unlock(&k->lock);
	if (write(k->idle, &one, sizeof(one)) < 0)
		return; /* full: whoever waits is being woken anyway */
}

static bool
must_stop(struct carrier *k)
{
	bool stop;

	pthread_mutex_lock(&k->lock);
	stop = k->stop;
	pthread_mutex_unlock(&k->lock);
	return stop;
}

static void *
carry_all(void *arg)
{
	struct carrier *k = arg;
	struct epoll_event events[EVENTS_MAX];

	while (!must_stop(k)) {
		int wait = list_empty(&k->busy) ? SWEEP_MS : 0;
		int n = epoll_wait(k->epoll, events, EVENTS_MAX, wait);

		for (int i = 0; i < n; i++) {
			uint64_t id = events[i].data.u64 >> 1, woken;
			struct session *s = map_get(k->sessions, id);

			if (id == ID_WAKE && read(k->wake, &woken, sizeof(woken)) > 0)
				take_arrived(k);
			else if (s != NULL && !s->over)
				session_turn(k, s);
		}
		turn_busy(k);
		sweep(k);
		free_dead(k);
	}
	return NULL;
}

static Err
start_thread(struct carrier *k)
{
	struct epoll_event event = { EPOLLIN, { .u64 = ID_WAKE } };
	pthread_attr_t attributes;
	int failure;

	if (k->epoll < 0 || k->wake < 0 || k->idle < 0 ||
		epoll_ctl(k->epoll, EPOLL_CTL_ADD, k->wake, &event) != 0)
		return fail_sys(ERR_TEMP, "no descriptors to carry sessions with");
	pthread_attr_init(&attributes);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	pthread_attr_setstacksize(&attributes, STACK);
#endif
	failure = pthread_create(&k->thread, &attributes, carry_all, k);
	pthread_attr_destroy(&attributes);
	if (failure != 0)
		return (Err){
			.kind = ERR_TEMP, .sys = failure, .what = "no thread to carry sessions"
		};
	return OK;
}

static void
free_all(struct carrier *k)
{
	struct session *s;
	size_t at = 0;

	while ((s = map_each(k->sessions, &at)) != NULL)
		session_free(s);
	list_each (link, &k->arrived)
		session_free(LINK_OWNER(link, struct session, link));
	map_free(k->sessions);
	pthread_mutex_destroy(&k->lock);
	fd_drop(&k->epoll);
	fd_drop(&k->wake);
	fd_drop(&k->idle);
	free(k);
}

Err
carrier_new(struct carrier **ret)
{
	struct carrier *k = memory_get(sizeof(*k));
	Err e;

	k->epoll = epoll_create1(EPOLL_CLOEXEC);
	k->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	k->idle = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	pthread_mutex_init(&k->lock, NULL);
	list_init(&k->arrived);
	list_init(&k->busy);
	list_init(&k->dead);
	k->sessions = map_new();
	e = start_thread(k);
	if (failed(e)) {
		free_all(k);
		return e;
	}
	*ret = k;
	return OK;
}

static void
wake(struct carrier *k)
{
	uint64_t one = 1;

	if (write(k->wake, &one, sizeof(one)) < 0)
		return; /* full: it is being woken anyway */
}

void
carrier_free(struct carrier *k)
{
	if (k == NULL)
		return;
	pthread_mutex_lock(&k->lock);
	k->stop = true;
	pthread_mutex_unlock(&k->lock);
	wake(k);
	pthread_join(k->thread, NULL);
	free_all(k);
}

void
carrier_add(struct carrier *k, struct conn *client, int session)
{
	struct session *s = memory_get(sizeof(*s));

	s->client = client;
	s->fd = session;
	s->until = MOMENT_NEVER;
	link_init(&s->link);
	pthread_mutex_lock(&k->lock);
	list_add_last(&k->arrived, &s->link);
	k->count++;
	pthread_mutex_unlock(&k->lock);
	wake(k);
}

size_t
carrier_count(struct carrier *k)
{
	size_t count;

	pthread_mutex_lock(&k->lock);
	count = k->count;
	pthread_mutex_unlock(&k->lock);
	return count;
}

int
carrier_idle_fd(const struct carrier *k)
{
	return k->idle;
}
