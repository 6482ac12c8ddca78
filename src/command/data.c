/* SPDX-License-Identifier: ISC */
#include "command/data.h"

#include "service/master/settings.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#define STANDARD_CONFIG "/etc/posthorn/posthorn.conf"

/* What the command line said; set once by main. */
static struct {
	const char *folder, *config;
} chosen;

void
data_set_folder(const char *folder)
{
	chosen.folder = folder;
}

void
data_set_config(const char *config)
{
	chosen.config = config;
}

const char *
data_chosen(void)
{
	return chosen.folder;
}

const char *
data_config(void)
{
	static char own[PATH_MAX];

	if (chosen.config != NULL)
		return chosen.config;
	if (chosen.folder != NULL) {
		snprintf(own, sizeof(own), "%s/posthorn.conf", chosen.folder);
		if (access(own, R_OK) == 0)
			return own;
	}
	return access(STANDARD_CONFIG, R_OK) == 0 ? STANDARD_CONFIG : NULL;
}

const char *
data_folder(void)
{
	static char path[PATH_MAX];
	struct master_options options = { .config = data_config() };
	struct master_config config;

	if (chosen.folder != NULL)
		return chosen.folder;
	if (path[0] != '\0')
		return path;
	if (failed(master_config_read(&options, &config)))
		exit(EX_CONFIG);
	snprintf(path, sizeof(path), "%.*s", STR_ARG(config.own.data));
	master_config_free(&config);
	return path;
}
