/* SPDX-License-Identifier: ISC */
#pragma once

/* Who is connected: how many conversations an address has, and its verified name, kept a while. */

#include "base/arena.h"
#include "format/dns/ip.h"
#include "rpc/call.h"

enum {
	SMTPD_NAMES_KEPT = 256,
	SMTPD_NAME_MAX = 255,  /* octets of a host name */
	SMTPD_NAME_MS = 60000, /* that a name is believed */
};

struct smtpd_clients;

/*
 * most: conversations in all; per_client: of one IPv4 address or one IPv6 /64, loopback
 * excepted.
 */
struct smtpd_clients *smtpd_clients_new(size_t most, size_t per_client);
void smtpd_clients_free(struct smtpd_clients *c); /* NULL is fine */

/* Counts one in. ERR_LIMIT when the address has too many, ERR_TEMP when all places are taken. */
MUST_USE Err smtpd_clients_enter(struct smtpd_clients *c, Ip ip, size_t *ret_place);
void smtpd_clients_leave(struct smtpd_clients *c, size_t place);

/*
 * Appends the client's name when DNS leads from the address to it and back (RFC 8601, 2.7.3);
 * nothing otherwise. Blocks while `resolver` asks.
 *
 * ERR_TEMP   the resolver cannot say
 */
MUST_USE Err smtpd_clients_name(struct smtpd_clients *c, struct caller *resolver,
	struct arena *scratch, Ip ip, struct buf *ret);
