/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Where mail for a domain goes (RFC 5321, 5.1): pure decisions about what the DNS said. A route is
 * a next hop; its hosts are tried in order, and the addresses of each host in order.
 */

#include "format/config/settings.h"
#include "rpc/resolver.h"

enum {
	ROUTE_HOSTS_MAX = RESOLVER_EXCHANGERS_MAX,
	ROUTE_ADDRESSES_MAX = 8, /* of one host that are tried in one attempt */
	ROUTE_OWN_MAX = 64,
};

enum route_by {
	ROUTE_BY_MX,      /* name: its exchangers, or else its addresses */
	ROUTE_BY_HOST,    /* [name]: its addresses, no MX lookup */
	ROUTE_BY_ADDRESS, /* ip or [ip] */
};

struct route_hop {
	enum route_by by;
	Str name; /* as it was written */
	Ip ip;    /* ROUTE_BY_ADDRESS */
	uint16_t port;
	bool named; /* by the configuration: it may be any address */
};

/* What decides which addresses are refused. */
struct route_policy {
	Str own_name;          /* our host name */
	bool to_private;       /* loopback and private addresses too, and our own */
	Ip own[ROUTE_OWN_MAX]; /* our own addresses */
	size_t own_count;
};

/* dsn is NULL when there is something to try; else it and text say why not (RFC 3463). */
struct route_verdict {
	const char *dsn;
	const char *text;
};

struct route_hosts {
	size_t count;
	Str list[ROUTE_HOSTS_MAX]; /* point into the resolver's answer or the domain */
};

struct route_addresses {
	size_t count;
	Ip list[ROUTE_ADDRESSES_MAX];
};

/*
 * The next hop of a setting: `name`, `[name]`, `ip`, `[ip]`, each with `:port`, or else the port
 * given here. ERR_PEER when the host is neither an address nor a name the DNS can have.
 */
MUST_USE Err route_hop_init(struct route_hop *hop, SettingAddress address, uint16_t port);

/* The next hop of a domain that the configuration says nothing about. */
void route_hop_init_domain(struct route_hop *hop, Str domain, uint16_t port);

/*
 * The hosts for a domain, most preferred first, equals in an order drawn from seed. A null MX
 * (RFC 7505) is 5.1.10; without MX the domain itself is the host; hosts as preferred as
 * ourselves or less are left out (RFC 5321, 5.1), and 5.4.6 when that leaves none.
 */
struct route_verdict route_choose_hosts(const struct resolver_mx *mx, Str domain,
	const struct route_policy *policy, uint64_t seed, struct route_hosts *ret);

/*
 * The addresses of a host: IPv6 before IPv4, each family in an order drawn from seed. Loopback,
 * private and our own addresses are left out, unless the hop is named or the policy has to_private.
 */
struct route_verdict route_choose_addresses(const struct resolver_addresses *found,
	const struct route_hop *hop, const struct route_policy *policy, uint64_t seed,
	struct route_addresses *ret);

/* May this address be spoken to? */
bool route_address_allowed(const struct route_policy *policy, Ip ip);
