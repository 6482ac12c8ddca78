/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Names of folders: UTF-8 with '/' between levels inside; on disk, as Maildir++ has it, modified
 * UTF-7 with '.' before every level, and "&AC4-" for a '.' inside a name.
 */

#include "base/buf.h"

enum {
	NAME_DISK_MAX = 255, /* octets: what a file system takes */
};

/*
 * The one spelling of a name: INBOX in capitals, no '/' at the end.
 * ERR_PEER   empty level, control character, wildcard, not UTF-8
 * ERR_LIMIT  too long, here or on disk, or too deep
 */
MUST_USE Err name_normalise(Str name, struct buf *ret);

/* ".Work.Old"; INBOX is "". ret: a buf of at least NAME_DISK_MAX. */
MUST_USE Err name_to_disk(Str name, struct buf *ret);

/* The other way. ERR_PEER when it is no folder's name. */
MUST_USE Err name_from_disk(Str disk, struct buf *ret);

/* Is `name` below `parent`? */
bool name_is_below(Str name, Str parent);
