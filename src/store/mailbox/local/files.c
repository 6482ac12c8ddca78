/* SPDX-License-Identifier: ISC */
#include "store/mailbox/local/files.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/mailbox/model.h"
#include "store/mailbox/name.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Deleted folders on their way out: no name of Maildir++ begins like this. */
#define GONE "+gone-"

enum {
	FOLDER_MODE = 0700,
};

/* In the order that Maildir wants: ASCII. */
static const struct {
	char letter;
	uint64_t flag;
} letters[] = {
	{ 'D', MAILBOX_DRAFT },
	{ 'F', MAILBOX_FLAGGED },
	{ 'R', MAILBOX_ANSWERED },
	{ 'S', MAILBOX_SEEN },
	{ 'T', MAILBOX_DELETED },
};

Err
files_path(Str folder, const char *sub, const char *name, const char *info,
	char ret[LOCAL_PATH_MAX])
{
	AUTO_BUF disk = BUF_INIT(NAME_DISK_MAX);
	Str at;
	int n;

	TRY(name_to_disk(folder, &disk));
	at = buf_view(&disk);
	n = snprintf(ret, LOCAL_PATH_MAX, "Maildir/%.*s%s%s%s%s%s%s", STR_ARG(at),
		at.n > 0 && sub != NULL ? "/" : "", sub == NULL ? "" : sub,
		name == NULL ? "" : "/", name == NULL ? "" : name, info == NULL ? "" : ":2,",
		info == NULL ? "" : info);
	return n < LOCAL_PATH_MAX ? OK : fail(ERR_PERM, "name of a file is too long");
}

Err
files_path_of(const struct folder *f, const struct local_file *file, char ret[LOCAL_PATH_MAX])
{
	return files_path(f->name, file->in_new ? "new" : "cur", file->name,
		file->in_new ? NULL : file->info, ret);
}

static Err
make_folder(struct local *l, Str folder)
{
	static const char *const subs[] = { NULL, "cur", "new", "tmp" };
	char path[LOCAL_PATH_MAX];

	for (size_t i = 0; i < COUNT(subs); i++) {
		TRY(files_path(folder, subs[i], NULL, NULL, path));
		TRY(file_make_folder(l->folder, path, FOLDER_MODE));
	}
	l->made_folder = true;
	return OK;
}

Err
files_make_folder(struct local *l, Str folder)
{
	Err e = make_folder(l, folder);

	if (!failed(e) || e.sys != ENOENT)
		return e;
	TRY(make_folder(l, S("INBOX"))); /* the others lie in it */
	return make_folder(l, folder);
}

void
files_write_info(uint64_t flags, const char *old, char ret[64])
{
	size_t n = 0;

	for (char letter = 'A'; letter <= 'z' && n < 63; letter++) {
		bool ours = false, set = false;

		for (size_t i = 0; i < COUNT(letters); i++)
			if (letters[i].letter == letter) {
				ours = true;
				set = (flags & letters[i].flag) != 0;
			}
		if (ours ? set : char_is_alpha(letter) && strchr(old, letter) != NULL)
			ret[n++] = letter;
	}
	ret[n] = '\0';
}

uint64_t
files_flags_of(Str info)
{
	uint64_t flags = 0;

	for (size_t i = 0; i < COUNT(letters); i++)
		if (str_has(info, letters[i].letter))
			flags |= letters[i].flag;
	return flags;
}

void
files_split_name(Str name, Str *ret_base, Str *ret_info)
{
	size_t colon = str_find_last(name, ':');

	*ret_base = name;
	*ret_info = S("");
	if (colon == STR_NONE)
		return;
	*ret_base = str_part(name, 0, colon);
	if (str_starts(str_from_at(name, colon), S(":2,")))
		*ret_info = str_from_at(name, colon + 3);
}

/*
 * TIME.UNIQUE.HOST,S=SIZE,W=SIZE. A delivery is named after its id, so that after a crash a file
 * tells which delivery it is of; anything else after the moment and a counter.
 */
void
files_new_name(struct local *l, struct arrival *a, bool copy)
{
	if (a->queue_id != 0) {
		snprintf(a->name, sizeof(a->name),
			"%" PRId64 ".Q%" PRIX64 "R%" PRIu32 ".%.80s,S=%zu,W=%" PRIu32, a->date,
			a->queue_id, a->recipient, l->m.host, a->bytes.n, a->size);
		return;
	}
	snprintf(a->name, sizeof(a->name),
		"%" PRId64 ".%c%" PRId64 "P%dN%u.%.80s,S=%zu,W=%" PRIu32,
		time_seconds(clock_wall()), copy ? 'C' : 'M', clock_wall().us % 1000000,
		(int)getpid(), __atomic_add_fetch(&l->serial, 1, __ATOMIC_RELAXED), l->m.host,
		a->bytes.n, a->size);
}

bool
files_is_copy(Str base)
{
	struct cursor c = cursor_of(base);

	cursor_until(&c, '.');
	return cursor_take_str(&c, S(".C")) && char_is_digit(cursor_peek(&c));
}

bool
files_is_ours(const struct local *l, Str name)
{
	char mark[sizeof(l->m.host) + 8];

	snprintf(mark, sizeof(mark), ".%.80s,S=", l->m.host);
	return str_find_str(name, str_from(mark)) != STR_NONE;
}

bool
files_size_of(Str base, uint64_t *ret)
{
	size_t at = str_find_str(base, S(",S="));
	struct cursor c;

	if (at == STR_NONE)
		return false;
	c = cursor_of(str_from_at(base, at + 3));
	return str_to_u64(cursor_while(&c, char_is_digit), UINT64_MAX, ret);
}

bool
files_delivery_of(Str base, uint64_t *ret_queue_id, uint32_t *ret_recipient)
{
	struct cursor c = cursor_of(base);
	uint64_t id = 0, number;
	size_t digits = 0;

	cursor_until(&c, '.');
	if (!cursor_take_str(&c, S(".Q")))
		return false;
	while (char_is_digit(cursor_peek(&c)) ||
		(cursor_peek(&c) >= 'A' && cursor_peek(&c) <= 'F')) {
		int ch = cursor_next(&c);

		id = id << 4 | (uint64_t)(ch <= '9' ? ch - '0' : ch - 'A' + 10);
		digits++;
	}
	if (digits == 0 || digits > 16 || !cursor_take_char(&c, 'R') ||
		!str_to_u64(cursor_while(&c, char_is_digit), UINT32_MAX, &number) ||
		!cursor_take_char(&c, '.'))
		return false;
	*ret_queue_id = id;
	*ret_recipient = (uint32_t)number;
	return true;
}

static struct local_leaving *
add_leaving(struct local *l, const char *path)
{
	struct local_leaving *at;

	l->leaving = memory_resize(l->leaving, l->leaving_count + 1, sizeof(*l->leaving));
	at = &l->leaving[l->leaving_count++];
	*at = (struct local_leaving){ .change = l->m.change,
		.path = memory_copy_c(str_from(path)) };
	return at;
}

void
files_leave(struct local *l, const char *path, bool if_failed)
{
	add_leaving(l, path)->if_failed = if_failed;
}

Err
files_move_folder(struct local *l, Str from, const Str *to)
{
	char old[LOCAL_PATH_MAX], path[LOCAL_PATH_MAX];

	TRY(files_path(from, NULL, NULL, NULL, old));
	if (to == NULL) {
		snprintf(path, sizeof(path), "Maildir/" GONE "%" PRId64 "-%u", clock_wall().us,
			__atomic_add_fetch(&l->serial, 1, __ATOMIC_RELAXED));
		add_leaving(l, path)->is_folder = true;
	} else {
		TRY(files_path(*to, NULL, NULL, NULL, path));
	}
	l->moves = memory_resize(l->moves, l->move_count + 1, sizeof(*l->moves));
	l->moves[l->move_count++] = (struct local_move){ .from = memory_copy_c(str_from(old)),
		.to = memory_copy_c(str_from(path)) };
	return OK;
}

static void
drop_moves(struct local *l, size_t from)
{
	for (size_t i = from; i < l->move_count; i++) {
		free(l->moves[i].from);
		free(l->moves[i].to);
	}
	l->move_count = from;
}

void
files_make_moves(struct local *l)
{
	AUTO_FD fd = -1;
	Err e = OK;

	if (l->move_count == 0)
		return;
	for (size_t i = 0; i < l->move_count; i++)
		(void)failed(file_rename(l->folder, l->moves[i].from, l->folder,
			l->moves[i].to));
	drop_moves(l, 0);
	/* only then the old names may be forgotten */
	e = file_open_folder(l->folder, "Maildir", &fd);
	if (!failed(e))
		e = file_sync_folder(fd);
	for (size_t i = 0; i < l->m.folder_count && (!failed(e) || e.sys == ENOENT); i++)
		l->m.folders[i]->was = S("");
}

void
files_mark(struct local *l, bool first)
{
	l->leaving_marked = first ? 0 : l->leaving_count;
	l->moves_marked = first ? 0 : l->move_count;
}

/* What a failed change would have taken away stays; what it made goes at once. */
void
files_stay(struct local *l)
{
	size_t from = l->leaving_count;

	while (from > l->leaving_marked && l->leaving[from - 1].change == l->m.change)
		from--;
	for (size_t i = from; i < l->leaving_count; i++) {
		if (l->leaving[i].if_failed)
			(void)failed(file_remove(l->folder, l->leaving[i].path));
		free(l->leaving[i].path);
	}
	l->leaving_count = from;
	drop_moves(l, l->moves_marked);
}

/* Everything in a folder, but no folder in it. */
static void
empty_folder(const struct local *l, const char *path)
{
	struct dirent *entry;
	DIR *dir;
	int fd;

	if (failed(file_open_folder(l->folder, path, &fd)))
		return;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			(void)failed(file_remove(fd, entry->d_name));
	closedir(dir);
}

/* A folder with cur, new and tmp. What is not ours in it keeps it from going. */
static void
remove_folder(const struct local *l, const char *path)
{
	static const char *const subs[] = { "/cur", "/new", "/tmp", "" };

	for (size_t i = 0; i < COUNT(subs); i++) {
		char sub[LOCAL_PATH_MAX];

		snprintf(sub, sizeof(sub), "%s%s", path, subs[i]);
		empty_folder(l, sub);
		(void)unlinkat(l->folder, sub, AT_REMOVEDIR);
	}
}

Err
files_remove_leaving(struct local *l)
{
	struct local_leaving *mine;
	size_t count = 0;

	pthread_mutex_lock(&l->m.lock);
	mine = l->leaving;
	while (count < l->leaving_count && l->leaving[count].change <= l->m.change_done)
		count++;
	if (count > 0) {
		size_t left = l->leaving_count - count;

		l->leaving = NULL;
		if (left > 0) {
			l->leaving = memory_get_array(left, sizeof(*mine));
			memcpy(l->leaving, mine + count, left * sizeof(*mine));
		}
		l->leaving_count = left;
		l->leaving_marked = 0;
	}
	pthread_mutex_unlock(&l->m.lock);
	if (count == 0)
		return OK;
	for (size_t i = 0; i < count; i++) {
		if (mine[i].is_folder)
			remove_folder(l, mine[i].path);
		else if (!mine[i].if_failed)
			(void)failed(file_remove(l->folder, mine[i].path));
		free(mine[i].path);
	}
	free(mine);
	return OK;
}

static void
recover_entry(struct local *l, const char *folder, const char *name, bool in_tmp)
{
	char path[LOCAL_PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", folder, name) >= (int)sizeof(path))
		return;
	/* nobody writes a file of ours any more */
	if (in_tmp && files_is_ours(l, str_from(name)))
		(void)failed(file_remove(l->folder, path));
	else if (!in_tmp && str_starts(str_from(name), S(GONE)))
		remove_folder(l, path);
}

static Err
recover_in(struct local *l, const char *folder, bool in_tmp)
{
	struct dirent *entry;
	DIR *dir;
	int fd;
	Err e = file_open_folder(l->folder, folder, &fd);

	if (failed(e))
		return e.sys == ENOENT ? OK : e;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return fail_sys(ERR_TEMP, "cannot list folder");
	}
	while ((entry = readdir(dir)) != NULL)
		recover_entry(l, folder, entry->d_name, in_tmp);
	closedir(dir);
	return OK;
}

/* A renamed folder whose files are still under its old name, which no other folder has now. */
static Err
recover_move(struct local *l, const struct folder *f)
{
	char old[LOCAL_PATH_MAX], path[LOCAL_PATH_MAX];
	struct stat st;

	if (f->was.n == 0 || model_folder_named(&l->m, f->was) != NULL)
		return OK;
	TRY(files_path(f->was, NULL, NULL, NULL, old));
	TRY(files_path(f->name, NULL, NULL, NULL, path));
	if (fstatat(l->folder, path, &st, 0) == 0 || fstatat(l->folder, old, &st, 0) != 0)
		return OK;
	return file_rename(l->folder, old, l->folder, path);
}

Err
files_recover(struct local *l)
{
	for (size_t i = 0; i < l->m.folder_count; i++)
		TRY(recover_move(l, l->m.folders[i]));
	TRY(recover_in(l, "Maildir/tmp", true));
	return recover_in(l, "Maildir", false);
}

int64_t
files_changed(const struct local *l, Str folder, const char *sub)
{
	char path[LOCAL_PATH_MAX];
	struct stat st;

	if (failed(files_path(folder, sub, NULL, NULL, path)) ||
		fstatat(l->folder, path, &st, 0) != 0)
		return 0;
	return st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}
