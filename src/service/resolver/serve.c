/* SPDX-License-Identifier: ISC */
#include "service/resolver/serve.h"

#include "base/memory.h"
#include "service/resolver/question.h"

#include <stdlib.h>

struct task {
	bool used;
	struct question question;
	struct arena *arena; /* kept from one question to the next */
	ReplyTo reply_to;
};

struct resolver {
	struct server *server;
	struct lookup *lookup;
	size_t first_free; /* no task before it is free */
	struct task tasks[SERVE_QUESTIONS_MAX];
};

enum {
	WATCH_LOOKUP = 1,
	TAG_SHIFT = 8, /* tag: index of the task, number of the lookup */
};

struct resolver *
resolver_new(struct server *server, struct lookup *lookup)
{
	struct resolver *r = memory_get(sizeof(*r));

	r->server = server;
	r->lookup = lookup;
	server_watch(server, WATCH_LOOKUP, lookup_fd(lookup));
	return r;
}

void
resolver_free(struct resolver *r)
{
	if (r == NULL)
		return;
	for (size_t i = 0; i < SERVE_QUESTIONS_MAX; i++)
		arena_free(r->tasks[i].arena);
	free(r);
}

static struct task *
take_task(struct resolver *r)
{
	for (size_t i = r->first_free; i < SERVE_QUESTIONS_MAX; i++) {
		struct task *t = &r->tasks[i];

		if (t->used)
			continue;
		r->first_free = i + 1;
		t->used = true;
		if (t->arena == NULL)
			t->arena = arena_new(QUESTION_MEMORY_MAX);
		return t;
	}
	return NULL;
}

static void
give_back(struct resolver *r, struct task *t)
{
	size_t index = (size_t)(t - r->tasks);

	arena_reset(t->arena);
	t->used = false;
	if (index < r->first_free)
		r->first_free = index;
}

static void
write_answer(struct buf *b, const struct question *q)
{
	switch (q->request) {
	case RESOLVER_ASK_MX:
		resolver_write_mx(b, &q->answer.mx);
		break;
	case RESOLVER_ASK_ADDRESSES:
		resolver_write_addresses(b, &q->answer.addresses);
		break;
	case RESOLVER_ASK_NAME:
		resolver_write_name(b, &q->answer.name);
		break;
	case RESOLVER_ASK_TEXTS:
		resolver_write_texts(b, &q->answer.texts);
		break;
	}
}

/* An asker that is gone or does not read loses its answer; it asks again. */
static void
answer(struct resolver *r, ReplyTo to, const struct question *q)
{
	AUTO_BUF b = BUF_INIT(RESOLVER_ANSWER_MAX);
	Str part;

	write_answer(&b, q);
	part = buf_view(&b);
	if (!failed(buf_check(&b)))
		(void)server_answer(r->server, to, &part, 1, NULL, 0);
}

static void
answer_plainly(struct resolver *r, const struct server_request *request,
	enum resolver_outcome outcome)
{
	struct question q = { .request = (enum resolver_request)request->type };

	/* The status stands first in every kind of answer. */
	q.answer.mx.status.outcome = outcome;
	answer(r, request->reply_to, &q);
}

/* Begins what the question wants next; answers when it wants nothing more. */
static void
go_on(struct resolver *r, struct task *t)
{
	uint64_t index = (uint64_t)(t - r->tasks);
	struct question_ask ask;
	size_t number;

	while (question_next(&t->question, &ask, &number)) {
		Err e = lookup_begin(r->lookup, ask.name, ask.type,
			index << TAG_SHIFT | number);
		struct lookup_answer nothing = { .outcome = RESOLVER_LATER };

		if (failed(e))
			question_feed(&t->question, number, &nothing);
	}
	if (question_done(&t->question)) {
		answer(r, t->reply_to, &t->question);
		give_back(r, t);
	}
}

static void
begin(struct resolver *r, struct server_request *request)
{
	Str name = cursor_str(&request->fields);
	struct task *t = take_task(r);

	if (t == NULL) {
		answer_plainly(r, request, RESOLVER_LATER);
		return;
	}
	t->reply_to = request->reply_to;
	if (failed(question_init(&t->question, (enum resolver_request)request->type, name,
		    t->arena))) {
		answer_plainly(r, request, RESOLVER_NO_NAME);
		give_back(r, t);
		return;
	}
	go_on(r, t);
}

static void
take_answers(struct resolver *r)
{
	struct lookup_answer a;

	lookup_collect(r->lookup);
	while (lookup_take(r->lookup, &a)) {
		struct task *t = &r->tasks[a.tag >> TAG_SHIFT];

		question_feed(&t->question, a.tag & ((1U << TAG_SHIFT) - 1), &a);
		lookup_answer_done(&a);
		go_on(r, t);
	}
}

Err
resolver_turn(struct resolver *r, struct start *start, Moment until)
{
	struct server_request *batch;
	size_t count;

	TRY(server_take(r->server, until, &batch, &count));
	for (size_t i = 0; i < count; i++)
		if (batch[i].type != SERVER_WATCH)
			begin(r, &batch[i]);
		else if (batch[i].watch == WATCH_LOOKUP)
			take_answers(r);
		else if (start != NULL)
			start_turn(start, r->server);
	return OK;
}
