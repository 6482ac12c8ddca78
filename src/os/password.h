/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Passwords and their hashes. New hashes are argon2id in libargon2's encoded form; those that other
 * systems made are verified too: argon2id, and $y$ $6$ $5$ $2b$ $2y$ $2a$ $1$ of crypt(3). Wraps
 * libargon2 and libcrypt.
 */

#include "base/buf.h"

enum {
	PASSWORD_MAX = 1024,     /* octets */
	PASSWORD_HASH_MAX = 512, /* octets */
	/* OWASP's first choice for argon2id: 19 MiB, two passes, one lane. */
	PASSWORD_MEMORY = 19456, /* KiB */
	PASSWORD_PASSES = 2,
};

/* Appends a new hash. ERR_TEMP without memory; ERR_LIMIT over PASSWORD_MAX. */
MUST_USE Err password_hash(Str password, struct buf *ret);

/* Is this the form of a hash that password_verify knows? */
bool password_hash_known(Str hash);

/*
 * Takes as long as the hash was made to take. A hash of "" fits no password.
 *
 * ERR_TEMP   no memory
 * ERR_PERM   not a hash that we know
 */
MUST_USE Err password_verify(Str hash, Str password, bool *ret);
