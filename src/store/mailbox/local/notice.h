/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What other programs do to the files (mutt, notmuch, rsync, procmail), and what we tell them:
 * flags in file names, mail that a client has seen moved from new/ to cur/.
 */

#include "store/mailbox/local/local_internal.h"

/*
 * Compares the folder's files with the index, when they changed or `force`. New files become
 * messages, changed names change flags, missing files are expunged. May give the lock away.
 */
MUST_USE Err notice_folder(struct mailbox *m, struct folder *f, bool force);

/* The name of this message's file is to follow its flags. */
void notice_behind(struct local *l, uint64_t key);
/* Renames those files; all of them at once when `all`. May give the lock away. */
MUST_USE Err notice_write_behind(struct local *l, bool all);

MUST_USE Err notice_tidy(struct mailbox *m, Time now, Time *ret_due);

/* Around a change of ours to a folder on disk: others' changes are not taken for it. */
bool notice_quiet(const struct local *l, const struct folder *f, bool in_new);
void notice_ours(const struct local *l, struct folder *f, bool in_new, bool quiet);
