/* SPDX-License-Identifier: ISC */
/*
 * smtpd, submit: talk to SMTP clients, from greeting to QUIT.
 *
 * reads      hostile network input
 * runs as    _posthorn-smtpd on port 25, _posthorn-submit on 587 and 465; no files, no outgoing
 *            network
 * asks       directory (is this recipient ours? is this password right?), queue (keep this),
 *            resolver (the name of a client), keys (handshakes)
 * if it dies its clients see a closed connection; mail it had not acknowledged is not ours
 */
#include "base/memory.h"
#include "os/listen.h"
#include "os/thread.h"
#include "rpc/keys.h"
#include "rpc/log.h"
#include "rpc/settings.h"
#include "service/smtpd/pickup.h"
#include "service/smtpd/smtpd.h"

#include <stdlib.h>
#include <time.h>

enum {
	RECIPIENTS_MAX = ENVELOPE_RECIPIENTS_MAX,
	PICKUPS_MAX = 16, /* files of the drop folder at one time */
	LOOK_MS = 20,     /* between looks whether all conversations have ended */
	REST_MS = 100,    /* when nobody can be accepted: no descriptors, most of the time */
};

/* Without a certificate there is no STARTTLS; master sees to it that there is one. */
static Err
make_tls(struct start *s, struct tls_context **ret)
{
	struct peer *keys = start_ask(s, SERVICE_KEYS, 0);

	*ret = NULL;
	return keys == NULL ? OK : keys_client_server(keys_client_new(keys), s, ret);
}

static void
set_up(struct smtpd *d, struct start *s)
{
	struct settings_smtpd settings;
	Err e = make_tls(s, &d->tls);

	if (failed(e))
		log_failure(LOG_LEVEL_ERROR, "smtp.certificate", e);
	start_settings(s, settings_smtpd_table, &settings);
	d->service = s->service;
	d->bare = settings.bare_line_feed == BARE_LINE_FEED_CONVERT ? SMTP_BARE_CONVERT
								    : SMTP_BARE_REFUSE;
	d->auth_clear_on_loopback = settings.plain_auth_on_loopback;
	d->smtp = (struct smtp_settings){
		.hostname = settings.hostname,
		.message_max = settings.message_size_max,
		.recipients_max = RECIPIENTS_MAX,
		.bad_max = SMTPD_BAD_MAX,
		.submission = s->service == SERVICE_SUBMIT,
		.tls = d->tls != NULL,
		.bare_paths = settings.bare_addresses,
	};
	d->askers = smtpd_askers_new(start_ask(s, SERVICE_DIRECTORY, 0),
		start_ask(s, SERVICE_QUEUE, 0), start_ask(s, SERVICE_RESOLVER, 0));
	d->recipients = smtpd_recipients_new();
	d->roll = smtpd_roll_new();
	d->clients = smtpd_clients_new(SMTPD_CONVERSATIONS_MAX, SMTPD_PER_CLIENT_MAX);
}

/* Too many: said in one line, without a thread. */
static void
turn_away(struct smtpd_connection *c, Err why)
{
	log_event(LOG_LEVEL_WARNING, "smtp.turned_away", F_WORDS("what", str_from(why.what)),
		F_STR("client", conn_peer(c->conn)));
	if (!failed(conn_write_line(c->conn,
		    S("421 4.7.0 Too many connections, try again later"))))
		(void)conn_flush(c->conn).kind;
	conn_free(c->conn);
	free(c);
}

static void
take_in(struct smtpd *d, struct thread_pool *pool, int fd, bool tls_first)
{
	struct smtpd_connection *c = memory_get(sizeof(*c));
	Err e;

	c->smtpd = d;
	c->conn = conn_new(fd, 0);
	c->tls_first = tls_first;
	e = ip_parse(conn_peer(c->conn), &c->ip);
	if (!failed(e))
		e = smtpd_clients_enter(d->clients, c->ip, &c->place);
	if (failed(e)) {
		turn_away(c, e);
		return;
	}
	e = thread_pool_run(pool, c);
	if (failed(e)) {
		smtpd_clients_leave(d->clients, c->place);
		turn_away(c, e);
	}
}

struct drops {
	struct smtpd *smtpd;
	struct thread_pool *pool;
	int master;
};

/* From master: a file of the drop folder. Without a thread for it master offers it again. */
static void
take_drop(void *arg, const struct start_message *m, int fd)
{
	struct drops *drops = arg;
	struct smtpd_drop *drop = smtpd_drop_new(drops->smtpd, drops->master, m, fd);

	if (failed(thread_pool_run(drops->pool, drop)))
		smtpd_drop_put_off(drop);
}

static void
rest(int64_t ms)
{
	nanosleep(&(struct timespec){ .tv_nsec = ms * 1000000 }, NULL);
}

/* Who is in the middle of something may end it: a message that is coming, an answer of `queue`. */
static void
let_end(struct smtpd *d, struct thread_pool *pool, struct thread_pool *pickups)
{
	Moment until = moment_after(SMTPD_STOP_WAIT);

	smtpd_roll_close(d->roll);
	while (!moment_past(until) &&
		(thread_pool_busy(pool) > 0 ||
			(pickups != NULL && thread_pool_busy(pickups) > 0)))
		rest(LOOK_MS);
}

void
smtpd_serve(struct start *s)
{
	struct smtpd *d = memory_get(sizeof(*d));
	struct thread_pool *pool;
	struct drops drops;
	const char *name;
	int listener;

	set_up(d, s);
	start_walls(s);
	pool = thread_pool_new(SMTPD_CONVERSATIONS_MAX, THREAD_STACK_LARGE, smtpd_converse,
		"conversation");
	drops = (struct drops){ d, NULL, s->master };
	if (d->service == SERVICE_SUBMIT) {
		drops.pool = thread_pool_new(PICKUPS_MAX, THREAD_STACK, smtpd_pickup, "pickup");
		s->drop = take_drop;
		s->drop_arg = &drops;
	}
	start_ready(s);
	while ((listener = start_accept_wait(s, &name)) >= 0) {
		bool tls_first = strcmp(name, "submissions") == 0;
		int fd;
		Err e = listen_accept(listener, &fd);

		if (!failed(e)) {
			take_in(d, pool, fd, tls_first);
		} else if (e.sys != EAGAIN && e.sys != ECONNABORTED) {
			log_failure(LOG_LEVEL_ERROR, "smtp.accept", e);
			rest(REST_MS);
		}
	}
	let_end(d, pool, drops.pool);
}
