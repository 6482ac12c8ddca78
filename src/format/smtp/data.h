/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What follows DATA and BDAT: from the wire's CRLF lines to the LF lines kept inside Posthorn, and
 * back (RFC 5321, 4.5.2; RFC 3030). Only CRLF.CRLF ends DATA; a bare CR, a bare LF and a NUL are
 * refused or mended, never passed on, so that no two programs see different lines (smuggling).
 * Both ways work on pieces of any size with the same result.
 */

#include "base/buf.h"

enum smtp_bare {
	SMTP_BARE_REFUSE,  /* the message is read to its end, then refused */
	SMTP_BARE_CONVERT, /* bare CR and bare LF become line ends, NUL becomes a blank */
};

enum smtp_data_fault {
	SMTP_DATA_BARE_CR = 1 << 0,
	SMTP_DATA_BARE_LF = 1 << 1,
	SMTP_DATA_NUL = 1 << 2,
	SMTP_DATA_TOO_LARGE = 1 << 3,
};

/* Reader's state. The fields are for reading only. */
struct smtp_data {
	bool dots; /* DATA: dots are unstuffed and CRLF.CRLF ends it; BDAT: neither */
	enum smtp_bare bare;
	uint64_t
		size_max; /* octets as SIZE counts them: CRLF line ends, without the final dot */
	uint64_t size;    /* so many have come */
	uint64_t line, longest; /* octets of this line and of the longest, without line ends */
	unsigned faults; /* enum smtp_data_fault seen so far; with CONVERT, what was mended */
	bool eight_bit;  /* octets above 127 were seen */
	int at;          /* private */
};

void smtp_data_init(struct smtp_data *d, bool dots, enum smtp_bare bare, uint64_t size_max);

/*
 * Reads what is in *in and appends lines with LF to out. True when CRLF.CRLF has come: *in then
 * stands behind it. After a fault nothing more is appended, but the end is still looked for.
 */
bool smtp_data_read(struct smtp_data *d, struct cursor *in, struct buf *out);

/* After the last BDAT: a CR still waiting for its LF is a bare one. Not for DATA. */
void smtp_data_end(struct smtp_data *d, struct buf *out);

/*
 * Whether the message may be taken.
 *
 * ERR_PEER   a bare CR, a bare LF or a NUL, and the policy refuses it
 * ERR_LIMIT  more octets than size_max
 */
MUST_USE Err smtp_data_check(const struct smtp_data *d);

/* Writer's state: zeroed at the start of a message. */
struct smtp_data_writer {
	bool inside; /* a line */
	bool after_cr;
};

/*
 * Appends a piece of a message with LF lines as SMTP wants it: CRLF, leading dots doubled. Any
 * CR, LF or CRLF in it becomes one CRLF: a bare one never leaves.
 */
void smtp_data_write(struct smtp_data_writer *w, Str piece, struct buf *out);

/* Ends the last line if it is open, and the message with a dot. */
void smtp_data_write_end(struct smtp_data_writer *w, struct buf *out);
