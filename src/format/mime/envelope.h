/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * ENVELOPE, the text that IMAP sends of a header (RFC 9051, 7.5.2), and back. It is written once,
 * when a message arrives, and kept; SEARCH and others read it instead of the message.
 */

#include "format/mime/address.h"
#include "format/mime/header.h"

/* "(" ... ")". The arena is for working memory. ERR_LIMIT when it or b is full. */
MUST_USE Err mime_envelope_write(struct buf *b, const struct mime_header *header,
	struct arena *scratch);

/* The fields of an ENVELOPE; p NULL for NIL. RFC 2047 is not decoded. Lists as NULL when NIL. */
struct mime_envelope {
	Str date, subject, in_reply_to, message_id;
	struct mime_address *from, *sender, *reply_to, *to, *cc, *bcc;
};

/* Strs point into s or the arena. ERR_PEER when we did not write it, ERR_LIMIT: arena is full. */
MUST_USE Err mime_envelope_parse(Str s, struct arena *arena, struct mime_envelope *ret);
