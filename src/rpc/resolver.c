/* SPDX-License-Identifier: ISC */
#include "rpc/resolver.h"

enum {
	TIMEOUT = 60 * 1000, /* ms; libunbound gives up on silent servers before that */
};

#define ASKERS (BIT(SERVICE_RELAY) | BIT(SERVICE_SMTPD) | BIT(SERVICE_SUBMIT))

const struct rpc_rule resolver_rules[] = {
	{ RESOLVER_ASK_MX, ASKERS },
	{ RESOLVER_ASK_ADDRESSES, ASKERS },
	{ RESOLVER_ASK_NAME, ASKERS },
	{ RESOLVER_ASK_TEXTS, ASKERS },
	{ 0 },
};

const char *
resolver_outcome_name(enum resolver_outcome outcome)
{
	static const char *const names[] = {
		[RESOLVER_FOUND] = "found",
		[RESOLVER_NO_NAME] = "no such name",
		[RESOLVER_NO_DATA] = "no data",
		[RESOLVER_LATER] = "later",
	};

	return outcome < COUNT(names) ? names[outcome] : "unknown";
}

const char *
resolver_security_name(enum resolver_security security)
{
	static const char *const names[] = {
		[RESOLVER_INSECURE] = "insecure",
		[RESOLVER_SECURE] = "secure",
		[RESOLVER_BOGUS] = "bogus",
	};

	return security < COUNT(names) ? names[security] : "unknown";
}

static Err
ask(struct caller *c, enum resolver_request request, Str name, struct reply *ret)
{
	char room[4 + IP_REVERSE_MAX + 1024];
	struct buf fields = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct request r = { .type = (uint16_t)request, .timeout = TIMEOUT };

	buf_str(&fields, name);
	TRY(buf_check(&fields));
	r.fields = buf_view(&fields);
	return caller_ask(c, &r, ret);
}

static void
write_status(struct buf *b, const struct resolver_status *s, size_t count)
{
	buf_u8(b, (uint8_t)s->outcome);
	buf_u8(b, (uint8_t)s->security);
	buf_u32(b, s->ttl);
	buf_u8(b, s->alias);
	buf_u8(b, (uint8_t)count);
}

/* The count may not be over most. */
static struct resolver_status
parse_status(struct cursor *c, size_t most, size_t *ret_count)
{
	struct resolver_status s;

	s.outcome = (enum resolver_outcome)cursor_u8(c);
	s.security = (enum resolver_security)cursor_u8(c);
	s.ttl = cursor_u32(c);
	s.alias = cursor_u8(c) != 0;
	*ret_count = cursor_u8(c);
	if (s.outcome > RESOLVER_LATER || s.security > RESOLVER_BOGUS || *ret_count > most)
		c->bad = true;
	return s;
}

static Err
finish(struct reply *r)
{
	bool broken = r->fields.bad;

	channel_message_drop(&r->message);
	return broken ? fail(ERR_TEMP, "broken answer from the resolver") : OK;
}

void
resolver_write_mx(struct buf *b, const struct resolver_mx *mx)
{
	write_status(b, &mx->status, mx->count);
	for (size_t i = 0; i < mx->count; i++) {
		buf_u16(b, mx->list[i].preference);
		buf_str(b, mx->list[i].host);
	}
}

Err
resolver_call_mx(struct caller *c, Str domain, struct arena *a, struct resolver_mx *ret)
{
	struct resolver_mx mx = { 0 };
	struct reply r;

	TRY(ask(c, RESOLVER_ASK_MX, domain, &r));
	mx.status = parse_status(&r.fields, RESOLVER_EXCHANGERS_MAX, &mx.count);
	for (size_t i = 0; i < mx.count && !r.fields.bad; i++) {
		mx.list[i].preference = cursor_u16(&r.fields);
		TRY(arena_copy(a, cursor_str(&r.fields), &mx.list[i].host));
	}
	TRY(finish(&r));
	*ret = mx;
	return OK;
}

void
resolver_write_addresses(struct buf *b, const struct resolver_addresses *addresses)
{
	write_status(b, &addresses->status, addresses->count);
	for (size_t i = 0; i < addresses->count; i++) {
		Ip ip = addresses->list[i];

		buf_str(b, (Str){ (const char *)ip.octets, ip.version == 4 ? 4 : 16 });
	}
}

Err
resolver_call_addresses(struct caller *c, Str host, struct resolver_addresses *ret)
{
	struct resolver_addresses addresses = { 0 };
	struct reply r;

	TRY(ask(c, RESOLVER_ASK_ADDRESSES, host, &r));
	addresses.status = parse_status(&r.fields, RESOLVER_ADDRESSES_MAX, &addresses.count);
	for (size_t i = 0; i < addresses.count && !r.fields.bad; i++)
		if (!ip_from_octets(cursor_str(&r.fields), &addresses.list[i]))
			r.fields.bad = true;
	TRY(finish(&r));
	*ret = addresses;
	return OK;
}

void
resolver_write_name(struct buf *b, const struct resolver_name *name)
{
	write_status(b, &name->status, 1);
	buf_str(b, name->name);
}

Err
resolver_call_name(struct caller *c, Ip ip, struct arena *a, struct resolver_name *ret)
{
	AUTO_BUF text = BUF_INIT(IP_TEXT_MAX);
	struct resolver_name name = { 0 };
	struct reply r;
	size_t count;

	ip_write(ip, &text);
	TRY(ask(c, RESOLVER_ASK_NAME, buf_view(&text), &r));
	name.status = parse_status(&r.fields, 1, &count);
	TRY(arena_copy(a, cursor_str(&r.fields), &name.name));
	TRY(finish(&r));
	*ret = name;
	return OK;
}

void
resolver_write_texts(struct buf *b, const struct resolver_texts *texts)
{
	write_status(b, &texts->status, texts->count);
	for (size_t i = 0; i < texts->count; i++)
		buf_str(b, texts->list[i]);
}

Err
resolver_call_texts(struct caller *c, Str name, struct arena *a, struct resolver_texts *ret)
{
	struct resolver_texts texts = { 0 };
	struct reply r;

	TRY(ask(c, RESOLVER_ASK_TEXTS, name, &r));
	texts.status = parse_status(&r.fields, RESOLVER_TEXTS_MAX, &texts.count);
	for (size_t i = 0; i < texts.count && !r.fields.bad; i++)
		TRY(arena_copy(a, cursor_str(&r.fields), &texts.list[i]));
	TRY(finish(&r));
	*ret = texts;
	return OK;
}
