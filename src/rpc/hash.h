/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What one may ask of `hash`, which checks passwords: VERIFY, does this password fit this hash?
 * directory alone may ask, at any time. It asks without waiting, several at a time: it sends, polls
 * caller_fd, and takes the answers as they come.
 */

#include "rpc/call.h"

enum hash_request {
	HASH_VERIFY = 1,
};

extern const struct rpc_rule hash_rules[];

/* ERR_TEMP: hash is not there. The password's octets in the datagram are wiped. */
MUST_USE Err hash_send_verify(struct caller *c, Str hash, Str password, uint32_t *ret_serial);

/*
 * The answer that is there. *ret_right only counts when *ret_verdict is OK.
 * ERR_TEMP with sys EAGAIN: none is there; otherwise hash has died, and so have all requests.
 */
MUST_USE Err hash_receive_verify(struct caller *c, uint32_t *ret_serial, Err *ret_verdict,
	bool *ret_right);

/* ---- The serving end ---- */

struct hash_verify {
	Str hash, password; /* point into the request */
};

MUST_USE Err hash_parse_verify(struct cursor *c, struct hash_verify *ret);
void hash_write_verify(struct buf *b, Err verdict, bool right);
