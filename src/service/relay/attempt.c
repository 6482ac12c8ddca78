/* SPDX-License-Identifier: ISC */
#include "service/relay/attempt.h"

#include "format/address/address.h"
#include "format/address/domain.h"
#include "rpc/log.h"

#include <stdlib.h>

/* What an attempt has come to so far. */
struct progress {
	struct attempt *attempt;
	struct route_hop hop;
	Str *addresses;           /* of the recipients */
	struct client_result why; /* of servers that could not be spoken to at all */
	size_t sessions, tried;
	Moment until; /* no other server after that */
	uint64_t seed;
	bool stop;
};

void
attempt_connection_close(struct attempt_connection *c, bool politely)
{
	if (c->client == NULL)
		return;
	if (politely)
		client_quit(c->client);
	client_free(c->client);
	c->client = NULL;
}

static Err
domain_of(Str mailbox, Str *ret)
{
	struct address a;

	TRY(address_parse(mailbox, ADDRESS_UTF8, &a));
	*ret = a.domain;
	return OK;
}

Err
attempt_destination(const struct relay *relay, const struct queue_job *job, struct buf *ret)
{
	Str domain;

	if (relay->has_smart) {
		buf_put(ret, S(QUEUE_ANYWHERE));
		return buf_check(ret);
	}
	TRY(domain_of(job->envelope.recipients[0].address, &domain));
	TRY(address_domain_put_key(ret, domain));
	return buf_check(ret);
}

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]" (RFC 5321, 4.1.3). */
static Err
hop_of_literal(Str literal, uint16_t port, struct route_hop *ret)
{
	Str text = str_part(literal, 1, literal.n - 2);

	if (str_starts_icase(text, S("IPv6:")))
		text = str_from_at(text, 5);
	*ret = (struct route_hop){ .by = ROUTE_BY_ADDRESS, .name = text, .port = port };
	return ip_parse(text, &ret->ip);
}

static Err
find_hop(struct progress *p)
{
	struct attempt *at = p->attempt;
	AUTO_BUF key = BUF_INIT(ATTEMPT_KEY_MAX);
	uint16_t port = (uint16_t)at->relay->settings.port;
	Str domain;

	if (at->relay->has_smart) {
		p->hop = at->relay->smart;
		return OK;
	}
	TRY(attempt_destination(at->relay, at->job, &key));
	TRY(arena_copy(at->arena, buf_view(&key), &domain));
	if (str_at(domain, 0) == '[')
		return hop_of_literal(domain, port, &p->hop);
	route_hop_init_domain(&p->hop, domain, port);
	return OK;
}

/* Somebody could not be reached. What can still succeed later weighs more than a final no. */
static void
remember(struct progress *p, const struct client_result *why)
{
	if (p->why.status.n == 0 || p->why.kind == QUEUE_FAILED || why->kind == QUEUE_DEFERRED)
		p->why = *why;
	p->stop |= why->settled;
}

static void
remember_words(struct progress *p, const char *status, Str who, const char *what)
{
	AUTO_BUF text = BUF_INIT(QUEUE_TEXT_MAX);
	struct client_result why;

	buf_put(&text, str_part(who, 0, ATTEMPT_KEY_MAX));
	buf_printf(&text, ": %s", what);
	client_result_set(&why, status[0] == '5' ? QUEUE_FAILED : QUEUE_DEFERRED,
		str_from(status), buf_view(&text), p->attempt->arena);
	remember(p, &why);
}

static bool
is_open(const struct client_result *r)
{
	return r->status.n == 0 || (r->kind == QUEUE_DEFERRED && !r->settled);
}

/* Sends to all who have no final result. */
static void
send_to_rest(struct progress *p)
{
	struct attempt *at = p->attempt;
	size_t count = at->job->envelope.recipient_count, rest = 0;
	Str *names = arena_try_array(at->arena, count, sizeof(*names));
	size_t *places = arena_try_array(at->arena, count, sizeof(*places));
	struct client_result *results = arena_try_array(at->arena, count, sizeof(*results));
	struct client_message m = { .sender = at->job->envelope.sender,
		.flags = at->job->envelope.flags,
		.body = &at->job->body,
		.recipients = names };
	int64_t began = clock_moment_us();

	if (names == NULL || places == NULL || results == NULL) {
		p->stop = true;
		return;
	}
	for (size_t i = 0; i < count; i++)
		if (is_open(&at->results[i])) {
			places[rest] = i;
			names[rest++] = p->addresses[i];
		}
	m.recipient_count = rest;
	if (!client_send(at->connection->client, &m, at->arena, results))
		attempt_connection_close(at->connection, false);
	for (size_t i = 0; i < rest; i++)
		at->results[places[i]] = results[i];
	at->transmit_us += clock_moment_us() - began;
}

static bool
is_over(const struct progress *p)
{
	const struct attempt *at = p->attempt;
	size_t open = 0;

	for (size_t i = 0; i < at->job->envelope.recipient_count; i++)
		open += is_open(&at->results[i]);
	return open == 0 || p->stop || p->sessions >= ATTEMPT_SESSIONS_MAX ||
	       p->tried >= ATTEMPT_ADDRESSES_MAX || moment_past(p->until);
}

static void
set_remote(struct attempt *at)
{
	const struct client_target *t = &at->connection->target;
	AUTO_BUF b = BUF_INIT(2 * ATTEMPT_KEY_MAX);

	buf_printf(&b, "%.*s[%.*s]:%u", STR_ARG(t->host), STR_ARG(t->address), t->port);
	if (failed(arena_copy(at->arena, buf_view(&b), &at->remote)))
		at->remote = S("");
}

static void
aim(struct progress *p, Str host, Ip ip)
{
	const struct relay *relay = p->attempt->relay;
	struct attempt_connection *c = p->attempt->connection;
	AUTO_BUF address = BUF_INIT(CONN_PEER_MAX);

	ip_write(ip, &address);
	if (failed(str_c(buf_view(&address), c->address, sizeof(c->address))))
		c->address[0] = '\0';
	if (failed(str_c(host, c->host, sizeof(c->host))))
		c->host[0] = '\0';
	c->target = (struct client_target){ .own_name = relay->settings.hostname,
		.host = str_from(c->host[0] != '\0' ? c->host : c->address),
		.address = str_from(c->address),
		.port = p->hop.port,
		.tls = CLIENT_TLS_TRY,
		.tls_context = relay->any_tls,
		.named = p->hop.named };
	if (!relay->has_smart)
		return;
	c->target.login = relay->settings.login;
	if (relay->settings.tls == RELAY_TLS_REQUIRE) {
		c->target.tls = CLIENT_TLS_REQUIRE;
		c->target.tls_context = relay->proven_tls;
	} else if (relay->settings.tls == RELAY_TLS_OFF) {
		c->target.tls = CLIENT_TLS_OFF;
	}
}

static enum client_state
connect_once(struct progress *p, struct client_result *why)
{
	struct attempt *at = p->attempt;
	struct attempt_connection *c = at->connection;
	AUTO_BUF text = BUF_INIT(2 * ATTEMPT_KEY_MAX);
	struct conn *conn;
	Err e = conn_dial(c->target.address, c->target.port, at->relay->times->connect, &conn);
	enum client_state state;

	if (failed(e)) {
		buf_printf(&text, "connect to %.*s[%.*s]:%u: %s", STR_ARG(c->target.host),
			STR_ARG(c->target.address), c->target.port,
			e.sys == ETIMEDOUT || e.sys == EAGAIN ? "Connection timed out"
							      : err_sys_text(e));
		client_result_set(why, QUEUE_DEFERRED, S("4.4.1"), buf_view(&text), at->arena);
		return CLIENT_FAILED;
	}
	set_remote(at);
	c->client = client_new(conn, &c->target, at->relay->times);
	state = client_begin(c->client, at->arena, why);
	if (state != CLIENT_READY)
		attempt_connection_close(c, false);
	return state;
}

static void
log_tls(const struct attempt *at)
{
	const struct client *c = at->connection->client;

	if (client_tls_version(c).n > 0)
		log_event(LOG_LEVEL_INFO, "relay.tls", F_WORDS("what", S("TLS connection to")),
			F_WORDS("relay", at->remote), F_STR("version", client_tls_version(c)),
			F_STR("cipher", client_tls_cipher(c)));
}

/* One address: connects, in clear when TLS is broken and not needed, and sends. */
static void
try_address(struct progress *p, Str host, Ip ip)
{
	struct attempt *at = p->attempt;
	struct client_result why = { 0 };
	int64_t began = clock_moment_us();
	enum client_state state;

	p->tried++;
	attempt_connection_close(at->connection, true);
	aim(p, host, ip);
	state = connect_once(p, &why);
	if (state == CLIENT_TLS_BROKEN) {
		log_event(LOG_LEVEL_INFO, "relay.tls.broken", F_WORDS("what", why.text));
		at->connection->target.tls = CLIENT_TLS_OFF;
		state = connect_once(p, &why);
	}
	at->connect_us += clock_moment_us() - began;
	if (state != CLIENT_READY) {
		remember(p, &why);
		return;
	}
	at->nobody_reached = false;
	p->sessions++;
	log_tls(at);
	send_to_rest(p);
}

static void
try_addresses(struct progress *p, Str host, const struct resolver_addresses *found)
{
	struct route_addresses addresses;
	struct route_verdict v = route_choose_addresses(found, &p->hop,
		&p->attempt->relay->policy, p->seed, &addresses);

	if (v.dsn != NULL) {
		remember_words(p, v.dsn, host, v.text);
		return;
	}
	for (size_t i = 0; i < addresses.count && !is_over(p); i++)
		try_address(p, host, addresses.list[i]);
}

static void
try_host(struct progress *p, Str host)
{
	struct resolver_addresses found;
	Err e = resolver_call_addresses(p->attempt->resolver, host, &found);

	if (failed(e)) {
		remember_words(p, "4.3.0", host, "the resolver does not answer");
		return;
	}
	if (found.status.alias)
		log_event(LOG_LEVEL_INFO, "relay.alias", F_STR("host", host),
			F_WORDS("what", S("is an alias, which no mail exchanger should be")));
	try_addresses(p, host, &found);
}

static void
try_exchangers(struct progress *p)
{
	struct attempt *at = p->attempt;
	struct resolver_mx mx;
	struct route_hosts hosts;
	struct route_verdict v;

	if (failed(resolver_call_mx(at->resolver, p->hop.name, at->arena, &mx))) {
		remember_words(p, "4.3.0", p->hop.name, "the resolver does not answer");
		return;
	}
	v = route_choose_hosts(&mx, p->hop.name, &at->relay->policy, p->seed, &hosts);
	if (v.dsn != NULL) {
		remember_words(p, v.dsn, p->hop.name, v.text);
		return;
	}
	for (size_t i = 0; i < hosts.count && !is_over(p); i++)
		try_host(p, hosts.list[i]);
}

static void
try_all(struct progress *p)
{
	struct resolver_addresses one = {
		.status.outcome = RESOLVER_FOUND, .count = 1, .list = { p->hop.ip }
	};

	switch (p->hop.by) {
	case ROUTE_BY_MX:
		try_exchangers(p);
		break;
	case ROUTE_BY_HOST:
		try_host(p, p->hop.name);
		break;
	case ROUTE_BY_ADDRESS:
		try_addresses(p, p->hop.name, &one);
		break;
	}
}

/*
 * The connection of the message before, when it leads there. A server that has hung up meanwhile
 * costs nothing: the results stay open and a new connection is made.
 */
static void
try_open_connection(struct progress *p)
{
	struct attempt_connection *c = p->attempt->connection;

	if (c->client == NULL)
		return;
	set_remote(p->attempt);
	p->attempt->nobody_reached = false;
	send_to_rest(p);
	p->stop |= c->client != NULL; /* it has heard all that there is to say */
}

/* Recipients whose server could not be spoken to share the reason. */
static void
finish(struct progress *p)
{
	struct attempt *at = p->attempt;

	if (p->why.status.n == 0)
		client_result_set(&p->why, QUEUE_DEFERRED, S("4.4.1"),
			S("no server could be tried in time"), at->arena);
	for (size_t i = 0; i < at->job->envelope.recipient_count; i++)
		if (at->results[i].status.n == 0)
			at->results[i] = p->why;
}

Err
attempt_run(struct attempt *at)
{
	const struct envelope *e = &at->job->envelope;
	struct progress p = { .attempt = at,
		.until = moment_after(ATTEMPT_START_MAX),
		.seed = at->job->id ^ (uint64_t)clock_moment_us() };

	at->results = arena_try_array(at->arena, e->recipient_count, sizeof(*at->results));
	p.addresses = arena_try_array(at->arena, e->recipient_count, sizeof(*p.addresses));
	if (at->results == NULL || p.addresses == NULL)
		return fail(ERR_LIMIT, "too many recipients at once");
	for (size_t i = 0; i < e->recipient_count; i++)
		p.addresses[i] = e->recipients[i].address;
	at->nobody_reached = true;
	at->connect_us = at->transmit_us = 0;
	at->remote = S("");
	if (failed(find_hop(&p))) {
		remember_words(&p, "5.1.2", e->recipients[0].address,
			"not a domain that mail can go to");
	} else {
		try_open_connection(&p);
		if (!is_over(&p))
			try_all(&p);
	}
	finish(&p);
	return OK;
}
