/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * How long a wrong password waits for its answer: longer for each one that came from the same
 * network lately. A right password never waits. Shared by all threads of a process.
 */

#include "base/str.h"
#include "os/clock.h"

enum {
	THROTTLE_FIRST_MS = 500,
	THROTTLE_LONGEST_MS = 16 * 1000,
	THROTTLE_FORGET_MS = 10 * 60 * 1000, /* without another failure */
	THROTTLE_PLACES = 1024,              /* addresses remembered, more or less */
};

struct throttle;

/* first_ms: THROTTLE_FIRST_MS, or 0 in tests. */
struct throttle *throttle_new(int64_t first_ms);
void throttle_free(struct throttle *t); /* NULL is fine */
DEFINE_DROP(throttle)

/* Notes a failure of this address at `now`; the milliseconds to wait before answering. */
int64_t throttle_add(struct throttle *t, Str address, Moment now);
