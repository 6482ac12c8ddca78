/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * One SMTP connection as its client (RFC 5321), from the greeting to QUIT, for any number of
 * messages in a row. Straight-line and blocking, on its caller's thread. The server is a stranger:
 * every reply is bounded in size and time, and all it can cause is that a recipient is deferred or
 * refused.
 */

#include "base/arena.h"
#include "format/smtp/reply.h"
#include "os/conn.h"
#include "rpc/queue.h"

struct client;

/* Milliseconds, each for a whole reply or a block of data (RFC 5321, 4.5.3.2). */
struct client_times {
	int64_t connect;
	int64_t greeting;
	int64_t command; /* EHLO, STARTTLS, AUTH, MAIL, RCPT, RSET */
	int64_t data;    /* the 354 behind DATA */
	int64_t block;   /* until a block of the message has left */
	int64_t end;     /* the reply to the final dot */
	int64_t message; /* a whole transaction, below QUEUE_LEASE */
	int64_t quit;
};

extern const struct client_times client_times_standard;

enum client_tls {
	CLIENT_TLS_OFF,
	CLIENT_TLS_TRY,     /* when offered; any certificate (RFC 7435) */
	CLIENT_TLS_REQUIRE, /* with a certificate for the host, or nothing is sent */
};

/* Whom we speak to and as whom. The Strs must outlive the client. */
struct client_target {
	Str own_name;
	Str host;    /* for TLS and texts; the address as text when there is no name */
	Str address; /* as text */
	uint16_t port;
	enum client_tls tls;
	struct tls_context *tls_context; /* unless CLIENT_TLS_OFF */
	Str login;                       /* "USER:PASSWORD"; "" is none */
	bool named; /* by the operator: it is no loop when it calls itself by our name */
};

/* What became of a recipient, or of the wish to connect. Strs are the arena's. */
struct client_result {
	enum queue_outcome_kind kind; /* QUEUE_DELIVERED, _DEFERRED or _FAILED */
	Str status;                   /* x.y.z; empty: not known yet */
	Str text;
	bool settled; /* another host would not change it, or must not be tried */
};

enum client_state {
	CLIENT_READY,
	CLIENT_FAILED,
	CLIENT_TLS_BROKEN, /* opportunistic TLS failed: a new connection without it may do */
};

/* Takes over the connection. */
struct client *client_new(struct conn *conn, const struct client_target *target,
	const struct client_times *times);
void client_free(struct client *c); /* says nothing more; NULL is fine */
DEFINE_DROP(client)

/*
 * Greeting, EHLO (HELO when refused), STARTTLS, AUTH. Unless CLIENT_READY, *ret_why says why not
 * and only client_free is left.
 */
enum client_state client_begin(struct client *c, struct arena *a,
	struct client_result *ret_why);

struct client_message {
	Str sender;     /* "" is <> */
	uint32_t flags; /* ENVELOPE_UTF8 counts */
	const struct queue_body *body;
	const Str *recipients;
	size_t recipient_count;
};

/*
 * Sends one message and sets a result for every recipient. False when the connection cannot be
 * used again; it can when nobody took the message, too.
 */
bool client_send(struct client *c, const struct client_message *m, struct arena *a,
	struct client_result *results);

/* QUIT, waiting a moment for its answer, so that well-behaved servers log a clean end. */
void client_quit(struct client *c);

/* "TLSv1.3", and its cipher; "" without TLS. They live as long as c. */
Str client_tls_version(const struct client *c);
Str client_tls_cipher(const struct client *c);

/* A result in words of our own. text is cut to QUEUE_TEXT_MAX. */
void client_result_set(struct client_result *r, enum queue_outcome_kind kind, Str status,
	Str text, struct arena *a);
