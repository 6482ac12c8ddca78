/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Str: bytes that somebody else owns. Not NUL-terminated; may hold NUL. It dies with its owner.
 * struct cursor reads a Str from left to right with a sticky error; no other code does pointer
 * arithmetic on bytes that came from outside.
 */

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct Str {
	const char *p;
	size_t n;
} Str;

#define S(lit) ((Str){ "" lit, sizeof(lit) - 1 })

/* For printf: printf("%.*s", STR_ARG(s)). */
#define STR_ARG(s) (int)((s).n > INT32_MAX ? INT32_MAX : (s).n), (s).p

/* Borrows a C string; NULL is the empty Str. */
Str str_from(const char *c);

bool str_eq(Str a, Str b);
bool str_eq_icase(Str a, Str b); /* ASCII only */
bool str_starts(Str s, Str prefix);
bool str_starts_icase(Str s, Str prefix);
bool str_ends(Str s, Str suffix);
bool str_ends_icase(Str s, Str suffix);
int str_compare(Str a, Str b); /* bytes, then length; as memcmp */

/* The part from `at`, at most `n` octets; never reaches outside s. */
Str str_part(Str s, size_t at, size_t n);
Str str_from_at(Str s, size_t at); /* all from `at` on */

#define STR_NONE SIZE_MAX
/* Offset of the first occurrence, or STR_NONE. */
size_t str_find(Str s, char c);
size_t str_find_last(Str s, char c);

enum {
	STR_DISTANCE_MAX = 64, /* octets; longer words are near nothing */
};

/* How many letters must be changed, added, left out or swapped; the case of letters does not matter. */
size_t str_distance(Str a, Str b);
/* How far a mistyped word may be from what was meant: a third of its letters, two in any case. */
size_t str_near(Str word);

size_t str_find_str(Str s, Str what);
size_t str_find_icase(Str s, Str what);
bool str_has(Str s, char c);
size_t str_count(Str s, char c); /* how often c is in it */

/* Splits at the first c: what is before it, and what is behind. False when there is no c. */
bool str_split(Str s, char c, Str *ret_left, Str *ret_right);

/* Without blanks (SP, HT, CR, LF) at either end. */
Str str_trim(Str s);

/* One octet; 0 when `at` is outside. */
static inline unsigned char
str_at(Str s, size_t at)
{
	return at < s.n ? (unsigned char)s.p[at] : 0;
}

/* Decimal digits alone, whole of s. False when empty, not digits, or larger than max. */
bool str_to_u64(Str s, uint64_t max, uint64_t *ret);

/*
 * A C string for a system call: copies into buffer.
 * ERR_LIMIT   does not fit
 * ERR_PEER    holds a NUL
 */
MUST_USE Err str_c(Str s, char *buffer, size_t size);

bool char_is_digit(int c);
bool char_is_alpha(int c);
bool char_is_alnum(int c);
char char_lower(char c);
char char_upper(char c);

struct cursor {
	Str rest;
	bool bad;
};

struct cursor cursor_of(Str s);

/* These five are met for every octet that is parsed: inline. */

/* All read, or bad. */
static inline bool
cursor_done(const struct cursor *c)
{
	return c->bad || c->rest.n == 0;
}

/* The octet so far ahead, or -1 at the end or when bad. */
static inline int
cursor_peek_at(const struct cursor *c, size_t ahead)
{
	return c->bad || ahead >= c->rest.n ? -1 : (unsigned char)c->rest.p[ahead];
}

/* The next one. */
static inline int
cursor_peek(const struct cursor *c)
{
	return cursor_peek_at(c, 0);
}

/* As peek, and moves on; bad at the end. */
static inline int
cursor_next(struct cursor *c)
{
	int next = cursor_peek(c);

	if (next < 0) {
		c->bad = true;
		return next;
	}
	c->rest.p++;
	c->rest.n--;
	return next;
}

/* Moves on when it is next. */
static inline bool
cursor_take_char(struct cursor *c, char want)
{
	if (cursor_peek(c) != (unsigned char)want)
		return false;
	c->rest.p++;
	c->rest.n--;
	return true;
}

bool cursor_take_str(struct cursor *c, Str want);      /* moves on when it is next */
bool cursor_take_icase(struct cursor *c, Str want);    /* the same, any ASCII case */
void cursor_need_char(struct cursor *c, char want);    /* bad when it is not next */
Str cursor_take(struct cursor *c, size_t n);           /* bad when fewer are left */
Str cursor_while(struct cursor *c, bool (*is)(int c)); /* the longest run, maybe empty */
Str cursor_until(struct cursor *c, char stop); /* up to stop or the end; stop is not eaten */
Str cursor_line(struct cursor *c); /* up to LF (eaten); a CR before it is left out too */

/* Little-endian numbers and length-prefixed strings, as buf_u8 ... buf_str write them. */
uint8_t cursor_u8(struct cursor *c);
uint16_t cursor_u16(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);
uint64_t cursor_u64(struct cursor *c);
Str cursor_str(struct cursor *c);

/* Sizes from outside: ERR_LIMIT instead of wrapping round. */
MUST_USE Err size_add(size_t a, size_t b, size_t *ret);
MUST_USE Err size_mul(size_t a, size_t b, size_t *ret);
