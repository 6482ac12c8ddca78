/* SPDX-License-Identifier: ISC */
#include "service/login/talk.h"

#include "format/imap/command.h"
#include "format/imap/reader.h"
#include "format/sasl/sasl.h"
#include "rpc/directory.h"
#include "rpc/log.h"

#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

/* One conversation. */
struct talk {
	const struct talk_shared *shared;
	struct conn *conn;
	struct imap_reader reader;
	struct arena *arena; /* for one command */
	int mistakes, failures;
	bool over;
	bool handed_over; /* the socket belongs to the account's process */
	char id[32];      /* names this session in the log */
};

/* What the user showed, on its way to directory. */
struct credentials {
	Str tag, user, password;
	Str method; /* "LOGIN", "PLAIN": for the log */
};

static bool
may_use_password(const struct talk *t)
{
	if (conn_tls(t->conn) != NULL)
		return true;
	return t->shared->settings->plain_auth_on_loopback && conn_peer_is_loopback(t->conn);
}

/* RFC 9051, 6.1.1; LOGINDISABLED and AUTH= tell whether a password may be sent now. */
static void
put_capabilities(const struct talk *t, struct buf *b)
{
	buf_put(b, S("IMAP4rev1 IMAP4rev2 LITERAL+ ID ENABLE IDLE SASL-IR"));
	if (conn_tls(t->conn) == NULL && t->shared->tls != NULL)
		buf_put(b, S(" STARTTLS"));
	if (may_use_password(t))
		buf_put(b, S(" AUTH=PLAIN AUTH=LOGIN"));
	else
		buf_put(b, S(" LOGINDISABLED"));
}

static Err
greet(struct talk *t)
{
	AUTO_BUF b = BUF_INIT(1024);

	buf_put(&b, S("* OK [CAPABILITY "));
	put_capabilities(t, &b);
	buf_put(&b, S("] "));
	buf_put(&b, t->shared->settings->hostname);
	buf_put(&b, S(" Posthorn ready"));
	TRY(buf_check(&b));
	return conn_write_line(t->conn, buf_view(&b));
}

static Err
answer(struct talk *t, Str tag, const char *text)
{
	TRY(conn_write(t->conn, tag));
	TRY(conn_write(t->conn, S(" ")));
	return conn_write_line(t->conn, str_from(text));
}

/* BAD, until the client has made too many mistakes to be one. */
static Err
answer_bad(struct talk *t, Str tag, const char *text)
{
	if (++t->mistakes >= TALK_MISTAKES_MAX) {
		t->over = true;
		return conn_write_line(t->conn, S("* BYE Too many mistakes"));
	}
	TRY(conn_write(t->conn, tag));
	TRY(conn_write(t->conn, S(" BAD ")));
	return conn_write_line(t->conn, str_from(text));
}

static struct timespec
timespec_of(int64_t ms)
{
	return (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
}

enum {
	LOGIN_FIELDS = 6,
};

/* What every event about a login tells. */
static void
fill_fields(const struct talk *t, const struct credentials *c, Str what, struct log_field *ret)
{
	const struct tls *tls = conn_tls(t->conn);

	ret[0] = F_WORDS("what", what);
	ret[1] = F_ADDR("user", c->user);
	ret[2] = F_STR("method", c->method);
	ret[3] = F_STR("rip", conn_peer(t->conn));
	ret[4] = F_STR("tls", tls == NULL ? S("no") : tls_version(tls));
	ret[5] = F_SESSION(str_from(t->id));
}

/* The account's process says that it has begun with its first octet; the end means that it cannot. */
static bool
has_begun(int session)
{
	struct pollfd p = { .fd = session, .events = POLLIN };
	Moment until = moment_after(TALK_TAKEN_MS);
	char octet;
	int n;

	do
		n = poll(&p, 1, moment_left(until));
	while (n < 0 && errno == EINTR);
	return n > 0 && recv(session, &octet, 1, MSG_PEEK) == 1;
}

/*
 * Asks directory, and hands the client over when it says yes. *ret_auth says whether the password
 * was right; t->over whether the client has left us.
 */
static Err
open_account(struct talk *t, const struct credentials *c, enum directory_auth *ret_auth)
{
	bool tls = conn_tls(t->conn) != NULL;
	struct directory_login login = {
		.user = c->user,
		.password = c->password,
		.peer = conn_peer(t->conn),
		.session = str_from(t->id),
		.tls = tls,
		.tag = c->tag,
	};
	AUTO_FD ours = -1, theirs = -1;
	struct log_field fields[LOGIN_FIELDS];
	struct caller *caller;
	uint64_t account;
	int pair[2];
	Err e;

	/* What we have said so far must arrive before what its process says. */
	TRY(conn_flush(t->conn));
	TRY(channel_stream_pair(pair));
	ours = pair[0];
	theirs = pair[1];
	caller = caller_pool_take(t->shared->directory);
	e = directory_call_login(caller, &login, theirs, tls ? -1 : conn_fd(t->conn), ret_auth,
		&account);
	caller_pool_give(t->shared->directory, caller);
	TRY(e);
	if (*ret_auth != DIRECTORY_AUTH_OK)
		return OK;
	fd_drop(&theirs);
	if (!has_begun(ours))
		return fail(ERR_TEMP, "account cannot be opened now");
	fill_fields(t, c, S("login"), fields);
	log_send(LOG_LEVEL_INFO, "login.opened", fields, COUNT(fields));
	if (tls) {
		conn_set_end(t->conn, MOMENT_NEVER);
		carrier_add(t->shared->carrier, TAKE(t->conn), TAKE_FD(ours));
	}
	t->over = t->handed_over = true;
	return OK;
}

/* One answer for unknown users, wrong passwords and disabled accounts, after a while. */
static Err
refuse(struct talk *t, const struct credentials *c)
{
	int64_t ms = throttle_add(t->shared->throttle, conn_peer(t->conn), clock_moment());
	struct timespec wait = timespec_of(ms);
	struct log_field fields[LOGIN_FIELDS];

	fill_fields(t, c, S("login refused"), fields);
	log_send(LOG_LEVEL_WARNING, "login.refused", fields, COUNT(fields));
	nanosleep(&wait, NULL);
	TRY(answer(t, c->tag, "NO [AUTHENTICATIONFAILED] User name or password is wrong"));
	if (++t->failures < TALK_FAILURES_MAX)
		return OK;
	t->over = true;
	return conn_write_line(t->conn, S("* BYE Too many wrong passwords"));
}

static Err
authenticate(struct talk *t, const struct credentials *c)
{
	enum directory_auth auth = DIRECTORY_AUTH_WRONG;
	struct log_field fields[LOGIN_FIELDS];
	Err e = open_account(t, c, &auth);

	if (e.kind == ERR_GONE)
		return e;
	if (e.kind == ERR_LIMIT)
		return refuse(t, c);
	if (failed(e)) {
		fill_fields(t, c, str_from(e.what), fields);
		log_send(LOG_LEVEL_ERROR, "login.later", fields, COUNT(fields));
		return answer(t, c->tag, "NO [UNAVAILABLE] Try again in a minute");
	}
	if (auth != DIRECTORY_AUTH_OK)
		return refuse(t, c);
	return OK;
}

static Err
do_login(struct talk *t, const struct imap_command *command)
{
	struct credentials c = { .tag = command->tag,
		.user = command->login.user,
		.password = command->login.password,
		.method = S("LOGIN") };
	Err e;

	if (!may_use_password(t))
		return answer(t, c.tag, "NO [PRIVACYREQUIRED] Use STARTTLS first");
	e = authenticate(t, &c);
	explicit_bzero((char *)c.password.p, c.password.n); /* the arena's, or the reader's */
	return e;
}

/* Challenges and responses, until the mechanism has what it needs. */
static Err
run_sasl(struct talk *t, struct sasl *s, const struct imap_authenticate *asked)
{
	bool done = false;

	if (asked->has_initial)
		TRY(sasl_respond(s, asked->initial, &done));
	while (!done) {
		Str response;

		TRY(conn_write(t->conn, S("+ ")));
		TRY(conn_write_line(t->conn, sasl_challenge(s)));
		TRY(conn_read_line(t->conn, SASL_LINE_MAX, &response));
		TRY(sasl_respond(s, response, &done));
	}
	return OK;
}

static Err
do_authenticate(struct talk *t, const struct imap_command *command)
{
	const struct imap_authenticate *asked = &command->authenticate;
	enum sasl_mechanism mechanism;
	struct sasl s;
	Err e;

	if (!sasl_mechanism_find(asked->mechanism, &mechanism))
		return answer(t, command->tag, "NO [CANNOT] No such mechanism");
	if (!may_use_password(t))
		return answer(t, command->tag, "NO [PRIVACYREQUIRED] Use STARTTLS first");
	sasl_init(&s, mechanism);
	e = run_sasl(t, &s, asked);
	if (!failed(e)) {
		struct credentials c = { .tag = command->tag,
			.user = sasl_user(&s),
			.password = sasl_password(&s),
			.method = mechanism == SASL_PLAIN ? S("PLAIN") : S("LOGIN") };

		e = authenticate(t, &c);
	} else if (e.kind == ERR_PEER || e.kind == ERR_LIMIT) {
		e = answer_bad(t, command->tag, e.what);
	}
	sasl_done(&s);
	return e;
}

/* RFC 9051, 6.2.1. Nothing said before counts afterwards. */
static Err
do_starttls(struct talk *t, const struct imap_command *command)
{
	if (t->shared->tls == NULL || conn_tls(t->conn) != NULL)
		return answer_bad(t, command->tag, "TLS cannot begin now");
	if (conn_has_input(t->conn)) {
		/* Somebody may have put commands of his own behind a client's STARTTLS. */
		t->over = true;
		return answer(t, command->tag,
			"BAD Nothing may follow STARTTLS before TLS begins");
	}
	TRY(answer(t, command->tag, "OK Begin TLS now"));
	return conn_start_tls(t->conn, t->shared->tls, S(""), TALK_PATIENCE_MS);
}

static Err
do_capability(struct talk *t, const struct imap_command *command)
{
	AUTO_BUF b = BUF_INIT(1024);

	buf_put(&b, S("* CAPABILITY "));
	put_capabilities(t, &b);
	TRY(buf_check(&b));
	TRY(conn_write_line(t->conn, buf_view(&b)));
	return answer(t, command->tag, "OK Done");
}

/* RFC 2971. Before authentication a client hears the name and nothing else. */
static Err
do_id(struct talk *t, const struct imap_command *command)
{
	TRY(conn_write_line(t->conn, S("* ID (\"name\" \"Posthorn\")")));
	return answer(t, command->tag, "OK Done");
}

static Err
do_logout(struct talk *t, const struct imap_command *command)
{
	t->over = true;
	TRY(conn_write_line(t->conn, S("* BYE Goodbye")));
	return answer(t, command->tag, "OK Done");
}

static Err
do_noop(struct talk *t, const struct imap_command *command)
{
	return answer(t, command->tag, "OK Done");
}

static Err
do_command(struct talk *t, const struct imap_command *command)
{
	static const struct {
		enum imap_verb verb;
		Err (*run)(struct talk *t, const struct imap_command *command);
	} verbs[] = {
		{ IMAP_CAPABILITY, do_capability },
		{ IMAP_NOOP, do_noop },
		{ IMAP_ID, do_id },
		{ IMAP_LOGOUT, do_logout },
		{ IMAP_STARTTLS, do_starttls },
		{ IMAP_LOGIN, do_login },
		{ IMAP_AUTHENTICATE, do_authenticate },
	};

	for (size_t i = 0; i < COUNT(verbs); i++)
		if (verbs[i].verb == command->verb)
			return verbs[i].run(t, command);
	return answer_bad(t, command->tag,
		command->verb == IMAP_UNKNOWN ? "No such command" : "Log in first");
}

/* A literal was announced. Synchronising ones wait for our "+" (RFC 9051, 4.3). */
static Err
take_literal(struct talk *t)
{
	bool sync = imap_reader_literal(&t->reader).sync;

	if (!imap_reader_take(&t->reader) || !sync)
		return OK;
	return conn_write_line(t->conn, S("+ Go on"));
}

/* Reads up to the end of one command. *ret_whole: it can be parsed. */
static Err
read_command(struct talk *t, bool *ret_whole)
{
	Str input = S("");

	for (;;) {
		size_t used;
		enum imap_event event = imap_reader_feed(&t->reader, input, &used);

		conn_eat(t->conn, used);
		input = S("");
		switch (event) {
		case IMAP_READ_MORE:
			TRY(conn_read_some(t->conn, &input));
			break;
		case IMAP_READ_LITERAL:
			TRY(take_literal(t));
			break;
		case IMAP_READ_COMMAND:
			*ret_whole = true;
			return OK;
		case IMAP_READ_LONG:
			*ret_whole = false;
			return OK;
		case IMAP_READ_BROKEN:
			return fail(ERR_LIMIT, "literal is too long");
		}
	}
}

static Err
serve_command(struct talk *t)
{
	struct imap_command command;
	bool whole;
	Str text;
	Err e;

	TRY(read_command(t, &whole));
	text = imap_reader_text(&t->reader);
	if (!whole) {
		e = answer_bad(t, imap_command_tag(text), "Command is too long");
	} else {
		e = imap_command_parse(text, t->arena, &command);
		if (failed(e))
			e = answer_bad(t, imap_command_tag(text), e.what);
		else
			e = do_command(t, &command);
	}
	/* It may have held a password. */
	if (t->reader.text.p != NULL)
		explicit_bzero(t->reader.text.p, t->reader.text.n);
	imap_reader_next(&t->reader);
	arena_reset(t->arena);
	return e;
}

static Err
converse(struct talk *t, bool tls_at_once)
{
	if (tls_at_once)
		TRY(conn_start_tls(t->conn, t->shared->tls, S(""), TALK_PATIENCE_MS));
	TRY(greet(t));
	while (!t->over)
		TRY(serve_command(t));
	return OK;
}

/* A last word to a client that is still there. Nothing depends on its arriving. */
static void
say_bye(struct talk *t, Err e)
{
	Err said = OK;

	conn_set_end(t->conn, moment_after(TALK_BYE_MS));
	if (e.kind == ERR_LIMIT)
		said = conn_write_line(t->conn, S("* BYE Too long"));
	else if (e.sys == ETIMEDOUT)
		said = conn_write_line(t->conn, S("* BYE Nobody logged in in time"));
	if (failed(said))
		log_failure(LOG_LEVEL_DEBUG, "login.bye", said);
	conn_hang_up(t->conn, TALK_BYE_MS);
}

static void
name_session(struct talk *t)
{
	static atomic_uint last;

	snprintf(t->id, sizeof(t->id), "L%x-%x", (unsigned)getpid(),
		atomic_fetch_add(&last, 1) + 1);
}

void
talk_serve(const struct talk_shared *shared, struct conn *conn, bool tls_at_once)
{
	struct talk t = { .shared = shared, .conn = conn };
	Err e;

	name_session(&t);
	t.arena = arena_new(TALK_MEMORY_MAX);
	imap_reader_init(&t.reader, IMAP_LINE_PREAUTH, IMAP_LITERAL_PREAUTH);
	conn_set_end(t.conn, moment_after(TALK_PATIENCE_MS));
	e = converse(&t, tls_at_once);
	if (failed(e))
		log_event(LOG_LEVEL_DEBUG, "login.ended", F_WORDS("what", str_from(e.what)),
			F_STR("rip", t.conn == NULL ? S("") : conn_peer(t.conn)),
			F_SESSION(str_from(t.id)));
	if (t.conn != NULL && !t.handed_over)
		say_bye(&t, e);
	imap_reader_done(&t.reader);
	arena_free(t.arena);
	conn_free(t.conn);
}
