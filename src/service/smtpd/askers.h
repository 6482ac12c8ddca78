/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What a conversation needs to ask other services: callers and an arena. They are kept from one
 * conversation to the next, because registering a reply channel costs more than asking.
 */

#include "rpc/call.h"

enum {
	SMTPD_TRANSACTION_MAX = 512 * 1024, /* octets of sender, recipients and answers */
};

struct smtpd_asker {
	struct caller *directory, *queue, *resolver;
	struct arena *arena; /* of one transaction */
	struct smtpd_asker *next;
};

struct smtpd_askers;

/* Takes over the peers; any may be NULL: then every question fails as ERR_TEMP. */
struct smtpd_askers *smtpd_askers_new(struct peer *directory, struct peer *queue,
	struct peer *resolver);

struct smtpd_asker *smtpd_askers_take(struct smtpd_askers *a);
void smtpd_askers_give_back(struct smtpd_askers *a, struct smtpd_asker *asker);
