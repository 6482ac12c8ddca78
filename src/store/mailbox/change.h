/* SPDX-License-Identifier: ISC */
#pragma once

/* Changes that threads make together: one transaction of the driver, one sync. */

#include "store/mailbox/mailbox_internal.h"

/* Takes the lock and begins a change. On failure the lock is not held. */
MUST_USE Err change_begin(struct mailbox *m);
/*
 * Ends it and gives the lock back: e is how it went so far. Returns when it is committed (or taken
 * back), with the first failure.
 */
MUST_USE Err change_end(struct mailbox *m, Err e, enum mailbox_durability how);
/* For a thread that holds the lock already and does not share: begin and end without it. */
MUST_USE Err change_begin_locked(struct mailbox *m);
MUST_USE Err change_end_locked(struct mailbox *m, Err e, enum mailbox_durability how);
