/* SPDX-License-Identifier: ISC */
#include "base/hash.h"
#include "base/memory.h"
#include "os/file.h"
#include "os/memfd.h"
#include "store/queue/driver.h"

#include <dirent.h>
#include <stdlib.h>

enum {
	STEP = 256 * 1024, /* octets copied at a time */
	BODY_NAME_MAX = QUEUE_ID_TEXT_MAX + 1,
};

struct local {
	struct driver driver;
	struct journal *journal;
	int journal_folder, large_folder;
	bool unsynced; /* bodies written since the last sync_bodies */
};

static struct local *
local_of(const struct driver *d)
{
	return (struct local *)d;
}

static void
local_free(struct driver *d)
{
	struct local *l = local_of(d);

	journal_free(l->journal);
	fd_drop(&l->journal_folder);
	fd_drop(&l->large_folder);
	free(l);
}

static Err
local_replay(struct driver *d, const struct journal_reader *reader, void *self)
{
	return journal_replay(local_of(d)->journal, reader, self);
}

static size_t
local_payload_max(const struct driver *d)
{
	return journal_payload_max(local_of(d)->journal);
}

static bool
local_fits(const struct driver *d, size_t size)
{
	return journal_fits(local_of(d)->journal, size);
}

/* When the segments ahead were used up faster than prepared, makes one now. */
static bool
local_has_room(struct driver *d, size_t size)
{
	struct journal *j = local_of(d)->journal;
	bool more = true;

	while (!journal_has_room(j, size) && more)
		if (failed(journal_prepare(j, &more)))
			return false;
	return journal_has_room(j, size);
}

static Err
local_next(struct driver *d, size_t size, uint64_t *ret)
{
	return journal_next(local_of(d)->journal, size, ret);
}

static Err
local_add(struct driver *d, uint16_t type, const Str *parts, size_t part_count, uint64_t *ret)
{
	return journal_add(local_of(d)->journal, type, parts, part_count, ret);
}

static Err
local_write(struct driver *d)
{
	return journal_write(local_of(d)->journal);
}

static Err
local_commit(struct driver *d)
{
	return journal_commit(local_of(d)->journal);
}

static Err
local_read(struct driver *d, uint64_t position, uint16_t *ret_type, struct buf *ret)
{
	return journal_read(local_of(d)->journal, position, ret_type, ret);
}

static uint64_t
local_end(const struct driver *d)
{
	return journal_end(local_of(d)->journal);
}

static uint64_t
local_floor(const struct driver *d)
{
	return journal_floor(local_of(d)->journal);
}

static Err
local_set_floor(struct driver *d, uint64_t floor)
{
	return journal_set_floor(local_of(d)->journal, floor);
}

static bool
local_oldest(const struct driver *d, uint64_t *ret_behind, size_t *ret_closed)
{
	return journal_oldest(local_of(d)->journal, ret_behind, ret_closed);
}

static Err
local_prepare(struct driver *d, bool *ret_more)
{
	return journal_prepare(local_of(d)->journal, ret_more);
}

static void
local_rest(struct driver *d)
{
	journal_rest(local_of(d)->journal);
}

static struct journal_figures
local_figures(const struct driver *d)
{
	return journal_figures(local_of(d)->journal);
}

static void
body_name(uint64_t id, char ret[BODY_NAME_MAX])
{
	AUTO_BUF text = BUF_INIT(QUEUE_ID_TEXT_MAX);

	queue_id_write(&text, id);
	memcpy(ret, text.p, text.n);
	ret[text.n] = '\0';
}

static Err
write_body(int to, Str bytes, int fd, uint64_t size, uint32_t *ret_sum)
{
	AUTO_BUF step = BUF_INIT(STEP);
	uint32_t sum = 0;

	if (fd < 0) {
		*ret_sum = hash_crc32c(0, bytes);
		return file_write(to, bytes);
	}
	for (uint64_t at = 0; at < size;) {
		size_t n = size - at < STEP ? (size_t)(size - at) : STEP;
		char *room;

		buf_reset(&step);
		room = buf_room(&step, n);
		if (room == NULL)
			return fail(ERR_TEMP, "no memory to copy a message");
		TRY(memfd_read(fd, (off_t)at, room, n));
		buf_grew(&step, n);
		sum = hash_crc32c(sum, buf_view(&step));
		TRY(file_write(to, buf_view(&step)));
		at += n;
	}
	*ret_sum = sum;
	return OK;
}

static Err
local_save_body(struct driver *d, uint64_t id, Str bytes, int fd, uint64_t size,
	uint32_t *ret_sum)
{
	struct local *l = local_of(d);
	char name[BODY_NAME_MAX];
	AUTO_FD to = -1;
	Err e;

	body_name(id, name);
	/* A file of this name can only be what an earlier failure left. */
	TRY(file_remove(l->large_folder, name));
	TRY(file_create(l->large_folder, name, 0600, &to));
	e = write_body(to, bytes, fd, size, ret_sum);
	if (!failed(e))
		e = file_sync(to);
	if (failed(e)) {
		(void)!failed(file_remove(l->large_folder, name));
		return e;
	}
	l->unsynced = true;
	return OK;
}

static Err
local_sync_bodies(struct driver *d)
{
	struct local *l = local_of(d);

	if (!l->unsynced)
		return OK;
	TRY(file_sync_folder(l->large_folder));
	l->unsynced = false;
	return OK;
}

static Err
local_load_body(struct driver *d, uint64_t id, uint64_t size, struct buf *ret)
{
	char name[BODY_NAME_MAX];
	AUTO_FD fd = -1;
	char *room;

	body_name(id, name);
	TRY(file_open_read(local_of(d)->large_folder, name, &fd));
	room = buf_room(ret, size);
	if (room == NULL)
		return fail(ERR_TEMP, "no memory for a large message");
	TRY(file_read_at(fd, 0, room, size));
	buf_grew(ret, size);
	return OK;
}

static void
local_remove_body(struct driver *d, uint64_t id)
{
	char name[BODY_NAME_MAX];

	body_name(id, name);
	/* What stays is swept at the next start. */
	(void)!failed(file_remove(local_of(d)->large_folder, name));
}

static void
local_sweep_bodies(struct driver *d, bool (*wanted)(void *self, uint64_t id), void *self)
{
	struct local *l = local_of(d);
	struct dirent *entry;
	uint64_t id;
	DIR *dir;
	int fd;

	if (failed(file_open_folder(l->large_folder, ".", &fd)))
		return;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL)
		if (!failed(queue_id_parse(str_from(entry->d_name), &id)) && !wanted(self, id))
			local_remove_body(d, id);
	closedir(dir);
}

static const struct driver_ops local_ops = {
	.free = local_free,
	.replay = local_replay,
	.payload_max = local_payload_max,
	.fits = local_fits,
	.has_room = local_has_room,
	.next = local_next,
	.add = local_add,
	.write = local_write,
	.commit = local_commit,
	.read = local_read,
	.end = local_end,
	.floor = local_floor,
	.set_floor = local_set_floor,
	.oldest = local_oldest,
	.prepare = local_prepare,
	.rest = local_rest,
	.figures = local_figures,
	.save_body = local_save_body,
	.sync_bodies = local_sync_bodies,
	.load_body = local_load_body,
	.remove_body = local_remove_body,
	.sweep_bodies = local_sweep_bodies,
};

static Err
open_folders(struct local *l, int spool, const struct queue_limits *limits)
{
	struct journal_settings settings = { .segment_size = limits->segment_size,
		.free_min = limits->free_min };

	TRY(file_make_folder(spool, "journal", 0700));
	TRY(file_make_folder(spool, "large", 0700));
	TRY(file_sync_folder(spool));
	TRY(file_open_folder(spool, "journal", &l->journal_folder));
	TRY(file_open_folder(spool, "large", &l->large_folder));
	return journal_open(l->journal_folder, &settings, &l->journal);
}

Err
driver_local_open(int spool, const struct queue_limits *limits, struct driver **ret)
{
	struct local *l = memory_get(sizeof(*l));
	Err e;

	l->driver.ops = &local_ops;
	l->journal_folder = l->large_folder = -1;
	e = open_folders(l, spool, limits);
	if (failed(e)) {
		local_free(&l->driver);
		return e;
	}
	*ret = &l->driver;
	return OK;
}
