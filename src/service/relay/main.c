/* SPDX-License-Identifier: ISC */
/*
 * relay: takes mail for other domains to their servers.
 *
 * reads      replies of any server on the Internet
 * runs as    _posthorn-relay; outgoing network, no files
 * asks       queue (jobs, outcomes), resolver
 * if it dies each open connection may repeat the one message it had in flight; all others wait
 */

#include "base/memory.h"
#include "os/file.h"
#include "os/thread.h"
#include "rpc/log.h"
#include "rpc/start.h"
#include "service/relay/attempt.h"

#include <fcntl.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

enum {
	WORKERS_MAX = 100,     /* connections at one time */
	WORKERS_IDLE = 2,      /* that stay to wait for jobs */
	PULL_WAIT = 60 * 1000, /* ms for any job */
	REUSE_WAIT = 1000,     /* ms for another job to where a connection is open */
	REUSE_MAX = 100,       /* messages on one connection */
	NAP = 1000, /* ms at most, before the queue is asked again when it is not there */
	REPORT_TRIES = 60,            /* with a nap between */
	STOP_WAIT = 5000,             /* ms for conversations to end */
	JOBS_MEMORY_MAX = 512 * 1024, /* octets of jobs, bodies in memfds apart */
	ROOTS_MAX = 4 * 1024 * 1024,  /* octets of root certificates */
	SMART_PORT = 587,
};

/* What all workers share; only the atomic ones and what the lock guards ever change. */
struct workshop {
	struct relay relay;
	struct peer *queue, *resolver;
	struct thread_pool *pool;
	atomic_int idle; /* workers that wait for a job without a connection */
	atomic_int conversing;
	atomic_bool queue_away; /* said in the log */
	pthread_mutex_t lock;
	struct part {
		uint64_t id;     /* 0: none */
		uint32_t number; /* of its first recipient */
	} parts[WORKERS_MAX];    /* being sent; guarded by lock */
};

struct worker {
	struct workshop *shop;
	struct caller *queue, *resolver;
	struct arena *jobs_arena, *arena;
	struct attempt_connection connection;
	unsigned sent;     /* messages on the connection */
	unsigned refusals; /* of the queue to give jobs, in a row */
};

static void
log_result(const struct attempt *at, Time began, Str address, const struct client_result *r)
{
	static const char *const words[] = {
		[QUEUE_DELIVERED] = "sent",
		[QUEUE_DEFERRED] = "deferred",
		[QUEUE_FAILED] = "bounced",
	};
	AUTO_BUF delays = BUF_INIT(128);
	const struct envelope *e = &at->job->envelope;
	int64_t sum = log_put_delays(&delays,
		(int64_t[4]){ e->queued.us - e->began.us, began.us - e->queued.us,
			at->connect_us, at->transmit_us });

	log_event(LOG_LEVEL_INFO, "relay.attempt", F_QUEUE(at->job->id), F_ADDR("to", address),
		F_STR("relay", at->remote.n > 0 ? at->remote : S("none")),
		F_SECONDS("delay", sum), F_STR("delays", buf_view(&delays)),
		F_STR("dsn", r->status), F_STR("status", str_from(words[r->kind])),
		F_BEHIND("text", r->text));
}

/* Longer each time, from a hundredth of a second up to NAP. */
static void
nap(unsigned before)
{
	long ms = before > 6 ? NAP : 10L << before;
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	nanosleep(&t, NULL);
}

/*
 * The next message waits until these outcomes are durable, so that a crash repeats at most one
 * message for each connection. A queue that was just restarted is waited for.
 */
static void
report(struct worker *w, const struct queue_outcome *outcomes, size_t count)
{
	for (unsigned i = 0; i < REPORT_TRIES; i++) {
		Err e = queue_call_outcomes(w->queue, outcomes, count);

		if (!failed(e))
			return;
		log_failure(LOG_LEVEL_WARNING, "relay.unreported", e);
		nap(i);
	}
}

static void
report_results(struct worker *w, const struct attempt *at, Time began)
{
	const struct envelope *e = &at->job->envelope;
	struct queue_outcome *outcomes =
		memory_get_array(e->recipient_count, sizeof(*outcomes));

	for (size_t i = 0; i < e->recipient_count; i++) {
		const struct client_result *r = &at->results[i];

		log_result(at, began, e->recipients[i].address, r);
		outcomes[i] = (struct queue_outcome){ .id = at->job->id,
			.number = e->recipients[i].number,
			.kind = r->kind,
			.status = r->status,
			.text = r->text,
			.remote = at->remote,
			.destination_down = r->kind == QUEUE_DEFERRED && at->nobody_reached };
	}
	report(w, outcomes, e->recipient_count);
	free(outcomes);
}

static void
report_returned(struct worker *w, const struct queue_job *job)
{
	for (size_t i = 0; i < job->envelope.recipient_count; i++)
		report(w,
			&(struct queue_outcome){ .id = job->id,
				.number = job->envelope.recipients[i].number,
				.kind = QUEUE_RETURNED },
			1);
}

/* A connection is good for the next message when it leads to the same destination. */
static void
aim_connection(struct worker *w, const struct queue_job *job)
{
	AUTO_BUF key = BUF_INIT(ATTEMPT_KEY_MAX - 1);
	struct attempt_connection *c = &w->connection;

	if (failed(attempt_destination(&w->shop->relay, job, &key)))
		buf_reset(&key);
	if (!str_eq(str_from(c->destination), buf_view(&key)) || w->sent >= REUSE_MAX)
		attempt_connection_close(c, true);
	if (failed(str_c(buf_view(&key), c->destination, sizeof(c->destination))))
		c->destination[0] = '\0';
}

/*
 * A queue that was restarted does not know what is being sent and gives it out again; nobody shall
 * get it twice for that. False when another worker has it.
 */
static bool
take_part(struct workshop *shop, struct part part, struct part **ret)
{
	struct part *room = NULL;
	bool taken = false;

	pthread_mutex_lock(&shop->lock);
	for (size_t i = 0; i < WORKERS_MAX; i++) {
		struct part *p = &shop->parts[i];

		if (p->id == 0 && room == NULL)
			room = p;
		taken |= p->id == part.id && p->number == part.number;
	}
	if (!taken && room != NULL)
		*room = part;
	pthread_mutex_unlock(&shop->lock);
	*ret = room;
	return !taken && room != NULL;
}

static void
leave_part(struct workshop *shop, struct part *part)
{
	pthread_mutex_lock(&shop->lock);
	*part = (struct part){ 0 };
	pthread_mutex_unlock(&shop->lock);
}

static void
do_job(struct worker *w, const struct queue_job *job)
{
	struct attempt at = { .relay = &w->shop->relay,
		.resolver = w->resolver,
		.arena = w->arena,
		.connection = &w->connection,
		.job = job };
	Time began = clock_wall();

	arena_reset(w->arena);
	aim_connection(w, job);
	if (w->connection.client == NULL)
		w->sent = 0;
	if (failed(attempt_run(&at))) {
		report_returned(w, job);
		return;
	}
	w->sent++;
	report_results(w, &at, began);
}

/* At WORKERS_MAX nobody comes: one of them will be free again. */
static void
call_worker(struct workshop *shop)
{
	Err e = thread_pool_run(shop->pool, shop);

	(void)e;
}

static void
do_jobs(struct worker *w, struct queue_jobs *jobs)
{
	atomic_fetch_add(&w->shop->conversing, 1);
	for (size_t i = 0; i < jobs->count; i++) {
		const struct queue_job *job = &jobs->jobs[i];
		struct part part = { job->id, 0 }, *taken;

		if (job->envelope.recipient_count == 0)
			continue;
		part.number = job->envelope.recipients[0].number;
		if (!take_part(w->shop, part, &taken)) {
			report_returned(w, job);
			continue;
		}
		do_job(w, job);
		leave_part(w->shop, taken);
	}
	atomic_fetch_sub(&w->shop->conversing, 1);
	queue_jobs_done(jobs);
}

static Err
pull(struct worker *w, struct queue_jobs *ret)
{
	return queue_call_pull(w->queue, QUEUE_SIDE_REMOTE, S(""), 1, PULL_WAIT, w->jobs_arena,
		ret);
}

static Err
pull_for_connection(struct worker *w, struct queue_jobs *ret)
{
	return queue_call_pull(w->queue, QUEUE_SIDE_REMOTE, str_from(w->connection.destination),
		1, REUSE_WAIT, w->jobs_arena, ret);
}

/* Waits for a job. The last idle worker that gets one calls another, who waits for the next. */
static Err
wait_for_jobs(struct worker *w, struct queue_jobs *ret)
{
	Err e;

	if (w->connection.client != NULL) {
		e = pull_for_connection(w, ret);
	} else {
		atomic_fetch_add(&w->shop->idle, 1);
		e = pull(w, ret);
		if (atomic_fetch_sub(&w->shop->idle, 1) == 1 && !failed(e) && ret->count > 0)
			call_worker(w->shop);
	}
	if (failed(e) || ret->count == 0)
		attempt_connection_close(&w->connection, true);
	return e;
}

/* False when this worker is not needed any more. */
static bool
turn(struct worker *w)
{
	bool connected = w->connection.client != NULL;
	struct queue_jobs jobs;
	Err e;

	arena_reset(w->jobs_arena);
	e = wait_for_jobs(w, &jobs);
	if (failed(e)) {
		if (!atomic_exchange(&w->shop->queue_away, true))
			log_failure(LOG_LEVEL_WARNING, "relay.idle", e);
		nap(w->refusals++);
		return true;
	}
	w->refusals = 0;
	atomic_store(&w->shop->queue_away, false);
	if (jobs.count > 0) {
		do_jobs(w, &jobs);
		return true;
	}
	return connected || atomic_load(&w->shop->idle) < WORKERS_IDLE;
}

static void
work(void *arg)
{
	struct worker w = { .shop = arg };

	w.queue = caller_new(w.shop->queue);
	w.resolver = caller_new(w.shop->resolver);
	w.jobs_arena = arena_new(JOBS_MEMORY_MAX);
	w.arena = arena_new(ATTEMPT_MEMORY_MAX);
	while (!atomic_load(&w.shop->relay.stopping))
		if (!turn(&w))
			break;
	attempt_connection_close(&w.connection, true);
	arena_free(w.arena);
	arena_free(w.jobs_arena);
	caller_free(w.resolver);
	caller_free(w.queue);
}

/* Needs a socket that the walls forbid. */
static void
find_own_addresses(struct route_policy *policy)
{
	struct ifaddrs *all;

	if (getifaddrs(&all) != 0)
		return;
	for (struct ifaddrs *i = all; i != NULL && policy->own_count < ROUTE_OWN_MAX;
		i = i->ifa_next) {
		Ip *own = &policy->own[policy->own_count];
		const struct sockaddr *address = i->ifa_addr;

		if (address != NULL && address->sa_family == AF_INET)
			policy->own_count += ip_from_octets(
				(Str){ (const char *)&((const struct sockaddr_in *)address)
						->sin_addr,
					4 },
				own);
		else if (address != NULL && address->sa_family == AF_INET6)
			policy->own_count += ip_from_octets(
				(Str){ (const char *)&((const struct sockaddr_in6 *)address)
						->sin6_addr,
					16 },
				own);
	}
	freeifaddrs(all);
}

/* The roots that the system trusts, for a smart host that must prove its name. */
static Err
read_roots(struct tls_context *context)
{
	static const char *const places[] = {
		"/etc/ssl/certs/ca-certificates.crt", /* Debian, Alpine */
		"/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora */
	};
	AUTO_BUF roots = BUF_INIT(ROOTS_MAX);

	for (size_t i = 0; i < COUNT(places); i++)
		if (!failed(file_read(AT_FDCWD, places[i], &roots)))
			return tls_context_verify(context, buf_view(&roots));
	return fail(ERR_PERM, "the system has no root certificates (install ca-certificates)");
}

static Err
set_up(struct relay *r)
{
	r->times = &client_times_standard;
	r->policy.own_name = r->settings.hostname;
	r->policy.to_private = r->settings.to_private;
	find_own_addresses(&r->policy);
	TRY(tls_context_new_client(&r->any_tls));
	r->has_smart = r->settings.host.host.n > 0;
	if (!r->has_smart)
		return OK;
	TRY(route_hop_init(&r->smart, r->settings.host, SMART_PORT));
	TRY(tls_context_new_client(&r->proven_tls));
	return r->settings.tls == RELAY_TLS_REQUIRE ? read_roots(r->proven_tls) : OK;
}

/* Gives conversations a moment to end: what is cut off is sent again. */
static void
stop(struct workshop *shop)
{
	Moment until = moment_after(STOP_WAIT);

	atomic_store(&shop->relay.stopping, true);
	while (atomic_load(&shop->conversing) > 0 && !moment_past(until)) {
		const struct timespec t = { .tv_nsec = 10 * 1000000 };

		nanosleep(&t, NULL);
	}
}

void relay_serve(struct start *start);

void
relay_serve(struct start *start)
{
	static struct workshop shop; /* lives as long as the process; its threads hold it */
	const char *name;
	Err e;

	pthread_mutex_init(&shop.lock, NULL);
	start_settings(start, settings_relay_table, &shop.relay.settings);
	shop.queue = start_ask(start, SERVICE_QUEUE, 0);
	shop.resolver = start_ask(start, SERVICE_RESOLVER, 0);
	e = set_up(&shop.relay);
	if (failed(e)) {
		log_failure(LOG_LEVEL_ERROR, "relay.settings", e);
		exit(EX_CONFIG);
	}
	start_walls(start);
	shop.pool = thread_pool_new(WORKERS_MAX, THREAD_STACK_LARGE, work, "relay");
	for (size_t i = 0; i < WORKERS_IDLE; i++)
		call_worker(&shop);
	start_ready(start);
	while (start_accept_wait(start, &name) >= 0)
		;
	stop(&shop);
}
