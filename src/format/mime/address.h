/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Address lists of header fields (RFC 5322, 3.4, and the obsolete forms of 4.4). A stranger's
 * bytes: whatever cannot be read is passed over, nothing here fails but for memory. Envelope
 * addresses of SMTP are another grammar: format/address.
 */

#include "base/arena.h"
#include "base/buf.h"

enum mime_address_kind {
	MIME_ADDRESS_MAILBOX,
	MIME_ADDRESS_GROUP, /* "name:" ... */
	MIME_ADDRESS_END,   /* ... ";" */
};

struct mime_address {
	struct mime_address *next;
	enum mime_address_kind kind;
	Str name; /* phrase or comment, RFC 2047 not decoded; of a group: its name. p NULL: none */
	Str route;  /* "@a,@b", obsolete. p NULL: none */
	Str local;  /* without quotes and escapes */
	Str domain; /* empty when the field does not say; a literal with its brackets */
};

enum {
	MIME_ADDRESS_MAX = 2000, /* addresses of one field; further ones are passed over */
};

/*
 * The first address of a field's body, NULL when there is none. All lives in the arena.
 * ERR_LIMIT when the arena is full.
 */
MUST_USE Err mime_address_parse(Str body, struct arena *arena, struct mime_address **ret);

/* As a field's body, in one line. */
void mime_address_write(struct buf *b, const struct mime_address *first);
