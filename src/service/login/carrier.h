/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Carries bytes between TLS clients and their accounts' processes, for any number of sessions on
 * one thread: of most of them, most of the time, nothing is heard. A session costs its TLS state
 * and a few hundred octets; buffers exist only while one side does not take what the other sent.
 */

#include "os/conn.h"

enum {
	CARRIER_CLOSING_MS = 30 * 1000, /* for a client to take the last of what it is sent */
};

struct carrier;

/* ERR_TEMP: out of descriptors, or no thread. */
MUST_USE Err carrier_new(struct carrier **ret);

/* Ends all sessions. NULL is fine. */
void carrier_free(struct carrier *k);
DEFINE_DROP(carrier)

/* Takes over both: an authenticated client under TLS, and our end of its session. */
void carrier_add(struct carrier *k, struct conn *client, int session);

size_t carrier_count(struct carrier *k);

/* Readable when carrier_count may have become zero; read an eventfd's eight octets from it. */
int carrier_idle_fd(const struct carrier *k);
