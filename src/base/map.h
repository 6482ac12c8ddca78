/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Hash tables from a number or a Str to a pointer. The table owns neither: a Str key must live as
 * long as its entry (usually inside the value). Keyed SipHash, so a peer cannot make it slow.
 */

#include "base/hash.h"

struct map; /* keys: uint64_t */
struct str_map;

struct map *map_new(void);
void map_free(struct map *m); /* NULL is fine; values are not freed */
DEFINE_DROP(map)
size_t map_count(const struct map *m);
void *map_get(const struct map *m, uint64_t key); /* NULL when absent */
void *map_set(struct map *m, uint64_t key,
	void *value);                          /* value != NULL; returns the old one */
void *map_remove(struct map *m, uint64_t key); /* returns what was there, or NULL */
/* Walks in no order: *at starts at 0; NULL at the end. Do not change the map meanwhile. */
void *map_each(const struct map *m, size_t *at);

struct str_map *str_map_new(void);
void str_map_free(struct str_map *m);
DEFINE_DROP(str_map)
size_t str_map_count(const struct str_map *m);
void *str_map_get(const struct str_map *m, Str key);
void *str_map_set(struct str_map *m, Str key, void *value);
void *str_map_remove(struct str_map *m, Str key);
void *str_map_each(const struct str_map *m, size_t *at);
