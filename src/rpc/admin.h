/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Administrators' commands on their way from `control` to the service that carries them out: words
 * as typed there, text and an exit code (sysexits) back.
 */

#include "rpc/call.h"

enum {
	ADMIN_WORDS_MAX = 1024,
	ADMIN_PIECE_MAX = 64 * 1024, /* octets of text in a datagram; more is a memfd */
};

/*
 * Asks `type`; the text is appended to ret. input is a sealed memfd with the text that the command
 * reads (message.fds[0] there), or -1.
 */
MUST_USE Err admin_call(struct caller *c, uint16_t type, const Str *words, size_t count,
	int input, struct buf *ret, int *ret_exit);

/* The words of a request; they point into it, the array lives in the arena. */
struct arena;
MUST_USE Err admin_parse(struct cursor *c, struct arena *a, Str **ret, size_t *ret_count);

/* Answers with the whole text. */
struct server;
struct ReplyTo;
void admin_answer(struct server *s, const struct ReplyTo *to, Str text, int exit_code);
