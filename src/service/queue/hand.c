/* SPDX-License-Identifier: ISC */
/* Jobs for those who pull. A pull that finds nothing is parked until something is ready. */
#include "base/memory.h"
#include "rpc/log.h"
#include "service/queue/desk.h"

#include <stdlib.h>

enum {
	/*
	 * What one pull is answered with must fit into the buffer of a socket (208 KiB, where each
	 * datagram counts as up to twice its size), because nobody waits for a reader here.
	 */
	JOBS_MAX = 32,
	JOBS_OCTETS = 72 * 1024,
	SYNC_WAIT = 5 * 60 * 1000, /* ms for a sync of the mail; then another worker is asked */
};

/* Who takes a job: one caller of one process. A slot has less than 16 bits. */
static uint32_t
holder_of(ReplyTo to)
{
	return (uint32_t)to.client << 16 | to.slot;
}

static bool
same_caller(ReplyTo a, ReplyTo b)
{
	return a.client == b.client && a.slot == b.slot;
}

void
desk_park(struct desk *d, const struct server_request *r, const struct queue_pull *pull)
{
	struct desk_parked *p = NULL;

	/* A caller that asks again is done with what it had, and waits for no older request. */
	queue_lease_over(d->queue, holder_of(r->reply_to));
	for (size_t i = 0; i < d->parked_count; i++)
		if (same_caller(d->parked[i].reply_to, r->reply_to))
			p = &d->parked[i];
	if (p == NULL) {
		if (d->parked_count == d->parked_cap) {
			d->parked_cap = d->parked_cap == 0 ? 64 : d->parked_cap * 2;
			d->parked = memory_resize(d->parked, d->parked_cap, sizeof(*d->parked));
		}
		p = &d->parked[d->parked_count++];
	}
	p->reply_to = r->reply_to;
	p->pull = *pull;
	p->until = moment_after(pull->timeout);
	if (failed(str_c(pull->destination, p->destination, sizeof(p->destination))))
		p->destination[0] = '\0';
}

static Err
send_job(struct desk *d, ReplyTo to, const struct queue_job *job, bool more)
{
	AUTO_BUF head = BUF_INIT(CHANNEL_MESSAGE_MAX);
	Str body = job == NULL || job->body.fd >= 0 ? S("") : job->body.bytes;
	const int *fd = job == NULL || job->body.fd < 0 ? NULL : &job->body.fd;

	queue_write_job(&head, job, queue_forget_below(d->queue), more);
	TRY(buf_check(&head));
	return server_answer(d->server, to, (Str[]){ buf_view(&head), body }, 2, fd,
		fd != NULL);
}

static void
fill_job(const struct queue_work *w, struct arena *a, struct queue_job *ret)
{
	static const enum queue_job_kind kinds[] = {
		[QUEUE_WORK_MESSAGE] = QUEUE_JOB_MESSAGE,
		[QUEUE_WORK_BOUNCE] = QUEUE_JOB_BOUNCE,
		[QUEUE_WORK_CAREFUL] = QUEUE_JOB_LAST_TRY,
	};
	size_t n = w->envelope.recipient_count;

	*ret = (struct queue_job){ .kind = kinds[w->kind],
		.id = w->id,
		.attempt = w->attempt,
		.leased = clock_wall(),
		.envelope = w->envelope,
		.body = { .bytes = w->body, .fd = w->fd, .size = w->envelope.size } };
	if (w->kind != QUEUE_WORK_BOUNCE)
		return;
	ret->failures = arena_try_array(a, n, sizeof(*ret->failures));
	if (ret->failures == NULL)
		abort(); /* the arena is sized for it */
	for (size_t i = 0; i < n; i++)
		ret->failures[i] = (struct queue_failure){ w->reasons[i].status,
			w->reasons[i].text, w->reasons[i].remote };
}

/* Sends them; what could not be sent (no descriptors, say) is ready again. */
static void
send_work(struct desk *d, const struct desk_parked *p, struct queue_work *work, size_t count)
{
	Err e = OK;

	for (size_t i = 0; i < count; i++) {
		struct queue_job job;

		if (!failed(e)) {
			fill_job(&work[i], d->arena, &job);
			e = send_job(d, p->reply_to, &job, i + 1 < count);
		}
		if (failed(e))
			queue_give_back(d->queue, work[i].handle);
		fd_drop(&work[i].fd);
	}
	if (!failed(e) || e.kind == ERR_GONE)
		return;
	log_failure(LOG_LEVEL_WARNING, "queue.unheard", e);
	/* The one before it promised another. */
	(void)!failed(send_job(d, p->reply_to, NULL, false));
}

static void
send_sync(struct desk *d, const struct desk_parked *p)
{
	struct queue_job job = {
		.kind = QUEUE_JOB_SYNC, .id = d->checkpoint, .body = { .fd = -1 }
	};

	if (failed(send_job(d, p->reply_to, &job, false)))
		return;
	d->checkpoint_handed = true;
	d->checkpoint_until = moment_after(SYNC_WAIT);
}

/* True when this pull was answered. */
static bool
serve_parked(struct desk *d, const struct desk_parked *p, Str destination)
{
	struct queue_work work[QUEUE_TAKE_MAX];
	enum queue_way way =
		p->pull.side == QUEUE_SIDE_LOCAL ? QUEUE_WAY_LOCAL : QUEUE_WAY_REMOTE;
	size_t count = 0;
	Err e;

	if (way == QUEUE_WAY_LOCAL && d->checkpoint != 0 && !d->checkpoint_handed) {
		send_sync(d, p);
		return d->checkpoint_handed;
	}
	if (queue_has_ready(d->queue, way, destination)) {
		arena_reset(d->arena);
		e = queue_take(d->queue, way, destination,
			p->pull.most < JOBS_MAX ? p->pull.most : JOBS_MAX, JOBS_OCTETS,
			holder_of(p->reply_to), d->arena, work, &count);
		if (failed(e)) {
			log_failure(LOG_LEVEL_WARNING, "queue.take", e);
			count = 0;
		}
	}
	if (count > 0) {
		send_work(d, p, work, count);
		return true;
	}
	if (!moment_past(p->until))
		return false;
	(void)!failed(send_job(d, p->reply_to, NULL, false));
	return true;
}

static bool
is_connected(const struct desk_parked *p)
{
	return p->destination[0] != '\0';
}

static void
hand_out_to(struct desk *d, bool connected, bool anything)
{
	size_t kept = 0;

	for (size_t i = 0; i < d->parked_count; i++) {
		const struct desk_parked *p = &d->parked[i];
		Str wanted = str_from(p->destination);

		if (anything || str_eq(wanted, S(QUEUE_ANYWHERE)))
			wanted = S("");
		if (is_connected(p) != connected || !serve_parked(d, p, wanted))
			d->parked[kept++] = d->parked[i];
	}
	d->parked_count = kept;
}

/*
 * First to those who have a connection to where the mail goes: they need no new one. What is left
 * when nobody is idle goes to those who only keep a connection open in case something comes.
 */
void
desk_hand_out(struct desk *d)
{
	hand_out_to(d, true, false);
	hand_out_to(d, false, false);
	hand_out_to(d, true, true);
}

Moment
desk_parked_until(const struct desk *d)
{
	Moment first = MOMENT_NEVER;

	for (size_t i = 0; i < d->parked_count; i++)
		if (d->parked[i].until.ms < first.ms)
			first = d->parked[i].until;
	return first;
}
