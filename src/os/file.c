/* SPDX-License-Identifier: ISC */
#include "os/file.h"

#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>

enum {
	PARTS_MAX = 64,
	READ_STEP = 64 * 1024,
};

static struct {
	Err (*observe)(void *self, const struct file_event *event);
	void *self;
} observer;

void
file_observe(Err (*observe)(void *self, const struct file_event *event), void *self)
{
	observer.observe = observe;
	observer.self = self;
}

static Err
tell(struct file_event event)
{
	return observer.observe == NULL ? OK : observer.observe(observer.self, &event);
}

static Err
open_with(int folder, const char *name, int flags, mode_t mode, int *ret)
{
	int fd = openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, mode);

	if (fd < 0)
		return fail_sys(ERR_TEMP, "cannot open file");
	*ret = fd;
	return OK;
}

Err
file_open_read(int folder, const char *name, int *ret)
{
	return open_with(folder, name, O_RDONLY, 0, ret);
}

Err
file_open_write(int folder, const char *name, int *ret)
{
	return open_with(folder, name, O_RDWR, 0, ret);
}

Err
file_create(int folder, const char *name, mode_t mode, int *ret)
{
	TRY(tell((struct file_event){ .kind = FILE_EVENT_CREATE, .fd = folder, .name = name }));
	return open_with(folder, name, O_RDWR | O_CREAT | O_EXCL, mode, ret);
}

Err
file_open_folder(int folder, const char *name, int *ret)
{
	return open_with(folder, name, O_RDONLY | O_DIRECTORY, 0, ret);
}

Err
file_make_folder(int folder, const char *name, mode_t mode)
{
	TRY(tell((struct file_event){ .kind = FILE_EVENT_CREATE, .fd = folder, .name = name }));
	if (mkdirat(folder, name, mode) != 0 && errno != EEXIST)
		return fail_sys(ERR_TEMP, "cannot make folder");
	return OK;
}

/* Regular files are read from their beginning, wherever others who share fd have read to. */
static ssize_t
read_next(int fd, bool regular, char *buffer, size_t n, size_t at)
{
	return regular ? pread(fd, buffer, n, (off_t)at) : read(fd, buffer, n);
}

Err
file_read_fd(int fd, struct buf *ret)
{
	size_t begin = ret->n, step = READ_STEP;
	bool regular = false;
	struct stat st;

	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size >= 0) {
		if ((size_t)st.st_size > ret->max - ret->n)
			return fail(ERR_LIMIT, "file is too large");
		step = (size_t)st.st_size + 1;
		regular = true;
	}
	for (;;) {
		size_t left = ret->max - ret->n, want = step < left ? step : left;
		char one, *room = left == 0 ? &one : buf_room(ret, want);
		ssize_t n;

		if (room == NULL)
			return fail(ERR_LIMIT, "no memory for file");
		n = read_next(fd, regular, room, left == 0 ? 1 : want, ret->n - begin);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return fail_sys(ERR_TEMP, "cannot read file");
		if (n == 0)
			return OK;
		if (left == 0)
			return fail(ERR_LIMIT, "file is too large");
		buf_grew(ret, (size_t)n);
		step = READ_STEP;
	}
}

Err
file_read(int folder, const char *name, struct buf *ret)
{
	AUTO_FD fd = -1;

	TRY(file_open_read(folder, name, &fd));
	return file_read_fd(fd, ret);
}

Err
file_read_at(int fd, off_t at, char *buffer, size_t n)
{
	while (n > 0) {
		ssize_t got = pread(fd, buffer, n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return fail_sys(ERR_TEMP, "cannot read file");
		if (got == 0)
			return fail(ERR_TEMP, "file is shorter than expected");
		buffer += got;
		at += got;
		n -= (size_t)got;
	}
	return OK;
}

Err
file_write(int fd, Str s)
{
	TRY(tell((struct file_event){
		.kind = FILE_EVENT_WRITE, .fd = fd, .at = -1, .parts = &s, .part_count = 1 }));
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_sys(ERR_TEMP, "cannot write file");
		s = str_from_at(s, (size_t)n);
	}
	return OK;
}

/* Leaves out the first n octets of what is still to be written. */
static void
skip_written(struct iovec *iov, size_t count, size_t *first, size_t n)
{
	while (*first < count && n >= iov[*first].iov_len)
		n -= iov[(*first)++].iov_len;
	if (*first < count) {
		iov[*first].iov_base = (char *)iov[*first].iov_base + n;
		iov[*first].iov_len -= n;
	}
}

static Err
write_parts(int fd, off_t at, struct iovec *iov, size_t count)
{
	size_t first = 0;

	skip_written(iov, count, &first, 0);
	while (first < count) {
		ssize_t n = pwritev(fd, iov + first, (int)(count - first), at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_sys(ERR_TEMP, "cannot write file");
		at += n;
		skip_written(iov, count, &first, (size_t)n);
	}
	return OK;
}

Err
file_write_at(int fd, off_t at, const Str *parts, size_t part_count)
{
	TRY(tell((struct file_event){ .kind = FILE_EVENT_WRITE,
		.fd = fd,
		.at = at,
		.parts = parts,
		.part_count = part_count }));
	while (part_count > 0) {
		struct iovec iov[PARTS_MAX];
		size_t n = part_count < PARTS_MAX ? part_count : PARTS_MAX;
		size_t all = 0;

		for (size_t i = 0; i < n; i++) {
			iov[i] = (struct iovec){ (void *)parts[i].p, parts[i].n };
			all += parts[i].n;
		}
		TRY(write_parts(fd, at, iov, n));
		at += (off_t)all;
		parts += n;
		part_count -= n;
	}
	return OK;
}

Err
file_truncate(int fd, off_t size)
{
	TRY(tell((struct file_event){ .kind = FILE_EVENT_TRUNCATE, .fd = fd, .at = size }));
	if (ftruncate(fd, size) != 0)
		return fail_sys(ERR_TEMP, "cannot cut file");
	return OK;
}

Err
file_sync(int fd)
{
	TRY(tell((struct file_event){ .kind = FILE_EVENT_SYNC, .fd = fd }));
	if (fdatasync(fd) != 0)
		return fail_sys(ERR_TEMP, "cannot sync file");
	return OK;
}

Err
file_sync_folder(int fd)
{
	TRY(tell((struct file_event){ .kind = FILE_EVENT_SYNC_FOLDER, .fd = fd }));
	if (fsync(fd) != 0)
		return fail_sys(ERR_TEMP, "cannot sync folder");
	return OK;
}

Err
file_sync_system(int fd)
{
	TRY(tell((struct file_event){ .kind = FILE_EVENT_SYNC_SYSTEM, .fd = fd }));
	if (syncfs(fd) != 0)
		return fail_sys(ERR_TEMP, "cannot sync file system");
	return OK;
}

Err
file_rename(int from_folder, const char *from, int to_folder, const char *to)
{
	TRY(tell((struct file_event){ .kind = FILE_EVENT_RENAME,
		.fd = from_folder,
		.name = from,
		.to_folder = to_folder,
		.to = to }));
	if (renameat(from_folder, from, to_folder, to) != 0)
		return fail_sys(ERR_TEMP, "cannot rename file");
	return OK;
}

Err
file_link(int from_folder, const char *from, int to_folder, const char *to)
{
	TRY(tell((struct file_event){ .kind = FILE_EVENT_LINK,
		.fd = from_folder,
		.name = from,
		.to_folder = to_folder,
		.to = to }));
	if (linkat(from_folder, from, to_folder, to, 0) != 0)
		return fail_sys(ERR_TEMP, "cannot link file");
	return OK;
}

Err
file_remove(int folder, const char *name)
{
	TRY(tell((struct file_event){ .kind = FILE_EVENT_REMOVE, .fd = folder, .name = name }));
	if (unlinkat(folder, name, 0) != 0 && errno != ENOENT)
		return fail_sys(ERR_TEMP, "cannot remove file");
	return OK;
}

Err
file_replace(int folder, const char *name, mode_t mode, Str content)
{
	char temporary[NAME_MAX + 1];
	AUTO_FD fd = -1;
	int n = snprintf(temporary, sizeof(temporary), "%s.new", name);

	assert(n > 0 && (size_t)n < sizeof(temporary));
	TRY(file_remove(folder, temporary));
	TRY(file_create(folder, temporary, mode, &fd));
	TRY(file_write(fd, content));
	TRY(file_sync(fd));
	TRY(file_rename(folder, temporary, folder, name));
	return file_sync_folder(folder);
}
