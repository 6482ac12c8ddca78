/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * One IMAP conversation from its greeting to authentication, straight-line on its own thread
 * (RFC 9051, 3.1 and 6.2; RFC 3501 for older clients). It ends in one of three ways: the client is
 * gone; its own socket has been handed to its account's process; or, under TLS, the carrier has it.
 */

#include "os/conn.h"
#include "rpc/pool.h"
#include "rpc/settings.h"
#include "service/login/carrier.h"
#include "service/login/throttle.h"

enum {
	TALK_PATIENCE_MS = 60 * 1000, /* to authenticate in */
	TALK_TAKEN_MS = 30 * 1000,    /* for an account's process to begin */
	TALK_BYE_MS = 1000,           /* for our last words to arrive */
	TALK_MISTAKES_MAX = 10,       /* commands that we answer with BAD */
	TALK_FAILURES_MAX = 3,        /* wrong passwords on one connection */
	TALK_MEMORY_MAX = 32 << 10,   /* octets for the parsed form of one command */
	TALK_STACK = 64 << 10, /* octets; OpenSSL runs on it and touches less than half */
};

/* What all conversations of a process share; nothing here changes. */
struct talk_shared {
	const struct settings_login *settings;
	struct caller_pool *directory;
	struct tls_context *tls; /* NULL: we have no certificate */
	struct carrier *carrier; /* NULL when tls is */
	struct throttle *throttle;
};

/* Takes over the conn, made with CONN_EXACT. tls_at_once: port 993 (RFC 8314, 3.2). */
void talk_serve(const struct talk_shared *shared, struct conn *conn, bool tls_at_once);
