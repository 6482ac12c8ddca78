/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * index.db: what the driver keeps in SQLite. A message's key is folder id << 32 | UID, so a folder
 * is one range of each table. Commits are not synced by SQLite; index_commit does so when asked.
 */

#include "store/mailbox/local/local_internal.h"

/* Once for a process; children inherit it. */
MUST_USE Err index_prepare(void);

/* Opens or makes it and takes the lease. *ret_new: it was not there. */
MUST_USE Err index_open(struct local *l, bool *ret_new);
void index_close(struct local *l);

/* After a failure: it was because the file is not what SQLite wrote. */
bool index_is_damaged(const struct local *l);
/* The next index_open makes a new one; the old one stays for whoever wants to look at it. */
MUST_USE Err index_put_aside(int folder);

/* Folders, keywords, ceilings, subscriptions, into the model. */
MUST_USE Err index_load_account(struct local *l);
MUST_USE Err index_reload(struct mailbox *m);
MUST_USE Err index_put_account(struct local *l, bool clean);

MUST_USE Err index_begin(struct mailbox *m);
MUST_USE Err index_commit(struct mailbox *m, bool durable);
/* Before closing: brings a long WAL into the database. */
MUST_USE Err index_shorten(struct local *l);
void index_abort(struct mailbox *m);
MUST_USE Err index_mark(struct mailbox *m);
void index_unmark(struct mailbox *m);

MUST_USE Err index_put_folder(struct mailbox *m, const struct folder *f);
MUST_USE Err index_drop_folder(struct local *l, const struct folder *f);
MUST_USE Err index_load(struct mailbox *m, struct folder *f);

MUST_USE Err index_add(struct local *l, const struct folder *f,
	const struct mailbox_message *message, const struct arrival *a, bool in_new,
	const char *info);
/* Envelope and structure of a message whose bytes came later. */
MUST_USE Err index_put_text(struct local *l, uint64_t key, const struct arrival *a);
MUST_USE Err index_change(struct local *l, const struct folder *f,
	const struct mailbox_message *message);
/* The row of a copy; the file is linked already. */
MUST_USE Err index_copy(struct local *l, const struct folder *from, uint32_t uid,
	const struct folder *to, const struct mailbox_message *copy,
	const struct local_file *file);
/* name: what must not be taken for new mail should its file stay; NULL when there is none. */
MUST_USE Err index_remove(struct local *l, const struct folder *f, uint32_t uid,
	uint64_t modseq, const char *name);
MUST_USE Err index_fetch(struct mailbox *m, const struct folder *f, const uint32_t *uids,
	size_t count, unsigned columns, struct arena *arena, struct mailbox_row *ret);
MUST_USE Err index_expunged(struct mailbox *m, const struct folder *f, uint64_t since,
	struct arena *arena, uint32_t **ret, size_t *ret_count);

/* ERR_PEER when there is no such message. */
MUST_USE Err index_get_file(struct local *l, uint64_t key, struct local_file *ret);
MUST_USE Err index_set_pending(struct local *l, uint64_t key, const char *pending);
MUST_USE Err index_set_info(struct local *l, uint64_t key, bool in_new, const char *info);

MUST_USE Err index_get_delivered(struct local *l, uint64_t queue_id, uint32_t recipient,
	bool *ret_known, uint64_t *ret_key);
MUST_USE Err index_put_delivered(struct local *l, uint64_t queue_id, uint32_t recipient,
	uint64_t key);
MUST_USE Err index_forget(struct mailbox *m, uint64_t below);

/* A prepared statement, ready for its parameters. */
MUST_USE Err index_statement(struct local *l, enum local_statement which, sqlite3_stmt **ret);
