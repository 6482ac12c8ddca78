/* SPDX-License-Identifier: ISC */
#include "base/memory.h"

#include <stdlib.h>

void *
memory_get(size_t size)
{
	return memory_get_array(1, size);
}

void *
memory_get_array(size_t count, size_t size)
{
	void *p = calloc(count, size == 0 ? 1 : size);

	if (p == NULL)
		abort();
	return p;
}

void *
memory_resize(void *p, size_t count, size_t size)
{
	void *resized = reallocarray(p, count == 0 ? 1 : count, size);

	if (resized == NULL)
		abort();
	return resized;
}

Str
memory_copy(Str s)
{
	char *p = memory_get(s.n + 1);

	if (s.n > 0)
		memcpy(p, s.p, s.n);
	return (Str){ p, s.n };
}

char *
memory_copy_c(Str s)
{
	return (char *)memory_copy(s).p;
}

void
memory_free_str(Str *s)
{
	free((char *)s->p);
	*s = (Str){ NULL, 0 };
}

void *
memory_try(size_t size)
{
	return malloc(size == 0 ? 1 : size);
}
