/* SPDX-License-Identifier: ISC */
/*
 * One SMTP conversation, in a straight line: greet, then take line after line until QUIT or until
 * the client is gone. Every answer waits in the connection's buffer until the next read must wait,
 * so pipelined commands are answered in one piece.
 */
#include "service/smtpd/talk.h"

#include <stdlib.h>

enum {
	HELO_MAX = 255, /* octets of HELO's name that are kept */
	REPLY_MAX = 256,
};

void
smtpd_talk_forget(struct talk *t)
{
	if (t->receiving)
		smtpd_message_done(&t->message, false);
	t->receiving = false;
	arena_reset(t->asker->arena);
	t->sender = S("");
	t->recipients = NULL;
	t->recipient_count = t->recipient_room = 0;
}

Err
smtpd_talk_answer(struct talk *t, Str reply)
{
	return conn_write_line(t->conn, reply);
}

Err
smtpd_talk_reject(struct talk *t, Str stage, Str reply, Str recipient)
{
	smtpd_log_reject(&t->who, &(struct smtpd_rejection){
					  .stage = stage,
					  .reply = reply,
					  .sender = t->sender,
					  .recipient = recipient,
					  .with = smtp_session_with(&t->session),
					  .helo = buf_view(&t->helo),
				  });
	return smtpd_talk_answer(t, reply);
}

/*
 * What every line about this client begins with. All of it stands in t->names, whose Strs are made
 * when nothing more is added.
 */
static Err
find_name(struct talk *t)
{
	Str address = conn_peer(t->conn);
	size_t name_at, name_n, peer_n;
	Err e;

	smtpd_put_session_id(&t->names);
	name_at = t->names.n;
	e = smtpd_clients_name(t->smtpd->clients, t->asker->resolver, t->asker->arena, t->ip,
		&t->names);
	if (failed(e))
		log_failure(LOG_LEVEL_WARNING, "smtp.resolver", e);
	arena_reset(t->asker->arena);
	name_n = t->names.n - name_at;
	if (name_n == 0)
		buf_put(&t->names, S("unknown"));
	buf_put_char(&t->names, '[');
	buf_put(&t->names, address);
	buf_put_char(&t->names, ']');
	peer_n = t->names.n - name_at;
	if (t->ip.version == 6) /* RFC 5321, 4.1.3 */
		buf_put(&t->names, S("IPv6:"));
	buf_put(&t->names, address);
	t->who.session = str_part(buf_view(&t->names), 0, name_at);
	t->name = str_part(buf_view(&t->names), name_at, name_n);
	t->who.peer = str_part(buf_view(&t->names), name_at, peer_n);
	t->address = str_from_at(buf_view(&t->names), name_at + peer_n);
	return buf_check(&t->names);
}

static Err
secure(struct talk *t)
{
	const struct tls *tls;
	Err e = conn_start_tls(t->conn, t->smtpd->tls, S(""), SMTPD_TLS_WAIT);

	if (failed(e)) {
		log_event(LOG_LEVEL_INFO, "smtp.tls.failed",
			F_WORDS("what", S("TLS handshake failed with")),
			F_WORDS("client", t->who.peer), F_STR("why", str_from(e.what)),
			F_SESSION(t->who.session));
		return fail(ERR_GONE, "no TLS");
	}
	tls = conn_tls(t->conn);
	smtpd_log_tls(&t->who, tls_version(tls), tls_cipher(tls));
	buf_put(&t->tls, tls_version(tls));
	buf_put(&t->tls, S(" with cipher "));
	buf_put(&t->tls, tls_cipher(tls));
	return OK;
}

static Err
greet(struct talk *t, bool tls_first)
{
	struct smtpd *d = t->smtpd;

	TRY(find_name(t));
	smtpd_log_connect(&t->who);
	if (tls_first)
		TRY(secure(t));
	else if (conn_has_input(t->conn))
		smtpd_log_pregreet(&t->who);
	smtp_session_init(&t->session, &d->smtp, tls_first,
		d->auth_clear_on_loopback && conn_peer_is_loopback(t->conn));
	TRY(conn_write(t->conn, S("220 ")));
	TRY(conn_write(t->conn, d->smtp.hostname));
	TRY(conn_write(t->conn, S(" ESMTP Posthorn ")));
	return smtpd_talk_answer(t, t->who.session);
}

static Err
welcome(struct talk *t, const struct smtp_command *cmd)
{
	char room[2048], peer_room[SMTPD_NAME_MAX + CONN_PEER_MAX + 32];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct buf peer = {
		.p = peer_room, .cap = sizeof(peer_room), .max = sizeof(peer_room)
	};

	smtpd_talk_forget(t);
	buf_reset(&t->helo);
	buf_put(&t->helo, str_part(cmd->argument, 0, HELO_MAX));
	buf_put(&peer, t->name.n > 0 ? t->name : S("unknown"));
	buf_put(&peer, S(" ["));
	buf_put(&peer, conn_peer(t->conn));
	buf_put(&peer, S("], pleased to meet you"));
	smtp_session_put_greeting(&t->session, buf_view(&peer), &b);
	TRY(buf_check(&b));
	return conn_write(t->conn, buf_view(&b));
}

static Err
start_tls(struct talk *t, Str reply)
{
	/* Bytes behind STARTTLS came in clear text and must not count as said under TLS. */
	if (conn_has_input(t->conn)) {
		t->over = true;
		return smtpd_talk_reject(t, S("STARTTLS"),
			S("554 5.5.1 Commands behind STARTTLS"), S(""));
	}
	TRY(smtpd_talk_answer(t, reply));
	TRY(secure(t));
	smtpd_talk_forget(t);
	buf_reset(&t->helo);
	smtp_session_set_secure(&t->session);
	return OK;
}

static Err
obey(struct talk *t, const struct smtp_command *cmd)
{
	bool open = t->session.sender;
	Str reply = S("");

	t->last = cmd->verb;
	switch (smtp_session_step(&t->session, cmd, &reply)) {
	case SMTP_STEP_REPLY:
	case SMTP_STEP_VERIFY:
		if (open && !t->session.sender) /* RSET */
			smtpd_talk_forget(t);
		return smtpd_talk_answer(t, reply);
	case SMTP_STEP_GREET:
		return welcome(t, cmd);
	case SMTP_STEP_CHECK_SENDER:
		return smtpd_talk_check_sender(t, cmd, reply);
	case SMTP_STEP_CHECK_RCPT:
		return smtpd_talk_check_recipient(t, cmd, reply);
	case SMTP_STEP_RECEIVE:
		return smtpd_talk_receive_data(t, reply);
	case SMTP_STEP_CHUNK:
		return smtpd_talk_receive_chunk(t, cmd);
	case SMTP_STEP_SKIP_CHUNK:
		return smtpd_talk_skip_chunk(t, cmd, reply);
	case SMTP_STEP_STARTTLS:
		return start_tls(t, reply);
	case SMTP_STEP_AUTH:
		return smtpd_talk_authenticate(t, cmd, reply);
	case SMTP_STEP_CLOSE:
		t->over = true;
		break;
	}
	return smtpd_talk_answer(t, reply);
}

static Err
answer_bad_line(struct talk *t, Err e)
{
	char room[REPLY_MAX];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	t->over = smtp_session_step_bad(&t->session, e, &b) == SMTP_STEP_CLOSE;
	return smtpd_talk_answer(t, buf_view(&b));
}

static Err
take_line(struct talk *t)
{
	struct smtp_command cmd;
	Str line;
	Err e;

	if (!smtpd_roll_rest(t->smtpd->roll, t->entry))
		return fail(ERR_GONE, "the service stops");
	e = conn_read_line(t->conn, SMTP_LINE_MAX, &line);
	smtpd_roll_work(t->entry);
	if (!failed(e))
		e = smtp_command_parse(line, &cmd);
	if (e.kind == ERR_PEER || e.kind == ERR_LIMIT)
		return answer_bad_line(t, e);
	return failed(e) ? e : obey(t, &cmd);
}

static Err
converse(struct talk *t, bool tls_first)
{
	TRY(greet(t, tls_first));
	while (!t->over)
		TRY(take_line(t));
	return conn_flush(t->conn);
}

/* The conversation ended without QUIT: say why, to the client if it may still listen. */
static void
part(struct talk *t, Err e)
{
	Str why = S("421 4.3.0 Temporary failure, closing");
	bool closing = smtpd_roll_closing(t->smtpd->roll);

	if (closing)
		why = S("421 4.3.2 Service is stopping, come again");
	else if (e.kind == ERR_GONE)
		why = S("421 4.4.2 Timeout, closing");
	if (!closing)
		smtpd_log_lost(&t->who, e,
			t->last == SMTP_UNKNOWN ? S("CONNECT")
						: smtp_command_verb_name(t->last));
	if (closing || e.kind != ERR_GONE || e.sys == ETIMEDOUT)
		if (!failed(smtpd_talk_answer(t, why)))
			(void)conn_flush(t->conn).kind;
}

static void
serve(struct smtpd_connection *connection)
{
	struct talk t = {
		.smtpd = connection->smtpd,
		.asker = smtpd_askers_take(connection->smtpd->askers),
		.conn = connection->conn,
		.entry = &connection->entry,
		.ip = connection->ip,
		.names = BUF_INIT(1024),
		.helo = BUF_INIT(HELO_MAX),
		.tls = BUF_INIT(128),
		.user = BUF_INIT(DIRECTORY_USER_MAX),
		.id = BUF_INIT(128),
	};
	Err e = converse(&t, connection->tls_first);

	if (failed(e))
		part(&t, e);
	smtpd_talk_forget(&t);
	smtpd_log_disconnect(&t.who, &t.session);
	smtpd_askers_give_back(t.smtpd->askers, t.asker);
	buf_done(&t.names);
	buf_done(&t.helo);
	buf_done(&t.tls);
	buf_done(&t.user);
	buf_done(&t.id);
}

void
smtpd_converse(void *connection)
{
	struct smtpd_connection *c = connection;

	smtpd_roll_add(c->smtpd->roll, &c->entry, conn_fd(c->conn));
	serve(c);
	smtpd_roll_remove(c->smtpd->roll, &c->entry);
	conn_free(c->conn);
	smtpd_clients_leave(c->smtpd->clients, c->place);
	free(c);
}
