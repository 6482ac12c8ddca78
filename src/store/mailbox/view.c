/* SPDX-License-Identifier: ISC */
/*
 * A view follows its folder by events: the UIDs of messages that changed or went, in order. New
 * messages need none, they are what the folder's array holds behind the view's last UID. A view
 * that fell too far behind (its events are gone) compares the two arrays instead.
 */
#include "base/memory.h"
#include "store/mailbox/change.h"
#include "store/mailbox/model.h"

#include <stdlib.h>
#include <sys/eventfd.h>

/* Arrays of UIDs that grow as needed: our own numbers, bounded by the folder. */
struct uids {
	uint32_t *all;
	size_t count, capacity;
};

static void
uids_add(struct uids *u, uint32_t uid)
{
	if (u->count == u->capacity) {
		u->capacity = u->capacity == 0 ? 32 : u->capacity * 2;
		u->all = memory_resize(u->all, u->capacity, sizeof(uint32_t));
	}
	u->all[u->count++] = uid;
}

static int
compare_uids(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

/* Rising, each once. */
static void
uids_sort(struct uids *u)
{
	size_t to = 0;

	if (u->count == 0)
		return;
	qsort(u->all, u->count, sizeof(uint32_t), compare_uids);
	for (size_t i = 0; i < u->count; i++)
		if (i == 0 || u->all[i] != u->all[to - 1])
			u->all[to++] = u->all[i];
	u->count = to;
}

static struct view *
view_of(struct mailbox_view *v)
{
	return LINK_OWNER(v, struct view, open);
}

size_t
mailbox_view_find(const struct mailbox_view *v, uint32_t uid)
{
	size_t low = 0, high = v->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (v->messages[middle].uid < uid)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool
in_view(const struct view *v, uint32_t uid, size_t *ret)
{
	*ret = mailbox_view_find(&v->open, uid);
	return *ret < v->open.count && v->open.messages[*ret].uid == uid;
}

/* What happened since the last time, from the events. */
static void
read_events(const struct view *v, struct uids *changed, struct uids *gone)
{
	const struct folder *f = v->folder;

	for (uint64_t n = v->next_event; n < f->event_base + f->event_count; n++) {
		const struct event *e = &f->events[n - f->event_base];

		uids_add(e->gone ? gone : changed, e->uid);
	}
}

/* The same by comparing the arrays. */
static void
compare_arrays(const struct view *v, struct uids *changed, struct uids *gone)
{
	const struct folder *f = v->folder;
	size_t at = 0;

	for (size_t i = 0; i < v->open.count; i++) {
		const struct mailbox_message *mine = &v->open.messages[i];

		while (at < f->count && f->array[at].uid < mine->uid)
			at++;
		if (at == f->count || f->array[at].uid != mine->uid)
			uids_add(gone, mine->uid);
		else if (f->array[at].modseq != mine->modseq)
			uids_add(changed, mine->uid);
	}
}

/* Takes the expunged messages out of the array, telling the highest number first. */
static size_t
remove_gone(struct view *v, const struct uids *gone)
{
	size_t told = 0, to, next = 0;

	v->gone = memory_resize(v->gone, gone->count, sizeof(*v->gone));
	for (size_t i = gone->count; i-- > 0;) {
		size_t at;

		if (in_view(v, gone->all[i], &at))
			v->gone[told++] = (struct mailbox_gone){ .number = (uint32_t)at + 1,
				.uid = gone->all[i] };
	}
	if (told == 0)
		return 0;
	to = v->gone[told - 1].number - 1;
	for (size_t i = to; i < v->open.count; i++) {
		while (next < gone->count && gone->all[next] < v->open.messages[i].uid)
			next++;
		if (next == gone->count || gone->all[next] != v->open.messages[i].uid)
			v->open.messages[to++] = v->open.messages[i];
	}
	v->open.count = to;
	return told;
}

static size_t
take_changed(struct view *v, const struct uids *changed)
{
	size_t told = 0;

	v->changed = memory_resize(v->changed, changed->count, sizeof(*v->changed));
	for (size_t i = 0; i < changed->count; i++) {
		const struct mailbox_message *now = model_message(v->folder, changed->all[i]);
		size_t at;

		if (now == NULL || !in_view(v, changed->all[i], &at))
			continue;
		if (v->open.messages[at].modseq != now->modseq)
			v->changed[told++] = (uint32_t)at;
		v->open.messages[at] = *now;
	}
	return told;
}

/* What the folder holds behind the last UID that the view has seen. */
static size_t
take_added(struct view *v)
{
	const struct folder *f = v->folder;
	size_t first = f->count, n;

	while (first > 0 && f->array[first - 1].uid >= v->open.uid_next)
		first--;
	n = f->count - first;
	if (v->open.count + n > v->capacity) {
		v->capacity = v->open.count + n + (v->capacity == 0 ? 0 : v->capacity / 4);
		v->open.messages = memory_resize(v->open.messages, v->capacity,
			sizeof(struct mailbox_message));
	}
	if (n > 0)
		memcpy(v->open.messages + v->open.count, f->array + first,
			n * sizeof(struct mailbox_message));
	v->open.count += n;
	v->open.uid_next = f->uid_next;
	return n;
}

static bool
take_keywords(struct view *v)
{
	const struct folder *f = v->folder;
	bool more = v->open.keyword_count < f->keyword_count;

	for (size_t i = v->open.keyword_count; i < f->keyword_count; i++)
		v->open.keywords[i] = f->keywords[i];
	v->open.keyword_count = f->keyword_count;
	return more;
}

/* Events that every view has read are forgotten. */
static void
forget_events(struct folder *f)
{
	list_each (at, &f->views) {
		const struct view *v = LINK_OWNER(at, struct view, link);

		if (v->next_event < f->event_base + f->event_count)
			return;
	}
	f->event_base += f->event_count;
	f->event_count = 0;
}

static void
keep_gone(struct view *v, struct uids *gone)
{
	free(v->kept);
	v->kept = gone->all;
	v->kept_count = gone->count;
	gone->all = NULL;
}

static Err
refresh(struct view *v, enum mailbox_refresh how, struct mailbox_changes *ret)
{
	struct folder *f = v->folder;
	struct uids changed = { 0 }, gone = { 0 };
	struct mailbox_changes c = { 0 };

	TRY(model_load(v->mailbox, f));
	for (size_t i = 0; i < v->kept_count; i++)
		uids_add(&gone, v->kept[i]);
	v->kept_count = 0;
	if (v->next_event >= f->event_base)
		read_events(v, &changed, &gone);
	else
		compare_arrays(v, &changed, &gone);
	v->next_event = f->event_base + f->event_count;
	forget_events(f);
	uids_sort(&changed);
	uids_sort(&gone);
	if (how == MAILBOX_REFRESH_ALL && gone.count > 0)
		c.gone_count = remove_gone(v, &gone);
	else if (gone.count > 0)
		c.kept = true;
	c.gone = v->gone;
	if (changed.count > 0)
		c.changed_count = take_changed(v, &changed);
	c.changed = v->changed;
	c.added = take_added(v);
	c.keywords = take_keywords(v);
	v->open.modseq = f->modseq;
	if (c.kept)
		keep_gone(v, &gone);
	free(changed.all);
	free(gone.all);
	*ret = c;
	return OK;
}

Err
mailbox_view_refresh(struct mailbox_view *open, enum mailbox_refresh how,
	struct mailbox_changes *ret)
{
	struct view *v = view_of(open);
	struct mailbox *m = v->mailbox;
	eventfd_t count;
	Err e = OK;

	pthread_mutex_lock(&m->lock);
	if (v->signalled)
		eventfd_read(v->wait_fd, &count);
	v->signalled = false;
	if (v->folder->removed)
		*ret = (struct mailbox_changes){ .folder_gone = true };
	else
		e = refresh(v, how, ret);
	pthread_mutex_unlock(&m->lock);
	return e;
}

static Err
open_view(struct mailbox *m, uint32_t folder, struct view *v)
{
	struct mailbox_changes first;
	struct folder *f;

	TRY(m->driver->telling(m));
	TRY(model_find(m, folder, &f));
	TRY(m->driver->notice(m, f, false));
	TRY(model_find(m, folder, &f)); /* the lock was given away meanwhile */
	TRY(model_load(m, f));
	v->mailbox = m;
	v->folder = f;
	v->wait_fd = -1;
	v->next_event = f->event_base + f->event_count;
	v->open.folder = folder;
	v->open.uid_validity = f->uid_validity;
	TRY(refresh(v, MAILBOX_REFRESH_ALL, &first));
	list_add_last(&f->views, &v->link);
	return OK;
}

Err
mailbox_view_open(struct mailbox *m, uint32_t folder, struct mailbox_view **ret)
{
	struct view *v = memory_get(sizeof(*v));
	Err e;

	pthread_mutex_lock(&m->lock);
	e = open_view(m, folder, v);
	pthread_mutex_unlock(&m->lock);
	if (failed(e)) {
		free(v->open.messages);
		free(v);
		return e;
	}
	*ret = &v->open;
	return OK;
}

void
mailbox_view_close(struct mailbox_view *open)
{
	struct view *v = open == NULL ? NULL : view_of(open);
	struct folder *f;

	if (v == NULL)
		return;
	f = v->folder;
	pthread_mutex_lock(&v->mailbox->lock);
	link_remove(&v->link);
	if (f->removed && list_empty(&f->views))
		model_free_folder(f);
	else
		forget_events(f);
	pthread_mutex_unlock(&v->mailbox->lock);
	fd_drop(&v->wait_fd);
	free(v->open.messages);
	free(v->kept);
	free(v->gone);
	free(v->changed);
	free(v);
}

/* Events that came before this call make it readable at once. */
static Err
make_wait_fd(struct view *v)
{
	const struct folder *f = v->folder;

	if (v->wait_fd >= 0)
		return OK;
	v->wait_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->wait_fd < 0)
		return fail_sys(ERR_TEMP, "cannot wait for changes");
	if (f->removed || v->next_event != f->event_base + f->event_count)
		v->signalled = eventfd_write(v->wait_fd, 1) == 0;
	return OK;
}

Err
mailbox_view_wait_fd(struct mailbox_view *open, int *ret)
{
	struct view *v = view_of(open);
	Err e;

	pthread_mutex_lock(&v->mailbox->lock);
	e = make_wait_fd(v);
	pthread_mutex_unlock(&v->mailbox->lock);
	TRY(e);
	*ret = v->wait_fd;
	return OK;
}
