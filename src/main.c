/* SPDX-License-Identifier: ISC */
/*
 * posthorn: one executable. `master` runs it again as each service (argv[0] is then
 * "posthorn: NAME" and descriptor 3 the channel to `master`); everything else is a command.
 */

#include "base/str.h"
#include "command/command.h"
#include "command/data.h"
#include "rpc/start.h"
#include "service/master/table.h"

#include <stdio.h>
#include <sysexits.h>

static int
run_service(void)
{
	struct start start;

	start_receive(&start);
	service_table[start.service].serve(&start);
	return EX_OK;
}

static void
print_usage(FILE *f)
{
	fprintf(f, "usage: posthorn [--dir DIR | --config FILE] COMMAND [ARGUMENT]...\n\n");
	for (const struct command *c = command_table; c->name != NULL; c++)
		fprintf(f, "  %-10s %s\n", c->name, c->summary);
	fprintf(f, "\nEach has a manual page: man posthorn-COMMAND.\n");
}

static const struct command *
find_command(const char *name)
{
	for (const struct command *c = command_table; c->name != NULL; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}

static const struct command *
find_nearest(Str name)
{
	const struct command *nearest = NULL;
	size_t best = str_near(name) + 1;

	for (const struct command *c = command_table; c->name != NULL; c++) {
		size_t d = str_distance(name, str_from(c->name));

		if (d >= best || d >= name.n)
			continue;
		best = d;
		nearest = c;
	}
	return nearest;
}

static int
refuse(const char *name)
{
	const struct command *nearest = find_nearest(str_from(name));

	fprintf(stderr, "posthorn: there is no command \"%s\"", name);
	if (nearest != NULL)
		fprintf(stderr, "; did you mean \"%s\"?\n", nearest->name);
	else
		fprintf(stderr, "; posthorn help lists them\n");
	return EX_USAGE;
}

static int
help(const struct command *c)
{
	printf("usage: posthorn %s%s%s\n\n%s: %s. See also: man posthorn-%s\n", c->name,
		c->arguments[0] == '\0' ? "" : " ", c->arguments, c->name, c->summary, c->name);
	return EX_OK;
}

/* Other mail systems' names for our commands, as links to this executable. */
static const struct command *
find_called_as(const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash == NULL ? path : slash + 1;

	if (strcmp(name, "posthorn") == 0)
		return NULL;
	if (strcmp(name, "mailq") == 0)
		return find_command("queue");
	return find_command(strcmp(name, "newaliases") == 0 ? "sendmail" : name);
}

/* Options in front of the command; returns how many words they take. */
static int
take_options(int argc, char **argv)
{
	int at = 1;

	for (; at + 1 < argc; at += 2) {
		if (strcmp(argv[at], "--dir") == 0)
			data_set_folder(argv[at + 1]);
		else if (strcmp(argv[at], "--config") == 0)
			data_set_config(argv[at + 1]);
		else
			break;
	}
	return at - 1;
}

int
main(int argc, char **argv)
{
	const struct command *c;
	bool asks_help;
	int taken;

	if (argc > 0 && str_starts(str_from(argv[0]), S("posthorn: ")))
		return run_service();
	c = argc > 0 ? find_called_as(argv[0]) : NULL;
	if (c != NULL)
		return c->run(argc, argv);
	taken = take_options(argc, argv);
	argc -= taken;
	argv += taken;
	if (argc < 2) {
		print_usage(stderr);
		return EX_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		printf("posthorn %s\n", POSTHORN_VERSION);
		return EX_OK;
	}
	asks_help = strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0;
	if (asks_help && argc == 2) {
		print_usage(stdout);
		return EX_OK;
	}
	c = find_command(argv[asks_help ? 2 : 1]);
	if (c == NULL)
		return refuse(argv[asks_help ? 2 : 1]);
	if (asks_help || (argc == 3 && strcmp(argv[2], "--help") == 0))
		return help(c);
	return c->run(argc - 1, argv + 1);
}
