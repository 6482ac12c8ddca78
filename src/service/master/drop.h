/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The drop folder: local programs (posthorn sendmail) leave messages here, whether the server runs
 * or not. Anybody may write there, so `master` only opens the files and hands them to `submit`,
 * which reads them; a file goes when `queue` has its message.
 */

#include "os/clock.h"
#include "rpc/start.h"

struct drop;

/* data: the data folder. NULL when the folder cannot be watched (said in the log). */
struct drop *drop_new(int data);
void drop_free(struct drop *d); /* NULL is fine */
DEFINE_DROP(drop)

/* Readable when something came into the folder. */
int drop_fd(const struct drop *d);
/* When to look again even so: what `submit` could not take waits. */
Moment drop_next(const struct drop *d);

/* Hands what is there to `submit` over its channel, a few files at a time. */
void drop_look(struct drop *d, int channel);

/* What `submit` says of a file. */
void drop_answer(struct drop *d, Str file, enum start_dropped outcome);

/* `submit` ended: what it had in hand is offered again. */
void drop_forget(struct drop *d);
