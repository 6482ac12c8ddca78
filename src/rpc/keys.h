/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What one may ask of `keys`, which holds the private keys: SIGN, a signature of what TLS signs
 * in a handshake, and of nothing else. smtpd, submit and login may ask, at any time.
 *
 * Request: key id, u16 scheme, the message to its end. Answer: verdict, str signature.
 */

#include "os/tls.h"
#include "rpc/call.h"
#include "rpc/start.h"

enum keys_request {
	KEYS_SIGN = 1,
};

extern const struct rpc_rule keys_rules[];

/* The keys of others, for all threads of a process: keeps callers for those that sign at once. */
struct keys_client;

/* The peer stays the caller's, and must outlive it. */
struct keys_client *keys_client_new(struct peer *p);
void keys_client_free(struct keys_client *k); /* NULL is fine */
DEFINE_DROP(keys_client)

/* For tls_context_new_server; k must outlive the context. */
struct tls_signer keys_client_signer(struct keys_client *k);

/*
 * A TLS server from what master handed over: the certificate, and the key that lets all processes
 * take one another's session tickets.
 *
 * ERR_PERM  no certificate, or none that TLS can use
 */
MUST_USE Err keys_client_server(struct keys_client *k, const struct start *start,
	struct tls_context **ret);

/* ---- The serving end ---- */

struct keys_sign_request {
	KeyId id;
	enum key_scheme scheme;
	Str message;
};

MUST_USE Err keys_parse_sign(struct cursor *c, struct keys_sign_request *ret);
void keys_write_signature(struct buf *b, Str signature);
