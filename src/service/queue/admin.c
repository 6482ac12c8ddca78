/* SPDX-License-Identifier: ISC */
/* Administrators' words: posthorn queue ... */
#include "rpc/admin.h"

#include "rpc/log.h"
#include "service/queue/desk.h"

#include <sysexits.h>

enum {
	ANSWER_MAX = 60 * 1024 * 1024, /* octets */
	IDS_MAX = 1000000,
};

static const char usage[] = "queue [list] | queue status\n"
			    "queue show ID | queue cat ID\n"
			    "queue flush [ID]\n"
			    "queue hold|release|remove ID...|all\n";

struct admin {
	struct desk *desk;
	const Str *args; /* behind the verb */
	size_t count;
	struct buf *ret;
	int exit_code;
};

static void
complain(struct admin *a, int exit_code, const char *text)
{
	buf_reset(a->ret);
	buf_put_c(a->ret, text);
	buf_put_char(a->ret, '\n');
	a->exit_code = exit_code;
}

static bool
put_view(void *self, const struct queue_view *view)
{
	struct buf *b = self;
	struct queue_listed l = { .id = view->id,
		.size = view->size,
		.sender = view->sender,
		.client = view->client,
		.queued = view->queued,
		.held = view->held,
		.active = view->active,
		.recipient_count = (uint32_t)view->recipient_count };

	queue_listed_write(b, &l);
	for (size_t i = 0; i < view->recipient_count; i++) {
		const struct queue_view_recipient *r = &view->recipients[i];

		queue_listed_write_recipient(b,
			&(struct queue_listed_recipient){ .address = r->address,
				.number = r->number,
				.state = r->state == QUEUE_BOUNCING  ? QUEUE_LISTED_FAILED
					 : r->state == QUEUE_SETTLED ? QUEUE_LISTED_SETTLED
								     : QUEUE_LISTED_WAITING,
				.attempts = r->attempts,
				.next = r->next,
				.status = r->reason.status,
				.text = r->reason.text,
				.remote = r->reason.remote });
	}
	return !b->bad;
}

static void
list(struct admin *a)
{
	queue_view_each(a->desk->queue, put_view, a->ret);
	if (a->ret->bad)
		complain(a, EX_UNAVAILABLE, "the queue is too long to show");
}

static bool
take_id(struct admin *a, Str word, uint64_t *ret)
{
	if (!failed(queue_id_parse(word, ret)))
		return true;
	complain(a, EX_DATAERR, "not a queue id");
	return false;
}

static void
show(struct admin *a)
{
	struct queue_view view;
	uint64_t id;

	if (!take_id(a, a->args[0], &id))
		return;
	if (failed(queue_view_get(a->desk->queue, id, a->desk->arena, &view)))
		complain(a, EX_DATAERR, "no such message is in the queue");
	else
		put_view(a->ret, &view);
}

static void
cat(struct admin *a)
{
	uint64_t id;
	Err e;

	if (!take_id(a, a->args[0], &id))
		return;
	e = queue_read_body(a->desk->queue, id, a->ret);
	if (failed(e))
		complain(a, e.kind == ERR_PEER ? EX_DATAERR : EX_IOERR,
			e.kind == ERR_PEER ? "no such message is in the queue" : e.what);
}

static void
flush(struct admin *a)
{
	uint64_t id = 0;

	if (a->count > 0 && !take_id(a, a->args[0], &id))
		return;
	if (failed(queue_flush(a->desk->queue, id)))
		complain(a, EX_DATAERR, "no such message is in the queue");
}

struct ids {
	uint64_t *list;
	size_t count, room;
};

static bool
note_id(void *self, const struct queue_view *view)
{
	struct ids *ids = self;

	if (ids->count < ids->room)
		ids->list[ids->count++] = view->id;
	return ids->count < ids->room;
}

static bool
collect_ids(struct admin *a, struct ids *ret)
{
	bool all = a->count == 1 && str_eq(a->args[0], S("all"));

	ret->count = 0;
	ret->room = all ? queue_figures(a->desk->queue).messages : a->count;
	ret->list = arena_try_array(a->desk->arena, ret->room, sizeof(*ret->list));
	if (ret->list == NULL || ret->room > IDS_MAX) {
		complain(a, EX_UNAVAILABLE, "too many messages at once");
		return false;
	}
	if (all) {
		if (ret->room > 0)
			queue_view_each(a->desk->queue, note_id, ret);
		return true;
	}
	for (; ret->count < a->count; ret->count++)
		if (!take_id(a, a->args[ret->count], &ret->list[ret->count]))
			return false;
	return true;
}

/* Durable when the administrator is told so. */
static void
change(struct admin *a, Err (*one)(struct queue *q, uint64_t id), const char *done)
{
	size_t changed = 0;
	struct ids ids;
	Err e, rest;

	if (!collect_ids(a, &ids))
		return;
	for (size_t i = 0; i < ids.count; i++) {
		if (!queue_fits(a->desk->queue, 64) &&
			failed(queue_commit(a->desk->queue, &rest)) && failed(rest))
			break;
		e = one(a->desk->queue, ids.list[i]);
		changed += !failed(e);
	}
	e = queue_commit(a->desk->queue, &rest);
	if (failed(e) && failed(rest)) {
		complain(a, EX_IOERR, "the journal cannot be written now");
		return;
	}
	buf_printf(a->ret, "%zu %s %s\n", changed, changed == 1 ? "message" : "messages", done);
	if (changed < ids.count)
		a->exit_code = EX_DATAERR;
}

static Err
hold_one(struct queue *q, uint64_t id)
{
	return queue_hold(q, id, true);
}

static Err
release_one(struct queue *q, uint64_t id)
{
	return queue_hold(q, id, false);
}

static void
hold(struct admin *a)
{
	change(a, hold_one, "held");
}

static void
release(struct admin *a)
{
	change(a, release_one, "released");
}

static void
remove_all(struct admin *a)
{
	change(a, queue_remove, "removed");
}

/* For doctor: a line for each figure. */
static void
status(struct admin *a)
{
	struct queue_figures f = queue_figures(a->desk->queue);

	buf_printf(a->ret, "messages %zu\nheld %zu\nactive %zu\ndestinations %zu\n", f.messages,
		f.held, f.parts_leased, f.destinations);
	buf_printf(a->ret, "segments %zu\nempty %zu\nmemory %llu\n", f.segments,
		f.segments_empty, (unsigned long long)f.memory);
	buf_printf(a->ret, "damages %zu\nfailed %llu\n", f.damages,
		(unsigned long long)f.failed);
}

static const struct {
	const char *verb;
	size_t min, max; /* arguments */
	void (*run)(struct admin *a);
} verbs[] = {
	{ "list", 0, 0, list },
	{ "status", 0, 0, status },
	{ "show", 1, 1, show },
	{ "cat", 1, 1, cat },
	{ "flush", 0, 1, flush },
	{ "hold", 1, ADMIN_WORDS_MAX, hold },
	{ "release", 1, ADMIN_WORDS_MAX, release },
	{ "remove", 1, ADMIN_WORDS_MAX, remove_all },
};

static void
run(struct admin *a, Str verb)
{
	for (size_t i = 0; i < COUNT(verbs); i++) {
		if (!str_eq(verb, str_from(verbs[i].verb)) || a->count < verbs[i].min ||
			a->count > verbs[i].max)
			continue;
		verbs[i].run(a);
		return;
	}
	complain(a, EX_USAGE, usage);
}

void
desk_admin(struct desk *d, const struct server_request *r)
{
	AUTO_BUF text = BUF_INIT(ANSWER_MAX);
	struct admin a = { .desk = d, .ret = &text };
	struct cursor c = r->fields;
	Str *words, verb = S("list");
	size_t count;
	Err e = admin_parse(&c, d->arena, &words, &count);

	if (failed(e)) {
		desk_answer(d, r->reply_to, e);
		return;
	}
	/* words[0] is "queue". */
	if (count > 1)
		verb = words[1];
	if (count > 2) {
		a.args = words + 2;
		a.count = count - 2;
	}
	run(&a, verb);
	admin_answer(d->server, &r->reply_to, buf_view(&text), a.exit_code);
	arena_reset(d->arena);
}
