/* SPDX-License-Identifier: ISC */
/* Folders, as callers of the store see them. Names are compared in their one spelling. */
#include "base/memory.h"
#include "os/clock.h"
#include "store/mailbox/change.h"
#include "store/mailbox/model.h"
#include "store/mailbox/name.h"

#include <stdlib.h>

enum {
	ALL_RIGHTS = MAILBOX_MAY_READ | MAILBOX_MAY_FLAG | MAILBOX_MAY_ADD |
		     MAILBOX_MAY_EXPUNGE | MAILBOX_MAY_MANAGE,
	INBOX_UIDS_MAX = 64 * 1024 * 1024, /* octets, when INBOX is renamed */
};

static void
describe(const struct mailbox *m, const struct folder *f, struct mailbox_folder *ret)
{
	*ret = (struct mailbox_folder){
		.id = f->id,
		.exists = true,
		.subscribed = str_map_get(m->subscriptions, f->name) != NULL,
		.use = f->use,
		.rights = ALL_RIGHTS,
		.uid_validity = f->uid_validity,
		.uid_next = f->uid_next,
		.messages = f->messages,
		.unseen = f->unseen,
		.deleted = f->deleted,
		.modseq = f->modseq,
		.size = f->size,
	};
}

/* A list that is being put together in the arena; names leads to its entries, which do not move. */
struct listing {
	struct arena *arena;
	struct mailbox_folder *all;
	size_t count;
	struct str_map *names;
};

static size_t
count_levels(Str name)
{
	size_t levels = 1;

	for (size_t at = 0; at < name.n; at++)
		levels += str_at(name, at) == '/';
	return levels;
}

/* Room for every folder, subscription, and each name above a folder. */
static Err
make_room(const struct mailbox *m, struct listing *l)
{
	size_t most = str_map_count(m->subscriptions);

	for (size_t i = 0; i < m->folder_count; i++)
		most += count_levels(m->folders[i]->name);
	l->all = arena_try_array(l->arena, most, sizeof(*l->all));
	return l->all == NULL && most > 0 ? fail(ERR_LIMIT, "too many folders") : OK;
}

static Err
listing_add(struct listing *l, const struct mailbox_folder *value, Str name,
	struct mailbox_folder **ret)
{
	struct mailbox_folder *at = &l->all[l->count];

	*at = *value;
	TRY(arena_copy(l->arena, name, &at->name));
	l->count++;
	str_map_set(l->names, at->name, at);
	if (ret != NULL)
		*ret = at;
	return OK;
}

/* Names above a folder: they have children, and may have no folder of their own. */
static Err
add_parents(struct listing *l, const struct mailbox *m, Str name)
{
	for (size_t at = 0; at < name.n; at++) {
		Str above = str_part(name, 0, at);
		struct mailbox_folder *parent;

		if (str_at(name, at) != '/')
			continue;
		parent = str_map_get(l->names, above);
		if (parent == NULL)
			TRY(listing_add(l,
				&(struct mailbox_folder){
					.subscribed =
						str_map_get(m->subscriptions, above) != NULL },
				above, &parent));
		parent->children = true;
	}
	return OK;
}

static int
compare_listed(const void *left, const void *right)
{
	const struct mailbox_folder *a = left, *b = right;

	if (a->id == INBOX_ID || b->id == INBOX_ID)
		return (b->id == INBOX_ID) - (a->id == INBOX_ID);
	return str_compare(a->name, b->name);
}

static Err
list_folders(const struct mailbox *m, struct listing *l)
{
	const struct subscription *s;
	size_t at = 0;

	TRY(make_room(m, l));
	for (size_t i = 0; i < m->folder_count; i++) {
		struct mailbox_folder value;

		describe(m, m->folders[i], &value);
		TRY(listing_add(l, &value, m->folders[i]->name, NULL));
	}
	for (size_t i = 0; i < m->folder_count; i++)
		TRY(add_parents(l, m, m->folders[i]->name));
	while ((s = str_map_each(m->subscriptions, &at)) != NULL)
		if (str_map_get(l->names, s->name) == NULL)
			TRY(listing_add(l, &(struct mailbox_folder){ .subscribed = true },
				s->name, NULL));
	if (l->count > 0)
		qsort(l->all, l->count, sizeof(*l->all), compare_listed);
	return OK;
}

Err
mailbox_folder_list(struct mailbox *m, struct arena *arena, struct mailbox_folder **ret,
	size_t *ret_count)
{
	struct listing l = { .arena = arena, .names = str_map_new() };
	Err e;

	pthread_mutex_lock(&m->lock);
	e = m->driver->telling(m);
	if (!failed(e))
		e = list_folders(m, &l);
	pthread_mutex_unlock(&m->lock);
	str_map_free(l.names);
	TRY(e);
	*ret = l.all;
	*ret_count = l.count;
	return OK;
}

static Err
find_folder(struct mailbox *m, Str name, struct arena *arena, struct mailbox_folder *ret)
{
	const struct folder *f;
	struct mailbox_folder value;

	TRY(m->driver->telling(m));
	f = model_folder_named(m, name);
	if (f == NULL)
		return fail(ERR_PEER, "no such folder");
	describe(m, f, &value);
	for (size_t i = 0; i < m->folder_count && !value.children; i++)
		value.children = name_is_below(m->folders[i]->name, f->name);
	TRY(arena_copy(arena, f->name, &value.name));
	*ret = value;
	return OK;
}

Err
mailbox_folder_find(struct mailbox *m, Str name, struct arena *arena,
	struct mailbox_folder *ret)
{
	AUTO_BUF own = BUF_INIT(MAILBOX_NAME_MAX);
	Err e;

	if (failed(name_normalise(name, &own)))
		return fail(ERR_PEER, "no such folder");
	pthread_mutex_lock(&m->lock);
	e = find_folder(m, buf_view(&own), arena, ret);
	pthread_mutex_unlock(&m->lock);
	return e;
}

/* UIDVALIDITY grows with every folder made, so a name never has one twice. */
static uint32_t
new_validity(struct mailbox *m)
{
	uint32_t now = (uint32_t)time_seconds(clock_wall());

	m->validity = now > m->validity ? now : m->validity + 1;
	m->account_behind = true;
	return m->validity;
}

static Err
make_folder(struct mailbox *m, Str name, enum mailbox_use use, struct folder **ret)
{
	struct folder *f;
	Err e;

	if (m->folder_count >= MAILBOX_FOLDERS_MAX)
		return fail(ERR_LIMIT, "too many folders");
	f = model_add_folder(m, m->folder_id_next, name);
	f->use = use;
	f->uid_validity = new_validity(m);
	f->uid_ceiling = UID_STEP;
	f->modseq = model_next_modseq(m);
	e = m->driver->put_folder(m, f);
	if (failed(e)) {
		model_remove_folder(m, f);
		return e;
	}
	*ret = f;
	return OK;
}

/* The folder and what is missing above it. */
static Err
make_folders(struct mailbox *m, Str name, enum mailbox_use use, uint32_t *ret_id)
{
	struct folder *f = model_folder_named(m, name);

	if (f != NULL)
		return fail(ERR_PEER, "folder exists");
	for (size_t at = 0; at <= name.n; at++) {
		Str above = str_part(name, 0, at);

		if (at < name.n &&
			(str_at(name, at) != '/' || model_folder_named(m, above) != NULL))
			continue;
		TRY(make_folder(m, above, at == name.n ? use : MAILBOX_USE_NONE, &f));
	}
	model_sort_folders(m);
	*ret_id = f->id;
	return OK;
}

Err
mailbox_folder_create(struct mailbox *m, Str name, enum mailbox_use use, uint32_t *ret_id)
{
	AUTO_BUF own = BUF_INIT(MAILBOX_NAME_MAX);
	uint32_t id = 0;
	Err e;

	TRY(name_normalise(name, &own));
	TRY(change_begin(m));
	e = make_folders(m, buf_view(&own), use, &id);
	TRY(change_end(m, e, MAILBOX_DURABLE));
	*ret_id = id;
	return OK;
}

static Err
delete_folder(struct mailbox *m, Str name)
{
	struct folder *f = model_folder_named(m, name);

	if (f == NULL || f->id == INBOX_ID)
		return fail(ERR_PEER, f == NULL ? "no such folder" : "INBOX stays");
	TRY(m->driver->drop_folder(m, f));
	model_remove_folder(m, f);
	return OK;
}

Err
mailbox_folder_delete(struct mailbox *m, Str name)
{
	AUTO_BUF own = BUF_INIT(MAILBOX_NAME_MAX);
	Err e;

	TRY(name_normalise(name, &own));
	TRY(change_begin(m));
	e = delete_folder(m, buf_view(&own));
	TRY(change_end(m, e, MAILBOX_DURABLE));
	return m->driver->settle(m);
}

static Err
rename_one(struct mailbox *m, struct folder *f, Str to)
{
	Str from = f->name;
	Err e;

	f->name = memory_copy(to);
	e = m->driver->rename_folder(m, f, from);
	if (!failed(e))
		e = m->driver->put_folder(m, f);
	if (failed(e)) {
		memory_free_str(&f->name);
		f->name = from;
		return e;
	}
	memory_free_str(&from);
	return OK;
}

/* Checks all before it renames any: names below may become too long. */
static Err
check_names(const struct mailbox *m, Str from, Str to)
{
	for (size_t i = 0; i < m->folder_count; i++) {
		AUTO_BUF longer = BUF_INIT(MAILBOX_NAME_MAX * 2);
		AUTO_BUF own = BUF_INIT(MAILBOX_NAME_MAX);

		if (!name_is_below(m->folders[i]->name, from))
			continue;
		buf_put(&longer, to);
		buf_put(&longer, str_from_at(m->folders[i]->name, from.n));
		TRY(name_normalise(buf_view(&longer), &own));
		if (model_folder_named(m, buf_view(&own)) != NULL)
			return fail(ERR_PEER, "folder exists");
	}
	return OK;
}

static Err
make_parents(struct mailbox *m, Str name)
{
	size_t last = str_find_last(name, '/');
	uint32_t id;

	if (last == STR_NONE || model_folder_named(m, str_part(name, 0, last)) != NULL)
		return OK;
	return make_folders(m, str_part(name, 0, last), MAILBOX_USE_NONE, &id);
}

static Err
rename_folders(struct mailbox *m, Str from, Str to)
{
	struct folder *f = model_folder_named(m, from);

	if (f == NULL || model_folder_named(m, to) != NULL || name_is_below(to, from))
		return fail(ERR_PEER, f == NULL ? "no such folder" : "folder exists");
	TRY(check_names(m, from, to));
	TRY(make_parents(m, to));
	for (size_t i = 0; i < m->folder_count; i++) {
		AUTO_BUF name = BUF_INIT(MAILBOX_NAME_MAX);
		Str below = m->folders[i]->name;

		if (!name_is_below(below, from))
			continue;
		buf_put(&name, to);
		buf_put(&name, str_from_at(below, from.n));
		TRY(buf_check(&name));
		TRY(rename_one(m, m->folders[i], buf_view(&name)));
	}
	TRY(rename_one(m, f, to));
	model_sort_folders(m);
	return OK;
}

/* RENAME INBOX moves its messages into a new folder (RFC 9051, 6.3.6). */
static Err
move_inbox(struct mailbox *m, Str to)
{
	AUTO(arena) arena = arena_new(INBOX_UIDS_MAX);
	struct mailbox_copied copied;
	struct folder *inbox = NULL;
	uint32_t *uids = NULL;
	size_t count = 0;
	uint32_t id;
	Err e;

	TRY(mailbox_folder_create(m, to, MAILBOX_USE_NONE, &id));
	pthread_mutex_lock(&m->lock);
	e = model_find(m, INBOX_ID, &inbox);
	if (!failed(e))
		e = model_load(m, inbox);
	if (!failed(e)) {
		count = inbox->count;
		uids = arena_try_array(arena, count, sizeof(*uids));
	}
	for (size_t i = 0; uids != NULL && i < count; i++)
		uids[i] = inbox->array[i].uid;
	pthread_mutex_unlock(&m->lock);
	TRY(e);
	if (uids == NULL && count > 0)
		return fail(ERR_LIMIT, "too many messages");
	return mailbox_move(m, INBOX_ID, uids, count, id, arena, &copied);
}

Err
mailbox_folder_rename(struct mailbox *m, Str from, Str to)
{
	AUTO_BUF own_from = BUF_INIT(MAILBOX_NAME_MAX);
	AUTO_BUF own_to = BUF_INIT(MAILBOX_NAME_MAX);
	Err e;

	TRY(name_normalise(from, &own_from));
	TRY(name_normalise(to, &own_to));
	if (str_eq(buf_view(&own_from), S("INBOX")))
		return move_inbox(m, buf_view(&own_to));
	TRY(change_begin(m));
	e = rename_folders(m, buf_view(&own_from), buf_view(&own_to));
	return change_end(m, e, MAILBOX_DURABLE);
}

Err
mailbox_folder_subscribe(struct mailbox *m, Str name, bool subscribed)
{
	AUTO_BUF own = BUF_INIT(MAILBOX_NAME_MAX);
	Err e;

	TRY(name_normalise(name, &own));
	TRY(change_begin(m));
	e = m->driver->subscribe(m, buf_view(&own), subscribed);
	if (!failed(e))
		model_subscribe(m, buf_view(&own), subscribed);
	return change_end(m, e, MAILBOX_DURABLE);
}
