/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Inside the store of an account. The model (model.c, view.c, change.c) is the same for every
 * driver: folders and open folders in memory, events for the views, one lock. A driver only keeps
 * what it is told and gives it back; it is called with the lock held, but for `prepare`, `discard`
 * and `settle`.
 *
 * A change is made of driver calls between change_begin and change_end. Threads that want to change
 * something at the same time share one transaction of the driver, and so one sync (change.c). When
 * a commit fails, memory is ahead of the disk: every array is thrown away and read again.
 */

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "store/mailbox.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
	UID_STEP = 1000,      /* UIDs that one synced commit reserves for a folder */
	MODSEQ_STEP = 100000, /* the same for the account's mod-sequences */
	EVENTS_MAX = 65536,   /* that a slow view may be behind; then it compares arrays */
	INBOX_ID = 1,
};

struct event {
	uint32_t uid;
	bool gone;
};

struct folder {
	uint32_t id;
	Str name; /* owned */
	Str was;  /* local: name that its folder on disk may still have; in `names` */
	enum mailbox_use use;
	uint32_t uid_validity, uid_next;
	uint32_t uid_ceiling; /* UIDs from here on are not reserved yet */
	uint32_t messages, unseen, deleted;
	uint64_t size, modseq;
	Str keywords[MAILBOX_KEYWORD_MAX]; /* kept by the mailbox until it closes */
	size_t keyword_count;

	bool loaded;                   /* array is filled */
	bool removed;                  /* deleted; waits for its views to close */
	bool found;                    /* while reloading */
	struct mailbox_message *array; /* by UID */
	size_t count, capacity;

	struct link dirty;
	struct list views;
	struct event *events; /* event i has the number event_base + i */
	size_t event_count, event_capacity;
	uint64_t event_base;

	bool listed; /* local: what lies in new/ is on its way to cur/ */

	/* local: times of new/ and cur/ up to which we know them, ns; 0: none */
	int64_t seen_new, seen_cur;
};

struct view {
	struct mailbox_view open; /* what the session sees */
	struct link link;
	struct mailbox *mailbox;
	struct folder *folder;
	uint64_t next_event;
	size_t capacity;
	uint32_t *kept; /* expunged UIDs that were not told yet, rising */
	size_t kept_count;
	struct mailbox_gone *gone;
	uint32_t *changed;
	int wait_fd; /* -1: nobody waits */
	bool signalled;
};

/* A message on its way in: its stored form, its columns, and what the driver knows of it. */
struct arrival {
	Str bytes;     /* as stored; in `owned`, a mapping or the caller's memory */
	bool raw;      /* sent with the line ends that it is stored with */
	uint32_t size; /* RFC822.SIZE */
	uint32_t header_size;
	struct buf text; /* envelope, then structure */
	size_t envelope_size;
	int64_t date;
	uint64_t flags;
	uint64_t queue_id; /* deliveries */
	uint32_t recipient;
	struct buf owned;
	void *map;
	size_t map_size;
	char name[256];  /* local: base name */
	char where[640]; /* local: path of the file where it lies now; "" when nowhere */
	int fd;          /* ram */
};

struct mailbox_driver {
	void (*close)(struct mailbox *m);

	Err (*begin)(struct mailbox *m);
	Err (*commit)(struct mailbox *m, bool durable);
	void (*abort)(struct mailbox *m);
	Err (*mark)(struct mailbox *m);    /* a change begins inside a shared transaction */
	void (*unmark)(struct mailbox *m); /* and is taken back */

	Err (*put_folder)(struct mailbox *m, const struct folder *f);
	Err (*rename_folder)(struct mailbox *m, struct folder *f, Str from);
	Err (*drop_folder)(struct mailbox *m, const struct folder *f);
	Err (*subscribe)(struct mailbox *m, Str name, bool subscribed);
	Err (*load)(struct mailbox *m, struct folder *f); /* fills the array */
	Err (*reload)(struct mailbox *m); /* after a failed commit: folders as they are kept */

	/* Puts the bytes where `add` only has to name them. durable: synced. */
	Err (*prepare)(struct mailbox *m, struct arrival *a, bool durable);
	void (*discard)(struct mailbox *m, struct arrival *a);
	Err (*add)(struct mailbox *m, struct folder *f, const struct mailbox_message *message,
		struct arrival *a);
	Err (*change)(struct mailbox *m, struct folder *f,
		const struct mailbox_message *message);
	Err (*copy)(struct mailbox *m, const struct folder *from, uint32_t uid,
		struct folder *to, const struct mailbox_message *copy);
	Err (*remove)(struct mailbox *m, struct folder *f, uint32_t uid, uint64_t modseq);
	/* After a commit, without the lock: files of removed messages go. */
	Err (*settle)(struct mailbox *m);

	Err (*fetch)(struct mailbox *m, const struct folder *f, const uint32_t *uids,
		size_t count, unsigned columns, struct arena *arena, struct mailbox_row *ret);
	/* ERR_PEER with sys ENOENT: the bytes are not where they should be. */
	Err (*open_bytes)(struct mailbox *m, const struct folder *f, uint32_t uid,
		struct mailbox_bytes *ret);
	Err (*expunged)(struct mailbox *m, const struct folder *f, uint64_t since,
		struct arena *arena, uint32_t **ret, size_t *ret_count);

	/* True when the delivery is known; *ret_uid is 0 when its message is gone meanwhile. */
	Err (*delivered)(struct mailbox *m, const struct arrival *a, bool *ret_known,
		uint32_t *ret_folder, uint32_t *ret_uid);
	Err (*put_delivered)(struct mailbox *m, const struct arrival *a, const struct folder *f,
		uint32_t uid);
	/* A known delivery comes again: its bytes must be there, and be these. */
	Err (*repair)(struct mailbox *m, const struct folder *f, uint32_t uid,
		struct arrival *a);
	Err (*forget)(struct mailbox *m, uint64_t below);

	/*
	 * Before UIDs are told: what would keep them from being given twice is synced. This, notice
	 * and tidy make changes of their own, so they may give the lock away meanwhile.
	 */
	Err (*telling)(struct mailbox *m);
	/* Takes over what others did to the folder's files. */
	Err (*notice)(struct mailbox *m, struct folder *f, bool force);
	Err (*tidy)(struct mailbox *m, Time now, Time *ret_due);
};

/* Freed by the last of its members when all have learned the outcome. */
struct transaction {
	size_t members;
	bool durable; /* must be synced */
	bool done;
	Err outcome;
};

struct mailbox {
	const struct mailbox_driver *driver;
	pthread_mutex_t lock; /* everything below, and all folders and views but view.open */
	pthread_cond_t committed;
	atomic_uint entering; /* threads that wait for the lock to change something */

	struct folder **folders; /* by name, INBOX first */
	size_t folder_count, folder_capacity;
	uint32_t folder_id_next;
	struct str_map *subscriptions; /* name to struct subscription */
	struct arena *names;           /* keywords; lives as long as the mailbox */
	uint64_t modseq, modseq_ceiling;
	uint32_t validity;   /* the last UIDVALIDITY given out */
	bool account_behind; /* the driver's commit keeps the ceiling */
	bool rebuilt;        /* its index was damaged and made anew */
	char host[256];

	struct transaction *transaction; /* the open one; NULL: none */
	uint64_t change;                 /* its number, or that of the last */
	uint64_t change_done;            /* of the last one that was committed or failed */
	struct list dirty;               /* folders whose rows are behind */
};

struct subscription {
	Str name; /* owned */
};
