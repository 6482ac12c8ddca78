/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * SMTP replies (RFC 5321, 4.2; RFC 2034): read as a client from lines that the server controls,
 * written as a server.
 */

#include "base/buf.h"

enum {
	SMTP_REPLY_LINE_MAX =
		2048, /* octets; 512 by RFC 5321, 4.5.3.1.5, and servers exceed it */
	SMTP_REPLY_LINES_MAX = 100, /* of one reply */
	SMTP_REPLY_TEXT_MAX = 4096, /* octets of text that are kept */
};

/* The enhanced status code (RFC 3463): class is 0 when there was none. */
struct smtp_status {
	uint16_t class, subject, detail;
};

/* The values of smtp_reply.kind: all that a client may conclude from a code (RFC 5321, 4.2.1). */
enum smtp_reply_kind {
	SMTP_REPLY_DONE = 2,  /* 2yz */
	SMTP_REPLY_GO_ON = 3, /* 3yz */
	SMTP_REPLY_LATER = 4, /* 4yz, and 1yz, which no server may send */
	SMTP_REPLY_NEVER = 5, /* 5yz */
};

/* A reply being collected. Set up with SMTP_REPLY_INIT; `text` is freed with buf_done. */
struct smtp_reply {
	unsigned code; /* 200 to 599 when complete; 0 before the first line */
	struct smtp_status status;
	struct buf text; /* of all lines, without codes, joined by blanks; cut at its maximum */
	unsigned lines;
};

#define SMTP_REPLY_INIT ((struct smtp_reply){ .text = BUF_INIT(SMTP_REPLY_TEXT_MAX) })

void smtp_reply_reset(struct smtp_reply *r);

/*
 * Takes the next line (without its CRLF) of a reply.
 *
 * ret_last  whether it was the last line
 * ret_text  this line behind its code and blank, as EHLO's keywords need it; points into line
 *
 * ERR_PEER   not a reply, or a code that differs from the lines before
 * ERR_LIMIT  over SMTP_REPLY_LINE_MAX or SMTP_REPLY_LINES_MAX
 */
MUST_USE Err smtp_reply_add_line(struct smtp_reply *r, Str line, bool *ret_last, Str *ret_text);

enum smtp_reply_kind smtp_reply_kind(const struct smtp_reply *r);

/* The status for a log line or DSN: the server's, or x.0.0 from the code (RFC 3463, 2). */
struct smtp_status smtp_reply_status(const struct smtp_reply *r);

/* "550 5.1.1 no such user": one line for logs and bounces; control characters become '?'. */
void smtp_reply_put(struct buf *b, const struct smtp_reply *r);

/* "5.1.1" at the front of text, followed by a blank or the end; class 0 when there is none. */
struct smtp_status smtp_status_parse(Str text, Str *ret_rest);
void smtp_status_put(struct buf *b, struct smtp_status s);

/* What EHLO's answer offers. */
enum smtp_offer {
	SMTP_OFFER_PIPELINING = 1 << 0,
	SMTP_OFFER_SIZE = 1 << 1,
	SMTP_OFFER_8BITMIME = 1 << 2,
	SMTP_OFFER_ENHANCEDSTATUSCODES = 1 << 3,
	SMTP_OFFER_SMTPUTF8 = 1 << 4,
	SMTP_OFFER_CHUNKING = 1 << 5,
	SMTP_OFFER_STARTTLS = 1 << 6,
	SMTP_OFFER_AUTH = 1 << 7,
	SMTP_OFFER_DSN = 1 << 8,
	SMTP_OFFER_AUTH_PLAIN = 1 << 9,
	SMTP_OFFER_AUTH_LOGIN = 1 << 10,
};

struct smtp_offers {
	unsigned set;      /* enum smtp_offer */
	uint64_t size_max; /* octets; 0 is no limit said (RFC 1870, 4) */
};

/* Reads the text of one line of EHLO's answer, not the first one; unknown keywords are ignored. */
void smtp_offers_add(struct smtp_offers *o, Str text);

/*
 * Writes a reply of one or more lines: text is split at LF, each line gets the code, "-" or blank,
 * and CRLF. text starts with the enhanced code where one belongs.
 */
void smtp_reply_write(struct buf *b, unsigned code, Str text);
