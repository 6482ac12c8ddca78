/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Callers of one service for many threads that each ask now and then: a thread borrows one for a
 * question, so that conversations do not register a reply channel each.
 */

#include "rpc/call.h"

struct caller_pool;

/* The peer stays the caller's and must outlive the pool; NULL as for caller_new. */
struct caller_pool *caller_pool_new(struct peer *p);
void caller_pool_free(struct caller_pool *pool); /* NULL is fine; nothing may be borrowed */
DEFINE_DROP(caller_pool)

struct caller *caller_pool_take(struct caller_pool *pool);
void caller_pool_give(struct caller_pool *pool, struct caller *c);
