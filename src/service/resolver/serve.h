/* SPDX-License-Identifier: ISC */
#pragma once

/* The resolver's one loop: requests in, lookups out, answers back. */

#include "rpc/serve.h"
#include "rpc/start.h"
#include "service/resolver/lookup.h"

enum {
	SERVE_QUESTIONS_MAX =
		256, /* requests being worked on; more are answered RESOLVER_LATER */
};

struct resolver;

/* Takes over neither; both must outlive it. Watches lookup_fd. */
struct resolver *resolver_new(struct server *server, struct lookup *lookup);
void resolver_free(struct resolver *r);
DEFINE_DROP(resolver)

/* Waits until something is there or `until`, and works on all of it. start may be NULL in tests. */
MUST_USE Err resolver_turn(struct resolver *r, struct start *start, Moment until);
