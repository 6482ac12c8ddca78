/* SPDX-License-Identifier: ISC */
#pragma once

/* One message in memory: its strings, its recipients, its body while it is at hand. */

#include "store/queue/state.h"

struct message *message_new(uint64_t id, const struct envelope *e);
void message_free(struct queue *q, struct message *m);
/* Adds recipients with their numbers; their addresses are copied. */
void message_add_recipients(struct message *m, const struct envelope_recipient *r,
	size_t count);
struct recipient *message_find(struct message *m, uint32_t number); /* NULL when absent */
void message_drop_body(struct queue *q, struct message *m);
void message_fill_envelope(const struct message *m, struct envelope *ret);
void recipient_set_reason(struct recipient *r, Str status, Str text, Str remote);
