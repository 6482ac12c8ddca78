/* SPDX-License-Identifier: ISC */
#pragma once

/* Pieces of IMAP answers (RFC 9051, 9). Everything goes into a buf whose limit the caller chose. */

#include "base/buf.h"
#include "base/time.h"

/* Bits of the flags that IMAP itself names (RFC 9051, 2.3.2). */
enum imap_flag {
	IMAP_FLAG_SEEN = 1 << 0,
	IMAP_FLAG_ANSWERED = 1 << 1,
	IMAP_FLAG_FLAGGED = 1 << 2,
	IMAP_FLAG_DELETED = 1 << 3,
	IMAP_FLAG_DRAFT = 1 << 4,
};

/* "\Seen \Answered": names of the bits that are set, in the order above. */
void imap_write_flags(struct buf *b, unsigned flags);

/*
 * string: quoted when the octets allow it, a literal otherwise. utf8 says whether the client takes
 * UTF-8 in quoted strings (it enabled IMAP4rev2 or UTF8=ACCEPT). A NUL in s becomes 0x80, which no
 * text holds: neither form may carry it (RFC 9051, 4.3).
 */
void imap_write_string(struct buf *b, Str s, bool utf8);

/* nstring: NIL when absent. */
void imap_write_nstring(struct buf *b, bool present, Str s, bool utf8);

/* astring: an atom when the octets allow it, otherwise as imap_write_string. */
void imap_write_astring(struct buf *b, Str s, bool utf8);

/*
 * A mailbox name, UTF-8 inside, on the wire as this client reads names: UTF-8 or modified UTF-7.
 * A name that is not UTF-8 goes out as it is, in a literal.
 */
void imap_write_mailbox(struct buf *b, Str name, bool utf8);

/* date-time, always in UTC: "01-Jan-2026 10:00:00 +0000", quotes included. */
void imap_write_date_time(struct buf *b, Time t);
