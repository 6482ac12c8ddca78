/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The asking side. A process has one shared request socket (struct peer) for each service that it
 * may ask; each of its threads has a private reply channel (struct caller). A request is one
 * datagram: type, slot, serial, then fields; the caller blocks for the answer with a deadline.
 *
 * The far end of the reply channel travels with the caller's first request and stays with the
 * server. When the server dies its end closes: the caller is told at once (ERR_TEMP), and its
 * next request brings a new reply channel to the server's successor.
 */

#include "base/buf.h"
#include "os/channel.h"
#include "rpc/service.h"

struct peer;
struct caller;

enum {
	RPC_HEADER = 2 + 2 + 4 + 4, /* type, flags, slot, serial */
	RPC_SLOTS_MAX = 65536,      /* callers of one process */
	RPC_FDS_MAX = CHANNEL_FDS_MAX - 1,
};

/* Takes over the descriptor. Shared by all threads of the process. */
struct peer *peer_new(enum service_id id, int fd);
void peer_free(struct peer *p); /* after its callers */
DEFINE_DROP(peer)

/* One per thread. peer NULL gives a caller whose every request fails as ERR_TEMP. */
struct caller *caller_new(struct peer *p);
void caller_free(struct caller *c);
DEFINE_DROP(caller)

struct request {
	uint16_t type;
	Str fields;
	Str body; /* appended behind the fields as it is; may be empty */
	const int *fds;
	size_t fd_count;
	int timeout; /* milliseconds */
};

struct reply {
	struct cursor fields;           /* dies at the caller's next request */
	struct channel_message message; /* owns the descriptors: channel_message_drop */
};

/*
 * Asks and waits.
 *
 * ERR_TEMP   no answer in time, the server died, out of descriptors
 * ERR_LIMIT  the request is too long for one datagram
 */
MUST_USE Err caller_ask(struct caller *c, const struct request *r, struct reply *ret);

/*
 * For requests with several answers: waits for the next answer to the request asked last.
 */
MUST_USE Err caller_next(struct caller *c, int timeout, struct reply *ret);

/* Asks without waiting for anything; the server must not answer this type. */
MUST_USE Err caller_tell(struct caller *c, const struct request *r);

/* For services that watch many things: asks now, and the descriptor to poll for the answer. */
MUST_USE Err caller_send(struct caller *c, const struct request *r, uint32_t *ret_serial);
int caller_fd(const struct caller *c); /* -1 before the first request */
/* The answer that is there; ERR_TEMP with sys EAGAIN when none is. */
MUST_USE Err caller_receive(struct caller *c, struct reply *ret, uint32_t *ret_serial);
