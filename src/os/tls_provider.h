/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * A small OpenSSL provider: keys whose private half is in another process. For os/tls.c alone.
 * Everything about the public half is left to OpenSSL's own provider; a signature is a call of
 * tls_signer.sign with the whole message, so that the other side can see what it signs.
 */

#include "os/tls.h"

#include <openssl/evp.h>

struct tls_provider;

/* Loads the provider into OpenSSL's default context. */
MUST_USE Err tls_provider_load(struct tls_provider **ret);
void tls_provider_free(struct tls_provider *p); /* after all its keys; NULL is fine */
DEFINE_DROP(tls_provider)

/*
 * The key whose public half this is (EC on P-256, or RSA); free with EVP_PKEY_free. ERR_PERM for
 * another kind of key.
 */
MUST_USE Err tls_provider_key(struct tls_provider *p, EVP_PKEY *public,
	struct tls_signer signer, EVP_PKEY **ret);
