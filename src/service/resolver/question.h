/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * One request on its way: which single lookups it needs, and what their answers come to. Pure: it
 * neither asks nor waits, so tests can play the DNS.
 */

#include "base/arena.h"
#include "service/resolver/lookup.h"

enum {
	QUESTION_ASKS_MAX = 1 + 2 * RESOLVER_VERIFY_MAX,
	QUESTION_MEMORY_MAX = 128 * 1024, /* octets for names and texts of one question */
};

struct question_ask {
	Str name;
	uint16_t type; /* DNS_TYPE_ */
};

struct question {
	enum resolver_request request;
	struct arena *arena; /* the caller's; holds every Str here */
	Ip ip;               /* of RESOLVER_ASK_NAME */
	size_t ask_count, asked, answered;
	struct question_ask asks[QUESTION_ASKS_MAX];
	bool verified[RESOLVER_VERIFY_MAX]; /* PTR name i leads back to ip */
	bool later;                         /* one of the lookups failed */
	union {
		struct resolver_mx mx;
		struct resolver_addresses addresses;
		struct resolver_name name;
		struct resolver_texts texts;
	} answer;
};

/*
 * Starts q for a domain, a host, or the text of an address (RESOLVER_ASK_NAME).
 *
 * ERR_PEER    not a valid name or address
 * ERR_LIMIT   the arena is full
 */
MUST_USE Err question_init(struct question *q, enum resolver_request request, Str name,
	struct arena *arena);

/* The next lookup to begin and its number, while there is one. */
bool question_next(struct question *q, struct question_ask *ret, size_t *ret_number);

/* Takes the answer to lookup `number`; more lookups may follow. */
void question_feed(struct question *q, size_t number, const struct lookup_answer *a);

/* All lookups answered: `answer` is complete. */
bool question_done(const struct question *q);
