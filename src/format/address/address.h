/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Mail addresses as SMTP writes them (RFC 5321, 4.1.2 and 4.1.3; RFC 6531, 3.3). Reads peers'
 * bytes; the Strs handed out point into the text that was read.
 */

#include "base/buf.h"

enum {
	ADDRESS_MAX = 254,        /* octets of a mailbox: a path of 256 without its brackets */
	ADDRESS_LOCAL_MAX = 64,   /* RFC 5321, 4.5.3.1.1; held against our own accounts only */
	ADDRESS_DOMAIN_MAX = 255, /* RFC 5321, 4.5.3.1.2 */
	ADDRESS_LABEL_MAX = 63,   /* RFC 1035, 2.3.4 */
	ADDRESS_ROUTE_MAX = 1024, /* octets of a source route that is read and dropped */
};

/* What may stand there besides a plain ASCII mailbox. */
enum address_allow {
	ADDRESS_UTF8 = 1 << 0,       /* RFC 6531 */
	ADDRESS_NULL = 1 << 1,       /* <>, only in a path */
	ADDRESS_POSTMASTER = 1 << 2, /* <postmaster> without a domain, only in a path */
	ADDRESS_SHORT_LOCAL =
		1 << 3, /* refuse a local-part over 64 octets: accounts of our own */
};

/* <> has neither part; <postmaster> has no domain. */
struct address {
	Str text;     /* the mailbox as written, without brackets and source route */
	Str local;    /* as written: with its quotes, if any */
	Str domain;   /* as written; a literal with its brackets */
	bool quoted;  /* local is a Quoted-string */
	bool literal; /* domain is an address literal */
	bool utf8;    /* holds octets above 127 */
};

/*
 * Reads the whole of text as a Mailbox.
 *
 * ERR_PEER   not an address, or one that `allow` does not allow
 * ERR_LIMIT  over ADDRESS_MAX and its kin
 */
MUST_USE Err address_parse(Str text, unsigned allow, struct address *ret);

/*
 * Reads a Path from "<" to ">" and leaves the cursor behind it. A source route is read and
 * dropped (RFC 5321, 3.3 and appendix C). Errors as address_parse.
 */
MUST_USE Err address_parse_path(struct cursor *c, unsigned allow, struct address *ret);

/* A sub-domain list or an address literal, whole of text. Errors as address_parse. */
MUST_USE Err address_check_domain(Str text, unsigned allow);

/* The local-part without its quoting: the name itself. */
void address_put_local(struct buf *b, const struct address *a);

/* A mailbox from a bare name and a domain, with the least quoting that does. */
void address_write(struct buf *b, Str name, Str domain);

/*
 * The form in which two addresses of ours are compared: the bare name in ASCII lower case, "@"
 * and the domain's key (format/address/domain.h); without a domain the name alone.
 *
 * ERR_PEER   the domain has no A-label form
 */
MUST_USE Err address_put_key(struct buf *b, const struct address *a);

/*
 * Splits "user+tag" at the first separator behind the first octet. Without one, ret_user is all
 * and ret_tag is empty.
 */
void address_split_tag(Str name, char separator, Str *ret_user, Str *ret_tag);
