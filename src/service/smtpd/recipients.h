/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Recipients that `directory` has just said yes to: a small table, so that a stream of mail for the
 * same people does not ask for each message. Only a yes is kept, and only for a moment: a new
 * account works at once, a removed one refuses after a second.
 */

#include "rpc/directory.h"

enum {
	SMTPD_RECIPIENTS_KEPT = 512,
	SMTPD_RECIPIENTS_MS = 1000,
};

struct smtpd_recipients;

struct smtpd_recipients *smtpd_recipients_new(void);
void smtpd_recipients_free(struct smtpd_recipients *r); /* NULL is fine */
bool smtpd_recipients_get(struct smtpd_recipients *r, Str address,
	struct directory_recipient *ret);
void smtpd_recipients_put(struct smtpd_recipients *r, Str address,
	const struct directory_recipient *answer);
