/* SPDX-License-Identifier: ISC */
#pragma once

/* What the command line asks of `master`. */

#include "base/str.h"

struct master_options {
	const char *config;       /* path of the configuration; NULL: all defaults */
	Str text;                 /* the configuration itself, instead of a path */
	const char *data;         /* data folder, over what the configuration says; or NULL */
	bool drop_users;          /* each service becomes its own user (serve as root) */
	int ready_fd;             /* gets one octet when every service serves; -1: none */
	void (*ready)(void *arg); /* called then; or NULL */
	void *ready_arg;
};

/* Runs until it is told to stop. Returns a sysexits code, its reason on stderr. */
int master_run(const struct master_options *options);
