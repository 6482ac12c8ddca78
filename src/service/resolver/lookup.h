/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Single DNS questions, many at once: libunbound with a thread of its own behind an interface that
 * a poll loop can use. Answers are validated (DNSSEC) and cached there. One thread uses a lookup.
 */

#include "rpc/resolver.h"
#include "rpc/settings.h"

struct lookup;

enum {
	LOOKUP_MAX = 512,         /* questions at one time */
	LOOKUP_RECORDS_MAX = 256, /* of one answer; more are left out */
};

struct lookup_answer {
	uint64_t tag; /* as given to lookup_begin */
	enum resolver_outcome outcome;
	enum resolver_security security;
	uint32_t ttl;                    /* seconds; 0 unless found */
	bool alias;                      /* the name was a CNAME */
	size_t count;                    /* of records; 0 unless found */
	Str records[LOOKUP_RECORDS_MAX]; /* raw data; they live as long as the answer */
	void *owner;
};

/*
 * ERR_PERM   a setting that libunbound refuses
 *
 * Opens nothing outside and starts no thread before the first lookup_begin.
 */
MUST_USE Err lookup_new(const struct settings_resolver *settings, struct lookup **ret);
void lookup_free(struct lookup *l); /* NULL is fine; stops the thread */
DEFINE_DROP(lookup)

/*
 * Asks. name must be valid (dns_record_name_valid); type is a DNS_TYPE_.
 *
 * ERR_LIMIT   LOOKUP_MAX questions are on their way
 * ERR_TEMP    libunbound cannot ask now
 */
MUST_USE Err lookup_begin(struct lookup *l, Str name, uint16_t type, uint64_t tag);

/* Readable when answers are waiting: then call lookup_collect, then lookup_take until it is false. */
int lookup_fd(const struct lookup *l);
void lookup_collect(struct lookup *l);
bool lookup_take(struct lookup *l, struct lookup_answer *ret);
void lookup_answer_done(struct lookup_answer *a);
