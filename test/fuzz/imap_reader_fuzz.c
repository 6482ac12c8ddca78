/* SPDX-License-Identifier: ISC */
/* Any octets in any split: the same events with the same texts, within the same memory. */
#include "base/hash.h"
#include "format/imap/reader.h"

enum { LINE = 64, LITERAL = 32 };

/* A checksum of everything that happened. */
static uint32_t
play(Str in, size_t piece)
{
	struct imap_reader r;
	uint32_t sum = 0;
	size_t used;

	imap_reader_init(&r, LINE, LITERAL);
	while (in.n > 0) {
		Str part = str_part(in, 0, piece);
		enum imap_event event = imap_reader_feed(&r, part, &used);
		char mark = (char)('0' + (int)event);

		if (used > part.n || r.text.n > LINE + LITERAL)
			__builtin_trap();
		in = str_from_at(in, used);
		if (event == IMAP_READ_MORE) {
			if (used != part.n)
				__builtin_trap();
			continue;
		}
		sum = hash_crc32c(sum, (Str){ &mark, 1 });
		if (event == IMAP_READ_BROKEN)
			break;
		if (event == IMAP_READ_LITERAL) {
			imap_reader_take(&r);
			continue;
		}
		sum = hash_crc32c(sum, imap_reader_text(&r));
		imap_reader_next(&r);
	}
	imap_reader_done(&r);
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str in = { (const char *)data, size };
	uint32_t whole = play(in, size);

	if (play(in, 1) != whole || play(in, 7) != whole)
		__builtin_trap();
	return 0;
}
