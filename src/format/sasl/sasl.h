/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The mechanisms PLAIN (RFC 4616) and LOGIN (draft-murchison-sasl-login) as a server sees them:
 * responses in base64 go in, a user and a password come out. The protocol around them (IMAP,
 * SMTP) sends the challenges and reads the lines.
 */

#include "base/buf.h"

enum {
	SASL_USER_MAX = 320,      /* octets */
	SASL_PASSWORD_MAX = 1024, /* octets */
	/* Decoded and in base64, octets of one response. */
	SASL_MESSAGE_MAX = 2 * SASL_USER_MAX + SASL_PASSWORD_MAX + 2,
	SASL_LINE_MAX = (SASL_MESSAGE_MAX + 2) / 3 * 4,
};

enum sasl_mechanism {
	SASL_PLAIN,
	SASL_LOGIN,
};

/* By its name, in any case; false when we do not speak it. */
bool sasl_mechanism_find(Str name, enum sasl_mechanism *ret);

/* One exchange. Holds a password: sasl_done wipes it. */
struct sasl {
	enum sasl_mechanism mechanism;
	size_t steps; /* responses taken */
	size_t user_at, user_n, password_at, password_n;
	size_t used;
	char text[SASL_MESSAGE_MAX];
};

void sasl_init(struct sasl *s, enum sasl_mechanism mechanism);
void sasl_done(struct sasl *s);

/* What to ask the client next, in base64, maybe empty; lives for ever. */
Str sasl_challenge(const struct sasl *s);

/*
 * Takes a response, or the initial one that came with the command. *ret_done: user and password
 * are known.
 *
 * ERR_PEER   not base64, not the mechanism's syntax, "*" (the client gives up), or a wish to act
 *            as somebody else
 * ERR_LIMIT  longer than SASL_USER_MAX or SASL_PASSWORD_MAX
 */
MUST_USE Err sasl_respond(struct sasl *s, Str response, bool *ret_done);

/* They die at sasl_done. */
Str sasl_user(const struct sasl *s);
Str sasl_password(const struct sasl *s);

/* The client's side of PLAIN: its one response, in base64. ERR_PERM when one holds a NUL. */
MUST_USE Err sasl_write_plain(struct buf *b, Str user, Str password);
