/* SPDX-License-Identifier: ISC */
#pragma once

/* Deliveries as they arrive on the channel from `deliver`: trace lines on top, then the store. */

#include "rpc/delivery.h"
#include "store/mailbox.h"

struct arrive; /* buffers for one thread; nearly nothing between batches */

struct arrive *arrive_new(void);

/*
 * Takes one batch from the channel, adds it to the mailbox, answers. Raises *forget_below to what
 * deliver says.
 *
 * ERR_GONE   deliver has closed the channel
 * ERR_TEMP   the batch did not come whole
 * ERR_PERM   the mailbox cannot go on (lease lost, index damaged)
 */
MUST_USE Err arrive_batch(struct arrive *a, struct mailbox *m, int channel,
	uint64_t *forget_below);
