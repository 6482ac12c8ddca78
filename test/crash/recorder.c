/* SPDX-License-Identifier: ISC */
/*
 * A disk that remembers: for cutting the power at any moment, afterwards.
 *
 *   recorder serve FOLDER IMAGE LOG     mounts a FUSE file system on FOLDER with one file, "disk",
 *                                       whose bytes are IMAGE; a loop device is laid over it. Every
 *                                       write and every flush is appended to LOG before it is
 *                                       answered, so the length of LOG is a moment in time.
 *   recorder list LOG                   prints the position behind each flush.
 *   recorder cut LOG MASTER FROM TO IMAGE SEED
 *                                       brings MASTER from the state at position FROM to that at TO
 *                                       (behind a flush), then makes IMAGE: MASTER and a random
 *                                       subset of the writes that came before the next flush. SEED
 *                                       0 takes none of them.
 *
 * A write is lost, kept or torn by blocks of 4 KiB, which is what ext4 and disks of our days work
 * in. Order inside the subset is kept; nothing that a flush covered is touched.
 */
#define FUSE_USE_VERSION 31

#include <assert.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
	BLOCK = 4096,
	TORN_ONE_IN = 8,
};

enum kind {
	KIND_WRITE = 1,
	KIND_ZEROS, /* a write of zeros: without data */
	KIND_FLUSH,
};

struct entry {
	uint32_t kind, size;
	uint64_t at;
};

/* The one disk that is served; FUSE gives its callbacks nothing else to find it by. */
static struct {
	int image, log;
	off_t size;
} disk;

static const char disk_name[] = "/disk";

static bool
is_zero(const char *bytes, size_t n)
{
	return n > 0 && bytes[0] == 0 && memcmp(bytes, bytes + 1, n - 1) == 0;
}

static void
note(enum kind kind, const char *bytes, size_t n, off_t at)
{
	struct entry entry = { .kind = kind, .size = (uint32_t)n, .at = (uint64_t)at };
	struct iovec parts[2] = { { &entry, sizeof(entry) }, { (void *)bytes, n } };
	int count = kind == KIND_WRITE ? 2 : 1;
	ssize_t whole = (ssize_t)(sizeof(entry) + (count == 2 ? n : 0));

	/* One call: whoever looks at the length sees whole entries. */
	if (writev(disk.log, parts, count) != whole)
		err(1, "cannot write the log");
}

static int
disk_getattr(const char *path, struct stat *st, struct fuse_file_info *file)
{
	(void)file;
	memset(st, 0, sizeof(*st));
	if (strcmp(path, "/") == 0) {
		st->st_mode = S_IFDIR | 0700;
		st->st_nlink = 2;
		return 0;
	}
	if (strcmp(path, disk_name) != 0)
		return -ENOENT;
	st->st_mode = S_IFREG | 0600;
	st->st_nlink = 1;
	st->st_size = disk.size;
	return 0;
}

static int
disk_open(const char *path, struct fuse_file_info *file)
{
	(void)file;
	return strcmp(path, disk_name) == 0 ? 0 : -ENOENT;
}

static int
disk_read(const char *path, char *bytes, size_t n, off_t at, struct fuse_file_info *file)
{
	ssize_t got = pread(disk.image, bytes, n, at);

	(void)path;
	(void)file;
	return got < 0 ? -errno : (int)got;
}

static int
disk_write(const char *path, const char *bytes, size_t n, off_t at, struct fuse_file_info *file)
{
	(void)path;
	(void)file;
	if (at + (off_t)n > disk.size)
		return -ENOSPC;
	note(is_zero(bytes, n) ? KIND_ZEROS : KIND_WRITE, bytes, n, at);
	return pwrite(disk.image, bytes, n, at) == (ssize_t)n ? (int)n : -EIO;
}

static int
disk_fsync(const char *path, int data_only, struct fuse_file_info *file)
{
	(void)path;
	(void)data_only;
	(void)file;
	note(KIND_FLUSH, NULL, 0, 0);
	return 0;
}

static int
disk_truncate(const char *path, off_t size, struct fuse_file_info *file)
{
	(void)path;
	(void)file;
	return size == disk.size ? 0 : -EPERM;
}

static int
serve(char *folder, const char *image, const char *log)
{
	static const struct fuse_operations operations = {
		.getattr = disk_getattr,
		.open = disk_open,
		.read = disk_read,
		.write = disk_write,
		.fsync = disk_fsync,
		.truncate = disk_truncate,
	};
	/* One thread: the order of the log is the order of completion. */
	char name[] = "recorder", in_front[] = "-f", one_thread[] = "-s";
	char *args[] = { name, in_front, one_thread, folder, NULL };
	struct stat st;

	disk.image = open(image, O_RDWR | O_CLOEXEC);
	disk.log = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (disk.image < 0 || disk.log < 0 || fstat(disk.image, &st) != 0)
		err(1, "cannot open %s or %s", image, log);
	disk.size = st.st_size;
	return fuse_main(4, args, &operations, NULL);
}

/* The log as it lies in memory. */
struct log {
	const char *bytes;
	size_t size;
};

static struct log
log_map(const char *path)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	void *bytes;

	if (fd < 0 || fstat(fd, &st) != 0)
		err(1, "cannot open %s", path);
	bytes = st.st_size == 0 ? NULL
				: mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (bytes == MAP_FAILED)
		err(1, "cannot map %s", path);
	close(fd);
	return (struct log){ bytes, (size_t)st.st_size };
}

/* The entry at *at with its data, and moves on; false at the end. */
static bool
log_next(const struct log *log, size_t *at, struct entry *ret, const char **ret_data)
{
	size_t size;

	if (log->size - *at < sizeof(*ret))
		return false;
	memcpy(ret, log->bytes + *at, sizeof(*ret));
	size = sizeof(*ret) + (ret->kind == KIND_WRITE ? ret->size : 0);
	if (log->size - *at < size)
		return false;
	*ret_data = log->bytes + *at + sizeof(*ret);
	*at += size;
	return true;
}

static int
list(const char *path)
{
	struct log log = log_map(path);
	struct entry entry;
	const char *data;
	size_t at = 0;

	while (log_next(&log, &at, &entry, &data))
		if (entry.kind == KIND_FLUSH)
			printf("%zu\n", at);
	return 0;
}

static void
put(int fd, const char *data, size_t n, uint64_t at)
{
	static const char zeros[BLOCK];

	while (n > 0) {
		size_t some = n < BLOCK ? n : BLOCK;

		if (pwrite(fd, data == NULL ? zeros : data, some, (off_t)at) != (ssize_t)some)
			err(1, "cannot write an image");
		if (data != NULL)
			data += some;
		at += some;
		n -= some;
	}
}

static void
put_entry(int fd, const struct entry *entry, const char *data, bool torn)
{
	const char *bytes = entry->kind == KIND_ZEROS ? NULL : data;

	for (size_t done = 0; done < entry->size;) {
		size_t n = BLOCK - (entry->at + done) % BLOCK;

		if (n > entry->size - done)
			n = entry->size - done;
		if (!torn || random() % 2 == 0)
			put(fd, bytes == NULL ? NULL : bytes + done, n, entry->at + done);
		done += n;
	}
}

/* Copies without making holes into blocks. */
static void
copy(int from, const char *path)
{
	int to = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	off_t at = 0, end;
	struct stat st;

	if (to < 0 || fstat(from, &st) != 0 || ftruncate(to, st.st_size) != 0)
		err(1, "cannot make %s", path);
	while ((at = lseek(from, at, SEEK_DATA)) >= 0) {
		end = lseek(from, at, SEEK_HOLE);
		if (lseek(to, at, SEEK_SET) != at)
			err(1, "cannot seek");
		while (at < end)
			if (sendfile(to, from, &at, (size_t)(end - at)) <= 0)
				err(1, "cannot copy");
	}
	close(to);
}

static int
cut(const char *log_path, const char *master_path, size_t from, size_t to,
	const char *image_path, unsigned seed)
{
	struct log log = log_map(log_path);
	int master = open(master_path, O_RDWR | O_CLOEXEC), image;
	struct entry entry;
	const char *data;
	size_t at = from;

	if (master < 0)
		err(1, "cannot open %s", master_path);
	while (at < to && log_next(&log, &at, &entry, &data))
		if (entry.kind != KIND_FLUSH)
			put_entry(master, &entry, data, false);
	assert(at == to);
	copy(master, image_path);
	image = open(image_path, O_RDWR | O_CLOEXEC);
	if (image < 0)
		err(1, "cannot open %s", image_path);
	srandom(seed);
	while (seed != 0 && log_next(&log, &at, &entry, &data) && entry.kind != KIND_FLUSH)
		if (random() % 2 == 0)
			put_entry(image, &entry, data, random() % TORN_ONE_IN == 0);
	close(image);
	close(master);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "serve") == 0)
		return serve(argv[2], argv[3], argv[4]);
	if (argc == 3 && strcmp(argv[1], "list") == 0)
		return list(argv[2]);
	if (argc == 8 && strcmp(argv[1], "cut") == 0)
		return cut(argv[2], argv[3], strtoull(argv[4], NULL, 10),
			strtoull(argv[5], NULL, 10), argv[6],
			(unsigned)strtoul(argv[7], NULL, 10));
	fprintf(stderr, "usage: recorder serve FOLDER IMAGE LOG | list LOG |\n"
			"       cut LOG MASTER FROM TO IMAGE SEED\n");
	return 2;
}
