/* SPDX-License-Identifier: ISC */
/* posthorn apply: makes the directory what a dump says, or tells what that would change. */
#include "command/ask.h"
#include "command/command.h"
#include "command/options.h"
#include "os/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

int command_apply(int argc, char **argv);

enum {
	MEMORY = 512 * 1024 * 1024, /* octets: the tree of a large text */
	TEXT_MAX = 128 * 1024 * 1024,
};

static int
read_text(const char *name, struct buf *ret)
{
	AUTO_FD fd = -1;
	Err e;

	if (strcmp(name, "-") == 0)
		fd = dup(STDIN_FILENO);
	else
		fd = open(name, O_RDONLY | O_CLOEXEC);
	e = fd < 0 ? fail_sys(ERR_PERM, "cannot open") : file_read_fd(fd, ret);
	if (!failed(e))
		return EX_OK;
	fprintf(stderr, "posthorn apply: %s: %s: %s\n", name, e.what, err_sys_text(e));
	return EX_NOINPUT;
}

static int
parse(const char *name, Str text, struct arena *a, struct buf *packed)
{
	struct config_errors errors = { .arena = a };
	AUTO_BUF lines = BUF_INIT(1024 * 1024);
	Err e = directory_text_parse(text, a, packed, &errors);

	if (!failed(e))
		return EX_OK;
	config_errors_write(&errors, str_from(name), &lines);
	if (errors.n == 0)
		buf_printf(&lines, "%s: %s\n", name, e.what);
	fprintf(stderr, "%.*s", STR_ARG(buf_view(&lines)));
	return EX_DATAERR;
}

int
command_apply(int argc, char **argv)
{
	static const char usage[] = "posthorn apply [--dry-run] FILE    (- is stdin)";
	AUTO(arena) a = arena_new(MEMORY);
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	AUTO_BUF packed = BUF_INIT(DIRECTORY_RECORD_PACKED_MAX);
	AUTO_BUF said = BUF_INIT(TEXT_MAX);
	struct options o;
	int exit_code;
	bool try;

	if (!options_parse(argc, argv, OPTION_DRY_RUN, usage, &o))
		return EX_USAGE;
	if (o.count != 1)
		return options_usage(usage);
	try = (o.given & OPTION_DRY_RUN) != 0;
	exit_code = read_text(o.words[0], &text);
	if (exit_code == EX_OK)
		exit_code = parse(o.words[0], buf_view(&text), a, &packed);
	if (exit_code != EX_OK)
		return exit_code;
	exit_code = ask_directory((Str[]){ S("apply"), try ? S("try") : S("run") }, 2,
		buf_view(&packed), &said);
	fprintf(exit_code == EX_OK ? stdout : stderr, "%.*s", STR_ARG(buf_view(&said)));
	if (exit_code != EX_OK)
		fprintf(stderr, "posthorn apply: nothing was changed\n");
	return exit_code;
}
