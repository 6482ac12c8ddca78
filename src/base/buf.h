/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * struct buf: growing bytes with a limit. Over the limit (or out of memory) it becomes bad and
 * takes nothing more; whoever uses it asks buf_check once at the end. Nobody keeps a pointer into
 * a buf across a put, only an offset. A zeroed buf with a max is a valid empty one.
 */

#include "base/str.h"

#include <stdarg.h>

struct buf {
	char *p;
	size_t n, cap;
	size_t max; /* octets */
	bool bad;
};

#define BUF_INIT(most) ((struct buf){ .max = (most) })
#define AUTO_BUF __attribute__((cleanup(buf_done))) struct buf

void buf_done(struct buf *b);  /* frees, leaves an empty buf with the same max */
void buf_reset(struct buf *b); /* empty and not bad; keeps the memory */
void buf_trim(struct buf *b);  /* gives back memory beyond what is held */

Str buf_view(const struct buf *b);           /* dies at the next put */
MUST_USE Err buf_check(const struct buf *b); /* ERR_LIMIT when bad */

void buf_put(struct buf *b, Str s);
void buf_put_c(struct buf *b, const char *c);
void buf_put_char(struct buf *b, char c);
void buf_put_crlf(struct buf *b, Str s);     /* each LF becomes CRLF */
void buf_put_u64(struct buf *b, uint64_t n); /* decimal */
void buf_printf(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *format, va_list args) PRINTF_LIKE(2, 0);
void buf_lower_from(struct buf *b, size_t at); /* ASCII lower case, in place */

/* Drops the first n octets and moves the rest down. */
void buf_eat(struct buf *b, size_t n);
/* Cuts to n octets; larger n changes nothing. */
void buf_cut(struct buf *b, size_t n);

/*
 * Room for reading into: n octets behind the end, or NULL when over the limit (the buf is then
 * bad). buf_grew says how many were written there.
 */
char *buf_room(struct buf *b, size_t n);
void buf_grew(struct buf *b, size_t n);

/* Binary, for our own processes and files; cursor_u8 ... cursor_str read them back. */
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v);
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_str(struct buf *b, Str s); /* u32 length, octets */
/* Overwrites four octets at an offset already written. */
void buf_set_u32(struct buf *b, size_t at, uint32_t v);
