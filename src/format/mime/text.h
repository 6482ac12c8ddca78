/* SPDX-License-Identifier: ISC */
#pragma once

/* Strings as IMAP sends them (RFC 9051, 9: nstring), for the texts that are kept with a message. */

#include "base/arena.h"
#include "base/buf.h"

/*
 * Quoted, or as a literal where 8-bit octets or line ends need it; NIL when p is NULL. NUL is left
 * out: no string may hold one.
 */
void mime_text_write(struct buf *b, Str s);

/* The same for a header field's body: unfolded first. */
void mime_text_write_field(struct buf *b, Str body);

/* Reads one; p NULL for NIL. The cursor goes bad when there is none. ERR_LIMIT: arena is full. */
MUST_USE Err mime_text_parse(struct cursor *c, struct arena *arena, Str *ret);

/* Passes over one string, number or NIL, and returns it as it stands. */
Str mime_text_skip(struct cursor *c);
