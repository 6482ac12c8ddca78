/* SPDX-License-Identifier: ISC */
#include "os/key.h"
#include "rpc/directory.h"
#include "rpc/serve.h"
#include "service/login/talk.h"
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	LONG_MS = 5000,
	PEM_MAX = 8192,
	TALK_MAX = 64 << 10, /* octets of what the server says in one test */
};

/*
 * A directory with one user, bob, whose password is "right"; behind it his account's process,
 * which greets and then sends back what it is sent. "later" finds the directory failing, "shut"
 * an account that cannot be opened.
 */
struct fixture {
	struct server *server;
	struct peer *peer;
	struct key *key;
	struct settings_login settings;
	struct talk_shared shared;
	pthread_t directory;
	_Atomic bool stop;
	_Atomic int asked;
};

struct account {
	int session, socket;
	char tag[64];
	Str tag_text;
};

static void *
run_account(void *arg)
{
	struct account *a = arg;
	int fd = a->socket >= 0 ? a->socket : a->session;
	char p[4096];
	ssize_t n;

	if (a->socket >= 0) {
		(void)!write(a->session, "!", 1);
		close(a->session);
	}
	dprintf(fd, "%s OK Logged in\r\n", a->tag);
	while ((n = read(fd, p, sizeof(p))) > 0)
		if (send(fd, p, (size_t)n, MSG_NOSIGNAL) != n)
			break;
	close(fd);
	free(a);
	return NULL;
}

static void
open_account(struct server_request *r, const struct directory_login *login)
{
	struct account *a = calloc(1, sizeof(*a));
	pthread_t thread;

	a->session = channel_take_fd(&r->message, 0);
	a->socket = channel_take_fd(&r->message, 1);
	assert_ok(str_c(login->tag, a->tag, sizeof(a->tag)));
	assert_int_equal(login->tls, a->socket < 0);
	assert_int_equal(0, pthread_create(&thread, NULL, run_account, a));
	pthread_detach(thread);
}

static void
answer_login(struct fixture *f, struct server_request *r)
{
	AUTO_BUF b = BUF_INIT(1024);
	struct directory_login login;
	enum directory_auth auth = DIRECTORY_AUTH_WRONG;
	Str part;

	f->asked++;
	assert_ok(directory_parse_login(&r->fields, &login));
	if (str_eq(login.user, S("later")))
		return;
	if (str_eq(login.user, S("bob")) && str_eq(login.password, S("right"))) {
		auth = DIRECTORY_AUTH_OK;
		open_account(r, &login);
	} else if (str_eq(login.user, S("shut"))) {
		auth = DIRECTORY_AUTH_OK;
	}
	directory_write_auth(&b, auth, 7, S("bob@example.org"));
	part = buf_view(&b);
	assert_ok(server_answer(f->server, r->reply_to, &part, 1, NULL, 0));
}

static void *
run_directory(void *arg)
{
	struct fixture *f = arg;

	while (!f->stop) {
		struct server_request *batch;
		size_t n;

		if (failed(server_take(f->server, moment_after(5), &batch, &n)))
			break;
		for (size_t i = 0; i < n; i++)
			answer_login(f, &batch[i]);
	}
	return NULL;
}

static Err
sign_here(void *with, KeyId id, enum key_scheme scheme, Str message, struct buf *ret)
{
	(void)id;
	return key_sign(with, scheme, message, ret);
}

static int
set_up(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	AUTO_BUF key_pem = BUF_INIT(PEM_MAX);
	AUTO_BUF certificate_pem = BUF_INIT(PEM_MAX);
	Str name = S("mail.example.org");
	int pair[2];

	assert_ok(key_make_self_signed(&name, 1, time_from_seconds(1700000000), &key_pem,
		&certificate_pem));
	assert_ok(key_read(buf_view(&key_pem), &f->key));
	assert_ok(tls_context_new_server((struct tls_signer){ sign_here, f->key },
		&f->shared.tls));
	assert_ok(tls_context_add_chain(f->shared.tls, buf_view(&certificate_pem)));
	assert_ok(channel_pair(pair));
	f->server = server_new(directory_rules);
	server_add_client(f->server, SERVICE_LOGIN, pair[1]);
	f->peer = peer_new(SERVICE_DIRECTORY, pair[0]);
	f->settings.hostname = S("mail.example.org");
	f->shared.settings = &f->settings;
	f->shared.directory = caller_pool_new(f->peer);
	f->shared.throttle = throttle_new(0);
	assert_ok(carrier_new(&f->shared.carrier));
	assert_int_equal(0, pthread_create(&f->directory, NULL, run_directory, f));
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	f->stop = true;
	pthread_join(f->directory, NULL);
	carrier_free(f->shared.carrier);
	throttle_free(f->shared.throttle);
	caller_pool_free(f->shared.directory);
	peer_free(f->peer);
	server_free(f->server);
	tls_context_free(f->shared.tls);
	key_free(f->key);
	test_free(f);
	return 0;
}

struct side {
	const struct talk_shared *shared;
	int fd;
	bool tls;
};

static void *
run_talk(void *arg)
{
	const struct side *s = arg;

	talk_serve(s->shared, conn_new(s->fd, CONN_EXACT), s->tls);
	return NULL;
}

/* The client's end; the conversation runs on *ret_thread until it is joined. */
static struct conn *
begin(struct fixture *f, struct side *side, bool tls, pthread_t *ret_thread)
{
	int fd[2];

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	*side = (struct side){ &f->shared, fd[1], tls };
	assert_int_equal(0, pthread_create(ret_thread, NULL, run_talk, side));
	return conn_new(fd[0], 0);
}

/* Everything that the server says until it hangs up. */
static void
read_all(struct conn *c, struct buf *b)
{
	Str s;

	while (!failed(conn_read_some(c, &s))) {
		buf_put(b, s);
		conn_eat(c, s.n);
	}
}

static void
end(struct conn *c, pthread_t thread)
{
	conn_free(c);
	pthread_join(thread, NULL);
}

#define LONG_LINE "................................................................"

static const struct {
	const char *why;
	Str input;
	bool plain_allowed;
	Str want; /* somewhere in the answers */
} plain[] = {
	{ "SD_075 no login before TLS", S("a LOGIN bob right\r\n"), false,
		S("a NO [PRIVACYREQUIRED]") },
	{ "nor AUTHENTICATE", S("a AUTHENTICATE PLAIN AGJvYgByaWdodA==\r\n"), false,
		S("a NO [PRIVACYREQUIRED]") },
	{ "and it says so", S("a CAPABILITY\r\n"), false, S("STARTTLS LOGINDISABLED\r\n") },
	{ "LOGOUT", S("a LOGOUT\r\n"), false, S("* BYE Goodbye\r\na OK Done\r\n") },
	{ "NOOP and ID", S("a NOOP\r\nb ID (\"name\" \"x\")\r\n"), false,
		S("a OK Done\r\n* ID (\"name\" \"Posthorn\")\r\nb OK Done\r\n") },
	{ "too early", S("a SELECT INBOX\r\n"), false, S("a BAD Log in first\r\n") },
	{ "unknown", S("a XYZZY\r\n"), false, S("a BAD No such command\r\n") },
	{ "bare LF", S("a NOOP\nb NOOP\r\n"), false, S("b OK Done\r\n") },
	{ "injected behind STARTTLS", S("a STARTTLS\r\nb LOGIN bob right\r\n"), false,
		S("a BAD Nothing may follow STARTTLS") },
	{ "a literal of 2^63", S("a LOGIN {9223372036854775808}\r\nb NOOP\r\n"), false,
		S("b OK Done\r\n") },
	{ "a literal that is too long", S("a LOGIN {2000000+}\r\n"), false, S("* BYE ") },
	{ "too many mistakes", S("a\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\na\r\n"),
		false, S("* BYE Too many mistakes\r\n") },
	{ "LOGIN", S("a LOGIN bob right\r\necho\r\n"), true, S("a OK Logged in\r\necho\r\n") },
	{ "LOGIN with literals", S("a LOGIN {3+}\r\nbob {5+}\r\nright\r\necho\r\n"), true,
		S("a OK Logged in\r\necho\r\n") },
	{ "AUTHENTICATE PLAIN at once", S("a AUTHENTICATE PLAIN AGJvYgByaWdodA==\r\necho\r\n"),
		true, S("a OK Logged in\r\necho\r\n") },
	{ "AUTHENTICATE PLAIN", S("a AUTHENTICATE PLAIN\r\nAGJvYgByaWdodA==\r\necho\r\n"), true,
		S("+ \r\na OK Logged in\r\necho\r\n") },
	{ "AUTHENTICATE LOGIN", S("a AUTHENTICATE LOGIN\r\nYm9i\r\ncmlnaHQ=\r\necho\r\n"), true,
		S("+ VXNlcm5hbWU6\r\n+ UGFzc3dvcmQ6\r\na OK Logged in\r\necho\r\n") },
	{ "giving up", S("a AUTHENTICATE PLAIN\r\n*\r\n"), true, S("a BAD client gave up") },
	{ "no such mechanism", S("a AUTHENTICATE CRAM-MD5\r\n"), true, S("a NO [CANNOT]") },
	{ "wrong password, then the right one", S("a LOGIN bob x\r\nb LOGIN bob right\r\n"),
		true,
		S("a NO [AUTHENTICATIONFAILED] User name or password is wrong\r\nb OK Logged in") },
	{ "unknown user sounds the same", S("a LOGIN eve x\r\n"), true,
		S("a NO [AUTHENTICATIONFAILED] User name or password is wrong\r\n") },
	{ "three wrong passwords", S("a LOGIN b 1\r\nb LOGIN b 2\r\nc LOGIN b 3\r\nd NOOP\r\n"),
		true, S("* BYE Too many wrong passwords\r\n") },
	{ "account cannot be opened", S("a LOGIN shut x\r\n"), true, S("a NO [UNAVAILABLE]") },
	{ "a literal over the limit is not asked for", S("a LOGIN {10000}\r\nb NOOP\r\n"), true,
		S("a BAD Command is too long\r\nb OK Done\r\n") },
};

static void
test_SD_075_dialogue_on_plain_connections(void **state)
{
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(plain); i++) {
		struct side side;
		pthread_t thread;
		AUTO_BUF got = BUF_INIT(TALK_MAX);
		AUTO(conn) c = NULL;

		f->settings.plain_auth_on_loopback = plain[i].plain_allowed;
		c = begin(f, &side, false, &thread);
		conn_set_wait(c, LONG_MS, LONG_MS);
		assert_ok(conn_write(c, plain[i].input));
		assert_ok(conn_flush(c));
		shutdown(conn_fd(c), SHUT_WR);
		read_all(c, &got);
		if (str_find_str(buf_view(&got), plain[i].want) == STR_NONE)
			fail_msg("%s: got\n%.*s", plain[i].why, STR_ARG(buf_view(&got)));
		end(TAKE(c), thread);
	}
}

/* Lines go through TLS, the carrier and the account's process, and back. */
static void
echo_often(struct conn *c)
{
	Str line;

	for (int i = 0; i < 100; i++) {
		assert_ok(conn_printf(c, "line %d " LONG_LINE "\r\n", i));
		assert_ok(conn_read_line(c, 200, &line));
		assert_true(str_starts(line, S("line ")));
	}
}

static void
login_under_tls(struct fixture *f, bool at_once)
{
	AUTO(tls_context) client = NULL;
	AUTO(conn) c = NULL;
	struct side side;
	pthread_t thread;
	Str line;

	assert_ok(tls_context_new_client(&client));
	c = begin(f, &side, at_once, &thread);
	conn_set_wait(c, LONG_MS, LONG_MS);
	if (!at_once) {
		assert_ok(conn_read_line(c, 500, &line));
		assert_ok(conn_write_line(c, S("a STARTTLS")));
		assert_ok(conn_read_line(c, 500, &line));
		assert_true(str_starts(line, S("a OK")));
	}
	assert_ok(conn_start_tls(c, client, S("mail.example.org"), LONG_MS));
	if (at_once) {
		assert_ok(conn_read_line(c, 500, &line));
		assert_true(str_starts(line, S("* OK")));
	}
	/* What is pipelined behind LOGIN is the session's. */
	assert_ok(conn_write(c, S("b LOGIN bob right\r\nfirst\r\n")));
	assert_ok(conn_read_line(c, 500, &line));
	assert_str(S("b OK Logged in"), line);
	assert_ok(conn_read_line(c, 500, &line));
	assert_str(S("first"), line);
	pthread_join(thread, NULL);
	assert_int_equal(1, carrier_count(f->shared.carrier));
	echo_often(c);
}

static void
wait_until_idle(struct fixture *f)
{
	struct pollfd p = { .fd = carrier_idle_fd(f->shared.carrier), .events = POLLIN };
	Moment until = moment_after(LONG_MS);
	uint64_t woken;

	while (carrier_count(f->shared.carrier) > 0 && !moment_past(until))
		if (poll(&p, 1, moment_left(until)) > 0)
			assert_int_equal(sizeof(woken), read(p.fd, &woken, sizeof(woken)));
	assert_int_equal(0, carrier_count(f->shared.carrier));
}

static void
test_SD_075_starttls_and_tls_at_once(void **state)
{
	struct fixture *f = *state;

	login_under_tls(f, false);
	wait_until_idle(f);
	login_under_tls(f, true);
	wait_until_idle(f);
}

static void
test_dead_directory_is_a_NO(void **state)
{
	struct fixture *f = *state;
	struct side side;
	pthread_t thread;
	AUTO_BUF got = BUF_INIT(TALK_MAX);
	struct conn *c;

	f->stop = true;
	pthread_join(f->directory, NULL);
	server_free(TAKE(f->server));
	f->settings.plain_auth_on_loopback = true;
	c = begin(f, &side, false, &thread);
	assert_ok(conn_write(c, S("a LOGIN bob right\r\nb LOGOUT\r\n")));
	assert_ok(conn_flush(c));
	read_all(c, &got);
	assert_true(str_find_str(buf_view(&got), S("a NO [UNAVAILABLE]")) != STR_NONE);
	assert_true(str_find_str(buf_view(&got), S("b OK Done")) != STR_NONE);
	end(c, thread);
	assert_int_equal(0, pthread_create(&f->directory, NULL, run_directory, f));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_SD_075_dialogue_on_plain_connections,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_SD_075_starttls_and_tls_at_once, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_dead_directory_is_a_NO, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
