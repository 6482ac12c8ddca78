/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The header of a message or part (RFC 5322, 2.2): a stranger's bytes, read line by line whatever
 * they are. Line ends are LF; a CR before it is not part of the line. NUL and 8-bit octets stay.
 */

#include "base/buf.h"

struct mime_field {
	Str name;  /* without blanks; empty when the line is no field (no colon, bad name) */
	Str body;  /* behind the colon, folded lines included, without the last line end */
	Str whole; /* the field with its line end */
};

/*
 * Takes the next field. False at the empty line, which is taken too, and at the end of the bytes.
 */
bool mime_field_next(struct cursor *c, struct mime_field *ret);

/* A field's body in one line: line ends are left out, and blanks at both ends. NUL is left out. */
void mime_field_unfold(struct buf *b, Str body);

/* Octets of the header with its empty line. */
size_t mime_header_size(Str message);

/* The fields that somebody here asks for. */
enum mime_field_id {
	MIME_DATE,
	MIME_SUBJECT,
	MIME_FROM,
	MIME_SENDER,
	MIME_REPLY_TO,
	MIME_TO,
	MIME_CC,
	MIME_BCC,
	MIME_IN_REPLY_TO,
	MIME_MESSAGE_ID,
	MIME_REFERENCES,
	MIME_CONTENT_TYPE,
	MIME_CONTENT_ENCODING,
	MIME_CONTENT_DISPOSITION,
	MIME_CONTENT_ID,
	MIME_CONTENT_DESCRIPTION,
	MIME_CONTENT_LANGUAGE,
	MIME_CONTENT_LOCATION,
	MIME_CONTENT_MD5,
	MIME_AUTO_SUBMITTED,
	MIME_FIELDS, /* how many */
};

/* The first field of each kind: its body as it stands, p NULL when absent. */
struct mime_header {
	Str fields[MIME_FIELDS];
};

enum {
	MIME_HEADER_MAX = 256 * 1024, /* octets of a header whose fields are looked at */
};

/* Takes the header from the cursor, empty line included. Fields beyond MIME_HEADER_MAX stay unseen. */
void mime_header_read(struct cursor *c, struct mime_header *ret);

/*
 * The id in a Message-ID field's body, with its angle brackets; empty when there is none. Ids
 * without brackets, which some programs write, are not ids.
 */
Str mime_header_message_id(Str body);
