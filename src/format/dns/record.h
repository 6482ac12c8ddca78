/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The data of the DNS records that mail needs, as a resolver library hands them out: without
 * compression (RFC 1035, 3.3). They come from strangers.
 */

#include "base/buf.h"

enum {
	DNS_TYPE_A = 1,
	DNS_TYPE_CNAME = 5,
	DNS_TYPE_PTR = 12,
	DNS_TYPE_MX = 15,
	DNS_TYPE_TXT = 16,
	DNS_TYPE_AAAA = 28,

	DNS_NAME_MAX = 253, /* octets of text, without the final dot (RFC 1035, 3.1) */
	DNS_LABEL_MAX = 63,
};

/*
 * A host name as it is written in data: labels of letters, digits, `-` and `_` alone, in lower
 * case, without a final dot; the root is the empty name. Takes it from the cursor and appends to b.
 *
 * ERR_PEER    no name: a compression pointer, too long, cut off, or an octet no host name has
 * ERR_LIMIT   b is full
 */
MUST_USE Err dns_record_parse_name(struct cursor *c, struct buf *b);

/* MX (RFC 1035, 3.3.9): preference and exchange; the whole of data. Errors as above. */
MUST_USE Err dns_record_parse_mx(Str data, uint16_t *ret_preference, struct buf *b);

/* TXT (RFC 1035, 3.3.14): its strings joined, as SPF and DKIM want them. */
MUST_USE Err dns_record_parse_txt(Str data, struct buf *b);

/*
 * Is this text a name one may ask for? The same letters as above, labels of 1 to 63 octets, 253 in
 * all, one final dot allowed. Internationalised names must be A-labels already (RFC 5890).
 */
bool dns_record_name_valid(Str name);
