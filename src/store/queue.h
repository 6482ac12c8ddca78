/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The queue: messages that somebody was told are ours, until each recipient is settled. What is
 * kept goes through a driver (local: the journal; ram: memory, for tests); when something is due is
 * decided here, without a clock of its own. Calls that change something gather a batch, which
 * queue_commit makes durable; only then does it count. Used by one thread.
 *
 * A message is handed out in parts: its local recipients, and those of each remote destination
 * (domain). A part is leased to whoever took it until all its recipients have a result.
 */

#include "base/arena.h"
#include "format/envelope/envelope.h"

struct queue;

enum {
	QUEUE_INLINE_BODY_MAX = 1024 * 1024, /* octets; longer bodies are files of their own */
	QUEUE_PART_MAX = 100,                /* recipients of one part */
	QUEUE_TAKE_MAX = 64,                 /* parts taken at once */
	QUEUE_RESULT_TEXT_MAX = 512,         /* octets of a result's text that are kept */
	QUEUE_RETRY_MAX = 16,
	QUEUE_SEGMENT_STANDARD = 64 * 1024 * 1024, /* octets of a journal segment */
	QUEUE_CRASHES_MAX = 2, /* after as many, a message is to be handled with care */
};

struct queue_limits {
	uint32_t retry[QUEUE_RETRY_MAX]; /* seconds between attempts; the last one repeats */
	size_t retry_count;              /* at least 1 */
	uint32_t age_max;                /* seconds; then a message is given back */
	uint32_t lease;                  /* seconds */
	uint32_t concurrency_max;        /* parts of one destination leased at once */
	uint64_t memory;                 /* octets of bodies kept at hand */
	uint32_t segment_size;           /* local: of the journal */
	uint64_t free_min;               /* local: octets */
};

/* Both clocks at once: the wall's for what is kept, the other for waiting. */
struct queue_now {
	Time wall;
	int64_t ms; /* never jumps */
};

/* Told while the queue works. Any may be NULL; `self` is given back. */
struct queue_watcher {
	void *self;
	/* Nothing of it is left to do. */
	void (*removed)(void *self, uint64_t id);
	/* A recipient's result that the queue gave itself: too old, or its body is lost. */
	void (*gave_up)(void *self, uint64_t id, Str address, Str status, Str text);
	/* The journal holds something else than it should. */
	void (*damaged)(void *self, const char *file, uint64_t at, uint64_t size);
	/* The body of this message cannot be read any more; the message is held. */
	void (*body_lost)(void *self, uint64_t id);
};

/*
 * Opens the queue kept below `spool` (borrowed; folders journal/ and large/ are made there) and
 * takes up what is in it. ERR_TEMP: a system call failed.
 */
MUST_USE Err queue_open_local(int spool, const struct queue_limits *limits,
	const struct queue_watcher *watcher, struct queue_now now, struct queue **ret);
MUST_USE Err queue_open_ram(const struct queue_limits *limits,
	const struct queue_watcher *watcher, struct queue_now now, struct queue **ret);
void queue_free(struct queue *q); /* NULL is fine */
DEFINE_DROP(queue)

/* ram only: what a driver on disk would find after a crash. Frees the old one. */
MUST_USE Err queue_reopen_ram(struct queue **q, struct queue_now now);

/* Call before each round of work. Lets leases and waits end. */
void queue_set_now(struct queue *q, struct queue_now now);
/* When queue_set_now will have something to do at the latest; INT64_MAX when never. */
int64_t queue_due(const struct queue *q);

/*
 * Whether a request of so many octets (body included) can still join the batch. When not, commit
 * first: what follows fails as ERR_TEMP otherwise.
 */
bool queue_fits(const struct queue *q, size_t octets);

struct queue_new {
	const struct envelope *envelope; /* its recipients' numbers are given anew, from 1 */
	Str body;                        /* when fd is -1 */
	int fd;                          /* a sealed memfd; stays the caller's */
	uint64_t size;
	/* Recipients of an older message that this one settles, in the same record. */
	uint64_t settles_id; /* 0: none */
	const uint32_t *settles;
	size_t settles_count;
};

/*
 * Adds a message to the batch.
 * ERR_TEMP   no room (sys is ENOSPC: answer 452), or the disk failed
 * ERR_LIMIT  its envelope is too long
 */
MUST_USE Err queue_submit(struct queue *q, const struct queue_new *new, uint64_t *ret_id);

enum queue_fate {
	QUEUE_FATE_DONE,    /* delivered */
	QUEUE_FATE_LATER,   /* again, after a wait */
	QUEUE_FATE_FAILED,  /* tell the sender */
	QUEUE_FATE_SETTLED, /* nothing more to do, nobody to tell */
	QUEUE_FATE_BUSY,    /* not tried: again soon, no attempt counted */
	QUEUE_FATE_CRASHED, /* whoever tried it died */
};

struct queue_result {
	uint64_t id;
	uint32_t number;
	enum queue_fate fate;
	Str status, text, remote;
	bool destination_down; /* LATER: hold back all that goes there */
};

/* Adds results to the batch. What is unknown (removed meanwhile, settled twice) is ignored. */
MUST_USE Err queue_results(struct queue *q, const struct queue_result *results, size_t count);

/*
 * Adds recipients to a message; addresses it has already are left out. `done` settles recipient
 * `number` itself, else its cursor becomes `cursor`. ERR_PEER: no such recipient is waiting.
 */
MUST_USE Err queue_expand(struct queue *q, uint64_t id, uint32_t number,
	const struct envelope_recipient *members, size_t count, uint64_t cursor, bool done);

/* Verbs for people. ERR_PEER: no such message. `remove` tells nobody. */
MUST_USE Err queue_hold(struct queue *q, uint64_t id, bool hold);
MUST_USE Err queue_remove(struct queue *q, uint64_t id);
/* Makes everything that waits for another attempt due now; id 0: all messages. */
MUST_USE Err queue_flush(struct queue *q, uint64_t id);

/*
 * Makes the batch durable, then lets it count. `ret_rest` is for everything but the submissions:
 * after a failure it was tried again by itself, in another place, so it may be OK while the
 * submissions failed (the value returned).
 */
MUST_USE Err queue_commit(struct queue *q, Err *ret_rest);

enum queue_work_kind {
	QUEUE_WORK_MESSAGE,
	QUEUE_WORK_BOUNCE,  /* tell the sender about these recipients */
	QUEUE_WORK_CAREFUL, /* as MESSAGE, after QUEUE_CRASHES_MAX crashes */
};

struct queue_reason {
	Str status, text, remote;
};

struct queue_work {
	enum queue_work_kind kind;
	uint64_t id;
	uint32_t attempt;             /* 1 for the first */
	struct envelope envelope;     /* the recipients of this part */
	struct queue_reason *reasons; /* BOUNCE: one for each recipient */
	Str body;                     /* when fd is -1 */
	int fd;                       /* a sealed memfd; the taker closes it */
	void *handle;                 /* for queue_give_back */
};

enum queue_way {
	QUEUE_WAY_LOCAL, /* and bounces */
	QUEUE_WAY_REMOTE,
};

/*
 * Leases up to `most` parts to `holder`, as long as the bodies in ret (not in memfds) stay under
 * `octets`; REMOTE: all for one destination, the given one unless it is "". The rest of *ret lives
 * in the arena, bodies until the next call. Nothing is ready: count 0.
 * ERR_TEMP   the disk failed; nothing is leased
 */
MUST_USE Err queue_take(struct queue *q, enum queue_way way, Str destination, size_t most,
	size_t octets, uint32_t holder, struct arena *a, struct queue_work *ret,
	size_t *ret_count);
bool queue_has_ready(const struct queue *q, enum queue_way way, Str destination);

/* The part could not be handed over: it is ready again, as if never taken. */
void queue_give_back(struct queue *q, void *handle);
/* All that holders from `first` to `last` have is ready again, after a crash. */
void queue_lease_lost(struct queue *q, uint32_t first, uint32_t last);
/*
 * This holder is done with what it has, and said nothing of some of it: that is due again after a
 * short wait, and no attempt is counted.
 */
void queue_lease_over(struct queue *q, uint32_t holder);

/*
 * Checkpoints. A local delivery is safe once the mail file systems were synced after it; until then
 * the journal stands in for it, and a restart hands it out again. begin names a checkpoint; false
 * when nothing happened since the last. After the file systems were synced, end makes it count:
 * deliveries before it are final, and the journal is used again where nothing is waiting.
 */
bool queue_checkpoint_begin(struct queue *q, uint64_t *ret_checkpoint);
MUST_USE Err queue_checkpoint_end(struct queue *q, uint64_t checkpoint);
/* Octets accepted since the last begin. */
uint64_t queue_octets_since(const struct queue *q);
/* No message with an id below can be delivered again. */
uint64_t queue_forget_below(const struct queue *q);

/*
 * Work that nobody waits for, a few milliseconds of it: room prepared ahead, waiting messages moved
 * out of the way. *ret_more: there is more to do.
 */
MUST_USE Err queue_tidy(struct queue *q, bool *ret_more);
/* Between bursts: gives back memory. */
void queue_rest(struct queue *q);

enum queue_recipient_state {
	QUEUE_WAITING,
	QUEUE_BOUNCING, /* failed; the sender has not been told yet */
	QUEUE_SETTLED,
};

struct queue_view_recipient {
	Str address;
	uint32_t number;
	enum envelope_class class;
	enum queue_recipient_state state;
	uint32_t attempts;
	Time next;                  /* WAITING: the next attempt, not before */
	struct queue_reason reason; /* of the last attempt */
};

struct queue_view {
	uint64_t id;
	Str sender, client;
	uint64_t size;
	Time queued;
	bool held;
	bool active;  /* leased to somebody */
	bool in_file; /* its body is a file of its own */
	struct queue_view_recipient *recipients;
	size_t recipient_count;
};

/* All messages, oldest record first, as long as `see` says true. The view dies with the call. */
void queue_view_each(struct queue *q, bool (*see)(void *self, const struct queue_view *view),
	void *self);
/* ERR_PEER when there is none. */
MUST_USE Err queue_view_get(struct queue *q, uint64_t id, struct arena *a,
	struct queue_view *ret);
/* The message's bytes, appended to ret. */
MUST_USE Err queue_read_body(struct queue *q, uint64_t id, struct buf *ret);

struct queue_figures {
	size_t messages, parts_ready, parts_leased, parts_waiting, destinations, held;
	uint64_t memory; /* octets of bodies at hand */
	uint64_t submitted, syncs, failed;
	size_t segments, segments_empty;
	size_t damages; /* found at start */
};
struct queue_figures queue_figures(const struct queue *q); /* walks through all messages */
uint64_t queue_memory(const struct queue *q);              /* octets of bodies at hand */
