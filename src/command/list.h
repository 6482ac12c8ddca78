/* SPDX-License-Identifier: ISC */
#pragma once

/* What `domain list`, `account list` and `alias list` print: a table, or JSON with --json. */

#include "base/str.h"

/* noun: "domain", "account" or "alias". Returns a sysexits code. */
int list_records(Str noun, bool json);
