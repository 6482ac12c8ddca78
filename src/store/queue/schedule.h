/* SPDX-License-Identifier: ISC */
#pragma once

/* When what is tried: parts of messages, and the destinations they go to. */

#include "store/queue/state.h"

void schedule_activate(struct queue *q, struct destination *d); /* if it may be served */
void schedule_message(struct queue *q, struct message *m); /* waiting ones that have no part */
void schedule_part_freed(struct queue *q, struct part *p); /* out of every list, and gone */
void schedule_bounce(struct queue *q, struct message *m, struct recipient *r);
void schedule_leave(struct queue *q, struct recipient *r); /* settled or failed */
void schedule_owed_done(struct queue *q, struct recipient *r);
void schedule_wait(struct queue *q,
	struct part *p); /* until the first of its recipients is due */
void schedule_ready(struct queue *q, struct part *p);
void schedule_lost(struct queue *q, struct part *p); /* its lease ended without results */
void schedule_due(struct queue *q);
void schedule_destination_went(struct queue *q, struct destination *d, bool down);
int64_t schedule_retry_wait(const struct queue *q, uint32_t attempts); /* seconds */
