/* SPDX-License-Identifier: ISC */
#pragma once

/* The words that structured header fields are made of (RFC 5322, 3.2; RFC 2045, 5.1). */

#include "base/buf.h"

enum {
	MIME_LEXER_COMMENT_DEPTH = 16, /* a comment nested deeper ends the field */
};

/* Skips blanks, line ends and comments (CFWS). */
void mime_lexer_skip(struct cursor *c);

/* The same; the text of the last comment, without its parentheses, is put into `comment`. */
void mime_lexer_skip_keep(struct cursor *c, struct buf *comment);

/* A quoted string whose opening quote is next: its content without escapes and line ends. */
void mime_lexer_quoted(struct cursor *c, struct buf *ret);

/* token (RFC 2045, 5.1): empty when there is none. 8-bit characters are let through. */
Str mime_lexer_token(struct cursor *c);

/* An atom of an address or phrase; dots are atoms' too. 8-bit characters are let through. */
Str mime_lexer_atom(struct cursor *c);
