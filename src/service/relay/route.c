/* SPDX-License-Identifier: ISC */
#include "service/relay/route.h"

#include "format/dns/record.h"

static const struct route_verdict go = { NULL, NULL };

Err
route_hop_init(struct route_hop *hop, SettingAddress address, uint16_t port)
{
	*hop = (struct route_hop){ .by = address.brackets ? ROUTE_BY_HOST : ROUTE_BY_MX,
		.name = address.host,
		.port = address.port > 0 ? address.port : port,
		.named = true };
	if (!failed(ip_parse(address.host, &hop->ip)))
		hop->by = ROUTE_BY_ADDRESS;
	else if (!dns_record_name_valid(address.host))
		return fail(ERR_PEER, "not a host");
	return OK;
}

void
route_hop_init_domain(struct route_hop *hop, Str domain, uint16_t port)
{
	*hop = (struct route_hop){ .by = ROUTE_BY_MX, .name = domain, .port = port };
}

/* splitmix64: the order of equals need not be secret, only spread. */
static uint64_t
next_random(uint64_t *seed)
{
	uint64_t z = *seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

/* Fisher and Yates. */
static void
shuffle_hosts(Str *hosts, size_t count, uint64_t *seed)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = next_random(seed) % i;
		Str kept = hosts[i - 1];

		hosts[i - 1] = hosts[j];
		hosts[j] = kept;
	}
}

static void
shuffle_addresses(Ip *list, size_t count, uint64_t *seed)
{
	for (size_t i = count; i > 1; i--) {
		size_t j = next_random(seed) % i;
		Ip kept = list[i - 1];

		list[i - 1] = list[j];
		list[j] = kept;
	}
}

/* How many of the exchangers are more preferred than ourselves. */
static size_t
count_before_us(const struct resolver_mx *mx, Str own_name)
{
	size_t at = 0;

	while (at < mx->count && !str_eq_icase(mx->list[at].host, own_name))
		at++;
	if (at == mx->count)
		return at;
	while (at > 0 && mx->list[at - 1].preference == mx->list[at].preference)
		at--;
	return at;
}

/* The resolver's list is sorted; shuffles each run of equals. */
static void
take_exchangers(const struct resolver_mx *mx, size_t count, uint64_t seed,
	struct route_hosts *ret)
{
	size_t first = 0;

	ret->count = 0;
	for (size_t i = 0; i < count; i++) {
		if (mx->list[i].preference != mx->list[i == 0 ? 0 : i - 1].preference) {
			shuffle_hosts(ret->list + first, ret->count - first, &seed);
			first = ret->count;
		}
		if (mx->list[i].host.n > 0) /* a "." among others means nothing */
			ret->list[ret->count++] = mx->list[i].host;
	}
	shuffle_hosts(ret->list + first, ret->count - first, &seed);
}

struct route_verdict
route_choose_hosts(const struct resolver_mx *mx, Str domain, const struct route_policy *policy,
	uint64_t seed, struct route_hosts *ret)
{
	size_t count;

	switch (mx->status.outcome) {
	case RESOLVER_FOUND:
		break;
	case RESOLVER_NO_DATA:
		ret->count = 1; /* implicit MX */
		ret->list[0] = domain;
		return go;
	case RESOLVER_NO_NAME:
		return (struct route_verdict){ "5.1.2", "Domain not found" };
	case RESOLVER_LATER:
		return (struct route_verdict){ "4.4.3",
			"No answer from the DNS for the domain" };
	}
	if (mx->count == 1 && mx->list[0].host.n == 0)
		return (struct route_verdict){ "5.1.10",
			"Domain does not accept mail (null MX)" };
	count = count_before_us(mx, policy->own_name);
	if (count == 0)
		return (struct route_verdict){ "5.4.6",
			"Mail for the domain loops back to this server" };
	take_exchangers(mx, count, seed, ret);
	if (ret->count == 0)
		return (struct route_verdict){ "5.1.10",
			"Domain does not accept mail (null MX)" };
	return go;
}

static bool
is_own(const struct route_policy *policy, Ip ip)
{
	for (size_t i = 0; i < policy->own_count; i++)
		if (ip_eq(policy->own[i], ip))
			return true;
	return false;
}

bool
route_address_allowed(const struct route_policy *policy, Ip ip)
{
	return policy->to_private ||
	       (!ip_is_loopback(ip) && !ip_is_private(ip) && !is_own(policy, ip));
}

static void
add_family(const struct resolver_addresses *found, uint8_t version, const struct route_hop *hop,
	const struct route_policy *policy, uint64_t *seed, struct route_addresses *all)
{
	Ip list[RESOLVER_ADDRESSES_MAX];
	size_t count = 0;
	/* One family leaves room for the other: half the world has broken IPv6. */
	size_t most = version == 6 ? ROUTE_ADDRESSES_MAX / 2 : ROUTE_ADDRESSES_MAX;

	for (size_t i = 0; i < found->count; i++)
		if (found->list[i].version == version &&
			(hop->named || route_address_allowed(policy, found->list[i])))
			list[count++] = found->list[i];
	shuffle_addresses(list, count, seed);
	for (size_t i = 0; i < count && all->count < most; i++)
		all->list[all->count++] = list[i];
}

struct route_verdict
route_choose_addresses(const struct resolver_addresses *found, const struct route_hop *hop,
	const struct route_policy *policy, uint64_t seed, struct route_addresses *ret)
{
	switch (found->status.outcome) {
	case RESOLVER_FOUND:
		break;
	case RESOLVER_NO_DATA:
		return (struct route_verdict){ "5.4.4", "Host has no address" };
	case RESOLVER_NO_NAME:
		return (struct route_verdict){ "5.4.4", "Host not found" };
	case RESOLVER_LATER:
		return (struct route_verdict){ "4.4.3", "No answer from the DNS for the host" };
	}
	ret->count = 0;
	add_family(found, 6, hop, policy, &seed, ret);
	add_family(found, 4, hop, policy, &seed, ret);
	if (ret->count > 0)
		return go;
	for (size_t i = 0; i < found->count; i++)
		if (is_own(policy, found->list[i]))
			return (struct route_verdict){ "5.4.6",
				"Mail for the domain loops back to this server" };
	return (struct route_verdict){ "5.4.4",
		"Host has only loopback or private addresses (see relay to-private)" };
}
