/* SPDX-License-Identifier: ISC */
/* Bounces: the failed recipients of a message become a new message to its sender. */
#include "base/hash.h"
#include "format/dsn/report.h"
#include "os/memfd.h"
#include "rpc/log.h"
#include "service/deliver/internal.h"

/* The beginning of the message, as far as its header may reach. */
static Err
read_original(struct worker *w, const struct queue_body *body, Str *ret)
{
	size_t n = body->size < DSN_HEADER_MAX ? (size_t)body->size : DSN_HEADER_MAX;
	char *p;

	if (body->fd < 0) {
		*ret = str_part(body->bytes, 0, n);
		return OK;
	}
	p = arena_try(w->arena, n);
	if (p == NULL)
		return fail(ERR_TEMP, "no room for a bounce");
	TRY(memfd_read(body->fd, 0, p, n));
	*ret = (Str){ p, n };
	return OK;
}

static Err
write_report(struct worker *w, const struct queue_job *job, struct buf *ret)
{
	AUTO_BUF id = BUF_INIT(QUEUE_ID_TEXT_MAX);
	size_t count = job->envelope.recipient_count;
	struct dsn_recipient *failed_ones =
		arena_try_array(w->arena, count, sizeof(*failed_ones));
	struct dsn_report report = {
		.action = DSN_FAILED,
		.hostname = w->deliver->settings.hostname,
		.sender = job->envelope.sender,
		.arrived = job->envelope.queued,
		.now = clock_wall(),
		.seed = (uint32_t)hash_key_new().a,
		.recipients = failed_ones,
		.recipient_count = count,
	};
	Str original;

	if (failed_ones == NULL)
		return fail(ERR_TEMP, "no room for a bounce");
	for (size_t i = 0; i < count; i++)
		failed_ones[i] = (struct dsn_recipient){
			.address = job->envelope.recipients[i].address,
			.status = job->failures[i].status,
			.text = job->failures[i].text,
			.remote = job->failures[i].remote,
		};
	queue_id_write(&id, job->id);
	report.queue_id = buf_view(&id);
	TRY(read_original(w, &job->body, &original));
	dsn_report_write(ret, &report, original);
	return buf_check(ret);
}

/* The sender may be ours or anybody. */
static Err
find_class(struct worker *w, Str sender, enum envelope_class *ret)
{
	struct directory_recipient r;

	TRY(directory_call_recipient(w->directory, sender, &r));
	*ret = r.class == DIRECTORY_UNKNOWN_DOMAIN ? ENVELOPE_REMOTE : ENVELOPE_LOCAL;
	return OK;
}

/* One journal record holds the bounce and settles the recipients it is about. */
static Err
submit_report(struct worker *w, const struct queue_job *job, Str report, uint64_t *ret_id)
{
	size_t count = job->envelope.recipient_count;
	struct envelope_recipient to = { .address = job->envelope.sender };
	struct envelope e = {
		.client = S("local"),
		.flags = dsn_report_is_8bit(report) ? ENVELOPE_8BIT : 0,
		.size = report.n,
		.began = clock_wall(),
		.recipients = &to,
		.recipient_count = 1,
	};
	uint32_t *numbers = arena_try_array(w->arena, count, sizeof(*numbers));
	struct queue_settles settles = { .id = job->id, .numbers = numbers, .count = count };
	struct queue_body body = { .bytes = report, .fd = -1, .size = report.n };
	AUTO_FD large = -1;

	if (numbers == NULL)
		return fail(ERR_TEMP, "no room for a bounce");
	for (size_t i = 0; i < count; i++)
		numbers[i] = job->envelope.recipients[i].number;
	TRY(find_class(w, to.address, &to.class));
	if (report.n > QUEUE_INLINE_MAX) {
		TRY(memfd_from(report, &large));
		body.fd = large;
	}
	return queue_call_submit(w->queue, &e, &body, &settles, ret_id);
}

void
worker_bounce(struct worker *w, const struct queue_job *job)
{
	AUTO_BUF report = BUF_INIT(DSN_REPORT_MAX);
	AUTO_BUF text = BUF_INIT(64);
	uint64_t id;
	Err e = write_report(w, job, &report);

	if (!failed(e))
		e = submit_report(w, job, buf_view(&report), &id);
	if (failed(e)) {
		/* The queue gives the job again when its lease ends. */
		log_failure(LOG_LEVEL_WARNING, "deliver.bounce.failed", e);
		return;
	}
	buf_put_c(&text, "sender non-delivery notification: ");
	queue_id_write(&text, id);
	log_event(LOG_LEVEL_INFO, "deliver.bounced", F_QUEUE(job->id),
		F_WORDS("what", buf_view(&text)));
}
