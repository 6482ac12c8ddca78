/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The driver "local": Maildir++ holds the bytes, index.db everything else. How the two agree after
 * a crash stands at the top of local.c.
 */

#include "store/mailbox/mailbox_internal.h"
#include "store/sql.h"

enum {
	LOCAL_PATH_MAX = 640,   /* "Maildir/" folder "/cur/" name */
	LOCAL_NAME_MAX = 255,   /* octets of a file's name */
	LOCAL_WRITE_BEHIND = 5, /* seconds until flags are in file names */
	LOCAL_LOOK_EVERY = 2,   /* seconds between looks for other programs' mail */
	LOCAL_TIDY_BATCH = 500, /* files renamed in one go */
};

enum local_statement {
	LOCAL_GET_ACCOUNT,
	LOCAL_PUT_ACCOUNT,
	LOCAL_GET_FOLDERS,
	LOCAL_PUT_FOLDER,
	LOCAL_EXPUNGE_FOLDER,
	LOCAL_DROP_FOLDER,
	LOCAL_DROP_MESSAGES,
	LOCAL_DROP_TEXTS,
	LOCAL_GET_MESSAGES,
	LOCAL_ADD_MESSAGE,
	LOCAL_ADD_TEXT,
	LOCAL_SET_FLAGS,
	LOCAL_GET_FILE,
	LOCAL_GET_FILES,
	LOCAL_SET_PENDING,
	LOCAL_SET_INFO,
	LOCAL_REMOVE_MESSAGE,
	LOCAL_REMOVE_TEXT,
	LOCAL_COPY_TEXT,
	LOCAL_ADD_EXPUNGED,
	LOCAL_GET_EXPUNGED,
	LOCAL_GET_EXPUNGED_NAMES,
	LOCAL_CLEAR_EXPUNGED_NAMES,
	LOCAL_GET_TEXT,
	LOCAL_GET_DELIVERED,
	LOCAL_PUT_DELIVERED,
	LOCAL_FORGET,
	LOCAL_STATEMENTS, /* how many */
};

/* A file to be removed: after the commit that no longer names it, or when the one that does fails. */
struct local_leaving {
	uint64_t change; /* number of the change that did it */
	bool if_failed;
	bool is_folder; /* with all that is in it */
	char *path;     /* owned */
};

/* A folder on disk whose name changes when the change is committed, before the lock is given away. */
struct local_move {
	char *from, *to; /* owned */
};

/* Where a message's file is: base name, and the flags its name ends with. */
struct local_file {
	char name[LOCAL_NAME_MAX + 1];
	char info[64];    /* flags in the name; meaningless in new/ */
	char pending[64]; /* flags of a rename that has begun, or "-" */
	bool in_new;
	bool raw;
	uint64_t stored;
};

struct local {
	struct mailbox m;
	int folder; /* of the account; the working directory too */
	sqlite3 *db;
	sqlite3_stmt *statements[LOCAL_STATEMENTS];
	uint32_t created;         /* seconds since 1970: UIDVALIDITY of the first folders */
	bool fresh;               /* index.db is new, and nothing was committed yet */
	bool synced;              /* index.db and its name were synced once */
	_Atomic bool made_folder; /* a folder was made on disk, and its name not yet synced */

	bool clean;   /* index.db says that it was closed in order */
	bool opened;  /* ... and no longer says so: this process changes it */
	bool told;    /* ... and that is synced */
	bool broken;  /* a sync failed: nothing is durable any more */
	bool unclean; /* it was not closed in order: all folders are listed once */

	struct local_leaving *leaving;
	size_t leaving_count, leaving_marked;
	struct local_move *moves;
	size_t move_count, moves_marked;
	uint32_t named[16]; /* folders that got names in the open transaction */
	size_t named_count;
	bool expunged_names; /* the table expunged holds names of files */

	uint64_t *behind; /* keys of messages whose file names are behind, with repeats */
	size_t behind_count, behind_capacity;
	Time behind_since, looked;
	unsigned serial; /* for names of files */
};

static inline struct local *
local_of(struct mailbox *m)
{
	return LINK_OWNER(m, struct local, m);
}

static inline uint64_t
local_key(const struct folder *f, uint32_t uid)
{
	return (uint64_t)f->id << 32 | uid;
}
