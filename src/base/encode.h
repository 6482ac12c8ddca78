/* SPDX-License-Identifier: ISC */
#pragma once

/* Base64 (RFC 4648, 4; with padding, no line breaks) and hexadecimal. */

#include "base/buf.h"

void encode_base64(struct buf *b, Str s);
/* Strict: right alphabet, padding and length. ERR_PEER otherwise, ERR_LIMIT when b is full. */
MUST_USE Err decode_base64(Str s, struct buf *ret);

void encode_hex(struct buf *b, Str s); /* lower case */
MUST_USE Err decode_hex(Str s, struct buf *ret);
