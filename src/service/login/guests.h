/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Who is here without having logged in: one network may not take all places of a process, or one
 * machine could keep everybody else out. Loopback is never counted. Shared by all threads.
 */

#include "format/dns/ip.h"

enum {
	GUESTS_PER_NETWORK = 16, /* conversations of one IPv4 address, or one IPv6 /64 */
};

struct guests;

/* most: places in all. */
struct guests *guests_new(size_t most);
void guests_free(struct guests *g); /* NULL is fine */
DEFINE_DROP(guests)

/* Takes a place. ERR_LIMIT: the network has its share; ERR_TEMP: all places are taken. */
MUST_USE Err guests_enter(struct guests *g, Ip ip, size_t *ret_place);
void guests_leave(struct guests *g, size_t place);

/* Places taken. */
size_t guests_count(struct guests *g);
