/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * From what is sent to what is meant: transfer encodings (RFC 2045, 6), encoded words (RFC 2047)
 * and character sets, all to UTF-8. For searching and showing: nothing here fails, what cannot be
 * decoded is replaced or passed over. The character sets are our own tables, because iconv cannot
 * load its converters behind the walls.
 */

#include "base/buf.h"

enum mime_encoding {
	MIME_ENCODING_NONE, /* 7bit, 8bit, binary, unknown */
	MIME_ENCODING_BASE64,
	MIME_ENCODING_QUOTED,
};

/* Of a Content-Transfer-Encoding field's body. */
enum mime_encoding mime_decode_encoding(Str body);

void mime_decode_transfer(struct buf *b, enum mime_encoding encoding, Str s);

/*
 * UTF-8, US-ASCII, ISO-8859-1, ISO-8859-15, windows-1252 and their common names; of others ASCII is
 * kept. What is no character becomes U+FFFD. Empty charset: UTF-8 where it is valid, windows-1252
 * otherwise.
 */
void mime_decode_charset(struct buf *b, Str charset, Str s);

/* False when mime_decode_charset keeps only ASCII of it: SEARCH answers BADCHARSET. */
bool mime_decode_knows_charset(Str charset);

/* The text of an unstructured field or a display name, with its encoded words decoded. */
void mime_decode_words(struct buf *b, Str s);

/* True when s is UTF-8 as RFC 3629 has it: no overlong forms, surrogates or values past U+10FFFF. */
bool mime_decode_is_utf8(Str s);
