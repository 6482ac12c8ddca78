/* SPDX-License-Identifier: ISC */
#pragma once

/* A message's bytes, piece by piece, wherever they are. */

#include "rpc/queue.h"

enum {
	BODY_PIECE_MAX = 16 * 1024, /* octets */
};

/* The piece at `at`; empty at the end. room holds BODY_PIECE_MAX octets. ERR_TEMP: unreadable. */
MUST_USE Err body_piece(const struct queue_body *body, uint64_t at, char *room, Str *ret);

struct body_facts {
	uint64_t wire_size;    /* octets with CRLF line ends, without stuffed and final dots */
	bool eight_bit;        /* octets above 127 anywhere */
	bool eight_bit_header; /* in the header: it needs SMTPUTF8 (RFC 6532) */
};

MUST_USE Err body_scan(const struct queue_body *body, struct body_facts *ret);
