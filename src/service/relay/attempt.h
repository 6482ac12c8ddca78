/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * One attempt: a message and its recipients in one domain, from the DNS to a result for each. Host
 * after host and address after address is tried until nobody is left who could still be served.
 * A connection that worked stays open for the next message to the same destination.
 */

#include "rpc/settings.h"
#include "service/relay/client.h"
#include "service/relay/route.h"

#include <stdatomic.h>

enum {
	ATTEMPT_SESSIONS_MAX = 3,       /* servers that said EHLO, per attempt */
	ATTEMPT_ADDRESSES_MAX = 8,      /* addresses tried, per attempt */
	ATTEMPT_START_MAX = 600 * 1000, /* ms after which no other server is tried */
	ATTEMPT_MEMORY_MAX = 1 << 20,   /* octets for answers and texts of one attempt */
	ATTEMPT_KEY_MAX = 256,          /* octets of a destination */
};

/* What all threads share; nothing changes after the start. */
struct relay {
	struct settings_relay settings;
	struct route_policy policy;
	struct route_hop smart; /* when there is a smart host */
	bool has_smart;
	struct tls_context *any_tls, *proven_tls;
	const struct client_times *times;
	atomic_bool stopping;
};

/* An open connection and where it leads. */
struct attempt_connection {
	struct client *client; /* NULL: none */
	struct client_target target;
	char host[ATTEMPT_KEY_MAX], address[CONN_PEER_MAX]; /* target points here */
	char destination[ATTEMPT_KEY_MAX];                  /* as attempt_destination says */
};

struct attempt {
	const struct relay *relay;
	struct caller *resolver;
	struct arena *arena;
	struct attempt_connection *connection; /* may be open from the message before */
	const struct queue_job *job;

	/* Results, set by attempt_run. */
	struct client_result *results;   /* one for each recipient of the job */
	bool nobody_reached;             /* no server could be spoken to */
	int64_t connect_us, transmit_us; /* how long it took */
	Str remote;                      /* host[address]:port of the last server, or "" */
};

/* ERR_LIMIT   the arena is full: give the job back */
MUST_USE Err attempt_run(struct attempt *at);

/* The domain that the job is for, as one compares them; QUEUE_ANYWHERE with a smart host. */
MUST_USE Err attempt_destination(const struct relay *relay, const struct queue_job *job,
	struct buf *ret);

void attempt_connection_close(struct attempt_connection *c, bool politely);
