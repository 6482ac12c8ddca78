/* SPDX-License-Identifier: ISC */
#include "store/queue/record.h"

enum {
	VERSION = 1,
};

void
record_message_write(struct buf *b, const struct record_message *m)
{
	buf_u8(b, VERSION);
	buf_u8(b, m->in_file);
	buf_u32(b, m->file_sum);
	buf_u64(b, m->settles_id);
	buf_u32(b, (uint32_t)m->settles_count);
	for (size_t i = 0; i < m->settles_count; i++)
		buf_u32(b, m->settles[i]);
	envelope_write(b, &m->envelope);
}

Err
record_message_parse(Str payload, struct arena *a, struct record_message *ret)
{
	struct cursor c = cursor_of(payload);
	struct record_message m = { 0 };
	uint32_t *settles;

	if (cursor_u8(&c) != VERSION)
		return fail(ERR_PEER, "message record of an unknown version");
	m.in_file = cursor_u8(&c) != 0;
	m.file_sum = cursor_u32(&c);
	m.settles_id = cursor_u64(&c);
	m.settles_count = cursor_u32(&c);
	if (c.bad || m.settles_count > c.rest.n)
		return fail(ERR_PEER, "message record is cut");
	settles = arena_try_array(a, m.settles_count, sizeof(*settles));
	if (settles == NULL)
		return fail(ERR_TEMP, "no room for a message record");
	for (size_t i = 0; i < m.settles_count; i++)
		settles[i] = cursor_u32(&c);
	m.settles = settles;
	TRY(envelope_parse(&c, a, &m.envelope));
	m.body = c.rest;
	*ret = m;
	return OK;
}

Err
record_message_find_body(Str payload, struct arena *a, Str *ret)
{
	struct record_message m;

	TRY(record_message_parse(payload, a, &m));
	if (m.in_file || m.body.n != m.envelope.size)
		return fail(ERR_PEER, "message record without its body");
	*ret = m.body;
	return OK;
}

static void
write_reason(struct buf *b, Str status, Str text, Str remote)
{
	buf_str(b, str_part(status, 0, 16));
	buf_str(b, str_part(text, 0, QUEUE_RESULT_TEXT_MAX));
	buf_str(b, str_part(remote, 0, QUEUE_RESULT_TEXT_MAX));
}

void
record_result_write(struct buf *b, const struct record_result *r)
{
	buf_u64(b, r->result.id);
	buf_u32(b, r->result.number);
	buf_u8(b, (uint8_t)r->result.fate);
	buf_u8(b, r->result.destination_down);
	buf_u64(b, (uint64_t)r->next.us);
	write_reason(b, r->result.status, r->result.text, r->result.remote);
}

bool
record_result_parse(struct cursor *c, struct record_result *ret)
{
	struct record_result r = { 0 };

	if (cursor_done(c))
		return false;
	r.result.id = cursor_u64(c);
	r.result.number = cursor_u32(c);
	r.result.fate = (enum queue_fate)cursor_u8(c);
	r.result.destination_down = cursor_u8(c) != 0;
	r.next.us = (int64_t)cursor_u64(c);
	r.result.status = cursor_str(c);
	r.result.text = cursor_str(c);
	r.result.remote = cursor_str(c);
	*ret = r;
	return !c->bad;
}

void
record_attempt_begin(struct buf *b, uint64_t id, bool alone, uint32_t count)
{
	buf_u64(b, id);
	buf_u8(b, alone);
	buf_u32(b, count);
}

bool
record_attempt_parse(struct cursor *c, uint64_t *ret_id, bool *ret_alone, uint32_t *ret_count)
{
	if (cursor_done(c))
		return false;
	*ret_id = cursor_u64(c);
	*ret_alone = cursor_u8(c) != 0;
	*ret_count = cursor_u32(c);
	return !c->bad && *ret_count <= c->rest.n;
}

void
record_expand_write(struct buf *b, const struct record_expand *e)
{
	buf_u64(b, e->id);
	buf_u32(b, e->number);
	buf_u64(b, e->cursor);
	buf_u8(b, e->done);
	buf_u32(b, (uint32_t)e->count);
	for (size_t i = 0; i < e->count; i++) {
		buf_u32(b, e->members[i].number);
		buf_u8(b, (uint8_t)e->members[i].class);
		buf_str(b, e->members[i].address);
	}
}

Err
record_expand_parse(Str payload, struct arena *a, struct record_expand *ret)
{
	struct cursor c = cursor_of(payload);
	struct record_expand e = { 0 };

	e.id = cursor_u64(&c);
	e.number = cursor_u32(&c);
	e.cursor = cursor_u64(&c);
	e.done = cursor_u8(&c) != 0;
	e.count = cursor_u32(&c);
	if (c.bad || e.count > c.rest.n)
		return fail(ERR_PEER, "expansion record is cut");
	e.members = arena_try_array(a, e.count, sizeof(*e.members));
	if (e.members == NULL)
		return fail(ERR_TEMP, "no room for an expansion record");
	for (size_t i = 0; i < e.count; i++) {
		e.members[i].number = cursor_u32(&c);
		e.members[i].class = (enum envelope_class)cursor_u8(&c);
		e.members[i].address = cursor_str(&c);
	}
	if (c.bad)
		return fail(ERR_PEER, "expansion record is cut");
	*ret = e;
	return OK;
}

void
record_control_write(struct buf *b, uint64_t id, enum record_verb verb)
{
	buf_u64(b, id);
	buf_u8(b, (uint8_t)verb);
}

bool
record_control_parse(Str payload, uint64_t *ret_id, enum record_verb *ret_verb)
{
	struct cursor c = cursor_of(payload);

	*ret_id = cursor_u64(&c);
	*ret_verb = (enum record_verb)cursor_u8(&c);
	return !c.bad;
}

void
record_moved_write(struct buf *b, const struct record_moved *m)
{
	buf_u8(b, VERSION);
	buf_u64(b, m->id);
	buf_u8(b, m->held);
	buf_u32(b, m->file_sum);
	buf_u32(b, m->next_number);
	envelope_write(b, &m->envelope);
	buf_u32(b, m->recipient_count);
}

void
record_moved_write_recipient(struct buf *b, const struct record_moved_recipient *r)
{
	buf_u32(b, r->number);
	buf_u8(b, (uint8_t)r->class);
	buf_u8(b, (uint8_t)r->state);
	buf_u16(b, r->attempts);
	buf_u8(b, r->crashes);
	buf_u64(b, r->cursor);
	buf_u64(b, (uint64_t)r->next.us);
	buf_str(b, r->address);
	write_reason(b, r->reason.status, r->reason.text, r->reason.remote);
}

Err
record_moved_parse(Str payload, struct arena *a, struct record_moved *ret)
{
	struct cursor c = cursor_of(payload);
	struct record_moved m = { 0 };

	if (cursor_u8(&c) != VERSION)
		return fail(ERR_PEER, "record of a moved message of an unknown version");
	m.id = cursor_u64(&c);
	m.held = cursor_u8(&c) != 0;
	m.file_sum = cursor_u32(&c);
	m.next_number = cursor_u32(&c);
	TRY(envelope_parse(&c, a, &m.envelope));
	m.recipient_count = cursor_u32(&c);
	if (c.bad || m.recipient_count > c.rest.n)
		return fail(ERR_PEER, "record of a moved message is cut");
	m.recipients = c;
	*ret = m;
	return OK;
}

bool
record_moved_next(struct record_moved *m, struct record_moved_recipient *ret)
{
	struct cursor *c = &m->recipients;
	struct record_moved_recipient r = { 0 };

	if (m->recipient_count == 0)
		return false;
	m->recipient_count--;
	r.number = cursor_u32(c);
	r.class = (enum envelope_class)cursor_u8(c);
	r.state = (enum queue_recipient_state)cursor_u8(c);
	r.attempts = cursor_u16(c);
	r.crashes = cursor_u8(c);
	r.cursor = cursor_u64(c);
	r.next.us = (int64_t)cursor_u64(c);
	r.address = cursor_str(c);
	r.reason.status = cursor_str(c);
	r.reason.text = cursor_str(c);
	r.reason.remote = cursor_str(c);
	*ret = r;
	return !c->bad;
}
