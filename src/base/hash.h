/* SPDX-License-Identifier: ISC */
#pragma once

/* Hashes of bytes: SipHash-2-4 for tables whose keys a peer may choose, CRC32C for records. */

#include "base/str.h"

typedef struct HashKey {
	uint64_t a, b;
} HashKey;

/* A key from the kernel's random numbers, for this process. */
HashKey hash_key_new(void);
uint64_t hash_sip(HashKey key, Str s);

/* CRC32C (Castagnoli). `before` chains: crc of a then b is hash_crc32c(hash_crc32c(0, a), b). */
uint32_t hash_crc32c(uint32_t before, Str s);
