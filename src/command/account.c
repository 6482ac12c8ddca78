/* SPDX-License-Identifier: ISC */
/* posthorn account: who has a mailbox here. Passwords are hashed before they leave this process. */
#include "command/ask.h"
#include "command/command.h"
#include "command/list.h"
#include "command/options.h"
#include "os/password.h"

#include <stdio.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

int command_account(int argc, char **argv);

static const char usage[] =
	"posthorn account add|passwd ADDRESS [--hash HASH]    the password comes from stdin\n"
	"       posthorn account disable|enable|remove ADDRESS\n"
	"       posthorn account list [--json]";

/* One line; what does not fit is refused. */
static bool
read_line(struct buf *ret)
{
	int c;

	while ((c = getchar()) != EOF && c != '\n')
		buf_put_char(ret, (char)c);
	return !ret->bad && (c == '\n' || ret->n > 0);
}

/* Asks on a terminal, without showing what is typed. */
static bool
ask_line(const char *prompt, struct buf *ret)
{
	struct termios before, quiet;
	bool good;

	fprintf(stderr, "%s: ", prompt);
	if (tcgetattr(STDIN_FILENO, &before) != 0)
		return false;
	quiet = before;
	quiet.c_lflag &= (tcflag_t)~ECHO;
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
	good = read_line(ret);
	tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
	fprintf(stderr, "\n");
	return good;
}

static bool
read_password(struct buf *password)
{
	char room[PASSWORD_MAX];
	struct buf again = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	bool good;

	if (!isatty(STDIN_FILENO)) {
		good = read_line(password);
		if (!good)
			fprintf(stderr, "posthorn account: no password on stdin\n");
		return good;
	}
	good = ask_line("Password", password) && ask_line("Again", &again) &&
	       str_eq(buf_view(password), buf_view(&again));
	explicit_bzero(room, sizeof(room));
	if (!good)
		fprintf(stderr, "posthorn account: not the same twice\n");
	return good;
}

/* The hash given, or that of the password that is asked for. */
static int
find_hash(const struct options *o, struct buf *ret)
{
	char room[PASSWORD_MAX];
	struct buf password = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	int exit_code = EX_DATAERR;
	Err e;

	if ((o->given & OPTION_HASH) != 0) {
		buf_put_c(ret, o->hash);
		return EX_OK;
	}
	if (read_password(&password)) {
		e = password_hash(buf_view(&password), ret);
		if (failed(e))
			fprintf(stderr, "posthorn account: %s\n", e.what);
		else
			exit_code = EX_OK;
	}
	explicit_bzero(room, sizeof(room));
	return exit_code;
}

int
command_account(int argc, char **argv)
{
	AUTO_BUF hash = BUF_INIT(PASSWORD_HASH_MAX);
	struct options o;
	int exit_code;
	Str verb;

	if (!options_parse(argc, argv, OPTION_JSON | OPTION_HASH, usage, &o))
		return EX_USAGE;
	verb = str_from(o.count > 0 ? o.words[0] : "");
	if (str_eq(verb, S("list")) && o.count == 1)
		return list_records(S("account"), (o.given & OPTION_JSON) != 0);
	if (o.count != 2)
		return options_usage(usage);
	if (str_eq(verb, S("add")) || str_eq(verb, S("passwd"))) {
		exit_code = find_hash(&o, &hash);
		if (exit_code != EX_OK)
			return exit_code;
		return ask_change((Str[]){ S("account"), verb, str_from(o.words[1]),
					  buf_view(&hash) },
			4);
	}
	if (str_eq(verb, S("disable")) || str_eq(verb, S("enable")) ||
		str_eq(verb, S("remove")))
		return ask_change((Str[]){ S("account"), verb, str_from(o.words[1]) }, 3);
	return options_usage(usage);
}
