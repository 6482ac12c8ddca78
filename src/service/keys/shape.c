/* SPDX-License-Identifier: ISC */
#include "service/keys/shape.h"

enum {
	RANDOM_SIZE = 32,
	NAMED_CURVE = 3, /* ECCurveType; the only one that RFC 8422 leaves */
};

/* RFC 8446, 4.4.3. The hash is that of the cipher suite: SHA-256 or SHA-384. */
static bool
is_certificate_verify(enum key_scheme scheme, Str message)
{
	static const Str spaces =
		S("                                                                ");
	struct cursor c = cursor_of(message);

	if (!cursor_take_str(&c, spaces) ||
		!cursor_take_str(&c, S("TLS 1.3, server CertificateVerify")) ||
		!cursor_take_char(&c, '\0'))
		return false;
	if (scheme == KEY_RSA_PKCS1_SHA256 || scheme == KEY_RSA_PKCS1_SHA384 ||
		scheme == KEY_RSA_PKCS1_SHA512)
		return false;
	return c.rest.n == 32 || c.rest.n == 48;
}

static uint16_t
big_endian_u16(struct cursor *c)
{
	int high = cursor_next(c), low = cursor_next(c);

	return c->bad ? 0 : (uint16_t)(high << 8 | low);
}

/* ClientHello.random, ServerHello.random, ServerKeyExchange.params (RFC 8422, 5.4). */
static bool
is_key_exchange(Str message)
{
	static const struct {
		uint16_t curve;
		uint8_t size; /* octets of the point */
		bool uncompressed;
	} curves[] = {
		{ 0x0017, 65, true },  /* secp256r1 */
		{ 0x0018, 97, true },  /* secp384r1 */
		{ 0x0019, 133, true }, /* secp521r1 */
		{ 0x001d, 32, false }, /* x25519 */
		{ 0x001e, 56, false }, /* x448 */
	};
	struct cursor c = cursor_of(message);
	uint16_t curve;
	int size;

	cursor_take(&c, (size_t)2 * RANDOM_SIZE);
	cursor_need_char(&c, NAMED_CURVE);
	curve = big_endian_u16(&c);
	size = cursor_next(&c);
	if (c.bad || (size_t)size != c.rest.n)
		return false;
	for (size_t i = 0; i < COUNT(curves); i++)
		if (curves[i].curve == curve)
			return curves[i].size == size &&
			       (!curves[i].uncompressed || cursor_peek(&c) == 4);
	return false;
}

Err
keys_shape_check(enum key_scheme scheme, Str message)
{
	if (is_certificate_verify(scheme, message) || is_key_exchange(message))
		return OK;
	return fail(ERR_PEER, "not what a TLS server signs");
}
