/* SPDX-License-Identifier: ISC */
/* A scripted server on the other end of a socket pair: what it waits for, what it says. */
#include "service/relay/client.h"
#include "test.h"

#include <pthread.h>
#include <sys/socket.h>

enum {
	STEPS_MAX = 16,
	QUICK = 300, /* ms */
};

/* Reads lines until one begins with `want` (NULL: none), then says `say` (NULL: closes). */
struct step {
	const char *want, *say;
};

struct server {
	int fd;
	const struct step *steps;
	struct buf heard;
	pthread_t thread;
};

static const struct client_times quick = { .connect = QUICK,
	.greeting = QUICK,
	.command = QUICK,
	.data = QUICK,
	.block = QUICK,
	.end = QUICK,
	.message = 10 * QUICK,
	.quit = QUICK };

static bool
hear_line(struct server *s)
{
	char c = 0;

	while (c != '\n') {
		if (recv(s->fd, &c, 1, 0) != 1)
			return false;
		buf_put_char(&s->heard, c);
	}
	return true;
}

static bool
hear(struct server *s, Str want)
{
	for (;;) {
		size_t from = s->heard.n;

		if (!hear_line(s))
			return false;
		if (str_starts(str_from_at(buf_view(&s->heard), from), want))
			return true;
	}
}

static void
say(struct server *s, Str text)
{
	while (text.n > 0) {
		ssize_t n = send(s->fd, text.p, text.n, MSG_NOSIGNAL);

		if (n <= 0)
			return;
		text = str_from_at(text, (size_t)n);
	}
}

static void *
serve(void *arg)
{
	struct server *s = arg;

	for (size_t i = 0;
		i < STEPS_MAX && (s->steps[i].want != NULL || s->steps[i].say != NULL); i++) {
		if (s->steps[i].want != NULL && !hear(s, str_from(s->steps[i].want)))
			break;
		if (s->steps[i].say == NULL) {
			shutdown(s->fd, SHUT_RDWR);
			return NULL;
		}
		say(s, str_from(s->steps[i].say));
	}
	while (hear_line(s)) /* until the client goes */
		;
	return NULL;
}

struct fixture {
	struct server server;
	struct client_target target;
	struct client *client;
	struct arena *arena;
	struct client_result why;
	enum client_state state;
};

static void
set_up(struct fixture *f, const struct step *steps)
{
	int pair[2];

	f->server = (struct server){ .steps = steps, .heard = BUF_INIT(1 << 20) };
	f->target.own_name = S("mail.example.org");
	f->target.host = S("mx.example.net");
	f->target.address = S("192.0.2.1");
	f->target.port = 25;
	f->arena = arena_new(1 << 20);
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	f->server.fd = pair[1];
	assert_int_equal(0, pthread_create(&f->server.thread, NULL, serve, &f->server));
	f->client = client_new(conn_new(pair[0], 0), &f->target, &quick);
	f->state = client_begin(f->client, f->arena, &f->why);
}

static void
tear_down(struct fixture *f)
{
	client_free(f->client);
	pthread_join(f->server.thread, NULL);
	close(f->server.fd);
	buf_done(&f->server.heard);
	arena_free(f->arena);
}

static bool
send_to(struct fixture *f, size_t recipients, Str text, uint32_t flags,
	struct client_result *results)
{
	const Str names[] = { S("a@x"), S("b@x"), S("c@x") };
	struct queue_body body = { .bytes = exact(text), .fd = -1, .size = text.n };
	struct client_message m = { .sender = S("me@example.org"),
		.flags = flags,
		.body = &body,
		.recipients = names,
		.recipient_count = recipients };

	return client_send(f->client, &m, f->arena, results);
}

static const struct step ordinary[] = {
	{ NULL, "220 mx ESMTP\r\n" },
	{ "EHLO mail.example.org\r\n", "250-mx\r\n250-SIZE 1000\r\n250 8BITMIME\r\n" },
	{ "MAIL FROM:<me@example.org> SIZE=12\r\n", "250 2.1.0 ok\r\n" },
	{ "RCPT TO:<a@x>\r\n", "250 2.1.5 ok\r\n" },
	{ "DATA\r\n", "354 go\r\n" },
	{ ".\r\n", "250 2.0.0 Ok: queued as X\r\n" },
	{ "QUIT\r\n", "221 bye\r\n" },
	{ 0 },
};

static void
test_SD_019_SD_022_one_message(void **state)
{
	struct fixture f = { 0 };
	struct client_result r;

	(void)state;
	set_up(&f, ordinary);
	assert_int_equal(CLIENT_READY, f.state);
	assert_true(send_to(&f, 1, S("A: b\n\n.c\n"), 0, &r));
	assert_int_equal(QUEUE_DELIVERED, r.kind);
	assert_str(S("2.0.0"), r.status);
	assert_str(S("250 2.0.0 Ok: queued as X"), r.text);
	client_quit(f.client);
	assert_true(str_find_str(buf_view(&f.server.heard), S("A: b\r\n\r\n..c\r\n.\r\n")) !=
		    STR_NONE);
	tear_down(&f);
}

/* Everything arrives before the server says a word, and the answers are told apart. */
static void
test_pipelining(void **state)
{
	static const struct step steps[] = {
		{ NULL, "220 mx\r\n" },
		{ "EHLO", "250-mx\r\n250 PIPELINING\r\n" },
		{ "DATA",
			"250 ok\r\n250 ok\r\n550 5.1.1 no b here\r\n450 4.2.0 later\r\n354 go\r\n" },
		{ ".\r\n", "250 ok\r\n" },
		{ "MAIL", NULL },
		{ 0 },
	};
	struct client_result r[3];
	struct fixture f = { 0 };

	(void)state;
	set_up(&f, steps);
	assert_true(send_to(&f, 3, S("x\n"), 0, r));
	assert_int_equal(QUEUE_DELIVERED, r[0].kind);
	assert_int_equal(QUEUE_FAILED, r[1].kind);
	assert_str(S("5.1.1"), r[1].status);
	assert_str(
		S("mx.example.net[192.0.2.1] said: 550 5.1.1 no b here (in reply to RCPT TO)"),
		r[1].text);
	assert_int_equal(QUEUE_DEFERRED, r[2].kind);
	assert_str(S("4.2.0"), r[2].status);
	assert_false(send_to(&f, 1, S("x\n"), 0, r)); /* it hangs up: a new message notices */
	assert_int_equal(QUEUE_DEFERRED, r[0].kind);
	assert_str(S("4.4.2"), r[0].status);
	tear_down(&f);
}

/* 354 although nobody was accepted: an empty message ends it, RSET begins anew. */
static void
test_pipelined_data_for_nobody(void **state)
{
	static const struct step steps[] = {
		{ NULL, "220 mx\r\n" },
		{ "EHLO", "250-mx\r\n250 PIPELINING\r\n" },
		{ "DATA", "250 ok\r\n550 no\r\n354 go\r\n" },
		{ ".\r\n", "554 5.5.1 no valid recipients\r\n" },
		{ "DATA", "250 ok\r\n550 no\r\n503 no\r\n" },
		{ "RSET", "250 ok\r\n" },
		{ "DATA", "250 ok\r\n250 ok\r\n354 go\r\n" },
		{ ".\r\n", "250 2.6.0 ok\r\n" },
		{ 0 },
	};
	struct fixture f = { 0 };
	struct client_result r;

	(void)state;
	set_up(&f, steps);
	assert_true(send_to(&f, 1, S("x\n"), 0, &r));
	assert_int_equal(QUEUE_FAILED, r.kind);
	assert_str(S("5.0.0"), r.status);
	assert_true(send_to(&f, 1, S("x\n"), 0, &r));
	assert_int_equal(QUEUE_FAILED, r.kind);
	assert_true(send_to(&f, 1, S("x\n"), 0, &r));
	assert_int_equal(QUEUE_DELIVERED, r.kind);
	assert_str(S("2.6.0"), r.status);
	tear_down(&f);
}

#define EHLO_PLAIN \
	{ NULL, "220 mx\r\n" }, \
	{ \
		"EHLO", "250 mx\r\n" \
	}
#define UP_TO_DATA \
	EHLO_PLAIN, { "MAIL", "250 ok\r\n" }, { "RCPT", "250 ok\r\n" }, \
	{ \
		"DATA", "354 go\r\n" \
	}

/* What a server may do to us, and what then becomes of the recipient. */
static const struct {
	const char *why;
	struct step steps[STEPS_MAX];
	enum queue_outcome_kind kind;
	const char *status;
	bool settled, usable;
} servers[] = {
	{ "greets with 554", { { NULL, "554 5.7.1 go away\r\n" } }, QUEUE_FAILED, "5.7.1" },
	{ "greets with 421", { { NULL, "421 busy\r\n" } }, QUEUE_DEFERRED, "4.0.0" },
	{ "greets with 150", { { NULL, "150 what?\r\n" } }, QUEUE_DEFERRED, "4.0.0" },
	{ "hangs up at EHLO", { { NULL, "220 mx\r\n" }, { "EHLO", NULL } }, QUEUE_DEFERRED,
		"4.4.2" },
	{ "says nothing", { { "never", "" } }, QUEUE_DEFERRED, "4.4.2" },
	{ "is no SMTP server", { { NULL, "HTTP/1.1 400 Bad Request\r\n" } }, QUEUE_DEFERRED,
		"4.5.0" },
	{ "ends lines with LF", { { NULL, "220 mx\n" } }, QUEUE_DEFERRED, "4.5.0" },
	{ "refuses EHLO and HELO",
		{ { NULL, "220 mx\r\n" }, { "EHLO", "502 what?\r\n" },
			{ "HELO", "550 5.7.1 no\r\n" } },
		QUEUE_FAILED, "5.7.1" },
	{ "is us", { { NULL, "220 mx\r\n" }, { "EHLO", "250 Mail.Example.Org hello\r\n" } },
		QUEUE_FAILED, "5.4.6", true },
	{ "refuses MAIL", { EHLO_PLAIN, { "MAIL", "550 5.1.8 who?\r\n" } }, QUEUE_FAILED,
		"5.1.8", false, true },
	{ "refuses MAIL and wants the message",
		{ { NULL, "220 mx\r\n" }, { "EHLO", "250-mx\r\n250 PIPELINING\r\n" },
			{ "DATA", "550 5.1.8 who?\r\n250 ok\r\n354 go\r\n" },
			{ ".\r\n", "250 taken\r\n" } },
		QUEUE_FAILED, "5.1.8" },
	{ "is out of space at MAIL", { EHLO_PLAIN, { "MAIL", "452 4.3.1 full\r\n" } },
		QUEUE_DEFERRED, "4.3.1", false, true },
	{ "closes with 421 at RCPT",
		{ EHLO_PLAIN, { "MAIL", "250 ok\r\n" }, { "RCPT", "421 4.3.2 bye\r\n" } },
		QUEUE_DEFERRED, "4.3.2" },
	{ "refuses DATA",
		{ EHLO_PLAIN, { "MAIL", "250 ok\r\n" }, { "RCPT", "250 ok\r\n" },
			{ "DATA", "554 5.7.0 no\r\n" } },
		QUEUE_FAILED, "5.7.0", false, true },
	{ "says 250 to DATA",
		{ EHLO_PLAIN, { "MAIL", "250 ok\r\n" }, { "RCPT", "250 ok\r\n" },
			{ "DATA", "250 sure\r\n" } },
		QUEUE_DEFERRED, "4.5.0", false, true },
	{ "refuses the message", { UP_TO_DATA, { ".\r\n", "550 5.7.1 spam\r\n" } },
		QUEUE_FAILED, "5.7.1", false, true },
	{ "wants it later", { UP_TO_DATA, { ".\r\n", "451 4.7.1 greylisted\r\n" } },
		QUEUE_DEFERRED, "4.7.1", false, true },
	{ "hangs up after the message", { UP_TO_DATA, { ".\r\n", NULL } }, QUEUE_DEFERRED,
		"4.4.2", true },
	{ "is silent after the message", { UP_TO_DATA }, QUEUE_DEFERRED, "4.4.2", true },
	{ "has 8 lines of banner",
		{ { NULL, "220-a\r\n220-b\r\n220-c\r\n220-d\r\n220-e\r\n220-f\r\n220-g\r\n220 h\r\n" },
			{ "EHLO", "250 mx\r\n" }, { "MAIL", "250 ok\r\n" },
			{ "RCPT", "250 ok\r\n" }, { "DATA", "354 go\r\n" },
			{ ".\r\n", "250 ok\r\n" } },
		QUEUE_DELIVERED, "2.0.0", false, true },
	{ "changes codes in a reply", { { NULL, "220-a\r\n550 b\r\n" } }, QUEUE_DEFERRED,
		"4.5.0" },
	{ "knows HELO alone",
		{ { NULL, "220 mx\r\n" }, { "EHLO", "500 what?\r\n" }, { "HELO", "250 mx\r\n" },
			{ "MAIL FROM:<me@example.org>\r\n", "250 ok\r\n" },
			{ "RCPT", "250 ok\r\n" }, { "DATA", "354 go\r\n" },
			{ ".\r\n", "250 ok\r\n" } },
		QUEUE_DELIVERED, "2.0.0", false, true },
};

static void
test_SD_019_servers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(servers); i++) {
		struct client_result r = { 0 };
		struct fixture f = { 0 };
		bool usable = false;

		set_up(&f, servers[i].steps);
		if (f.state == CLIENT_READY)
			usable = send_to(&f, 1, S("x\n"), 0, &r);
		else
			r = f.why;
		if (r.kind != servers[i].kind ||
			!str_eq(str_from(servers[i].status), r.status) ||
			r.settled != servers[i].settled || usable != servers[i].usable)
			fail_msg("%s: %d %.*s %.*s settled %d usable %d", servers[i].why,
				r.kind, STR_ARG(r.status), STR_ARG(r.text), r.settled, usable);
		tear_down(&f);
	}
}

/* Bounded, whatever comes: a reply of 10,000 lines, a line without an end, NUL. */
static void
test_endless_replies(void **state)
{
	static char lines[60001], line[100001];
	struct step steps[] = { { NULL, lines }, { 0 } };
	struct step one[] = { { NULL, line }, { 0 } };
	struct fixture f = { 0 };

	(void)state;
	for (size_t i = 0; i < 10000; i++)
		memcpy(lines + 6 * i, "220-\r\n", 6);
	set_up(&f, steps);
	assert_int_equal(CLIENT_FAILED, f.state);
	assert_str(S("4.5.0"), f.why.status);
	tear_down(&f);

	memset(line, 'x', sizeof(line) - 1);
	memcpy(line, "220 ", 4);
	set_up(&f, one);
	assert_int_equal(CLIENT_FAILED, f.state);
	tear_down(&f);
}

struct needs {
	const char *why, *offers;
	Str text;
	uint32_t flags;
	enum queue_outcome_kind kind;
	const char *status, *mail;
};

static const struct needs needs[] = {
	{ "8 bits and 8BITMIME", "250-mx\r\n250 8BITMIME\r\n", S("\n\xc3\xbc\n"), 0,
		QUEUE_DELIVERED, "2.0.0", "MAIL FROM:<me@example.org> BODY=8BITMIME\r\n" },
	{ "8 bits without it", "250 mx\r\n", S("\n\xc3\xbc\n"), 0, QUEUE_FAILED, "5.6.3",
		NULL },
	{ "flag alone", "250 mx\r\n", S("\nx\n"), ENVELOPE_8BIT | ENVELOPE_UTF8,
		QUEUE_DELIVERED, "2.0.0", "MAIL FROM:<me@example.org>\r\n" },
	{ "UTF-8 header and SMTPUTF8", "250-mx\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n",
		S("S: \xc3\xbc\n\n"), ENVELOPE_UTF8, QUEUE_DELIVERED, "2.0.0",
		"MAIL FROM:<me@example.org> BODY=8BITMIME SMTPUTF8\r\n" },
	{ "UTF-8 header without it", "250-mx\r\n250 8BITMIME\r\n", S("S: \xc3\xbc\n\n"),
		ENVELOPE_UTF8, QUEUE_FAILED, "5.6.7", NULL },
	{ "too large", "250-mx\r\n250 SIZE 5\r\n", S("1\n2\n"), 0, QUEUE_FAILED, "5.3.4",
		NULL },
	{ "just fits", "250-mx\r\n250 SIZE 6\r\n", S("1\n2\n"), 0, QUEUE_DELIVERED, "2.0.0",
		"MAIL FROM:<me@example.org> SIZE=6\r\n" },
};

static void
test_what_a_message_needs(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(needs); i++) {
		struct step steps[] = { { NULL, "220 mx\r\n" }, { "EHLO", needs[i].offers },
			{ "MAIL", "250 ok\r\n" }, { "RCPT", "250 ok\r\n" },
			{ "DATA", "354 go\r\n" }, { ".\r\n", "250 ok\r\n" }, { 0 } };
		struct fixture f = { 0 };
		struct client_result r;

		set_up(&f, steps);
		assert_true(send_to(&f, 1, needs[i].text, needs[i].flags, &r));
		if (r.kind != needs[i].kind || !str_eq(str_from(needs[i].status), r.status))
			fail_msg("%s: %.*s", needs[i].why, STR_ARG(r.status));
		if (needs[i].mail != NULL && str_find_str(buf_view(&f.server.heard),
						     str_from(needs[i].mail)) == STR_NONE)
			fail_msg("%s: %.*s", needs[i].why, STR_ARG(buf_view(&f.server.heard)));
		tear_down(&f);
	}
}

static const struct step wants_login[] = {
	{ NULL, "220 mx\r\n" },
	{ "EHLO", "250-mx\r\n250 AUTH LOGIN PLAIN\r\n" },
	{ "AUTH PLAIN AG1lAHBhOnNz\r\n", "235 2.7.0 welcome\r\n" },
	{ 0 },
};
static const struct step wants_login_slowly[] = {
	{ NULL, "220 mx\r\n" },
	{ "EHLO", "250-mx\r\n250 AUTH LOGIN\r\n" },
	{ "AUTH LOGIN\r\n", "334 VXNlcm5hbWU6\r\n" },
	{ "bWU=\r\n", "334 UGFzc3dvcmQ6\r\n" },
	{ "cGE6c3M=\r\n", "235 2.7.0 welcome\r\n" },
	{ 0 },
};
static const struct step knows_us_not[] = {
	{ NULL, "220 mx\r\n" },
	{ "EHLO", "250-mx\r\n250 AUTH PLAIN\r\n" },
	{ "AUTH", "535 5.7.8 wrong\r\n" },
	{ 0 },
};

static void
test_SD_034_login(void **state)
{
	struct fixture f = { .target.login = S("me:pa:ss") };

	(void)state;
	set_up(&f, wants_login);
	assert_int_equal(CLIENT_READY, f.state);
	tear_down(&f);
	set_up(&f, wants_login_slowly);
	assert_int_equal(CLIENT_READY, f.state);
	tear_down(&f);
	set_up(&f, knows_us_not);
	assert_int_equal(CLIENT_FAILED, f.state);
	assert_int_equal(QUEUE_DEFERRED, f.why.kind);
	assert_str(S("4.7.8"), f.why.status);
	tear_down(&f);
	f.target.tls = CLIENT_TLS_TRY; /* not offered: the password stays here */
	set_up(&f, wants_login);
	assert_int_equal(CLIENT_FAILED, f.state);
	assert_str(S("4.7.11"), f.why.status);
	assert_true(str_find_str(buf_view(&f.server.heard), S("AUTH")) == STR_NONE);
	tear_down(&f);
}

/* Injected octets behind STARTTLS, TLS required and not there, TLS refused. */
static void
test_starttls_in_clear(void **state)
{
	static const struct step injects[] = {
		{ NULL, "220 mx\r\n" },
		{ "EHLO", "250-mx\r\n250 STARTTLS\r\n" },
		{ "STARTTLS", "220 go\r\n250 PIPELINING\r\n" },
		{ 0 },
	};
	static const struct step refuses[] = {
		{ NULL, "220 mx\r\n" },
		{ "EHLO", "250-mx\r\n250 STARTTLS\r\n" },
		{ "STARTTLS", "454 4.7.0 not now\r\n" },
		{ 0 },
	};
	struct fixture f = { .target.tls = CLIENT_TLS_TRY };

	(void)state;
	set_up(&f, injects);
	assert_int_equal(CLIENT_FAILED, f.state);
	assert_int_equal(QUEUE_DEFERRED, f.why.kind);
	tear_down(&f);
	set_up(&f, refuses);
	assert_int_equal(CLIENT_READY, f.state);
	tear_down(&f);
	f.target.tls = CLIENT_TLS_REQUIRE;
	set_up(&f, refuses);
	assert_int_equal(CLIENT_FAILED, f.state);
	tear_down(&f);
	set_up(&f, ordinary);
	assert_int_equal(CLIENT_FAILED, f.state);
	assert_str(S("4.7.4"), f.why.status);
	tear_down(&f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_SD_019_SD_022_one_message),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_pipelined_data_for_nobody),
		cmocka_unit_test(test_SD_019_servers),
		cmocka_unit_test(test_endless_replies),
		cmocka_unit_test(test_what_a_message_needs),
		cmocka_unit_test(test_SD_034_login),
		cmocka_unit_test(test_starttls_in_clear),
	};

	return cmocka_run_group_tests_name("service/relay/client", tests, NULL, NULL);
}
