/* SPDX-License-Identifier: ISC */
#include "rpc/delivery.h"

#include "os/memfd.h"

enum {
	HEAD_MAX = 4096,
	ANSWERS_MAX = 64 * 1024,
	ANSWER_TIMEOUT = 10 * 1000, /* ms */
};

Err
delivery_send(int channel, const struct delivery_message *m, Moment until)
{
	char room[HEAD_MAX];
	struct buf head = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	bool in_memfd = m->fd >= 0;

	buf_u64(&head, m->queue_id);
	buf_u32(&head, m->number);
	buf_u8(&head, m->last);
	buf_u8(&head, m->unparsed);
	buf_u8(&head, m->own_line_ends);
	buf_u64(&head, (uint64_t)m->queued.us);
	buf_u64(&head, m->forget_below);
	buf_str(&head, m->sender);
	buf_str(&head, m->recipient);
	buf_u64(&head, m->size);
	buf_u8(&head, in_memfd);
	TRY(buf_check(&head));
	return channel_send(channel, (Str[]){ buf_view(&head), in_memfd ? S("") : m->bytes }, 2,
		&m->fd, in_memfd, until);
}

static Err
read_bytes(struct cursor *c, struct channel_message *from, struct delivery_message *m)
{
	bool in_memfd;

	m->size = cursor_u64(c);
	in_memfd = cursor_u8(c) != 0;
	m->fd = -1;
	m->bytes = S("");
	if (!in_memfd) {
		m->bytes = cursor_take(c, m->size);
		return c->bad ? fail(ERR_PEER, "delivery is cut") : OK;
	}
	if (c->bad || from->fd_count != 1)
		return fail(ERR_PEER, "delivery is cut");
	TRY(memfd_check(from->fds[0], m->size));
	m->fd = channel_take_fd(from, 0);
	return OK;
}

Err
delivery_receive(int channel, char *buffer, Moment until, struct delivery_message *ret)
{
	struct channel_message from;
	struct delivery_message m;
	struct cursor c;
	Err e;

	TRY(channel_receive(channel, buffer, CHANNEL_MESSAGE_MAX, until, &from));
	c = cursor_of(from.bytes);
	m.queue_id = cursor_u64(&c);
	m.number = cursor_u32(&c);
	m.last = cursor_u8(&c) != 0;
	m.unparsed = cursor_u8(&c) != 0;
	m.own_line_ends = cursor_u8(&c) != 0;
	m.queued.us = (int64_t)cursor_u64(&c);
	m.forget_below = cursor_u64(&c);
	m.sender = cursor_str(&c);
	m.recipient = cursor_str(&c);
	e = read_bytes(&c, &from, &m);
	channel_message_drop(&from);
	if (!failed(e))
		*ret = m;
	return e;
}

Err
delivery_say_hello(int channel)
{
	return delivery_answer(channel, NULL, 0);
}

Err
delivery_answer(int channel, const struct delivery_answer *answers, size_t count)
{
	AUTO_BUF b = BUF_INIT(ANSWERS_MAX);

	buf_u32(&b, (uint32_t)count);
	for (size_t i = 0; i < count; i++) {
		buf_u64(&b, answers[i].queue_id);
		buf_u32(&b, answers[i].number);
		buf_u8(&b, (uint8_t)answers[i].verdict);
		buf_str(&b, answers[i].status);
		buf_str(&b, str_part(answers[i].text, 0, 256));
	}
	TRY(buf_check(&b));
	return channel_send(channel, (Str[]){ buf_view(&b) }, 1, NULL, 0,
		moment_after(ANSWER_TIMEOUT));
}

static Err
read_answers(struct cursor *c, struct arena *a, struct delivery_answer **ret, size_t *ret_count)
{
	size_t count = cursor_u32(c);
	struct delivery_answer *all;

	if (c->bad || count > DELIVERY_BATCH_MAX)
		return fail(ERR_PEER, "answer of an account is cut");
	all = arena_try_array(a, count, sizeof(*all));
	if (all == NULL)
		return fail(ERR_TEMP, "no room for an answer");
	for (size_t i = 0; i < count; i++) {
		uint8_t verdict;

		all[i].queue_id = cursor_u64(c);
		all[i].number = cursor_u32(c);
		verdict = cursor_u8(c);
		all[i].verdict = verdict <= DELIVERY_REFUSED ? (enum delivery_verdict)verdict
							     : DELIVERY_LATER;
		TRY(arena_copy(a, cursor_str(c), &all[i].status));
		TRY(arena_copy(a, cursor_str(c), &all[i].text));
	}
	if (c->bad)
		return fail(ERR_PEER, "answer of an account is cut");
	*ret = all;
	*ret_count = count;
	return OK;
}

Err
delivery_receive_answers(int channel, char *buffer, struct arena *a, Moment until,
	struct delivery_answer **ret, size_t *ret_count)
{
	struct channel_message from;
	struct cursor c;
	Err e;

	TRY(channel_receive(channel, buffer, CHANNEL_MESSAGE_MAX, until, &from));
	c = cursor_of(from.bytes);
	e = read_answers(&c, a, ret, ret_count);
	channel_message_drop(&from);
	return e;
}
