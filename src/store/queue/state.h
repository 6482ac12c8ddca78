/* SPDX-License-Identifier: ISC */
#pragma once

/* What the queue remembers of each message while it waits. Private to store/queue/. */

#include "base/list.h"
#include "base/map.h"
#include "store/queue/driver.h"
#include "store/queue/record.h"
#include "store/queue/timer.h"

struct part;

struct recipient {
	Str address; /* in one of the message's texts */
	uint32_t number;
	uint16_t attempts;
	uint8_t class; /* enum envelope_class */
	uint8_t state; /* enum queue_recipient_state */
	uint8_t crashes;
	bool owed;        /* leased, and no result yet */
	uint64_t cursor;  /* of an alias that is being expanded */
	uint64_t done_at; /* in a replay: the record that says it was delivered here; or 0 */
	Time next;
	struct queue_reason
		*reason;   /* of the last attempt, with its text in one block; or NULL */
	struct part *part; /* NULL once settled */
};

/* A block that holds strings of a message. */
struct text {
	struct text *next;
	char bytes[];
};

struct message {
	struct link order; /* by position */
	uint64_t id;
	uint64_t position; /* of the record that stands for it: its id, until it is moved */
	uint64_t size, account;
	Time began, queued;
	uint32_t flags;
	bool held;
	bool in_file;
	uint32_t file_sum;
	Str sender, client, session;
	struct text *texts;
	struct recipient *recipients; /* ascending numbers */
	uint32_t count, cap;
	uint32_t open; /* recipients not settled */
	uint32_t next_number;
	struct list parts;
	/* The body at hand, for the first attempt: bytes, or a memfd. */
	char *body;
	int body_fd;
};

enum part_state {
	PART_READY,
	PART_WAITING,
	PART_LEASED,
};

/* Recipients of one message that are tried together. */
struct part {
	struct link in_message;
	struct link in_list; /* READY: of a destination, or of the local side; LEASED: of all */
	struct message *message;
	struct destination *destination; /* NULL: local */
	bool bounce;                     /* its recipients failed; the sender is to be told */
	bool alone;                      /* was taken alone */
	enum part_state state;
	struct timer timer;   /* WAITING: due; LEASED: the lease's end */
	uint32_t first, last; /* recipients' places: none outside */
	uint32_t members;
	uint32_t owed;
	uint32_t holder;
};

/* A domain that mail goes to. Lives as long as parts wait for it, or it is held back. */
struct destination {
	Str name;
	struct list ready;
	struct link active; /* something ready, not held back, not too many leased */
	struct timer blocked;
	uint32_t leased, window, failures;
	size_t parts;
};

/* Something that counts once the batch is committed. */
struct pending {
	uint16_t type;
	uint64_t position;
	struct message *message; /* RECORD_MESSAGE, which is parsed already */
	uint64_t settles_id;
	Str payload; /* a copy: of the settled numbers (MESSAGE), else of the record */
};

struct checkpoint {
	uint64_t
		position; /* deliveries journaled below are synced when it ends; 0: none begun */
	uint64_t floor;   /* nothing below waits */
	uint64_t forget_below; /* no older message can be delivered again */
	size_t finished;       /* file bodies that nobody will ask for */
};

struct queue {
	struct driver *driver;
	struct queue_limits limits;
	struct queue_watcher watcher;
	struct queue_now now;
	bool replaying;

	struct map *messages; /* by id */
	struct list order;

	struct list ready_local;
	struct list leased;
	struct str_map *destinations;
	struct list active;
	struct timers part_timers, destination_timers;

	struct pending *pending;
	size_t pending_count, pending_cap;
	bool submissions_pending;

	uint64_t *finished; /* ids of done messages whose file bodies a replay may still want */
	size_t finished_count, finished_cap;

	uint64_t octets, changes; /* since the last checkpoint began */
	struct checkpoint begun;
	uint64_t synced; /* the last checkpoint that counts */
	uint64_t forget_below;
	struct queue_figures figures;
};
