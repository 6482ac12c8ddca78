/* SPDX-License-Identifier: ISC */
#include "format/imap/mutf7.h"

enum {
	BITS = 6, /* in one base64 letter */
	UNIT = 16 /* bits in one UTF-16 unit */
};

static const char letters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/* One character of UTF-8, or -1: RFC 3629, section 4. */
static int32_t
take_utf8(struct cursor *c)
{
	int first = cursor_next(c);
	int32_t code, least;
	int more;

	if (first < 0x80)
		return first;
	if (first >= 0xc2 && first <= 0xdf) {
		more = 1, code = first & 0x1f, least = 0x80;
	} else if (first >= 0xe0 && first <= 0xef) {
		more = 2, code = first & 0x0f, least = 0x800;
	} else if (first >= 0xf0 && first <= 0xf4) {
		more = 3, code = first & 0x07, least = 0x10000;
	} else {
		return -1;
	}
	for (; more > 0; more--) {
		int next = cursor_next(c);

		if (next < 0 || (next & 0xc0) != 0x80)
			return -1;
		code = code << 6 | (next & 0x3f);
	}
	if (code < least || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
		return -1;
	return code;
}

bool
imap_utf8_valid(Str s)
{
	struct cursor c = cursor_of(s);

	while (!cursor_done(&c))
		if (take_utf8(&c) < 0)
			return false;
	return true;
}

/* The bits of a base64 run that have not made a letter (or a unit) yet. */
struct bits {
	uint32_t held;
	unsigned count;
};

static void
put_unit(struct buf *b, struct bits *bits, uint32_t unit)
{
	bits->held = bits->held << UNIT | unit;
	bits->count += UNIT;
	while (bits->count >= BITS) {
		bits->count -= BITS;
		buf_put_char(b, letters[bits->held >> bits->count & 0x3f]);
	}
}

static void
end_run(struct buf *b, struct bits *bits)
{
	if (bits->count > 0)
		buf_put_char(b, letters[bits->held << (BITS - bits->count) & 0x3f]);
	buf_put_char(b, '-');
	*bits = (struct bits){ 0 };
}

Err
imap_mutf7_write(struct buf *ret, Str s)
{
	struct cursor c = cursor_of(s);
	struct bits bits = { 0 };
	bool in_run = false;

	while (!cursor_done(&c)) {
		int32_t code = take_utf8(&c);

		if (code < 0)
			return fail(ERR_PEER, "mailbox name is not UTF-8");
		if (code >= 0x20 && code <= 0x7e) {
			if (in_run)
				end_run(ret, &bits);
			in_run = false;
			buf_put_char(ret, (char)code);
			if (code == '&')
				buf_put_char(ret, '-');
			continue;
		}
		if (!in_run)
			buf_put_char(ret, '&');
		in_run = true;
		if (code >= 0x10000) {
			code -= 0x10000;
			put_unit(ret, &bits, (uint32_t)(0xd800 + (code >> 10)));
			put_unit(ret, &bits, (uint32_t)(0xdc00 + (code & 0x3ff)));
		} else {
			put_unit(ret, &bits, (uint32_t)code);
		}
	}
	if (in_run)
		end_run(ret, &bits);
	return buf_check(ret);
}

static void
put_utf8(struct buf *b, uint32_t code)
{
	if (code < 0x80) {
		buf_put_char(b, (char)code);
		return;
	}
	if (code < 0x800) {
		buf_put_char(b, (char)(0xc0 | code >> 6));
	} else {
		if (code < 0x10000) {
			buf_put_char(b, (char)(0xe0 | code >> 12));
		} else {
			buf_put_char(b, (char)(0xf0 | code >> 18));
			buf_put_char(b, (char)(0x80 | (code >> 12 & 0x3f)));
		}
		buf_put_char(b, (char)(0x80 | (code >> 6 & 0x3f)));
	}
	buf_put_char(b, (char)(0x80 | (code & 0x3f)));
}

static int
letter_value(int c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == ',' ? 63 : -1;
}

/* One UTF-16 unit; *high is the first half of a pair that waits for its second. */
static bool
take_unit(struct buf *b, uint32_t unit, uint32_t *high)
{
	if (*high != 0) {
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		put_utf8(b, 0x10000 + ((*high - 0xd800) << 10) + (unit - 0xdc00));
		*high = 0;
		return true;
	}
	if (unit >= 0xd800 && unit <= 0xdbff) {
		*high = unit;
		return true;
	}
	/* Printable ASCII stands for itself, never in base64. */
	if ((unit >= 0x20 && unit <= 0x7e) || (unit >= 0xdc00 && unit <= 0xdfff))
		return false;
	put_utf8(b, unit);
	return true;
}

/* What is between & and -, both eaten here. */
static bool
take_run(struct cursor *c, struct buf *b)
{
	struct bits bits = { 0 };
	uint32_t high = 0;
	int at;

	if (cursor_take_char(c, '-')) {
		buf_put_char(b, '&');
		return true;
	}
	while ((at = cursor_next(c)) != '-') {
		int value = letter_value(at);

		if (value < 0)
			return false;
		bits.held = bits.held << BITS | (uint32_t)value;
		bits.count += BITS;
		if (bits.count < UNIT)
			continue;
		bits.count -= UNIT;
		if (!take_unit(b, bits.held >> bits.count & 0xffff, &high))
			return false;
	}
	/* Left over: fewer bits than a letter has, all zero. */
	if (high != 0 || bits.count >= BITS || (bits.held & ((1U << bits.count) - 1)) != 0)
		return false;
	/* "&xx-&yy-" would be a second spelling of "&xxyy-". */
	return cursor_peek(c) != '&' || cursor_peek_at(c, 1) == '-';
}

Err
imap_mutf7_parse(Str s, struct buf *ret)
{
	struct cursor c = cursor_of(s);

	while (!cursor_done(&c)) {
		int at = cursor_next(&c);

		if (at < 0x20 || at > 0x7e)
			return fail(ERR_PEER, "mailbox name is not modified UTF-7");
		if (at != '&')
			buf_put_char(ret, (char)at);
		else if (!take_run(&c, ret))
			return fail(ERR_PEER, "mailbox name is not modified UTF-7");
	}
	return buf_check(ret);
}
