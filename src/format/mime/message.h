/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The parts of a message (RFC 2045, 2046): one pass over a stranger's bytes, which finds where
 * each part lies. Nothing is too broken to have a structure: beyond the limits below a part is
 * taken as a leaf.
 *
 * Messages are kept with LF line ends and sent with CRLF, so every size exists twice. A part
 * therefore counts its LFs; mime_part_wire_size adds them.
 */

#include "base/arena.h"
#include "format/mime/header.h"

enum {
	MIME_DEPTH_MAX = 100,  /* parts inside one another */
	MIME_PARTS_MAX = 1000, /* parts of one message */
	MIME_PARAMS_MAX = 100, /* parameters of one field */
	MIME_BOUNDARY_MAX = 1000,
	MIME_ARENA_MAX = 4 * 1024 * 1024, /* enough for every message within these limits */
};

enum mime_kind {
	MIME_TEXT,      /* a leaf of type text */
	MIME_LEAF,      /* any other leaf */
	MIME_MULTIPART, /* `child` is the first of its parts */
	MIME_MESSAGE,   /* message/rfc822: `child` is the message inside */
};

struct mime_param {
	const struct mime_param *next;
	Str name, value; /* value without quotes; RFC 2231 and 2047 not decoded */
};

struct mime_part {
	struct mime_part *parent, *next, *child;
	enum mime_kind kind;
	Str type, subtype; /* as written, or the default */
	const struct mime_param *params;
	struct mime_header header;
	size_t header_at, header_size; /* with the empty line */
	size_t body_at, body_size;
	size_t header_lines, body_lines; /* LFs */
};

/*
 * The root part of a message. Strs point into `message` or the arena.
 * ERR_LIMIT when the arena is full; an empty one of MIME_ARENA_MAX never is.
 */
MUST_USE Err mime_message_parse(Str message, struct arena *arena, struct mime_part **ret);

/* Octets as IMAP sends them; raw: the message is kept with the line ends that it is sent with. */
size_t mime_part_wire_size(size_t size, size_t lines, bool raw);

/*
 * The part with an IMAP part number (RFC 9051, 6.4.5.1), NULL when there is none. A message with
 * one part has that as number 1: the root itself.
 */
const struct mime_part *mime_part_find(const struct mime_part *root, const uint32_t *numbers,
	size_t count);

/* The value of a parameter, p NULL when absent. */
Str mime_param_get(const struct mime_param *first, Str name);

/*
 * A field such as Content-Disposition: its first word and its parameters. An empty word when
 * there is none. ERR_LIMIT when the arena is full.
 */
MUST_USE Err mime_param_parse(Str body, struct arena *arena, Str *ret_word,
	const struct mime_param **ret);
