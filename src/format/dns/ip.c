/* SPDX-License-Identifier: ISC */
#include "format/dns/ip.h"

#include <arpa/inet.h>

struct network {
	uint8_t version, bits;
	uint8_t octets[16];
};

static const struct network loopback[] = {
	{ 4, 8, { 127 } }, { 4, 8, { 0 } }, { 6, 127, { 0 } }, /* :: and ::1 */
};

static const struct network private[] = {
	{ 4, 8, { 10 } }, { 4, 12, { 172, 16 } }, { 4, 16, { 192, 168 } },
	{ 4, 10, { 100, 64 } },   /* RFC 6598 */
	{ 4, 16, { 169, 254 } },  /* link-local */
	{ 4, 24, { 192, 0, 0 } }, /* RFC 6890 */
	{ 4, 24, { 192, 0, 2 } }, /* RFC 5737 */
	{ 4, 15, { 198, 18 } },   /* RFC 2544 */
	{ 4, 24, { 198, 51, 100 } }, { 4, 24, { 203, 0, 113 } },
	{ 4, 3, { 224 } },                                    /* multicast and reserved */
	{ 6, 7, { 0xfc } },                                   /* unique local */
	{ 6, 10, { 0xfe, 0x80 } }, { 6, 10, { 0xfe, 0xc0 } }, /* site-local, deprecated */
	{ 6, 8, { 0xff } }, { 6, 32, { 0x20, 0x01, 0x0d, 0xb8 } },
	{ 6, 64, { 0x01 } }, /* discard, RFC 6666 */
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

static bool
inside(Ip ip, const struct network *net)
{
	size_t whole = net->bits / 8;
	uint8_t mask = (uint8_t)(0xff00 >> (net->bits % 8));

	if (ip.version != net->version || memcmp(ip.octets, net->octets, whole) != 0)
		return false;
	return net->bits % 8 == 0 || (ip.octets[whole] & mask) == (net->octets[whole] & mask);
}

static bool
inside_any(Ip ip, const struct network *nets, size_t count)
{
	ip = unmapped(ip);
	for (size_t i = 0; i < count; i++)
		if (inside(ip, &nets[i]))
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
