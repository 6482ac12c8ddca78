/* SPDX-License-Identifier: ISC */
#include "format/imap/fold.h"

/* Ranges of capitals in two octets of UTF-8, and how far away their small letters are. */
static const struct range {
	uint16_t first, last;
	int distance; /* 1: capitals and small letters take turns, the capital is even; -1: odd */
} ranges[] = {
	{ 0xc0, 0xd6, 32 },
	{ 0xd8, 0xde, 32 },
	{ 0x100, 0x137, 1 },
	{ 0x139, 0x148, -1 },
	{ 0x14a, 0x177, 1 },
	{ 0x179, 0x17e, -1 },
	{ 0x391, 0x3a1, 32 },
	{ 0x3a3, 0x3ab, 32 },
	{ 0x400, 0x40f, 80 },
	{ 0x410, 0x42f, 32 },
	{ 0x460, 0x481, 1 },
	{ 0x48a, 0x4bf, 1 },
	{ 0x4d0, 0x52f, 1 },
};

static unsigned
small(unsigned code)
{
	for (size_t i = 0; i < COUNT(ranges); i++) {
		const struct range *r = &ranges[i];

		if (code < r->first || code > r->last)
			continue;
		if (r->distance == 1)
			return code | 1;
		if (r->distance == -1)
			return code % 2 == 1 ? code + 1 : code;
		return code + (unsigned)r->distance;
	}
	return code;
}

static bool
is_blank(int c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void
imap_fold(struct buf *b, Str s)
{
	struct cursor c = cursor_of(s);
	char *to = buf_room(b, s.n);
	size_t n = 0;

	/* Nothing gets longer: all ranges stay within two octets. */
	while (to != NULL && !cursor_done(&c)) {
		int at = cursor_next(&c), next = cursor_peek(&c);

		if (is_blank(at)) {
			(void)cursor_while(&c, is_blank);
			to[n++] = ' ';
		} else if (at >= 0xc3 && at <= 0xdf && next >= 0x80 && next < 0xc0) {
			unsigned code =
				small(((unsigned)at & 0x1f) << 6 | ((unsigned)next & 0x3f));

			(void)cursor_next(&c);
			to[n++] = (char)(0xc0 | code >> 6);
			to[n++] = (char)(0x80 | (code & 0x3f));
		} else {
			to[n++] = char_lower((char)at);
		}
	}
	if (to != NULL)
		buf_grew(b, n);
}
