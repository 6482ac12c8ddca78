/* SPDX-License-Identifier: ISC */
/* posthorn alias: addresses that stand for others, here or elsewhere. */
#include "base/memory.h"
#include "command/ask.h"
#include "command/command.h"
#include "command/list.h"
#include "command/options.h"

#include <stdlib.h>
#include <sysexits.h>

int command_alias(int argc, char **argv);

static const char usage[] =
	"posthorn alias add ADDRESS MEMBER... | posthorn alias remove ADDRESS [MEMBER...]\n"
	"       posthorn alias list [--json]\n"
	"       ADDRESS may be @DOMAIN: whatever is not known otherwise there";

/* alias VERB ADDRESS MEMBER... as typed. */
static int
change(const struct options *o)
{
	size_t count = (size_t)o->count + 1;
	Str *words = memory_get_array(count, sizeof(*words));
	int exit_code;

	words[0] = S("alias");
	for (size_t i = 1; i < count; i++)
		words[i] = str_from(o->words[i - 1]);
	exit_code = ask_change(words, count);
	free(words);
	return exit_code;
}

int
command_alias(int argc, char **argv)
{
	struct options o;
	Str verb;

	if (!options_parse(argc, argv, OPTION_JSON, usage, &o))
		return EX_USAGE;
	verb = str_from(o.count > 0 ? o.words[0] : "");
	if (str_eq(verb, S("list")) && o.count == 1)
		return list_records(S("alias"), (o.given & OPTION_JSON) != 0);
	if ((str_eq(verb, S("add")) && o.count >= 3) ||
		(str_eq(verb, S("remove")) && o.count >= 2))
		return change(&o);
	return options_usage(usage);
}
