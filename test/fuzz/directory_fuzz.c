/* SPDX-License-Identifier: ISC */
/* The directory as text and packed: what is written parses to the same; junk is refused. */
#include "format/directory/record.h"

#include <stdlib.h>

enum {
	SCRATCH = 16 * 1024 * 1024,
};

/* Packed records as text; false when they are not records. */
static bool
to_text(Str packed, struct arena *a, struct buf *ret)
{
	struct cursor c = cursor_of(packed);
	struct directory_record record;

	directory_text_begin(ret);
	while (!cursor_done(&c)) {
		if (failed(directory_record_parse(&c, a, &record)))
			return false;
		directory_text_write(&record, ret);
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str input = { (const char *)data, size };
	AUTO(arena) a = arena_new(SCRATCH);
	AUTO_BUF packed = BUF_INIT(SCRATCH);
	AUTO_BUF again = BUF_INIT(SCRATCH);
	AUTO_BUF text = BUF_INIT(SCRATCH);
	AUTO_BUF junk = BUF_INIT(SCRATCH);
	struct config_errors errors = { .arena = a };

	(void)to_text(input, a, &junk);
	if (failed(directory_text_parse(input, a, &packed, &errors)))
		return 0;
	if (!to_text(buf_view(&packed), a, &text))
		abort();
	if (failed(directory_text_parse(buf_view(&text), a, &again, &errors)))
		abort();
	if (!str_eq(buf_view(&packed), buf_view(&again)))
		abort();
	return 0;
}
