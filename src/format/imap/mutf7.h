/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Mailbox names in modified UTF-7 (RFC 9051, A.1; RFC 3501, 5.1.3), as IMAP4rev1 clients and
 * Maildir++ folders spell them. UTF-8 is the form inside Posthorn.
 */

#include "base/buf.h"

/* UTF-8 to modified UTF-7. ERR_PEER when s is not UTF-8; nothing useful is in `ret` then. */
MUST_USE Err imap_mutf7_write(struct buf *ret, Str s);

/*
 * Modified UTF-7 to UTF-8. Strict: what a shorter or plainer spelling exists for is refused, so
 * that one folder has one name.
 *
 * ERR_PEER   not modified UTF-7
 */
MUST_USE Err imap_mutf7_parse(Str s, struct buf *ret);

/* True for well-formed UTF-8 without surrogates and overlong forms. NUL counts as a character. */
bool imap_utf8_valid(Str s);
