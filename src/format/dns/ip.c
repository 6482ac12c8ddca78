/* SPDX-License-Identifier: ISC */
#include "format/dns/ip.h"

#include <arpa/inet.h>

static const IpNetwork loopback[] = {
	{ { 4, { 127 } }, 8 }, { { 4, { 0 } }, 8 }, { { 6, { 0 } }, 127 }, /* :: and ::1 */
};

static const IpNetwork private[] = {
	{ { 4, { 10 } }, 8 }, { { 4, { 172, 16 } }, 12 }, { { 4, { 192, 168 } }, 16 },
	{ { 4, { 100, 64 } }, 10 },   /* RFC 6598 */
	{ { 4, { 169, 254 } }, 16 },  /* link-local */
	{ { 4, { 192, 0, 0 } }, 24 }, /* RFC 6890 */
	{ { 4, { 192, 0, 2 } }, 24 }, /* RFC 5737 */
	{ { 4, { 198, 51, 100 } }, 24 }, { { 4, { 203, 0, 113 } }, 24 },
	{ { 4, { 198, 18 } }, 15 },    /* RFC 2544 */
	{ { 4, { 224 } }, 3 },         /* multicast and reserved */
	{ { 6, { 0xfc } }, 7 },        /* unique local */
	{ { 6, { 0xfe, 0x80 } }, 10 }, /* link-local */
	{ { 6, { 0xfe, 0xc0 } }, 10 }, /* site-local, deprecated */
	{ { 6, { 0xff } }, 8 }, { { 6, { 0x20, 0x01, 0x0d, 0xb8 } }, 32 },
	{ { 6, { 0x01 } }, 64 }, /* discard, RFC 6666 */
};

/* ::ffff:0:0/96 becomes IPv4, so that nobody walks round a rule by writing it the other way. */
static Ip
unmapped(Ip ip)
{
	static const uint8_t prefix[12] = { [10] = 0xff, [11] = 0xff };
	Ip v4 = { .version = 4 };

	if (ip.version != 6 || memcmp(ip.octets, prefix, sizeof(prefix)) != 0)
		return ip;
	memcpy(v4.octets, ip.octets + 12, 4);
	return v4;
}

bool
ip_network_has(IpNetwork net, Ip ip)
{
	size_t whole = net.bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> (net.bits % 8));

	ip = unmapped(ip);
	if (ip.version != net.ip.version || memcmp(ip.octets, net.ip.octets, whole) != 0)
		return false;
	return net.bits % 8 == 0 || (ip.octets[whole] & mask) == (net.ip.octets[whole] & mask);
}

static bool
inside_any(Ip ip, const IpNetwork *nets, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ip_network_has(nets[i], ip))
			return true;
	return false;
}

Err
ip_parse(Str s, Ip *ret)
{
	Ip ip = { .version = str_has(s, ':') ? 6 : 4 };
	char text[IP_TEXT_MAX];

	if (failed(str_c(s, text, sizeof(text))))
		return fail(ERR_PEER, "not an address");
	if (inet_pton(ip.version == 6 ? AF_INET6 : AF_INET, text, ip.octets) != 1)
		return fail(ERR_PEER, "not an address");
	*ret = ip;
	return OK;
}

static bool
bits_clear_behind(IpNetwork net)
{
	for (size_t bit = net.bits; bit < (net.ip.version == 4 ? 32 : 128); bit++)
		if ((net.ip.octets[bit / 8] & (0x80 >> bit % 8)) != 0)
			return false;
	return true;
}

Err
ip_network_parse(Str s, IpNetwork *ret)
{
	IpNetwork net;
	Str address = s, length;
	uint64_t bits;
	bool prefix = str_split(s, '/', &address, &length);

	TRY(ip_parse(address, &net.ip));
	if (unmapped(net.ip).version != net.ip.version)
		return fail(ERR_PEER, "an IPv4 network written as IPv6");
	bits = net.ip.version == 4 ? 32 : 128;
	if (prefix && !str_to_u64(length, bits, &bits))
		return fail(ERR_PEER, "not the length of a prefix");
	net.bits = (uint8_t)bits;
	if (!bits_clear_behind(net))
		return fail(ERR_PEER, "bits behind the prefix");
	*ret = net;
	return OK;
}

void
ip_write(Ip ip, struct buf *b)
{
	char text[IP_TEXT_MAX];

	if (inet_ntop(ip.version == 6 ? AF_INET6 : AF_INET, ip.octets, text, sizeof(text)) !=
		NULL)
		buf_put_c(b, text);
}

bool
ip_from_octets(Str octets, Ip *ret)
{
	Ip ip = { .version = octets.n == 4 ? 4 : 6 };

	if (octets.n != 4 && octets.n != 16)
		return false;
	memcpy(ip.octets, octets.p, octets.n);
	*ret = ip;
	return true;
}

bool
ip_eq(Ip a, Ip b)
{
	a = unmapped(a);
	b = unmapped(b);
	return a.version == b.version &&
	       memcmp(a.octets, b.octets, a.version == 4 ? 4 : 16) == 0;
}

Str
ip_holder(const Ip *ip)
{
	return (Str){ (const char *)ip->octets, ip->version == 4 ? 4 : 8 };
}

bool
ip_is_loopback(Ip ip)
{
	return inside_any(ip, loopback, COUNT(loopback));
}

bool
ip_is_private(Ip ip)
{
	return inside_any(ip, private, COUNT(private));
}

void
ip_write_reverse(Ip ip, struct buf *b)
{
	ip = unmapped(ip);
	if (ip.version == 4) {
		buf_printf(b, "%u.%u.%u.%u.in-addr.arpa", ip.octets[3], ip.octets[2],
			ip.octets[1], ip.octets[0]);
		return;
	}
	for (size_t i = 16; i-- > 0;)
		buf_printf(b, "%x.%x.", ip.octets[i] & 15U, ip.octets[i] >> 4U);
	buf_put(b, S("ip6.arpa"));
}
