/* SPDX-License-Identifier: ISC */
#pragma once

/* The private keys of this host, read before the walls go up, and the loop that signs with them. */

#include "os/key.h"
#include "rpc/serve.h"

struct keyring;

struct keyring *keyring_new(void);
void keyring_free(struct keyring *k); /* NULL is fine */
DEFINE_DROP(keyring)

/* Adds a key; one that is there already changes nothing. Fails as key_read. */
MUST_USE Err keyring_add(struct keyring *k, Str pem);

size_t keyring_count(const struct keyring *k);

/* ERR_PERM when there is no such key, ERR_PEER when it is not what `keys` signs. */
MUST_USE Err keyring_sign(struct keyring *k, const KeyId *id, enum key_scheme scheme,
	Str message, struct buf *ret);

/* Answers one KEYS_SIGN. */
void keyring_answer(struct keyring *k, struct server *s, struct server_request *r);
