/* SPDX-License-Identifier: ISC */
#include "rpc/queue.h"

#include "os/memfd.h"
#include "rpc/admin.h"
#include "rpc/serve.h"
#include "rpc/verdict.h"

enum {
	ASK_TIMEOUT = 60 * 1000, /* ms; longer than any sync that still makes sense */
	ROOM_TIMEOUT = 61 * 1000,
	FIELDS_MAX = ENVELOPE_PACKED_MAX + 4096,
	OUTCOMES_MAX = 64 * 1024, /* octets of one OUTCOMES request */
};

#define SUBMITTERS (BIT(SERVICE_SMTPD) | BIT(SERVICE_SUBMIT))

const struct rpc_rule queue_rules[] = {
	{ QUEUE_SUBMIT, SUBMITTERS | BIT(SERVICE_DELIVER) },
	{ QUEUE_ROOM, SUBMITTERS },
	{ QUEUE_PULL, BIT(SERVICE_DELIVER) | BIT(SERVICE_RELAY) },
	{ QUEUE_OUTCOMES, BIT(SERVICE_DELIVER) | BIT(SERVICE_RELAY) },
	{ QUEUE_EXPAND, BIT(SERVICE_DELIVER) },
	{ QUEUE_SYNCED, BIT(SERVICE_DELIVER) },
	{ QUEUE_ADMIN, BIT(SERVICE_CONTROL) },
	{ 0 },
};

/* Asks, and gives back the verdict that the answer begins with. */
static Err
ask(struct caller *c, const struct request *r, const char *refused, struct reply *ret)
{
	Err e;

	TRY(caller_ask(c, r, ret));
	e = verdict_read(&ret->fields, refused);
	if (failed(e))
		channel_message_drop(&ret->message);
	return e;
}

/* A body in a datagram: its size, then (inline) its bytes at the very end. */
static void
write_body_head(struct buf *b, const struct queue_body *body)
{
	buf_u64(b, body->size);
	buf_u8(b, body->fd >= 0);
}

static Err
read_body(struct cursor *c, const struct channel_message *m, struct queue_body *ret)
{
	struct queue_body body = { .fd = -1 };
	bool in_memfd;

	body.size = cursor_u64(c);
	in_memfd = cursor_u8(c) != 0;
	if (c->bad)
		return fail(ERR_PEER, "message is cut");
	if (!in_memfd) {
		body.bytes = cursor_take(c, body.size);
		if (c->bad)
			return fail(ERR_PEER, "message is cut");
	} else {
		if (m->fd_count != 1)
			return fail(ERR_PEER, "message without its descriptor");
		TRY(memfd_check(m->fds[0], body.size));
		body.fd = m->fds[0];
	}
	*ret = body;
	return OK;
}

Err
queue_call_submit(struct caller *c, const struct envelope *e, const struct queue_body *body,
	const struct queue_settles *settles, uint64_t *ret_id)
{
	AUTO_BUF fields = BUF_INIT(FIELDS_MAX);
	struct request r = { .type = QUEUE_SUBMIT, .timeout = ASK_TIMEOUT };
	struct reply reply;

	envelope_write(&fields, e);
	buf_u64(&fields, settles == NULL ? 0 : settles->id);
	buf_u32(&fields, settles == NULL ? 0 : (uint32_t)settles->count);
	for (size_t i = 0; settles != NULL && i < settles->count; i++)
		buf_u32(&fields, settles->numbers[i]);
	write_body_head(&fields, body);
	TRY(buf_check(&fields));
	r.fields = buf_view(&fields);
	if (body->fd >= 0) {
		r.fds = &body->fd;
		r.fd_count = 1;
	} else {
		r.body = body->bytes;
	}
	TRY(ask(c, &r, "queue did not keep the message", &reply));
	*ret_id = cursor_u64(&reply.fields);
	return OK;
}

Err
queue_parse_submit(struct cursor *c, const struct channel_message *m, struct arena *a,
	struct queue_submit *ret)
{
	struct queue_submit s = { 0 };
	uint32_t *numbers;

	TRY(envelope_parse(c, a, &s.envelope));
	s.settles_id = cursor_u64(c);
	s.settles_count = cursor_u32(c);
	if (c->bad || s.settles_count > ENVELOPE_RECIPIENTS_MAX)
		return fail(ERR_PEER, "submission is cut");
	numbers = arena_try_array(a, s.settles_count, sizeof(*numbers));
	if (numbers == NULL)
		return fail(ERR_LIMIT, "no room for a submission");
	for (size_t i = 0; i < s.settles_count; i++)
		numbers[i] = cursor_u32(c);
	s.settles = numbers;
	TRY(read_body(c, m, &s.body));
	*ret = s;
	return OK;
}

static struct request
room_request(uint64_t size, bool give_back, struct buf *fields)
{
	buf_u64(fields, size);
	buf_u8(fields, give_back);
	return (struct request){
		.type = QUEUE_ROOM, .fields = buf_view(fields), .timeout = ROOM_TIMEOUT
	};
}

Err
queue_call_room(struct caller *c, uint64_t size)
{
	AUTO_BUF fields = BUF_INIT(16);
	struct request r = room_request(size, false, &fields);
	struct reply reply;

	return ask(c, &r, "queue has no room for so large a message", &reply);
}

void
queue_tell_room_unused(struct caller *c, uint64_t size)
{
	AUTO_BUF fields = BUF_INIT(16);
	struct request r = room_request(size, true, &fields);
	struct reply reply;

	if (failed(ask(c, &r, "queue did not take room back", &reply)))
		return;
}

void
queue_write_job(struct buf *b, const struct queue_job *job, uint64_t forget_below, bool more)
{
	verdict_write(b, OK);
	buf_u64(b, forget_below);
	buf_u8(b, job != NULL);
	buf_u8(b, more);
	if (job == NULL)
		return;
	buf_u8(b, (uint8_t)job->kind);
	buf_u64(b, job->id);
	buf_u32(b, job->attempt);
	buf_u64(b, (uint64_t)job->leased.us);
	envelope_write(b, &job->envelope);
	for (size_t i = 0; job->kind == QUEUE_JOB_BOUNCE && i < job->envelope.recipient_count;
		i++) {
		buf_str(b, job->failures[i].status);
		buf_str(b, job->failures[i].text);
		buf_str(b, job->failures[i].remote);
	}
	write_body_head(b, &job->body);
}

static Err
read_failures(struct cursor *c, struct arena *a, struct queue_job *job)
{
	job->failures =
		arena_try_array(a, job->envelope.recipient_count, sizeof(*job->failures));
	if (job->failures == NULL)
		return fail(ERR_TEMP, "no room for a job");
	for (size_t i = 0; i < job->envelope.recipient_count; i++) {
		job->failures[i].status = cursor_str(c);
		job->failures[i].text = cursor_str(c);
		job->failures[i].remote = cursor_str(c);
	}
	return OK;
}

/* The reply dies with the next request, so its bytes move into the arena first. */
static Err
read_job(struct reply *reply, struct arena *a, struct queue_job *ret)
{
	struct queue_job job = { 0 };
	struct cursor c;
	Str kept;

	TRY(arena_copy(a, reply->fields.rest, &kept));
	c = cursor_of(kept);
	job.kind = (enum queue_job_kind)cursor_u8(&c);
	job.id = cursor_u64(&c);
	job.attempt = cursor_u32(&c);
	job.leased.us = (int64_t)cursor_u64(&c);
	TRY(envelope_parse(&c, a, &job.envelope));
	if (job.kind == QUEUE_JOB_BOUNCE)
		TRY(read_failures(&c, a, &job));
	TRY(read_body(&c, &reply->message, &job.body));
	if (job.body.fd >= 0)
		channel_take_fd(&reply->message, 0);
	*ret = job;
	return OK;
}

/* One answer of a PULL; *ret_more says whether to wait for another. */
static Err
take_job(struct reply *reply, struct arena *a, struct queue_jobs *ret, bool *ret_more)
{
	bool present;

	TRY(verdict_read(&reply->fields, "queue gave no jobs"));
	ret->forget_below = cursor_u64(&reply->fields);
	present = cursor_u8(&reply->fields) != 0;
	*ret_more = cursor_u8(&reply->fields) != 0;
	if (!present || ret->count == QUEUE_JOBS_MAX)
		return OK;
	TRY(read_job(reply, a, &ret->jobs[ret->count]));
	ret->count++;
	return OK;
}

Err
queue_call_pull(struct caller *c, enum queue_side side, Str destination, uint32_t most,
	int timeout, struct arena *a, struct queue_jobs *ret)
{
	AUTO_BUF fields = BUF_INIT(1024);
	struct request r = { .type = QUEUE_PULL, .timeout = timeout + ASK_TIMEOUT };
	struct reply reply;
	bool more = true;
	Err e;

	buf_u8(&fields, (uint8_t)side);
	buf_str(&fields, destination);
	buf_u32(&fields, most);
	buf_u32(&fields, (uint32_t)timeout);
	TRY(buf_check(&fields));
	r.fields = buf_view(&fields);
	ret->count = 0;
	ret->forget_below = 0;
	for (e = caller_ask(c, &r, &reply); !failed(e);
		e = caller_next(c, ASK_TIMEOUT, &reply)) {
		e = take_job(&reply, a, ret, &more);
		channel_message_drop(&reply.message);
		if (failed(e) || !more)
			break;
	}
	if (failed(e))
		queue_jobs_done(ret);
	return e;
}

void
queue_jobs_done(struct queue_jobs *jobs)
{
	for (size_t i = 0; i < jobs->count; i++)
		fd_drop(&jobs->jobs[i].body.fd);
	jobs->count = 0;
}

Err
queue_parse_pull(struct cursor *c, struct queue_pull *ret)
{
	struct queue_pull p;

	p.side = cursor_u8(c) == QUEUE_SIDE_REMOTE ? QUEUE_SIDE_REMOTE : QUEUE_SIDE_LOCAL;
	p.destination = cursor_str(c);
	p.most = cursor_u32(c);
	p.timeout = (int)(cursor_u32(c) & INT32_MAX);
	if (c->bad)
		return fail(ERR_PEER, "pull is cut");
	if (p.most > QUEUE_JOBS_MAX)
		p.most = QUEUE_JOBS_MAX;
	*ret = p;
	return OK;
}

static void
write_outcome(struct buf *b, const struct queue_outcome *o)
{
	buf_u64(b, o->id);
	buf_u32(b, o->number);
	buf_u8(b, (uint8_t)o->kind);
	buf_u8(b, o->destination_down);
	buf_str(b, str_part(o->status, 0, 16));
	buf_str(b, str_part(o->text, 0, QUEUE_TEXT_MAX));
	buf_str(b, str_part(o->remote, 0, QUEUE_TEXT_MAX));
}

Err
queue_call_outcomes(struct caller *c, const struct queue_outcome *outcomes, size_t count)
{
	AUTO_BUF fields = BUF_INIT(OUTCOMES_MAX);
	size_t done = 0;

	while (done < count) {
		struct request r = { .type = QUEUE_OUTCOMES, .timeout = ASK_TIMEOUT };
		struct reply reply;
		uint32_t n = 0;

		buf_reset(&fields);
		buf_u32(&fields, 0);
		while (done < count && fields.n + 2 * QUEUE_TEXT_MAX + 64 < OUTCOMES_MAX) {
			write_outcome(&fields, &outcomes[done++]);
			n++;
		}
		buf_set_u32(&fields, 0, n);
		TRY(buf_check(&fields));
		r.fields = buf_view(&fields);
		TRY(ask(c, &r, "queue did not keep the outcome", &reply));
	}
	return OK;
}

Err
queue_parse_outcomes(struct cursor *c, struct arena *a, struct queue_outcome **ret,
	size_t *ret_count)
{
	size_t count = cursor_u32(c);
	struct queue_outcome *all;

	if (c->bad || count > c->rest.n)
		return fail(ERR_PEER, "outcomes are cut");
	all = arena_try_array(a, count, sizeof(*all));
	if (all == NULL)
		return fail(ERR_LIMIT, "no room for outcomes");
	for (size_t i = 0; i < count; i++) {
		struct queue_outcome *o = &all[i];
		uint8_t kind;

		o->id = cursor_u64(c);
		o->number = cursor_u32(c);
		kind = cursor_u8(c);
		o->destination_down = cursor_u8(c) != 0;
		o->status = cursor_str(c);
		o->text = cursor_str(c);
		o->remote = cursor_str(c);
		if (c->bad || kind > QUEUE_CRASHED)
			return fail(ERR_PEER, "outcomes are cut");
		o->kind = (enum queue_outcome_kind)kind;
	}
	*ret = all;
	*ret_count = count;
	return OK;
}

Err
queue_call_expand(struct caller *c, uint64_t id, uint32_t number,
	const struct envelope_recipient *members, size_t count, uint64_t cursor, bool done)
{
	AUTO_BUF fields = BUF_INIT(CHANNEL_MESSAGE_MAX);
	struct request r = { .type = QUEUE_EXPAND, .timeout = ASK_TIMEOUT };
	struct reply reply;

	buf_u64(&fields, id);
	buf_u32(&fields, number);
	buf_u64(&fields, cursor);
	buf_u8(&fields, done);
	buf_u32(&fields, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		buf_u8(&fields, (uint8_t)members[i].class);
		buf_str(&fields, members[i].address);
	}
	TRY(buf_check(&fields));
	r.fields = buf_view(&fields);
	return ask(c, &r, "queue did not keep the members", &reply);
}

Err
queue_parse_expand(struct cursor *c, struct arena *a, struct queue_expand *ret)
{
	struct queue_expand e;

	e.id = cursor_u64(c);
	e.number = cursor_u32(c);
	e.cursor = cursor_u64(c);
	e.done = cursor_u8(c) != 0;
	e.count = cursor_u32(c);
	if (c->bad || e.count > c->rest.n)
		return fail(ERR_PEER, "members are cut");
	e.members = arena_try_array(a, e.count, sizeof(*e.members));
	if (e.members == NULL)
		return fail(ERR_LIMIT, "no room for members");
	for (size_t i = 0; i < e.count; i++) {
		e.members[i].class =
			cursor_u8(c) == ENVELOPE_REMOTE ? ENVELOPE_REMOTE : ENVELOPE_LOCAL;
		e.members[i].address = cursor_str(c);
	}
	if (c->bad)
		return fail(ERR_PEER, "members are cut");
	*ret = e;
	return OK;
}

Err
queue_call_synced(struct caller *c, uint64_t checkpoint, bool success)
{
	AUTO_BUF fields = BUF_INIT(16);
	struct request r = { .type = QUEUE_SYNCED, .timeout = ASK_TIMEOUT };
	struct reply reply;

	buf_u64(&fields, checkpoint);
	buf_u8(&fields, success);
	r.fields = buf_view(&fields);
	return ask(c, &r, "queue did not note the checkpoint", &reply);
}

Err
queue_call_admin(struct caller *c, const Str *words, size_t count, int input, struct buf *ret,
	int *ret_exit)
{
	return admin_call(c, QUEUE_ADMIN, words, count, input, ret, ret_exit);
}

void
queue_listed_write_recipient(struct buf *b, const struct queue_listed_recipient *r)
{
	buf_u32(b, r->number);
	buf_u8(b, (uint8_t)r->state);
	buf_u32(b, r->attempts);
	buf_u64(b, (uint64_t)r->next.us);
	buf_str(b, r->address);
	buf_str(b, r->status);
	buf_str(b, r->text);
	buf_str(b, r->remote);
}

bool
queue_listed_next(struct queue_listed *l, struct queue_listed_recipient *ret)
{
	struct cursor *c = &l->recipients;
	struct queue_listed_recipient r;

	if (l->recipient_count == 0)
		return false;
	l->recipient_count--;
	r.number = cursor_u32(c);
	r.state = (enum queue_listed_state)cursor_u8(c);
	r.attempts = cursor_u32(c);
	r.next.us = (int64_t)cursor_u64(c);
	r.address = cursor_str(c);
	r.status = cursor_str(c);
	r.text = cursor_str(c);
	r.remote = cursor_str(c);
	if (c->bad || r.state > QUEUE_LISTED_SETTLED)
		return false;
	*ret = r;
	return true;
}

void
queue_listed_write(struct buf *b, const struct queue_listed *l)
{
	buf_u64(b, l->id);
	buf_u64(b, l->size);
	buf_str(b, l->sender);
	buf_str(b, l->client);
	buf_u64(b, (uint64_t)l->queued.us);
	buf_u8(b, l->held);
	buf_u8(b, l->active);
	buf_u32(b, l->recipient_count);
}

bool
queue_listed_parse(struct cursor *c, struct queue_listed *ret)
{
	struct queue_listed l, skipped;
	struct queue_listed_recipient r;

	if (cursor_done(c))
		return false;
	l.id = cursor_u64(c);
	l.size = cursor_u64(c);
	l.sender = cursor_str(c);
	l.client = cursor_str(c);
	l.queued.us = (int64_t)cursor_u64(c);
	l.held = cursor_u8(c) != 0;
	l.active = cursor_u8(c) != 0;
	l.recipient_count = cursor_u32(c);
	l.recipients = *c;
	skipped = l;
	while (queue_listed_next(&skipped, &r))
		;
	if (skipped.recipient_count > 0)
		c->bad = true;
	c->rest = skipped.recipients.rest;
	c->bad |= skipped.recipients.bad;
	*ret = l;
	return !c->bad;
}
