/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * A message on its way from the client to `queue`: decoded lines gather in memory; what is longer
 * than a datagram may be goes to a memfd. At its top stand our own lines, and submission adds what
 * a message must have.
 */

#include "format/mime/trace.h"
#include "format/smtp/data.h"
#include "rpc/queue.h"

enum {
	SMTPD_MESSAGE_ID_MAX = 512, /* octets of a Message-ID that are logged */
};

/* How a message is taken; lives as long as it is read. */
struct smtpd_terms {
	struct mime_received received; /* what our Received line says */
	bool submission; /* RFC 6409, 8: add Date, Message-ID and To, take Bcc out */
	enum smtp_bare bare;
	uint64_t size_max; /* octets */
	struct caller *queue;
};

struct smtpd_message {
	struct smtp_data data;
	const struct smtpd_terms *terms;
	uint64_t announced; /* octets by MAIL's SIZE, or 0; no more than the limit */
	struct buf text;    /* not stored yet */
	bool begun;         /* the header was seen to; our lines stand before it */
	int memfd;          /* -1 while all is in text */
	uint64_t stored;    /* octets in memfd */
	uint64_t room;      /* octets that `queue` gave us room for */
	bool no_room;       /* `queue` has no room now */
	bool looping;       /* too many Received lines */
	Err failed;         /* on our side: the rest is read and forgotten */
	struct buf id;      /* Message-ID with its brackets, for the log */
};

/*
 * dots       DATA; else BDAT
 * announced  octets that MAIL's SIZE said, or 0
 */
void smtpd_message_begin(struct smtpd_message *m, const struct smtpd_terms *terms, bool dots,
	uint64_t announced);

/* Takes what is in *in; true when DATA has come to its end. Failures wait for the end. */
bool smtpd_message_read(struct smtpd_message *m, struct cursor *in);

/*
 * All has come. The body is borrowed from m.
 *
 * ERR_PEER   bad line ends, or a message that goes in circles (m->looping)
 * ERR_LIMIT  too large
 * ERR_TEMP   no memory for it
 */
MUST_USE Err smtpd_message_end(struct smtpd_message *m, struct queue_body *ret);

/* Frees what it holds; taken: `queue` has it, so its room is not given back. */
void smtpd_message_done(struct smtpd_message *m, bool taken);
