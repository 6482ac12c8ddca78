/* SPDX-License-Identifier: ISC */
#include "rpc/keys.h"

#include "base/memory.h"
#include "os/file.h"
#include "rpc/log.h"
#include "rpc/pool.h"
#include "rpc/serve.h"
#include "rpc/verdict.h"

#include <stdlib.h>
#include <sys/stat.h>

enum {
	TIMEOUT = 10 * 1000,          /* ms */
	CERTIFICATE_MAX = 256 * 1024, /* octets of PEM */
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

/* Every service has the same open file, so nobody may depend on where it stands. */
static Err
read_file(const struct start *start, const char *name, struct buf *ret)
{
	int file = start_file(start, name);
	struct stat st;
	char *room;

	if (file < 0)
		return fail(ERR_PERM, "no certificate was handed over");
	if (fstat(file, &st) != 0)
		return fail_sys(ERR_PERM, "cannot look at a file of master's");
	room = buf_room(ret, (size_t)st.st_size);
	TRY(buf_check(ret));
	TRY(file_read_at(file, 0, room, (size_t)st.st_size));
	buf_grew(ret, (size_t)st.st_size);
	return OK;
}

Err
keys_client_server(struct keys_client *k, const struct start *start, struct tls_context **ret)
{
	AUTO_BUF pem = BUF_INIT(CERTIFICATE_MAX);
	AUTO_BUF tickets = BUF_INIT(TLS_TICKET_KEY_SIZE);
	AUTO(tls_context) context = NULL;
	Err e;

	TRY(read_file(start, "certificate", &pem));
	TRY(tls_context_new_server(keys_client_signer(k), &context));
	TRY(tls_context_add_chain(context, buf_view(&pem)));
	/* Without it tickets are good for one process, as OpenSSL makes them. */
	e = read_file(start, "tickets", &tickets);
	if (!failed(e))
		e = tls_context_set_ticket_key(context, buf_view(&tickets));
	if (tickets.p != NULL)
		explicit_bzero(tickets.p, tickets.n);
	if (failed(e))
		log_failure(LOG_LEVEL_WARNING, "tls.tickets", e);
	*ret = TAKE(context);
	return OK;
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
