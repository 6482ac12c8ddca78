/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Files below a directory descriptor, and the calls that make them durable. Every call that changes
 * the disk passes through here, so that a test can record what a power cut may leave behind
 * (file_observe).
 */

#include "base/buf.h"

#include <sys/types.h>

/* Opens below `folder` (or AT_FDCWD); never follows a symbolic link out of the last component. */
MUST_USE Err file_open_read(int folder, const char *name, int *ret);
MUST_USE Err file_open_write(int folder, const char *name, int *ret); /* must exist */
MUST_USE Err file_create(int folder, const char *name, mode_t mode,
	int *ret); /* must not exist */
MUST_USE Err file_open_folder(int folder, const char *name, int *ret);
/* Makes it when it is not there. */
MUST_USE Err file_make_folder(int folder, const char *name, mode_t mode);

/* The whole file. ERR_LIMIT when it is longer than ret may hold. */
MUST_USE Err file_read(int folder, const char *name, struct buf *ret);
/* Reads n octets at `at`; ERR_TEMP when fewer are there. */
MUST_USE Err file_read_at(int fd, off_t at, char *buffer, size_t n);
MUST_USE Err file_read_fd(int fd, struct buf *ret);

/* ERR_TEMP with the errno: ENOSPC, EIO ... Half-written bytes may stay. */
MUST_USE Err file_write(int fd, Str s);
MUST_USE Err file_write_at(int fd, off_t at, const Str *parts, size_t part_count);
MUST_USE Err file_truncate(int fd, off_t size);

MUST_USE Err file_sync(int fd);        /* data and what is needed to read it back */
MUST_USE Err file_sync_folder(int fd); /* the names in it */
MUST_USE Err file_sync_system(int fd); /* the whole file system that fd lies on */

MUST_USE Err file_rename(int from_folder, const char *from, int to_folder, const char *to);
MUST_USE Err file_link(int from_folder, const char *from, int to_folder, const char *to);
MUST_USE Err file_remove(int folder, const char *name); /* absent is fine */
/* Writes name.new, syncs, renames over name, syncs the folder. */
MUST_USE Err file_replace(int folder, const char *name, mode_t mode, Str content);

/* What a recording test sees: one call of the above that reached the disk. */
enum file_event_kind {
	FILE_EVENT_CREATE,
	FILE_EVENT_WRITE,
	FILE_EVENT_TRUNCATE,
	FILE_EVENT_SYNC,
	FILE_EVENT_SYNC_FOLDER,
	FILE_EVENT_SYNC_SYSTEM,
	FILE_EVENT_RENAME,
	FILE_EVENT_LINK,
	FILE_EVENT_REMOVE,
};

struct file_event {
	enum file_event_kind kind;
	int fd;           /* file or folder */
	const char *name; /* CREATE, RENAME, LINK, REMOVE */
	int to_folder;    /* RENAME, LINK */
	const char *to;
	off_t at;         /* WRITE, TRUNCATE */
	const Str *parts; /* WRITE */
	size_t part_count;
};

/*
 * Tests only: called before each change; an error is returned to the caller instead of changing
 * anything (a full disk, a failing sync). NULL ends it. Not for use with threads.
 */
void file_observe(Err (*observe)(void *self, const struct file_event *event), void *self);
