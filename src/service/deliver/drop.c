/* SPDX-License-Identifier: ISC */
/* From the batch to the accounts' processes and back: all accounts at once, then their answers. */
#include "rpc/delivery.h"
#include "rpc/log.h"
#include "service/deliver/internal.h"

enum {
	OTHER_WORKER_WAIT = 2000, /* ms for another worker to finish with the account */
	ANSWER_WAIT = 60 * 1000,  /* ms for an account's process to deliver a batch */
	HELLO_WAIT = 20 * 1000,   /* ms for it to open the account */
};

static Str
delivered_status(const struct delivery_answer *a)
{
	if (a->status.n > 0)
		return a->status;
	switch (a->verdict) {
	case DELIVERY_DONE:
		return S("2.0.0");
	case DELIVERY_LATER:
		return S("4.2.0");
	case DELIVERY_REFUSED:
		return S("5.2.0");
	}
	return S("4.3.0");
}

static void
note_answer(struct worker *w, const struct drop *d, const struct delivery_answer *a)
{
	static const enum queue_outcome_kind kinds[] = {
		[DELIVERY_DONE] = QUEUE_DELIVERED,
		[DELIVERY_LATER] = QUEUE_DEFERRED,
		[DELIVERY_REFUSED] = QUEUE_FAILED,
	};

	worker_note(w, d->job, d->recipient, kinds[a->verdict], delivered_status(a), a->text,
		"local");
}

static Err
send_drop(int channel, const struct drop *d, bool last, uint64_t forget_below)
{
	const struct queue_job *job = d->job;
	struct delivery_message m = {
		.queue_id = job->id,
		.number = d->recipient->number,
		.last = last,
		.unparsed = job->kind == QUEUE_JOB_LAST_TRY,
		.own_line_ends = (job->envelope.flags & ENVELOPE_OWN_LINE_ENDS) != 0,
		.sender = job->envelope.sender,
		.recipient = d->recipient->address,
		.queued = job->envelope.queued,
		.forget_below = forget_below,
		.bytes = job->body.bytes,
		.fd = job->body.fd,
		.size = job->body.size,
	};

	return delivery_send(channel, &m, moment_after(ANSWER_WAIT));
}

static Err
send_batch(const struct worker *w, int channel, struct drop *first, size_t count)
{
	for (struct drop *d = first; count > 0; d = d->next, count--)
		TRY(send_drop(channel, d, count == 1, w->jobs.forget_below));
	return OK;
}

static const struct delivery_answer *
find_answer(const struct delivery_answer *answers, size_t count, const struct drop *d)
{
	for (size_t i = 0; i < count; i++)
		if (answers[i].queue_id == d->job->id &&
			answers[i].number == d->recipient->number)
			return &answers[i];
	return NULL;
}

/* The process is up and has the account open. */
static Err
receive_hello(struct worker *w, int channel)
{
	struct delivery_answer *answers;
	size_t count;

	TRY(delivery_receive_answers(channel, w->buffer, w->arena, moment_after(HELLO_WAIT),
		&answers, &count));
	return count == 0 ? OK : fail(ERR_PEER, "the account's process did not say hello");
}

static Err
receive_batch(struct worker *w, int channel, struct drop *first, size_t count)
{
	struct delivery_answer *answers;
	size_t answer_count, left = count;

	TRY(delivery_receive_answers(channel, w->buffer, w->arena, moment_after(ANSWER_WAIT),
		&answers, &answer_count));
	for (const struct drop *d = first; left > 0; d = d->next, left--)
		if (find_answer(answers, answer_count, d) == NULL)
			return fail(ERR_PEER, "the account's process left out a message");
	for (const struct drop *d = first; count > 0; d = d->next, count--)
		note_answer(w, d, find_answer(answers, answer_count, d));
	return OK;
}

/* One message alone; *ret_reached: the process was up when it got it. */
static Err
deliver_one(struct worker *w, uint64_t account, struct drop *d, bool *ret_reached)
{
	bool fresh;
	int channel;
	Err e;

	*ret_reached = false;
	TRY(channels_take(w->deliver->channels, w->directory, account,
		moment_after(OTHER_WORKER_WAIT), &channel, &fresh));
	e = fresh ? receive_hello(w, channel) : OK;
	*ret_reached = !failed(e);
	if (!failed(e))
		e = send_batch(w, channel, d, 1);
	if (!failed(e))
		e = receive_batch(w, channel, d, 1);
	channels_give_back(w->deliver->channels, account, failed(e));
	return e;
}

static void
return_all(struct worker *w, struct drop *first)
{
	for (struct drop *d = first; d != NULL; d = d->next)
		worker_return(w, d->job, d->recipient);
}

/*
 * The account's process went away in the middle. It may just have ended for want of work, or one
 * message may have brought it down: each goes alone now, and the culprit is found. Repeating is
 * safe, because the account knows the delivery ids that it has.
 */
static void
deliver_each(struct worker *w, struct account_drops *a)
{
	for (struct drop *d = a->first; d != NULL; d = d->next) {
		bool reached;
		Err e = deliver_one(w, a->account, d, &reached);

		if (!failed(e))
			continue;
		log_failure(LOG_LEVEL_WARNING, "deliver.account.failed", e);
		if (!reached) {
			return_all(w, d);
			return;
		}
		worker_note(w, d->job, d->recipient, QUEUE_CRASHED, S("4.3.0"),
			S("the account's process died on it"), "local");
	}
}

/* What is on its way to one account while the others are being sent to. */
struct sent {
	int channel;
	bool fresh;
	Err state;
};

static void
send_to_account(struct worker *w, struct account_drops *a, struct sent *s)
{
	s->state = channels_take(w->deliver->channels, w->directory, a->account,
		moment_after(OTHER_WORKER_WAIT), &s->channel, &s->fresh);
	if (failed(s->state))
		return;
	s->state = send_batch(w, s->channel, a->first, a->count);
	if (failed(s->state))
		channels_give_back(w->deliver->channels, a->account, true);
}

static void
finish_account(struct worker *w, struct account_drops *a, struct sent *s)
{
	if (s->state.kind == ERR_LIMIT) {
		return_all(w, a->first); /* another worker has the account */
		return;
	}
	if (failed(s->state)) {
		deliver_each(w, a);
		return;
	}
	if (s->fresh)
		s->state = receive_hello(w, s->channel);
	if (!failed(s->state))
		s->state = receive_batch(w, s->channel, a->first, a->count);
	channels_give_back(w->deliver->channels, a->account, failed(s->state));
	if (failed(s->state))
		deliver_each(w, a);
}

/*
 * A worker holds several channels at once, so all workers take them in the same order (by account):
 * none waits for another in a circle.
 */
static struct account_drops *
sort_accounts(struct account_drops *list)
{
	struct account_drops *sorted = NULL;

	while (list != NULL) {
		struct account_drops *a = list, **at = &sorted;

		list = list->next;
		while (*at != NULL && (*at)->account < a->account)
			at = &(*at)->next;
		a->next = *at;
		*at = a;
	}
	return sorted;
}

void
worker_drop_all(struct worker *w, struct account_drops *accounts)
{
	struct sent *sent;
	size_t n = 0, i = 0;

	accounts = sort_accounts(accounts);
	for (struct account_drops *a = accounts; a != NULL; a = a->next)
		n++;
	sent = arena_try_array(w->arena, n, sizeof(*sent));
	if (sent == NULL) {
		for (struct account_drops *a = accounts; a != NULL; a = a->next)
			return_all(w, a->first);
		return;
	}
	for (struct account_drops *a = accounts; a != NULL; a = a->next)
		send_to_account(w, a, &sent[i++]);
	i = 0;
	for (struct account_drops *a = accounts; a != NULL; a = a->next)
		finish_account(w, a, &sent[i++]);
}
