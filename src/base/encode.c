/* SPDX-License-Identifier: ISC */
#include "base/encode.h"

static const char base64_alphabet[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void
encode_base64(struct buf *b, Str s)
{
	for (size_t at = 0; at < s.n; at += 3) {
		uint32_t group = (uint32_t)str_at(s, at) << 16 |
				 (uint32_t)str_at(s, at + 1) << 8 | str_at(s, at + 2);
		size_t left = s.n - at;

		buf_put_char(b, base64_alphabet[group >> 18]);
		buf_put_char(b, base64_alphabet[group >> 12 & 63]);
		buf_put_char(b, left > 1 ? base64_alphabet[group >> 6 & 63] : '=');
		buf_put_char(b, left > 2 ? base64_alphabet[group & 63] : '=');
	}
}

static int
base64_value(unsigned char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (c == '+')
		return 62;
	return c == '/' ? 63 : -1;
}

/* Four characters, `data` of which are not padding, to data - 1 octets. */
static Err
decode_group(Str group, size_t data, struct buf *ret)
{
	uint32_t bits = 0;

	for (size_t i = 0; i < 4; i++) {
		int value = i < data ? base64_value(str_at(group, i)) : 0;

		if (value < 0)
			return fail(ERR_PEER, "not base64");
		bits = bits << 6 | (uint32_t)value;
	}
	if (data < 4 && (bits & ((1U << (8 * (4 - data))) - 1)) != 0)
		return fail(ERR_PEER, "base64 with bits left over");
	for (size_t i = 0; i + 1 < data; i++)
		buf_put_char(ret, (char)(bits >> (16 - 8 * i) & 0xff));
	return OK;
}

Err
decode_base64(Str s, struct buf *ret)
{
	if (s.n % 4 != 0)
		return fail(ERR_PEER, "base64 of wrong length");
	for (size_t at = 0; at < s.n; at += 4) {
		Str group = str_part(s, at, 4);
		size_t data = 4;

		if (at + 4 == s.n && str_at(group, 3) == '=')
			data = str_at(group, 2) == '=' ? 2 : 3;
		TRY(decode_group(group, data, ret));
	}
	return buf_check(ret);
}

void
encode_hex(struct buf *b, Str s)
{
	for (size_t i = 0; i < s.n; i++) {
		buf_put_char(b, "0123456789abcdef"[str_at(s, i) >> 4]);
		buf_put_char(b, "0123456789abcdef"[str_at(s, i) & 15]);
	}
}

static int
hex_value(unsigned char c)
{
	if (char_is_digit(c))
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

Err
decode_hex(Str s, struct buf *ret)
{
	if (s.n % 2 != 0)
		return fail(ERR_PEER, "hexadecimal of odd length");
	for (size_t at = 0; at < s.n; at += 2) {
		int high = hex_value(str_at(s, at)), low = hex_value(str_at(s, at + 1));

		if (high < 0 || low < 0)
			return fail(ERR_PEER, "not hexadecimal");
		buf_put_char(ret, (char)(high << 4 | low));
	}
	return buf_check(ret);
}
