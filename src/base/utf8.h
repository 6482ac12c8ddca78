/* SPDX-License-Identifier: ISC */
#pragma once

/* UTF-8 (RFC 3629, 4): no overlong forms, no surrogates, nothing above U+10FFFF. */

#include "base/str.h"

/*
 * Takes one character and returns its code point; an octet below 0x80 is itself. -1 at the end
 * and for octets that are not UTF-8; the cursor is bad then.
 */
int32_t utf8_next(struct cursor *c);

bool utf8_valid(Str s);
bool utf8_is_ascii(Str s);
