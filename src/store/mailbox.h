/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The mail of one account: folders of messages, their flags, and what changed since when.
 *
 * One process owns an account (it holds the lease) and all its threads share one struct mailbox,
 * which locks itself. Behind it is a driver (local: Maildir++ and SQLite; ram: memory, for tests);
 * nothing here says that a message is a file. A session looks at a folder through a view: an array
 * of its own that only mailbox_view_refresh changes, so sequence numbers stand still, FETCH FLAGS
 * is a walk through memory without any lock, and a session learns of the others' changes when it
 * chooses to. Every call that changes something takes a batch.
 *
 * Every call may fail with
 * ERR_TEMP   the disk, memory or descriptors: nothing of the batch happened; answer NO, go on
 * ERR_GONE   the lease is lost: somebody else owns the account now; end the process
 * ERR_PERM   the index is damaged and wants repair
 * besides what it names itself. An `arena` holds what a call returns until the caller resets it. UIDs
 * are passed rising, each once.
 */

#include "base/arena.h"
#include "base/time.h"

struct mailbox;

enum {
	MAILBOX_NAME_MAX =
		200, /* octets of a folder's name, UTF-8; its name on disk is longer */
	MAILBOX_DEPTH_MAX = 20, /* levels of a folder's name */
	MAILBOX_FOLDERS_MAX = 10000,
	MAILBOX_KEYWORD_MAX = 56,   /* keywords of one folder */
	MAILBOX_KEYWORD_SIZE = 100, /* octets of one keyword */
	MAILBOX_BATCH_MAX = 1000,   /* messages of one append or delivery batch */
};

/*
 * What a commit promises. COVERED: the queue still has the message, so nothing is synced here.
 * DURABLE: a client is told OK; synced before the call returns, in one go with other threads'.
 */
enum mailbox_durability {
	MAILBOX_COVERED,
	MAILBOX_DURABLE,
};

/* Flags are bits of a uint64_t; bit MAILBOX_KEYWORD_FIRST + n is the folder's keyword n. */
enum {
	MAILBOX_SEEN = 1 << 0,
	MAILBOX_ANSWERED = 1 << 1,
	MAILBOX_FLAGGED = 1 << 2,
	MAILBOX_DELETED = 1 << 3,
	MAILBOX_DRAFT = 1 << 4,
	MAILBOX_KEYWORD_FIRST = 8,
};

enum mailbox_use { /* RFC 6154 */
	MAILBOX_USE_NONE,
	MAILBOX_USE_ARCHIVE,
	MAILBOX_USE_DRAFTS,
	MAILBOX_USE_JUNK,
	MAILBOX_USE_SENT,
	MAILBOX_USE_TRASH,
};

enum mailbox_right { /* RFC 4314, as far as a folder's own process needs it */
	MAILBOX_MAY_READ = 1 << 0,
	MAILBOX_MAY_FLAG = 1 << 1,
	MAILBOX_MAY_ADD = 1 << 2,
	MAILBOX_MAY_EXPUNGE = 1 << 3,
	MAILBOX_MAY_MANAGE = 1 << 4, /* create below, rename, delete */
};

/* ---- Opening ---- */

struct mailbox_settings {
	Str host;   /* our name, for names of messages */
	int folder; /* local: the account's folder; stays the caller's, kept open for its life */
};

/*
 * Opens an account and takes its lease; a new one gets INBOX and the special-use folders Archive,
 * Drafts, Sent, Spam and Trash. The local driver makes settings->folder the process's
 * working directory, because its process may reach nothing else.
 * ERR_TEMP with sys EBUSY: another process holds the lease.
 */
MUST_USE Err mailbox_prepare(void); /* once before forking: makes the first opening cheap */
MUST_USE Err mailbox_open_local(const struct mailbox_settings *settings, struct mailbox **ret);
MUST_USE Err mailbox_open_ram(const struct mailbox_settings *settings, struct mailbox **ret);

/* True when the index was damaged and had to be made anew: whoever opened it says so in the log. */
bool mailbox_was_rebuilt(const struct mailbox *m);

/* Writes behind what is due, gives back the lease. All views must be closed. NULL is fine. */
void mailbox_close(struct mailbox *m);
static inline void
mailbox_drop(struct mailbox **m)
{
	mailbox_close(*m);
	*m = NULL;
}

/*
 * Work that nobody waits for: flags into file names, mail that other programs left. Call it at
 * *ret_due and after; from one thread at a time.
 */
MUST_USE Err mailbox_tidy(struct mailbox *m, Time now, Time *ret_due);

/* ---- Folders ---- */

struct mailbox_folder {
	uint32_t id; /* never reused; 0 when the name has no folder */
	Str name;    /* UTF-8, levels joined by '/'; "INBOX" in capitals */
	bool exists; /* false: only subscribed, or only the parent of a folder */
	bool subscribed;
	bool children; /* at least one folder below */
	enum mailbox_use use;
	uint32_t rights; /* MAILBOX_MAY_... */
	uint32_t uid_validity, uid_next;
	uint32_t messages, unseen, deleted;
	uint64_t modseq; /* HIGHESTMODSEQ */
	uint64_t size;   /* octets, as RFC822.SIZE counts */
};

/* All, by name, INBOX first; names that exist only as subscriptions or parents included. */
MUST_USE Err mailbox_folder_list(struct mailbox *m, struct arena *arena,
	struct mailbox_folder **ret, size_t *ret_count);

/* ERR_PEER when there is no such folder; its name lives in the arena. INBOX in any case. */
MUST_USE Err mailbox_folder_find(struct mailbox *m, Str name, struct arena *arena,
	struct mailbox_folder *ret);

/*
 * Missing parents are made too. `use` may be NONE.
 * ERR_PEER   it exists, or the name is not allowed (empty level, control character, not UTF-8)
 * ERR_LIMIT  name too long or too deep, too many folders
 */
MUST_USE Err mailbox_folder_create(struct mailbox *m, Str name, enum mailbox_use use,
	uint32_t *ret_id);

/* With its messages; folders below it stay. ERR_PEER: no such folder, or INBOX. */
MUST_USE Err mailbox_folder_delete(struct mailbox *m, Str name);

/*
 * Folders below it move along. INBOX: its messages move to the new folder, INBOX stays (RFC 9051,
 * 6.3.6). ERR_PEER, ERR_LIMIT as for create.
 */
MUST_USE Err mailbox_folder_rename(struct mailbox *m, Str from, Str to);

/* The name need not exist. ERR_PEER: the name is not allowed. */
MUST_USE Err mailbox_folder_subscribe(struct mailbox *m, Str name, bool subscribed);

/* ---- Views ---- */

struct mailbox_message {
	uint32_t uid;
	uint32_t size; /* RFC822.SIZE: with CRLF line ends */
	uint64_t flags;
	uint64_t modseq;
	int64_t date; /* internal date, seconds since 1970 UTC */
};

/*
 * One session's sight of one folder. Only its own thread reads it, and only
 * mailbox_view_refresh changes it.
 */
struct mailbox_view {
	uint32_t folder, uid_validity, uid_next;
	uint64_t modseq;                  /* everything up to here is in the array */
	struct mailbox_message *messages; /* by UID; messages[i] has sequence number i + 1 */
	size_t count;
	Str keywords
		[MAILBOX_KEYWORD_MAX]; /* names by bit; never change, live as long as the mailbox */
	size_t keyword_count;
};

/* ERR_PEER when there is no such folder. */
MUST_USE Err mailbox_view_open(struct mailbox *m, uint32_t folder, struct mailbox_view **ret);
void mailbox_view_close(struct mailbox_view *v); /* NULL is fine */
static inline void
mailbox_view_drop(struct mailbox_view **v)
{
	mailbox_view_close(*v);
	*v = NULL;
}

struct mailbox_gone {
	uint32_t number; /* sequence number, right when told in this order */
	uint32_t uid;
};

struct mailbox_changes {
	const struct mailbox_gone *gone; /* expunged; highest number first */
	size_t gone_count;
	const uint32_t *
		changed; /* places in messages[] (after removal) with other flags than before */
	size_t changed_count;
	size_t added;     /* so many new messages at the end */
	bool keywords;    /* keywords were added */
	bool kept;        /* expunged messages are still in the array: refresh with ALL later */
	bool folder_gone; /* deleted, or its UIDVALIDITY changed: nothing more will come */
};

enum mailbox_refresh {
	MAILBOX_REFRESH_ALL,
	MAILBOX_REFRESH_KEEP, /* no expunges: RFC 9051, 7.5.1 forbids to tell them now */
};

/*
 * Brings the view up to date and says how it changed; *ret lives until the next refresh. Costs as
 * much as there are changes. A session's own changes come back here too: it knows them by modseq.
 */
MUST_USE Err mailbox_view_refresh(struct mailbox_view *v, enum mailbox_refresh how,
	struct mailbox_changes *ret);

/*
 * A descriptor that poll() finds readable when a refresh may have something to tell; refresh makes
 * it quiet again. It belongs to the view. ERR_TEMP when out of descriptors.
 */
MUST_USE Err mailbox_view_wait_fd(struct mailbox_view *v, int *ret);

/* Place of a UID in messages[], or of the next higher one (count when none). */
size_t mailbox_view_find(const struct mailbox_view *v, uint32_t uid);

/* UIDs expunged after `since` (RFC 7162, VANISHED), in order; may name a few too many. */
MUST_USE Err mailbox_expunged_since(struct mailbox *m, uint32_t folder, uint64_t since,
	struct arena *arena, uint32_t **ret, size_t *ret_count);

/* ---- Reading ---- */

enum mailbox_column {
	MAILBOX_ENVELOPE = 1 << 0,
	MAILBOX_STRUCTURE = 1 << 1,
};

struct mailbox_row {
	uint32_t uid;
	bool gone;            /* expunged meanwhile; the rest is empty */
	uint32_t header_size; /* octets of the header as stored, with its empty line */
	Str envelope;         /* the text of ENVELOPE as IMAP sends it, with parentheses */
	Str structure;        /* BODYSTRUCTURE; format/mime/structure.h makes BODY of it */
};

/* One row per UID, in their order. Ask in batches of some hundred: a lock is held meanwhile. */
MUST_USE Err mailbox_fetch(struct mailbox *m, uint32_t folder, const uint32_t *uids,
	size_t count, unsigned columns, struct arena *arena, struct mailbox_row **ret);

/*
 * The bytes of one message: read them with pread from 0 to size. Line ends are LF unless `raw`:
 * then they go out as they are. The descriptor is the caller's; it stays good after an expunge.
 */
struct mailbox_bytes {
	int fd;
	bool raw;
	uint64_t size;
};

/* ERR_PEER when the message is expunged (or was removed by another program). */
MUST_USE Err mailbox_bytes_open(struct mailbox *m, uint32_t folder, uint32_t uid,
	struct mailbox_bytes *ret);

/* ---- Changing ---- */

/* The bit of a keyword (ASCII case does not matter), made when new. ERR_LIMIT: too many. */
MUST_USE Err mailbox_keyword_bit(struct mailbox *m, uint32_t folder, Str name, bool create,
	uint64_t *ret); /* 0: unknown, when not created */

/* A message to be added: bytes in memory, or a sealed memfd when fd >= 0 (bytes are ignored). */
struct mailbox_source {
	Str bytes;
	int fd;
	uint64_t size; /* of fd */
	bool crlf;     /* line ends are CRLF, to be stored as LF where that loses nothing */
	bool raw;      /* line ends are to be stored and sent as they are */
};

struct mailbox_append {
	struct mailbox_source message;
	uint64_t flags; /* keyword bits of the target folder */
	Time date;      /* internal date */
};

/*
 * Adds messages to a folder, all or none; ret_uids[count] gets their UIDs, rising.
 * ERR_PEER   no such folder
 */
MUST_USE Err mailbox_append(struct mailbox *m, uint32_t folder,
	const struct mailbox_append *messages, size_t count, enum mailbox_durability how,
	uint32_t *ret_uids);

enum mailbox_flags_mode {
	MAILBOX_FLAGS_ADD,
	MAILBOX_FLAGS_REMOVE,
	MAILBOX_FLAGS_REPLACE,
};

struct mailbox_flags_change {
	enum mailbox_flags_mode mode;
	uint64_t flags;
	uint64_t
		unchanged_since; /* RFC 7162: leave alone what changed later; UINT64_MAX: no condition */
};

struct mailbox_flags_result {
	uint64_t modseq;        /* of this change; 0 when nothing changed */
	const uint32_t *failed; /* UIDs that had changed since, in the arena */
	size_t failed_count;
};

/* UIDs that are gone are passed over. ERR_PEER: no such folder. */
MUST_USE Err mailbox_flags_set(struct mailbox *m, uint32_t folder, const uint32_t *uids,
	size_t count, const struct mailbox_flags_change *change, struct arena *arena,
	struct mailbox_flags_result *ret);

struct mailbox_copied { /* COPYUID (RFC 9051, 7.1): from[i] became to[i] */
	uint32_t uid_validity;
	const uint32_t *from, *to;
	size_t count;
};

/* Flags and internal dates go along; all or none. ERR_PEER: no such folder. */
MUST_USE Err mailbox_copy(struct mailbox *m, uint32_t folder, const uint32_t *uids,
	size_t count, uint32_t to, struct arena *arena, struct mailbox_copied *ret);
MUST_USE Err mailbox_move(struct mailbox *m, uint32_t folder, const uint32_t *uids,
	size_t count, uint32_t to, struct arena *arena, struct mailbox_copied *ret);

/* Removes those of the UIDs that have \Deleted; uids NULL: all that have it. */
MUST_USE Err mailbox_expunge(struct mailbox *m, uint32_t folder, const uint32_t *uids,
	size_t count, uint64_t *ret_modseq);

/* ---- Delivery ---- */

struct mailbox_delivery {
	uint64_t queue_id; /* with `recipient`, what names this delivery for ever */
	uint32_t recipient;
	uint32_t folder; /* 0: INBOX */
	uint64_t flags;
	Time accepted; /* becomes the internal date */
	bool unparsed; /* taking it apart has crashed before: keep its bytes, know nothing of it */
	struct mailbox_source message;
};

struct mailbox_delivered {
	uint32_t uid;
	bool before; /* it had been delivered already; at most its bytes were put right */
};

/*
 * Adds what the queue answers for, all or none, in one commit that is COVERED. A delivery that is
 * known by its id is not added again: see doc/architecture.md, "Replay".
 */
MUST_USE Err mailbox_deliver(struct mailbox *m, const struct mailbox_delivery *deliveries,
	size_t count, struct mailbox_delivered *ret);

/* The queue no longer holds any message with an id below this: their delivery ids may go. */
MUST_USE Err mailbox_forget(struct mailbox *m, uint64_t below);
