/* SPDX-License-Identifier: ISC */
#include "command/command.h"

#include <stddef.h>

int command_account(int argc, char **argv);
int command_alias(int argc, char **argv);
int command_apply(int argc, char **argv);
int command_config(int argc, char **argv);
int command_doctor(int argc, char **argv);
int command_domain(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_queue(int argc, char **argv);
int command_sendmail(int argc, char **argv);
int command_serve(int argc, char **argv);
int command_trace(int argc, char **argv);
int command_try(int argc, char **argv);

const struct command command_table[] = {
	{ "serve", "[--config FILE]", "run the mail system", command_serve },
	{ "try", "[--dir DIR] [--port-base N] [--domain NAME]... [--user ADDRESS:PASSWORD]...",
		"run all of it unprivileged on loopback, in one directory", command_try },
	{ "config", "check|show|explain", "check and explain the configuration",
		command_config },
	{ "domain", "add|remove NAME | list", "which domains are ours", command_domain },
	{ "account", "add|passwd|disable|enable|remove ADDRESS | list",
		"who has a mailbox here", command_account },
	{ "alias", "add|remove ADDRESS [MEMBER]... | list", "addresses that stand for others",
		command_alias },
	{ "queue", "[list | show ID | cat ID | flush [ID] | hold|release|remove ID...|all]",
		"what waits to be delivered", command_queue },
	{ "sendmail", "[-t] [-i] [-f ADDRESS] [-F NAME] [ADDRESS]...",
		"send a message from a program, as /usr/sbin/sendmail does", command_sendmail },
	{ "dump", "", "print the whole directory as text", command_dump },
	{ "apply", "[--dry-run] FILE", "make the directory what a dump says", command_apply },
	{ "trace", "ID|MESSAGE-ID|last", "the life of a message, from the log", command_trace },
	{ "doctor", "", "what is wrong, and what to do about it", command_doctor },
	{ NULL, NULL, NULL, NULL },
};
