/* SPDX-License-Identifier: ISC */
#include "store/journal/segment.h"

#include "base/hash.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
	STEP = 1024 * 1024, /* octets zeroed at a time */
	SECTOR = 4096,
	SECONDS_PER_SERIAL = 8,
};

/* A first serial number taken from here lets no spool that begins anew repeat old queue ids. */
static const int64_t SERIALS_BEGIN = 1767225600; /* 2026-01-01 */

/*
 * Serial numbers follow the clock where it is ahead of them: then a spool that was removed, or put
 * back from a backup, does not give a second message an id that a mailbox has seen already.
 */
static uint64_t
take_serial(struct segments *s)
{
	int64_t now = (time_seconds(clock_wall()) - SERIALS_BEGIN) / SECONDS_PER_SERIAL;

	if (now > 0 && (uint64_t)now > s->next_serial)
		s->next_serial = (uint64_t)now;
	return s->next_serial++;
}

static Err
write_head(int fd, const struct segment_head *head)
{
	AUTO_BUF bytes = BUF_INIT(SEGMENT_FIRST);
	Str part;

	segment_head_write(&bytes, head);
	TRY(buf_check(&bytes));
	part = buf_view(&bytes);
	TRY(file_write_at(fd, 0, &part, 1));
	return file_sync(fd);
}

static struct segment *
insert(struct segments *s, struct segment new)
{
	size_t at = s->count;

	if (s->count == s->cap) {
		s->cap = s->cap == 0 ? 8 : s->cap * 2;
		s->list = memory_resize(s->list, s->cap, sizeof(*s->list));
	}
	while (at > 0 && s->list[at - 1].head.serial > new.head.serial)
		at--;
	memmove(s->list + at + 1, s->list + at, (s->count - at) * sizeof(*s->list));
	s->count++;
	s->list[at] = new;
	if (new.head.serial >= s->next_serial)
		s->next_serial = new.head.serial + 1;
	return &s->list[at];
}

static struct segment
take_out(struct segments *s, struct segment *segment)
{
	struct segment taken = *segment;
	size_t at = (size_t)(segment - s->list);

	s->count--;
	memmove(s->list + at, s->list + at + 1, (s->count - at) * sizeof(*s->list));
	return taken;
}

static Err
set_aside(struct segments *s, const char *name, off_t size)
{
	struct journal_damage *lost;

	s->lost = memory_resize(s->lost, s->lost_count + 1, sizeof(*s->lost));
	lost = &s->lost[s->lost_count++];
	*lost = (struct journal_damage){ .at = 0, .size = (uint64_t)size };
	snprintf(lost->file, sizeof(lost->file), "damaged-%s", name + strlen("segment-"));
	return file_rename(s->folder, name, s->folder, lost->file);
}

static Err
open_one(struct segments *s, const char *name)
{
	struct segment segment = { .state = SEGMENT_CLOSED };
	char head[SEGMENT_FIRST] = { 0 };
	struct stat st;
	AUTO_FD fd = -1;
	uint64_t number;

	if (!str_to_u64(str_from(name + strlen("segment-")), UINT32_MAX, &number))
		return OK; /* not ours */
	if (number >= s->next_name)
		s->next_name = (uint32_t)number + 1;
	TRY(file_open_write(s->folder, name, &fd));
	if (fstat(fd, &st) != 0)
		return fail_sys(ERR_TEMP, "cannot stat journal segment");
	/* A head that cannot be read is as good as damaged. */
	(void)!pread(fd, head, sizeof(head), 0);
	if (!segment_head_parse((Str){ head, sizeof(head) }, &segment.head) ||
		segment.head.size > SEGMENT_MAX ||
		segments_find(s, segment.head.serial) != NULL)
		return set_aside(s, name, st.st_size);
	snprintf(segment.name, sizeof(segment.name), "%s", name);
	segment.fd = TAKE_FD(fd);
	insert(s, segment);
	return OK;
}

static Err
open_all(struct segments *s, DIR *dir)
{
	struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		Str name = str_from(entry->d_name);

		if (str_starts(name, S("making-")))
			TRY(file_remove(s->folder, entry->d_name));
		else if (str_starts(name, S("segment-")) && name.n < sizeof(s->making.name))
			TRY(open_one(s, entry->d_name));
	}
	return OK;
}

Err
segments_open(struct segments *s, int folder, uint32_t size)
{
	DIR *dir;
	Err e;
	int fd;

	*s = (struct segments){ .folder = folder, .size = size, .making.fd = -1 };
	s->next_serial = 1;
	s->next_name = 1;
	TRY(file_open_folder(folder, ".", &fd));
	dir = fdopendir(fd);
	if (dir == NULL) {
		e = fail_sys(ERR_TEMP, "cannot list journal");
		close(fd);
		return e;
	}
	e = open_all(s, dir);
	closedir(dir);
	if (failed(e))
		segments_close(s);
	return e;
}

void
segments_close(struct segments *s)
{
	for (size_t i = 0; i < s->count; i++)
		close(s->list[i].fd);
	free(s->list);
	free(s->lost);
	fd_drop(&s->making.fd);
	*s = (struct segments){ .making.fd = -1 };
}

struct segment *
segments_find(const struct segments *s, uint64_t serial)
{
	size_t low = 0, high = s->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (s->list[middle].head.serial == serial)
			return &s->list[middle];
		if (s->list[middle].head.serial < serial)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

size_t
segments_count(const struct segments *s, enum segment_state state)
{
	size_t n = 0;

	for (size_t i = 0; i < s->count; i++)
		n += s->list[i].state == state;
	return n;
}

struct segment *
segments_first_empty(const struct segments *s)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->list[i].state == SEGMENT_EMPTY)
			return &s->list[i];
	return NULL;
}

static struct segment_head
new_head(struct segments *s)
{
	return (struct segment_head){
		.serial = take_serial(s), .mark = hash_key_new().a, .size = s->size
	};
}

/*
 * Zeros, written out and not fallocated: a sync then has no metadata to journal. Each step waits
 * for the one before it to reach the disk, so that the sync at the end finds little to do.
 */
static Err
zero_step(struct segments *s)
{
	uint32_t n = s->size - s->making.done < STEP ? s->size - s->making.done : STEP;
	char *zeros = memory_get(n);
	Str part = { zeros, n };
	Err e = file_write_at(s->making.fd, s->making.done, &part, 1);

	free(zeros);
	TRY(e);
	if (s->making.done > 0)
		(void)sync_file_range(s->making.fd, 0, s->making.done,
			SYNC_FILE_RANGE_WAIT_BEFORE);
	(void)sync_file_range(s->making.fd, s->making.done, n, SYNC_FILE_RANGE_WRITE);
	s->making.done += n;
	return OK;
}

static Err
finish_making(struct segments *s)
{
	struct segment segment = { .state = SEGMENT_EMPTY, .head = new_head(s) };

	TRY(write_head(s->making.fd, &segment.head));
	snprintf(segment.name, sizeof(segment.name), "segment-%08u", s->next_name);
	TRY(file_rename(s->folder, s->making.name, s->folder, segment.name));
	s->next_name++;
	segment.fd = TAKE_FD(s->making.fd);
	insert(s, segment);
	return file_sync_folder(s->folder);
}

static Err
make_step(struct segments *s, bool *ret_done)
{
	*ret_done = false;
	if (s->making.fd < 0) {
		snprintf(s->making.name, sizeof(s->making.name), "making-%08u", s->next_name);
		TRY(file_remove(s->folder, s->making.name));
		TRY(file_create(s->folder, s->making.name, 0600, &s->making.fd));
		s->making.done = 0;
	}
	if (s->making.done < s->size)
		return zero_step(s);
	TRY(finish_making(s));
	*ret_done = true;
	return OK;
}

Err
segments_make_step(struct segments *s, bool *ret_done)
{
	Err e = make_step(s, ret_done);

	if (failed(e) && s->making.fd >= 0) {
		fd_drop(&s->making.fd);
		(void)!failed(file_remove(s->folder, s->making.name));
	}
	return e;
}

Err
segments_reuse(struct segments *s, uint64_t serial)
{
	struct segment *old = segments_find(s, serial), new = *old;

	if (old->head.size != s->size)
		return segments_remove(s, serial);
	new.head = new_head(s);
	new.state = SEGMENT_EMPTY;
	new.ended = false;
	/* Should this fail, the head on disk is either one; neither holds anything still needed. */
	old->state = SEGMENT_SUSPECT;
	TRY(write_head(old->fd, &new.head));
	(void)take_out(s, old);
	insert(s, new);
	return OK;
}

Err
segments_remove(struct segments *s, uint64_t serial)
{
	struct segment *segment = segments_find(s, serial);

	TRY(file_remove(s->folder, segment->name));
	close(take_out(s, segment).fd);
	return OK;
}

Err
segment_read(const struct segment *s, struct buf *ret)
{
	char *room;

	buf_reset(ret);
	room = buf_room(ret, s->head.size);
	if (room == NULL)
		return fail(ERR_TEMP, "no memory to read a journal segment");
	memset(room, 0, s->head.size);
	buf_grew(ret, s->head.size);
	for (size_t at = 0; at < s->head.size; at += STEP) {
		size_t n = s->head.size - at < STEP ? s->head.size - at : STEP;

		if (!failed(file_read_at(s->fd, (off_t)at, room + at, n)))
			continue;
		for (size_t small = at; small < at + n; small += SECTOR) {
			size_t rest = at + n - small;

			(void)!failed(file_read_at(s->fd, (off_t)small, room + small,
				rest < SECTOR ? rest : SECTOR));
		}
	}
	return OK;
}
