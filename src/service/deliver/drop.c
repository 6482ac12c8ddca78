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

static void
note_all(struct worker *w, struct drop *first, size_t count, enum queue_outcome_kind kind,
	Str text)
{
	for (struct drop *d = first; d != NULL && count > 0; d = d->next, count--)
		worker_note(w, d->job, d->recipient, kind,
			kind == QUEUE_RETURNED ? S("4.2.0") : S("4.3.0"), text, "local");
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

static Err
receive_batch(struct worker *w, int channel, bool fresh, struct drop *first, size_t count)
{
	struct delivery_answer *answers;
	size_t answer_count;

	if (fresh) {
		TRY(delivery_receive_answers(channel, w->buffer, w->arena,
			moment_after(HELLO_WAIT), &answers, &answer_count));
		if (answer_count != 0)
			return fail(ERR_PEER, "the account's process did not say hello");
	}
	TRY(delivery_receive_answers(channel, w->buffer, w->arena, moment_after(ANSWER_WAIT),
		&answers, &answer_count));
	for (struct drop *d = first; count > 0; d = d->next, count--) {
		const struct delivery_answer *a = find_answer(answers, answer_count, d);

		if (a == NULL)
			return fail(ERR_PEER, "the account's process left out a message");
		note_answer(w, d, a);
	}
	return OK;
}

/* Send, wait, note: for one message, or for a batch that is tried once more as a whole. */
static Err
deliver_again(struct worker *w, uint64_t account, struct drop *first, size_t count)
{
	bool fresh;
	int channel;
	Err e;

	TRY(channels_take(w->deliver->channels, w->directory, account,
		moment_after(OTHER_WORKER_WAIT), &channel, &fresh));
	e = send_batch(w, channel, first, count);
	if (!failed(e))
		e = receive_batch(w, channel, fresh, first, count);
	channels_give_back(w->deliver->channels, account, failed(e));
	return e;
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
		Err e = deliver_again(w, a->account, d, 1);

		if (!failed(e))
			continue;
		log_failure(LOG_LEVEL_WARNING, "deliver.account.failed", e);
		note_all(w, d, 1, e.kind == ERR_LIMIT ? QUEUE_RETURNED : QUEUE_DEFERRED,
			S("the account cannot be opened now"));
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
	if (failed(s->state)) {
		if (s->state.kind == ERR_LIMIT)
			note_all(w, a->first, a->count, QUEUE_RETURNED,
				S("another delivery to this account is going on"));
		else
			deliver_each(w, a);
		return;
	}
	s->state = receive_batch(w, s->channel, s->fresh, a->first, a->count);
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
			note_all(w, a->first, a->count, QUEUE_DEFERRED, S("out of memory"));
		return;
	}
	for (struct account_drops *a = accounts; a != NULL; a = a->next)
		send_to_account(w, a, &sent[i++]);
	i = 0;
	for (struct account_drops *a = accounts; a != NULL; a = a->next)
		finish_account(w, a, &sent[i++]);
}
