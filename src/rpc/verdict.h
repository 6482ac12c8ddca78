/* SPDX-License-Identifier: ISC */
#pragma once

/* An Err between processes: its kind travels, its text becomes one of the asker's own. */

#include "base/buf.h"

void verdict_write(struct buf *b, Err e);

/* The Err that an answer begins with. `what` is the text that a failure gets here. */
MUST_USE Err verdict_read(struct cursor *c, const char *what);
