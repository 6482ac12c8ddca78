/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The directory for the command line: through the admin socket while a server runs, otherwise on
 * its database. What a command prints is the same either way.
 */

#include "base/buf.h"
#include "format/directory/record.h"

/*
 * Words as store/directory.h's directory_command takes them; input is packed records, or "".
 * What there is to say is appended to ret. Returns a sysexits code; when it cannot even ask, the
 * reason is in ret.
 */
int ask_directory(const Str *words, size_t count, Str input, struct buf *ret);

/* The same for commands that change something: prints the reason of a failure. */
int ask_change(const Str *words, size_t count);

/*
 * The records of `domain list`, `account list`, `alias list` or `dump`, in the arena; the Strs
 * point into packed. Prints the reason of a failure.
 */
int ask_records(Str noun, struct arena *a, struct buf *packed, struct directory_record **ret,
	size_t *ret_count);
