/* SPDX-License-Identifier: ISC */
#include "os/conn.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	SHORT_MS = 20, /* a deadline that passes during a test */
	LONG_MS = 5000,
};

/* A conn and the bare far end of its socket pair. */
static struct conn *
conn_pair(enum conn_flags flags, int *ret_far)
{
	int fd[2];
	struct conn *c;

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	c = conn_new(fd[0], flags);
	conn_set_wait(c, LONG_MS, LONG_MS);
	*ret_far = fd[1];
	return c;
}

static void
send_str(int fd, Str s)
{
	assert_int_equal(s.n, write(fd, s.p, s.n));
}

static Str
take_str(int fd, char *p, size_t n)
{
	ssize_t got = recv(fd, p, n, MSG_DONTWAIT);

	return (Str){ p, got < 0 ? 0 : (size_t)got };
}

static const struct {
	const char *why;
	enum conn_flags flags;
	Str input;
	enum err_kind want;
	Str line;
	Str next; /* what the next call reads */
} lines[] = {
	{ "a line", 0, S("NOOP\r\nx\r\n"), ERR_NONE, S("NOOP"), S("x") },
	{ "an empty line", 0, S("\r\nx\r\n"), ERR_NONE, S(""), S("x") },
	{ "NUL is the grammar's business", 0, S("a\0b\r\nx\r\n"), ERR_NONE, S("a\0b"), S("x") },
	{ "as long as allowed", 0, S("0123456789\r\nx\r\n"), ERR_NONE, S("0123456789"),
		S("x") },
	{ "one too long", 0, S("01234567890\r\nx\r\n"), ERR_LIMIT, S(""), S("x") },
	{ "far too long", 0, S("0123456789012345678901234567890\r\nx\r\n"), ERR_LIMIT, S(""),
		S("x") },
	{ "bare LF", 0, S("a\nx\r\n"), ERR_PEER, S(""), S("x") },
	{ "bare CR", 0, S("a\rb\r\nx\r\n"), ERR_PEER, S(""), S("x") },
	{ "two CR", 0, S("a\r\r\nx\r\n"), ERR_PEER, S(""), S("x") },
	{ "bare LF by policy", CONN_BARE_LF, S("a\nx\r\n"), ERR_NONE, S("a"), S("x") },
	{ "bare CR despite that", CONN_BARE_LF, S("a\rb\nx\r\n"), ERR_PEER, S(""), S("x") },
};

static void
test_read_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * COUNT(lines); i++) {
		enum conn_flags flags = lines[i / 2].flags | (i % 2 ? CONN_EXACT : 0);
		AUTO_FD far = -1;
		AUTO(conn) c = conn_pair(flags, &far);
		Str line = S("");
		Err e;

		send_str(far, lines[i / 2].input);
		e = conn_read_line(c, 10, &line);
		if (e.kind != lines[i / 2].want || !str_eq(line, lines[i / 2].line))
			fail_msg("%s: %s", lines[i / 2].why, e.what == NULL ? "ok" : e.what);
		assert_ok(conn_read_line(c, 10, &line));
		assert_str(lines[i / 2].next, line);
	}
}

/* Each octet in a packet of its own gives the same lines. */
static void
test_read_line_split(void **state)
{
	AUTO_FD far = -1;
	AUTO(conn) c = conn_pair(0, &far);
	Str input = S("one\r\ntwo\r\n"), line, more;

	(void)state;
	conn_set_wait(c, SHORT_MS, LONG_MS);
	for (size_t i = 0; i + 1 < 5; i++) {
		send_str(far, str_part(input, i, 1));
		assert_err(ERR_GONE, conn_read_line(c, 10, &line));
	}
	send_str(far, str_from_at(input, 4));
	assert_ok(conn_read_line(c, 10, &line));
	assert_str(S("one"), line);
	assert_ok(conn_read_some(c, &more));
	assert_str(S("two\r\n"), more);
	conn_eat(c, 1);
	assert_ok(conn_read_line(c, 10, &line));
	assert_str(S("wo"), line);
}

static void
test_line_without_end(void **state)
{
	AUTO_FD far = -1;
	AUTO(conn) c = conn_pair(0, &far);
	char junk[4096];
	Str line;
	int size = 4 * CONN_DISCARD_MAX;
	size_t sent = 0;

	(void)state;
	memset(junk, 'a', sizeof(junk));
	setsockopt(far, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	while (sent < CONN_DISCARD_MAX + 2 * sizeof(junk)) {
		ssize_t n = send(far, junk, sizeof(junk), MSG_DONTWAIT);

		if (n < 0)
			break;
		sent += (size_t)n;
	}
	shutdown(far, SHUT_WR);
	assert_err(ERR_GONE, conn_read_line(c, 512, &line));
}

static void
test_exact_leaves_the_rest(void **state)
{
	AUTO_FD far = -1, taken = -1;
	AUTO(conn) c = conn_pair(CONN_EXACT, &far);
	char p[64];
	Str line, literal;

	(void)state;
	send_str(far, S("a LOGIN {3}\r\nbobREST"));
	assert_ok(conn_read_line(c, 100, &line));
	assert_str(S("a LOGIN {3}"), line);
	assert_ok(conn_read_up_to(c, 3, &literal));
	assert_str(S("bob"), literal);
	conn_eat(c, 3);
	assert_true(conn_has_input(c));
	assert_ok(conn_take_fd(c, &taken));
	assert_str(S("REST"), take_str(taken, p, sizeof(p)));
}

static void
test_take_fd_refuses_with_input(void **state)
{
	AUTO_FD far = -1, taken = -1;
	AUTO(conn) c = conn_pair(0, &far);
	Str line;

	(void)state;
	send_str(far, S("a\r\nREST"));
	assert_ok(conn_read_line(c, 100, &line));
	assert_err(ERR_PERM, conn_take_fd(c, &taken));
}

/* Answers to pipelined commands leave together, before the next wait. */
static void
test_replies_gather(void **state)
{
	AUTO_FD far = -1;
	AUTO(conn) c = conn_pair(0, &far);
	char p[64];
	Str line;

	(void)state;
	send_str(far, S("a\r\nb\r\n"));
	assert_ok(conn_read_line(c, 100, &line));
	assert_ok(conn_write_line(c, S("1")));
	assert_str(S(""), take_str(far, p, sizeof(p)));
	assert_ok(conn_read_line(c, 100, &line));
	assert_ok(conn_printf(c, "%d\r\n", 2));
	assert_str(S(""), take_str(far, p, sizeof(p)));
	conn_set_wait(c, SHORT_MS, LONG_MS);
	assert_err(ERR_GONE, conn_read_line(c, 100, &line));
	assert_str(S("1\r\n2\r\n"), take_str(far, p, sizeof(p)));
}

static void *
read_all(void *arg)
{
	enum { SIZE = 1 << 20 };
	int fd = *(int *)arg;
	char *p = malloc(SIZE);
	size_t n = 0;

	for (;;) {
		ssize_t got = read(fd, p + n, SIZE - n);

		if (got <= 0)
			break;
		n += (size_t)got;
	}
	return p;
}

static void
test_long_write_arrives_in_order(void **state)
{
	enum { SIZE = 300 << 10 };
	AUTO_FD far = -1;
	AUTO(conn) c = conn_pair(0, &far);
	char *body = malloc(SIZE), *got;
	pthread_t reader;

	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		body[i] = (char)(i * 31 >> 3);
	assert_int_equal(0, pthread_create(&reader, NULL, read_all, &far));
	assert_ok(conn_write(c, S("head")));
	assert_ok(conn_write(c, (Str){ body, SIZE }));
	assert_ok(conn_write(c, S("tail")));
	assert_ok(conn_flush(c));
	shutdown(conn_fd(c), SHUT_WR);
	pthread_join(reader, (void **)&got);
	assert_memory_equal("head", got, 4);
	assert_memory_equal(body, got + 4, SIZE);
	assert_memory_equal("tail", got + 4 + SIZE, 4);
	free(got);
	free(body);
}

static void
test_deadlines(void **state)
{
	AUTO_FD far = -1;
	AUTO(conn) c = conn_pair(0, &far);
	char junk[65536] = { 0 };
	Str line;
	Err e = OK;

	(void)state;
	conn_set_wait(c, SHORT_MS, SHORT_MS);
	e = conn_read_line(c, 10, &line);
	assert_int_equal(ERR_GONE, e.kind);
	assert_int_equal(ETIMEDOUT, e.sys);
	for (int i = 0; i < 100 && !failed(e = conn_write(c, (Str){ junk, sizeof(junk) })); i++)
		;
	assert_int_equal(ERR_GONE, e.kind);
	assert_int_equal(ETIMEDOUT, e.sys);
}

static void
test_end_of_all(void **state)
{
	AUTO_FD far = -1;
	AUTO(conn) c = conn_pair(0, &far);
	Str line;

	(void)state;
	conn_set_end(c, moment_after(SHORT_MS));
	assert_err(ERR_GONE, conn_read_line(c, 10, &line));
	send_str(far, S("a\r\n"));
	assert_err(ERR_GONE, conn_read_line(c, 10, &line));
	conn_set_end(c, MOMENT_NEVER);
	assert_ok(conn_read_line(c, 10, &line));
}

static void
test_peer_closes(void **state)
{
	AUTO_FD far = -1;
	AUTO(conn) c = conn_pair(0, &far);
	Str line;
	Err e;

	(void)state;
	send_str(far, S("half a li"));
	fd_drop(&far);
	e = conn_read_line(c, 100, &line);
	assert_int_equal(ERR_GONE, e.kind);
	assert_int_equal(0, e.sys);
}

static void
test_wait_for_either(void **state)
{
	AUTO_FD far = -1, near = -1, other = -1;
	AUTO(conn) c = conn_pair(0, &far);
	int fd[2];
	bool input, also;
	char p[8];

	(void)state;
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	near = fd[0];
	other = fd[1];
	assert_ok(conn_write(c, S("x")));
	assert_ok(conn_wait(c, near, SHORT_MS, &input, &also));
	assert_false(input || also);
	assert_str(S("x"), take_str(far, p, sizeof(p)));
	send_str(other, S("y"));
	assert_ok(conn_wait(c, near, LONG_MS, &input, &also));
	assert_true(also && !input);
	send_str(far, S("z"));
	assert_ok(conn_wait(c, -1, LONG_MS, &input, &also));
	assert_true(input && !also);
}

static void
test_try_never_waits(void **state)
{
	AUTO_FD far = -1;
	AUTO(conn) c = conn_pair(0, &far);
	char junk[CONN_OUT_MAX / 2] = { 0 };
	bool all = true;
	Str s;

	(void)state;
	assert_ok(conn_try_read(c, &s));
	assert_int_equal(0, s.n);
	send_str(far, S("abc"));
	assert_ok(conn_try_read(c, &s));
	assert_str(S("abc"), s);
	conn_eat(c, 3);
	while (all) {
		assert_ok(conn_write(c, (Str){ junk, sizeof(junk) }));
		assert_ok(conn_try_flush(c, &all));
	}
	assert_true(conn_unsent(c) > 0);
	fd_drop(&far);
	assert_err(ERR_GONE, conn_try_flush(c, &all));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_line),
		cmocka_unit_test(test_read_line_split),
		cmocka_unit_test(test_line_without_end),
		cmocka_unit_test(test_exact_leaves_the_rest),
		cmocka_unit_test(test_take_fd_refuses_with_input),
		cmocka_unit_test(test_replies_gather),
		cmocka_unit_test(test_long_write_arrives_in_order),
		cmocka_unit_test(test_deadlines),
		cmocka_unit_test(test_end_of_all),
		cmocka_unit_test(test_peer_closes),
		cmocka_unit_test(test_wait_for_either),
		cmocka_unit_test(test_try_never_waits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
