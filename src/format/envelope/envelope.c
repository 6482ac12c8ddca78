/* SPDX-License-Identifier: ISC */
#include "format/envelope/envelope.h"

enum {
	VERSION = 1,
	ID_DIGITS_MIN = 10,
};

void
envelope_write(struct buf *b, const struct envelope *e)
{
	buf_u8(b, VERSION);
	buf_u32(b, e->flags);
	buf_u64(b, e->account);
	buf_u64(b, e->size);
	buf_u64(b, (uint64_t)e->began.us);
	buf_u64(b, (uint64_t)e->queued.us);
	buf_str(b, e->sender);
	buf_str(b, e->client);
	buf_str(b, e->session);
	buf_u32(b, (uint32_t)e->recipient_count);
	for (size_t i = 0; i < e->recipient_count; i++) {
		buf_u32(b, e->recipients[i].number);
		buf_u8(b, (uint8_t)e->recipients[i].class);
		buf_u64(b, e->recipients[i].cursor);
		buf_str(b, e->recipients[i].address);
	}
}

static Err
parse_recipients(struct cursor *c, struct arena *a, struct envelope *ret)
{
	size_t count = cursor_u32(c);

	if (c->bad || count > c->rest.n)
		return fail(ERR_PEER, "envelope is cut");
	if (count > ENVELOPE_RECIPIENTS_MAX)
		return fail(ERR_LIMIT, "envelope has too many recipients");
	ret->recipients = arena_try_array(a, count, sizeof(*ret->recipients));
	if (ret->recipients == NULL)
		return fail(ERR_LIMIT, "no room for the recipients");
	ret->recipient_count = count;
	for (size_t i = 0; i < count; i++) {
		struct envelope_recipient *r = &ret->recipients[i];

		r->number = cursor_u32(c);
		r->class = cursor_u8(c) == ENVELOPE_REMOTE ? ENVELOPE_REMOTE : ENVELOPE_LOCAL;
		r->cursor = cursor_u64(c);
		r->address = cursor_str(c);
	}
	return OK;
}

Err
envelope_parse(struct cursor *c, struct arena *a, struct envelope *ret)
{
	struct envelope e = { 0 };

	if (cursor_u8(c) != VERSION)
		return fail(ERR_PEER, "not an envelope of a known version");
	e.flags = cursor_u32(c);
	e.account = cursor_u64(c);
	e.size = cursor_u64(c);
	e.began.us = (int64_t)cursor_u64(c);
	e.queued.us = (int64_t)cursor_u64(c);
	e.sender = cursor_str(c);
	e.client = cursor_str(c);
	e.session = cursor_str(c);
	TRY(parse_recipients(c, a, &e));
	if (c->bad)
		return fail(ERR_PEER, "envelope is cut");
	*ret = e;
	return OK;
}

void
queue_id_write(struct buf *b, uint64_t id)
{
	char digits[QUEUE_ID_TEXT_MAX];
	size_t at = sizeof(digits);

	while (at > 0 && (id != 0 || at > sizeof(digits) - ID_DIGITS_MIN)) {
		digits[--at] = "0123456789ABCDEF"[id & 15];
		id >>= 4;
	}
	buf_put(b, (Str){ digits + at, sizeof(digits) - at });
}

Err
queue_id_parse(Str s, uint64_t *ret)
{
	uint64_t id = 0;

	if (s.n == 0 || s.n > QUEUE_ID_TEXT_MAX)
		return fail(ERR_PEER, "not a queue id");
	for (size_t i = 0; i < s.n; i++) {
		char c = char_upper(s.p[i]);
		int digit = char_is_digit(c)       ? c - '0'
			    : c >= 'A' && c <= 'F' ? c - 'A' + 10
						   : -1;

		if (digit < 0)
			return fail(ERR_PEER, "not a queue id");
		id = id << 4 | (uint64_t)digit;
	}
	*ret = id;
	return OK;
}
