/* SPDX-License-Identifier: ISC */
/* Aliases become their members, a page at a time; the queue keeps how far it has come. */
#include "rpc/log.h"
#include "service/deliver/internal.h"

void
worker_expand(struct worker *w, const struct queue_job *job,
	const struct envelope_recipient *recipient)
{
	uint64_t cursor = recipient->cursor;
	struct directory_members m = { 0 };

	do {
		Err e = directory_call_expand(w->directory, recipient->address, cursor,
			w->arena, &m);

		if (!failed(e))
			e = queue_call_expand(w->queue, job->id, recipient->number, m.members,
				m.count, m.cursor, m.done);
		if (failed(e)) {
			log_failure(LOG_LEVEL_WARNING, "deliver.expand.failed", e);
			worker_return(w, job, recipient);
			return;
		}
		cursor = m.cursor;
	} while (!m.done);
	log_event(LOG_LEVEL_INFO, "deliver.expanded", F_QUEUE(job->id),
		F_ADDR("to", recipient->address), F_STR("relay", S("alias")),
		F_STR("dsn", S("2.0.0")), F_STR("status", S("sent")),
		F_BEHIND("text", S("expanded to its members")));
}
