/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The envelope: who a message is from and for, apart from its header (RFC 5321, 2.3.1). Services
 * send it to one another and the journal keeps it, so its bytes are a format with a version.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/time.h"

enum {
	ENVELOPE_RECIPIENTS_MAX =
		1000, /* of one transaction; RFC 5321, 4.5.3.1.8 asks for 100 */
	ENVELOPE_PACKED_MAX =
		56 * 1024, /* octets; 452 4.5.3 for a recipient that does not fit */
};

enum envelope_flag {
	ENVELOPE_8BIT = 1 << 0,          /* BODY=8BITMIME */
	ENVELOPE_UTF8 = 1 << 1,          /* SMTPUTF8 */
	ENVELOPE_OWN_LINE_ENDS = 1 << 2, /* the body keeps its CR and LF as they came */
	ENVELOPE_SUBMITTED = 1 << 3,     /* by an authenticated user or a local program */
	ENVELOPE_TLS = 1 << 4,           /* came over TLS */
};

enum envelope_class {
	ENVELOPE_LOCAL,  /* an account or alias of ours: for deliver */
	ENVELOPE_REMOTE, /* for relay */
};

struct envelope_recipient {
	Str address;
	enum envelope_class class;
	uint32_t number; /* place among the message's recipients; half of a delivery id */
	uint64_t cursor; /* how far an alias has been expanded; 0 at first */
};

struct envelope {
	Str sender;       /* "" is the null sender */
	Str client;       /* name[address] of whoever brought it, for the log */
	Str session;      /* session id, for the log */
	uint64_t account; /* who submitted it, or 0 */
	uint32_t flags;   /* enum envelope_flag */
	uint64_t size;    /* octets of the body as stored (LF line ends) */
	Time began;       /* MAIL came */
	Time queued;      /* responsibility taken; queue fills it in */
	struct envelope_recipient *recipients;
	size_t recipient_count;
};

void envelope_write(struct buf *b, const struct envelope *e);

/*
 * The Strs of *ret point into the cursor's bytes; the recipients live in the arena.
 * ERR_PEER   not an envelope, or of an unknown version
 * ERR_LIMIT  too many recipients, arena full
 */
MUST_USE Err envelope_parse(struct cursor *c, struct arena *a, struct envelope *ret);

/* A queue id as people and logs see it: upper-case hexadecimal, at least ten digits. */
enum {
	QUEUE_ID_TEXT_MAX = 16,
};
void queue_id_write(struct buf *b, uint64_t id);
MUST_USE Err queue_id_parse(Str s, uint64_t *ret);
