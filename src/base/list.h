/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Intrusive doubly linked list: struct link inside the thing, struct list as its head. An
 * initialised link that is in no list may be removed again without harm.
 */

#include <stdbool.h>
#include <stddef.h>

struct link {
	struct link *next, *previous;
};

struct list {
	struct link head;
};

static inline void
list_init(struct list *l)
{
	l->head.next = l->head.previous = &l->head;
}

static inline void
link_init(struct link *k)
{
	k->next = k->previous = k;
}

static inline bool
list_empty(const struct list *l)
{
	return l->head.next == &l->head;
}

static inline bool
link_in_list(const struct link *k)
{
	return k->next != k && k->next != NULL;
}

static inline void
link_insert_before(struct link *at, struct link *k)
{
	k->next = at;
	k->previous = at->previous;
	at->previous->next = k;
	at->previous = k;
}

static inline void
list_add_last(struct list *l, struct link *k)
{
	link_insert_before(&l->head, k);
}

static inline void
list_add_first(struct list *l, struct link *k)
{
	link_insert_before(l->head.next, k);
}

static inline void
link_remove(struct link *k)
{
	if (k->next == NULL)
		return;
	k->next->previous = k->previous;
	k->previous->next = k->next;
	link_init(k);
}

static inline struct link *
list_first(const struct list *l)
{
	return list_empty(l) ? NULL : l->head.next;
}

/* The thing that holds this link. */
#define LINK_OWNER(link, type, member) ((type *)(void *)((char *)(link)-offsetof(type, member)))

/* Walks; the current thing may be removed and freed in the body. */
#define list_each(at, list) \
	for (struct link *at = (list)->head.next, *next_##at = at->next; at != &(list)->head; \
		at = next_##at, next_##at = at->next)
