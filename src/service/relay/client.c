/* SPDX-License-Identifier: ISC */
/*
 * A step fails in one of two ways: the server said no (the reply is in c->reply and c->refused is
 * set), or the connection is of no use any more. `explain` alone turns either into what the sender
 * of the mail will read; c->step says what we were at.
 */
#include "service/relay/client.h"

#include "base/encode.h"
#include "base/memory.h"
#include "format/smtp/data.h"
#include "service/relay/body.h"

#include <stdlib.h>

const struct client_times client_times_standard = {
	.connect = 30 * 1000,
	.greeting = 5 * MINUTE * 1000,
	.command = 5 * MINUTE * 1000,
	.data = 2 * MINUTE * 1000,
	.block = 3 * MINUTE * 1000,
	.end = 10 * MINUTE * 1000,
	.message = 40 * MINUTE * 1000,
	.quit = 1000,
};

enum {
	BATCH_MAX = 50,      /* commands sent before their replies are read (RFC 2920, 3.1) */
	LOGIN_MAX = 1024,    /* octets of a user or a password, in base64 */
	OUT_MAX = 64 * 1024, /* octets of a piece of the message as it leaves */
	TEXT_MAX = 8 * 1024, /* octets of a text before it is cut */
};

/* What we were at, for texts: "while ..." and "in reply to ...". */
struct step {
	const char *during, *command;
};

static const struct step at_greeting = { "waiting for the greeting", "connecting" };
static const struct step at_ehlo = { "saying EHLO", "EHLO" };
static const struct step at_helo = { "saying HELO", "HELO" };
static const struct step at_starttls = { "starting TLS", "STARTTLS" };
static const struct step at_auth = { "logging in", "AUTH" };
static const struct step at_rset = { "saying RSET", "RSET" };
static const struct step at_mail = { "sending MAIL FROM", "MAIL FROM" };
static const struct step at_rcpt = { "sending RCPT TO", "RCPT TO" };
static const struct step at_data = { "sending DATA", "DATA" };
static const struct step at_body = { "sending the message", "the message" };
static const struct step at_end = { "sending the end of the message; it may arrive twice",
	"the end of the message" };

struct client {
	struct conn *conn;
	const struct client_target *target;
	const struct client_times *times;
	const struct step *step;
	struct smtp_reply reply;
	struct smtp_offers offers;
	Moment end;     /* of the transaction */
	bool refused;   /* the last failure is c->reply */
	bool greets_us; /* it calls itself by our own name */
	bool dirty;     /* a transaction was begun and not ended: RSET first */
};

struct client *
client_new(struct conn *conn, const struct client_target *target,
	const struct client_times *times)
{
	struct client *c = memory_get(sizeof(*c));

	c->conn = conn;
	c->target = target;
	c->times = times;
	c->reply = SMTP_REPLY_INIT;
	c->end = MOMENT_NEVER;
	return c;
}

void
client_free(struct client *c)
{
	if (c == NULL)
		return;
	conn_free(c->conn);
	buf_done(&c->reply.text);
	free(c);
}

Str
client_tls_version(const struct client *c)
{
	return conn_tls(c->conn) == NULL ? S("") : tls_version(conn_tls(c->conn));
}

Str
client_tls_cipher(const struct client *c)
{
	return conn_tls(c->conn) == NULL ? S("") : tls_cipher(conn_tls(c->conn));
}

static void
set_limit(struct client *c, int64_t max_ms)
{
	Moment end = moment_after(max_ms);

	conn_set_wait(c->conn, max_ms, max_ms);
	conn_set_end(c->conn, end.ms < c->end.ms ? end : c->end);
}

/* Reads a whole reply within max_ms, however slowly its octets come. */
static Err
read_reply(struct client *c, int64_t max_ms)
{
	bool last = false;
	Str line, text;

	smtp_reply_reset(&c->reply);
	c->refused = false;
	set_limit(c, max_ms);
	while (!last) {
		TRY(conn_read_line(c->conn, SMTP_REPLY_LINE_MAX, &line));
		TRY(smtp_reply_add_line(&c->reply, line, &last, &text));
		if (c->step == &at_ehlo && c->reply.lines > 1)
			smtp_offers_add(&c->offers, text);
	}
	return OK;
}

static Err
expect(struct client *c, enum smtp_reply_kind want, int64_t max_ms)
{
	TRY(read_reply(c, max_ms));
	c->refused = smtp_reply_kind(&c->reply) != want;
	return c->refused ? fail(ERR_PEER, "the server said no") : OK;
}

/* What does not fit into the arena is left out rather than lost mail. */
void
client_result_set(struct client_result *r, enum queue_outcome_kind kind, Str status, Str text,
	struct arena *a)
{
	static const char *const plain[] = {
		[QUEUE_DELIVERED] = "2.0.0",
		[QUEUE_DEFERRED] = "4.0.0",
		[QUEUE_FAILED] = "5.0.0",
	};

	*r = (struct client_result){ .kind = kind };
	if (failed(arena_copy(a, status, &r->status)))
		r->status = str_from(plain[kind]);
	if (failed(arena_copy(a, str_part(text, 0, QUEUE_TEXT_MAX), &r->text)))
		r->text = S("");
}

static void
put_server(struct buf *b, const struct client *c)
{
	buf_printf(b, "%.*s[%.*s]", STR_ARG(c->target->host), STR_ARG(c->target->address));
}

static void
set_refusal(const struct client *c, struct arena *a, struct client_result *r)
{
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	AUTO_BUF status = BUF_INIT(32);
	bool never = smtp_reply_kind(&c->reply) == SMTP_REPLY_NEVER;

	if (smtp_reply_kind(&c->reply) >= SMTP_REPLY_LATER)
		smtp_status_put(&status, smtp_reply_status(&c->reply));
	else /* a yes where it has no place: we do not understand one another */
		buf_put(&status, S("4.5.0"));
	put_server(&text, c);
	buf_put(&text, S(" said: "));
	smtp_reply_put(&text, &c->reply);
	buf_printf(&text, " (in reply to %s)", c->step->command);
	client_result_set(r, never ? QUEUE_FAILED : QUEUE_DEFERRED, buf_view(&status),
		buf_view(&text), a);
}

static void
set_loss(const struct client *c, Err e, struct arena *a, struct client_result *r)
{
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	const char *what = "lost the connection with ", *status = "4.4.2";

	if (e.kind == ERR_GONE && e.sys == ETIMEDOUT) {
		what = "no answer in time from ";
	} else if (e.kind == ERR_PEER || e.kind == ERR_LIMIT) {
		what = "no proper SMTP from ";
		status = "4.5.0";
	} else if (e.kind != ERR_GONE) {
		what = "trouble of our own with ";
		status = "4.3.0";
	}
	buf_put_c(&text, what);
	put_server(&text, c);
	buf_printf(&text, " while %s", c->step->during);
	client_result_set(r, QUEUE_DEFERRED, str_from(status), buf_view(&text), a);
	r->settled = c->step == &at_end; /* it may have the message: send it to nobody else */
}

static void
explain(const struct client *c, Err e, struct arena *a, struct client_result *r)
{
	if (c->refused)
		set_refusal(c, a, r);
	else
		set_loss(c, e, a, r);
}

/* Our own words about the server. */
static void
set_words(const struct client *c, enum queue_outcome_kind kind, const char *status,
	const char *words, struct arena *a, struct client_result *r)
{
	AUTO_BUF text = BUF_INIT(TEXT_MAX);

	buf_put_c(&text, words);
	put_server(&text, c);
	client_result_set(r, kind, str_from(status), buf_view(&text), a);
}

static Err
say_helo(struct client *c)
{
	c->step = &at_helo;
	TRY(conn_printf(c->conn, "HELO %.*s\r\n", STR_ARG(c->target->own_name)));
	return expect(c, SMTP_REPLY_DONE, c->times->command);
}

static Err
say_ehlo(struct client *c)
{
	Str name = c->target->own_name, first, rest;
	Err e;

	c->step = &at_ehlo;
	c->offers = (struct smtp_offers){ 0 };
	TRY(conn_printf(c->conn, "EHLO %.*s\r\n", STR_ARG(name)));
	e = expect(c, SMTP_REPLY_DONE, c->times->command);
	if (failed(e) && c->refused && smtp_reply_kind(&c->reply) == SMTP_REPLY_NEVER)
		e = say_helo(c); /* RFC 5321, 3.2 */
	TRY(e);
	first = buf_view(&c->reply.text);
	(void)str_split(first, ' ', &first, &rest);
	c->greets_us = str_eq_icase(first, name);
	return OK;
}

static Err
shake_hands(struct client *c)
{
	const struct client_target *t = c->target;
	Str name = str_eq(t->host, t->address) ? S("") : t->host;

	c->step = &at_starttls;
	return conn_start_tls(c->conn, t->tls_context, name, c->times->command);
}

/*
 * ret_clear   the server refused and the connection is as it was
 * ret_broken  the handshake failed
 */
static Err
start_tls(struct client *c, bool *ret_clear, bool *ret_broken)
{
	Err e;

	c->step = &at_starttls;
	TRY(conn_write_line(c->conn, S("STARTTLS")));
	e = expect(c, SMTP_REPLY_DONE, c->times->command);
	*ret_clear = failed(e) && c->refused;
	TRY(e);
	/* Octets that came before the handshake would be believed after it (CVE-2011-0411). */
	if (conn_has_input(c->conn))
		return fail(ERR_PEER, "bytes behind STARTTLS");
	e = shake_hands(c);
	*ret_broken = failed(e);
	TRY(e);
	return say_ehlo(c); /* what was said in clear counts no more (RFC 3207, 4.2) */
}

/* CLIENT_READY: under TLS, or in clear where that is allowed. */
static enum client_state
secure(struct client *c, struct arena *a, struct client_result *why)
{
	bool may_be_clear = c->target->tls == CLIENT_TLS_TRY;
	bool clear = false, broken = false;
	Err e;

	if (c->target->tls == CLIENT_TLS_OFF || conn_tls(c->conn) != NULL)
		return CLIENT_READY;
	if ((c->offers.set & SMTP_OFFER_STARTTLS) == 0) {
		if (may_be_clear)
			return CLIENT_READY;
		set_words(c, QUEUE_DEFERRED, "4.7.4", "TLS is required and not offered by ", a,
			why);
		return CLIENT_FAILED;
	}
	e = start_tls(c, &clear, &broken);
	if (!failed(e) || (clear && may_be_clear))
		return CLIENT_READY;
	if (broken) {
		set_words(c, QUEUE_DEFERRED, "4.7.5", "no TLS handshake with ", a, why);
		return may_be_clear ? CLIENT_TLS_BROKEN : CLIENT_FAILED;
	}
	explain(c, e, a, why);
	why->kind = QUEUE_DEFERRED;
	return CLIENT_FAILED;
}

/* Base64 of a secret, which leaves no copy here. */
static Err
send_secret(struct client *c, Str before, Str secret)
{
	AUTO_BUF line = BUF_INIT(4 * LOGIN_MAX);
	Err e;

	buf_put(&line, before);
	encode_base64(&line, secret);
	e = buf_check(&line);
	if (!failed(e))
		e = conn_write_line(c->conn, buf_view(&line));
	if (line.p != NULL)
		explicit_bzero(line.p, line.n);
	return e;
}

/* RFC 4616 */
static Err
auth_plain(struct client *c, Str user, Str password)
{
	AUTO_BUF words = BUF_INIT(2 * LOGIN_MAX);
	Err e;

	buf_u8(&words, 0);
	buf_put(&words, user);
	buf_u8(&words, 0);
	buf_put(&words, password);
	e = buf_check(&words);
	if (!failed(e))
		e = send_secret(c, S("AUTH PLAIN "), buf_view(&words));
	if (words.p != NULL)
		explicit_bzero(words.p, words.n);
	TRY(e);
	return expect(c, SMTP_REPLY_DONE, c->times->command);
}

static Err
auth_login(struct client *c, Str user, Str password)
{
	TRY(conn_write_line(c->conn, S("AUTH LOGIN")));
	TRY(expect(c, SMTP_REPLY_GO_ON, c->times->command));
	TRY(send_secret(c, S(""), user));
	TRY(expect(c, SMTP_REPLY_GO_ON, c->times->command));
	TRY(send_secret(c, S(""), password));
	return expect(c, SMTP_REPLY_DONE, c->times->command);
}

/* A smart host that refuses our login is our operator's affair: mail waits, none is returned. */
static bool
log_in(struct client *c, struct arena *a, struct client_result *why)
{
	Str user, password;
	Err e;

	if (c->target->login.n == 0)
		return true;
	c->step = &at_auth;
	if (conn_tls(c->conn) == NULL && c->target->tls != CLIENT_TLS_OFF) {
		set_words(c, QUEUE_DEFERRED, "4.7.11", "the password is not sent in clear to ",
			a, why);
		return false;
	}
	if (!str_split(c->target->login, ':', &user, &password) ||
		(c->offers.set & (SMTP_OFFER_AUTH_PLAIN | SMTP_OFFER_AUTH_LOGIN)) == 0) {
		set_words(c, QUEUE_DEFERRED, "4.7.0", "no way to log in at ", a, why);
		return false;
	}
	e = (c->offers.set & SMTP_OFFER_AUTH_PLAIN) != 0 ? auth_plain(c, user, password)
							 : auth_login(c, user, password);
	if (!failed(e))
		return true;
	explain(c, e, a, why);
	why->kind = QUEUE_DEFERRED;
	if (c->refused)
		why->status = S("4.7.8");
	return false;
}

static Err
greet(struct client *c)
{
	/* TLS from the first octet (RFC 8314, 3.3). */
	if (c->target->port == 465 && c->target->tls != CLIENT_TLS_OFF)
		TRY(shake_hands(c));
	c->step = &at_greeting;
	TRY(expect(c, SMTP_REPLY_DONE, c->times->greeting));
	return say_ehlo(c);
}

enum client_state
client_begin(struct client *c, struct arena *a, struct client_result *ret_why)
{
	enum client_state state;
	Err e;

	c->end = moment_after(c->times->message);
	e = greet(c);
	if (failed(e)) {
		explain(c, e, a, ret_why);
		return CLIENT_FAILED;
	}
	state = secure(c, a, ret_why);
	if (state != CLIENT_READY)
		return state;
	if (c->greets_us && !c->target->named) {
		set_words(c, QUEUE_FAILED, "5.4.6", "mail loops back to this server at ", a,
			ret_why);
		ret_why->settled = true;
		return CLIENT_FAILED;
	}
	return log_in(c, a, ret_why) ? CLIENT_READY : CLIENT_FAILED;
}

/* One transaction: its commands are MAIL, a RCPT for each recipient, DATA. */
struct transaction {
	const struct client_message *message;
	struct body_facts facts;
	struct arena *arena;
	struct client_result *results; /* those accepted have no status yet */
	size_t accepted;
	bool utf8;    /* SMTPUTF8 is asked for */
	bool no_mail; /* MAIL was refused */
	bool go;      /* 354 came */
};

static bool
is_ascii(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (str_at(s, i) > 127)
			return false;
	return true;
}

/* No address of ours holds a control character, but these bytes become a command. */
static bool
is_one_line(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (str_at(s, i) < ' ' || str_at(s, i) == 127)
			return false;
	return true;
}

static void
set_open_results(const struct transaction *t, const struct client_result *r)
{
	for (size_t i = 0; i < t->message->recipient_count; i++)
		if (t->results[i].status.n == 0)
			t->results[i] = *r;
}

/* Whether the server can take this message at all; if not, all recipients know. */
static bool
suits(const struct client *c, struct transaction *t)
{
	const struct client_message *m = t->message;
	bool utf8 = !is_ascii(m->sender) || t->facts.eight_bit_header;
	bool sound = is_one_line(m->sender);
	struct client_result why;

	for (size_t i = 0; i < m->recipient_count; i++) {
		utf8 |= !is_ascii(m->recipients[i]);
		sound &= is_one_line(m->recipients[i]);
	}
	t->utf8 = utf8 && (m->flags & ENVELOPE_UTF8) != 0;
	if (!sound)
		set_words(c, QUEUE_FAILED, "5.1.3", "an address that cannot be sent to ",
			t->arena, &why);
	else if (t->utf8 && (c->offers.set & SMTP_OFFER_SMTPUTF8) == 0)
		set_words(c, QUEUE_FAILED, "5.6.7", "no SMTPUTF8 at ", t->arena, &why);
	else if (t->facts.eight_bit && (c->offers.set & SMTP_OFFER_8BITMIME) == 0)
		set_words(c, QUEUE_FAILED, "5.6.3", "no 8BITMIME at ", t->arena, &why);
	else if (c->offers.size_max > 0 && t->facts.wire_size > c->offers.size_max)
		set_words(c, QUEUE_FAILED, "5.3.4", "the message is too large for ", t->arena,
			&why);
	else
		return true;
	set_open_results(t, &why);
	return false;
}

static Err
write_mail(struct client *c, const struct transaction *t)
{
	TRY(conn_printf(c->conn, "MAIL FROM:<%.*s>", STR_ARG(t->message->sender)));
	if ((c->offers.set & SMTP_OFFER_SIZE) != 0)
		TRY(conn_printf(c->conn, " SIZE=%llu", (unsigned long long)t->facts.wire_size));
	if (t->facts.eight_bit)
		TRY(conn_write(c->conn, S(" BODY=8BITMIME")));
	if (t->utf8)
		TRY(conn_write(c->conn, S(" SMTPUTF8")));
	return conn_write_line(c->conn, S(""));
}

/* Command `at`: 0 is MAIL, the last is DATA. */
static Err
write_command(struct client *c, const struct transaction *t, size_t at)
{
	if (at == 0)
		return write_mail(c, t);
	if (at <= t->message->recipient_count)
		return conn_printf(c->conn, "RCPT TO:<%.*s>\r\n",
			STR_ARG(t->message->recipients[at - 1]));
	return conn_write_line(c->conn, S("DATA"));
}

static void
take_reply(struct client *c, struct transaction *t, size_t at)
{
	enum smtp_reply_kind kind = smtp_reply_kind(&c->reply);
	struct client_result why;

	if (c->step == &at_data) {
		t->go = kind == SMTP_REPLY_GO_ON;
		if (t->go || t->accepted == 0)
			return;
	} else if (t->no_mail) {
		return; /* "503 no MAIL yet" of one pipelined behind it */
	} else if (kind == SMTP_REPLY_DONE) {
		t->accepted += at > 0;
		return;
	}
	set_refusal(c, t->arena, &why);
	if (c->step == &at_rcpt) {
		t->results[at - 1] = why;
		return;
	}
	t->no_mail = c->step == &at_mail;
	set_open_results(t, &why);
}

static Err
read_command_reply(struct client *c, struct transaction *t, size_t at)
{
	c->step = at == 0 ? &at_mail : at <= t->message->recipient_count ? &at_rcpt : &at_data;
	TRY(read_reply(c, c->step == &at_data ? c->times->data : c->times->command));
	take_reply(c, t, at);
	return OK;
}

/* MAIL, RCPT, DATA: in batches where the server has PIPELINING, else one by one. */
static Err
send_envelope(struct client *c, struct transaction *t)
{
	size_t commands = t->message->recipient_count + 2;
	size_t batch = (c->offers.set & SMTP_OFFER_PIPELINING) != 0 ? BATCH_MAX : 1;
	size_t written = 0, read = 0;

	c->dirty = true;
	while (read < commands && !t->no_mail) {
		set_limit(c, c->times->command);
		for (; written < commands && written - read < batch; written++) {
			/* Where all answers are known, DATA for nobody is not said. */
			if (written == commands - 1 && read == written && t->accepted == 0)
				return OK;
			c->step = &at_mail;
			TRY(write_command(c, t, written));
		}
		for (; read < written; read++)
			TRY(read_command_reply(c, t, read));
	}
	return OK;
}

static Err
send_pieces(struct client *c, const struct queue_body *body)
{
	struct smtp_data_writer writer = { 0 };
	AUTO_BUF out = BUF_INIT(OUT_MAX);
	char room[BODY_PIECE_MAX];
	uint64_t at = 0;
	Str piece;

	for (;;) {
		TRY(body_piece(body, at, room, &piece));
		if (piece.n == 0)
			break;
		buf_reset(&out);
		smtp_data_write(&writer, piece, &out);
		TRY(buf_check(&out));
		set_limit(c, c->times->block);
		TRY(conn_write(c->conn, buf_view(&out)));
		at += piece.n;
	}
	buf_reset(&out);
	smtp_data_write_end(&writer, &out);
	return conn_write(c->conn, buf_view(&out));
}

static Err
write_body(struct client *c, const struct transaction *t)
{
	if (t->accepted > 0)
		TRY(send_pieces(c, t->message->body));
	else
		TRY(conn_write(c->conn, S(".\r\n"))); /* 354 with nobody to send it to */
	set_limit(c, c->times->block);
	return conn_flush(c->conn);
}

/* A server that closes in the middle may have said why; a no counts. */
static void
hear_last_words(struct client *c, Err e)
{
	if (e.kind != ERR_GONE || e.sys == ETIMEDOUT || failed(read_reply(c, c->times->quit)))
		return;
	c->refused = smtp_reply_kind(&c->reply) >= SMTP_REPLY_LATER;
}

static Err
send_body(struct client *c, struct transaction *t)
{
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	AUTO_BUF status = BUF_INIT(32);
	struct client_result r;
	Err e;

	c->step = &at_body;
	e = write_body(c, t);
	if (failed(e)) {
		hear_last_words(c, e);
		return e;
	}
	c->step = &at_end;
	TRY(read_reply(c, c->times->end));
	c->dirty = false;
	if (smtp_reply_kind(&c->reply) != SMTP_REPLY_DONE) {
		set_refusal(c, t->arena, &r);
	} else {
		smtp_status_put(&status, smtp_reply_status(&c->reply));
		smtp_reply_put(&text, &c->reply);
		client_result_set(&r, QUEUE_DELIVERED, buf_view(&status), buf_view(&text),
			t->arena);
	}
	set_open_results(t, &r);
	return OK;
}

static Err
transact(struct client *c, struct transaction *t)
{
	if (c->dirty) {
		c->step = &at_rset;
		TRY(conn_write_line(c->conn, S("RSET")));
		TRY(expect(c, SMTP_REPLY_DONE, c->times->command));
		c->dirty = false;
	}
	TRY(send_envelope(c, t));
	/* It refused the sender and wants the message: even an empty one would be too much. */
	if (t->go && t->no_mail)
		return fail(ERR_GONE, "354 behind a refused sender");
	return t->go ? send_body(c, t) : OK;
}

bool
client_send(struct client *c, const struct client_message *m, struct arena *a,
	struct client_result *results)
{
	struct transaction t = { .message = m, .arena = a, .results = results };
	struct client_result why;
	Err e;

	for (size_t i = 0; i < m->recipient_count; i++)
		results[i] = (struct client_result){ 0 };
	c->end = moment_after(c->times->message);
	c->refused = false;
	c->step = &at_body;
	e = body_scan(m->body, &t.facts);
	if (!failed(e) && !suits(c, &t))
		return true;
	if (!failed(e))
		e = transact(c, &t);
	if (!failed(e))
		return c->reply.code != 421; /* it closes now (RFC 5321, 3.8) */
	explain(c, e, a, &why);
	set_open_results(&t, &why);
	return false;
}

void
client_quit(struct client *c)
{
	Err e;

	c->end = MOMENT_NEVER;
	set_limit(c, c->times->quit);
	e = conn_write_line(c->conn, S("QUIT"));
	if (!failed(e))
		e = read_reply(c, c->times->quit);
	(void)e; /* what it says to QUIT changes nothing */
}
