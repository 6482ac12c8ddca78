/* SPDX-License-Identifier: ISC */
#include "rpc/keys.h"

#include "base/memory.h"
#include "rpc/serve.h"
#include "rpc/verdict.h"

#include <pthread.h>
#include <stdlib.h>

enum {
	TIMEOUT = 10 * 1000, /* ms */
	KEPT_MAX = 4,        /* callers that wait for the next handshake */
};

const struct rpc_rule keys_rules[] = {
	{ KEYS_SIGN, BIT(SERVICE_SMTPD) | BIT(SERVICE_SUBMIT) | BIT(SERVICE_LOGIN) },
	{ 0 },
};

/* Shared between threads: the list of callers that nobody uses now, behind its lock. */
struct keys_client {
	struct peer *peer;
	pthread_mutex_t lock;
	struct caller *kept[KEPT_MAX]; /* guarded by lock */
	size_t kept_count;             /* guarded by lock */
};

struct keys_client *
keys_client_new(struct peer *p)
{
	struct keys_client *k = memory_get(sizeof(*k));

	k->peer = p;
	pthread_mutex_init(&k->lock, NULL);
	return k;
}

void
keys_client_free(struct keys_client *k)
{
	if (k == NULL)
		return;
	while (k->kept_count > 0)
		caller_free(k->kept[--k->kept_count]);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static struct caller *
take_caller(struct keys_client *k)
{
	struct caller *c = NULL;

	pthread_mutex_lock(&k->lock);
	if (k->kept_count > 0)
		c = k->kept[--k->kept_count];
	pthread_mutex_unlock(&k->lock);
	return c != NULL ? c : caller_new(k->peer);
}

static void
give_back(struct keys_client *k, struct caller *c)
{
	pthread_mutex_lock(&k->lock);
	if (k->kept_count < KEPT_MAX)
		k->kept[k->kept_count++] = TAKE(c);
	pthread_mutex_unlock(&k->lock);
	caller_free(c);
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
	struct caller *c = take_caller(k);
	Err e;

	buf_put(&fields, (Str){ (const char *)id.octets, sizeof(id.octets) });
	buf_u16(&fields, (uint16_t)scheme);
	e = ask(c, buf_view(&fields), message, ret);
	give_back(k, c);
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
