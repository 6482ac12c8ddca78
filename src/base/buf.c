/* SPDX-License-Identifier: ISC */
#include "base/buf.h"

#include <assert.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	FIRST = 64,
};

void
buf_done(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

void
buf_reset(struct buf *b)
{
	b->n = 0;
	b->bad = false;
}

void
buf_trim(struct buf *b)
{
	char *p;

	if (b->n == 0) {
		free(b->p);
		b->p = NULL;
		b->cap = 0;
		return;
	}
	p = realloc(b->p, b->n);
	if (p == NULL)
		return;
	b->p = p;
	b->cap = b->n;
}

Str
buf_view(const struct buf *b)
{
	return b->n == 0 ? S("") : (Str){ b->p, b->n };
}

Err
buf_check(const struct buf *b)
{
	return b->bad ? fail(ERR_LIMIT, "buffer is full") : OK;
}

char *
buf_room(struct buf *b, size_t n)
{
	size_t want, cap;
	char *p;

	if (b->bad || n > b->max || b->n > b->max - n) {
		b->bad = true;
		return NULL;
	}
	want = b->n + n;
	if (want <= b->cap)
		return b->p + b->n;
	cap = b->cap < FIRST ? FIRST : b->cap * 2;
	if (cap < want)
		cap = want;
	p = realloc(b->p, cap);
	if (p == NULL) {
		b->bad = true;
		return NULL;
	}
	b->p = p;
	b->cap = cap;
	return b->p + b->n;
}

void
buf_grew(struct buf *b, size_t n)
{
	assert(b->n + n <= b->cap);
	b->n += n;
}

void
buf_put(struct buf *b, Str s)
{
	char *room;

	if (s.n == 0)
		return;
	room = buf_room(b, s.n);
	if (room == NULL)
		return;
	memcpy(room, s.p, s.n);
	b->n += s.n;
}

void
buf_put_c(struct buf *b, const char *c)
{
	buf_put(b, str_from(c));
}

void
buf_put_char(struct buf *b, char c)
{
	buf_put(b, (Str){ &c, 1 });
}

void
buf_put_crlf(struct buf *b, Str s)
{
	size_t lines = str_count(s, '\n');
	char *to = buf_room(b, s.n + lines);

	if (to == NULL)
		return;
	b->n += s.n + lines;
	for (; lines > 0; lines--) {
		size_t n = str_find(s, '\n');

		memcpy(to, s.p, n);
		to += n;
		*to++ = '\r';
		*to++ = '\n';
		s = str_from_at(s, n + 1);
	}
	if (s.n > 0)
		memcpy(to, s.p, s.n);
}

void
buf_put_u64(struct buf *b, uint64_t n)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	buf_put(b, (Str){ digits + at, sizeof(digits) - at });
}

void
buf_vprintf(struct buf *b, const char *format, va_list args)
{
	va_list again;
	char *room;
	int n;

	va_copy(again, args);
	n = vsnprintf(NULL, 0, format, again);
	va_end(again);
	assert(n >= 0);
	room = buf_room(b, (size_t)n + 1);
	if (room == NULL)
		return;
	vsnprintf(room, (size_t)n + 1, format, args);
	b->n += (size_t)n;
}

void
buf_printf(struct buf *b, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	buf_vprintf(b, format, args);
	va_end(args);
}

void
buf_lower_from(struct buf *b, size_t at)
{
	for (; at < b->n; at++)
		b->p[at] = char_lower(b->p[at]);
}

void
buf_eat(struct buf *b, size_t n)
{
	assert(n <= b->n);
	if (n > 0 && n < b->n)
		memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

void
buf_cut(struct buf *b, size_t n)
{
	if (n < b->n)
		b->n = n;
}

void
buf_u8(struct buf *b, uint8_t v)
{
	buf_put_char(b, (char)v);
}

void
buf_u16(struct buf *b, uint16_t v)
{
	v = htole16(v);
	buf_put(b, (Str){ (const char *)&v, sizeof(v) });
}

void
buf_u32(struct buf *b, uint32_t v)
{
	v = htole32(v);
	buf_put(b, (Str){ (const char *)&v, sizeof(v) });
}

void
buf_u64(struct buf *b, uint64_t v)
{
	v = htole64(v);
	buf_put(b, (Str){ (const char *)&v, sizeof(v) });
}

void
buf_str(struct buf *b, Str s)
{
	if (s.n > UINT32_MAX) {
		b->bad = true;
		return;
	}
	buf_u32(b, (uint32_t)s.n);
	buf_put(b, s);
}

void
buf_set_u32(struct buf *b, size_t at, uint32_t v)
{
	if (b->bad)
		return;
	assert(at + sizeof(v) <= b->n);
	v = htole32(v);
	memcpy(b->p + at, &v, sizeof(v));
}
