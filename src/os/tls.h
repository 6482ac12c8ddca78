/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * TLS 1.2 and 1.3 on OpenSSL 3. This file's .c is the only one that includes OpenSSL's TLS. A
 * session here knows no socket: it reads and writes through two functions (struct conn gives
 * them), so that it works for a thread that waits and for one that never does.
 */

#include "os/key.h"

#include <sys/types.h>

struct tls_context; /* what many sessions share; may be used by several threads at once */
struct tls;         /* one session */

/*
 * The transport. As read(2) and write(2): -1 with errno on failure; EAGAIN when nothing can be
 * done now (or, for a transport that waits, when its deadline has passed).
 */
struct tls_transport {
	ssize_t (*read)(void *with, char *p, size_t n);
	ssize_t (*write)(void *with, const char *p, size_t n);
	void *with;
};

void tls_context_free(struct tls_context *context); /* NULL is fine */
DEFINE_DROP(tls_context)

/* A client that takes any certificate: opportunistic TLS (RFC 7435). */
MUST_USE Err tls_context_new_client(struct tls_context **ret);
/* From now on the peer's certificate must lead to one of these (PEM) and be for the name asked. */
MUST_USE Err tls_context_verify(struct tls_context *context, Str roots);

/*
 * Signs for private keys that live elsewhere, as key_sign does; called by any thread, during a
 * handshake. `with` must outlive the context.
 */
struct tls_signer {
	Err (*sign)(void *with, KeyId id, enum key_scheme scheme, Str message, struct buf *ret);
	void *with;
};

/* A server without certificates yet. */
MUST_USE Err tls_context_new_server(struct tls_signer signer, struct tls_context **ret);
/*
 * Adds a certificate and what leads to its root, as PEM. A client that names a host gets the first
 * one for that host, else the very first. Before the first session only.
 * ERR_PERM  not a certificate, or for a key of another kind than EC or RSA
 */
MUST_USE Err tls_context_add_chain(struct tls_context *context, Str pem);

enum {
	TLS_TICKET_KEY_SIZE = 80, /* octets, random */
};
/* Processes that share this take one another's session tickets (RFC 5077; RFC 8446, 2.2). */
MUST_USE Err tls_context_set_ticket_key(struct tls_context *context, Str random);

/*
 * Shakes hands. name: what a client asks for (SNI); empty for a server.
 *
 * ERR_PEER  the handshake failed
 * ERR_GONE  the transport failed; sys says how
 */
MUST_USE Err tls_start(struct tls_context *context, struct tls_transport transport, Str name,
	struct tls **ret);

/* Says close_notify once, whether it arrives or not. NULL is fine. */
void tls_free(struct tls *t);
DEFINE_DROP(tls)

/* As read(2) and write(2); EPROTO when the peer broke TLS. */
ssize_t tls_read(struct tls *t, char *p, size_t n);
ssize_t tls_write(struct tls *t, const char *p, size_t n);

bool tls_has_pending(const struct tls *t); /* input that is already on this side */
bool tls_wants_write(const struct tls *t); /* the last EAGAIN was about sending */

/* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; live as long as t. */
Str tls_version(const struct tls *t);
Str tls_cipher(const struct tls *t);
bool tls_resumed(const struct tls *t);
