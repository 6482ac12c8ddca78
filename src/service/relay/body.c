/* SPDX-License-Identifier: ISC */
#include "service/relay/body.h"

#include "os/memfd.h"

Err
body_piece(const struct queue_body *body, uint64_t at, char *room, Str *ret)
{
	size_t n;

	if (body->fd < 0) {
		*ret = str_part(body->bytes, at, BODY_PIECE_MAX);
		return OK;
	}
	if (at >= body->size) {
		*ret = S("");
		return OK;
	}
	n = body->size - at < BODY_PIECE_MAX ? (size_t)(body->size - at) : BODY_PIECE_MAX;
	TRY(memfd_read(body->fd, (off_t)at, room, n));
	*ret = (Str){ room, n };
	return OK;
}

struct scan {
	bool in_body;    /* the empty line was seen */
	bool line_empty; /* no octet of this line yet */
	struct body_facts facts;
};

static void
scan_piece(struct scan *s, Str piece)
{
	for (size_t i = 0; i < piece.n; i++) {
		unsigned char c = str_at(piece, i);

		if (c == '\n') {
			s->facts.wire_size++; /* its CR */
			s->in_body |= s->line_empty;
			s->line_empty = true;
			continue;
		}
		if (c != '\r')
			s->line_empty = false;
		if (c > 127) {
			s->facts.eight_bit = true;
			s->facts.eight_bit_header |= !s->in_body;
		}
	}
	s->facts.wire_size += piece.n;
}

Err
body_scan(const struct queue_body *body, struct body_facts *ret)
{
	struct scan s = { .line_empty = true };
	char room[BODY_PIECE_MAX];
	uint64_t at = 0;
	Str piece;

	for (;;) {
		TRY(body_piece(body, at, room, &piece));
		if (piece.n == 0)
			break;
		scan_piece(&s, piece);
		at += piece.n;
	}
	*ret = s.facts;
	return OK;
}
