/* SPDX-License-Identifier: ISC */
#pragma once

/* Folders and open folders in memory: the same for every driver. The lock is held. */

#include "store/mailbox/mailbox_internal.h"

/* Called by a driver's open, before and after it has told what it keeps. */
void model_init(struct mailbox *m, const struct mailbox_driver *driver, Str host);
void model_done(struct mailbox *m);
struct folder *model_add_folder(struct mailbox *m, uint32_t id, Str name);
void model_subscribe(struct mailbox *m, Str name, bool subscribed);
MUST_USE Err model_add_keyword(struct mailbox *m, struct folder *f, Str name);
/* INBOX and the special-use folders of a new account, UIDVALIDITY 0. */
MUST_USE Err model_make_folders(struct mailbox *m);

struct folder *model_folder(const struct mailbox *m, uint32_t id); /* NULL: none */
struct folder *model_folder_named(const struct mailbox *m, Str name);
MUST_USE Err model_find(struct mailbox *m, uint32_t id, struct folder **ret);
MUST_USE Err model_load(struct mailbox *m, struct folder *f);
/* Memory is ahead of the disk: takes everything as it is kept, and forgets all arrays. */
void model_reload(struct mailbox *m);
void model_remove_folder(struct mailbox *m, struct folder *f);
void model_free_folder(struct folder *f);   /* removed, and its last view is closed */
void model_sort_folders(struct mailbox *m); /* after names changed */

struct mailbox_message *model_message(const struct folder *f, uint32_t uid); /* NULL: none */
uint64_t model_next_modseq(struct mailbox *m);
uint32_t model_next_uid(struct mailbox *m, struct folder *f);

/* Sessions that wait for changes of the folder look at it. */
void model_wake(struct folder *f);

/* These change memory and counts, and leave events; the driver was told before. */
void model_added(struct mailbox *m, struct folder *f, const struct mailbox_message *message);
void model_changed(struct mailbox *m, struct folder *f, const struct mailbox_message *message);
void model_removed(struct mailbox *m, struct folder *f, uint32_t uid, uint64_t modseq);
/* Closes the gaps of removed messages; once for a batch of them. */
void model_sweep(struct folder *f);
/* When a driver fills an array. */
void model_touch(struct mailbox *m, struct folder *f); /* its row is behind */
void model_push(struct folder *f, const struct mailbox_message *message);
