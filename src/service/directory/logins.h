/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Logins waiting for `hash` to say whether their password is right. Nobody else waits for them:
 * the answer is sent when it comes.
 */

#include "rpc/directory.h"
#include "rpc/serve.h"
#include "store/directory.h"

struct logins;

enum {
	LOGINS_MAX = 512,           /* at once; more are told to try again later */
	LOGINS_OF_CLIENT_MAX = 128, /* of them from one address */
	LOGINS_HASHES = 2,
	LOGINS_WATCH = 100, /* watch ids: this and the next, one for each `hash` */
};

/* Takes over the peers; the others stay the caller's and must outlive it. A peer may be NULL. */
struct logins *logins_new(struct directory *d, struct server *s,
	struct peer *hashes[LOGINS_HASHES], struct caller *mailbox);
void logins_free(struct logins *l); /* NULL is fine */
DEFINE_DROP(logins)

/* DIRECTORY_AUTH or DIRECTORY_LOGIN: answered now or later. Takes its descriptors. */
void logins_begin(struct logins *l, struct server_request *r);

/* To be called when SERVER_WATCH comes up with LOGINS_WATCH + n: answers what is decided. */
void logins_turn(struct logins *l, uint32_t watch);
