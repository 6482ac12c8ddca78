/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The serving side: one thread that takes every request waiting, works for the whole batch, and
 * answers. What may be asked, and by whom, is a table; whoever asks anything else is cut off for
 * good and reported (server_take never returns such a request).
 */

#include "base/buf.h"
#include "os/channel.h"
#include "rpc/service.h"

struct server;

/* Where an answer goes. Small and copyable; may be kept for later. */
typedef struct ReplyTo {
	uint16_t client;
	uint32_t slot;
	uint32_t registration;
	uint32_t serial;
} ReplyTo;

enum {
	SERVER_BATCH_MAX = 256,
	SERVER_WATCH =
		0xffff, /* type of a batch entry that says: a watched descriptor is ready */
};

struct server_request {
	uint16_t type;
	enum service_id from;
	ReplyTo reply_to;
	struct cursor fields; /* dies at the next server_take */
	struct channel_message
		message; /* its untaken descriptors are closed at the next server_take */
	uint32_t watch;  /* SERVER_WATCH: the id given to server_watch */
};

/* The rules end with { 0 }; they must outlive the server. */
struct server *server_new(const struct rpc_rule *rules);
void server_free(struct server *s);
DEFINE_DROP(server)

/* Takes over the server's end of the channel on which one process of `from` asks. */
void server_add_client(struct server *s, enum service_id from, int fd);

/* Also wakes when fd is readable. -1 takes the watch of that id away. The fd stays the caller's. */
void server_watch(struct server *s, uint32_t id, int fd);

/*
 * Waits until something is there or `until`; then takes all that is waiting, up to
 * SERVER_BATCH_MAX requests or 2 MiB. *ret_batch lives until the next call.
 * ret_count 0: the time has come.
 */
MUST_USE Err server_take(struct server *s, Moment until, struct server_request **ret_batch,
	size_t *ret_count);

/* Bytes and descriptors of an answer, as parts. Never blocks: ERR_TEMP when the asker does not
 * read, ERR_GONE when it is no longer there; both may be ignored. */
Err server_answer(struct server *s, ReplyTo to, const Str *parts, size_t part_count,
	const int *fds, size_t fd_count);

/*
 * True once for each client whose process closed its channel: what was handed to it is not coming
 * back. ret is ReplyTo.client of its requests.
 */
bool server_gone(struct server *s, uint16_t *ret);

/* True once after a client broke the rules; says which service it was, for the log. */
bool server_offender(struct server *s, enum service_id *ret);
