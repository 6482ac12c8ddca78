/* SPDX-License-Identifier: ISC */
/*
 * Others' changes are seen by the times of new/ and cur/: as long as they are those of our own last
 * change, there is nothing to look for. Otherwise both are listed and compared with the index.
 *
 * The index decides flags; the name of a file is a copy that we write behind. The index remembers
 * the flags it wrote last (info), so a name that differs was changed by somebody else, and exactly
 * the flags that differ are taken over. A rename is announced (pending) before it is made: after a
 * crash either name is ours.
 */
#include "store/mailbox/local/notice.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/mailbox/arrival.h"
#include "store/mailbox/change.h"
#include "store/mailbox/local/files.h"
#include "store/mailbox/local/index.h"
#include "store/mailbox/model.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
	SCAN_MAX = 512 * 1024 * 1024, /* octets of names in memory */
	RECENT = 20 * 1000 * 1000,    /* ns: a time that young may not be the last one */
};

/* ---- Times ---- */

bool
notice_quiet(const struct local *l, const struct folder *f, bool in_new)
{
	int64_t seen = in_new ? f->seen_new : f->seen_cur;

	return seen != 0 && files_changed(l, f->name, in_new ? "new" : "cur") == seen;
}

/*
 * A kernel's tick is some milliseconds, so somebody else may still change new/ "at the same time"
 * as we did: a young time is not remembered for new/. cur/ belongs to us and the user's own
 * programs, where looking twice costs more than it is worth.
 */
void
notice_ours(const struct local *l, struct folder *f, bool in_new, bool quiet)
{
	int64_t now;

	if (!quiet)
		return;
	now = files_changed(l, f->name, in_new ? "new" : "cur");
	if (!in_new)
		f->seen_cur = now;
	else
		f->seen_new = clock_wall().us * 1000 - now < RECENT ? 0 : now;
}

/* ---- Listing ---- */

/* A message of the index, and a file that was found. */
struct known {
	uint64_t key;
	Str name, info, pending;
	bool in_new, has_pending, seen;
};

struct found {
	struct found *next;
	Str name;
	bool in_new;
};

struct scan {
	struct local *l;
	struct folder *f;
	struct arena *arena;
	struct str_map *known; /* base name to struct known */
	struct str_map *gone;  /* base names of expunged messages */
	struct found *files;
	uint64_t modseq; /* of what this scan changes; 0: nothing yet */
	bool removed, missed;
};

static Err
read_known(struct scan *s)
{
	sqlite3_stmt *q;
	bool row;

	TRY(index_statement(s->l, LOCAL_GET_FILES, &q));
	sql_bind_u64(q, 1, local_key(s->f, 0));
	sql_bind_u64(q, 2, local_key(s->f, UINT32_MAX));
	TRY(sql_step(q, &row));
	while (row) {
		struct known *k = arena_try(s->arena, sizeof(*k));

		if (k == NULL || failed(arena_copy(s->arena, sql_str(q, 1), &k->name)) ||
			failed(arena_copy(s->arena, sql_str(q, 2), &k->info)) ||
			failed(arena_copy(s->arena, sql_str(q, 3), &k->pending))) {
			sql_reset(q);
			return fail(ERR_TEMP, "folder is too large to be listed");
		}
		k->key = sql_u64(q, 0);
		k->in_new = sqlite3_column_type(q, 2) == SQLITE_NULL;
		k->has_pending = sqlite3_column_type(q, 3) != SQLITE_NULL;
		str_map_set(s->known, k->name, k);
		TRY(sql_step(q, &row));
	}
	return OK;
}

static Err
read_gone(struct scan *s)
{
	sqlite3_stmt *q;
	bool row;

	TRY(index_statement(s->l, LOCAL_GET_EXPUNGED_NAMES, &q));
	TRY(sql_step(q, &row));
	while (row) {
		Str *name = arena_try(s->arena, sizeof(*name));

		if (name == NULL || failed(arena_copy(s->arena, sql_str(q, 0), name))) {
			sql_reset(q);
			return fail(ERR_TEMP, "folder is too large to be listed");
		}
		str_map_set(s->gone, *name, name);
		TRY(sql_step(q, &row));
	}
	return OK;
}

static Err
list_names(struct scan *s, DIR *dir, bool in_new)
{
	struct dirent *entry;

	while ((errno = 0, entry = readdir(dir)) != NULL) {
		struct found *at;

		if (entry->d_name[0] == '.')
			continue;
		at = arena_try(s->arena, sizeof(*at));
		if (at == NULL ||
			failed(arena_copy(s->arena, str_from(entry->d_name), &at->name)))
			return fail(ERR_TEMP, "folder is too large to be listed");
		at->in_new = in_new;
		at->next = s->files;
		s->files = at;
	}
	return errno == 0 ? OK : fail_sys(ERR_TEMP, "cannot list folder");
}

static Err
list_folder(struct scan *s, bool in_new)
{
	char path[LOCAL_PATH_MAX];
	DIR *dir;
	int fd;
	Err e;

	TRY(files_path(s->f->name, in_new ? "new" : "cur", NULL, NULL, path));
	e = file_open_folder(s->l->folder, path, &fd);
	if (failed(e))
		return e.sys == ENOENT ? OK : e;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return fail_sys(ERR_TEMP, "cannot list folder");
	}
	e = list_names(s, dir, in_new);
	closedir(dir);
	return e;
}

/* ---- Comparing ---- */

static uint64_t
scan_modseq(struct scan *s)
{
	if (s->modseq == 0)
		s->modseq = model_next_modseq(&s->l->m);
	return s->modseq;
}

/* A file's bytes for arrival_parse. */
static Err
map_file(struct scan *s, const struct found *file, struct arrival *a)
{
	char name[LOCAL_NAME_MAX + 1], path[LOCAL_PATH_MAX];
	AUTO_FD fd = -1;
	struct stat st;

	TRY(str_c(file->name, name, sizeof(name)));
	TRY(files_path(s->f->name, file->in_new ? "new" : "cur", name, NULL, path));
	TRY(file_open_read(s->l->folder, path, &fd));
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
		return fail(ERR_PEER, "not a file");
	a->date = st.st_mtim.tv_sec;
	a->bytes = S("");
	if (st.st_size == 0)
		return OK;
	a->map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (a->map == MAP_FAILED) {
		a->map = NULL;
		return fail_sys(ERR_TEMP, "cannot map message");
	}
	a->map_size = (size_t)st.st_size;
	a->bytes = (Str){ a->map, a->map_size };
	return OK;
}

/* A delivery whose commit was lost: its id is in the name, and its replay must find it. */
static Err
adopt_delivery(struct scan *s, Str base, uint32_t uid)
{
	uint64_t queue_id, key;
	uint32_t recipient;
	bool known;

	if (!files_delivery_of(base, &queue_id, &recipient))
		return OK;
	TRY(index_get_delivered(s->l, queue_id, recipient, &known, &key));
	return known ? OK
		     : index_put_delivered(s->l, queue_id, recipient, local_key(s->f, uid));
}

static Err
remove_file(struct scan *s, const struct found *file)
{
	char name[LOCAL_NAME_MAX + 1], path[LOCAL_PATH_MAX];

	TRY(str_c(file->name, name, sizeof(name)));
	TRY(files_path(s->f->name, file->in_new ? "new" : "cur", name, NULL, path));
	return file_remove(s->l->folder, path);
}

/*
 * A file torn by a power cut. That of a delivery goes: its row is not there, so it was never synced,
 * so the queue still has it and brings it again.
 */
static Err
leave_torn(struct scan *s, const struct found *file, Str base)
{
	uint64_t queue_id;
	uint32_t recipient;

	return s->l->unclean && files_delivery_of(base, &queue_id, &recipient)
		       ? remove_file(s, file)
		       : OK;
}

static Err
adopt_arrival(struct scan *s, const struct found *file, struct arrival *a)
{
	struct mailbox_message message;
	char kept[64];
	Str base, info;
	uint64_t size;

	files_split_name(file->name, &base, &info);
	TRY(str_c(base, a->name, sizeof(a->name)));
	TRY(str_c(info, kept, sizeof(kept)));
	TRY(map_file(s, file, a));
	if (files_size_of(base, &size) && size != a->bytes.n)
		return leave_torn(s, file, base);
	a->raw = str_find_str(a->bytes, S("\r\n")) != STR_NONE;
	a->flags = file->in_new ? 0 : files_flags_of(info);
	TRY(arrival_parse(a, false));
	message = (struct mailbox_message){ .uid = model_next_uid(&s->l->m, s->f),
		.size = a->size,
		.flags = a->flags,
		.modseq = scan_modseq(s),
		.date = a->date };
	TRY(index_add(s->l, s->f, &message, a, file->in_new, kept));
	TRY(adopt_delivery(s, base, message.uid));
	model_added(&s->l->m, s->f, &message);
	if (file->in_new)
		notice_behind(s->l, local_key(s->f, message.uid));
	return OK;
}

/* A file that the index does not know. One that cannot be read now is left for the next time. */
static Err
adopt(struct scan *s, const struct found *file)
{
	struct arrival a = { .fd = -1 };
	Err e = adopt_arrival(s, file, &a);

	arrival_done(&a);
	return e.kind == ERR_PERM || e.sys == ENOSPC ? e : OK;
}

static Err
take_flags(struct scan *s, const struct known *k, Str info)
{
	const struct mailbox_message *at = model_message(s->f, (uint32_t)k->key);
	uint64_t differ = files_flags_of(k->info) ^ files_flags_of(info);
	struct mailbox_message now;

	if (at == NULL || differ == 0)
		return OK;
	now = *at;
	now.flags = (at->flags & ~differ) | (files_flags_of(info) & differ);
	if (now.flags == at->flags)
		return OK;
	now.modseq = scan_modseq(s);
	TRY(index_change(s->l, s->f, &now));
	model_changed(&s->l->m, s->f, &now);
	return OK;
}

/* A message's file was found: is its name the one we gave it? */
static Err
compare_name(struct scan *s, struct known *k, const struct found *file, Str info)
{
	char letters[64];

	k->seen = true;
	if (file->in_new == k->in_new && (k->in_new || str_eq(info, k->info)))
		return OK;
	TRY(str_c(info, letters, sizeof(letters)));
	if (!k->has_pending || file->in_new || !str_eq(info, k->pending))
		TRY(take_flags(s, k, info));
	return index_set_info(s->l, k->key, file->in_new, letters);
}

/* A copy, or a move, whose commit did not come about: nobody was told of it, and the original is there. */
static bool
is_half_made(struct scan *s, const struct found *file, Str base)
{
	char name[LOCAL_NAME_MAX + 1], path[LOCAL_PATH_MAX];
	struct stat st;

	return s->l->unclean && files_is_copy(base) &&
	       !failed(str_c(file->name, name, sizeof(name))) &&
	       !failed(files_path(s->f->name, file->in_new ? "new" : "cur", name, NULL,
		       path)) &&
	       fstatat(s->l->folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink > 1;
}

static Err
compare_file(struct scan *s, const struct found *file)
{
	struct known *k;
	Str base, info;

	files_split_name(file->name, &base, &info);
	k = str_map_get(s->known, base);
	if (k != NULL)
		return compare_name(s, k, file, info);
	if (str_map_get(s->gone, base) != NULL || is_half_made(s, file, base))
		return remove_file(s, file);
	return adopt(s, file);
}

/* While the queue has a message, a power cut may have taken its file: then a replay brings it. */
static Err
may_come_back(struct scan *s, const struct known *k, bool *ret)
{
	uint64_t queue_id, key;
	uint32_t recipient;

	*ret = s->l->unclean;
	if (*ret || !files_delivery_of(k->name, &queue_id, &recipient))
		return OK;
	return index_get_delivered(s->l, queue_id, recipient, ret, &key);
}

/*
 * A message without a file. Another program may have renamed it while we listed, so it is looked
 * for once more.
 */
static Err
miss(struct scan *s, const struct known *k)
{
	uint32_t uid = (uint32_t)k->key;
	struct local_file file;
	char path[LOCAL_PATH_MAX];
	struct stat st;
	bool stays;
	Err e;

	TRY(may_come_back(s, k, &stays));
	s->missed = s->missed || stays;
	if (stays)
		return OK;
	e = index_get_file(s->l, k->key, &file);
	if (failed(e))
		return e.kind == ERR_PEER ? OK : e;
	TRY(files_path_of(s->f, &file, path));
	if (fstatat(s->l->folder, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
		return OK;
	TRY(index_remove(s->l, s->f, uid, scan_modseq(s), NULL));
	model_removed(&s->l->m, s->f, uid, s->modseq);
	s->removed = true;
	return OK;
}

static Err
compare(struct scan *s)
{
	struct known *k;
	size_t at = 0;
	Err e = OK;

	for (const struct found *file = s->files; file != NULL && !failed(e); file = file->next)
		e = compare_file(s, file);
	while (!failed(e) && (k = str_map_each(s->known, &at)) != NULL)
		if (!k->seen)
			e = miss(s, k);
	if (s->removed)
		model_sweep(s->f);
	return e;
}

/* A time is remembered only when nothing can have happened since within the same tick. */
static int64_t
settled(int64_t changed)
{
	return clock_wall().us * 1000 - changed < RECENT ? 0 : changed;
}

static Err
scan_folder(struct scan *s)
{
	int64_t changed_new = settled(files_changed(s->l, s->f->name, "new"));
	int64_t changed_cur = settled(files_changed(s->l, s->f->name, "cur"));

	TRY(model_load(&s->l->m, s->f));
	TRY(read_known(s));
	TRY(read_gone(s));
	TRY(list_folder(s, true));
	TRY(list_folder(s, false));
	TRY(compare(s));
	if (changed_new != s->f->seen_new || changed_cur != s->f->seen_cur)
		model_touch(&s->l->m, s->f);
	s->f->seen_new = s->missed ? 0 : changed_new; /* to be looked at again */
	s->f->seen_cur = s->missed ? 0 : changed_cur;
	return OK;
}

/* What lies in new/ has been seen by a client now: it belongs in cur/. */
static Err
list_fresh(struct local *l, struct folder *f)
{
	sqlite3_stmt *q;
	bool row;

	TRY(index_statement(l, LOCAL_GET_FILES, &q));
	sql_bind_u64(q, 1, local_key(f, 0));
	sql_bind_u64(q, 2, local_key(f, UINT32_MAX));
	TRY(sql_step(q, &row));
	while (row) {
		if (sqlite3_column_type(q, 2) == SQLITE_NULL)
			notice_behind(l, sql_u64(q, 0));
		TRY(sql_step(q, &row));
	}
	f->listed = true;
	return OK;
}

Err
notice_folder(struct mailbox *m, struct folder *f, bool force)
{
	struct local *l = local_of(m);
	struct scan s = { .l = l, .f = f };
	Err e;

	/* a folder that a client sees is there for other programs too */
	if (!l->unclean && files_changed(l, f->name, "new") == 0)
		TRY(files_make_folder(l, f->name));
	if (!f->listed && !l->unclean)
		TRY(list_fresh(l, f));
	if (!force && notice_quiet(l, f, true) && notice_quiet(l, f, false))
		return OK;
	TRY(change_begin_locked(m));
	s.arena = arena_new(SCAN_MAX);
	s.known = str_map_new();
	s.gone = str_map_new();
	e = scan_folder(&s);
	str_map_free(s.known);
	str_map_free(s.gone);
	arena_free(s.arena);
	return change_end_locked(m, e, MAILBOX_COVERED);
}

/* ---- Writing behind ---- */

void
notice_behind(struct local *l, uint64_t key)
{
	if (l->behind_count == 0)
		l->behind_since = clock_wall();
	if (l->behind_count == l->behind_capacity) {
		l->behind_capacity = l->behind_capacity == 0 ? 64 : l->behind_capacity * 2;
		l->behind = memory_resize(l->behind, l->behind_capacity, sizeof(uint64_t));
	}
	l->behind[l->behind_count++] = key;
}

/* The name that a message's file should have; false when it has it, or the message is gone. */
static bool
wanted_name(struct local *l, uint64_t key, struct local_file *ret_file, char info[64])
{
	const struct folder *f = model_folder(&l->m, (uint32_t)(key >> 32));
	const struct mailbox_message *at;

	if (f == NULL || failed(model_load(&l->m, (struct folder *)f)))
		return false;
	at = model_message(f, (uint32_t)key);
	if (at == NULL || failed(index_get_file(l, key, ret_file)))
		return false;
	files_write_info(at->flags, ret_file->info, info);
	return ret_file->in_new || strcmp(info, ret_file->info) != 0;
}

static Err
announce(struct local *l, const uint64_t *keys, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct local_file file;
		char info[64];

		if (wanted_name(l, keys[i], &file, info))
			TRY(index_set_pending(l, keys[i], info));
	}
	return OK;
}

static Err
rename_announced(struct local *l, uint64_t key)
{
	struct folder *f = model_folder(&l->m, (uint32_t)(key >> 32));
	char from[LOCAL_PATH_MAX], to[LOCAL_PATH_MAX];
	bool quiet_from, quiet_to;
	struct local_file file;
	Err e;

	if (f == NULL || failed(index_get_file(l, key, &file)) ||
		strcmp(file.pending, "-") == 0)
		return OK;
	TRY(files_path_of(f, &file, from));
	TRY(files_path(f->name, "cur", file.name, file.pending, to));
	quiet_to = notice_quiet(l, f, false);
	quiet_from = file.in_new && notice_quiet(l, f, true);
	e = file_rename(l->folder, from, l->folder, to);
	notice_ours(l, f, false, quiet_to);
	if (file.in_new)
		notice_ours(l, f, true, quiet_from);
	if (failed(e) && e.sys != ENOENT && e.sys != ENAMETOOLONG)
		return e;
	/* ENOENT: somebody was faster; the next look finds out. ENAMETOOLONG: it stays as it is */
	return failed(e) ? OK : index_set_info(l, key, false, file.pending);
}

static int
compare_keys(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* Announces, renames, remembers: two commits, nothing synced. */
static Err
write_batch(struct local *l, const uint64_t *keys, size_t count)
{
	Err e;

	TRY(change_begin_locked(&l->m));
	e = announce(l, keys, count);
	TRY(change_end_locked(&l->m, e, MAILBOX_COVERED));
	TRY(change_begin_locked(&l->m));
	for (size_t i = 0; i < count && !failed(e); i++)
		e = rename_announced(l, keys[i]);
	return change_end_locked(&l->m, e, MAILBOX_COVERED);
}

Err
notice_write_behind(struct local *l, bool all)
{
	do {
		uint64_t keys[LOCAL_TIDY_BATCH];
		size_t count = l->behind_count < COUNT(keys) ? l->behind_count : COUNT(keys);
		size_t to = 0;

		if (count == 0)
			return OK;
		l->behind_count -= count;
		memcpy(keys, l->behind + l->behind_count, count * sizeof(*keys));
		qsort(keys, count, sizeof(*keys), compare_keys);
		for (size_t i = 0; i < count; i++)
			if (i == 0 || keys[i] != keys[to - 1])
				keys[to++] = keys[i];
		TRY(write_batch(l, keys, to));
	} while (all);
	return OK;
}

static Err
look(struct local *l, bool *ret_views)
{
	for (size_t i = 0; i < l->m.folder_count; i++) {
		if (list_empty(&l->m.folders[i]->views))
			continue;
		*ret_views = true;
		TRY(notice_folder(&l->m, l->m.folders[i], false));
	}
	return OK;
}

Err
notice_tidy(struct mailbox *m, Time now, Time *ret_due)
{
	struct local *l = local_of(m);
	Time due = time_add_seconds(now, HOUR);
	bool views = false;

	if (now.us >= time_add_seconds(l->looked, LOCAL_LOOK_EVERY).us) {
		l->looked = now;
		TRY(look(l, &views));
	} else {
		for (size_t i = 0; i < m->folder_count; i++)
			views = views || !list_empty(&m->folders[i]->views);
	}
	if (l->behind_count > 0 &&
		now.us >= time_add_seconds(l->behind_since, LOCAL_WRITE_BEHIND).us)
		TRY(notice_write_behind(l, false));
	if (views)
		due = time_add_seconds(l->looked, LOCAL_LOOK_EVERY);
	if (l->behind_count > 0 &&
		time_add_seconds(l->behind_since, LOCAL_WRITE_BEHIND).us < due.us)
		due = time_add_seconds(l->behind_since, LOCAL_WRITE_BEHIND);
	*ret_due = due;
	return OK;
}
