/* SPDX-License-Identifier: ISC */
#include "base/hash.h"

#include <endian.h>
#include <stdlib.h>
#include <sys/random.h>

HashKey
hash_key_new(void)
{
	HashKey key;

	if (getrandom(&key, sizeof(key), 0) != sizeof(key))
		abort();
	return key;
}

static uint64_t
rotate(uint64_t v, int bits)
{
	return v << bits | v >> (64 - bits);
}

static void
sip_rounds(uint64_t v[4], int rounds)
{
	while (rounds-- > 0) {
		v[0] += v[1];
		v[1] = rotate(v[1], 13) ^ v[0];
		v[0] = rotate(v[0], 32);
		v[2] += v[3];
		v[3] = rotate(v[3], 16) ^ v[2];
		v[0] += v[3];
		v[3] = rotate(v[3], 21) ^ v[0];
		v[2] += v[1];
		v[1] = rotate(v[1], 17) ^ v[2];
		v[2] = rotate(v[2], 32);
	}
}

static uint64_t
load_le(const char *p, size_t n)
{
	uint64_t word = 0;

	memcpy(&word, p, n);
	return le64toh(word);
}

uint64_t
hash_sip(HashKey key, Str s)
{
	uint64_t v[4] = { key.a ^ 0x736f6d6570736575, key.b ^ 0x646f72616e646f6d,
		key.a ^ 0x6c7967656e657261, key.b ^ 0x7465646279746573 };
	size_t whole = s.n & ~(size_t)7;
	uint64_t last = (uint64_t)s.n << 56;

	for (size_t at = 0; at < whole; at += 8) {
		uint64_t word = load_le(s.p + at, 8);

		v[3] ^= word;
		sip_rounds(v, 2);
		v[0] ^= word;
	}
	if (s.n > whole)
		last |= load_le(s.p + whole, s.n - whole);
	v[3] ^= last;
	sip_rounds(v, 2);
	v[0] ^= last;
	v[2] ^= 0xff;
	sip_rounds(v, 4);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

enum {
	CRC32C_REVERSED = 0x82f63b78,
};

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("sse4.2"))) static uint32_t
crc_hardware(uint32_t crc, Str s)
{
	uint64_t wide = crc;
	size_t at = 0;

	for (; at + 8 <= s.n; at += 8)
		wide = _mm_crc32_u64(wide, load_le(s.p + at, 8));
	crc = (uint32_t)wide;
	for (; at < s.n; at++)
		crc = _mm_crc32_u8(crc, (unsigned char)s.p[at]);
	return crc;
}

static bool
has_hardware(void)
{
	return __builtin_cpu_supports("sse4.2");
}
#else
static uint32_t
crc_hardware(uint32_t crc, Str s)
{
	(void)s;
	return crc;
}

static bool
has_hardware(void)
{
	return false;
}
#endif

static uint32_t
crc_bitwise(uint32_t crc, Str s)
{
	for (size_t at = 0; at < s.n; at++) {
		crc ^= (unsigned char)s.p[at];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ ((crc & 1) != 0 ? (uint32_t)CRC32C_REVERSED : 0);
	}
	return crc;
}

uint32_t
hash_crc32c(uint32_t before, Str s)
{
	return ~(has_hardware() ? crc_hardware(~before, s) : crc_bitwise(~before, s));
}
