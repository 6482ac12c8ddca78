/* SPDX-License-Identifier: ISC */
/* What became of each recipient, for the queue and for the log. */
#include "rpc/log.h"
#include "service/deliver/internal.h"

static void
log_outcome(const struct queue_job *job, const struct envelope_recipient *recipient,
	const struct queue_outcome *o, const char *relay)
{
	static const char *const words[] = {
		[QUEUE_DELIVERED] = "sent",
		[QUEUE_DEFERRED] = "deferred",
		[QUEUE_FAILED] = "bounced",
		[QUEUE_CRASHED] = "deferred",
	};
	char room[128];
	struct buf delays = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	const struct envelope *e = &job->envelope;
	int64_t sum = log_put_delays(&delays,
		(int64_t[4]){ e->queued.us - e->began.us, job->leased.us - e->queued.us, 0,
			clock_wall().us - job->leased.us });

	log_event(LOG_LEVEL_INFO, "deliver.attempt", F_QUEUE(job->id),
		F_ADDR("to", recipient->address), F_STR("relay", str_from(relay)),
		F_SECONDS("delay", sum), F_STR("delays", buf_view(&delays)),
		F_STR("dsn", o->status), F_STR("status", str_from(words[o->kind])),
		F_BEHIND("text", o->text));
}

void
worker_note(struct worker *w, const struct queue_job *job,
	const struct envelope_recipient *recipient, enum queue_outcome_kind kind, Str status,
	Str text, const char *relay)
{
	struct queue_outcome *o;

	if (w->outcome_count == w->outcome_room)
		return; /* counted beforehand: one for each recipient */
	o = &w->outcomes[w->outcome_count++];
	*o = (struct queue_outcome){ .id = job->id,
		.number = recipient->number,
		.kind = kind,
		.status = status,
		.text = text };
	if (kind != QUEUE_RETURNED)
		log_outcome(job, recipient, o, relay);
}

void
worker_return(struct worker *w, const struct queue_job *job,
	const struct envelope_recipient *recipient)
{
	worker_note(w, job, recipient, QUEUE_RETURNED, S("4.3.0"), S(""), "local");
}
