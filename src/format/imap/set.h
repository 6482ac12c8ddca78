/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Sequence sets (RFC 9051, 9: sequence-set): of message numbers or of UIDs. Parsed as the client
 * wrote them, with * kept; settled against the largest number in use they are sorted, disjoint
 * ranges.
 */

#include "base/arena.h"
#include "base/buf.h"

enum {
	IMAP_STAR = 0, /* in a range: the largest number in use */
};

struct imap_range {
	uint32_t first, last; /* both included */
};

struct imap_set {
	struct imap_range *ranges;
	size_t count;
	bool saved; /* "$": the saved search result (RFC 9051, 6.4.4.1) */
};

/*
 * Reads a set, whole of s.
 *
 * a     holds the ranges.
 * ret   set on success only.
 *
 * ERR_PEER   not a set   ERR_LIMIT   more ranges than the arena takes
 */
MUST_USE Err imap_set_parse(Str s, struct arena *a, struct imap_set *ret);

/*
 * Puts numbers for *, turns every range the right way round, sorts and joins, in place.
 *
 * largest   the largest number in use, 0 when there is none: * then stands for nothing.
 */
void imap_set_settle(struct imap_set *set, uint32_t largest);

/* The set must be settled. */
bool imap_set_has(const struct imap_set *set, uint32_t number);

/* A set from ascending numbers, as answers carry it: "1:3,7". */
struct imap_set_writer {
	uint32_t first, last; /* the range not written yet; first 0: none */
	bool any;             /* something was written */
};
void imap_set_add(struct imap_set_writer *w, struct buf *b, uint32_t number);
void imap_set_end(struct imap_set_writer *w, struct buf *b);
