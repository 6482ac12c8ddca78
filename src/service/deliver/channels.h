/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The delivery channels to accounts' processes, shared by the workers. A channel is used by one
 * worker at a time; it stays open until the account's process ends.
 */

#include "rpc/directory.h"

struct channels;

enum {
	CHANNELS_MAX = 1024, /* kept open; the one used longest ago goes first */
};

struct channels *channels_new(void);

/*
 * Takes the channel of an account for this worker alone, opening it through `directory` when there
 * is none; waits at most until `until` for another worker.
 *
 * ret_fresh  just opened: HELLO comes first
 *
 * ERR_LIMIT  another worker has it
 * ERR_TEMP   it cannot be opened now
 */
MUST_USE Err channels_take(struct channels *c, struct caller *directory, uint64_t account,
	Moment until, int *ret_fd, bool *ret_fresh);

/* Gives it back for the next; broken: closes it. */
void channels_give_back(struct channels *c, uint64_t account, bool broken);
