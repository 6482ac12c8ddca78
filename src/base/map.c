/* SPDX-License-Identifier: ISC */
#include "base/map.h"

#include "base/memory.h"

#include <stdlib.h>

/*
 * Open addressing with linear probing. Both tables are one: a number is a Str of its eight
 * octets, kept inside the slot. Removal shifts the followers back, so there are no tombstones.
 */

struct slot {
	uint64_t hash;
	uint64_t number;
	Str key;     /* p == NULL: the key is `number` */
	void *value; /* NULL: free */
};

struct table {
	struct slot *slots;
	size_t size; /* power of two, or 0 */
	size_t count;
	HashKey key;
};

struct map {
	struct table table;
};

struct str_map {
	struct table table;
};

static Str
number_bytes(const uint64_t *number)
{
	return (Str){ (const char *)number, sizeof(*number) };
}

static bool
slot_is(const struct slot *s, const struct slot *want)
{
	if (s->hash != want->hash)
		return false;
	if (want->key.p == NULL)
		return s->key.p == NULL && s->number == want->number;
	return s->key.p != NULL && str_eq(s->key, want->key);
}

/* Where `want` is, or the free slot where it would go. The table is never full. */
static struct slot *
find(const struct table *t, const struct slot *want)
{
	size_t at = want->hash & (t->size - 1);

	while (t->slots[at].value != NULL && !slot_is(&t->slots[at], want))
		at = (at + 1) & (t->size - 1);
	return &t->slots[at];
}

static void
grow(struct table *t)
{
	struct table bigger = { .size = t->size == 0 ? 8 : t->size * 2, .key = t->key };

	bigger.slots = memory_get_array(bigger.size, sizeof(*bigger.slots));
	bigger.count = t->count;
	for (size_t i = 0; i < t->size; i++)
		if (t->slots[i].value != NULL)
			*find(&bigger, &t->slots[i]) = t->slots[i];
	free(t->slots);
	*t = bigger;
}

static void *
table_get(const struct table *t, const struct slot *want)
{
	return t->size == 0 ? NULL : find(t, want)->value;
}

static void *
table_set(struct table *t, const struct slot *new)
{
	struct slot *s;
	void *old;

	if ((t->count + 1) * 4 > t->size * 3)
		grow(t);
	s = find(t, new);
	old = s->value;
	if (old == NULL)
		t->count++;
	*s = *new;
	return old;
}

static void *
table_remove(struct table *t, const struct slot *want)
{
	size_t mask = t->size - 1, hole, at;
	struct slot *s;
	void *old;

	if (t->size == 0)
		return NULL;
	s = find(t, want);
	old = s->value;
	if (old == NULL)
		return NULL;
	hole = (size_t)(s - t->slots);
	for (at = (hole + 1) & mask; t->slots[at].value != NULL; at = (at + 1) & mask) {
		size_t home = t->slots[at].hash & mask;

		/* May move back only if its home does not lie between the hole and it. */
		if (((at - home) & mask) < ((at - hole) & mask))
			continue;
		t->slots[hole] = t->slots[at];
		hole = at;
	}
	t->slots[hole] = (struct slot){ 0 };
	t->count--;
	return old;
}

static void *
table_each(const struct table *t, size_t *at)
{
	while (*at < t->size) {
		void *value = t->slots[(*at)++].value;

		if (value != NULL)
			return value;
	}
	return NULL;
}

static struct slot
number_slot(const struct map *m, uint64_t key, void *value)
{
	struct slot s = { .number = key, .value = value };

	s.hash = hash_sip(m->table.key, number_bytes(&key));
	return s;
}

static struct slot
str_slot(const struct str_map *m, Str key, void *value)
{
	struct slot s = { .key = { key.n == 0 ? "" : key.p, key.n }, .value = value };

	s.hash = hash_sip(m->table.key, key);
	return s;
}

struct map *
map_new(void)
{
	struct map *m = memory_get(sizeof(*m));

	m->table.key = hash_key_new();
	return m;
}

void
map_free(struct map *m)
{
	if (m == NULL)
		return;
	free(m->table.slots);
	free(m);
}

size_t
map_count(const struct map *m)
{
	return m->table.count;
}

void *
map_get(const struct map *m, uint64_t key)
{
	struct slot want = number_slot(m, key, NULL);

	return table_get(&m->table, &want);
}

void *
map_set(struct map *m, uint64_t key, void *value)
{
	struct slot new = number_slot(m, key, value);

	return table_set(&m->table, &new);
}

void *
map_remove(struct map *m, uint64_t key)
{
	struct slot want = number_slot(m, key, NULL);

	return table_remove(&m->table, &want);
}

void *
map_each(const struct map *m, size_t *at)
{
	return table_each(&m->table, at);
}

struct str_map *
str_map_new(void)
{
	struct str_map *m = memory_get(sizeof(*m));

	m->table.key = hash_key_new();
	return m;
}

void
str_map_free(struct str_map *m)
{
	if (m == NULL)
		return;
	free(m->table.slots);
	free(m);
}

size_t
str_map_count(const struct str_map *m)
{
	return m->table.count;
}

void *
str_map_get(const struct str_map *m, Str key)
{
	struct slot want = str_slot(m, key, NULL);

	return table_get(&m->table, &want);
}

void *
str_map_set(struct str_map *m, Str key, void *value)
{
	struct slot new = str_slot(m, key, value);

	return table_set(&m->table, &new);
}

void *
str_map_remove(struct str_map *m, Str key)
{
	struct slot want = str_slot(m, key, NULL);

	return table_remove(&m->table, &want);
}

void *
str_map_each(const struct str_map *m, size_t *at)
{
	return table_each(&m->table, at);
}
