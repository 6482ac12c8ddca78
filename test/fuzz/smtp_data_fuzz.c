/* SPDX-License-Identifier: ISC */
/*
 * DATA: any split gives the same result, the end is the first CRLF.CRLF and nothing else, and
 * what was read comes back when it is written and read again.
 */
#include "format/smtp/data.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	SIZE_LIMIT = 100000,
};

static void
need(bool is_so)
{
	if (!is_so)
		__builtin_trap();
}

struct result {
	struct smtp_data d;
	bool done;
	size_t left;
	struct buf out;
};

static void
read_pieces(Str wire, size_t piece, bool dots, enum smtp_bare bare, struct result *r)
{
	struct cursor c = cursor_of(S(""));
	size_t at = 0;

	r->out = BUF_INIT((size_t)4 * SIZE_LIMIT);
	smtp_data_init(&r->d, dots, bare, SIZE_LIMIT);
	r->done = false;
	while (!r->done && at < wire.n) {
		Str part = str_part(wire, at, piece);

		c = cursor_of(part);
		r->done = smtp_data_read(&r->d, &c, &r->out);
		need(r->done || c.rest.n == 0);
		at += part.n - c.rest.n;
	}
	if (!dots)
		smtp_data_end(&r->d, &r->out);
	r->left = wire.n - at;
}

/* The oracle: what ends DATA, said in the shortest way. */
static bool
find_end(Str wire, size_t *ret_left)
{
	size_t at;

	if (str_starts(wire, S(".\r\n"))) {
		*ret_left = wire.n - 3;
		return true;
	}
	at = str_find_str(wire, S("\r\n.\r\n"));
	if (at == STR_NONE)
		return false;
	*ret_left = wire.n - at - 5;
	return true;
}

static void
check_round_trip(const struct result *r)
{
	AUTO_BUF wire = BUF_INIT((size_t)8 * SIZE_LIMIT);
	struct smtp_data_writer w = { 0 };
	struct result back;

	smtp_data_write(&w, buf_view(&r->out), &wire);
	smtp_data_write_end(&w, &wire);
	read_pieces(buf_view(&wire), SIZE_MAX, true, SMTP_BARE_REFUSE, &back);
	need(back.done && back.left == 0);
	need((back.d.faults & (SMTP_DATA_BARE_CR | SMTP_DATA_BARE_LF)) == 0);
	if (!failed(smtp_data_check(&back.d)))
		need(str_eq(buf_view(&back.out), buf_view(&r->out)));
	buf_done(&back.out);
}

static void
check(Str wire, size_t piece, bool dots, enum smtp_bare bare)
{
	struct result whole, parts;
	size_t left = 0;

	read_pieces(wire, SIZE_MAX, dots, bare, &whole);
	read_pieces(wire, piece, dots, bare, &parts);
	need(whole.done == parts.done && whole.left == parts.left);
	need(whole.d.faults == parts.d.faults && whole.d.size == parts.d.size);
	need(whole.d.longest == parts.d.longest && whole.d.eight_bit == parts.d.eight_bit);
	if (!failed(smtp_data_check(&whole.d)))
		need(str_eq(buf_view(&whole.out), buf_view(&parts.out)));
	if (dots)
		need(find_end(wire, &left) == whole.done &&
			(!whole.done || left == whole.left));
	else
		need(!whole.done);
	need(!str_has(buf_view(&whole.out), '\r') && !str_has(buf_view(&whole.out), '\0'));
	if (whole.done && !failed(smtp_data_check(&whole.d)))
		check_round_trip(&whole);
	buf_done(&whole.out);
	buf_done(&parts.out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t piece;
	Str wire;

	if (size < 1)
		return 0;
	piece = (size_t)data[0] % 16 + 1;
	wire = (Str){ (const char *)data + 1, size - 1 };
	for (int dots = 0; dots < 2; dots++) {
		check(wire, piece, dots != 0, SMTP_BARE_REFUSE);
		check(wire, piece, dots != 0, SMTP_BARE_CONVERT);
	}
	return 0;
}
