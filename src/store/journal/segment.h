/* SPDX-License-Identifier: ISC */
#pragma once

/* Segment files: found, made, emptied, read whole. Private to the journal. */

#include "store/journal.h"
#include "store/journal/record.h"

enum segment_state {
	SEGMENT_EMPTY,   /* has a serial number, no records */
	SEGMENT_CURRENT, /* records are added here */
	SEGMENT_CLOSED,  /* read only */
	SEGMENT_SUSPECT, /* closed after a failed write or sync: read only, never used again */
};

struct segment {
	struct segment_head head;
	enum segment_state state;
	int fd;
	char name[32];
	/*
	 * Where its records end, when known: behind `end` nothing counts. What was written from
	 * `batch` on may never have been synced, so a gap there is no damage.
	 */
	bool ended;
	size_t batch, end;
};

/* A segment that is being made, a step at a time. */
struct making {
	int fd; /* -1: none */
	char name[32];
	uint32_t done; /* octets zeroed so far */
};

struct segments {
	int folder;
	uint32_t size; /* of new ones */
	uint64_t next_serial;
	uint32_t next_name;
	struct segment *list; /* ascending serial numbers */
	size_t count, cap;
	struct making making;
	struct journal_damage *lost; /* files whose head is damaged, by their new names */
	size_t lost_count;
};

/* Opens all there are; removes half-made ones, sets aside those whose head is damaged. */
MUST_USE Err segments_open(struct segments *s, int folder, uint32_t size);
void segments_close(struct segments *s);

struct segment *segments_find(const struct segments *s, uint64_t serial); /* NULL when absent */
size_t segments_count(const struct segments *s, enum segment_state state);
struct segment *segments_first_empty(const struct segments *s); /* NULL when there is none */

/* The next step of making one (a megabyte of zeros, say); *ret_done when it is there. */
MUST_USE Err segments_make_step(struct segments *s, bool *ret_done);

/* Gives a closed segment a new serial number, which empties it. */
MUST_USE Err segments_reuse(struct segments *s, uint64_t serial);
MUST_USE Err segments_remove(struct segments *s, uint64_t serial);

/*
 * Reads the segment's bytes; what the disk does not give back is left zero, so it is found to be
 * damage. ret->n is the whole size.
 */
MUST_USE Err segment_read(const struct segment *s, struct buf *ret);
