/* SPDX-License-Identifier: ISC */
#include "rpc/admin.h"

#include "base/arena.h"
#include "rpc/serve.h"
#include "rpc/verdict.h"

enum {
	TIMEOUT = 60 * 1000, /* ms */
};

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
	for (e = caller_ask(c, &r, &reply); !failed(e); e = caller_next(c, TIMEOUT, &reply)) {
		bool more;

		TRY(verdict_read(&reply.fields, "command was refused"));
		*ret_exit = cursor_u8(&reply.fields);
		more = cursor_u8(&reply.fields) != 0;
		buf_put(ret, reply.fields.rest);
		channel_message_drop(&reply.message);
		if (!more)
			return buf_check(ret);
	}
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

void
admin_answer(struct server *s, const struct ReplyTo *to, Str text, int exit_code)
{
	bool more;

	do {
		char room[16];
		struct buf head = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
		Str piece = str_part(text, 0, ADMIN_PIECE_MAX);

		text = str_from_at(text, piece.n);
		more = text.n > 0;
		verdict_write(&head, OK);
		buf_u8(&head, (uint8_t)exit_code);
		buf_u8(&head, more);
		if (failed(server_answer(s, *to, (Str[]){ buf_view(&head), piece }, 2, NULL,
			    0)))
			return;
	} while (more);
}
