/* SPDX-License-Identifier: ISC */
/* posthorn domain: which domains are ours. */
#include "command/ask.h"
#include "command/command.h"
#include "command/list.h"
#include "command/options.h"

#include <sysexits.h>

int command_domain(int argc, char **argv);

static const char usage[] = "posthorn domain add|remove NAME | posthorn domain list [--json]";

int
command_domain(int argc, char **argv)
{
	struct options o;
	Str verb;

	if (!options_parse(argc, argv, OPTION_JSON, usage, &o))
		return EX_USAGE;
	verb = str_from(o.count > 0 ? o.words[0] : "");
	if (str_eq(verb, S("list")) && o.count == 1)
		return list_records(S("domain"), (o.given & OPTION_JSON) != 0);
	if ((!str_eq(verb, S("add")) && !str_eq(verb, S("remove"))) || o.count != 2)
		return options_usage(usage);
	return ask_change((Str[]){ S("domain"), verb, str_from(o.words[1]) }, 3);
}
