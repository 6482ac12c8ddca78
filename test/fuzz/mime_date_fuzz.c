/* SPDX-License-Identifier: ISC */
/* Dates: what is read is written so that it reads the same again. */
#include "format/mime/date.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
same_again(const struct mime_date *d, void (*write)(struct buf *b, const struct mime_date *d),
	Err (*parse)(Str s, struct mime_date *ret))
{
	AUTO_BUF b = BUF_INIT(100);
	struct mime_date back;

	write(&b, d);
	if (failed(parse(buf_view(&b), &back)))
		__builtin_trap();
	if (back.when.us != d->when.us || back.zone != d->zone)
		__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str s = { (const char *)data, size };
	struct mime_date d;
	Time day;

	if (!failed(mime_date_parse(s, &d)))
		same_again(&d, mime_date_write, mime_date_parse);
	if (!failed(mime_date_parse_internal(s, &d)))
		same_again(&d, mime_date_write_internal, mime_date_parse_internal);
	(void)failed(mime_date_parse_day(s, &day));
	return 0;
}
