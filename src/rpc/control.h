/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The admin socket, control.sock in the data folder: one SEQPACKET connection is one command. The
 * command is a datagram of words (and, for commands that read a text, a memfd with it); the answer
 * comes in pieces, the last with the exit code. Whoever may open the socket may command: it is
 * mode 0600.
 */

#include "base/buf.h"
#include "rpc/admin.h"

enum {
	CONTROL_TEXT_MAX = 64 * 1024 * 1024, /* octets of an answer */
};

/* ---- The command line ---- */

/* ERR_GONE: no server runs there (the caller may work on the files itself). */
MUST_USE Err control_open(const char *data_folder, int *ret);

/* input may be -1. The answer is appended to ret; *ret_exit is its exit code (sysexits). */
MUST_USE Err control_command(int fd, const Str *words, size_t count, int input, struct buf *ret,
	int *ret_exit);

/* ---- `control` ---- */

MUST_USE Err control_receive(int fd, char *buffer, size_t size, Moment until,
	struct channel_message *ret);
void control_answer(int fd, Str text, int exit_code);
