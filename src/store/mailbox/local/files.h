/* SPDX-License-Identifier: ISC */
#pragma once

/* Maildir++: where files are, what their names say, and files that are to go. */

#include "store/mailbox/local/local_internal.h"

/* "Maildir/.Sent/cur/NAME:2,FS"; sub is "new", "cur", "tmp"; name NULL: the folder itself. */
MUST_USE Err files_path(Str folder, const char *sub, const char *name, const char *info,
	char ret[LOCAL_PATH_MAX]);

/* Where a message's file should be. */
MUST_USE Err files_path_of(const struct folder *f, const struct local_file *file,
	char ret[LOCAL_PATH_MAX]);

/* The folder with cur, new and tmp; those that are there are fine. */
MUST_USE Err files_make_folder(struct local *l, Str folder);

/* The letters of the flags that a name can carry, with those that are not ours kept from `old`. */
void files_write_info(uint64_t flags, const char *old, char ret[64]);
/* The flags that letters mean. */
uint64_t files_flags_of(Str info);
enum {
	FILES_FLAGS = MAILBOX_SEEN | MAILBOX_ANSWERED | MAILBOX_FLAGGED | MAILBOX_DELETED |
		      MAILBOX_DRAFT,
};

/* Base name and flags of a file's name. */
void files_split_name(Str name, Str *ret_base, Str *ret_info);

/* A name for a message that was not there before, or for another link to one that was. */
void files_new_name(struct local *l, struct arrival *a, bool copy);
/* True when it was made for a copy. */
bool files_is_copy(Str base);
/* True for a name that files_new_name made. */
bool files_is_ours(const struct local *l, Str name);
/* The size that a name tells (",S="); false when it tells none. */
bool files_size_of(Str base, uint64_t *ret);
/* The delivery id that a name tells (".Q<id>R<n>."); false when it tells none. */
bool files_delivery_of(Str base, uint64_t *ret_queue_id, uint32_t *ret_recipient);

/* The file is to go when the change that is being made is committed, or when it fails. */
void files_leave(struct local *l, const char *path, bool if_failed);
/* The folder on disk gets another name then. to NULL: it goes. */
MUST_USE Err files_move_folder(struct local *l, Str from, const Str *to);
/* Right after the commit, with the lock held: what cannot be moved now is moved at the next open. */
void files_make_moves(struct local *l);
/* A change begins; later, files_stay takes back what it left and moved. */
void files_mark(struct local *l, bool first);
void files_stay(struct local *l);
/* After an unclean close: what was to go, and folders that were to move. */
MUST_USE Err files_recover(struct local *l);
/* Removes what may go. Takes the lock for a moment; called without it. */
MUST_USE Err files_remove_leaving(struct local *l);

/* Time of last change of a folder on disk, ns; 0 when it is not there. */
int64_t files_changed(const struct local *l, Str folder, const char *sub);
