/* SPDX-License-Identifier: ISC */
/* A server's replies: bounded, inside the input, and one clean line for the log. */
#include "format/smtp/reply.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
need(bool is_so)
{
	if (!is_so)
		__builtin_trap();
}

static void
check_reply(const struct smtp_reply *r)
{
	AUTO_BUF b = BUF_INIT((size_t)2 * SMTP_REPLY_TEXT_MAX);
	AUTO_BUF again = BUF_INIT((size_t)2 * SMTP_REPLY_TEXT_MAX);
	struct smtp_reply back = SMTP_REPLY_INIT;
	struct smtp_status status = smtp_reply_status(r);
	bool last;
	Str line, text;

	need(r->code >= 100 && r->code <= 599 && r->text.n <= SMTP_REPLY_TEXT_MAX);
	need(status.class == 2 || status.class == 4 || status.class == 5);
	smtp_reply_put(&b, r);
	need(!str_has(buf_view(&b), '\n') && !str_has(buf_view(&b), '\0'));
	/* what fits into one line reads as the same reply */
	if (b.n > SMTP_REPLY_LINE_MAX)
		return;
	line = buf_view(&b);
	if (failed(smtp_reply_add_line(&back, line, &last, &text)))
		__builtin_trap();
	need(last && back.code == r->code);
	smtp_reply_put(&again, &back);
	need(str_eq(buf_view(&again), line));
	buf_done(&back.text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str input = { (const char *)data, size };
	struct smtp_reply r = SMTP_REPLY_INIT;
	struct smtp_offers o = { 0 };
	bool last = false;
	Str line, text;

	while (str_split(input, '\n', &line, &input)) {
		if (failed(smtp_reply_add_line(&r, line, &last, &text)))
			break;
		need(text.n == 0 || (text.p >= line.p && text.p + text.n <= line.p + line.n));
		smtp_offers_add(&o, text);
		if (last) {
			check_reply(&r);
			smtp_reply_reset(&r);
		}
	}
	buf_done(&r.text);
	return 0;
}
