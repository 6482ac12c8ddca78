/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The journal: records appended to segments, durable when journal_commit returns. It knows nothing
 * of messages. The folder holds segment-NNNNNNNN files of one size: one that is written, closed
 * ones behind it, empty ones ahead. The position of a record (its number) is unique for ever and
 * leads to it; records below the floor may be gone. Used by one thread.
 */

#include "base/buf.h"

#include <sys/types.h>

enum {
	JOURNAL_SEGMENT_MIN = 64 * 1024,
	JOURNAL_SEGMENT_DEFAULT = 64 * 1024 * 1024, /* also the largest */
	JOURNAL_HELD_BACK = 2,     /* empty segments that only what must go on may use */
	JOURNAL_TYPE_OWN = 0xff00, /* types from here on are the journal's own */
};

struct journal;

struct journal_settings {
	uint32_t segment_size; /* octets, multiple of 4096 */
	uint64_t free_min; /* octets that making a segment must leave free on the file system */
};

struct journal_record {
	uint64_t position;
	uint16_t type;
	Str payload; /* dies at the next call */
};

/* Bytes that should have been records. Kept as they are until the segment is used again. */
struct journal_damage {
	char file[32];
	uint64_t at;
	uint64_t size;
};

struct journal_reader {
	/* A failure ends the replay. */
	Err (*record)(void *self, const struct journal_record *record);
	void (*damage)(void *self, const struct journal_damage *damage);
};

/*
 * Opens the journal in `folder` (borrowed; must outlive it) or begins an empty one. Segments of
 * another size than in the settings are read all the same and not used again.
 * ERR_TEMP  a system call failed
 */
MUST_USE Err journal_open(int folder, const struct journal_settings *settings,
	struct journal **ret);
void journal_free(struct journal *j); /* NULL is fine; what was not committed is gone */
DEFINE_DROP(journal)

/*
 * Tells all records from the floor on, in order; must come first, once. A bad record is a torn tail
 * (never acknowledged, so nothing is said) when it is in the newest segment and no valid record of
 * a later batch lies behind it. Anything else is damage: told, skipped up to the next valid record.
 * New records go to a new segment, so nothing is ever written over a torn tail.
 */
MUST_USE Err journal_replay(struct journal *j, const struct journal_reader *reader, void *self);

/* The largest payload. */
size_t journal_payload_max(const struct journal *j);

/* Whether a record of `size` can join the batch; when not, commit first. */
bool journal_fits(const struct journal *j, size_t size);

/*
 * Whether new responsibility may be taken: a further record of `size` would not touch what is held
 * back. When false, answer 452.
 */
bool journal_has_room(const struct journal *j, size_t size);

/*
 * Adds a record to the batch; it must fit. Its payload is the parts in a row; ret is its position.
 * ERR_TEMP  no segment is left and none can be made
 */
MUST_USE Err journal_add(struct journal *j, uint16_t type, const Str *parts, size_t part_count,
	uint64_t *ret);

/* The position that the next journal_add will return if its payload has this size; it must fit. */
MUST_USE Err journal_next(struct journal *j, size_t size, uint64_t *ret);

/*
 * Writes the batch without syncing it: it outlives this process, not a power cut, until the next
 * commit, to whose batch it belongs. Fails as journal_commit does.
 */
MUST_USE Err journal_write(struct journal *j);

/*
 * One write and one sync for the whole batch. On failure nothing of the batch counts, now or after
 * a restart, and the segment is never written or synced again: the next batch begins a new one.
 * ERR_TEMP  the system's error
 */
MUST_USE Err journal_commit(struct journal *j);

/* Reads one record; ret is reset first. ERR_PERM when there is none or it is damaged. */
MUST_USE Err journal_read(struct journal *j, uint64_t position, uint16_t *ret_type,
	struct buf *ret);

/* Where the next record would go at the earliest: all records that exist are below. */
uint64_t journal_end(const struct journal *j);
uint64_t journal_floor(const struct journal *j);

/*
 * Adds to the batch that records below `floor` are not needed any more; once that is committed,
 * segments wholly below are emptied for use again. A floor below the present one is not taken.
 * Commit first when a record of 8 octets does not fit.
 */
MUST_USE Err journal_set_floor(struct journal *j, uint64_t floor);

/*
 * Does a little (at most about a megabyte) towards having an empty segment more than is held back.
 * ret_more says that there is more to do. ERR_TEMP when the disk is too full.
 */
MUST_USE Err journal_prepare(struct journal *j, bool *ret_more);

/* Gives back memory between batches. */
void journal_rest(struct journal *j);

/*
 * The position behind the oldest segment that is still needed (once nothing below it is waiting,
 * it can go), and how many segments are closed. False when only the one being written is needed.
 */
bool journal_oldest(const struct journal *j, uint64_t *ret_behind, size_t *ret_closed);

struct journal_figures {
	size_t segments, empty, suspect;
	uint64_t batches, records; /* since opened */
	uint64_t failed;           /* batches that could not be written or synced */
};

struct journal_figures journal_figures(const struct journal *j);
