/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * One account's process, forked by the template and walled in: it alone reads and writes the
 * account. It serves what the template hands over: sessions of the user, deliveries.
 *
 * On `control` (a SEQPACKET channel) the template sends mailbox_open messages (rpc/mailbox.h) with
 * their descriptors. When nothing is open and nothing has come for `linger`, the process settles
 * what it owes (flags in file names), closes its index, and asks to end: one datagram, the number
 * of mailbox_open messages it has received, as u32. The template answers by closing the channel,
 * and the process exits; or it has sent one more meanwhile, which then arrives instead. A closed
 * channel at any other time means: finish what is going on, settle, exit.
 */

#include "rpc/settings.h"

struct account_place {
	uint64_t number;
	int folder; /* the account's folder; all that the process may open */
	int control;
	const struct settings_mailbox *settings;
};

/* Runs the process; returns its exit status. */
int account_run(const struct account_place *place);
