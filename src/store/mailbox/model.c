/* SPDX-License-Identifier: ISC */
#include "store/mailbox/model.h"

#include "base/memory.h"

#include <stdlib.h>
#include <sys/eventfd.h>

enum {
	NAMES_MAX = 64 * 1024 * 1024, /* octets of keywords */
};

static const struct {
	Str name;
	enum mailbox_use use;
} new_account[] = {
	{ S("INBOX"), MAILBOX_USE_NONE },
	{ S("Archive"), MAILBOX_USE_ARCHIVE },
	{ S("Drafts"), MAILBOX_USE_DRAFTS },
	{ S("Sent"), MAILBOX_USE_SENT },
	{ S("Spam"), MAILBOX_USE_JUNK },
	{ S("Trash"), MAILBOX_USE_TRASH },
};

void
model_init(struct mailbox *m, const struct mailbox_driver *driver, Str host)
{
	m->driver = driver;
	pthread_mutex_init(&m->lock, NULL);
	pthread_cond_init(&m->committed, NULL);
	list_init(&m->dirty);
	m->folder_id_next = INBOX_ID;
	m->subscriptions = str_map_new();
	m->names = arena_new(NAMES_MAX);
	host = host.n == 0 ? S("localhost") : str_part(host, 0, sizeof(m->host) - 1);
	memcpy(m->host, host.p, host.n);
	m->modseq = 1;
}

void
model_free_folder(struct folder *f)
{
	memory_free_str(&f->name);
	free(f->array);
	free(f->events);
	free(f);
}

void
model_done(struct mailbox *m)
{
	struct subscription *s;
	size_t at = 0;

	for (size_t i = 0; i < m->folder_count; i++)
		model_free_folder(m->folders[i]);
	free(m->folders);
	while ((s = str_map_each(m->subscriptions, &at)) != NULL) {
		memory_free_str(&s->name);
		free(s);
	}
	str_map_free(m->subscriptions);
	arena_free(m->names);
	pthread_cond_destroy(&m->committed);
	pthread_mutex_destroy(&m->lock);
}

static int
compare_folders(const void *left, const void *right)
{
	const struct folder *a = *(struct folder *const *)left;
	const struct folder *b = *(struct folder *const *)right;

	if (a->id == INBOX_ID || b->id == INBOX_ID)
		return (b->id == INBOX_ID) - (a->id == INBOX_ID);
	return str_compare(a->name, b->name);
}

void
model_sort_folders(struct mailbox *m)
{
	qsort(m->folders, m->folder_count, sizeof(struct folder *), compare_folders);
}

struct folder *
model_add_folder(struct mailbox *m, uint32_t id, Str name)
{
	struct folder *f = memory_get(sizeof(*f));

	f->id = id;
	f->name = memory_copy(name);
	f->uid_next = 1;
	list_init(&f->views);
	link_init(&f->dirty);
	if (m->folder_count == m->folder_capacity) {
		m->folder_capacity = m->folder_capacity == 0 ? 16 : m->folder_capacity * 2;
		m->folders =
			memory_resize(m->folders, m->folder_capacity, sizeof(struct folder *));
	}
	m->folders[m->folder_count++] = f;
	if (id >= m->folder_id_next)
		m->folder_id_next = id + 1;
	return f;
}

void
model_wake(struct folder *f)
{
	list_each (at, &f->views) {
		struct view *v = LINK_OWNER(at, struct view, link);

		if (v->wait_fd >= 0 && !v->signalled)
			v->signalled = eventfd_write(v->wait_fd, 1) == 0;
	}
}

void
model_remove_folder(struct mailbox *m, struct folder *f)
{
	size_t at = 0;

	while (m->folders[at] != f)
		at++;
	memmove(m->folders + at, m->folders + at + 1,
		(m->folder_count - at - 1) * sizeof(struct folder *));
	m->folder_count--;
	link_remove(&f->dirty);
	f->removed = true;
	model_wake(f);
	if (list_empty(&f->views))
		model_free_folder(f);
}

void
model_subscribe(struct mailbox *m, Str name, bool subscribed)
{
	struct subscription *s = str_map_get(m->subscriptions, name);

	if (subscribed && s == NULL) {
		s = memory_get(sizeof(*s));
		s->name = memory_copy(name);
		str_map_set(m->subscriptions, s->name, s);
	} else if (!subscribed && s != NULL) {
		str_map_remove(m->subscriptions, name);
		memory_free_str(&s->name);
		free(s);
	}
}

Err
model_add_keyword(struct mailbox *m, struct folder *f, Str name)
{
	if (f->keyword_count == MAILBOX_KEYWORD_MAX)
		return fail(ERR_LIMIT, "too many keywords");
	TRY(arena_copy(m->names, name, &f->keywords[f->keyword_count]));
	f->keyword_count++;
	return OK;
}

Err
model_make_folders(struct mailbox *m)
{
	for (size_t i = 0; i < COUNT(new_account); i++) {
		struct folder *f = model_add_folder(m, m->folder_id_next, new_account[i].name);

		f->use = new_account[i].use;
		f->uid_ceiling = UID_STEP;
		f->modseq = m->modseq;
		TRY(m->driver->put_folder(m, f));
		model_subscribe(m, f->name, true);
	}
	return OK;
}

struct folder *
model_folder(const struct mailbox *m, uint32_t id)
{
	for (size_t i = 0; i < m->folder_count; i++)
		if (m->folders[i]->id == id)
			return m->folders[i];
	return NULL;
}

struct folder *
model_folder_named(const struct mailbox *m, Str name)
{
	for (size_t i = 0; i < m->folder_count; i++)
		if (str_eq(m->folders[i]->name, name))
			return m->folders[i];
	return NULL;
}

Err
model_find(struct mailbox *m, uint32_t id, struct folder **ret)
{
	struct folder *f = model_folder(m, id);

	if (f == NULL)
		return fail(ERR_PEER, "no such folder");
	*ret = f;
	return OK;
}

Err
model_load(struct mailbox *m, struct folder *f)
{
	if (f->loaded)
		return OK;
	f->count = 0;
	TRY(m->driver->load(m, f));
	f->loaded = true;
	return OK;
}

/* Views find out by comparing arrays: their next event is no longer there. */
static void
drop_events(struct folder *f)
{
	f->event_base += f->event_count + 1;
	f->event_count = 0;
}

void
model_reload(struct mailbox *m)
{
	for (size_t i = 0; i < m->folder_count; i++) {
		struct folder *f = m->folders[i];

		f->loaded = false;
		f->found = false;
		link_remove(&f->dirty);
		drop_events(f);
	}
	if (failed(m->driver->reload(m)))
		return; /* the next change fails in the same way */
	for (size_t i = m->folder_count; i-- > 0;)
		if (!m->folders[i]->found)
			model_remove_folder(m, m->folders[i]);
	model_sort_folders(m);
}

struct mailbox_message *
model_message(const struct folder *f, uint32_t uid)
{
	size_t low = 0, high = f->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->array[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low < f->count && f->array[low].uid == uid ? &f->array[low] : NULL;
}

uint64_t
model_next_modseq(struct mailbox *m)
{
	m->modseq++;
	if (m->modseq >= m->modseq_ceiling) {
		m->modseq_ceiling = m->modseq + MODSEQ_STEP;
		m->account_behind = true;
		m->transaction->durable = true;
	}
	return m->modseq;
}

void
model_touch(struct mailbox *m, struct folder *f)
{
	if (!link_in_list(&f->dirty))
		list_add_last(&m->dirty, &f->dirty);
}

uint32_t
model_next_uid(struct mailbox *m, struct folder *f)
{
	uint32_t uid = f->uid_next++;

	if (uid >= f->uid_ceiling) {
		f->uid_ceiling = uid + UID_STEP;
		m->transaction->durable = true;
		model_touch(m, f);
	}
	return uid;
}

static void
add_event(struct folder *f, uint32_t uid, bool gone)
{
	if (list_empty(&f->views)) {
		drop_events(f);
		return;
	}
	if (f->event_count == EVENTS_MAX)
		drop_events(f);
	if (f->event_count == f->event_capacity) {
		f->event_capacity = f->event_capacity == 0 ? 64 : f->event_capacity * 2;
		f->events = memory_resize(f->events, f->event_capacity, sizeof(struct event));
	}
	f->events[f->event_count++] = (struct event){ .uid = uid, .gone = gone };
}

static void
count_flags(struct folder *f, uint64_t flags, uint32_t by)
{
	if ((flags & MAILBOX_SEEN) == 0)
		f->unseen += by;
	if ((flags & MAILBOX_DELETED) != 0)
		f->deleted += by;
}

void
model_push(struct folder *f, const struct mailbox_message *message)
{
	if (f->count == f->capacity) {
		f->capacity = f->capacity == 0 ? 16 : f->capacity * 2;
		f->array = memory_resize(f->array, f->capacity, sizeof(*f->array));
	}
	f->array[f->count++] = *message;
}

void
model_added(struct mailbox *m, struct folder *f, const struct mailbox_message *message)
{
	f->messages++;
	f->size += message->size;
	count_flags(f, message->flags, 1);
	f->modseq = message->modseq;
	if (f->loaded)
		model_push(f, message);
	model_touch(m, f);
	add_event(f, message->uid, false);
}

void
model_changed(struct mailbox *m, struct folder *f, const struct mailbox_message *message)
{
	struct mailbox_message *at = model_message(f, message->uid);

	if (at == NULL)
		return;
	count_flags(f, at->flags, (uint32_t)-1);
	*at = *message;
	count_flags(f, at->flags, 1);
	f->modseq = message->modseq;
	model_touch(m, f);
	add_event(f, message->uid, false);
}

void
model_removed(struct mailbox *m, struct folder *f, uint32_t uid, uint64_t modseq)
{
	struct mailbox_message *at = model_message(f, uid);

	if (at == NULL || at->modseq == 0)
		return;
	f->messages--;
	f->size -= at->size;
	count_flags(f, at->flags, (uint32_t)-1);
	at->modseq = 0; /* model_sweep takes it out */
	f->modseq = modseq;
	model_touch(m, f);
	add_event(f, uid, true);
}

void
model_sweep(struct folder *f)
{
	size_t to = 0;

	for (size_t i = 0; i < f->count; i++)
		if (f->array[i].modseq != 0)
			f->array[to++] = f->array[i];
	f->count = to;
}
