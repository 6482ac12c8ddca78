/* SPDX-License-Identifier: ISC */
/*
 * How files and index agree after a crash. Three orders do it:
 *
 *   adding      the file is complete under its name, then its row is committed. A crash between
 *               leaves a file without a row: after an unclean close every folder is listed, and such
 *               a file becomes a message; one that carries a delivery id becomes that delivery, so
 *               that its replay adds nothing.
 *   removing    the row goes and its file's name is kept in `expunged`, then the file goes. A crash
 *               between leaves a file that is known to be gone: it is removed when it is seen.
 *   moving      is a hard link under a new name, synced with its bytes, then both of the above in
 *               one commit. A link whose commit did not come about is known by its name ("C") and
 *               goes at the next open.
 *
 * What the queue answers for (deliveries) is not synced: replays by id put right what a power cut
 * took, file by file (local_repair). What a client is told is synced: file, its name, then the WAL.
 *
 * UIDs and mod-sequences are given out below ceilings that were synced before. `clean` says that
 * the numbers in index.db are the last ones; it is taken back, synced, before a process first tells
 * a client anything. An index that is not clean starts at its ceilings.
 */
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/mailbox/arrival.h"
#include "store/mailbox/change.h"
#include "store/mailbox/local/files.h"
#include "store/mailbox/local/index.h"
#include "store/mailbox/local/notice.h"
#include "store/mailbox/model.h"
#include "store/mailbox/name.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
	FILE_MODE = 0600,
	COMPARE_STEP = 64 * 1024,
};

/* ---- Names that must last ---- */

/* A folder that was made lately: what is in it, its name in Maildir/, and the name of that. */
static Err
sync_parents(struct local *l, Str folder)
{
	char path[LOCAL_PATH_MAX];
	AUTO_FD own = -1;
	AUTO_FD all = -1;

	TRY(files_path(folder, NULL, NULL, NULL, path));
	TRY(file_open_folder(l->folder, path, &own));
	TRY(file_sync_folder(own));
	TRY(file_open_folder(l->folder, "Maildir", &all));
	TRY(file_sync_folder(all));
	TRY(file_sync_folder(l->folder));
	l->made_folder = false;
	return OK;
}

static Err
sync_names(struct local *l, Str folder, const char *sub)
{
	char path[LOCAL_PATH_MAX];
	AUTO_FD fd = -1;

	TRY(files_path(folder, sub, NULL, NULL, path));
	TRY(file_open_folder(l->folder, path, &fd));
	TRY(file_sync_folder(fd));
	return l->made_folder ? sync_parents(l, folder) : OK;
}

/* Names that a durable commit is going to rest on: they are synced before it. */
static Err
commit(struct mailbox *m, bool durable)
{
	struct local *l = local_of(m);

	for (size_t i = 0; durable && i < l->named_count; i++) {
		const struct folder *f = model_folder(m, l->named[i]);

		if (f != NULL)
			TRY(sync_names(l, f->name, "cur"));
	}
	TRY(index_commit(m, durable));
	l->named_count = 0;
	return OK;
}

static Err
add_named(struct local *l, const struct folder *f)
{
	for (size_t i = 0; i < l->named_count; i++)
		if (l->named[i] == f->id)
			return OK;
	if (l->named_count == COUNT(l->named))
		return sync_names(l, f->name, "cur");
	l->named[l->named_count++] = f->id;
	return OK;
}

/* ---- Adding ---- */

static Err
create_file(struct local *l, const char *path, int *ret)
{
	Err e = file_create(l->folder, path, FILE_MODE, ret);

	if (failed(e) && e.sys == ENOENT) {
		TRY(files_make_folder(l, S("INBOX")));
		return file_create(l->folder, path, FILE_MODE, ret);
	}
	if (failed(e) && e.sys == EEXIST) { /* the same delivery, before a crash */
		TRY(file_remove(l->folder, path));
		return file_create(l->folder, path, FILE_MODE, ret);
	}
	return e;
}

static Err
local_prepare(struct mailbox *m, struct arrival *a, bool durable)
{
	struct local *l = local_of(m);
	char path[LOCAL_PATH_MAX];
	AUTO_FD fd = -1;

	files_new_name(l, a, false);
	TRY(files_path(S("INBOX"), "tmp", a->name, NULL, path));
	TRY(create_file(l, path, &fd));
	snprintf(a->where, sizeof(a->where), "%s", path);
	TRY(file_write(fd, a->bytes));
	return durable ? file_sync(fd) : OK;
}

static void
local_discard(struct mailbox *m, struct arrival *a)
{
	if (a->where[0] != '\0')
		(void)failed(file_remove(local_of(m)->folder, a->where));
	a->where[0] = '\0';
}

/* Renames; makes the folder when it is not on disk yet. */
static Err
put_file(struct local *l, const struct folder *f, const char *from, const char *to)
{
	Err e = file_rename(l->folder, from, l->folder, to);

	if (!failed(e) || e.sys != ENOENT)
		return e;
	TRY(files_make_folder(l, f->name));
	return file_rename(l->folder, from, l->folder, to);
}

static Err
local_add(struct mailbox *m, struct folder *f, const struct mailbox_message *message,
	struct arrival *a)
{
	struct local *l = local_of(m);
	bool in_new = a->queue_id != 0 && message->flags == 0;
	char path[LOCAL_PATH_MAX], info[64];
	bool quiet = notice_quiet(l, f, in_new);

	files_write_info(message->flags, "", info);
	TRY(files_path(f->name, in_new ? "new" : "cur", a->name, in_new ? NULL : info, path));
	TRY(put_file(l, f, a->where, path));
	snprintf(a->where, sizeof(a->where), "%s", path);
	notice_ours(l, f, in_new, quiet);
	TRY(index_add(l, f, message, a, in_new, info));
	if (!in_new)
		TRY(add_named(l, f));
	if (in_new && list_empty(&f->views))
		f->listed = false;
	else if (in_new)
		notice_behind(l, local_key(f, message->uid));
	return OK;
}

static Err
local_change(struct mailbox *m, struct folder *f, const struct mailbox_message *message)
{
	struct local *l = local_of(m);

	TRY(index_change(l, f, message));
	notice_behind(l, local_key(f, message->uid));
	return OK;
}

/* ---- Copying and removing ---- */

/* The path of a file whose rename may have been announced and not made, or made. */
static Err
find_file(struct local *l, const struct folder *f, const struct local_file *file,
	char path[LOCAL_PATH_MAX])
{
	struct stat st;

	TRY(files_path_of(f, file, path));
	if (strcmp(file->pending, "-") == 0 ||
		fstatat(l->folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return OK;
	return files_path(f->name, "cur", file->name, file->pending, path);
}

static Err
link_file(struct local *l, const struct folder *to, const char *old, const char *path)
{
	Err e = file_link(l->folder, old, l->folder, path);
	char from[LOCAL_PATH_MAX];

	if (!failed(e) || e.sys != ENOENT)
		return e;
	TRY(files_path(to->name, NULL, NULL, NULL, from));
	TRY(files_make_folder(l, to->name));
	return file_link(l->folder, old, l->folder, path);
}

/*
 * The bytes of a delivery need not be on disk while the queue has them. A copy is nothing that the
 * queue knows of, and a delivery that was moved counts as done, so first they are synced.
 */
static Err
sync_bytes(struct local *l, const char *path, const struct local_file *file)
{
	AUTO_FD fd = -1;
	uint64_t queue_id, key;
	uint32_t recipient;
	bool known = true;

	if (files_is_ours(l, str_from(file->name))) {
		if (!files_delivery_of(str_from(file->name), &queue_id, &recipient))
			return OK; /* synced when it was made */
		TRY(index_get_delivered(l, queue_id, recipient, &known, &key));
	}
	if (!known)
		return OK; /* the queue has forgotten it: a checkpoint has synced it */
	TRY(file_open_read(l->folder, path, &fd));
	return file_sync(fd);
}

static Err
local_copy(struct mailbox *m, const struct folder *from, uint32_t uid, struct folder *to,
	const struct mailbox_message *copy)
{
	struct local *l = local_of(m);
	char old[LOCAL_PATH_MAX], path[LOCAL_PATH_MAX];
	struct local_file file;
	struct arrival name = { .bytes = { NULL, 0 }, .size = copy->size };
	bool quiet = notice_quiet(l, to, false);

	TRY(index_get_file(l, local_key(from, uid), &file));
	TRY(find_file(l, from, &file, old));
	TRY(sync_bytes(l, old, &file));
	name.bytes.n = file.stored; /* only its size goes into the name */
	files_new_name(l, &name, true);
	snprintf(file.name, sizeof(file.name), "%s", name.name);
	files_write_info(copy->flags, file.info, file.info);
	file.in_new = false;
	TRY(files_path(to->name, "cur", file.name, file.info, path));
	TRY(link_file(l, to, old, path));
	files_leave(l, path, true);
	notice_ours(l, to, false, quiet);
	TRY(add_named(l, to));
	return index_copy(l, from, uid, to, copy, &file);
}

static Err
local_remove(struct mailbox *m, struct folder *f, uint32_t uid, uint64_t modseq)
{
	struct local *l = local_of(m);
	char path[LOCAL_PATH_MAX];
	struct local_file file;

	TRY(index_get_file(l, local_key(f, uid), &file));
	TRY(find_file(l, f, &file, path));
	TRY(index_remove(l, f, uid, modseq, file.name));
	files_leave(l, path, false);
	l->expunged_names = true;
	return OK;
}

static Err
local_settle(struct mailbox *m)
{
	return files_remove_leaving(local_of(m));
}

/* ---- Reading ---- */

static Err
local_open_bytes(struct mailbox *m, const struct folder *f, uint32_t uid,
	struct mailbox_bytes *ret)
{
	struct local *l = local_of(m);
	char path[LOCAL_PATH_MAX];
	struct local_file file;
	struct stat st;
	int fd;
	Err e;

	TRY(index_get_file(l, local_key(f, uid), &file));
	TRY(find_file(l, f, &file, path));
	e = file_open_read(l->folder, path, &fd);
	if (failed(e)) {
		if (e.sys == ENOENT)
			e.kind = ERR_PEER;
		return e;
	}
	if (fstat(fd, &st) != 0) {
		close(fd);
		return fail_sys(ERR_TEMP, "cannot open message");
	}
	*ret = (struct mailbox_bytes){
		.fd = fd, .raw = file.raw, .size = (uint64_t)st.st_size
	};
	return OK;
}

/* ---- Replays ---- */

static Err
local_delivered(struct mailbox *m, const struct arrival *a, bool *ret_known,
	uint32_t *ret_folder, uint32_t *ret_uid)
{
	struct local *l = local_of(m);
	struct local_file file;
	uint64_t key = 0;
	Err e;

	TRY(index_get_delivered(l, a->queue_id, a->recipient, ret_known, &key));
	if (!*ret_known)
		return OK;
	*ret_folder = (uint32_t)(key >> 32);
	*ret_uid = (uint32_t)key;
	e = index_get_file(l, key, &file);
	if (e.kind == ERR_PEER) {
		*ret_uid = 0; /* moved or expunged by somebody: that is up to them */
		return OK;
	}
	return e;
}

static Err
local_put_delivered(struct mailbox *m, const struct arrival *a, const struct folder *f,
	uint32_t uid)
{
	return index_put_delivered(local_of(m), a->queue_id, a->recipient, local_key(f, uid));
}

/* True when the file holds exactly these bytes. */
static bool
file_holds(struct local *l, const char *path, Str bytes)
{
	char *buffer = memory_get(COMPARE_STEP);
	AUTO_FD fd = -1;
	struct stat st;
	bool same = !failed(file_open_read(l->folder, path, &fd)) && fstat(fd, &st) == 0 &&
		    (uint64_t)st.st_size == bytes.n;

	for (size_t at = 0; same && at < bytes.n; at += COMPARE_STEP) {
		Str part = str_part(bytes, at, COMPARE_STEP);

		same = !failed(file_read_at(fd, (off_t)at, buffer, part.n)) &&
		       memcmp(buffer, part.p, part.n) == 0;
	}
	free(buffer);
	return same;
}

/* Looks for a base name among the files of a folder; the path stays as it is when there is none. */
static bool
search_sub(struct local *l, const struct folder *f, const char *sub, const char *base,
	char path[LOCAL_PATH_MAX])
{
	char folder[LOCAL_PATH_MAX];
	const struct dirent *entry;
	bool found = false;
	DIR *dir = NULL;
	int fd;

	if (failed(files_path(f->name, sub, NULL, NULL, folder)) ||
		failed(file_open_folder(l->folder, folder, &fd)))
		return false;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return false;
	}
	while (!found && (entry = readdir(dir)) != NULL) {
		Str name, info;

		files_split_name(str_from(entry->d_name), &name, &info);
		found = str_eq(name, str_from(base)) &&
			!failed(files_path(f->name, sub, entry->d_name, NULL, path));
	}
	closedir(dir);
	return found;
}

/*
 * A file that is not where the index says may have been renamed, by us before a crash or by another
 * program: it is looked for under its base name before its bytes are written once more.
 */
static void
search_file(struct local *l, const struct folder *f, const struct local_file *file,
	char path[LOCAL_PATH_MAX])
{
	struct stat st;

	if (fstatat(l->folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return;
	if (!search_sub(l, f, "cur", file->name, path))
		search_sub(l, f, "new", file->name, path);
}

static Err
local_repair(struct mailbox *m, const struct folder *f, uint32_t uid, struct arrival *a)
{
	struct local *l = local_of(m);
	char path[LOCAL_PATH_MAX];
	struct local_file file;

	TRY(index_get_file(l, local_key(f, uid), &file));
	TRY(find_file(l, f, &file, path));
	search_file(l, f, &file, path);
	if (file_holds(l, path, a->bytes))
		return OK;
	TRY(put_file(l, f, a->where, path));
	a->where[0] = '\0';
	return index_put_text(l, local_key(f, uid), a);
}

/* ---- Folders ---- */

/*
 * Folders on disk change their names after the commit, under the same lock. `was` remembers the old
 * name for the case of a crash between.
 */
static Err
local_rename_folder(struct mailbox *m, struct folder *f, Str from)
{
	if (f->was.n == 0)
		TRY(arena_copy(m->names, from, &f->was));
	return files_move_folder(local_of(m), from, &f->name);
}

static Err
local_drop_folder(struct mailbox *m, const struct folder *f)
{
	struct local *l = local_of(m);

	TRY(index_drop_folder(l, f));
	l->expunged_names = true;
	return files_move_folder(l, f->name, NULL);
}

/* Subscriptions are in the account's row. */
static Err
local_subscribe(struct mailbox *m, Str name, bool subscribed)
{
	(void)name;
	(void)subscribed;
	m->account_behind = true;
	return OK;
}

/* ---- Changes ---- */

static void
local_abort(struct mailbox *m)
{
	struct local *l = local_of(m);

	index_abort(m);
	files_mark(l, true);
	files_stay(l);
	l->named_count = 0;
}

static Err
local_begin(struct mailbox *m)
{
	files_mark(local_of(m), true);
	return index_begin(m);
}

static Err
local_mark(struct mailbox *m)
{
	files_mark(local_of(m), false);
	return index_mark(m);
}

static void
local_unmark(struct mailbox *m)
{
	files_stay(local_of(m));
	index_unmark(m);
}

/* ---- Opening and closing ---- */

static Err
local_telling(struct mailbox *m)
{
	struct local *l = local_of(m);

	if (l->told)
		return OK;
	TRY(change_begin_locked(m));
	m->account_behind = true;
	TRY(change_end_locked(m, OK, MAILBOX_DURABLE));
	l->told = true;
	return OK;
}

/* Files of expunged messages must be gone for good before their names are forgotten. */
static Err
forget_expunged(struct local *l)
{
	sqlite3_stmt *s;

	for (size_t i = 0; i < l->m.folder_count; i++) {
		const struct folder *f = l->m.folders[i];
		Err e = f->loaded ? sync_names(l, f->name, "cur") : OK;

		if (!failed(e) && f->loaded)
			e = sync_names(l, f->name, "new");
		if (failed(e) && e.sys != ENOENT)
			return e;
	}
	TRY(index_statement(l, LOCAL_CLEAR_EXPUNGED_NAMES, &s));
	return sql_done(s);
}

static Err
close_in_order(struct local *l)
{
	TRY(notice_write_behind(l, true));
	if (!l->opened)
		return OK;
	TRY(index_begin(&l->m));
	if (l->expunged_names)
		TRY(forget_expunged(l));
	list_each (at, &l->m.dirty)
		TRY(index_put_folder(&l->m, LINK_OWNER(at, struct folder, dirty)));
	TRY(index_put_account(l, true));
	TRY(sql_run(l->db, "COMMIT"));
	return index_shorten(l);
}

static void
local_free(struct local *l)
{
	index_close(l);
	for (size_t i = 0; i < l->leaving_count; i++)
		free(l->leaving[i].path);
	free(l->leaving);
	free(l->moves);
	free(l->behind);
	model_done(&l->m);
	free(l);
}

static void
local_close(struct mailbox *m)
{
	struct local *l = local_of(m);

	(void)failed(files_remove_leaving(l));
	pthread_mutex_lock(&m->lock);
	if (failed(close_in_order(l)))
		index_abort(m);
	pthread_mutex_unlock(&m->lock);
	local_free(l);
}

static const struct mailbox_driver local_driver = {
	.close = local_close,
	.begin = local_begin,
	.commit = commit,
	.abort = local_abort,
	.mark = local_mark,
	.unmark = local_unmark,
	.put_folder = index_put_folder,
	.rename_folder = local_rename_folder,
	.drop_folder = local_drop_folder,
	.subscribe = local_subscribe,
	.load = index_load,
	.reload = index_reload,
	.prepare = local_prepare,
	.discard = local_discard,
	.add = local_add,
	.change = local_change,
	.copy = local_copy,
	.remove = local_remove,
	.settle = local_settle,
	.fetch = index_fetch,
	.open_bytes = local_open_bytes,
	.expunged = index_expunged,
	.delivered = local_delivered,
	.put_delivered = local_put_delivered,
	.repair = local_repair,
	.forget = index_forget,
	.telling = local_telling,
	.notice = notice_folder,
	.tidy = notice_tidy,
};

static Err
notice_all(struct local *l)
{
	for (size_t i = 0; i < l->m.folder_count; i++)
		TRY(notice_folder(&l->m, l->m.folders[i], true));
	return OK;
}

static Err
adopt_folder(struct local *l, Str name)
{
	struct folder *f = model_add_folder(&l->m, l->m.folder_id_next, name);

	f->uid_validity = l->created;
	f->uid_ceiling = UID_STEP;
	f->modseq = l->m.modseq;
	return index_put_folder(&l->m, f);
}

static Err
adopt_folders(struct local *l, DIR *dir)
{
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		AUTO_BUF name = BUF_INIT(MAILBOX_NAME_MAX);

		if (!failed(name_from_disk(str_from(entry->d_name), &name)) &&
			model_folder_named(&l->m, buf_view(&name)) == NULL)
			TRY(adopt_folder(l, buf_view(&name)));
	}
	return OK;
}

/* Folders and mail on disk without an index: another program's, or the index was lost. */
static Err
adopt_all(struct local *l)
{
	DIR *dir;
	int fd;
	Err e;

	TRY(file_open_folder(l->folder, "Maildir", &fd));
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return fail_sys(ERR_TEMP, "cannot list folders");
	}
	e = change_begin_locked(&l->m);
	if (!failed(e)) {
		e = adopt_folders(l, dir);
		e = change_end_locked(&l->m, e, MAILBOX_COVERED);
	}
	closedir(dir);
	TRY(e);
	model_sort_folders(&l->m);
	return notice_all(l);
}

/* Numbers start where no number was given out, and every folder's files are looked at. */
static Err
open_unclean(struct local *l)
{
	struct mailbox *m = &l->m;
	Err e;

	l->unclean = true;
	l->expunged_names = true;
	m->modseq = m->modseq_ceiling;
	m->modseq_ceiling += MODSEQ_STEP;
	m->account_behind = true;
	for (size_t i = 0; i < m->folder_count; i++) {
		struct folder *f = m->folders[i];

		f->uid_next = f->uid_ceiling;
		f->uid_ceiling += UID_STEP;
		f->modseq = m->modseq;
		f->seen_new = f->seen_cur = 0;
		list_add_last(&m->dirty, &f->dirty);
	}
	TRY(change_begin_locked(m));
	TRY(change_end_locked(m, OK, MAILBOX_DURABLE));
	l->told = true;
	TRY(files_recover(l));
	e = notice_all(l);
	l->unclean = false;
	return e;
}

static Err
open_index(struct local *l)
{
	struct stat st;
	bool fresh;

	TRY(index_open(l, &fresh));
	TRY(index_load_account(l));
	if (!l->clean)
		return open_unclean(l);
	return fresh && fstatat(l->folder, "Maildir", &st, 0) == 0 ? adopt_all(l) : OK;
}

Err
mailbox_prepare(void)
{
	return index_prepare();
}

static Err
open_once(const struct mailbox_settings *settings, struct local **ret, bool *ret_damaged)
{
	struct local *l = memory_get(sizeof(*l));
	Err e = OK;

	model_init(&l->m, &local_driver, settings->host);
	l->folder = settings->folder;
	if (fchdir(settings->folder) != 0)
		e = fail_sys(ERR_TEMP, "cannot enter the account's folder");
	if (!failed(e)) {
		pthread_mutex_lock(&l->m.lock);
		e = open_index(l);
		pthread_mutex_unlock(&l->m.lock);
	}
	if (failed(e)) {
		*ret_damaged = index_is_damaged(l);
		local_free(l);
		return e;
	}
	*ret = l;
	return OK;
}

/*
 * A damaged index is put aside and made anew from the files: mail and flags in file names are kept,
 * delivery ids are in the names of what was delivered lately, UIDVALIDITY changes.
 */
Err
mailbox_open_local(const struct mailbox_settings *settings, struct mailbox **ret)
{
	bool damaged = false;
	struct local *l;
	Err e = open_once(settings, &l, &damaged);

	if (failed(e) && damaged) {
		TRY(index_put_aside(settings->folder));
		e = open_once(settings, &l, &damaged);
		if (!failed(e))
			l->m.rebuilt = true;
	}
	TRY(e);
	*ret = &l->m;
	return OK;
}
