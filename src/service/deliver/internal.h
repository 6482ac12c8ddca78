/* SPDX-License-Identifier: ISC */
#pragma once

/* What the files of deliver share: one worker and the batch it works on. */

#include "rpc/directory.h"
#include "rpc/queue.h"
#include "rpc/settings.h"
#include "service/deliver/channels.h"

enum {
	BATCH_MEMORY = 64 * 1024 * 1024, /* octets of the jobs of one batch */
};

/* Set before the first worker. */
struct deliver {
	struct settings_deliver settings;
	struct peer *directory, *queue;
	struct channels *channels;
	int mail; /* the folder of all accounts, for syncing */
};

struct worker {
	const struct deliver *deliver;
	struct caller *directory, *queue;
	struct arena *arena; /* a batch's */
	char *buffer;        /* CHANNEL_MESSAGE_MAX octets */
	struct queue_jobs jobs;
	struct queue_outcome *outcomes; /* of the batch, in the arena */
	size_t outcome_count, outcome_room;
};

/* One recipient of one job, on its way to one account. */
struct drop {
	struct drop *next; /* to the same account, in order */
	const struct queue_job *job;
	const struct envelope_recipient *recipient;
};

struct account_drops {
	struct account_drops *next;
	uint64_t account;
	struct drop *first, **last;
	size_t count;
};

/* Notes what became of a recipient, and logs it. status and text must live in the arena. */
void worker_note(struct worker *w, const struct queue_job *job,
	const struct envelope_recipient *recipient, enum queue_outcome_kind kind, Str status,
	Str text, const char *relay);

/* Not tried, for want of one of our own: the queue gives it again in a second. */
void worker_return(struct worker *w, const struct queue_job *job,
	const struct envelope_recipient *recipient);

/* Delivers all drops, noting each. */
void worker_drop_all(struct worker *w, struct account_drops *accounts);

/* Replaces an alias by its next members. */
void worker_expand(struct worker *w, const struct queue_job *job,
	const struct envelope_recipient *recipient);

/* Tells the sender about failed recipients. */
void worker_bounce(struct worker *w, const struct queue_job *job);
