/* SPDX-License-Identifier: ISC */
#pragma once

/* Listening sockets. */

#include "base/str.h"

#include <stdint.h>

/*
 * address  IPv4 or IPv6 in digits, or "*" for all of both
 *
 * ERR_PERM   not an address, or the port is taken (sys EADDRINUSE) or not allowed (EACCES)
 */
MUST_USE Err listen_tcp(Str address, uint16_t port, int *ret);

/* SEQPACKET socket in the file system, mode 0600; replaces a stale one. */
MUST_USE Err listen_local(const char *path, int *ret);

/*
 * Accepts one, for struct conn: in blocking mode, closes on exec, without Nagle's delay. ERR_TEMP
 * when there is none.
 */
MUST_USE Err listen_accept(int listener, int *ret);
