/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Passwords waiting to be checked, and those found right a moment ago. A check takes some 20 ms of
 * CPU by design; one that is remembered takes none and never waits behind others.
 */

#include "rpc/serve.h"

struct checker;

enum {
	CHECKER_WAITING_MAX = 256,
	CHECKER_REMEMBERED_MAX = 50000,
	CHECKER_REMEMBER = 10 * 60 * 1000, /* ms */
};

struct checker *checker_new(void);
void checker_free(struct checker *k); /* wipes; NULL is fine */
DEFINE_DROP(checker)

/*
 * Takes the requests waiting at the server, answers those that are remembered, and checks one of
 * the others. Waits until `until` only when there is nothing to do. Other entries of the batch
 * (START_WATCH) are handed to `turn`.
 */
MUST_USE Err checker_turn(struct checker *k, struct server *s, Moment until,
	void (*turn)(void *arg), void *arg);
