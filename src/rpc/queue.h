/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What one may ask of `queue`, which accepts responsibility for messages and schedules them.
 *
 *   SUBMIT    smtpd, submit, deliver, control   keep this; answered after the sync
 *   ROOM      smtpd, submit                     memory for a message over 1 MiB
 *   PULL      deliver (local), relay (remote)   jobs, on a lease; parked until there are some
 *   OUTCOMES  deliver, relay                    what became of the recipients; after the sync
 *   EXPAND    deliver                           members of an alias become recipients
 *   SYNCED    deliver                           the mail file systems are synced (or not)
 *   ADMIN     control                           list, show, cat, flush, hold, release, remove
 */

#include "format/envelope/envelope.h"
#include "rpc/call.h"

enum queue_request {
	QUEUE_SUBMIT = 1,
	QUEUE_ROOM,
	QUEUE_PULL,
	QUEUE_OUTCOMES,
	QUEUE_EXPAND,
	QUEUE_SYNCED,
	QUEUE_ADMIN,
};

extern const struct rpc_rule queue_rules[];

enum {
	QUEUE_INLINE_MAX =
		64 * 1024, /* octets of a body inside the datagram; more is a memfd */
	QUEUE_BODY_FREE = 1024 * 1024, /* beyond this, ask for ROOM first */
	/* Seconds a job may take before it is given again: more than a whole SMTP attempt by the
	 * timeouts of RFC 5321, 4.5.3.2. Whoever dies loses its leases at once. */
	QUEUE_LEASE = 60 * 60,
	QUEUE_TEXT_MAX = 512, /* octets of a remote server's reply that are kept */
	QUEUE_JOBS_MAX = 64,
};

/* A message: its bytes, or a sealed memfd of that size. Borrowed. */
struct queue_body {
	Str bytes;
	int fd; /* -1: bytes hold it */
	uint64_t size;
};

/* Recipients of an older message that this one settles (a bounce), in the same journal record. */
struct queue_settles {
	uint64_t id; /* 0: none */
	const uint32_t *numbers;
	size_t count;
};

/*
 * Hands a message over; when this returns OK it is on disk and nobody else's responsibility.
 *
 * ERR_TEMP    not kept: disk full, sync failed, queue died (451, 452)
 * ERR_LIMIT   larger than the queue takes
 */
MUST_USE Err queue_call_submit(struct caller *c, const struct envelope *e,
	const struct queue_body *body, const struct queue_settles *settles, uint64_t *ret_id);

/* Waits for room in memory for `size` octets, at most a minute. ERR_TEMP: 452 4.3.1. */
MUST_USE Err queue_call_room(struct caller *c, uint64_t size);
/* Gives it back when the message was not submitted after all. */
void queue_tell_room_unused(struct caller *c, uint64_t size);

enum queue_job_kind {
	QUEUE_JOB_MESSAGE,  /* deliver or relay it to the recipients named */
	QUEUE_JOB_BOUNCE,   /* tell the sender about the failures named (deliver) */
	QUEUE_JOB_SYNC,     /* sync the mail file systems, then queue_call_synced (deliver) */
	QUEUE_JOB_LAST_TRY, /* as MESSAGE, after two crashes: store unparsed (deliver) */
};

/* For BOUNCE: why recipient i of the envelope failed. */
struct queue_failure {
	Str status; /* x.y.z */
	Str text;   /* diagnostic, one line */
	Str remote; /* host that said so, or "" */
};

struct queue_job {
	enum queue_job_kind kind;
	uint64_t id;
	uint32_t attempt; /* 1 for the first */
	Time leased;
	struct envelope envelope;       /* only the recipients of this job */
	struct queue_failure *failures; /* BOUNCE: one for each recipient */
	struct queue_body body;         /* fd is the job's: queue_jobs_done closes it */
};

struct queue_jobs {
	struct queue_job jobs[QUEUE_JOBS_MAX];
	size_t count;
	uint64_t forget_below; /* delivery ids of older queue ids may be forgotten */
};

#define QUEUE_ANYWHERE "*"

enum queue_side {
	QUEUE_SIDE_LOCAL,
	QUEUE_SIDE_REMOTE,
};

/*
 * Takes up to `most` jobs, waiting up to timeout ms for the first. No job in time is success with
 * count 0. Everything lives in the arena.
 *
 * destination   REMOTE only: where a connection is open (a domain, or QUEUE_ANYWHERE for a smart
 *               host): messages for it are given here first, others when nobody else waits; else ""
 */
MUST_USE Err queue_call_pull(struct caller *c, enum queue_side side, Str destination,
	uint32_t most, int timeout, struct arena *a, struct queue_jobs *ret);
void queue_jobs_done(struct queue_jobs *jobs); /* closes the descriptors */

enum queue_outcome_kind {
	QUEUE_DELIVERED, /* 2.x.x */
	QUEUE_DEFERRED,  /* 4.x.x: again later */
	QUEUE_FAILED,    /* 5.x.x: bounce */
	QUEUE_EXPANDED,  /* replaced by its members; no report */
	QUEUE_RETURNED,  /* not tried (busy): give it again soon, no attempt counted */
	QUEUE_CRASHED,   /* whoever tried it died of it, it seems; after two: LAST_TRY */
};

struct queue_outcome {
	uint64_t id;
	uint32_t number; /* recipient */
	enum queue_outcome_kind kind;
	Str status;            /* x.y.z */
	Str text;              /* cut to QUEUE_TEXT_MAX */
	Str remote;            /* host[address]:port, or "" */
	bool destination_down; /* DEFERRED: nobody could be reached; hold the whole destination back */
};

/* Reports what became of recipients; durable when this returns OK. */
MUST_USE Err queue_call_outcomes(struct caller *c, const struct queue_outcome *outcomes,
	size_t count);

/*
 * Adds members of an alias as recipients of message `id`; addresses that are among its recipients
 * already are not added. `done` ends the alias itself (recipient `number`); otherwise `cursor`
 * (with the list's version) is kept and comes back with the next job.
 */
MUST_USE Err queue_call_expand(struct caller *c, uint64_t id, uint32_t number,
	const struct envelope_recipient *members, size_t count, uint64_t cursor, bool done);

/* The answer to QUEUE_JOB_SYNC. */
MUST_USE Err queue_call_synced(struct caller *c, uint64_t checkpoint, bool success);

/*
 * verb and arguments as typed. list, show: the answer is queue_listed records; cat: the message;
 * the others: text.
 */
MUST_USE Err queue_call_admin(struct caller *c, const Str *words, size_t count, int input,
	struct buf *ret, int *ret_exit);

/* The serving end: what a request holds. Strs point into the request. */
struct queue_submit {
	struct envelope envelope; /* recipients in the arena */
	uint64_t settles_id;
	const uint32_t *settles; /* in the arena */
	size_t settles_count;
	struct queue_body body; /* fd stays the request's */
};
MUST_USE Err queue_parse_submit(struct cursor *c, const struct channel_message *m,
	struct arena *a, struct queue_submit *ret);

struct queue_pull {
	enum queue_side side;
	Str destination;
	uint32_t most;
	int timeout; /* ms */
};
MUST_USE Err queue_parse_pull(struct cursor *c, struct queue_pull *ret);
/* One answer to PULL. `more`: another follows. job NULL: there is none (ends a parked PULL). */
void queue_write_job(struct buf *b, const struct queue_job *job, uint64_t forget_below,
	bool more);

MUST_USE Err queue_parse_outcomes(struct cursor *c, struct arena *a, struct queue_outcome **ret,
	size_t *ret_count);

struct queue_expand {
	uint64_t id;
	uint32_t number;
	struct envelope_recipient *members;
	size_t count;
	uint64_t cursor;
	bool done;
};
MUST_USE Err queue_parse_expand(struct cursor *c, struct arena *a, struct queue_expand *ret);

/* A message as `list` and `show` tell of it. */
enum queue_listed_state {
	QUEUE_LISTED_WAITING,
	QUEUE_LISTED_FAILED, /* the sender is about to be told */
	QUEUE_LISTED_SETTLED,
};

struct queue_listed_recipient {
	Str address;
	uint32_t number;
	enum queue_listed_state state;
	uint32_t attempts;
	Time next;                /* the next attempt; past: as soon as possible */
	Str status, text, remote; /* of the last attempt */
};

struct queue_listed {
	uint64_t id, size;
	Str sender, client;
	Time queued;
	bool held, active;
	uint32_t recipient_count;
	struct cursor recipients; /* queue_listed_next */
};

void queue_listed_write(struct buf *b, const struct queue_listed *l); /* recipients follow */
void queue_listed_write_recipient(struct buf *b, const struct queue_listed_recipient *r);
/* The next message; false at the end, or when the records are cut (c is bad then). */
bool queue_listed_parse(struct cursor *c, struct queue_listed *ret);
bool queue_listed_next(struct queue_listed *l, struct queue_listed_recipient *ret);
