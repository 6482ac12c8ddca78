/* SPDX-License-Identifier: ISC */
/*
 * The driver that keeps an account in memory, for tests: what it shows, no caller may take for a
 * property of files. Its commits never fail.
 */
#include "base/memory.h"
#include "os/memfd.h"
#include "store/mailbox/model.h"

#include <fcntl.h>
#include <stdlib.h>

struct kept {
	uint64_t key;
	struct mailbox_message message;
	int fd; /* a sealed memfd */
	bool raw;
	uint64_t stored_size;
	uint32_t header_size;
	Str envelope, structure;
};

struct removed {
	uint64_t key, modseq;
};

struct delivery {
	uint64_t queue_id;
	uint32_t recipient;
	uint64_t key;
};

struct ram {
	struct mailbox m;
	struct map *messages;    /* key to struct kept */
	struct removed *removed; /* in the order they went */
	size_t removed_count;
	struct delivery *deliveries;
	size_t delivery_count;
};

static struct ram *
ram_of(struct mailbox *m)
{
	return LINK_OWNER(m, struct ram, m);
}

static uint64_t
key_of(const struct folder *f, uint32_t uid)
{
	return (uint64_t)f->id << 32 | uid;
}

static void
free_kept(struct kept *k)
{
	if (k == NULL)
		return;
	fd_drop(&k->fd);
	memory_free_str(&k->envelope);
	memory_free_str(&k->structure);
	free(k);
}

static void
ram_close(struct mailbox *m)
{
	struct ram *r = ram_of(m);
	struct kept *k;
	size_t at = 0;

	while ((k = map_each(r->messages, &at)) != NULL)
		free_kept(k);
	map_free(r->messages);
	free(r->removed);
	free(r->deliveries);
	model_done(m);
	free(r);
}

static Err
nothing(struct mailbox *m)
{
	(void)m;
	return OK;
}

static void
nothing_more(struct mailbox *m)
{
	(void)m;
}

static Err
ram_commit(struct mailbox *m, bool durable)
{
	(void)m;
	(void)durable;
	return OK;
}

static Err
ram_put_folder(struct mailbox *m, const struct folder *f)
{
	(void)m;
	(void)f;
	return OK;
}

static Err
ram_rename_folder(struct mailbox *m, struct folder *f, Str from)
{
	(void)m;
	(void)f;
	(void)from;
	return OK;
}

static Err
ram_drop_folder(struct mailbox *m, const struct folder *f)
{
	struct ram *r = ram_of(m);

	for (uint32_t uid = 1; uid < f->uid_next; uid++)
		free_kept(map_remove(r->messages, key_of(f, uid)));
	return OK;
}

static Err
ram_subscribe(struct mailbox *m, Str name, bool subscribed)
{
	(void)m;
	(void)name;
	(void)subscribed;
	return OK;
}

static Err
ram_load(struct mailbox *m, struct folder *f)
{
	for (uint32_t uid = 1; uid < f->uid_next; uid++) {
		const struct kept *k = map_get(ram_of(m)->messages, key_of(f, uid));

		if (k != NULL)
			model_push(f, &k->message);
	}
	return OK;
}

static Err
ram_prepare(struct mailbox *m, struct arrival *a, bool durable)
{
	(void)m;
	(void)durable;
	return memfd_from(a->bytes, &a->fd);
}

static void
ram_discard(struct mailbox *m, struct arrival *a)
{
	(void)m;
	(void)a;
}

static Err
ram_add(struct mailbox *m, struct folder *f, const struct mailbox_message *message,
	struct arrival *a)
{
	struct kept *k = memory_get(sizeof(*k));

	k->key = key_of(f, message->uid);
	k->message = *message;
	k->fd = TAKE_FD(a->fd);
	k->raw = a->raw;
	k->stored_size = a->bytes.n;
	k->header_size = a->header_size;
	k->envelope = memory_copy(str_part(buf_view(&a->text), 0, a->envelope_size));
	k->structure = memory_copy(str_from_at(buf_view(&a->text), a->envelope_size));
	free_kept(map_set(ram_of(m)->messages, k->key, k));
	return OK;
}

static Err
ram_change(struct mailbox *m, struct folder *f, const struct mailbox_message *message)
{
	struct kept *k = map_get(ram_of(m)->messages, key_of(f, message->uid));

	if (k != NULL)
		k->message = *message;
	return OK;
}

static Err
ram_copy(struct mailbox *m, const struct folder *from, uint32_t uid, struct folder *to,
	const struct mailbox_message *copy)
{
	const struct kept *old = map_get(ram_of(m)->messages, key_of(from, uid));
	struct kept *k;

	if (old == NULL)
		return fail(ERR_TEMP, "no such message");
	k = memory_get(sizeof(*k));
	*k = *old;
	k->key = key_of(to, copy->uid);
	k->message = *copy;
	k->envelope = memory_copy(old->envelope);
	k->structure = memory_copy(old->structure);
	k->fd = fcntl(old->fd, F_DUPFD_CLOEXEC, 0);
	if (k->fd < 0) {
		free_kept(k);
		return fail_sys(ERR_TEMP, "cannot copy message");
	}
	free_kept(map_set(ram_of(m)->messages, k->key, k));
	return OK;
}

static Err
ram_remove(struct mailbox *m, struct folder *f, uint32_t uid, uint64_t modseq)
{
	struct ram *r = ram_of(m);

	free_kept(map_remove(r->messages, key_of(f, uid)));
	r->removed = memory_resize(r->removed, r->removed_count + 1, sizeof(*r->removed));
	r->removed[r->removed_count++] = (struct removed){ key_of(f, uid), modseq };
	return OK;
}

static Err
ram_fetch(struct mailbox *m, const struct folder *f, const uint32_t *uids, size_t count,
	unsigned columns, struct arena *arena, struct mailbox_row *ret)
{
	for (size_t i = 0; i < count; i++) {
		const struct kept *k = map_get(ram_of(m)->messages, key_of(f, uids[i]));

		ret[i] = (struct mailbox_row){ .uid = uids[i], .gone = k == NULL };
		if (k == NULL)
			continue;
		ret[i].header_size = k->header_size;
		if ((columns & MAILBOX_ENVELOPE) != 0)
			TRY(arena_copy(arena, k->envelope, &ret[i].envelope));
		if ((columns & MAILBOX_STRUCTURE) != 0)
			TRY(arena_copy(arena, k->structure, &ret[i].structure));
	}
	return OK;
}

static Err
ram_open_bytes(struct mailbox *m, const struct folder *f, uint32_t uid,
	struct mailbox_bytes *ret)
{
	const struct kept *k = map_get(ram_of(m)->messages, key_of(f, uid));
	int fd;

	if (k == NULL)
		return fail(ERR_PEER, "message is gone");
	fd = fcntl(k->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return fail_sys(ERR_TEMP, "cannot open message");
	*ret = (struct mailbox_bytes){ .fd = fd, .raw = k->raw, .size = k->stored_size };
	return OK;
}

static int
compare_uids(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return (a > b) - (a < b);
}

static Err
ram_expunged(struct mailbox *m, const struct folder *f, uint64_t since, struct arena *arena,
	uint32_t **ret, size_t *ret_count)
{
	const struct ram *r = ram_of(m);
	uint32_t *uids = arena_try_array(arena, r->removed_count, sizeof(*uids));
	size_t count = 0;

	if (uids == NULL && r->removed_count > 0)
		return fail(ERR_LIMIT, "too many messages");
	for (size_t i = 0; i < r->removed_count; i++)
		if (r->removed[i].key >> 32 == f->id && r->removed[i].modseq > since)
			uids[count++] = (uint32_t)r->removed[i].key;
	if (count > 0)
		qsort(uids, count, sizeof(*uids), compare_uids);
	*ret = uids;
	*ret_count = count;
	return OK;
}

static Err
ram_delivered(struct mailbox *m, const struct arrival *a, bool *ret_known, uint32_t *ret_folder,
	uint32_t *ret_uid)
{
	const struct ram *r = ram_of(m);

	*ret_known = false;
	for (size_t i = 0; i < r->delivery_count; i++) {
		const struct delivery *d = &r->deliveries[i];

		if (d->queue_id != a->queue_id || d->recipient != a->recipient)
			continue;
		*ret_known = true;
		*ret_folder = (uint32_t)(d->key >> 32);
		*ret_uid = map_get(r->messages, d->key) == NULL ? 0 : (uint32_t)d->key;
	}
	return OK;
}

static Err
ram_put_delivered(struct mailbox *m, const struct arrival *a, const struct folder *f,
	uint32_t uid)
{
	struct ram *r = ram_of(m);

	r->deliveries =
		memory_resize(r->deliveries, r->delivery_count + 1, sizeof(*r->deliveries));
	r->deliveries[r->delivery_count++] = (struct delivery){
		.queue_id = a->queue_id, .recipient = a->recipient, .key = key_of(f, uid)
	};
	return OK;
}

static Err
ram_repair(struct mailbox *m, const struct folder *f, uint32_t uid, struct arrival *a)
{
	(void)m;
	(void)f;
	(void)uid;
	(void)a;
	return OK;
}

static Err
ram_forget(struct mailbox *m, uint64_t below)
{
	struct ram *r = ram_of(m);
	size_t to = 0;

	for (size_t i = 0; i < r->delivery_count; i++)
		if (r->deliveries[i].queue_id >= below)
			r->deliveries[to++] = r->deliveries[i];
	r->delivery_count = to;
	return OK;
}

static Err
ram_notice(struct mailbox *m, struct folder *f, bool force)
{
	(void)m;
	(void)f;
	(void)force;
	return OK;
}

static Err
ram_tidy(struct mailbox *m, Time now, Time *ret_due)
{
	(void)m;
	*ret_due = time_add_seconds(now, HOUR);
	return OK;
}

static const struct mailbox_driver ram_driver = {
	.close = ram_close,
	.begin = nothing,
	.commit = ram_commit,
	.abort = nothing_more,
	.mark = nothing,
	.unmark = nothing_more,
	.put_folder = ram_put_folder,
	.rename_folder = ram_rename_folder,
	.drop_folder = ram_drop_folder,
	.subscribe = ram_subscribe,
	.load = ram_load,
	.reload = nothing,
	.prepare = ram_prepare,
	.discard = ram_discard,
	.add = ram_add,
	.change = ram_change,
	.copy = ram_copy,
	.remove = ram_remove,
	.settle = nothing,
	.fetch = ram_fetch,
	.open_bytes = ram_open_bytes,
	.expunged = ram_expunged,
	.delivered = ram_delivered,
	.put_delivered = ram_put_delivered,
	.repair = ram_repair,
	.forget = ram_forget,
	.telling = nothing,
	.notice = ram_notice,
	.tidy = ram_tidy,
};

Err
mailbox_open_ram(const struct mailbox_settings *settings, struct mailbox **ret)
{
	struct ram *r = memory_get(sizeof(*r));

	model_init(&r->m, &ram_driver, settings->host);
	r->m.modseq_ceiling = MODSEQ_STEP;
	r->messages = map_new();
	TRY(model_make_folders(&r->m));
	for (size_t i = 0; i < r->m.folder_count; i++)
		r->m.folders[i]->uid_validity = 1;
	r->m.validity = 1;
	*ret = &r->m;
	return OK;
}
