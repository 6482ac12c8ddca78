/* SPDX-License-Identifier: ISC */
#include "base/utf8.h"

/* Octets behind the first, and the least code point that needs so many. */
static const struct {
	uint8_t mask, lead;
	int more;
	int32_t least;
} forms[] = {
	{ 0x80, 0x00, 0, 0 },
	{ 0xe0, 0xc0, 1, 0x80 },
	{ 0xf0, 0xe0, 2, 0x800 },
	{ 0xf8, 0xf0, 3, 0x10000 },
};

enum {
	LAST = 0x10ffff,
	SURROGATE_FIRST = 0xd800,
	SURROGATE_LAST = 0xdfff,
};

static int32_t
bad(struct cursor *c)
{
	c->bad = true;
	return -1;
}

int32_t
utf8_next(struct cursor *c)
{
	int first = cursor_next(c);
	size_t form = 0;
	int32_t code;

	if (first < 0)
		return -1;
	while (form < COUNT(forms) && (first & forms[form].mask) != forms[form].lead)
		form++;
	if (form == COUNT(forms))
		return bad(c);
	code = first & ~forms[form].mask;
	for (int i = 0; i < forms[form].more; i++) {
		int next = cursor_next(c);

		if (next < 0 || (next & 0xc0) != 0x80)
			return bad(c);
		code = code << 6 | (next & 0x3f);
	}
	if (code < forms[form].least || code > LAST ||
		(code >= SURROGATE_FIRST && code <= SURROGATE_LAST))
		return bad(c);
	return code;
}

bool
utf8_valid(Str s)
{
	struct cursor c = cursor_of(s);

	while (!cursor_done(&c))
		utf8_next(&c);
	return !c.bad;
}

bool
utf8_is_ascii(Str s)
{
	const uint64_t high = 0x8080808080808080;
	uint64_t seen = 0, word;
	size_t at = 0;

	for (; at + sizeof(word) <= s.n; at += sizeof(word)) {
		memcpy(&word, s.p + at, sizeof(word));
		seen |= word;
	}
	for (; at < s.n; at++)
		seen |= str_at(s, at);
	return (seen & high) == 0;
}
