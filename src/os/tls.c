/* SPDX-License-Identifier: ISC */
#include "os/tls.h"

#include "base/memory.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

struct tls_context {
	SSL_CTX *ssl;
	BIO_METHOD *method; /* makes OpenSSL read and write through a tls_transport */
	bool server;
};

struct tls {
	SSL *ssl;
	struct tls_transport transport;
	int sys; /* errno of the transport's last failure */
	bool wants_write;
};

static int
bio_read(BIO *b, char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t got = t->transport.read(t->transport.with, p, (size_t)n);

	BIO_clear_retry_flags(b);
	if (got < 0 && errno == EAGAIN)
		BIO_set_retry_read(b);
	else if (got < 0)
		t->sys = errno;
	return (int)got;
}

static int
bio_write(BIO *b, const char *p, int n)
{
	struct tls *t = BIO_get_data(b);
	ssize_t sent = t->transport.write(t->transport.with, p, (size_t)n);

	BIO_clear_retry_flags(b);
	if (sent < 0 && errno == EAGAIN)
		BIO_set_retry_write(b);
	else if (sent < 0)
		t->sys = errno;
	return (int)sent;
}

static long
bio_ctrl(BIO *b, int command, long n, void *p)
{
	(void)b;
	(void)n;
	(void)p;
	return command == BIO_CTRL_FLUSH;
}

static int
bio_create(BIO *b)
{
	BIO_set_init(b, 1);
	return 1;
}

/* A context with everything that clients and servers share. */
static Err
new_context(const SSL_METHOD *method, struct tls_context **ret)
{
	AUTO(tls_context) c = memory_get(sizeof(*c));

	/* The system's openssl.cnf is outside our walls, and none of our business. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return fail(ERR_PERM, "OpenSSL does not start");
	c->ssl = SSL_CTX_new(method);
	c->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "transport");
	if (c->ssl == NULL || c->method == NULL)
		return fail(ERR_TEMP, "no memory for a TLS context");
	BIO_meth_set_read(c->method, bio_read);
	BIO_meth_set_write(c->method, bio_write);
	BIO_meth_set_ctrl(c->method, bio_ctrl);
	BIO_meth_set_create(c->method, bio_create);
	SSL_CTX_set_min_proto_version(c->ssl, TLS1_2_VERSION);
	SSL_CTX_set_options(c->ssl,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
					 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(c->ssl, 1); /* a record with one system call, not two */
	*ret = TAKE(c);
	return OK;
}

void
tls_context_free(struct tls_context *c)
{
	if (c == NULL)
		return;
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->method);
	free(c);
}

Err
tls_context_new_client(struct tls_context **ret)
{
	TRY(new_context(TLS_client_method(), ret));
	SSL_CTX_set_verify((*ret)->ssl, SSL_VERIFY_NONE, NULL);
	return OK;
}

/* After an operation that returned `result` <= 0: 0 at the end of input, else -1 and errno. */
static ssize_t
outcome(struct tls *t, int result)
{
	int error = SSL_get_error(t->ssl, result);

	t->wants_write = error == SSL_ERROR_WANT_WRITE;
	switch (error) {
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		errno = EAGAIN;
		return -1;
	case SSL_ERROR_SYSCALL:
		errno = t->sys;
		return t->sys == 0 ? 0 : -1;
	default:
		errno = EPROTO;
		return -1;
	}
}

static void
begin(struct tls *t)
{
	ERR_clear_error();
	t->sys = 0;
}

static Err
shake_hands(struct tls *t)
{
	int result;

	begin(t);
	result = SSL_do_handshake(t->ssl);
	if (result == 1)
		return OK;
	if (outcome(t, result) == 0)
		return fail(ERR_GONE, "peer closed during the TLS handshake");
	if (errno == EPROTO)
		return fail(ERR_PEER, "TLS handshake failed");
	if (errno == EAGAIN)
		errno = ETIMEDOUT;
	return fail_sys(ERR_GONE, "TLS handshake broke off");
}

Err
tls_start(struct tls_context *context, struct tls_transport transport, Str name,
	struct tls **ret)
{
	AUTO(tls) t = memory_get(sizeof(*t));
	char host[256];
	BIO *b;

	TRY(str_c(name, host, sizeof(host)));
	t->transport = transport;
	t->ssl = SSL_new(context->ssl);
	b = BIO_new(context->method);
	if (t->ssl == NULL || b == NULL) {
		BIO_free(b);
		return fail(ERR_TEMP, "no memory for a TLS session");
	}
	BIO_set_data(b, t);
	SSL_set_bio(t->ssl, b, b);
	if (context->server)
		SSL_set_accept_state(t->ssl);
	else
		SSL_set_connect_state(t->ssl);
	if (name.n > 0 && SSL_set_tlsext_host_name(t->ssl, host) != 1)
		return fail(ERR_PERM, "host name does not fit TLS");
	TRY(shake_hands(t));
	*ret = TAKE(t);
	return OK;
}

void
tls_free(struct tls *t)
{
	if (t == NULL)
		return;
	begin(t);
	if (t->ssl != NULL && SSL_is_init_finished(t->ssl))
		SSL_shutdown(t->ssl);
	SSL_free(t->ssl);
	free(t);
}

ssize_t
tls_read(struct tls *t, char *p, size_t n)
{
	int got;

	begin(t);
	got = SSL_read(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
	return got > 0 ? got : outcome(t, got);
}

ssize_t
tls_write(struct tls *t, const char *p, size_t n)
{
	int sent;

	begin(t);
	sent = SSL_write(t->ssl, p, n > INT32_MAX ? INT32_MAX : (int)n);
	return sent > 0 ? sent : outcome(t, sent);
}

bool
tls_has_pending(const struct tls *t)
{
	return SSL_has_pending(t->ssl) == 1;
}

bool
tls_wants_write(const struct tls *t)
{
	return t->wants_write;
}

Str
tls_version(const struct tls *t)
{
	return str_from(SSL_get_version(t->ssl));
}

Str
tls_cipher(const struct tls *t)
{
	return str_from(SSL_get_cipher_name(t->ssl));
}

bool
tls_resumed(const struct tls *t)
{
	return SSL_session_reused(t->ssl) == 1;
}
