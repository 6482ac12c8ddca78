/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Dates as text: of message headers (RFC 5322, 3.3 and the obsolete forms of 4.3) and of IMAP
 * (RFC 9051, date-time and date).
 */

#include "base/buf.h"
#include "base/time.h"

struct mime_date {
	Time when;
	int zone; /* minutes east of UTC, as written; 0 when unknown */
};

enum {
	MIME_DATE_MAX = 200, /* octets that are looked at */
};

/*
 * A Date: field's body. Comments, folded lines, missing weekdays and seconds, two-digit years and
 * zone names are read. ERR_PEER when there is no date in it.
 */
MUST_USE Err mime_date_parse(Str s, struct mime_date *ret);

/* "Sat, 21 Nov 2026 19:57:11 +0000" */
void mime_date_write(struct buf *b, const struct mime_date *d);

/* IMAP's date-time without its quotes: "21-Nov-2026 19:57:11 +0000", a day may begin with a space. */
MUST_USE Err mime_date_parse_internal(Str s, struct mime_date *ret);
void mime_date_write_internal(struct buf *b, const struct mime_date *d);

/* IMAP's date: "21-Nov-2026", as the first second of that day in UTC. */
MUST_USE Err mime_date_parse_day(Str s, Time *ret);
