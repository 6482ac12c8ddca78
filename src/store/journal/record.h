/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The bytes of a journal segment: pure reading and writing, no files. All numbers little-endian.
 *
 * A segment is SEGMENT_FIRST octets of head (the same 64 octets twice, in two sectors), then
 * records, each at a multiple of RECORD_ALIGN. A record is valid in one segment only, at one place
 * only: it repeats the segment's mark (random, never told to anybody, so that no message body can
 * hold a record that would be believed) and its own position, and its CRC32C covers both.
 */

#include "base/buf.h"

enum {
	SEGMENT_HEAD = 64,
	SEGMENT_SECOND = 2048, /* where the head is repeated */
	SEGMENT_FIRST = 4096,  /* where the first record is */
	RECORD_HEAD = 32,
	RECORD_ALIGN = 16,
	POSITION_BITS =
		22, /* of a position: the place in the segment, in units of RECORD_ALIGN */
	SEGMENT_MAX = 1 << 26, /* octets: RECORD_ALIGN << POSITION_BITS */
};

struct segment_head {
	uint64_t serial; /* grows for ever, never used twice */
	uint64_t mark;
	uint32_t size; /* octets, of the whole segment */
};

struct record {
	uint64_t position;
	uint32_t
		batch; /* where in the segment the batch began that this record was written in */
	uint16_t type;
	Str payload;
};

static inline uint64_t
position_of(uint64_t serial, size_t at)
{
	return serial << POSITION_BITS | at / RECORD_ALIGN;
}

static inline uint64_t
position_serial(uint64_t position)
{
	return position >> POSITION_BITS;
}

static inline size_t
position_place(uint64_t position)
{
	return (size_t)(position & ((1 << POSITION_BITS) - 1)) * RECORD_ALIGN;
}

/* What a record with a payload of n octets takes in the segment. */
static inline size_t
record_room(size_t n)
{
	return (RECORD_HEAD + n + RECORD_ALIGN - 1) & ~(size_t)(RECORD_ALIGN - 1);
}

/* Writes SEGMENT_FIRST octets. */
void segment_head_write(struct buf *b, const struct segment_head *head);
/* False when neither copy is whole. */
bool segment_head_parse(Str bytes, struct segment_head *ret);

/* Writes the record with its padding. Its payload is the parts; record->payload is not looked at. */
void record_write(struct buf *b, const struct segment_head *head, const struct record *record,
	const Str *parts, size_t part_count);

/*
 * The record at the beginning of `bytes`, which may go on behind it; the payload points into them.
 * False when there is no valid one: zeros, what an earlier use of the segment left, a torn or
 * damaged record.
 */
bool record_parse(Str bytes, uint64_t position, const struct segment_head *head,
	struct record *ret);

/* The size of the payload of the record that seems to begin here; false when none seems to. */
bool record_parse_size(Str bytes, uint64_t position, const struct segment_head *head,
	size_t *ret);
