/* SPDX-License-Identifier: ISC */
#include "command/options.h"

#include "command/data.h"

#include <getopt.h>
#include <stdio.h>
#include <sysexits.h>

enum {
	DIR_OPTION = 0x100, /* outside what OPTION_ uses */
	CONFIG_OPTION,
};

int
options_usage(const char *usage)
{
	fprintf(stderr, "usage: %s\n", usage);
	return EX_USAGE;
}

bool
options_parse(int argc, char **argv, unsigned allowed, const char *usage, struct options *ret)
{
	static const struct option known[] = {
		{ "dir", required_argument, NULL, DIR_OPTION },
		{ "config", required_argument, NULL, CONFIG_OPTION },
		{ "json", no_argument, NULL, OPTION_JSON },
		{ "dry-run", no_argument, NULL, OPTION_DRY_RUN },
		{ "hash", required_argument, NULL, OPTION_HASH },
		{ 0 },
	};
	struct options options = { 0 };
	int option;

	while ((option = getopt_long(argc, argv, "dn", known, NULL)) != -1) {
		if (option == 'd')
			option = OPTION_STANDARD;
		else if (option == 'n')
			option = OPTION_DRY_RUN;
		if (option == DIR_OPTION) {
			data_set_folder(optarg);
		} else if (option == CONFIG_OPTION) {
			data_set_config(optarg);
		} else if (option == '?' || ((unsigned)option & allowed) == 0) {
			options_usage(usage);
			return false;
		} else {
			options.given |= (unsigned)option;
			options.hash = option == OPTION_HASH ? optarg : options.hash;
		}
	}
	options.words = argv + optind;
	options.count = argc - optind;
	*ret = options;
	return true;
}
