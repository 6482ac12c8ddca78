/* SPDX-License-Identifier: ISC */
#pragma once

/* Ip: an IPv4 or IPv6 address as a value, its text, and what kind of network it belongs to. */

#include "base/buf.h"

typedef struct Ip {
	uint8_t version;    /* 4 or 6; 0 is no address */
	uint8_t octets[16]; /* network order; IPv4 uses the first four */
} Ip;

enum {
	IP_TEXT_MAX = 46, /* with a NUL */
	/* "xxx.xxx.xxx.xxx.in-addr.arpa", or 32 nibbles with dots and "ip6.arpa" */
	IP_REVERSE_MAX = 80,
};

/* Dotted quad or RFC 4291 text, without brackets or zone. ERR_PEER otherwise. */
MUST_USE Err ip_parse(Str s, Ip *ret);
void ip_write(Ip ip, struct buf *b);

/* size must be 4 or 16; false otherwise. */
bool ip_from_octets(Str octets, Ip *ret);

/* IPv4-mapped IPv6 (::ffff:192.0.2.1) equals the IPv4 address. */
bool ip_eq(Ip a, Ip b);

/* What belongs to one holder: an IPv4 address, or the /64 of an IPv6 one. Lives as long as *ip. */
Str ip_holder(const Ip *ip);

/* 127/8, ::1, and the unspecified address, which reaches this host too. */
bool ip_is_loopback(Ip ip);

/*
 * Addresses that no public MX can have: RFC 1918, shared (RFC 6598), link-local, unique local,
 * documentation and test networks, multicast, reserved. Loopback is not among them.
 */
bool ip_is_private(Ip ip);

typedef struct IpNetwork {
	Ip ip;
	uint8_t bits;
} IpNetwork;

/* "192.0.2.0/24", or an address alone. Bits behind the prefix must be 0. ERR_PEER otherwise. */
MUST_USE Err ip_network_parse(Str s, IpNetwork *ret);
bool ip_network_has(IpNetwork net, Ip ip);

/* The name to ask for PTR (RFC 1035, 3.5; RFC 3596, 2.5), without a final dot. */
void ip_write_reverse(Ip ip, struct buf *b);
