/* SPDX-License-Identifier: ISC */
#pragma once

/* A message on its way in: its stored form and its columns. Needs no lock. */

#include "store/mailbox/mailbox_internal.h"

/* The stored form and the columns of a message. ERR_TEMP, ERR_LIMIT (over 4 GiB). */
MUST_USE Err arrival_make(struct arrival *a, const struct mailbox_source *source,
	bool unparsed);
/* Columns only, of bytes in their stored form. */
MUST_USE Err arrival_parse(struct arrival *a, bool unparsed);
void arrival_done(struct arrival *a);
