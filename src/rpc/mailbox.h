/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What `directory` tells the `mailbox` template: open this account for this right, and give its
 * process these descriptors. Nobody else may ask, and nothing is answered: the account's process
 * speaks on the descriptors, and who cannot be served finds them closed.
 *
 * The same message, with the same descriptors, goes on from the template to the account's process.
 */

#include "rpc/call.h"

enum mailbox_request {
	MAILBOX_OPEN = 1,
};

extern const struct rpc_rule mailbox_rules[];

enum mailbox_open_right {
	MAILBOX_RIGHT_SESSION,  /* an IMAP session of the account's user */
	MAILBOX_RIGHT_DELIVERY, /* can add mail and nothing else: a channel of rpc/delivery.h */
};

enum {
	MAILBOX_FOLDER_MAX = 600, /* octets of DOMAIN/USER below mail/ */
};

struct mailbox_open {
	uint64_t account;
	Str folder; /* DOMAIN/USER, from the account's own record */
	enum mailbox_open_right right;
	Str address; /* the account's own address */
	/* SESSION: */
	Str user;    /* as typed at login, for the log */
	Str peer;    /* client's address */
	Str session; /* id, for the log */
	Str tag;     /* of the LOGIN or AUTHENTICATE command */
	bool tls;
	bool own_socket; /* fds[1] is the client's socket; fds[0] wants one octet and a close */
};

/* fds[0], and fds[1] with own_socket, stay the caller's. */
MUST_USE Err mailbox_tell_open(struct caller *c, const struct mailbox_open *o, const int *fds,
	size_t fd_count);

void mailbox_open_write(struct buf *b, const struct mailbox_open *o);
/* The Strs point into the cursor's bytes. */
MUST_USE Err mailbox_open_parse(struct cursor *c, struct mailbox_open *ret);
