/* SPDX-License-Identifier: ISC */
#include "rpc/hash.h"

#include "os/password.h"
#include "rpc/verdict.h"

enum {
	SEND_TIMEOUT = 1000, /* ms; its socket is full only when it hangs */
	FIELDS_MAX = PASSWORD_MAX + PASSWORD_HASH_MAX + 16,
};

const struct rpc_rule hash_rules[] = {
	{ HASH_VERIFY, BIT(SERVICE_DIRECTORY) },
	{ 0 },
};

Err
hash_send_verify(struct caller *c, Str hash, Str password, uint32_t *ret_serial)
{
	char room[FIELDS_MAX];
	struct buf fields = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct request r = { .type = HASH_VERIFY, .timeout = SEND_TIMEOUT };
	Err e;

	buf_str(&fields, hash);
	buf_str(&fields, password);
	e = buf_check(&fields);
	r.fields = buf_view(&fields);
	if (!failed(e))
		e = caller_send(c, &r, ret_serial);
	explicit_bzero(room, sizeof(room));
	return e;
}

Err
hash_receive_verify(struct caller *c, uint32_t *ret_serial, Err *ret_verdict, bool *ret_right)
{
	struct reply reply;

	TRY(caller_receive(c, &reply, ret_serial));
	*ret_verdict = verdict_read(&reply.fields, "password cannot be checked now");
	*ret_right = cursor_u8(&reply.fields) == 1 && !failed(*ret_verdict);
	channel_message_drop(&reply.message);
	return OK;
}

Err
hash_parse_verify(struct cursor *c, struct hash_verify *ret)
{
	struct hash_verify v;

	v.hash = cursor_str(c);
	v.password = cursor_str(c);
	if (c->bad || v.hash.n > PASSWORD_HASH_MAX || v.password.n > PASSWORD_MAX)
		return fail(ERR_PEER, "request is cut or too long");
	*ret = v;
	return OK;
}

void
hash_write_verify(struct buf *b, Err verdict, bool right)
{
	verdict_write(b, verdict);
	buf_u8(b, right);
}
