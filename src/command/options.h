/* SPDX-License-Identifier: ISC */
#pragma once

/* Options that several commands share, wherever they stand among a command's words. */

#include "base/str.h"

enum {
	OPTION_JSON = 1 << 0,     /* --json */
	OPTION_DRY_RUN = 1 << 1,  /* --dry-run, -n */
	OPTION_STANDARD = 1 << 2, /* -d: also what is not set */
	OPTION_HASH = 1 << 3,     /* --hash HASH */
};

struct options {
	unsigned given; /* OPTION_ */
	const char *hash;
	char **words; /* behind the command's name, without the options */
	int count;
};

/*
 * Also takes --dir and --config (command/data.h). `allowed` says which others may be given.
 * False: said on stderr together with the usage; the command ends with EX_USAGE.
 */
bool options_parse(int argc, char **argv, unsigned allowed, const char *usage,
	struct options *ret);

/* Writes the usage to stderr and returns EX_USAGE. */
int options_usage(const char *usage);
