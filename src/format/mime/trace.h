/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The lines that mail servers add to a message (RFC 5321, 4.4; RFC 9228), and what they tell.
 * Lines end in LF, as everywhere inside. What a client said is written so that it can neither
 * end the line nor the comment it stands in.
 */

#include "base/buf.h"
#include "format/mime/date.h"
#include "format/mime/header.h"

struct mime_received {
	Str helo;      /* as said; empty: none */
	Str peer_name; /* of reverse DNS; empty: unknown */
	Str peer; /* address as text, "192.0.2.1" or "IPv6:2001:db8::1"; empty: by one of ours */
	Str tls;  /* "TLSv1.3 with cipher ..."; empty: none */
	Str by;   /* our name */
	Str with; /* "ESMTPS" ... (RFC 3848); empty: left in the drop folder by a program of `user` */
	uint32_t user;
	Str id;
	Str recipient; /* empty when there are several (RFC 5321, 7.2) */
	struct mime_date when;
};

void mime_trace_write_received(struct buf *b, const struct mime_received *r);

/* What reverse DNS says of the peer (RFC 8601, 2.7.3). Stands above our Received line (RFC 8601, 5). */
void mime_trace_write_results(struct buf *b, const struct mime_received *r);
/* True when an Authentication-Results field claims to be `by`'s own (RFC 8601, 5): it is not. */
bool mime_trace_is_forged_result(const struct mime_field *field, Str by);

void mime_trace_write_return_path(struct buf *b, Str sender); /* empty: "<>" */
void mime_trace_write_delivered_to(struct buf *b, Str recipient);
/* `by` added it, and a comment says so. */
void mime_trace_write_date(struct buf *b, const struct mime_date *d, Str by);
void mime_trace_write_message_id(struct buf *b, Str unique, Str host);

/* How many hops a message has behind it: Received lines, counted up to most. */
size_t mime_trace_count_received(Str message, size_t most);

/* True when a Delivered-To line names this address: it comes in a circle (RFC 9228, 4). */
bool mime_trace_was_delivered_to(Str message, Str recipient);
