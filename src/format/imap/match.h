/* SPDX-License-Identifier: ISC */
#pragma once

/* LIST patterns (RFC 9051, 6.3.9): * matches anything, % anything but the hierarchy delimiter. */

#include "base/str.h"

enum {
	IMAP_PATTERN_MAX = 1024, /* octets; a longer pattern matches nothing */
};

/*
 * True when the whole name matches. Byte by byte, INBOX apart: where the pattern spells it at the
 * beginning its case does not count. Time grows with pattern times name, never faster.
 */
bool imap_match(Str pattern, Str name, char delimiter);
