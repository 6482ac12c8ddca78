/* SPDX-License-Identifier: ISC */
#include "base/arena.h"

#include "base/memory.h"

#include <stdalign.h>
#include <stdlib.h>

enum {
	BLOCK_FIRST = 4096,
	BLOCK_MOST = 256 * 1024,
};

struct block {
	struct block *next;
	size_t size, used;
	alignas(max_align_t) char bytes[];
};

struct arena {
	struct block *blocks; /* newest first */
	size_t max, used;
};

struct arena *
arena_new(size_t max)
{
	struct arena *a = memory_get(sizeof(*a));

	a->max = max;
	return a;
}

static void
free_blocks(struct block *b)
{
	while (b != NULL) {
		struct block *next = b->next;

		free(b);
		b = next;
	}
}

void
arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	free_blocks(a->blocks);
	free(a);
}

void
arena_reset(struct arena *a)
{
	struct block *keep = a->blocks;

	a->used = 0;
	if (keep == NULL)
		return;
	free_blocks(keep->next);
	keep->next = NULL;
	keep->used = 0;
	if (keep->size > BLOCK_MOST) {
		free(keep);
		a->blocks = NULL;
	}
}

size_t
arena_used(const struct arena *a)
{
	return a->used;
}

/* A block with room for size; doubles up to BLOCK_MOST, so that small arenas stay small. */
static bool
add_block(struct arena *a, size_t size)
{
	size_t want = a->blocks == NULL ? BLOCK_FIRST : a->blocks->size * 2;
	struct block *b;

	if (want > BLOCK_MOST)
		want = BLOCK_MOST;
	if (want < size)
		want = size;
	b = malloc(sizeof(*b) + want);
	if (b == NULL)
		return false;
	b->size = want;
	b->used = 0;
	b->next = a->blocks;
	a->blocks = b;
	return true;
}

void *
arena_try(struct arena *a, size_t size)
{
	size_t rounded;
	void *p;

	if (failed(size_add(size, alignof(max_align_t) - 1, &rounded)))
		return NULL;
	rounded &= ~(alignof(max_align_t) - 1);
	if (rounded > a->max - a->used)
		return NULL;
	if (a->blocks == NULL || a->blocks->size - a->blocks->used < rounded)
		if (!add_block(a, rounded))
			return NULL;
	p = a->blocks->bytes + a->blocks->used;
	a->blocks->used += rounded;
	a->used += rounded;
	memset(p, 0, size);
	return p;
}

void *
arena_try_array(struct arena *a, size_t count, size_t size)
{
	size_t all;

	return failed(size_mul(count, size, &all)) ? NULL : arena_try(a, all);
}

Err
arena_copy(struct arena *a, Str s, Str *ret)
{
	char *p;

	if (s.n == 0) {
		*ret = S("");
		return OK;
	}
	p = arena_try(a, s.n);
	if (p == NULL)
		return fail(ERR_LIMIT, "too much for one command");
	memcpy(p, s.p, s.n);
	*ret = (Str){ p, s.n };
	return OK;
}
