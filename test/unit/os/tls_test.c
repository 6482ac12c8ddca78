/* SPDX-License-Identifier: ISC */
#include "os/conn.h"
#include "os/key.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	SHORT_MS = 20,
	LONG_MS = 5000,
	PEM_MAX = 8192,
};

/* Made for this test; opens nothing. */
static const char rsa_key[] =
	"-----BEGIN PRIVATE KEY-----\n"
	"MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCkunq8SNoOfYkb\n"
	"3zZzqiWVYDRvSL9uqht4qHKmyX/VNAtuAJJ53nrShxW3NQIAGYcuoGYmBkgcHc/h\n"
	"3ZGlTaNUIRy9OWYubxBOBkb0ptDUoDH4ZvvGGhDP5cJqbcCokyAsiGSxQGXtoHtg\n"
	"K0fGT/A6Pyqii3mMSA33CDdo26YFllPN2Fz0Ou2LrYRxjZ/pR3gidXMC5mjuhjab\n"
	"ROw4u4OBVkM/9G0pl4AWk9XQ2vveBV+xVrcfJm8CwES82l+bsWTB1T/bghIo3t3F\n"
	"FbyThUw79BhWbZGUD6yUDrKYsybFN46vtd5o5PJ7CXYAuqsd7OA2keH33Hk/ZbNe\n"
	"WZ3n/7RZAgMBAAECggEAA3/N7/umMizwLC47hGJ8EOZtxrgSD6I/xM+N5prHgzpr\n"
	"TGdpCnteOuRRYvEWfUpi3kExr6NuMGFhE0hhzylNNmd2VP4H/HrcgE55fw9KHAeD\n"
	"zZCLzviqccLM30uR46LYdJ8Nxdwl2NHnZ7K+VWlI+PEdkT1gPsl1uSaCCCazqfuv\n"
	"oLzYQDYDEa63OEn+RyXKxtN6U/xOh4UzDpaigLnujWTzDeqrcAf15eRmDy+Y2Cm2\n"
	"XZkfdIFR9Jt17CbFh7p9IqvdPmGa6JQ+TdPS/2yXNYbWolHmXTtgnjQou86k6Kso\n"
	"jpWDrnk1GsyY3JC9imYN9XCelvaHhvUwXQOVhv4OQQKBgQDPwcCv2JmJB3PshlQ1\n"
	"+0QgBFGGHOmWlM1bE72CM+NniBSdz0yHUDXX9CRL/0MV0hCg6H8Tc58d25l1fQpE\n"
	"Ymf92DtHGrZeRtbNG2nTMtCzEPvQJeHMk/f9F1yO2g81JpYWANUeuBYFthaVviZr\n"
	"pC7iq1BcqrrisieCdgTo1v2NcQKBgQDK+t+frIusWXr7nWa6uMPjBZslqiN3NJip\n"
	"y+4RKo2F3NiA5uonfXzii6AQAmLnOYyhPo/p+58jMdzxdkyn3a1mVNZ0hklV4iBM\n"
	"WfbJD2GEw/wlCc0Tll/69RcaxWfF+yyhtNdSX2XZrLMw9MbMD764tdeBRXKHyCtY\n"
	"UFP+qwdBaQKBgBOY7TopLmJ0p4S6Lxtgdk6m2aHS/F3N74kV1ZyAlIThm0A/m7Jv\n"
	"6IRUbVAV5hga1qK3C7WkBHBmlJU2lE9bEQAq83yDkoxWFlEGsvbPJkyd34ME78XC\n"
	"d3QSThLTkveqiiHNNk1NhBZJ1NuPMkSZGisbidsT58kWkQ+HXnMwRH6hAoGAckoB\n"
	"wiFgX8HeWnCNGFPSkDBm5DVBVOx7jRezS10fZKEuEp5yd5vTxqeBj6IYWENyKJRW\n"
	"ahPwzdtUoWzPyrEp4nWgbunxvvbc4sDBEQKlESFdBunW29GO53o68Sr3vGUqAz8V\n"
	"Al+OtJrmJomcqeevpsdUuYgF7ehKZ6aLNNjN9AkCgYBBVsXpmmLGpfX6p1dZN4wt\n"
	"SNnpjtSXOD8IdmOdcPzTGQAoKH93swG9h0xT03FnjqlEib+yu+qzEC/VyeFPoMXP\n"
	"gLB2gfn/KEmLS2EQIsmKcOBfeSm8HOxSH0YXifHdZ+2onUO4H1TfFm//nmHrul8J\n"
	"sMr2x0arDouyuleuytZBjw==\n"
	"-----END PRIVATE KEY-----\n";
static const char rsa_certificate[] =
	"-----BEGIN CERTIFICATE-----\n"
	"MIIDMzCCAhugAwIBAgIUQPdmRGww6TxT5IwEtIpHNudFVsQwDQYJKoZIhvcNAQEL\n"
	"BQAwGjEYMBYGA1UEAwwPcnNhLmV4YW1wbGUub3JnMCAXDTI2MTEyMTIwMTEwN1oY\n"
	"DzIxMjYxMDI4MjAxMTA3WjAaMRgwFgYDVQQDDA9yc2EuZXhhbXBsZS5vcmcwggEi\n"
	"MA0GCSqGSIb3DQEBAQUAA4IBDwAwggEKAoIBAQCkunq8SNoOfYkb3zZzqiWVYDRv\n"
	"SL9uqht4qHKmyX/VNAtuAJJ53nrShxW3NQIAGYcuoGYmBkgcHc/h3ZGlTaNUIRy9\n"
	"OWYubxBOBkb0ptDUoDH4ZvvGGhDP5cJqbcCokyAsiGSxQGXtoHtgK0fGT/A6Pyqi\n"
	"i3mMSA33CDdo26YFllPN2Fz0Ou2LrYRxjZ/pR3gidXMC5mjuhjabROw4u4OBVkM/\n"
	"9G0pl4AWk9XQ2vveBV+xVrcfJm8CwES82l+bsWTB1T/bghIo3t3FFbyThUw79BhW\n"
	"bZGUD6yUDrKYsybFN46vtd5o5PJ7CXYAuqsd7OA2keH33Hk/ZbNeWZ3n/7RZAgMB\n"
	"AAGjbzBtMB0GA1UdDgQWBBT8sHiuZRFpmRkxolwd84d2oVXrITAfBgNVHSMEGDAW\n"
	"gBT8sHiuZRFpmRkxolwd84d2oVXrITAPBgNVHRMBAf8EBTADAQH/MBoGA1UdEQQT\n"
	"MBGCD3JzYS5leGFtcGxlLm9yZzANBgkqhkiG9w0BAQsFAAOCAQEAflYRj7GpvKgN\n"
	"5/oUkhsfYlrwEOaf5EZvBoQ+cLNknplwoqC8c6lyfggqD0udRZsC7SqauH3KGEtW\n"
	"A3pc5skh47JFHem0KERhZ3MpZ097IDQyQwj84fLnWv0mFlVeV80YHCjl2MhG2heF\n"
	"LwMJx1cdNbHdEuRnjCDPwWm+eZQQGoGr/uTWEJyclOjFuJbXxA9OF9o1anBuSYfo\n"
	"WUVL/URQGgKOmTmkzX5WaJhvCr70K4Y5EGyvsxhY5VqVw9yvo6rKJU6oxqYe6wg3\n"
	"qt7arh69TTR1I4I6krSRbcqcQ1mhREFKqowdypcXZ8YMueBnPcxlqEd84T1ejysG\n"
	"DNx8C1N9PA==\n"
	"-----END CERTIFICATE-----\n";

/* A server context, the keys it signs with, and how often it did. */
struct fixture {
	struct key *keys[2];
	struct tls_context *server, *client;
	struct buf key_pem, certificate_pem;
	int signatures;
	bool keys_dead;
};

static Err
sign_here(void *with, KeyId id, enum key_scheme scheme, Str message, struct buf *ret)
{
	struct fixture *f = with;

	f->signatures++;
	if (f->keys_dead)
		return (Err){ .kind = ERR_TEMP, .what = "keys died" };
	for (size_t i = 0; i < COUNT(f->keys); i++) {
		KeyId have = key_id(f->keys[i]);

		if (memcmp(&have, &id, sizeof(id)) == 0)
			return key_sign(f->keys[i], scheme, message, ret);
	}
	return (Err){ .kind = ERR_PERM, .what = "no such key" };
}

static int
set_up(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	struct tls_signer signer = { sign_here, f };
	Str names[] = { S("mail.example.org"), S("imap.example.org") };

	f->key_pem = BUF_INIT(PEM_MAX);
	f->certificate_pem = BUF_INIT(PEM_MAX);
	assert_ok(key_make_self_signed(names, COUNT(names), time_from_seconds(1700000000),
		&f->key_pem, &f->certificate_pem));
	assert_ok(key_read(buf_view(&f->key_pem), &f->keys[0]));
	assert_ok(key_read(str_from(rsa_key), &f->keys[1]));
	assert_ok(tls_context_new_server(signer, &f->server));
	assert_ok(tls_context_add_chain(f->server, buf_view(&f->certificate_pem)));
	assert_ok(tls_context_add_chain(f->server, str_from(rsa_certificate)));
	assert_ok(tls_context_new_client(&f->client));
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	tls_context_free(f->client);
	tls_context_free(f->server);
	for (size_t i = 0; i < COUNT(f->keys); i++)
		key_free(f->keys[i]);
	buf_done(&f->key_pem);
	buf_done(&f->certificate_pem);
	test_free(f);
	return 0;
}

/* The server's half of a conversation, on a thread: answers each line with itself. */
struct echo {
	struct tls_context *context;
	struct conn *conn;
	Err started;
	bool resumed;
};

static void *
serve_echo(void *arg)
{
	struct echo *e = arg;
	Str line;

	e->started = conn_start_tls(e->conn, e->context, S(""), LONG_MS);
	while (!failed(e->started) && !failed(conn_read_line(e->conn, 100, &line)))
		if (failed(conn_write_line(e->conn, line)))
			break;
	e->resumed = !failed(e->started) && tls_resumed(conn_tls(e->conn));
	conn_free(e->conn);
	return NULL;
}

/* Shakes hands with an echo server; *ret_client is NULL when that failed. */
static Err
converse(struct fixture *f, Str name, struct conn **ret_client)
{
	AUTO(conn) client = NULL;
	struct echo e = { .context = f->server };
	pthread_t thread;
	int fd[2];
	Str line = S("");
	Err result;

	*ret_client = NULL;
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	client = conn_new(fd[0], 0);
	e.conn = conn_new(fd[1], 0);
	assert_int_equal(0, pthread_create(&thread, NULL, serve_echo, &e));
	result = conn_start_tls(client, f->client, name, LONG_MS);
	if (!failed(result))
		result = conn_write_line(client, S("hello"));
	if (!failed(result))
		result = conn_read_line(client, 100, &line);
	if (!failed(result))
		assert_str(S("hello"), line);
	shutdown(conn_fd(client), SHUT_WR);
	pthread_join(thread, NULL);
	if (!failed(result) && failed(e.started))
		result = e.started;
	*ret_client = TAKE(client);
	return result;
}

static void
test_keys_elsewhere(void **state)
{
	static const struct {
		const char *why;
		Str name;
	} cases[] = {
		{ "no name: the first certificate, EC", S("") },
		{ "the second name of it", S("imap.example.org") },
		{ "another certificate, RSA", S("rsa.example.org") },
		{ "a name that we do not have", S("other.example.org") },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO(conn) client = NULL;
		Err e = converse(f, cases[i].name, &client);

		if (failed(e))
			fail_msg("%s: %s", cases[i].why, e.what);
		assert_str(S("TLSv1.3"), tls_version(conn_tls(client)));
		assert_int_equal(i + 1, f->signatures);
	}
}

static void
test_verified_name(void **state)
{
	struct fixture *f = *state;
	AUTO(conn) one = NULL;
	AUTO(conn) two = NULL;
	AUTO(conn) three = NULL;

	assert_ok(tls_context_verify(f->client, buf_view(&f->certificate_pem)));
	assert_ok(converse(f, S("mail.example.org"), &one));
	assert_err(ERR_PEER, converse(f, S("other.example.org"), &two));
	assert_err(ERR_PEER, converse(f, S("rsa.example.org"), &three));
}

static void
test_dead_keys_fail_the_handshake_only(void **state)
{
	struct fixture *f = *state;
	AUTO(conn) one = NULL;
	AUTO(conn) two = NULL;
	Err e;

	f->keys_dead = true;
	e = converse(f, S(""), &one);
	assert_true(e.kind == ERR_GONE || e.kind == ERR_PEER);
	f->keys_dead = false;
	assert_ok(converse(f, S(""), &two));
}

/* Every octet of both directions in a packet of its own. */
struct relay {
	int from, to;
};

static void *
trickle(void *arg)
{
	const struct relay *r = arg;
	char octet;

	while (read(r->from, &octet, 1) == 1)
		if (send(r->to, &octet, 1, MSG_NOSIGNAL) != 1)
			break;
	shutdown(r->to, SHUT_WR);
	return NULL;
}

static void
test_records_split_anywhere(void **state)
{
	struct fixture *f = *state;
	struct echo e = { .context = f->server };
	AUTO(conn) client = NULL;
	int near[2], far[2];
	struct relay there, back;
	pthread_t threads[3];
	Str line;

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, near));
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, far));
	client = conn_new(near[0], 0);
	e.conn = conn_new(far[0], 0);
	there = (struct relay){ near[1], far[1] };
	back = (struct relay){ far[1], near[1] };
	assert_int_equal(0, pthread_create(&threads[0], NULL, serve_echo, &e));
	assert_int_equal(0, pthread_create(&threads[1], NULL, trickle, &there));
	assert_int_equal(0, pthread_create(&threads[2], NULL, trickle, &back));
	assert_ok(conn_start_tls(client, f->client, S(""), LONG_MS));
	for (int i = 0; i < 3; i++) {
		assert_ok(conn_write_line(client, S("a line")));
		assert_ok(conn_read_line(client, 100, &line));
		assert_str(S("a line"), line);
	}
	conn_free(TAKE(client));
	for (size_t i = 0; i < COUNT(threads); i++)
		pthread_join(threads[i], NULL);
	close(near[1]);
	close(far[1]);
	assert_ok(e.started);
}

/* CVE-2011-0411: what was sent before the handshake is not a command inside TLS. */
static void
test_injected_bytes_are_refused(void **state)
{
	struct fixture *f = *state;
	int fd[2];
	AUTO(conn) server = NULL;
	Str line;

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	server = conn_new(fd[0], 0);
	assert_int_equal(22, write(fd[1], "STARTTLS\r\nRCPT TO:<a>\n", 22));
	assert_ok(conn_read_line(server, 100, &line));
	assert_true(conn_has_input(server));
	assert_err(ERR_PEER, conn_start_tls(server, f->server, S(""), LONG_MS));
	assert_null(conn_tls(server));
	close(fd[1]);
}

static void
test_plain_text_in_the_handshake(void **state)
{
	struct fixture *f = *state;
	int fd[2];
	AUTO(conn) server = NULL;

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	server = conn_new(fd[0], 0);
	assert_int_equal(16, write(fd[1], "EHLO there.test\n", 16));
	assert_err(ERR_PEER, conn_start_tls(server, f->server, S(""), LONG_MS));
	close(fd[1]);
}

static void
test_silent_handshake_ends_in_time(void **state)
{
	struct fixture *f = *state;
	int fd[2];
	AUTO(conn) server = NULL;
	Err e;

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	server = conn_new(fd[0], 0);
	e = conn_start_tls(server, f->server, S(""), SHORT_MS);
	assert_int_equal(ERR_GONE, e.kind);
	assert_int_equal(ETIMEDOUT, e.sys);
	close(fd[1]);
}

/* Under TLS conn_try_read finds what came, piece by piece, and never waits for more. */
static void
test_try_read_under_tls(void **state)
{
	struct fixture *f = *state;
	struct echo e = { .context = f->server };
	AUTO(conn) client = NULL;
	pthread_t thread;
	int fd[2];
	bool all, input, also;
	Str s = S("");

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, fd));
	client = conn_new(fd[0], 0);
	e.conn = conn_new(fd[1], 0);
	assert_int_equal(0, pthread_create(&thread, NULL, serve_echo, &e));
	assert_ok(conn_start_tls(client, f->client, S(""), LONG_MS));
	assert_ok(conn_try_read(client, &s));
	assert_int_equal(0, s.n);
	assert_ok(conn_write_line(client, S("abc")));
	assert_ok(conn_try_flush(client, &all));
	assert_true(all);
	while (s.n == 0) {
		assert_ok(conn_wait(client, -1, LONG_MS, &input, &also));
		assert_true(input);
		assert_ok(conn_try_read(client, &s));
	}
	assert_str(S("abc\r\n"), s);
	conn_free(TAKE(client));
	pthread_join(thread, NULL);
}

static void
test_key_files(void **state)
{
	struct key *k = NULL;
	Str pem = str_from(rsa_key);

	(void)state;
	assert_err(ERR_PERM, key_read(S(""), &k));
	assert_err(ERR_PERM, key_read(exact(str_part(pem, 0, pem.n / 2)), &k));
	assert_err(ERR_PERM, key_read(str_from(rsa_certificate), &k));
	assert_null(k);
}

static void
test_schemes_fit_the_key(void **state)
{
	struct fixture *f = *state;
	AUTO_BUF made = BUF_INIT(2 * KEY_SIGNATURE_MAX);

	assert_err(ERR_PEER, key_sign(f->keys[0], KEY_RSA_PSS_SHA256, S("x"), &made));
	assert_err(ERR_PEER, key_sign(f->keys[1], KEY_ECDSA_SHA256, S("x"), &made));
	assert_err(ERR_PEER, key_sign(f->keys[1], 0x0201, S("x"), &made));
	assert_int_equal(0, made.n);
	assert_ok(key_sign(f->keys[1], KEY_RSA_PKCS1_SHA512, S("x"), &made));
	assert_int_equal(256, made.n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_keys_elsewhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_verified_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_dead_keys_fail_the_handshake_only, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_records_split_anywhere, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_injected_bytes_are_refused, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_plain_text_in_the_handshake, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_silent_handshake_ends_in_time, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_try_read_under_tls, set_up, tear_down),
		cmocka_unit_test(test_key_files),
		cmocka_unit_test_setup_teardown(test_schemes_fit_the_key, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
