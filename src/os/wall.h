/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The walls of a process: its own user, no capabilities, no new privileges, not dumpable, Landlock
 * for files and ports, and a seccomp allow-list. They must be raised before the first thread,
 * because Landlock and seccomp bind threads; wall_raise asserts it.
 */

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum wall_allow {
	WALL_FILES = 1 << 0,    /* open, make, change and remove files below the folders */
	WALL_READ = 1 << 1,     /* open files below the folders for reading */
	WALL_OUTGOING = 1 << 2, /* sockets to the Internet */
	WALL_FORK = 1 << 3,     /* processes of its own, without exec */
	WALL_SYNC = 1 << 4,     /* syncfs on what it holds */
};

enum {
	WALL_FOLDERS_MAX = 8,
	WALL_LANDLOCK_MIN = 2, /* ABI; Linux 5.19 */
};

struct wall {
	uint32_t allow;
	uid_t user; /* 0: stay who we are (unprivileged use) */
	gid_t group;
	int folders[WALL_FOLDERS_MAX];
	size_t folder_count;
	bool weak; /* go on without Landlock where the kernel has none */
};

/*
 * ERR_PERM   the kernel lacks what is needed, or a step failed; the process must end
 */
MUST_USE Err wall_raise(const struct wall *w);

/* Landlock's ABI of the running kernel; 0 when there is none. */
int wall_landlock_abi(void);

/*
 * A second, inner wall for a forked child: prepared once by the parent, raised in each child at
 * little cost. The child keeps only `folder`, and cannot fork.
 */
struct wall_program;
MUST_USE Err wall_program_new(uint32_t allow, struct wall_program **ret);
MUST_USE Err wall_raise_inner(const struct wall_program *p, int folder);
