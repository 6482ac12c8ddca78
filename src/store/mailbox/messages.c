/* SPDX-License-Identifier: ISC */
/*
 * Messages, as callers of the store see them: every function takes the lock, tells the driver, then
 * changes the model. Memory is changed only after the driver has taken the whole batch, so that a
 * failure in the middle leaves nothing behind.
 */
#include "base/memory.h"
#include "store/mailbox/arrival.h"
#include "store/mailbox/change.h"
#include "store/mailbox/model.h"

#include <stdlib.h>

void
mailbox_close(struct mailbox *m)
{
	if (m != NULL)
		m->driver->close(m);
}

bool
mailbox_was_rebuilt(const struct mailbox *m)
{
	return m->rebuilt;
}

Err
mailbox_tidy(struct mailbox *m, Time now, Time *ret_due)
{
	Err e;

	pthread_mutex_lock(&m->lock);
	e = m->driver->tidy(m, now, ret_due);
	pthread_mutex_unlock(&m->lock);
	return e;
}

/* ---- Reading ---- */

Err
mailbox_fetch(struct mailbox *m, uint32_t folder, const uint32_t *uids, size_t count,
	unsigned columns, struct arena *arena, struct mailbox_row **ret)
{
	struct mailbox_row *rows = arena_try_array(arena, count, sizeof(*rows));
	struct folder *f;
	Err e;

	if (rows == NULL && count > 0)
		return fail(ERR_LIMIT, "too many messages at once");
	pthread_mutex_lock(&m->lock);
	e = model_find(m, folder, &f);
	if (!failed(e))
		e = m->driver->fetch(m, f, uids, count, columns, arena, rows);
	pthread_mutex_unlock(&m->lock);
	TRY(e);
	*ret = rows;
	return OK;
}

/* When its file is not where we left it, somebody may have renamed it: look once, try again. */
static Err
open_bytes(struct mailbox *m, uint32_t folder, uint32_t uid, struct mailbox_bytes *ret)
{
	struct folder *f;
	Err e;

	TRY(model_find(m, folder, &f));
	e = m->driver->open_bytes(m, f, uid, ret);
	if (e.kind != ERR_PEER || e.sys != ENOENT)
		return e;
	TRY(m->driver->notice(m, f, true));
	TRY(model_find(m, folder, &f)); /* the lock was given away meanwhile */
	return m->driver->open_bytes(m, f, uid, ret);
}

Err
mailbox_bytes_open(struct mailbox *m, uint32_t folder, uint32_t uid, struct mailbox_bytes *ret)
{
	Err e;

	pthread_mutex_lock(&m->lock);
	e = open_bytes(m, folder, uid, ret);
	pthread_mutex_unlock(&m->lock);
	return e;
}

Err
mailbox_expunged_since(struct mailbox *m, uint32_t folder, uint64_t since, struct arena *arena,
	uint32_t **ret, size_t *ret_count)
{
	struct folder *f;
	Err e;

	pthread_mutex_lock(&m->lock);
	e = model_find(m, folder, &f);
	if (!failed(e))
		e = m->driver->expunged(m, f, since, arena, ret, ret_count);
	pthread_mutex_unlock(&m->lock);
	return e;
}

/* ---- Flags ---- */

static Err
keyword_bit(struct mailbox *m, struct folder *f, Str name, bool create, uint64_t *ret)
{
	for (size_t i = 0; i < f->keyword_count; i++)
		if (str_eq_icase(f->keywords[i], name)) {
			*ret = (uint64_t)1 << (MAILBOX_KEYWORD_FIRST + i);
			return OK;
		}
	*ret = 0;
	if (!create)
		return OK;
	TRY(model_add_keyword(m, f, name));
	TRY(m->driver->put_folder(m, f));
	*ret = (uint64_t)1 << (MAILBOX_KEYWORD_FIRST + f->keyword_count - 1);
	return OK;
}

Err
mailbox_keyword_bit(struct mailbox *m, uint32_t folder, Str name, bool create, uint64_t *ret)
{
	struct folder *f;
	uint64_t bit = 0;
	Err e;

	if (name.n == 0 || name.n > MAILBOX_KEYWORD_SIZE)
		return fail(ERR_LIMIT, "keyword is too long");
	pthread_mutex_lock(&m->lock);
	e = model_find(m, folder, &f);
	if (!failed(e))
		e = keyword_bit(m, f, name, false, &bit);
	pthread_mutex_unlock(&m->lock);
	TRY(e);
	if (bit == 0 && create) {
		TRY(change_begin(m));
		e = model_find(m, folder, &f);
		if (!failed(e))
			e = keyword_bit(m, f, name, true, &bit);
		TRY(change_end(m, e, MAILBOX_COVERED));
	}
	*ret = bit;
	return OK;
}

/* Messages as they are to be, gathered before the model is changed. */
struct batch {
	struct mailbox_message *all;
	size_t count;
};

static void
batch_done(struct batch *b)
{
	free(b->all);
}

static uint64_t
flags_after(uint64_t flags, const struct mailbox_flags_change *change)
{
	switch (change->mode) {
	case MAILBOX_FLAGS_ADD:
		return flags | change->flags;
	case MAILBOX_FLAGS_REMOVE:
		return flags & ~change->flags;
	case MAILBOX_FLAGS_REPLACE:
		break;
	}
	return change->flags;
}

/* Which messages change, and which may not because they have changed since. */
static Err
choose_flags(const struct folder *f, const uint32_t *uids, size_t count,
	const struct mailbox_flags_change *change, struct arena *arena, struct batch *batch,
	struct mailbox_flags_result *ret)
{
	uint32_t *stale = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct mailbox_message *at = model_message(f, uids[i]);
		struct mailbox_message now;

		if (at == NULL)
			continue;
		if (at->modseq > change->unchanged_since) {
			if (stale == NULL)
				stale = arena_try_array(arena, count, sizeof(*stale));
			if (stale == NULL)
				return fail(ERR_LIMIT, "too many messages at once");
			stale[ret->failed_count++] = uids[i];
			continue;
		}
		now = *at;
		now.flags = flags_after(at->flags, change);
		if (now.flags != at->flags)
			batch->all[batch->count++] = now;
	}
	ret->failed = stale;
	return OK;
}

static Err
set_flags(struct mailbox *m, uint32_t folder, const uint32_t *uids, size_t count,
	const struct mailbox_flags_change *change, struct arena *arena, struct batch *batch,
	struct mailbox_flags_result *ret)
{
	struct folder *f;

	TRY(model_find(m, folder, &f));
	TRY(model_load(m, f));
	TRY(choose_flags(f, uids, count, change, arena, batch, ret));
	if (batch->count == 0)
		return OK;
	ret->modseq = model_next_modseq(m);
	for (size_t i = 0; i < batch->count; i++) {
		batch->all[i].modseq = ret->modseq;
		TRY(m->driver->change(m, f, &batch->all[i]));
	}
	for (size_t i = 0; i < batch->count; i++)
		model_changed(m, f, &batch->all[i]);
	return OK;
}

Err
mailbox_flags_set(struct mailbox *m, uint32_t folder, const uint32_t *uids, size_t count,
	const struct mailbox_flags_change *change, struct arena *arena,
	struct mailbox_flags_result *ret)
{
	struct batch batch = { .all = memory_get_array(count, sizeof(*batch.all)) };
	struct mailbox_flags_result result = { 0 };
	Err e = change_begin(m);

	if (!failed(e)) {
		e = set_flags(m, folder, uids, count, change, arena, &batch, &result);
		e = change_end(m, e, batch.count > 0 ? MAILBOX_DURABLE : MAILBOX_COVERED);
	}
	batch_done(&batch);
	TRY(e);
	*ret = result;
	return OK;
}

/* ---- Adding ---- */

struct arrivals {
	struct arrival *all;
	size_t count;
};

static void
arrivals_done(struct mailbox *m, struct arrivals *a)
{
	for (size_t i = 0; i < a->count; i++) {
		m->driver->discard(m, &a->all[i]);
		arrival_done(&a->all[i]);
	}
	free(a->all);
}

static struct mailbox_message
message_of(struct mailbox *m, struct folder *f, const struct arrival *a, uint64_t modseq)
{
	return (struct mailbox_message){
		.uid = model_next_uid(m, f),
		.size = a->size,
		.flags = a->flags,
		.modseq = modseq,
		.date = a->date,
	};
}

static Err
add_all(struct mailbox *m, struct folder *f, struct arrivals *a, uint32_t *ret_uids)
{
	uint64_t modseq = model_next_modseq(m);
	struct mailbox_message *messages = memory_get_array(a->count, sizeof(*messages));
	Err e = OK;

	for (size_t i = 0; i < a->count && !failed(e); i++) {
		messages[i] = message_of(m, f, &a->all[i], modseq);
		e = m->driver->add(m, f, &messages[i], &a->all[i]);
	}
	for (size_t i = 0; i < a->count && !failed(e); i++) {
		model_added(m, f, &messages[i]);
		ret_uids[i] = messages[i].uid;
	}
	free(messages);
	return e;
}

static Err
make_arrivals(struct mailbox *m, const struct mailbox_append *messages, size_t count,
	bool durable, struct arrivals *a)
{
	for (size_t i = 0; i < count; i++) {
		struct arrival *at = &a->all[a->count++];

		TRY(arrival_make(at, &messages[i].message, false));
		at->flags = messages[i].flags;
		at->date = time_seconds(messages[i].date);
		TRY(m->driver->prepare(m, at, durable));
	}
	return OK;
}

static Err
append(struct mailbox *m, uint32_t folder, struct arrivals *a, enum mailbox_durability how,
	uint32_t *ret_uids)
{
	struct folder *f;
	Err e;

	TRY(change_begin(m));
	e = model_find(m, folder, &f);
	if (!failed(e))
		e = add_all(m, f, a, ret_uids);
	TRY(change_end(m, e, how));
	for (size_t i = 0; i < a->count; i++)
		a->all[i].where[0] = '\0'; /* the file is the folder's now */
	return OK;
}

Err
mailbox_append(struct mailbox *m, uint32_t folder, const struct mailbox_append *messages,
	size_t count, enum mailbox_durability how, uint32_t *ret_uids)
{
	struct arrivals a = { 0 };
	Err e;

	if (count > MAILBOX_BATCH_MAX)
		return fail(ERR_LIMIT, "too many messages at once");
	a.all = memory_get_array(count, sizeof(*a.all));
	e = make_arrivals(m, messages, count, how == MAILBOX_DURABLE, &a);
	if (!failed(e))
		e = append(m, folder, &a, how, ret_uids);
	arrivals_done(m, &a);
	return e;
}

/* ---- Copying and removing ---- */

static Err
make_room(struct arena *arena, size_t count, uint32_t **ret_from, uint32_t **ret_to)
{
	*ret_from = arena_try_array(arena, count, sizeof(uint32_t));
	*ret_to = arena_try_array(arena, count, sizeof(uint32_t));
	return count > 0 && (*ret_from == NULL || *ret_to == NULL)
		       ? fail(ERR_LIMIT, "too many messages at once")
		       : OK;
}

/* Keyword bits are the folder's own: the same names get bits in the other one. */
static Err
translate_flags(struct mailbox *m, const struct folder *f, struct folder *g, uint64_t *flags)
{
	uint64_t result = *flags & (((uint64_t)1 << MAILBOX_KEYWORD_FIRST) - 1);

	for (size_t i = 0; i < f->keyword_count; i++) {
		uint64_t bit;

		if ((*flags >> (MAILBOX_KEYWORD_FIRST + i) & 1) == 0)
			continue;
		/* a keyword that finds no room in the other folder is left behind */
		if (!failed(keyword_bit(m, g, f->keywords[i], true, &bit)))
			result |= bit;
	}
	*flags = result;
	return OK;
}

/* Copies, or moves: then the first ones are removed in the same change. */
static Err
transfer(struct mailbox *m, struct folder *f, const uint32_t *uids, size_t count,
	struct folder *g, bool move, struct batch *batch, uint32_t *from)
{
	uint64_t modseq;

	TRY(model_load(m, f));
	modseq = model_next_modseq(m);
	for (size_t i = 0; i < count; i++) {
		const struct mailbox_message *at = model_message(f, uids[i]);
		struct mailbox_message *copy = &batch->all[batch->count];

		if (at == NULL)
			continue;
		from[batch->count] = at->uid;
		*copy = *at;
		copy->uid = model_next_uid(m, g);
		copy->modseq = modseq;
		if (f != g)
			TRY(translate_flags(m, f, g, &copy->flags));
		TRY(m->driver->copy(m, f, from[batch->count], g, copy));
		if (move)
			TRY(m->driver->remove(m, f, from[batch->count], modseq));
		batch->count++;
	}
	for (size_t i = 0; i < batch->count; i++) {
		if (move)
			model_removed(m, f, from[i], modseq);
		model_added(m, g, &batch->all[i]);
	}
	if (move)
		model_sweep(f);
	return OK;
}

static Err
copy_or_move(struct mailbox *m, uint32_t folder, const uint32_t *uids, size_t count,
	uint32_t to, bool move, struct arena *arena, struct mailbox_copied *ret)
{
	struct batch batch = { 0 };
	struct mailbox_copied copied = { 0 };
	uint32_t *from_uids, *to_uids;
	struct folder *f, *g = NULL;
	Err e;

	TRY(make_room(arena, count, &from_uids, &to_uids));
	TRY(change_begin(m));
	batch.all = memory_get_array(count, sizeof(*batch.all));
	e = model_find(m, folder, &f);
	if (!failed(e))
		e = model_find(m, to, &g);
	if (!failed(e)) {
		copied.uid_validity = g->uid_validity;
		e = transfer(m, f, uids, count, g, move, &batch, from_uids);
	}
	e = change_end(m, e, MAILBOX_DURABLE);
	for (size_t i = 0; i < batch.count; i++)
		to_uids[i] = batch.all[i].uid;
	copied.from = from_uids;
	copied.to = to_uids;
	copied.count = batch.count;
	batch_done(&batch);
	TRY(e);
	TRY(m->driver->settle(m));
	*ret = copied;
	return OK;
}

Err
mailbox_copy(struct mailbox *m, uint32_t folder, const uint32_t *uids, size_t count,
	uint32_t to, struct arena *arena, struct mailbox_copied *ret)
{
	return copy_or_move(m, folder, uids, count, to, false, arena, ret);
}

Err
mailbox_move(struct mailbox *m, uint32_t folder, const uint32_t *uids, size_t count,
	uint32_t to, struct arena *arena, struct mailbox_copied *ret)
{
	return copy_or_move(m, folder, uids, count, to, true, arena, ret);
}

static Err
expunge(struct mailbox *m, uint32_t folder, const uint32_t *uids, size_t count,
	struct batch *batch, uint64_t *ret_modseq)
{
	struct folder *f;

	TRY(model_find(m, folder, &f));
	TRY(model_load(m, f));
	if (uids == NULL)
		count = f->count;
	batch->all = memory_get_array(count, sizeof(*batch->all));
	for (size_t i = 0; i < count; i++) {
		const struct mailbox_message *at =
			uids == NULL ? &f->array[i] : model_message(f, uids[i]);

		if (at != NULL && (at->flags & MAILBOX_DELETED) != 0)
			batch->all[batch->count++] = *at;
	}
	if (batch->count == 0)
		return OK;
	*ret_modseq = model_next_modseq(m);
	for (size_t i = 0; i < batch->count; i++)
		TRY(m->driver->remove(m, f, batch->all[i].uid, *ret_modseq));
	for (size_t i = 0; i < batch->count; i++)
		model_removed(m, f, batch->all[i].uid, *ret_modseq);
	model_sweep(f);
	return OK;
}

Err
mailbox_expunge(struct mailbox *m, uint32_t folder, const uint32_t *uids, size_t count,
	uint64_t *ret_modseq)
{
	struct batch batch = { 0 };
	uint64_t modseq = 0;
	Err e;

	TRY(change_begin(m));
	e = expunge(m, folder, uids, count, &batch, &modseq);
	e = change_end(m, e, batch.count > 0 ? MAILBOX_DURABLE : MAILBOX_COVERED);
	batch_done(&batch);
	TRY(e);
	TRY(m->driver->settle(m));
	*ret_modseq = modseq;
	return OK;
}

/* ---- Delivery ---- */

/* One that is not known yet gets a UID; its message waits in `batch` for the model. */
static Err
deliver_one(struct mailbox *m, uint32_t folder, struct arrival *a, uint64_t modseq,
	struct mailbox_message *message, struct folder **ret_folder,
	struct mailbox_delivered *ret)
{
	uint32_t known_folder, known_uid;
	struct folder *f;
	bool known;

	TRY(m->driver->delivered(m, a, &known, &known_folder, &known_uid));
	if (known) {
		ret->before = true;
		ret->uid = known_uid;
		f = known_uid == 0 ? NULL : model_folder(m, known_folder);
		return f == NULL ? OK : m->driver->repair(m, f, known_uid, a);
	}
	f = model_folder(m, folder == 0 ? INBOX_ID : folder);
	if (f == NULL)
		f = model_folder(m, INBOX_ID);
	*message = message_of(m, f, a, modseq);
	TRY(m->driver->add(m, f, message, a));
	TRY(m->driver->put_delivered(m, a, f, message->uid));
	ret->uid = message->uid;
	*ret_folder = f;
	return OK;
}

static Err
deliver_all(struct mailbox *m, const struct mailbox_delivery *deliveries, struct arrivals *a,
	struct mailbox_message *messages, struct folder **folders,
	struct mailbox_delivered *ret)
{
	uint64_t modseq = model_next_modseq(m);

	for (size_t i = 0; i < a->count; i++)
		TRY(deliver_one(m, deliveries[i].folder, &a->all[i], modseq, &messages[i],
			&folders[i], &ret[i]));
	for (size_t i = 0; i < a->count; i++)
		if (folders[i] != NULL)
			model_added(m, folders[i], &messages[i]);
	return OK;
}

static Err
make_deliveries(struct mailbox *m, const struct mailbox_delivery *deliveries, size_t count,
	struct arrivals *a)
{
	for (size_t i = 0; i < count; i++) {
		const struct mailbox_delivery *d = &deliveries[i];
		struct arrival *at = &a->all[a->count++];

		TRY(arrival_make(at, &d->message, d->unparsed));
		at->flags = d->flags;
		at->date = time_seconds(d->accepted);
		at->queue_id = d->queue_id;
		at->recipient = d->recipient;
		TRY(m->driver->prepare(m, at, false));
	}
	return OK;
}

static Err
deliver(struct mailbox *m, const struct mailbox_delivery *deliveries, struct arrivals *a,
	struct mailbox_delivered *ret)
{
	struct mailbox_message *messages = memory_get_array(a->count, sizeof(*messages));
	struct folder **folders = memory_get_array(a->count, sizeof(*folders));
	Err e = change_begin(m);

	if (!failed(e)) {
		e = deliver_all(m, deliveries, a, messages, folders, ret);
		e = change_end(m, e, MAILBOX_COVERED);
	}
	for (size_t i = 0; i < a->count && !failed(e); i++)
		if (folders[i] != NULL)
			a->all[i].where[0] = '\0';
	free(messages);
	free(folders);
	return e;
}

Err
mailbox_deliver(struct mailbox *m, const struct mailbox_delivery *deliveries, size_t count,
	struct mailbox_delivered *ret)
{
	struct arrivals a = { 0 };
	Err e;

	if (count > MAILBOX_BATCH_MAX)
		return fail(ERR_LIMIT, "too many messages at once");
	a.all = memory_get_array(count, sizeof(*a.all));
	memset(ret, 0, count * sizeof(*ret));
	e = make_deliveries(m, deliveries, count, &a);
	if (!failed(e))
		e = deliver(m, deliveries, &a, ret);
	arrivals_done(m, &a);
	return e;
}

Err
mailbox_forget(struct mailbox *m, uint64_t below)
{
	Err e;

	TRY(change_begin(m));
	e = m->driver->forget(m, below);
	return change_end(m, e, MAILBOX_COVERED);
}
