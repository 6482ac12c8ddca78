/* SPDX-License-Identifier: ISC */
#include "rpc/verdict.h"

void
verdict_write(struct buf *b, Err e)
{
	buf_u8(b, (uint8_t)e.kind);
	buf_u32(b, (uint32_t)e.sys);
}

Err
verdict_read(struct cursor *c, const char *what)
{
	uint8_t kind = cursor_u8(c);
	int sys = (int)cursor_u32(c);

	if (c->bad || kind > ERR_PERM)
		return fail(ERR_TEMP, "answer is cut");
	return kind == ERR_NONE ? OK : (Err){ (enum err_kind)kind, sys, what };
}
