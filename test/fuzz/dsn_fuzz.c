/* SPDX-License-Identifier: ISC */
/* A report has three parts and one end, whatever the header and the diagnostic hold. */
#include "format/dsn/report.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
count_boundaries(Str report)
{
	Str line, rest = report;
	size_t n = 0;

	while (str_split(rest, '\n', &line, &rest))
		n += str_starts(line, S("--report-1000000-")) && line.n < 40;
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str s = { (const char *)data, size };
	struct dsn_recipient to = { .address = s, .status = str_part(s, 0, 6), .text = s };
	struct dsn_report r = { .hostname = S("h"),
		.sender = s,
		.queue_id = S("1"),
		.now = { 1000000 },
		.recipients = &to,
		.recipient_count = 1 };
	AUTO_BUF plain = BUF_INIT(DSN_REPORT_MAX);
	AUTO_BUF b = BUF_INIT(DSN_REPORT_MAX);

	to.remote = s;
	dsn_report_write(&b, &r, s);
	dsn_report_write(&plain, &r, S(""));
	if (b.bad || str_has(buf_view(&b), '\0'))
		__builtin_trap();
	if (count_boundaries(buf_view(&plain)) != 4)
		__builtin_trap();
	return 0;
}
