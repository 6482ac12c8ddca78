/* SPDX-License-Identifier: ISC */
/*
 * deliver: takes local messages from the queue to the accounts they are for.
 *
 * reads      the header of what it bounces
 * runs as    _posthorn-deliver; no files, no network; may sync the mail file system
 * asks       directory, queue
 * if it dies its leases end and the queue gives the jobs again; accounts know what they have
 */

#include "base/memory.h"
#include "os/file.h"
#include "os/thread.h"
#include "rpc/log.h"
#include "rpc/start.h"
#include "service/deliver/internal.h"

#include <poll.h>
#include <time.h>

enum {
	WORKERS = 4,           /* a slow account holds up one of them */
	PULL_WAIT = 30 * 1000, /* ms that the queue parks us */
	NAP = 200,             /* ms before asking a queue again that did not answer */
	REPORT_TRIES = 50,
};

static void
add_drop(struct worker *w, struct account_drops **accounts, uint64_t account,
	const struct queue_job *job, const struct envelope_recipient *recipient)
{
	struct drop *d = arena_try(w->arena, sizeof(*d));
	struct account_drops *a = *accounts;

	while (a != NULL && a->account != account)
		a = a->next;
	if (a == NULL && d != NULL && (a = arena_try(w->arena, sizeof(*a))) != NULL) {
		a->account = account;
		a->last = &a->first;
		a->next = *accounts;
		*accounts = a;
	}
	if (a == NULL || d == NULL) {
		worker_return(w, job, recipient);
		return;
	}
	d->job = job;
	d->recipient = recipient;
	*a->last = d;
	a->last = &d->next;
	a->count++;
}

/* An address that an earlier message of this batch was for: no need to ask again. */
static const struct account_drops *
find_same(const struct account_drops *accounts, Str address)
{
	while (accounts != NULL && !str_eq(accounts->first->recipient->address, address))
		accounts = accounts->next;
	return accounts;
}

/* Asked again at delivery: the directory may have changed since the message came. */
static void
sort_recipient(struct worker *w, struct account_drops **accounts, const struct queue_job *job,
	const struct envelope_recipient *recipient)
{
	const struct account_drops *same = find_same(*accounts, recipient->address);
	struct directory_recipient r;
	Err e;

	if (same != NULL) {
		add_drop(w, accounts, same->account, job, recipient);
		return;
	}
	e = directory_call_recipient(w->directory, recipient->address, &r);
	if (failed(e)) {
		worker_return(w, job, recipient);
		return;
	}
	switch (r.class) {
	case DIRECTORY_ACCOUNT:
		add_drop(w, accounts, r.account, job, recipient);
		return;
	case DIRECTORY_ALIAS:
		worker_expand(w, job, recipient);
		return;
	case DIRECTORY_DISABLED:
		worker_note(w, job, recipient, QUEUE_FAILED, S("5.2.1"),
			S("this account is disabled"), "local");
		return;
	case DIRECTORY_UNKNOWN_DOMAIN:
	case DIRECTORY_UNKNOWN_USER:
		worker_note(w, job, recipient, QUEUE_FAILED, S("5.1.1"),
			S("there is no such user here any more"), "local");
		return;
	}
}

static void
nap(void)
{
	const struct timespec t = { .tv_nsec = NAP * 1000000L };

	nanosleep(&t, NULL);
}

/* A queue that was just restarted is waited for; after that its leases end. */
static void
report(struct worker *w)
{
	for (int i = 0; i < REPORT_TRIES && w->outcome_count > 0; i++) {
		Err e = queue_call_outcomes(w->queue, w->outcomes, w->outcome_count);

		if (!failed(e))
			return;
		if (i == 0)
			log_failure(LOG_LEVEL_WARNING, "deliver.report.failed", e);
		nap();
	}
}

static void
sync_mail(struct worker *w, const struct queue_job *job)
{
	Err e = file_sync_system(w->deliver->mail);

	if (failed(e))
		log_failure(LOG_LEVEL_ERROR, "deliver.sync.failed", e);
	e = queue_call_synced(w->queue, job->id, !failed(e));
	if (failed(e))
		log_failure(LOG_LEVEL_WARNING, "deliver.synced.unheard", e);
}

static bool
make_room_for_outcomes(struct worker *w)
{
	size_t count = 0;

	for (size_t i = 0; i < w->jobs.count; i++)
		count += w->jobs.jobs[i].envelope.recipient_count;
	w->outcomes = arena_try_array(w->arena, count, sizeof(*w->outcomes));
	w->outcome_room = count;
	w->outcome_count = 0;
	return w->outcomes != NULL;
}

static void
work_batch(struct worker *w)
{
	struct account_drops *accounts = NULL;

	if (!make_room_for_outcomes(w))
		return;
	for (size_t i = 0; i < w->jobs.count; i++) {
		const struct queue_job *job = &w->jobs.jobs[i];

		if (job->kind == QUEUE_JOB_SYNC)
			sync_mail(w, job);
		else if (job->kind == QUEUE_JOB_BOUNCE)
			worker_bounce(w, job);
		else
			for (size_t k = 0; k < job->envelope.recipient_count; k++)
				sort_recipient(w, &accounts, job, &job->envelope.recipients[k]);
	}
	worker_drop_all(w, accounts);
	report(w);
}

static void
run_worker(void *arg)
{
	const struct deliver *d = arg;
	struct worker w = {
		.deliver = d,
		.directory = caller_new(d->directory),
		.queue = caller_new(d->queue),
		.arena = arena_new(BATCH_MEMORY),
		.buffer = memory_get(CHANNEL_MESSAGE_MAX),
	};

	for (;;) {
		Err e = queue_call_pull(w.queue, QUEUE_SIDE_LOCAL, S(""), QUEUE_JOBS_MAX,
			PULL_WAIT, w.arena, &w.jobs);

		if (failed(e))
			nap();
		else
			work_batch(&w);
		queue_jobs_done(&w.jobs);
		arena_reset(w.arena);
	}
}

void deliver_serve(struct start *start);

void
deliver_serve(struct start *start)
{
	struct deliver deliver = {
		.directory = start_ask(start, SERVICE_DIRECTORY, 0),
		.queue = start_ask(start, SERVICE_QUEUE, 0),
		.channels = channels_new(),
		.mail = start_folder(start, "mail"),
	};
	struct thread_pool *pool;
	const char *name;

	start_settings(start, settings_deliver_table, &deliver.settings);
	start_walls(start);
	pool = thread_pool_new(WORKERS, THREAD_STACK_LARGE, run_worker, "worker");
	for (int i = 0; i < WORKERS; i++)
		if (failed(thread_pool_run(pool, &deliver)))
			return; /* master starts us again */
	start_ready(start);
	/* No listeners: waits until master says stop. Jobs under way are given again. */
	start_accept_wait(start, &name);
}
