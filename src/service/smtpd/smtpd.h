/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * smtpd: SMTP server conversations. The same program is `smtpd` on port 25, which knows no AUTH,
 * and `submit` on 587 and 465; only the settings differ. What all conversations of a process share
 * stands here.
 */

#include "format/smtp/data.h"
#include "format/smtp/session.h"
#include "os/conn.h"
#include "rpc/start.h"
#include "service/smtpd/askers.h"
#include "service/smtpd/clients.h"
#include "service/smtpd/recipients.h"
#include "service/smtpd/roll.h"

enum {
	SMTPD_CONVERSATIONS_MAX = 1000, /* of one process */
	SMTPD_PER_CLIENT_MAX = 100,     /* of one address or /64 that is not loopback */
	SMTPD_BAD_MAX = 50,             /* wrong or idle commands between two messages */
	SMTPD_HOPS_MAX = 50,            /* Received lines; RFC 5321, 6.3 asks for 100 at most */
	SMTPD_AUTH_TRIES = 3,           /* wrong passwords of one connection */
	SMTPD_AUTH_DELAY = 1000,    /* ms before a wrong password is answered, times the try */
	SMTPD_STOP_WAIT = 5000,     /* ms that conversations have to end at a stop */
	SMTPD_TLS_WAIT = 60 * 1000, /* ms for a handshake */
};

/* Read only once the first conversation runs, but for what has a lock of its own. */
struct smtpd {
	enum service_id service; /* SERVICE_SMTPD or SERVICE_SUBMIT */
	struct smtp_settings smtp;
	enum smtp_bare bare;
	bool auth_clear_on_loopback;
	struct tls_context *tls; /* NULL: no certificate */
	struct smtpd_askers *askers;
	struct smtpd_recipients *recipients;
	struct smtpd_clients *clients;
	struct smtpd_roll *roll;
};

/* A connection on its way to a thread; the conversation frees it. */
struct smtpd_connection {
	struct smtpd *smtpd;
	struct conn *conn;
	struct smtpd_roll_entry entry;
	Ip ip;
	size_t place;   /* among the clients */
	bool tls_first; /* RFC 8314: port 465 */
};

/* One conversation, from greeting to end; frees the connection (a struct smtpd_connection). */
void smtpd_converse(void *connection);

/* The service: returns when master says stop. */
void smtpd_serve(struct start *s);
