/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Memory for our own small things: never NULL. Without memory the process aborts and its parent
 * starts it again. What a peer's size decides comes from memory_try or an arena.
 */

#include "base/str.h"

void *memory_get(size_t size);                     /* zeroed */
void *memory_get_array(size_t count, size_t size); /* zeroed */
void *memory_resize(void *p, size_t count, size_t size);
char *memory_copy_c(Str s); /* a C string; s must not hold a NUL */
Str memory_copy(Str s);     /* free with memory_free_str */
void memory_free_str(Str *s);

/* NULL when there is none. Not zeroed. */
void *memory_try(size_t size);
