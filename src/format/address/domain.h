/* SPDX-License-Identifier: ISC */
#pragma once

/* Domain names for comparing and for DNS: A-labels in lower case (RFC 5890). Wraps libidn2. */

#include "base/buf.h"

/*
 * Appends the lower-case A-label form of a domain; a trailing dot is dropped, an address literal
 * only put in lower case.
 *
 * ERR_PEER   a label that IDNA 2008 refuses, or an empty one
 * ERR_LIMIT  too long
 */
MUST_USE Err address_domain_put_key(struct buf *b, Str domain);

/* The U-label form, for people's eyes; what cannot be shown stays as it is. */
void address_domain_put_readable(struct buf *b, Str domain);
