/* SPDX-License-Identifier: ISC */
#pragma once

/* What smtpd tells the log, in the shapes that tools for Postfix logs read. */

#include "format/smtp/session.h"
#include "rpc/log.h"

/* An id for a conversation that no other has, here or anywhere: 13 letters and digits. */
void smtpd_put_session_id(struct buf *b);

/* Who speaks: for every line of a connection. */
struct smtpd_who {
	Str peer;    /* name[address] */
	Str session; /* id */
};

void smtpd_log_connect(const struct smtpd_who *w);
void smtpd_log_pregreet(const struct smtpd_who *w);
void smtpd_log_tls(const struct smtpd_who *w, Str version, Str cipher);
void smtpd_log_disconnect(const struct smtpd_who *w, const struct smtp_session *s);
/* The connection ended without QUIT; after names the last command. */
void smtpd_log_lost(const struct smtpd_who *w, Err e, Str after);

struct smtpd_rejection {
	Str stage; /* "RCPT" */
	Str reply; /* as sent */
	Str sender;
	Str recipient; /* or empty */
	Str with;      /* "ESMTP" */
	Str helo;
};
void smtpd_log_reject(const struct smtpd_who *w, const struct smtpd_rejection *r);

void smtpd_log_auth_failed(const struct smtpd_who *w, Str mechanism, Str user);

struct smtpd_acceptance {
	uint64_t queue_id;
	Str message_id; /* with brackets, or empty */
	Str mechanism;  /* or empty */
	Str user;       /* or empty */
};
void smtpd_log_accepted(const struct smtpd_who *w, const struct smtpd_acceptance *a);

/* A message from the drop folder. */
void smtpd_log_picked_up(uint64_t queue_id, uint32_t user, Str sender, Str message_id);
