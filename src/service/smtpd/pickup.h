/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Messages that local programs left in the drop folder. A file holds one transaction as an SMTP
 * client would say it: MAIL, RCPT ..., DATA, the message, a dot; anybody may have written it.
 */

#include "service/smtpd/smtpd.h"

struct smtpd_drop {
	struct smtpd *smtpd;
	int master; /* the channel for the answer */
	int fd;     /* the file */
	uint32_t user;
	Str login; /* of the user; empty: may send as anybody */
	Str file;  /* its name, for the answer */
};

/* Sends what a struct smtpd_drop holds, answers master, frees it. For a thread of its own. */
void smtpd_pickup(void *arg);

/* A copy that owns its Strs and the fd. */
struct smtpd_drop *smtpd_drop_new(struct smtpd *d, int master, const struct start_message *m,
	int fd);
/* Not now: master offers it again. Frees it. */
void smtpd_drop_put_off(struct smtpd_drop *drop);
