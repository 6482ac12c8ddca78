/* SPDX-License-Identifier: ISC */
/* posthorn dump: the whole directory as text. */
#include "command/ask.h"
#include "command/command.h"
#include "command/options.h"

#include <stdio.h>
#include <sysexits.h>

int command_dump(int argc, char **argv);

enum {
	MEMORY = 256 * 1024 * 1024, /* octets */
	TEXT_MAX = 256 * 1024 * 1024,
};

int
command_dump(int argc, char **argv)
{
	static const char usage[] = "posthorn dump";
	AUTO(arena) a = arena_new(MEMORY);
	AUTO_BUF packed = BUF_INIT(DIRECTORY_RECORD_PACKED_MAX);
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	struct directory_record *records;
	struct options o;
	size_t count;
	int exit_code;

	if (!options_parse(argc, argv, 0, usage, &o))
		return EX_USAGE;
	if (o.count != 0)
		return options_usage(usage);
	exit_code = ask_records(S("dump"), a, &packed, &records, &count);
	if (exit_code != EX_OK)
		return exit_code;
	directory_text_begin(&text);
	for (size_t i = 0; i < count; i++)
		directory_text_write(&records[i], &text);
	if (text.bad || fwrite(text.p, 1, text.n, stdout) != text.n || fflush(stdout) != 0) {
		fprintf(stderr, "posthorn dump: cannot write all of it\n");
		return EX_IOERR;
	}
	return EX_OK;
}
