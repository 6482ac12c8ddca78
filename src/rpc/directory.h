/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What one may ask of `directory`, which decides who is who and who may open what.
 *
 *   RECIPIENT  smtpd, submit, deliver   is this address ours? (no members, no folders)
 *   SENDER     submit                   may this account send as this address?
 *   AUTH       submit                   is this password right?
 *   LOGIN      login                    the same, and opens the account: its process gets the
 *                                       session's descriptor
 *   EXPAND     deliver                  members of an alias, 500 at a time
 *   OPEN       deliver                  a delivery channel to an account's process
 *   ADMIN      control                  domains, accounts, aliases
 *
 * Credentials and opening go on inside `directory` while others are answered; nobody waits for a
 * password of somebody else.
 */

#include "base/arena.h"
#include "format/envelope/envelope.h"
#include "rpc/call.h"

enum directory_request {
	DIRECTORY_RECIPIENT = 1,
	DIRECTORY_SENDER,
	DIRECTORY_AUTH,
	DIRECTORY_LOGIN,
	DIRECTORY_EXPAND,
	DIRECTORY_OPEN,
	DIRECTORY_ADMIN,
};

extern const struct rpc_rule directory_rules[];

enum {
	DIRECTORY_MEMBERS_MAX = 500,
	DIRECTORY_USER_MAX = 320,      /* octets of a user name */
	DIRECTORY_PASSWORD_MAX = 1024, /* octets */
	DIRECTORY_TAG_MAX = 128,       /* octets of an IMAP tag */
};

enum directory_class {
	DIRECTORY_UNKNOWN_DOMAIN, /* not ours: relay, for whoever may */
	DIRECTORY_UNKNOWN_USER,   /* domain is ours, the user is not: 550 5.1.1 */
	DIRECTORY_DISABLED,       /* 550 5.2.1 */
	DIRECTORY_ACCOUNT,
	DIRECTORY_ALIAS,
};

struct directory_recipient {
	enum directory_class class;
	uint64_t account; /* ACCOUNT: its number */
};

/* address without brackets; "postmaster" alone is allowed. ERR_TEMP: 451. */
MUST_USE Err directory_call_recipient(struct caller *c, Str address,
	struct directory_recipient *ret);

/* address "" (the null sender) is always allowed. */
MUST_USE Err directory_call_sender(struct caller *c, uint64_t account, Str address,
	bool *ret_allowed);

enum directory_auth {
	DIRECTORY_AUTH_OK,
	DIRECTORY_AUTH_WRONG, /* unknown user, wrong password, disabled: one answer for all */
};

struct directory_login {
	Str user, password;
	Str peer;    /* address of the client, for the log and for brute force */
	Str session; /* id, for the log */
	bool tls;
	Str tag; /* LOGIN: of the IMAP command, for its OK */
};

/* account and address (its canonical one, in the arena) are set when *ret_auth is OK. */
MUST_USE Err directory_call_auth(struct caller *c, const struct directory_login *login,
	struct arena *a, enum directory_auth *ret_auth, uint64_t *ret_account,
	Str *ret_address);

/*
 * As auth; when right, the account's process is given the descriptors and begins the session:
 * `taken` is our far end of a stream pair, `socket` the client's own socket on plain TCP, or -1.
 * With a socket the process writes one octet to `taken` when it has begun and closes it; without,
 * `taken` itself carries the session. End of file before any octet: the account cannot be opened
 * now ("NO [UNAVAILABLE]"). The descriptors stay the caller's (close them after this).
 */
MUST_USE Err directory_call_login(struct caller *c, const struct directory_login *login,
	int taken, int socket, enum directory_auth *ret_auth, uint64_t *ret_account);

struct directory_members {
	struct envelope_recipient *members; /* in the arena; number is not set */
	size_t count;
	uint64_t cursor; /* for the next call; counts the list's version in */
	bool done;
};

/* ERR_PERM: no longer an alias (the caller asks RECIPIENT again). */
MUST_USE Err directory_call_expand(struct caller *c, Str address, uint64_t cursor,
	struct arena *a, struct directory_members *ret);

/*
 * Gives `channel` (our far end of a SEQPACKET pair, see rpc/delivery.h) to the process of the
 * account; end of file on our end means that it cannot be opened now.
 */
MUST_USE Err directory_call_open(struct caller *c, uint64_t account, int channel);

/* Words as typed, as in queue_call_admin. */
MUST_USE Err directory_call_admin(struct caller *c, const Str *words, size_t count, int input,
	struct buf *ret, int *ret_exit);

/* ---- The serving end ---- */

struct directory_sender_request {
	uint64_t account;
	Str address;
};

struct directory_expand_request {
	Str address;
	uint64_t cursor;
};

MUST_USE Err directory_parse_address(struct cursor *c, Str *ret);
void directory_write_recipient(struct buf *b, const struct directory_recipient *r);
MUST_USE Err directory_parse_sender(struct cursor *c, struct directory_sender_request *ret);
void directory_write_sender(struct buf *b, bool allowed);
MUST_USE Err directory_parse_login(struct cursor *c, struct directory_login *ret);
void directory_write_auth(struct buf *b, enum directory_auth auth, uint64_t account,
	Str address);
MUST_USE Err directory_parse_expand(struct cursor *c, struct directory_expand_request *ret);
void directory_write_members(struct buf *b, const struct directory_members *m);
MUST_USE Err directory_parse_open(struct cursor *c, uint64_t *ret_account);
