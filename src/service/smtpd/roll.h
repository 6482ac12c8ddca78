/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Who is in conversation, so that a stop can send those away who wait between two commands and let
 * the others come to the end of theirs.
 */

#include "base/list.h"
#include "base/str.h"

struct smtpd_roll;

/* One conversation's line in the roll; its own memory. */
struct smtpd_roll_entry {
	struct link link;
	int fd;               /* its socket */
	_Atomic bool resting; /* waits for a command */
};

struct smtpd_roll *smtpd_roll_new(void);

void smtpd_roll_add(struct smtpd_roll *r, struct smtpd_roll_entry *e, int fd);
void smtpd_roll_remove(struct smtpd_roll *r, struct smtpd_roll_entry *e);

/* Around the wait for a command. False: it is time to go. */
bool smtpd_roll_rest(struct smtpd_roll *r, struct smtpd_roll_entry *e);
void smtpd_roll_work(struct smtpd_roll_entry *e);

/* True once everybody is to go. */
bool smtpd_roll_closing(const struct smtpd_roll *r);

/* Ends the wait of all who rest; those who work see it when they are done. */
void smtpd_roll_close(struct smtpd_roll *r);
