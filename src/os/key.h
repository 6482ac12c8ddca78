/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Private keys for TLS: only the process `keys` (and the maker of a new key) ever holds one.
 * Whoever speaks TLS asks for signatures by the key's id.
 */

#include "base/buf.h"
#include "base/time.h"

/* RFC 8446, 4.2.3, by their numbers on the wire. */
enum key_scheme {
	KEY_RSA_PKCS1_SHA256 = 0x0401, /* TLS 1.2 alone */
	KEY_RSA_PKCS1_SHA384 = 0x0501,
	KEY_RSA_PKCS1_SHA512 = 0x0601,
	KEY_ECDSA_SHA256 = 0x0403,
	KEY_ECDSA_SHA384 = 0x0503,
	KEY_ECDSA_SHA512 = 0x0603,
	KEY_RSA_PSS_SHA256 = 0x0804,
	KEY_RSA_PSS_SHA384 = 0x0805,
	KEY_RSA_PSS_SHA512 = 0x0806,
};

enum {
	KEY_ID_SIZE = 32,         /* octets: SHA-256 of the SubjectPublicKeyInfo */
	KEY_SIGNATURE_MAX = 1024, /* octets: RSA with 8192 bits */
	KEY_RSA_BITS_MIN = 2048,
	KEY_RSA_BITS_MAX = 8192,
};

typedef struct KeyId {
	unsigned char octets[KEY_ID_SIZE];
} KeyId;

struct key;

/* EC on P-256 or RSA, unencrypted PEM. ERR_PERM for anything else. */
MUST_USE Err key_read(Str pem, struct key **ret);
void key_free(struct key *k); /* NULL is fine; wipes */
DEFINE_DROP(key)

KeyId key_id(const struct key *k);

/* ERR_PEER when this key cannot sign by that scheme. Appends the signature to ret. */
MUST_USE Err key_sign(const struct key *k, enum key_scheme scheme, Str message,
	struct buf *ret);

/*
 * A new EC key on P-256 and a certificate for these host names, signed with itself: for a start
 * without a certificate, and for tests. Both as PEM.
 */
MUST_USE Err key_make_self_signed(const Str *names, size_t count, Time now, struct buf *ret_key,
	struct buf *ret_certificate);
