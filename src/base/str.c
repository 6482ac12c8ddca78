/* SPDX-License-Identifier: ISC */
#include "base/str.h"

#include <endian.h>
#include <strings.h>

Str
str_from(const char *c)
{
	return c == NULL ? S("") : (Str){ c, strlen(c) };
}

bool
char_is_digit(int c)
{
	return c >= '0' && c <= '9';
}

bool
char_is_alpha(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool
char_is_alnum(int c)
{
	return char_is_alpha(c) || char_is_digit(c);
}

char
char_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

char
char_upper(char c)
{
	return c >= 'a' && c <= 'z' ? (char)(c - ('a' - 'A')) : c;
}

bool
str_eq(Str a, Str b)
{
	return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

bool
str_eq_icase(Str a, Str b)
{
	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		if (char_lower(a.p[i]) != char_lower(b.p[i]))
			return false;
	return true;
}

bool
str_starts(Str s, Str prefix)
{
	return s.n >= prefix.n && str_eq(str_part(s, 0, prefix.n), prefix);
}

bool
str_starts_icase(Str s, Str prefix)
{
	return s.n >= prefix.n && str_eq_icase(str_part(s, 0, prefix.n), prefix);
}

bool
str_ends(Str s, Str suffix)
{
	return s.n >= suffix.n && str_eq(str_from_at(s, s.n - suffix.n), suffix);
}

bool
str_ends_icase(Str s, Str suffix)
{
	return s.n >= suffix.n && str_eq_icase(str_from_at(s, s.n - suffix.n), suffix);
}

int
str_compare(Str a, Str b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int order = n == 0 ? 0 : memcmp(a.p, b.p, n);

	if (order != 0)
		return order;
	return a.n < b.n ? -1 : a.n > b.n;
}

Str
str_part(Str s, size_t at, size_t n)
{
	if (at > s.n)
		at = s.n;
	if (n > s.n - at)
		n = s.n - at;
	return (Str){ n == 0 ? "" : s.p + at, n };
}

Str
str_from_at(Str s, size_t at)
{
	return str_part(s, at, SIZE_MAX);
}

size_t
str_find(Str s, char c)
{
	const char *hit = s.n == 0 ? NULL : memchr(s.p, c, s.n);

	return hit == NULL ? STR_NONE : (size_t)(hit - s.p);
}

size_t
str_find_last(Str s, char c)
{
	const char *hit = s.n == 0 ? NULL : memrchr(s.p, c, s.n);

	return hit == NULL ? STR_NONE : (size_t)(hit - s.p);
}

size_t
str_distance(Str a, Str b)
{
	size_t row[3][STR_DISTANCE_MAX + 1] = { 0 };

	if (a.n > STR_DISTANCE_MAX || b.n > STR_DISTANCE_MAX)
		return STR_DISTANCE_MAX;
	for (size_t j = 0; j <= b.n; j++)
		row[0][j] = j;
	for (size_t i = 1; i <= a.n; i++) {
		size_t *now = row[i % 3], *before = row[(i - 1) % 3], *two = row[(i + 1) % 3];

		now[0] = i;
		for (size_t j = 1; j <= b.n; j++) {
			bool same = char_lower((char)str_at(a, i - 1)) ==
				    char_lower((char)str_at(b, j - 1));
			size_t least = before[j - 1] + !same;

			if (before[j] + 1 < least)
				least = before[j] + 1;
			if (now[j - 1] + 1 < least)
				least = now[j - 1] + 1;
			if (i > 1 && j > 1 && str_at(a, i - 1) == str_at(b, j - 2) &&
				str_at(a, i - 2) == str_at(b, j - 1) && two[j - 2] + 1 < least)
				least = two[j - 2] + 1;
			now[j] = least;
		}
	}
	return row[a.n % 3][b.n];
}

size_t
str_near(Str word)
{
	return word.n / 3 > 2 ? word.n / 3 : 2;
}

size_t
str_find_str(Str s, Str what)
{
	const char *hit;

	if (what.n == 0)
		return 0;
	hit = s.n == 0 ? NULL : memmem(s.p, s.n, what.p, what.n);
	return hit == NULL ? STR_NONE : (size_t)(hit - s.p);
}

size_t
str_find_icase(Str s, Str what)
{
	for (size_t at = 0; at + what.n <= s.n; at++)
		if (str_eq_icase(str_part(s, at, what.n), what))
			return at;
	return STR_NONE;
}

bool
str_has(Str s, char c)
{
	return str_find(s, c) != STR_NONE;
}

size_t
str_count(Str s, char c)
{
	enum { LANES = 64 }; /* what a compiler turns into vector instructions */
	size_t count = 0;

	for (; s.n >= LANES; s = str_from_at(s, LANES)) {
		unsigned char found = 0;

		for (size_t i = 0; i < LANES; i++)
			found = (unsigned char)(found + (s.p[i] == c));
		count += found;
	}
	for (size_t i = 0; i < s.n; i++)
		count += s.p[i] == c;
	return count;
}

bool
str_split(Str s, char c, Str *ret_left, Str *ret_right)
{
	size_t at = str_find(s, c);

	if (at == STR_NONE)
		return false;
	*ret_left = str_part(s, 0, at);
	*ret_right = str_from_at(s, at + 1);
	return true;
}

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

Str
str_trim(Str s)
{
	while (s.n > 0 && is_blank(s.p[0]))
		s = str_from_at(s, 1);
	while (s.n > 0 && is_blank(s.p[s.n - 1]))
		s.n--;
	return s;
}

bool
str_to_u64(Str s, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (s.n == 0)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		if (!char_is_digit(s.p[i]))
			return false;
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(s.p[i] - '0'), &value))
			return false;
	}
	if (value > max)
		return false;
	*ret = value;
	return true;
}

Err
str_c(Str s, char *buffer, size_t size)
{
	if (s.n >= size)
		return fail(ERR_LIMIT, "text is too long for a system call");
	if (str_has(s, '\0'))
		return fail(ERR_PEER, "text holds a NUL");
	if (s.n > 0)
		memcpy(buffer, s.p, s.n);
	buffer[s.n] = '\0';
	return OK;
}

struct cursor
cursor_of(Str s)
{
	return (struct cursor){ .rest = s };
}

static void
advance(struct cursor *c, size_t n)
{
	if (n == 0)
		return; /* an absent Str has no address to add to */
	c->rest.p += n;
	c->rest.n -= n;
}

bool
cursor_take_str(struct cursor *c, Str want)
{
	if (c->bad || !str_starts(c->rest, want))
		return false;
	advance(c, want.n);
	return true;
}

bool
cursor_take_icase(struct cursor *c, Str want)
{
	if (c->bad || !str_starts_icase(c->rest, want))
		return false;
	advance(c, want.n);
	return true;
}

void
cursor_need_char(struct cursor *c, char want)
{
	if (!cursor_take_char(c, want))
		c->bad = true;
}

Str
cursor_take(struct cursor *c, size_t n)
{
	Str taken;

	if (c->bad || n > c->rest.n) {
		c->bad = true;
		return S("");
	}
	taken = str_part(c->rest, 0, n);
	advance(c, n);
	return taken;
}

Str
cursor_while(struct cursor *c, bool (*is)(int c))
{
	size_t n = 0;

	if (c->bad)
		return S("");
	while (n < c->rest.n && is((unsigned char)c->rest.p[n]))
		n++;
	return cursor_take(c, n);
}

Str
cursor_until(struct cursor *c, char stop)
{
	size_t at;

	if (c->bad)
		return S("");
	at = str_find(c->rest, stop);
	return cursor_take(c, at == STR_NONE ? c->rest.n : at);
}

Str
cursor_line(struct cursor *c)
{
	Str line = cursor_until(c, '\n');

	cursor_take_char(c, '\n');
	if (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	return line;
}

uint8_t
cursor_u8(struct cursor *c)
{
	return str_at(cursor_take(c, 1), 0);
}

uint16_t
cursor_u16(struct cursor *c)
{
	Str raw = cursor_take(c, 2);
	uint16_t value = 0;

	if (raw.n == sizeof(value))
		memcpy(&value, raw.p, sizeof(value));
	return le16toh(value);
}

uint32_t
cursor_u32(struct cursor *c)
{
	Str raw = cursor_take(c, 4);
	uint32_t value = 0;

	if (raw.n == sizeof(value))
		memcpy(&value, raw.p, sizeof(value));
	return le32toh(value);
}

uint64_t
cursor_u64(struct cursor *c)
{
	Str raw = cursor_take(c, 8);
	uint64_t value = 0;

	if (raw.n == sizeof(value))
		memcpy(&value, raw.p, sizeof(value));
	return le64toh(value);
}

Str
cursor_str(struct cursor *c)
{
	return cursor_take(c, cursor_u32(c));
}

Err
size_add(size_t a, size_t b, size_t *ret)
{
	size_t sum;

	if (__builtin_add_overflow(a, b, &sum))
		return fail(ERR_LIMIT, "size does not fit");
	*ret = sum;
	return OK;
}

Err
size_mul(size_t a, size_t b, size_t *ret)
{
	size_t product;

	if (__builtin_mul_overflow(a, b, &product))
		return fail(ERR_LIMIT, "size does not fit");
	*ret = product;
	return OK;
}
