/* SPDX-License-Identifier: ISC */
#pragma once

/* What a certificate says of itself, for people who look after it. Decides nothing about trust. */

#include "os/key.h"

struct certificate {
	Time begins, ends;
	bool own_issuer; /* signed with itself */
	bool names_host; /* is for the host asked about */
	KeyId key;       /* of its public key */
};

/*
 * Reads the first certificate of a PEM text.
 * ERR_PERM   there is none
 */
MUST_USE Err certificate_read(Str pem, Str host, struct certificate *ret);
