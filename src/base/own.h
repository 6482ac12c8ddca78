/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Ownership that the reader can see: AUTO locals free what they own at the end of their scope,
 * TAKE hands the thing on and leaves nothing behind.
 */

#include <stddef.h>
#include <unistd.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(format_at, first_at) __attribute__((format(printf, format_at, first_at)))
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FALLTHROUGH __attribute__((fallthrough))
#define UNUSED __attribute__((unused))

/* AUTO(arena) a = ...; calls arena_drop(&a) when a leaves its scope. */
#define AUTO(type) __attribute__((cleanup(type##_drop), unused)) struct type *

/* Defines type_drop() from type_free(), for AUTO. */
#define DEFINE_DROP(type) \
	static inline void type##_drop(struct type **owner) \
	{ \
		type##_free(*owner); \
		*owner = NULL; \
	}

#define TAKE(owner) \
	({ \
		__typeof__(owner) taken_ = (owner); \
		(owner) = NULL; \
		taken_; \
	})

static inline void
fd_drop(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

#define AUTO_FD __attribute__((cleanup(fd_drop))) int

#define TAKE_FD(fd) \
	({ \
		int taken_ = (fd); \
		(fd) = -1; \
		taken_; \
	})
