/* SPDX-License-Identifier: ISC */
#include "service/smtpd/clients.h"

#include "base/hash.h"
#include "base/memory.h"
#include "os/clock.h"
#include "rpc/resolver.h"

#include <pthread.h>
#include <stdlib.h>

struct name {
	Ip ip;
	Moment until;
	char text[SMTPD_NAME_MAX + 1];
	size_t n; /* 0: it has none */
};

/* Shared between threads: all of it, behind the lock. */
struct smtpd_clients {
	HashKey key;
	size_t most, per_client;
	pthread_mutex_t lock;
	struct name names[SMTPD_NAMES_KEPT];
	Ip *here; /* room for `most`; version 0 is a free place */
};

struct smtpd_clients *
smtpd_clients_new(size_t most, size_t per_client)
{
	struct smtpd_clients *c = memory_get(sizeof(*c));

	c->key = hash_key_new();
	c->most = most;
	c->per_client = per_client;
	c->here = memory_get_array(most, sizeof(*c->here));
	pthread_mutex_init(&c->lock, NULL);
	return c;
}

void
smtpd_clients_free(struct smtpd_clients *c)
{
	if (c == NULL)
		return;
	pthread_mutex_destroy(&c->lock);
	free(c->here);
	free(c);
}

Err
smtpd_clients_enter(struct smtpd_clients *c, Ip ip, size_t *ret_place)
{
	size_t place = c->most, same = 0;
	Err e = OK;

	pthread_mutex_lock(&c->lock);
	for (size_t i = 0; i < c->most; i++) {
		if (c->here[i].version == 0)
			place = place == c->most ? i : place;
		else if (c->here[i].version == ip.version &&
			 str_eq(ip_holder(&c->here[i]), ip_holder(&ip)))
			same++;
	}
	if (same >= c->per_client && !ip_is_loopback(ip))
		e = fail(ERR_LIMIT, "too many connections from one address");
	else if (place == c->most)
		e = fail(ERR_TEMP, "too many connections");
	else
		c->here[place] = ip;
	pthread_mutex_unlock(&c->lock);
	*ret_place = place;
	return e;
}

void
smtpd_clients_leave(struct smtpd_clients *c, size_t place)
{
	pthread_mutex_lock(&c->lock);
	c->here[place].version = 0;
	pthread_mutex_unlock(&c->lock);
}

static struct name *
place_of(struct smtpd_clients *c, Ip ip)
{
	Str octets = { (const char *)ip.octets, ip.version == 4 ? 4 : sizeof(ip.octets) };

	return &c->names[hash_sip(c->key, octets) % SMTPD_NAMES_KEPT];
}

static bool
get_name(struct smtpd_clients *c, Ip ip, struct buf *ret)
{
	struct name *n = place_of(c, ip);
	bool known;

	pthread_mutex_lock(&c->lock);
	known = n->ip.version == ip.version && ip_eq(n->ip, ip) && !moment_past(n->until);
	if (known)
		buf_put(ret, (Str){ n->text, n->n });
	pthread_mutex_unlock(&c->lock);
	return known;
}

static void
put_name(struct smtpd_clients *c, Ip ip, Str text)
{
	struct name *n = place_of(c, ip);

	pthread_mutex_lock(&c->lock);
	n->ip = ip;
	n->until = moment_after(SMTPD_NAME_MS);
	n->n = failed(str_c(text, n->text, sizeof(n->text))) ? 0 : text.n;
	pthread_mutex_unlock(&c->lock);
}

Err
smtpd_clients_name(struct smtpd_clients *c, struct caller *resolver, struct arena *scratch,
	Ip ip, struct buf *ret)
{
	struct resolver_name answer;
	Str name = S("");
	Err e;

	if (get_name(c, ip, ret))
		return OK;
	e = resolver_call_name(resolver, ip, scratch, &answer);
	if (!failed(e) && answer.status.outcome == RESOLVER_FOUND)
		name = answer.name;
	if (failed(e) || answer.status.outcome == RESOLVER_LATER)
		e = fail(ERR_TEMP, "resolver cannot say the client's name");
	put_name(c, ip, name);
	buf_put(ret, name);
	return e;
}
