/* SPDX-License-Identifier: ISC */
/* posthorn serve: the mail system, in the foreground, until it is told to stop. */
#include "command/command.h"
#include "command/data.h"
#include "service/master/master.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

int command_serve(int argc, char **argv);

int
command_serve(int argc, char **argv)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "ready-fd", required_argument, NULL, 'r' },
		{ 0 },
	};
	struct master_options master = { .ready_fd = -1, .drop_users = geteuid() == 0 };
	uint64_t fd;
	int option;

	while ((option = getopt_long(argc, argv, "c:d", options, NULL)) != -1) {
		if (option == 'c') {
			master.config = optarg;
		} else if (option == 'r' && str_to_u64(str_from(optarg), 1 << 20, &fd)) {
			master.ready_fd = (int)fd;
		} else if (option != 'd') { /* -d: in the foreground, as it always is */
			fprintf(stderr,
				"usage: posthorn serve [-d] [--config FILE] [--ready-fd FD]\n");
			return EX_USAGE;
		}
	}
	if (master.config == NULL)
		master.config = data_config();
	return master_run(&master);
}
