/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Upper and lower case made alike, for SEARCH: of ASCII, Latin, Greek and Cyrillic letters. Runs of
 * blanks and line ends become one space, so that a folded or wrapped text is found too.
 */

#include "base/buf.h"

/* s is UTF-8; what is not goes through unchanged. */
void imap_fold(struct buf *b, Str s);
