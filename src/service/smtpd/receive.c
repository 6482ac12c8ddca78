/* SPDX-License-Identifier: ISC */
/* DATA and BDAT: from the connection into a struct smtpd_message, and from there to `queue`. */
#include "service/smtpd/talk.h"

static void
begin_message(struct talk *t, bool dots)
{
	struct smtpd *d = t->smtpd;

	buf_reset(&t->id);
	buf_put(&t->id, t->who.session);
	buf_put_char(&t->id, '.');
	buf_put_u64(&t->id, ++t->transactions);
	t->terms = (struct smtpd_terms){
		.received = {
			.helo = buf_view(&t->helo),
			.peer_name = t->name,
			.peer = t->address,
			.tls = buf_view(&t->tls),
			.by = d->smtp.hostname,
			.with = smtp_session_with(&t->session),
			.id = buf_view(&t->id),
			.recipient = t->recipient_count == 1 ? t->recipients[0].address : S(""),
			.when = { .when = clock_wall() },
		},
		.submission = d->smtp.submission,
		.bare = d->bare,
		.size_max = d->smtp.message_max,
		.queue = t->asker->queue,
	};
	smtpd_message_begin(&t->message, &t->terms, dots, t->session.size_said);
	t->receiving = true;
}

static Err
submit(struct talk *t, uint64_t *ret_id)
{
	struct queue_body body;
	struct envelope e = {
		.sender = t->sender,
		.client = t->who.peer,
		.session = t->who.session,
		.account = t->account,
		.began = t->began,
		.recipients = t->recipients,
		.recipient_count = t->recipient_count,
	};

	TRY(smtpd_message_end(&t->message, &body));
	e.size = body.size;
	if (t->message.data.eight_bit || t->session.body == SMTP_BODY_8BITMIME)
		e.flags |= ENVELOPE_8BIT;
	if (t->session.utf8)
		e.flags |= ENVELOPE_UTF8;
	if (t->session.secure)
		e.flags |= ENVELOPE_TLS;
	if (t->smtpd->smtp.submission)
		e.flags |= ENVELOPE_SUBMITTED;
	return queue_call_submit(t->asker->queue, &e, &body, NULL, ret_id);
}

static Err
answer_taken(struct talk *t, uint64_t queue_id)
{
	char room[64];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	smtpd_log_accepted(&t->who, &(struct smtpd_acceptance){
					    .queue_id = queue_id,
					    .message_id = buf_view(&t->message.id),
					    .mechanism = t->session.user ? t->mechanism : S(""),
					    .user = buf_view(&t->user),
				    });
	buf_put(&b, S("250 2.0.0 Ok: queued as "));
	queue_id_write(&b, queue_id);
	return smtpd_talk_answer(t, buf_view(&b));
}

static Str
refusal_of(const struct talk *t, Err e)
{
	if (e.kind == ERR_LIMIT)
		return S("552 5.3.4 Message size exceeds fixed limit");
	if (t->message.no_room)
		return S("452 4.3.1 No room for so large a message now, try again later");
	if (e.kind == ERR_TEMP && e.sys == ENOSPC)
		return S("452 4.3.1 Insufficient system storage, try again later");
	if (e.kind != ERR_PEER)
		return S("451 4.3.0 Message cannot be kept now, try again later");
	if (t->message.looping)
		return S("554 5.4.6 Too many hops: the message goes in circles");
	if ((t->message.data.faults & SMTP_DATA_NUL) != 0)
		return S("554 5.6.0 Message holds a NUL");
	return S("554 5.6.0 Message has lines that end in a bare CR or LF");
}

/* All of the message is here: hand it over. Only the queue's word makes it a 250. */
static Err
end_message(struct talk *t)
{
	uint64_t id = 0;
	Err e = submit(t, &id);
	bool taken = !failed(e);
	Err sent;

	if (taken) {
		sent = answer_taken(t, id);
	} else {
		if (e.kind != ERR_PEER && e.kind != ERR_LIMIT)
			log_failure(LOG_LEVEL_WARNING, "smtp.queue", e);
		sent = smtpd_talk_reject(t, S("END-OF-MESSAGE"), refusal_of(t, e), S(""));
	}
	smtpd_message_done(&t->message, taken);
	t->receiving = false;
	smtp_session_end_message(&t->session, taken);
	smtpd_talk_forget(t);
	return sent;
}

Err
smtpd_talk_receive_data(struct talk *t, Str go_ahead)
{
	bool done;

	begin_message(t, true);
	TRY(smtpd_talk_answer(t, go_ahead));
	do {
		struct cursor c;
		Str some;

		TRY(conn_read_some(t->conn, &some));
		c = cursor_of(some);
		done = smtpd_message_read(&t->message, &c);
		conn_eat(t->conn, some.n - c.rest.n);
		/* it was told the limit; reading on only to refuse has a limit too */
		if (t->message.data.size / 2 > t->message.data.size_max)
			return fail(ERR_LIMIT, "message does not end");
	} while (!done);
	return end_message(t);
}

/* RFC 3030: exactly so many octets, whatever they are. keep: they belong to the message. */
static Err
read_chunk(struct talk *t, uint64_t size, bool keep)
{
	while (size > 0) {
		Str some;

		TRY(conn_read_some(t->conn, &some));
		some = str_part(some, 0, size);
		if (keep) {
			struct cursor c = cursor_of(some);

			smtpd_message_read(&t->message, &c);
		}
		conn_eat(t->conn, some.n);
		size -= some.n;
	}
	return OK;
}

Err
smtpd_talk_receive_chunk(struct talk *t, const struct smtp_command *cmd)
{
	uint64_t size = cmd->chunk;
	bool last = cmd->last; /* cmd points into bytes that reading moves */
	Err e;

	if (!t->receiving)
		begin_message(t, false);
	TRY(read_chunk(t, size, true));
	if (last)
		return end_message(t);
	e = smtp_data_check(&t->message.data);
	if (!failed(e))
		e = t->message.failed;
	if (failed(e)) {
		smtp_session_fail_chunk(&t->session);
		return smtpd_talk_reject(t, S("BDAT"), refusal_of(t, e), S(""));
	}
	TRY(conn_printf(t->conn, "250 2.0.0 Ok: %llu octets\r\n", (unsigned long long)size));
	return OK;
}

Err
smtpd_talk_skip_chunk(struct talk *t, const struct smtp_command *cmd, Str reply)
{
	bool last = cmd->last;

	TRY(read_chunk(t, cmd->chunk, false));
	if (last) {
		smtpd_talk_forget(t);
		smtp_session_end_message(&t->session, false);
	}
	return smtpd_talk_answer(t, reply);
}
