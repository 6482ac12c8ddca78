/* SPDX-License-Identifier: ISC */
#include "format/envelope/envelope.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is parsed and written again parses to the same bytes. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str input = { (const char *)data, size };
	AUTO_BUF first = BUF_INIT(1 << 20);
	AUTO_BUF second = BUF_INIT(1 << 20);
	AUTO(arena) a = arena_new(1 << 20);
	struct cursor c = cursor_of(input);
	struct envelope e;

	if (failed(envelope_parse(&c, a, &e)))
		return 0;
	if (e.sender.n > 0 &&
		(e.sender.p < input.p || e.sender.p + e.sender.n > input.p + input.n))
		__builtin_trap();
	envelope_write(&first, &e);
	c = cursor_of(buf_view(&first));
	if (failed(envelope_parse(&c, a, &e)))
		__builtin_trap();
	envelope_write(&second, &e);
	if (!str_eq(buf_view(&first), buf_view(&second)))
		__builtin_trap();
	return 0;
}
