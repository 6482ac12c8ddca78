/* SPDX-License-Identifier: ISC */
#include "os/key.h"
#include "service/login/carrier.h"
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	LONG_MS = 10 * 1000,
	PEM_MAX = 8192,
	BULK = 2 << 20, /* octets; many times what all buffers between hold */
};

struct fixture {
	struct key *key;
	struct tls_context *server, *client;
	struct carrier *carrier;
};

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

	assert_ok(key_make_self_signed(&name, 1, time_from_seconds(1700000000), &key_pem,
		&certificate_pem));
	assert_ok(key_read(buf_view(&key_pem), &f->key));
	assert_ok(tls_context_new_server((struct tls_signer){ sign_here, f->key }, &f->server));
	assert_ok(tls_context_add_chain(f->server, buf_view(&certificate_pem)));
	assert_ok(tls_context_new_client(&f->client));
	assert_ok(carrier_new(&f->carrier));
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	carrier_free(f->carrier);
	tls_context_free(f->client);
	tls_context_free(f->server);
	key_free(f->key);
	test_free(f);
	return 0;
}

struct side {
	struct tls_context *context;
	struct conn *conn;
};

static void *
shake_hands(void *arg)
{
	struct side *s = arg;

	return failed(conn_start_tls(s->conn, s->context, S(""), LONG_MS)) ? NULL : arg;
}

/* A client under TLS whose bytes are carried to *ret_session, the account's process. */
static struct conn *
begin(struct fixture *f, int *ret_session)
{
	int wire[2], session[2];
	struct conn *client;
	struct side side;
	pthread_t thread;
	void *done;

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, wire));
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, session));
	client = conn_new(wire[0], 0);
	conn_set_wait(client, LONG_MS, LONG_MS);
	side = (struct side){ f->server, conn_new(wire[1], 0) };
	assert_int_equal(0, pthread_create(&thread, NULL, shake_hands, &side));
	assert_ok(conn_start_tls(client, f->client, S(""), LONG_MS));
	pthread_join(thread, &done);
	assert_non_null(done);
	carrier_add(f->carrier, side.conn, session[0]);
	*ret_session = session[1];
	return client;
}

static void
wait_for_count(struct fixture *f, size_t count)
{
	struct pollfd p = { .fd = carrier_idle_fd(f->carrier), .events = POLLIN };
	Moment until = moment_after(LONG_MS);
	uint64_t woken;

	while (carrier_count(f->carrier) != count && !moment_past(until))
		if (poll(&p, 1, moment_left(until)) > 0)
			assert_int_equal(sizeof(woken), read(p.fd, &woken, sizeof(woken)));
	assert_int_equal(count, carrier_count(f->carrier));
}

/* Writes until nobody takes any more for a while; how much went in. */
static size_t
fill_up(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	char junk[4096] = { 0 };
	size_t sent = 0;

	while (poll(&p, 1, 50) > 0) {
		ssize_t n = send(fd, junk, sizeof(junk), MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n > 0)
			sent += (size_t)n;
	}
	return sent;
}

static char
octet_at(size_t at)
{
	return (char)(at * 7 >> 4);
}

struct reader {
	int fd;
	size_t got;
	bool right;
};

static void *
read_slowly(void *arg)
{
	struct reader *r = arg;
	char p[5000];
	ssize_t n;

	r->right = true;
	while ((n = read(r->fd, p, sizeof(p))) > 0) {
		for (ssize_t i = 0; i < n; i++)
			r->right &= p[i] == octet_at(r->got++);
		if (r->got % 16 == 0)
			sched_yield();
	}
	return NULL;
}

/* More than all buffers hold goes up to a slow process; nothing is lost or changes places. */
static void
test_bulk_up(void **state)
{
	struct fixture *f = *state;
	struct reader r = { 0 };
	AUTO_FD session = -1;
	AUTO(conn) client = begin(f, &session);
	pthread_t thread;

	r.fd = session;
	assert_int_equal(0, pthread_create(&thread, NULL, read_slowly, &r));
	for (size_t at = 0; at < BULK;) {
		char p[1000];

		for (size_t i = 0; i < sizeof(p); i++)
			p[i] = octet_at(at++);
		assert_ok(conn_write(client, (Str){ p, sizeof(p) }));
	}
	assert_ok(conn_flush(client));
	conn_free(TAKE(client));
	pthread_join(thread, NULL);
	assert_true(r.right);
	assert_int_equal((BULK + 999) / 1000 * 1000, r.got);
	fd_drop(&session);
	wait_for_count(f, 0);
}

static void *
write_bulk(void *arg)
{
	int fd = *(int *)arg;
	char p[1000];

	for (size_t at = 0; at < BULK;) {
		for (size_t i = 0; i < sizeof(p); i++)
			p[i] = octet_at(at++);
		if (send(fd, p, sizeof(p), MSG_NOSIGNAL) != (ssize_t)sizeof(p))
			return NULL;
	}
	close(fd);
	return arg;
}

/* The process writes all and ends at once; a client that reads slowly still gets every octet. */
static void
test_bulk_down_and_close(void **state)
{
	struct fixture *f = *state;
	int session;
	AUTO(conn) client = begin(f, &session);
	pthread_t thread;
	size_t got = 0;
	void *done;
	Str s;

	assert_int_equal(0, pthread_create(&thread, NULL, write_bulk, &session));
	while (!failed(conn_read_some(client, &s))) {
		for (size_t i = 0; i < s.n; i++)
			if (s.p[i] != octet_at(got++))
				fail_msg("octet %zu is wrong", got - 1);
		conn_eat(client, s.n);
	}
	pthread_join(thread, &done);
	assert_non_null(done);
	assert_int_equal((BULK + 999) / 1000 * 1000, got);
	wait_for_count(f, 0);
}

/* A client that takes nothing stops its own process only, and costs no more than its buffers. */
static void
test_back_pressure(void **state)
{
	struct fixture *f = *state;
	AUTO_FD stuck = -1, other = -1;
	AUTO(conn) deaf = begin(f, &stuck);
	AUTO(conn) client = begin(f, &other);
	char p[100];
	Str line;

	assert_true(fill_up(stuck) < 2 << 20);
	assert_ok(conn_write_line(client, S("are you there")));
	assert_ok(conn_flush(client));
	assert_int_equal(15, read(other, p, sizeof(p)));
	assert_int_equal(5, write(other, "yes\r\n", 5));
	assert_ok(conn_read_line(client, 10, &line));
	assert_str(S("yes"), line);
}

static void
test_client_vanishes(void **state)
{
	struct fixture *f = *state;
	AUTO_FD session = -1;
	AUTO(conn) client = begin(f, &session);
	char octet;

	wait_for_count(f, 1);
	conn_free(TAKE(client));
	assert_int_equal(0, read(session, &octet, 1));
	fd_drop(&session);
	wait_for_count(f, 0);
}

static void
test_process_vanishes(void **state)
{
	struct fixture *f = *state;
	AUTO_FD session = -1;
	AUTO(conn) client = begin(f, &session);
	Str line;

	assert_ok(conn_write_line(client, S("said to nobody")));
	assert_ok(conn_flush(client));
	fd_drop(&session);
	assert_err(ERR_GONE, conn_read_line(client, 100, &line));
	wait_for_count(f, 0);
}

static void
test_many_at_once(void **state)
{
	enum { MANY = 40, ROUNDS = 20 };
	struct fixture *f = *state;
	struct conn *clients[MANY];
	int sessions[MANY];
	char p[100];
	Str line;

	for (size_t i = 0; i < MANY; i++)
		clients[i] = begin(f, &sessions[i]);
	wait_for_count(f, MANY);
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < MANY; i++) {
			assert_ok(conn_printf(clients[i], "%zu\r\n", i));
			assert_ok(conn_flush(clients[i]));
		}
		for (size_t i = 0; i < MANY; i++) {
			ssize_t n = read(sessions[i], p, sizeof(p));

			assert_true(n > 0 && write(sessions[i], p, (size_t)n) == n);
		}
		for (size_t i = 0; i < MANY; i++) {
			uint64_t number;

			assert_ok(conn_read_line(clients[i], 100, &line));
			assert_true(str_to_u64(line, MANY, &number) && number == i);
		}
	}
	for (size_t i = 0; i < MANY; i++) {
		conn_free(clients[i]);
		close(sessions[i]);
	}
	wait_for_count(f, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_bulk_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_bulk_down_and_close, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_back_pressure, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_client_vanishes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_process_vanishes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_many_at_once, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
