/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Starting a service: our own executable anew, through a descriptor opened at start, so that each
 * process has its own address layout and an upgrade never mixes versions.
 */

#include "base/err.h"

#include <sys/types.h>

/* A descriptor of the running executable. ERR_PERM when /proc is not there. */
MUST_USE Err spawn_open_self(int *ret);

/*
 * Runs `self` as `argv`; descriptor 3 there is `channel`, 0 to 2 are /dev/null and our stderr,
 * nothing else is open. The environment is empty but for the sanitizers' options.
 */
MUST_USE Err spawn_run(int self, char *const *argv, int channel, pid_t *ret);
