/* SPDX-License-Identifier: ISC */
/*
 * One SMTP conversation, in a straight line: greet, then take line after line until QUIT or until
 * the client is gone. Every answer waits in the connection's buffer until the next read must wait,
 * so pipelined commands are answered in one piece.
 */
#include "base/hash.h"
#include "base/memory.h"
#include "format/dns/ip.h"
#include "os/conn.h"
#include "service/smtpd/auth.h"
#include "service/smtpd/events.h"
#include "service/smtpd/message.h"
#include "service/smtpd/smtpd.h"

#include <stdlib.h>
#include <time.h>

enum {
	NAME_MAX_SAID = 255,           /* octets of HELO's name that are kept */
	REPLY_MAX = 512 + ADDRESS_MAX, /* octets of one reply with an address in it */
	RECIPIENTS_FIRST = 16,
	RECIPIENT_COST = 32, /* octets of a packed recipient besides its address, at most */
};

struct talk {
	struct smtpd *smtpd;
	struct smtpd_asker *asker;
	struct conn *conn;
	struct smtpd_roll_entry *entry;
	struct smtp_session session;
	struct smtpd_who who;
	bool over;
	enum smtp_verb last;

	Ip ip;
	struct buf names; /* holds who, name and address */
	Str name;         /* verified, or empty */
	Str address;      /* as Received lines write it: "IPv6:..." */
	struct buf helo;
	struct buf tls;  /* "TLSv1.3 with cipher ...", or empty */
	struct buf user; /* authenticated as; empty: nobody */
	Str mechanism;
	uint64_t account;
	int wrong_passwords;

	/* The transaction; what it says lives in the asker's arena. */
	unsigned transactions;
	Str sender;
	Time began;
	struct envelope_recipient *recipients;
	size_t recipient_count, recipient_room;
	size_t packed; /* octets of the envelope so far, at most */

	bool receiving; /* message is open */
	struct smtpd_message message;
	struct smtpd_terms terms;
	struct buf id; /* of the message, for its Received line */
};

static void
forget_transaction(struct talk *t)
{
	if (t->receiving)
		smtpd_message_done(&t->message, false);
	t->receiving = false;
	arena_reset(t->asker->arena);
	t->sender = S("");
	t->recipients = NULL;
	t->recipient_count = t->recipient_room = 0;
}

static Err
answer(struct talk *t, Str reply)
{
	return conn_write_line(t->conn, reply);
}

/* Refuses and tells the log, as Postfix does for what its policy refuses. */
static Err
reject(struct talk *t, Str stage, Str reply, Str recipient)
{
	smtpd_log_reject(&t->who, &(struct smtpd_rejection){
					  .stage = stage,
					  .reply = reply,
					  .sender = t->sender,
					  .recipient = recipient,
					  .with = smtp_session_with(&t->session),
					  .helo = buf_view(&t->helo),
				  });
	return answer(t, reply);
}

/* "550 5.1.1 <a@b>: why" */
static Err
reject_address(struct talk *t, Str stage, const char *code, Str address, const char *why)
{
	char room[REPLY_MAX];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	buf_put_c(&b, code);
	buf_put(&b, S(" <"));
	buf_put(&b, address);
	buf_put(&b, S(">: "));
	buf_put_c(&b, why);
	return reject(t, stage, buf_view(&b), str_eq(stage, S("RCPT")) ? address : S(""));
}

/* ---- Greeting ---- */

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
	return answer(t, t->who.session);
}

static Err
welcome(struct talk *t, const struct smtp_command *cmd)
{
	char room[2048], peer_room[SMTPD_NAME_MAX + CONN_PEER_MAX + 32];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct buf peer = {
		.p = peer_room, .cap = sizeof(peer_room), .max = sizeof(peer_room)
	};

	forget_transaction(t);
	buf_reset(&t->helo);
	buf_put(&t->helo, str_part(cmd->argument, 0, NAME_MAX_SAID));
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
		return reject(t, S("STARTTLS"), S("554 5.5.1 Commands behind STARTTLS"), S(""));
	}
	TRY(answer(t, reply));
	TRY(secure(t));
	forget_transaction(t);
	buf_reset(&t->helo);
	smtp_session_set_secure(&t->session);
	return OK;
}

/* ---- AUTH ---- */

static Err
wrong_password(struct talk *t, const struct sasl *sasl)
{
	struct timespec pause;
	int64_t ms = (int64_t)SMTPD_AUTH_DELAY * ++t->wrong_passwords;

	smtpd_log_auth_failed(&t->who, t->mechanism, sasl_user(sasl));
	smtp_session_fail_auth(&t->session);
	TRY(conn_flush(t->conn));
	pause = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	nanosleep(&pause, NULL);
	if (t->wrong_passwords >= SMTPD_AUTH_TRIES) {
		t->over = true;
		TRY(answer(t, S("535-5.7.8 Authentication credentials invalid")));
		return answer(t, S("535 5.7.8 Too many tries, closing"));
	}
	return answer(t, S("535 5.7.8 Authentication credentials invalid"));
}

static Err
check_password(struct talk *t, const struct sasl *sasl, Str reply)
{
	struct directory_login login = {
		.user = sasl_user(sasl),
		.password = sasl_password(sasl),
		.peer = conn_peer(t->conn),
		.session = t->who.session,
		.tls = t->session.secure,
	};
	enum directory_auth auth;
	Str address;
	Err e = directory_call_auth(t->asker->directory, &login, t->asker->arena, &auth,
		&t->account, &address);

	if (failed(e)) {
		log_failure(LOG_LEVEL_WARNING, "smtp.directory", e);
		return answer(t, S("454 4.7.0 Temporary authentication failure"));
	}
	if (auth != DIRECTORY_AUTH_OK)
		return wrong_password(t, sasl);
	buf_put(&t->user, address);
	smtp_session_set_user(&t->session);
	return answer(t, reply);
}

static Err
authenticate(struct talk *t, const struct smtp_command *cmd, Str reply)
{
	struct sasl sasl;
	Str refusal = S("");
	Err e;

	t->mechanism = str_eq_icase(cmd->argument, S("LOGIN")) ? S("LOGIN") : S("PLAIN");
	e = smtpd_auth_read(&sasl, t->conn, cmd, &refusal);
	if (!failed(e)) {
		e = check_password(t, &sasl, reply);
	} else if (e.kind == ERR_PEER) {
		smtp_session_fail_auth(&t->session);
		e = answer(t, refusal);
	}
	sasl_done(&sasl);
	return e;
}

/* ---- The envelope ---- */

static Err
begin_transaction(struct talk *t, const struct smtp_command *cmd, Str reply)
{
	Err e;

	forget_transaction(t);
	e = arena_copy(t->asker->arena, cmd->path.text, &t->sender);
	if (failed(e))
		return answer(t, S("452 4.3.1 No memory for the sender"));
	t->packed = t->sender.n + t->who.peer.n + t->who.session.n + RECIPIENT_COST * 4;
	t->began = clock_wall();
	smtp_session_set_sender(&t->session, cmd);
	return answer(t, reply);
}

static Err
check_sender(struct talk *t, const struct smtp_command *cmd, Str reply)
{
	bool allowed = true;
	Err e = OK;

	if (t->smtpd->smtp.submission)
		e = directory_call_sender(t->asker->directory, t->account, cmd->path.text,
			&allowed);
	if (failed(e)) {
		log_failure(LOG_LEVEL_WARNING, "smtp.directory", e);
		return reject_address(t, S("MAIL"), "451 4.3.0", cmd->path.text,
			"Temporary lookup failure");
	}
	if (!allowed)
		return reject_address(t, S("MAIL"), "553 5.7.1", cmd->path.text,
			"Sender address rejected: not yours");
	return begin_transaction(t, cmd, reply);
}

/* Letter case makes no other person of ours; of others only their own server can tell. */
static bool
is_recipient_already(const struct talk *t, Str address, enum envelope_class class)
{
	for (size_t i = 0; i < t->recipient_count; i++) {
		Str have = t->recipients[i].address;

		if (class == ENVELOPE_LOCAL ? str_eq_icase(have, address)
					    : str_eq(have, address))
			return true;
	}
	return false;
}

/* Room for one more; doubles, so the arena holds at most twice what is needed. */
static bool
grow_recipients(struct talk *t)
{
	size_t room = t->recipient_room == 0 ? RECIPIENTS_FIRST : t->recipient_room * 2;
	struct envelope_recipient *more;

	if (t->recipient_count < t->recipient_room)
		return true;
	more = arena_try_array(t->asker->arena, room, sizeof(*more));
	if (more == NULL)
		return false;
	for (size_t i = 0; i < t->recipient_count; i++)
		more[i] = t->recipients[i];
	t->recipients = more;
	t->recipient_room = room;
	return true;
}

static Err
add_recipient(struct talk *t, Str address, enum envelope_class class, Str reply)
{
	struct envelope_recipient r = { .class = class,
		.number = (uint32_t)t->recipient_count };
	size_t cost = address.n + RECIPIENT_COST;

	if (is_recipient_already(t, address, class)) {
		smtp_session_add_rcpt(&t->session);
		return answer(t, reply);
	}
	if (t->packed + cost > ENVELOPE_PACKED_MAX || !grow_recipients(t) ||
		failed(arena_copy(t->asker->arena, address, &r.address)))
		return answer(t, S("452 4.5.3 Too many recipients"));
	t->recipients[t->recipient_count++] = r;
	t->packed += cost;
	smtp_session_add_rcpt(&t->session);
	return answer(t, reply);
}

static Err
ask_recipient(struct talk *t, Str address, struct directory_recipient *ret)
{
	if (smtpd_recipients_get(t->smtpd->recipients, address, ret))
		return OK;
	TRY(directory_call_recipient(t->asker->directory, address, ret));
	if (ret->class == DIRECTORY_ACCOUNT || ret->class == DIRECTORY_ALIAS)
		smtpd_recipients_put(t->smtpd->recipients, address, ret);
	return OK;
}

static Err
refuse_recipient(struct talk *t, Str address, const char *code, const char *why)
{
	smtp_session_refuse_rcpt(&t->session);
	return reject_address(t, S("RCPT"), code, address, why);
}

static Err
check_recipient(struct talk *t, const struct smtp_command *cmd, Str reply)
{
	Str address = cmd->path.text;
	struct directory_recipient r;
	Err e = ask_recipient(t, address, &r);

	if (failed(e)) {
		log_failure(LOG_LEVEL_WARNING, "smtp.directory", e);
		return refuse_recipient(t, address, "451 4.3.0", "Temporary lookup failure");
	}
	switch (r.class) {
	case DIRECTORY_ACCOUNT:
	case DIRECTORY_ALIAS:
		return add_recipient(t, address, ENVELOPE_LOCAL, reply);
	case DIRECTORY_UNKNOWN_USER:
		return refuse_recipient(t, address, "550 5.1.1",
			"Recipient address rejected: User unknown");
	case DIRECTORY_DISABLED:
		return refuse_recipient(t, address, "550 5.2.1",
			"Recipient address rejected: Account is disabled");
	case DIRECTORY_UNKNOWN_DOMAIN:
		break;
	}
	if (t->session.user)
		return add_recipient(t, address, ENVELOPE_REMOTE, reply);
	return refuse_recipient(t, address, "550 5.7.1",
		"No such domain at this location, and relay access denied");
}

/* ---- The message ---- */

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
	return answer(t, buf_view(&b));
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
		sent = reject(t, S("END-OF-MESSAGE"), refusal_of(t, e), S(""));
	}
	smtpd_message_done(&t->message, taken);
	t->receiving = false;
	smtp_session_end_message(&t->session, taken);
	forget_transaction(t);
	return sent;
}

static Err
receive_data(struct talk *t, Str go_ahead)
{
	bool done;

	begin_message(t, true);
	TRY(answer(t, go_ahead));
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

static Err
receive_chunk(struct talk *t, const struct smtp_command *cmd)
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
		return reject(t, S("BDAT"), refusal_of(t, e), S(""));
	}
	TRY(conn_printf(t->conn, "250 2.0.0 Ok: %llu octets\r\n", (unsigned long long)size));
	return OK;
}

static Err
skip_chunk(struct talk *t, const struct smtp_command *cmd, Str reply)
{
	bool last = cmd->last;

	TRY(read_chunk(t, cmd->chunk, false));
	if (last) {
		forget_transaction(t);
		smtp_session_end_message(&t->session, false);
	}
	return answer(t, reply);
}

/* ---- The dialogue ---- */

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
			forget_transaction(t);
		return answer(t, reply);
	case SMTP_STEP_GREET:
		return welcome(t, cmd);
	case SMTP_STEP_CHECK_SENDER:
		return check_sender(t, cmd, reply);
	case SMTP_STEP_CHECK_RCPT:
		return check_recipient(t, cmd, reply);
	case SMTP_STEP_RECEIVE:
		return receive_data(t, reply);
	case SMTP_STEP_CHUNK:
		return receive_chunk(t, cmd);
	case SMTP_STEP_SKIP_CHUNK:
		return skip_chunk(t, cmd, reply);
	case SMTP_STEP_STARTTLS:
		return start_tls(t, reply);
	case SMTP_STEP_AUTH:
		return authenticate(t, cmd, reply);
	case SMTP_STEP_CLOSE:
		t->over = true;
		break;
	}
	return answer(t, reply);
}

static Err
answer_bad_line(struct talk *t, Err e)
{
	char room[REPLY_MAX];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	t->over = smtp_session_step_bad(&t->session, e, &b) == SMTP_STEP_CLOSE;
	return answer(t, buf_view(&b));
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
		if (!failed(answer(t, why)))
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
		.helo = BUF_INIT(NAME_MAX_SAID),
		.tls = BUF_INIT(128),
		.user = BUF_INIT(DIRECTORY_USER_MAX),
		.id = BUF_INIT(128),
	};
	Err e = converse(&t, connection->tls_first);

	if (failed(e))
		part(&t, e);
	forget_transaction(&t);
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
