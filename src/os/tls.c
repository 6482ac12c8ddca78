/* SPDX-License-Identifier: ISC */
#include "os/tls.h"

#include "base/memory.h"
#include "os/tls_provider.h"

#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

enum {
	CHAINS_MAX = 1024,     /* certificates of one server */
	CHAIN_LENGTH_MAX = 10, /* certificates between the host's and the root */
	TICKET_LIFE =
		6 * HOUR, /* seconds in which a client may come back without a signature */
};

/* One certificate that clients may ask for. */
struct chain {
	SSL_CTX *ssl;
	X509 *leaf; /* ssl's */
};

struct tls_context {
	SSL_CTX *ssl; /* what new sessions start with; a server's first chain is in it too */
	BIO_METHOD *method; /* makes OpenSSL read and write through a tls_transport */
	bool verifies;

	/* Of a server. */
	bool server;
	struct tls_provider *provider;
	struct tls_signer signer;
	struct chain *chains; /* the first has ssl itself */
	size_t chain_count;
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

static Err
new_ssl_context(const SSL_METHOD *method, SSL_CTX **ret)
{
	SSL_CTX *ssl = SSL_CTX_new(method);

	if (ssl == NULL)
		return fail(ERR_TEMP, "no memory for a TLS context");
	SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION);
	SSL_CTX_set_options(ssl,
		SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
				      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_read_ahead(ssl, 1); /* a record with one system call, not two */
	SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
	*ret = ssl;
	return OK;
}

/* A context with everything that clients and servers share. */
static Err
new_context(const SSL_METHOD *method, struct tls_context **ret)
{
	AUTO(tls_context) c = memory_get(sizeof(*c));

	/* The system's openssl.cnf is outside our walls, and none of our business. */
	if (OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return fail(ERR_PERM, "OpenSSL does not start");
	TRY(new_ssl_context(method, &c->ssl));
	c->method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "transport");
	if (c->method == NULL)
		return fail(ERR_TEMP, "no memory for a TLS context");
	BIO_meth_set_read(c->method, bio_read);
	BIO_meth_set_write(c->method, bio_write);
	BIO_meth_set_ctrl(c->method, bio_ctrl);
	BIO_meth_set_create(c->method, bio_create);
	*ret = TAKE(c);
	return OK;
}

void
tls_context_free(struct tls_context *c)
{
	if (c == NULL)
		return;
	for (size_t i = 1; i < c->chain_count; i++)
		SSL_CTX_free(c->chains[i].ssl);
	free(c->chains);
	SSL_CTX_free(c->ssl);
	BIO_meth_free(c->method);
	tls_provider_free(c->provider);
	free(c);
}

Err
tls_context_new_client(struct tls_context **ret)
{
	return new_context(TLS_client_method(), ret);
}

Err
tls_context_verify(struct tls_context *c, Str roots)
{
	X509_STORE *store = SSL_CTX_get_cert_store(c->ssl); /* ssl's */
	BIO *b = roots.n > INT32_MAX ? NULL : BIO_new_mem_buf(roots.p, (int)roots.n);
	size_t added = 0;
	X509 *x;

	while (b != NULL && (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL) {
		added += X509_STORE_add_cert(store, x) == 1;
		X509_free(x);
	}
	BIO_free(b);
	ERR_clear_error();
	if (added == 0)
		return fail(ERR_PERM, "no root certificate in PEM");
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER, NULL);
	c->verifies = true;
	return OK;
}

static bool
is_for_host(X509 *leaf, const char *host)
{
	return X509_check_host(leaf, host, 0, 0, NULL) == 1;
}

/* Called during a handshake when the client has named a host (RFC 6066, 3). */
static int /* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's type */
choose_chain(SSL *ssl, int *alert, void *with)
{
	const struct tls_context *c = with;
	const char *host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);

	(void)alert;
	if (host == NULL)
		return SSL_TLSEXT_ERR_OK;
	for (size_t i = 0; i < c->chain_count; i++) {
		if (!is_for_host(c->chains[i].leaf, host))
			continue;
		SSL_set_SSL_CTX(ssl, c->chains[i].ssl);
		break;
	}
	return SSL_TLSEXT_ERR_OK;
}

static Err
prepare_server(SSL_CTX *ssl)
{
	static const unsigned char name[] = "posthorn";

	if (SSL_CTX_set_session_id_context(ssl, name, sizeof(name) - 1) != 1 ||
		SSL_CTX_set1_groups_list(ssl, "X25519:P-256:P-384") != 1 ||
		SSL_CTX_set1_sigalgs_list(ssl,
			"ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA384:RSA-PSS+SHA384:"
			"RSA+SHA384:ECDSA+SHA512:RSA-PSS+SHA512:RSA+SHA512") != 1)
		return fail(ERR_PERM, "OpenSSL refuses our choice of algorithms");
	SSL_CTX_set_options(ssl, SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
	SSL_CTX_set_timeout(ssl, TICKET_LIFE);
	SSL_CTX_set_num_tickets(ssl, 1);
	return OK;
}

Err
tls_context_new_server(struct tls_signer signer, struct tls_context **ret)
{
	AUTO(tls_context) c = NULL;

	TRY(new_context(TLS_server_method(), &c));
	c->server = true;
	c->signer = signer;
	TRY(prepare_server(c->ssl));
	TRY(tls_provider_load(&c->provider));
	SSL_CTX_set_tlsext_servername_callback(c->ssl, choose_chain);
	SSL_CTX_set_tlsext_servername_arg(c->ssl, c);
	*ret = TAKE(c);
	return OK;
}

/* The certificates behind the first one. */
static Err
add_rest_of_chain(SSL_CTX *ssl, BIO *b)
{
	X509 *x;

	for (int i = 0; (x = PEM_read_bio_X509(b, NULL, NULL, NULL)) != NULL; i++)
		if (i == CHAIN_LENGTH_MAX || SSL_CTX_add0_chain_cert(ssl, x) != 1) {
			X509_free(x);
			return fail(ERR_PERM, "chain of certificates is too long");
		}
	ERR_clear_error();
	return OK;
}

static Err
use_chain(struct tls_context *c, SSL_CTX *ssl, BIO *b, X509 **ret_leaf)
{
	X509 *leaf = PEM_read_bio_X509(b, NULL, NULL, NULL);
	EVP_PKEY *key = NULL;
	Err e;

	if (leaf == NULL)
		return fail(ERR_PERM, "not a certificate in PEM");
	e = tls_provider_key(c->provider, X509_get0_pubkey(leaf), c->signer, &key);
	if (!failed(e) && SSL_CTX_use_cert_and_key(ssl, leaf, key, NULL, 1) != 1)
		e = fail(ERR_PERM, "OpenSSL refuses the certificate");
	EVP_PKEY_free(key);
	X509_free(leaf);
	TRY(e);
	*ret_leaf = SSL_CTX_get0_certificate(ssl);
	return add_rest_of_chain(ssl, b);
}

Err
tls_context_add_chain(struct tls_context *c, Str pem)
{
	SSL_CTX *ssl = c->ssl;
	X509 *leaf = NULL;
	BIO *b;
	Err e = OK;

	if (c->chain_count == CHAINS_MAX || pem.n > INT32_MAX)
		return fail(ERR_LIMIT, "too many certificates");
	b = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (b == NULL)
		return fail(ERR_TEMP, "no memory for a certificate");
	if (c->chain_count > 0) {
		e = new_ssl_context(TLS_server_method(), &ssl);
		if (!failed(e))
			e = prepare_server(ssl);
	}
	if (!failed(e))
		e = use_chain(c, ssl, b, &leaf);
	BIO_free(b);
	if (failed(e)) {
		if (ssl != c->ssl)
			SSL_CTX_free(ssl);
		return e;
	}
	c->chains = memory_resize(c->chains, c->chain_count + 1, sizeof(*c->chains));
	c->chains[c->chain_count++] = (struct chain){ ssl, leaf };
	return OK;
}

/* Tickets are opened before a chain is chosen, so one context needs the key. */
Err
tls_context_set_ticket_key(struct tls_context *c, Str random)
{
	if (random.n != TLS_TICKET_KEY_SIZE ||
		SSL_CTX_set_tlsext_ticket_keys(c->ssl, (void *)random.p, (long)random.n) != 1)
		return fail(ERR_PERM, "not a key for session tickets");
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
	if (errno == EPROTO) {
		/* OpenSSL's own static text. */
		const char *why = ERR_reason_error_string(ERR_peek_error());

		return fail(ERR_PEER, why == NULL ? "TLS handshake failed" : why);
	}
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
	if (context->verifies && (name.n == 0 || SSL_set1_host(t->ssl, host) != 1))
		return fail(ERR_PERM, "no host name to verify");
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
