/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Err: what went wrong, told by whose turn it is to act. The kind alone decides what happens
 * next; `what` names the failed step for the log and never holds input.
 */

#include "base/own.h"

#include <errno.h>
#include <stdbool.h>

enum err_kind {
	ERR_NONE = 0, /* success */
	ERR_PEER,     /* the peer broke the protocol: answer 5xx / BAD, go on */
	ERR_LIMIT,    /* over a documented limit: answer 5xx / NO [LIMIT], go on */
	ERR_GONE,     /* the peer hung up or fell silent: end this session */
	ERR_TEMP,     /* our side, worth retrying: answer 4xx, keep the mail */
	ERR_PERM,     /* our side, retrying is useless: bounce, tell the operator */
};

typedef struct Err {
	enum err_kind kind;
	int sys;          /* errno when a system call failed, else 0 */
	const char *what; /* static text naming the failed step; never input */
} Err;

#define OK ((Err){ .kind = ERR_NONE })

static inline bool
failed(Err e)
{
	return e.kind != ERR_NONE;
}

MUST_USE static inline Err
fail(enum err_kind kind, const char *what)
{
	return (Err){ .kind = kind, .what = what };
}

/* For the line after a failed system call: keeps errno. */
MUST_USE static inline Err
fail_sys(enum err_kind kind, const char *what)
{
	return (Err){ .kind = kind, .sys = errno, .what = what };
}

/* Returns the failure upward. The only macro that hides control flow; safe because owners are AUTO. */
#define TRY(call) \
	do { \
		Err try_err_ = (call); \
		if (failed(try_err_)) \
			return try_err_; \
	} while (0)

/* "temporary", "permanent" ...: the kind as a word, for the log. */
const char *err_kind_name(enum err_kind kind);

/* The system's text for e.sys, or "" when no system call failed. */
const char *err_sys_text(Err e);
