/* SPDX-License-Identifier: ISC */
#include "os/conn.h"
#include "rpc/keys.h"
#include "service/keys/keyring.h"
#include "service/keys/shape.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	LONG_MS = 5000,
	PEM_MAX = 8192,
};

#define SPACES "                                                                "
#define HASH32 "0123456789abcdef0123456789abcdef"
#define RANDOMS HASH32 HASH32
#define CONTEXT "TLS 1.3, server CertificateVerify"

static const struct {
	const char *why;
	enum key_scheme scheme;
	Str message;
	enum err_kind want;
} shapes[] = {
	{ "TLS 1.3, SHA-256", KEY_ECDSA_SHA256, S(SPACES CONTEXT "\0" HASH32), ERR_NONE },
	{ "TLS 1.3, SHA-384", KEY_RSA_PSS_SHA256,
		S(SPACES CONTEXT "\0" HASH32 "0123456789abcdef"), ERR_NONE },
	{ "no hash", KEY_ECDSA_SHA256, S(SPACES CONTEXT "\0"), ERR_PEER },
	{ "hash of another length", KEY_ECDSA_SHA256, S(SPACES CONTEXT "\0" HASH32 "x"),
		ERR_PEER },
	{ "a space less", KEY_ECDSA_SHA256, S("x" SPACES CONTEXT "\0" HASH32), ERR_PEER },
	{ "for a client", KEY_ECDSA_SHA256,
		S(SPACES "TLS 1.3, client CertificateVerify\0" HASH32), ERR_PEER },
	{ "PKCS1 is not for TLS 1.3", KEY_RSA_PKCS1_SHA256, S(SPACES CONTEXT "\0" HASH32),
		ERR_PEER },
	{ "TLS 1.2 with x25519", KEY_RSA_PKCS1_SHA256, S(RANDOMS "\3\0\x1d\x20" HASH32),
		ERR_NONE },
	{ "TLS 1.2 with P-256", KEY_ECDSA_SHA256, S(RANDOMS "\3\0\x17\x41\4" RANDOMS),
		ERR_NONE },
	{ "point is compressed", KEY_ECDSA_SHA256, S(RANDOMS "\3\0\x17\x41\2" RANDOMS),
		ERR_PEER },
	{ "point is cut", KEY_ECDSA_SHA256,
		S(RANDOMS "\3\0\x1d\x20"
			  "0123"),
		ERR_PEER },
	{ "something behind the point", KEY_ECDSA_SHA256, S(RANDOMS "\3\0\x1d\x20" HASH32 "x"),
		ERR_PEER },
	{ "explicit curve", KEY_ECDSA_SHA256, S(RANDOMS "\1\0\x1d\x20" HASH32), ERR_PEER },
	{ "unknown curve", KEY_ECDSA_SHA256, S(RANDOMS "\3\0\x1c\x20" HASH32), ERR_PEER },
	{ "a bare digest", KEY_ECDSA_SHA256, S(HASH32), ERR_PEER },
	{ "nothing", KEY_ECDSA_SHA256, S(""), ERR_PEER },
	{ "text", KEY_ECDSA_SHA256, S("From: a@example.org\r\n\r\n"), ERR_PEER },
};

static void
test_signs_only_handshakes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++) {
		Err e = keys_shape_check(shapes[i].scheme, exact(shapes[i].message));

		if (e.kind != shapes[i].want)
			fail_msg("%s", shapes[i].why);
	}
}

/* A `keys` on a thread, as service/keys/main.c runs it. */
struct fixture {
	struct keyring *ring;
	struct server *server;
	struct peer *peer;
	struct buf certificate;
	KeyId id;
	pthread_t thread;
	_Atomic bool stop;
};

static void *
run_keys(void *arg)
{
	struct fixture *f = arg;

	while (!f->stop) {
		struct server_request *batch;
		size_t n;

		if (failed(server_take(f->server, moment_after(10), &batch, &n)))
			break;
		for (size_t i = 0; i < n; i++)
			keyring_answer(f->ring, f->server, &batch[i]);
	}
	return NULL;
}

static int
set_up(void **state)
{
	struct fixture *f = test_calloc(1, sizeof(*f));
	AUTO_BUF pem = BUF_INIT(PEM_MAX);
	AUTO(key) key = NULL;
	Str name = S("mail.example.org");
	int pair[2];

	f->certificate = BUF_INIT(PEM_MAX);
	assert_ok(key_make_self_signed(&name, 1, time_from_seconds(1700000000), &pem,
		&f->certificate));
	assert_ok(key_read(buf_view(&pem), &key));
	f->id = key_id(key);
	f->ring = keyring_new();
	assert_ok(keyring_add(f->ring, buf_view(&pem)));
	assert_ok(keyring_add(f->ring, buf_view(&pem)));
	assert_int_equal(1, keyring_count(f->ring));
	assert_err(ERR_PERM, keyring_add(f->ring, buf_view(&f->certificate)));
	assert_ok(channel_pair(pair));
	f->server = server_new(keys_rules);
	server_add_client(f->server, SERVICE_LOGIN, pair[1]);
	f->peer = peer_new(SERVICE_KEYS, pair[0]);
	assert_int_equal(0, pthread_create(&f->thread, NULL, run_keys, f));
	*state = f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	f->stop = true;
	pthread_join(f->thread, NULL);
	server_free(f->server);
	peer_free(f->peer);
	keyring_free(f->ring);
	buf_done(&f->certificate);
	test_free(f);
	return 0;
}

static void
test_sign_over_the_channel(void **state)
{
	struct fixture *f = *state;
	AUTO(keys_client) client = keys_client_new(f->peer);
	struct tls_signer signer = keys_client_signer(client);
	AUTO_BUF made = BUF_INIT(KEY_SIGNATURE_MAX);
	KeyId other = f->id;

	assert_ok(signer.sign(signer.with, f->id, KEY_ECDSA_SHA256,
		S(SPACES CONTEXT "\0" HASH32), &made));
	assert_true(made.n > 60 && made.n <= 72);
	buf_reset(&made);
	assert_err(ERR_PEER, signer.sign(signer.with, f->id, KEY_ECDSA_SHA256, S("x"), &made));
	assert_err(ERR_PEER, signer.sign(signer.with, f->id, KEY_RSA_PSS_SHA256,
				     S(SPACES CONTEXT "\0" HASH32), &made));
	other.octets[0] ^= 1;
	assert_err(ERR_PERM, signer.sign(signer.with, other, KEY_ECDSA_SHA256,
				     S(SPACES CONTEXT "\0" HASH32), &made));
	assert_int_equal(0, made.n);
}

struct server_side {
	struct tls_context *context;
	struct conn *conn;
};

static void *
shake_hands(void *arg)
{
	struct server_side *s = arg;

	if (failed(conn_start_tls(s->conn, s->context, S(""), LONG_MS)) ||
		failed(conn_write_line(s->conn, S("* OK"))) || failed(conn_flush(s->conn)))
		return NULL;
	return arg;
}

/* SD_075: a handshake by a process that holds no private key. */
static void
test_SD_075_handshake_signed_by_keys(void **state)
{
	struct fixture *f = *state;
	AUTO(keys_client) keys = keys_client_new(f->peer);
	AUTO(tls_context) server = NULL;
	AUTO(tls_context) client = NULL;
	AUTO(conn) near = NULL;
	AUTO(conn) far = NULL;
	struct server_side side;
	pthread_t thread;
	int fd[2];
	void *done;
	Str line;

	assert_ok(tls_context_new_server(keys_client_signer(keys), &server));
	assert_ok(tls_context_add_chain(server, buf_view(&f->certificate)));
	assert_ok(tls_context_new_client(&client));
	assert_ok(tls_context_verify(client, buf_view(&f->certificate)));
	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd));
	near = conn_new(fd[0], 0);
	far = conn_new(fd[1], 0);
	side = (struct server_side){ server, far };
	assert_int_equal(0, pthread_create(&thread, NULL, shake_hands, &side));
	assert_ok(conn_start_tls(near, client, S("mail.example.org"), LONG_MS));
	assert_ok(conn_read_line(near, 100, &line));
	assert_str(S("* OK"), line);
	pthread_join(thread, &done);
	assert_non_null(done);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signs_only_handshakes),
		cmocka_unit_test_setup_teardown(test_sign_over_the_channel, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_SD_075_handshake_signed_by_keys, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
