/* SPDX-License-Identifier: ISC */
/*
 * queue: accepts responsibility for messages, and says when what is tried.
 *
 * reads      envelopes that others have parsed; message bytes, which it only carries
 * runs as    _posthorn-queue; files below spool/ only
 * asks       nobody
 * if it dies nobody is told 250 until it is back; its successor replays the journal and hands out
 *            again what was not known to be done; accounts know by delivery id what they have
 */

#include "rpc/log.h"
#include "rpc/start.h"
#include "service/queue/desk.h"

#include <malloc.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <sysexits.h>

enum {
	CHECKPOINT_EVERY = 5000,              /* ms */
	CHECKPOINT_OCTETS = 32 * 1024 * 1024, /* or so many accepted */
	CONCURRENCY_MAX = 20,                 /* of one destination */
	ARENA_MAX = 16 * 1024 * 1024,         /* for what one batch of requests holds */
	SEGMENT_MIN = 2 * 1024 * 1024,        /* octets of a journal segment on a small disk */
	SEGMENTS_PER_DISK = 64,
	TIDY_PAUSE = 1000, /* ms after there was nothing to tidy */
	IDLE_PAUSE = 60000,
	BROKEN_PAUSE = 5000, /* ms before a new start after a failed sync */
};

static void
on_removed(void *self, uint64_t id)
{
	(void)self;
	log_event(LOG_LEVEL_INFO, "queue.removed", F_QUEUE(id), F_WORDS("what", S("removed")));
}

static void
on_gave_up(void *self, uint64_t id, Str address, Str status, Str text)
{
	(void)self;
	log_event(LOG_LEVEL_INFO, "queue.expired", F_QUEUE(id), F_ADDR("to", address),
		F_STR("relay", S("none")), F_STR("dsn", status), F_STR("status", S("expired")),
		F_BEHIND("text", text));
}

static void
on_damaged(void *self, const char *file, uint64_t at, uint64_t size)
{
	(void)self;
	log_event(LOG_LEVEL_ERROR, "queue.damaged", F_STR("file", str_from(file)),
		F_INT("at", at), F_INT("size", size));
}

static void
on_body_lost(void *self, uint64_t id)
{
	(void)self;
	log_event(LOG_LEVEL_ERROR, "queue.body.lost", F_QUEUE(id),
		F_WORDS("what", S("its bytes cannot be read; held")));
}

static struct queue_now
both_clocks(void)
{
	return (struct queue_now){ .wall = clock_wall(), .ms = clock_moment().ms };
}

/* A small disk gets small segments: three of them are always kept empty. */
static uint32_t
segment_size(int spool, uint64_t wanted)
{
	struct statvfs st;
	uint64_t size = wanted;

	if (fstatvfs(spool, &st) == 0 && st.f_blocks * st.f_frsize / SEGMENTS_PER_DISK < size)
		size = st.f_blocks * st.f_frsize / SEGMENTS_PER_DISK;
	size -= size % SEGMENT_MIN;
	return size < SEGMENT_MIN ? SEGMENT_MIN : (uint32_t)size;
}

static struct queue_limits
limits_of(const struct settings_queue *s, int spool)
{
	struct queue_limits l = { .age_max = s->age_max,
		.lease = QUEUE_LEASE,
		.concurrency_max = CONCURRENCY_MAX,
		.memory = s->memory,
		.segment_size = segment_size(spool, s->segment),
		.free_min = s->free_min };

	for (size_t i = 0; i < s->retry.n && l.retry_count < QUEUE_RETRY_MAX; i++)
		if (!failed(settings_seconds_parse(s->retry.items[i], &l.retry[l.retry_count])))
			l.retry_count++;
	if (l.retry_count == 0)
		l.retry[l.retry_count++] = 5 * MINUTE;
	return l;
}

static void
open_queue(struct desk *d)
{
	static const struct queue_watcher watcher = { .removed = on_removed,
		.gave_up = on_gave_up,
		.damaged = on_damaged,
		.body_lost = on_body_lost };
	struct queue_limits limits = limits_of(&d->settings, d->spool);
	struct queue_figures f;
	Err e = queue_open_local(d->spool, &limits, &watcher, both_clocks(), &d->queue);

	if (failed(e)) {
		log_failure(LOG_LEVEL_ERROR, "queue.open.failed", e);
		exit(EX_IOERR);
	}
	f = queue_figures(d->queue);
	log_event(LOG_LEVEL_INFO, "queue.opened", F_INT("messages", f.messages),
		F_INT("held", f.held), F_INT("segments", f.segments),
		F_INT("damages", f.damages));
}

/* Leases of a process that is gone end at once; so do its promises. */
static void
take_gone(struct desk *d)
{
	enum service_id offender;
	uint16_t client;

	while (server_gone(d->server, &client)) {
		queue_lease_lost(d->queue, (uint32_t)client << 16,
			(uint32_t)client << 16 | 0xffff);
		desk_room_gone(d, client);
		/* Whoever was syncing the mail may be among them. */
		d->checkpoint_handed = false;
	}
	while (server_offender(d->server, &offender))
		log_event(LOG_LEVEL_ERROR, "queue.offender",
			F_STR("service", str_from(service_name(offender))));
}

static void
consider_checkpoint(struct desk *d)
{
	if (d->checkpoint_handed && moment_past(d->checkpoint_until))
		d->checkpoint_handed = false;
	if (d->checkpoint != 0 || d->broken)
		return;
	if (!moment_past(d->checkpoint_due) && queue_octets_since(d->queue) < CHECKPOINT_OCTETS)
		return;
	d->checkpoint_due = moment_after(CHECKPOINT_EVERY);
	d->checkpoint_handed = false;
	if (!queue_checkpoint_begin(d->queue, &d->checkpoint))
		d->checkpoint = 0;
}

static void
tidy(struct desk *d)
{
	Err e = queue_tidy(d->queue, &d->tidy);

	if (failed(e)) {
		d->tidy = false;
		if (!d->tidy_failed)
			log_failure(LOG_LEVEL_WARNING, "queue.tidy", e);
	}
	d->tidy_failed = failed(e);
}

/* How long to sleep at most when nobody asks for anything. */
static Moment
next_tidying(struct desk *d)
{
	if (d->tidy)
		return moment_after(0);
	if (!moment_past(d->idle_from))
		return moment_after(TIDY_PAUSE);
	if (!d->resting) {
		queue_rest(d->queue);
#ifdef __GLIBC__
		malloc_trim(0); /* what a burst of mail left free among the living */
#endif
		d->resting = true;
	}
	return moment_after(IDLE_PAUSE);
}

static Moment
sooner(Moment a, Moment b)
{
	return a.ms < b.ms ? a : b;
}

static Moment
next_due(const struct desk *d, Moment tidy_due)
{
	Moment due = sooner(desk_parked_until(d), desk_room_until(d));

	due = sooner(due, (Moment){ queue_due(d->queue) });
	due = sooner(due, tidy_due);
	return due;
}

static void
turn(struct desk *d, struct start *start, Moment until)
{
	struct server_request *batch;
	size_t count;
	Err e = server_take(d->server, until, &batch, &count);

	if (failed(e)) {
		log_failure(LOG_LEVEL_ERROR, "queue.wait", e);
		return;
	}
	queue_set_now(d->queue, both_clocks());
	for (size_t i = 0; i < count; i++) {
		if (batch[i].type == SERVER_WATCH)
			start_turn(start, d->server);
		else
			desk_take(d, &batch[i]);
	}
	desk_finish(d);
	take_gone(d);
	desk_give_rooms(d);
	consider_checkpoint(d);
	desk_hand_out(d);
	if (count == 0 || d->tidy)
		tidy(d);
}

void queue_serve(struct start *start);

void
queue_serve(struct start *start)
{
	static struct desk desk; /* too large for a stack */
	struct desk *d = &desk;
	Moment broken_until = MOMENT_NEVER;

	start_settings(start, settings_queue_table, &d->settings);
	start_walls(start);
	d->spool = start_folder(start, "spool");
	d->server = server_new(queue_rules);
	d->arena = arena_new(ARENA_MAX);
	d->tidy = true;
	open_queue(d);
	d->checkpoint_due = moment_after(CHECKPOINT_EVERY);
	start_serve(start, d->server);
	start_ready(start);
	while (!start->stopping && !moment_past(broken_until)) {
		turn(d, start, next_due(d, next_tidying(d)));
		if (d->broken && broken_until.ms == MOMENT_NEVER.ms)
			broken_until = moment_after(BROKEN_PAUSE);
	}
	queue_free(d->queue);
	server_free(d->server);
	if (d->broken)
		exit(EX_IOERR); /* master starts us again, and the journal is replayed */
}
