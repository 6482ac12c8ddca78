/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Channels: pairs of SOCK_SEQPACKET sockets between our own processes. A message is one datagram;
 * descriptors travel with it. Nothing here interprets the bytes.
 */

#include "base/str.h"
#include "os/clock.h"

enum {
	CHANNEL_MESSAGE_MAX = 128 * 1024, /* octets of one datagram */
	CHANNEL_FDS_MAX = 8,              /* descriptors of one datagram */
	CHANNEL_MANY_MAX = 32,            /* datagrams taken in one system call */
	CHANNEL_PARTS_MAX = 4,            /* pieces gathered into one datagram */
};

struct channel_message {
	Str bytes; /* in the receiver's buffer */
	int fds[CHANNEL_FDS_MAX];
	size_t fd_count;
};

/* Both ends close on exec. ERR_TEMP when out of descriptors. */
MUST_USE Err channel_pair(int ret[2]);

/* Gives this end as much room for what is under way as the kernel lets us. */
void channel_widen(int fd);

/* The same as a stream of bytes, for a session that another process carries. */
MUST_USE Err channel_stream_pair(int ret[2]);

/*
 * Sends the parts as one datagram. The descriptors stay the caller's. Blocks until `until`.
 * ERR_GONE   the other end is closed
 * ERR_TEMP   no room until then, or out of descriptors
 * ERR_LIMIT  longer than CHANNEL_MESSAGE_MAX
 */
MUST_USE Err channel_send(int fd, const Str *parts, size_t part_count, const int *fds,
	size_t fd_count, Moment until);

/* Sends without waiting: ERR_TEMP at once when there is no room. */
MUST_USE Err channel_send_now(int fd, const Str *parts, size_t part_count, const int *fds,
	size_t fd_count);

/*
 * Receives one datagram into buffer (CHANNEL_MESSAGE_MAX octets are always enough). The caller
 * owns the descriptors.
 * ERR_GONE   the other end is closed
 * ERR_TEMP   nothing came until then
 */
MUST_USE Err channel_receive(int fd, char *buffer, size_t size, Moment until,
	struct channel_message *ret);

/* Receives what is there, without waiting; ERR_TEMP with sys EAGAIN when there is nothing. */
MUST_USE Err channel_receive_now(int fd, char *buffer, size_t size,
	struct channel_message *ret);

/*
 * Receives up to `most` datagrams that are there, in one system call and without descriptors. Each
 * gets `size` octets of buffer, and ret[i] its part; a longer one is cut. *ret_count may be 0.
 * ERR_GONE   the other end is closed and nothing is left
 */
MUST_USE Err channel_receive_many(int fd, char *buffer, size_t size, size_t most, Str *ret,
	size_t *ret_count);

/* Closes the descriptors that nobody took (taken ones are set to -1). */
void channel_message_drop(struct channel_message *m);

/* Takes descriptor `at` out of the message, or -1. */
int channel_take_fd(struct channel_message *m, size_t at);
