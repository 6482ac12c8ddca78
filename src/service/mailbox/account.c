/* SPDX-License-Identifier: ISC */
/*
 * The account's process: its first thread hears the template and takes deliveries, each session
 * has a thread of its own. What they share is the struct mailbox, which locks itself, and the list
 * of sessions below.
 */
#include "service/mailbox/account.h"

#include "base/list.h"
#include "base/memory.h"
#include "os/thread.h"
#include "rpc/log.h"
#include "rpc/mailbox.h"
#include "service/mailbox/arrive.h"
#include "service/mailbox/imap.h"
#include "store/mailbox.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sysexits.h>

enum {
	SESSIONS_MAX = 200, /* of one account at once */
	CHANNELS_MAX = 16,  /* delivery channels; deliver has one for each account */
	LEASE_WAIT = 100,   /* ms before asking for the lease again */
	LEASE_TRIES = 100,
	TIDY_BUSY =
		2 * 1000, /* ms: the store is told the time at least so often in a session */
	TIDY_IDLE = 10 * 1000, /* ms: ... and when there is none */
};

/* Shared with the sessions' threads: only `sessions`, behind `lock`. */
struct account {
	const struct account_place *place;
	struct mailbox *mailbox;
	struct thread_pool *pool;
	struct arrive *arrive; /* what deliveries need; NULL until the first */
	int channels[CHANNELS_MAX];
	size_t channel_count;
	uint32_t received; /* mailbox_open messages */
	uint64_t forget_below;
	Moment last_used; /* when something last went on */
	bool ending;      /* the template has closed our channel */
	pthread_mutex_t lock;
	struct list sessions;
};

struct session {
	struct link link;
	struct account *account;
	struct mailbox_open open; /* points into bytes */
	Str bytes;
	int fd;
};

static Err
open_mailbox(struct account *a)
{
	struct mailbox_settings options = { .host = a->place->settings->hostname,
		.folder = a->place->folder };
	Err e = OK;

	/* The account's last process may still be giving its lease back. */
	for (int i = 0; i < LEASE_TRIES; i++) {
		e = mailbox_open_local(&options, &a->mailbox);
		if (!failed(e) || e.sys != EBUSY)
			break;
		poll(NULL, 0, LEASE_WAIT);
	}
	if (!failed(e) && mailbox_was_rebuilt(a->mailbox))
		log_event(LOG_LEVEL_ERROR, "mailbox.index.rebuilt",
			F_WORDS("what",
				S("the index was damaged and is made anew; the old one is "
				  "index.db.damaged")),
			F_INT("account", a->place->number));
	return e;
}

static void
session_end(struct session *s)
{
	pthread_mutex_lock(&s->account->lock);
	link_remove(&s->link);
	pthread_mutex_unlock(&s->account->lock);
	memory_free_str(&s->bytes);
	free(s);
}

static void
run_session(void *arg)
{
	struct session *s = arg;

	imap_session_serve(s->account->mailbox, s->fd, &s->open);
	session_end(s);
}

/* On plain TCP the session runs on the client's own socket; login waits for one octet. */
static int
session_socket(const struct mailbox_open *open, struct channel_message *m)
{
	AUTO_FD first = channel_take_fd(m, 0);

	if (!open->own_socket)
		return TAKE_FD(first);
	if (send(first, "", 1, MSG_NOSIGNAL) != 1)
		return -1;
	return channel_take_fd(m, 1);
}

static void
begin_session(struct account *a, struct channel_message *m)
{
	struct session *s = memory_get(sizeof(*s));
	struct cursor c;

	s->account = a;
	s->bytes = memory_copy(m->bytes);
	c = cursor_of(s->bytes);
	link_init(&s->link);
	if (failed(mailbox_open_parse(&c, &s->open)) ||
		(s->fd = session_socket(&s->open, m)) < 0) {
		session_end(s);
		return;
	}
	pthread_mutex_lock(&a->lock);
	list_add_last(&a->sessions, &s->link);
	pthread_mutex_unlock(&a->lock);
	if (failed(thread_pool_run(a->pool, s))) {
		fd_drop(&s->fd);
		session_end(s);
	}
}

static void
begin_deliveries(struct account *a, struct channel_message *m)
{
	int fd = channel_take_fd(m, 0);

	if (a->channel_count == CHANNELS_MAX || failed(delivery_say_hello(fd))) {
		fd_drop(&fd);
		return;
	}
	if (a->arrive == NULL)
		a->arrive = arrive_new();
	a->channels[a->channel_count++] = fd;
}

/* What the template says: another session, or the end. */
static void
hear_template(struct account *a)
{
	char buffer[8192];
	struct channel_message m;
	struct mailbox_open open;
	struct cursor c;
	Err e = channel_receive_now(a->place->control, buffer, sizeof(buffer), &m);

	if (e.kind == ERR_GONE)
		a->ending = true;
	if (failed(e))
		return;
	a->received++;
	a->last_used = clock_moment();
	c = cursor_of(m.bytes);
	if (!failed(mailbox_open_parse(&c, &open))) {
		if (open.right == MAILBOX_RIGHT_SESSION)
			begin_session(a, &m);
		else
			begin_deliveries(a, &m);
	}
	channel_message_drop(&m);
}

static void
close_channel(struct account *a, size_t at)
{
	fd_drop(&a->channels[at]);
	a->channels[at] = a->channels[--a->channel_count];
}

/* Takes one batch. A lost lease ends the process at once: somebody else owns the account now. */
static void
hear_deliver(struct account *a, size_t at)
{
	Err e = arrive_batch(a->arrive, a->mailbox, a->channels[at], &a->forget_below);

	a->last_used = clock_moment();
	if (!failed(e))
		return;
	close_channel(a, at);
	if (e.kind == ERR_PERM) {
		log_failure(LOG_LEVEL_ERROR, "mailbox.delivery.failed", e);
		exit(EX_UNAVAILABLE);
	}
}

/* Waits until `until` for the template and for deliver, and does what they ask. */
static void
turn(struct account *a, Moment until)
{
	struct pollfd polled[CHANNELS_MAX + 1];
	size_t n = a->channel_count;

	for (size_t i = 0; i < n; i++)
		polled[i] = (struct pollfd){ .fd = a->channels[i], .events = POLLIN };
	polled[n] = (struct pollfd){ .fd = a->place->control, .events = POLLIN };
	if (poll(polled, n + 1, moment_left(until)) <= 0)
		return;
	for (size_t i = n; i > 0; i--)
		if (polled[i - 1].revents != 0)
			hear_deliver(a, i - 1);
	if (polled[n].revents != 0)
		hear_template(a);
}

/* A session that began since the store was last asked gives it new things to do. */
static Moment
tidy_before(const struct account *a, Moment at)
{
	Moment most = moment_after(thread_pool_busy(a->pool) > 0 ? TIDY_BUSY : TIDY_IDLE);

	return at.ms < most.ms ? at : most;
}

/* Flags into file names, mail that others left; and delivery ids that nobody can ask for again. */
static Moment
tidy(struct account *a)
{
	Time now = clock_wall(), due;
	Err e = a->forget_below == 0 ? OK : mailbox_forget(a->mailbox, a->forget_below);

	a->forget_below = 0;
	if (!failed(e))
		e = mailbox_tidy(a->mailbox, now, &due);
	if (!failed(e))
		return moment_after(due.us <= now.us ? 1 : (due.us - now.us) / 1000 + 1);
	log_failure(LOG_LEVEL_WARNING, "mailbox.tidy.failed", e);
	if (e.kind == ERR_GONE)
		exit(EX_UNAVAILABLE);
	return moment_after(5000);
}

/*
 * Nothing goes on: asks the template to be let go. True: the channel is closed, we end. False:
 * there is more to do, and the mailbox is open again.
 */
static bool
ask_to_end(struct account *a)
{
	AUTO_BUF b = BUF_INIT(4);

	while (a->channel_count > 0)
		close_channel(a, 0);
	mailbox_close(TAKE(a->mailbox));
	buf_u32(&b, a->received);
	if (failed(channel_send(a->place->control, (Str[]){ buf_view(&b) }, 1, NULL, 0,
		    moment_after(LEASE_WAIT))))
		return true;
	poll(&(struct pollfd){ .fd = a->place->control, .events = POLLIN }, 1, -1);
	if (failed(open_mailbox(a)))
		exit(EX_TEMPFAIL);
	hear_template(a);
	return a->ending;
}

static bool
is_idle(struct account *a, Moment *ret_end)
{
	*ret_end = (Moment){ a->last_used.ms + (int64_t)a->place->settings->linger * 1000 };
	if (thread_pool_busy(a->pool) > 0) {
		a->last_used = clock_moment();
		*ret_end = moment_after((int64_t)a->place->settings->linger * 1000);
		return false;
	}
	return moment_past(*ret_end);
}

/* Sessions wait for their clients: shutting their sockets down ends them as if those had left. */
static void
end_sessions(struct account *a)
{
	pthread_mutex_lock(&a->lock);
	list_each (k, &a->sessions)
		shutdown(LINK_OWNER(k, struct session, link)->fd, SHUT_RDWR);
	pthread_mutex_unlock(&a->lock);
	thread_pool_wait(a->pool);
}

static void
serve(struct account *a)
{
	Moment tidy_at = moment_after(1000), end_at;

	while (!a->ending) {
		if (moment_past(tidy_at))
			tidy_at = tidy(a);
		tidy_at = tidy_before(a, tidy_at);
		if (is_idle(a, &end_at) && ask_to_end(a))
			return;
		turn(a, end_at.ms < tidy_at.ms ? end_at : tidy_at);
	}
}

int
account_run(const struct account_place *place)
{
	struct account a = { .place = place, .last_used = clock_moment() };
	Err e = open_mailbox(&a);

	if (failed(e)) {
		log_event(LOG_LEVEL_ERROR, "mailbox.open.failed",
			F_WORDS("what", str_from(e.what)), F_INT("account", place->number),
			F_STR("error", str_from(err_sys_text(e))));
		return EX_TEMPFAIL;
	}
	list_init(&a.sessions);
	pthread_mutex_init(&a.lock, NULL);
	a.pool = thread_pool_new(SESSIONS_MAX, THREAD_STACK_LARGE, run_session, "session");
	serve(&a);
	end_sessions(&a);
	mailbox_close(a.mailbox);
	return EX_OK;
}
