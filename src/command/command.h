/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The command line: one file per verb, each with a run function that returns a sysexits code. argv
 * begins with the verb.
 */

struct command {
	const char *name;
	const char *arguments; /* for the usage */
	const char *summary;   /* what it does, in a few words */
	int (*run)(int argc, char **argv);
};

/* Ends with a NULL name. */
extern const struct command command_table[];
