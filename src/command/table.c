/* SPDX-License-Identifier: ISC */
#include "command/command.h"

#include <stddef.h>

int command_serve(int argc, char **argv);
int command_try(int argc, char **argv);

const struct command command_table[] = {
	{ "serve", "[--config FILE]", "run the mail system", command_serve },
	{ "try", "[--dir DIR] [--port-base N] [--domain NAME]... [--user ADDRESS:PASSWORD]...",
		"run all of it unprivileged on loopback, in one directory", command_try },
	{ NULL, NULL, NULL, NULL },
};
