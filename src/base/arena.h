/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * An arena: memory for one command or one message, with a limit, given back all at once.
 * Addresses never move. Not shared between threads.
 */

#include "base/str.h"

struct arena;

/* max: octets that the arena may hand out in all. Takes its first block when first used. */
struct arena *arena_new(size_t max);
void arena_free(struct arena *a); /* NULL is fine */
DEFINE_DROP(arena)

/* Everything handed out is void; keeps one block for the next round. */
void arena_reset(struct arena *a);

/* Octets handed out since the last reset. */
size_t arena_used(const struct arena *a);

/* Zeroed, aligned for anything. NULL when over the limit or out of memory: answer ERR_LIMIT. */
void *arena_try(struct arena *a, size_t size);

/* The same for an array; NULL also when count * size does not fit. */
void *arena_try_array(struct arena *a, size_t count, size_t size);

/* A copy that lives as long as the arena. ERR_LIMIT when over the limit. */
MUST_USE Err arena_copy(struct arena *a, Str s, Str *ret);
