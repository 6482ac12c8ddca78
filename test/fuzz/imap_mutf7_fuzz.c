/* SPDX-License-Identifier: ISC */
/* A name that reads as modified UTF-7 is written back octet for octet; UTF-8 comes back too. */
#include "format/imap/mutf7.h"

enum { NAME = 1024 * 1024 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str in = { (const char *)data, size };
	AUTO_BUF there = BUF_INIT(NAME), back = BUF_INIT(NAME);

	if (!failed(imap_mutf7_parse(in, &there))) {
		if (!imap_utf8_valid(buf_view(&there)))
			__builtin_trap();
		if (failed(imap_mutf7_write(&back, buf_view(&there))) ||
			!str_eq(buf_view(&back), in))
			__builtin_trap();
	}
	buf_reset(&there);
	buf_reset(&back);
	if (failed(imap_mutf7_write(&there, in)))
		return imap_utf8_valid(in) ? __builtin_trap(), 0 : 0;
	if (failed(imap_mutf7_parse(buf_view(&there), &back)) || !str_eq(buf_view(&back), in))
		__builtin_trap();
	return 0;
}
