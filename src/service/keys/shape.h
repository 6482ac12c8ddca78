/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What `keys` is willing to sign: what a TLS server signs in its handshake, and nothing else. A
 * taken-over asker can thus have handshakes signed while it asks, but no mail, certificate or
 * program, and nothing for TLS clients.
 */

#include "os/key.h"

/*
 * OK when the message has one of these shapes, whole:
 * RFC 8446, 4.4.3   64 spaces, the server's context string, NUL, a hash of 32 or 48 octets
 * RFC 8422, 5.4     two randoms of 32 octets, then curve, length and point of an ephemeral key
 * ERR_PEER otherwise, also when TLS 1.3 does not allow the scheme.
 */
MUST_USE Err keys_shape_check(enum key_scheme scheme, Str message);
