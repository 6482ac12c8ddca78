/* SPDX-License-Identifier: ISC */
#include "rpc/admin.h"

#include "base/arena.h"
#include "os/memfd.h"
#include "rpc/serve.h"
#include "rpc/verdict.h"

enum {
	TIMEOUT = 60 * 1000, /* ms */
};

/* Verdict, exit code, then the text itself or the size of a memfd with it. */
static Err
take_answer(struct reply *reply, struct buf *ret, int *ret_exit)
{
	uint64_t size;
	char *room;

	TRY(verdict_read(&reply->fields, "command was refused"));
	*ret_exit = cursor_u8(&reply->fields);
	if (reply->message.fd_count == 0) {
		buf_put(ret, reply->fields.rest);
		return buf_check(ret);
	}
	size = cursor_u64(&reply->fields);
	TRY(memfd_check(reply->message.fds[0], size));
	room = buf_room(ret, size);
	if (room == NULL)
		return fail(ERR_LIMIT, "answer is too long");
	TRY(memfd_read(reply->message.fds[0], 0, room, size));
	buf_grew(ret, size);
	return OK;
}

Err
admin_call(struct caller *c, uint16_t type, const Str *words, size_t count, int input,
	struct buf *ret, int *ret_exit)
{
	AUTO_BUF fields = BUF_INIT(CHANNEL_MESSAGE_MAX - RPC_HEADER);
	struct request r = {
		.type = type, .fds = &input, .fd_count = input >= 0, .timeout = TIMEOUT
	};
	struct reply reply;
	Err e;

	buf_u32(&fields, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		buf_str(&fields, words[i]);
	TRY(buf_check(&fields));
	r.fields = buf_view(&fields);
	TRY(caller_ask(c, &r, &reply));
	e = take_answer(&reply, ret, ret_exit);
	channel_message_drop(&reply.message);
	return e;
}

Err
admin_parse(struct cursor *c, struct arena *a, Str **ret, size_t *ret_count)
{
	size_t count = cursor_u32(c);
	Str *words;

	if (c->bad || count > ADMIN_WORDS_MAX)
		return fail(ERR_LIMIT, "too many words in a command");
	words = arena_try_array(a, count, sizeof(*words));
	if (words == NULL)
		return fail(ERR_LIMIT, "no room for a command");
	for (size_t i = 0; i < count; i++)
		words[i] = cursor_str(c);
	if (c->bad)
		return fail(ERR_PEER, "command is cut");
	*ret = words;
	*ret_count = count;
	return OK;
}

/* More than one datagram holds goes as a sealed memfd: an answer never waits for its reader. */
static Err
send_long(struct server *s, ReplyTo to, struct buf *head, Str text)
{
	AUTO_FD fd = -1;

	TRY(memfd_from(text, &fd));
	buf_u64(head, text.n);
	return server_answer(s, to, (Str[]){ buf_view(head) }, 1, &fd, 1);
}

void
admin_answer(struct server *s, const struct ReplyTo *to, Str text, int exit_code)
{
	char room[32];
	struct buf head = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	Err e;

	verdict_write(&head, OK);
	buf_u8(&head, (uint8_t)exit_code);
	e = text.n > ADMIN_PIECE_MAX
		    ? send_long(s, *to, &head, text)
		    : server_answer(s, *to, (Str[]){ buf_view(&head), text }, 2, NULL, 0);
	if (failed(e)) {
		buf_reset(&head);
		verdict_write(&head, e);
		(void)!failed(server_answer(s, *to, (Str[]){ buf_view(&head) }, 1, NULL, 0));
	}
}
