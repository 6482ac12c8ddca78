/* SPDX-License-Identifier: ISC */
#include "rpc/keys.h"

#include "base/memory.h"
#include "rpc/pool.h"
#include "rpc/serve.h"
#include "rpc/verdict.h"

#include <stdlib.h>

enum {
	TIMEOUT = 10 * 1000, /* ms */
};

const struct rpc_rule keys_rules[] = {
	{ KEYS_SIGN, BIT(SERVICE_SMTPD) | BIT(SERVICE_SUBMIT) | BIT(SERVICE_LOGIN) },
	{ 0 },
};

struct keys_client {
	struct caller_pool *callers;
};

struct keys_client *
keys_client_new(struct peer *p)
{
	struct keys_client *k = memory_get(sizeof(*k));

	k->callers = caller_pool_new(p);
	return k;
}

void
keys_client_free(struct keys_client *k)
{
	if (k == NULL)
		return;
	caller_pool_free(k->callers);
	free(k);
}

static Err
ask(struct caller *c, Str fields, Str message, struct buf *ret)
{
	struct request r = {
		.type = KEYS_SIGN, .fields = fields, .body = message, .timeout = TIMEOUT
	};
	struct reply reply;
	Err e;

	TRY(caller_ask(c, &r, &reply));
	e = verdict_read(&reply.fields, "keys does not sign this");
	if (!failed(e)) {
		buf_put(ret, cursor_str(&reply.fields));
		e = reply.fields.bad ? fail(ERR_TEMP, "answer of keys is cut") : buf_check(ret);
	}
	channel_message_drop(&reply.message);
	return e;
}

static Err
sign(void *with, KeyId id, enum key_scheme scheme, Str message, struct buf *ret)
{
	struct keys_client *k = with;
	char room[KEY_ID_SIZE + 2];
	struct buf fields = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct caller *c = caller_pool_take(k->callers);
	Err e;

	buf_put(&fields, (Str){ (const char *)id.octets, sizeof(id.octets) });
	buf_u16(&fields, (uint16_t)scheme);
	e = ask(c, buf_view(&fields), message, ret);
	caller_pool_give(k->callers, c);
	return e;
}

struct tls_signer
keys_client_signer(struct keys_client *k)
{
	return (struct tls_signer){ sign, k };
}

Err
keys_parse_sign(struct cursor *c, struct keys_sign_request *ret)
{
	struct keys_sign_request r;
	Str id = cursor_take(c, KEY_ID_SIZE);

	r.scheme = (enum key_scheme)cursor_u16(c);
	r.message = c->rest;
	if (c->bad)
		return fail(ERR_PEER, "request is cut");
	memcpy(r.id.octets, id.p, sizeof(r.id.octets));
	*ret = r;
	return OK;
}

void
keys_write_signature(struct buf *b, Str signature)
{
	verdict_write(b, OK);
	buf_str(b, signature);
}
