/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * resolver: what the DNS says, validated and cached. relay asks for exchangers and addresses, smtpd
 * and submit for the names of clients, at any time; there are no sessions. Names are ASCII
 * (A-labels); what the DNS cannot hold is answered RESOLVER_NO_NAME.
 *
 * Request: str name (RESOLVER_ASK_NAME: text of the address). Answer: u8 outcome, u8 security,
 * u32 ttl, u8 alias, u8 count, then count times the fields of one entry.
 */

#include "base/arena.h"
#include "format/dns/ip.h"
#include "rpc/call.h"
#include "rpc/serve.h"

enum resolver_request {
	RESOLVER_ASK_MX = 1,    /* the exchangers of a domain */
	RESOLVER_ASK_ADDRESSES, /* of a host */
	RESOLVER_ASK_NAME,      /* of an address, verified forward */
	RESOLVER_ASK_TEXTS,     /* TXT of a name */
};

enum resolver_outcome {
	RESOLVER_FOUND,
	RESOLVER_NO_NAME, /* the name does not exist */
	RESOLVER_NO_DATA, /* the name exists, without records of this type */
	RESOLVER_LATER,   /* no answer now: servers silent, broken or bogus; ask again later */
};

enum resolver_security {
	RESOLVER_INSECURE, /* not signed, or not validated */
	RESOLVER_SECURE,   /* validated up to a trust anchor; for negative answers too */
	RESOLVER_BOGUS,    /* signed and wrong; the outcome is RESOLVER_LATER */
};

enum {
	RESOLVER_EXCHANGERS_MAX = 32,    /* the most preferred are kept */
	RESOLVER_ADDRESSES_MAX = 32,     /* of one name, half of them for each family */
	RESOLVER_TEXTS_MAX = 16,         /* TXT records */
	RESOLVER_TEXT_MAX = 4096,        /* octets of one */
	RESOLVER_VERIFY_MAX = 4,         /* PTR names that are looked up forward */
	RESOLVER_ANSWER_MAX = 72 * 1024, /* octets of an answer */
};

struct resolver_exchanger {
	uint16_t preference;
	Str host; /* lower case, no final dot; "" is the null MX (RFC 7505) */
};

/* What all answers tell. */
struct resolver_status {
	enum resolver_outcome outcome;
	enum resolver_security security; /* the weakest of all that was asked */
	uint32_t ttl;                    /* seconds, the shortest */
	bool alias;                      /* a CNAME was followed */
};

/* MX of a domain, lowest preference first. */
struct resolver_mx {
	struct resolver_status status;
	size_t count; /* 1 or more when found */
	struct resolver_exchanger list[RESOLVER_EXCHANGERS_MAX];
};

/*
 * AAAA and A of a host, in that order. Found when either is; LATER only when nothing was found and
 * one of the two questions failed.
 */
struct resolver_addresses {
	struct resolver_status status;
	size_t count;
	Ip list[RESOLVER_ADDRESSES_MAX];
};

/* The name of an address, found only when the name leads back to it (RFC 8601, 2.7.3). */
struct resolver_name {
	struct resolver_status status;
	Str name;
};

struct resolver_texts {
	struct resolver_status status;
	size_t count;
	Str list[RESOLVER_TEXTS_MAX];
};

const char *resolver_outcome_name(enum resolver_outcome outcome);
const char *resolver_security_name(enum resolver_security security);

/*
 * The asking side; each blocks for up to a minute. Str results live in the arena.
 *
 * ERR_TEMP    the resolver is not there or does not answer
 * ERR_LIMIT   the arena is full
 */
MUST_USE Err resolver_call_mx(struct caller *c, Str domain, struct arena *a,
	struct resolver_mx *ret);
MUST_USE Err resolver_call_addresses(struct caller *c, Str host,
	struct resolver_addresses *ret);
MUST_USE Err resolver_call_name(struct caller *c, Ip ip, struct arena *a,
	struct resolver_name *ret);
MUST_USE Err resolver_call_texts(struct caller *c, Str name, struct arena *a,
	struct resolver_texts *ret);

/* The serving side: who may ask what, and the fields of answers. */
extern const struct rpc_rule resolver_rules[];
void resolver_write_mx(struct buf *b, const struct resolver_mx *mx);
void resolver_write_addresses(struct buf *b, const struct resolver_addresses *addresses);
void resolver_write_name(struct buf *b, const struct resolver_name *name);
void resolver_write_texts(struct buf *b, const struct resolver_texts *texts);
