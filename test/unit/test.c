/* SPDX-License-Identifier: ISC */
#include "test.h"

#include <stdlib.h>

static struct {
	void **blocks;
	size_t n;
} copies;

static void
free_copies(void)
{
	for (size_t i = 0; i < copies.n; i++)
		free(copies.blocks[i]);
	free(copies.blocks);
}

Str
exact(Str s)
{
	char *p = malloc(s.n == 0 ? 1 : s.n);

	assert_non_null(p);
	if (copies.n == 0)
		atexit(free_copies);
	copies.blocks = realloc(copies.blocks, (copies.n + 1) * sizeof(*copies.blocks));
	assert_non_null(copies.blocks);
	copies.blocks[copies.n++] = p;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return (Str){ p, s.n };
}
