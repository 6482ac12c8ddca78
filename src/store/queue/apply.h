/* SPDX-License-Identifier: ISC */
#pragma once

/* What the queue's records mean, live and in a replay. */

#include "store/queue/state.h"

void apply_remove(struct queue *q, struct message *m); /* nothing of it is left to do */
/* Once all was replayed: what is known to be synced is done. The message may be freed. */
void apply_end_of_replay(struct queue *q, struct message *m);
Err apply_record(struct queue *q, const struct journal_record *record);
void apply_message(struct queue *q, struct message *m, uint64_t position);
void apply_settles(struct queue *q, uint64_t id, const uint32_t *numbers, size_t count);
