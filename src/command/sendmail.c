/* SPDX-License-Identifier: ISC */
/*
 * posthorn sendmail, also when called by that name: takes a message on its standard input, as every
 * program expects of /usr/sbin/sendmail. It leaves the message in the drop folder, from where the
 * server takes it at once, or when it runs again; success means that it is on the disk.
 */
#include "base/memory.h"
#include "base/utf8.h"
#include "command/command.h"
#include "command/data.h"
#include "format/mime/address.h"
#include "format/mime/header.h"
#include "format/smtp/command.h"
#include "format/smtp/data.h"
#include "os/clock.h"
#include "os/file.h"
#include "service/master/settings.h"

#include <fcntl.h>
#include <getopt.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sysexits.h>

int command_queue(int argc, char **argv);
int command_sendmail(int argc, char **argv);

enum {
	MESSAGE_MAX = 256 * 1024 * 1024, /* octets; the server has its own limit */
	ADDED_MAX = 8 * 1024,
	RECIPIENTS_TEXT_MAX = 1024 * 1024, /* octets of RCPT lines */
	ADDRESSES_MEMORY = 4 * 1024 * 1024,
	PIECE = 64 * 1024,
	NAME_ROOM = 64,
	DIR_OPTION = 0x100, /* outside what letters use */
};

struct job {
	bool from_header; /* -t */
	bool dots;        /* -i: a dot alone is no end */
	Str sender, name;
	char host[256], login[256];
	struct buf message;    /* with LF ends */
	struct buf recipients; /* RCPT lines */
	size_t count;
	struct arena *arena;
};

static int
usage(void)
{
	fprintf(stderr, "usage: sendmail [-t] [-i] [-f ADDRESS] [-F NAME] [ADDRESS]...\n");
	return EX_USAGE;
}

/* Our host name, and who is calling. */
static bool
find_names(struct job *j)
{
	struct master_options options = { .config = data_config() };
	struct master_config config;
	struct passwd *user = getpwuid(getuid());
	Err e = master_config_read(&options, &config);

	if (failed(e))
		return false;
	e = str_c(config.own.hostname, j->host, sizeof(j->host));
	master_config_free(&config);
	snprintf(j->login, sizeof(j->login), "%s", user == NULL ? "nobody" : user->pw_name);
	return !failed(e);
}

static bool
read_message(struct job *j)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t n;

	while ((n = getline(&line, &room, stdin)) > 0) {
		Str s = { line, (size_t)n };
		bool ended = str_ends(s, S("\n"));

		s = ended ? str_part(s, 0, s.n - (str_ends(s, S("\r\n")) ? 2 : 1)) : s;
		if (ended && !j->dots && str_eq(s, S(".")))
			break;
		buf_put(&j->message, s);
		if (ended)
			buf_put_char(&j->message, '\n');
	}
	free(line);
	if (ferror(stdin) || failed(buf_check(&j->message))) {
		fprintf(stderr, "sendmail: cannot read the message\n");
		return false;
	}
	return true;
}

/* One RCPT line for each address of a list; a name alone stands at this host. */
static bool
add_recipients(struct job *j, Str list)
{
	struct mime_address *a;

	if (failed(mime_address_parse(list, j->arena, &a)))
		return false;
	for (; a != NULL; a = a->next) {
		if (a->kind != MIME_ADDRESS_MAILBOX || a->local.n == 0)
			continue;
		buf_put(&j->recipients, S("RCPT TO:<"));
		address_write(&j->recipients, a->local,
			a->domain.n > 0 ? a->domain : str_from(j->host));
		buf_put(&j->recipients, S(">\r\n"));
		j->count++;
	}
	return true;
}

/* RFC 5322, 3.6.3. The server takes Bcc out. */
static bool
add_recipients_of_header(struct job *j)
{
	struct cursor c = cursor_of(buf_view(&j->message));
	struct mime_field f;

	while (mime_field_next(&c, &f))
		if (str_eq_icase(f.name, S("To")) || str_eq_icase(f.name, S("Cc")) ||
			str_eq_icase(f.name, S("Bcc")))
			if (!add_recipients(j, f.body))
				return false;
	return true;
}

static void
put_sender(const struct job *j, struct buf *b)
{
	if (j->sender.p == NULL)
		address_write(b, str_from(j->login), str_from(j->host));
	else if (j->sender.n > 0 && !str_has(j->sender, '@'))
		address_write(b, j->sender, str_from(j->host));
	else
		buf_put(b, j->sender);
}

/* From is the one field that only we can add: the server does not know people's names. */
static void
put_missing_from(const struct job *j, struct buf *b)
{
	struct cursor c = cursor_of(buf_view(&j->message));
	struct mime_field f;
	bool header = false;

	while (mime_field_next(&c, &f)) {
		if (str_eq_icase(f.name, S("From")))
			return;
		if (f.name.n == 0 && !header) {
			c = cursor_of(S(""));
			break;
		}
		header = true;
	}
	buf_put(b, S("From: "));
	if (j->name.n > 0) {
		address_write(b, j->name, S(""));
		buf_put(b, S(" <"));
	}
	put_sender(j, b);
	buf_put(b, j->name.n > 0 ? S(">\n") : S("\n"));
	if (!header && !str_starts(buf_view(&j->message), S("\n")))
		buf_put_char(b, '\n');
}

/* The whole file: a transaction as an SMTP client would say it. */
static Err
write_file(struct job *j, int fd)
{
	AUTO_BUF b = BUF_INIT((size_t)RECIPIENTS_TEXT_MAX + ADDED_MAX + (size_t)4 * PIECE);
	AUTO_BUF from = BUF_INIT(ADDED_MAX);
	struct smtp_data_writer writer = { 0 };
	Str text = buf_view(&j->message);

	buf_put(&b, S("MAIL FROM:<"));
	put_sender(j, &b);
	buf_put_char(&b, '>');
	if (!utf8_is_ascii(buf_view(&b)) || !utf8_is_ascii(buf_view(&j->recipients)))
		buf_put(&b, S(" SMTPUTF8"));
	buf_put(&b, S("\r\n"));
	buf_put(&b, buf_view(&j->recipients));
	buf_put(&b, S("DATA\r\n"));
	put_missing_from(j, &from);
	smtp_data_write(&writer, buf_view(&from), &b);
	for (size_t at = 0; at < text.n; at += PIECE) {
		smtp_data_write(&writer, str_part(text, at, PIECE), &b);
		TRY(buf_check(&b));
		TRY(file_write(fd, buf_view(&b)));
		buf_reset(&b);
	}
	smtp_data_write_end(&writer, &b);
	TRY(buf_check(&b));
	TRY(file_write(fd, buf_view(&b)));
	return file_sync(fd);
}

/* Under a name that the server does not look at, until it is whole and on the disk. */
static Err
leave(struct job *j, const char *data)
{
	char made[NAME_ROOM];
	const char *name;
	AUTO_FD folder = -1;
	AUTO_FD at = -1;
	AUTO_FD fd = -1;
	uint64_t number;
	Err e;

	if (getrandom(&number, sizeof(number), 0) != sizeof(number))
		return fail_sys(ERR_TEMP, "no random numbers");
	snprintf(made, sizeof(made), ".%016llx", (unsigned long long)number);
	name = made + 1;
	/* people may write to the folder, not look into it */
	folder = open(data, O_PATH | O_DIRECTORY | O_CLOEXEC);
	at = folder < 0 ? -1 : openat(folder, "drop", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return fail_sys(ERR_TEMP, "cannot open the drop folder");
	TRY(file_create(at, made, 0600, &fd));
	e = write_file(j, fd);
	if (!failed(e))
		e = file_rename(at, made, at, name);
	if (!failed(e))
		e = file_sync(fd); /* the new name, too */
	if (failed(e))
		(void)file_remove(at, made).kind;
	return e;
}

static int
send(struct job *j, int count, char **addresses)
{
	Err e;

	for (int i = 0; i < count; i++)
		if (!add_recipients(j, str_from(addresses[i])))
			return EX_DATAERR;
	if (!read_message(j))
		return EX_IOERR;
	if (j->from_header && !add_recipients_of_header(j))
		return EX_DATAERR;
	if (j->count == 0 || failed(buf_check(&j->recipients))) {
		fprintf(stderr, "sendmail: %s\n",
			j->count == 0 ? "nobody to send to" : "too many recipients");
		return EX_USAGE;
	}
	e = leave(j, data_folder());
	if (failed(e)) {
		fprintf(stderr, "sendmail: %s: %s\n", e.what, err_sys_text(e));
		return EX_TEMPFAIL;
	}
	return EX_OK;
}

/* mailq */
static int
list_queue(void)
{
	char name[] = "queue";
	char *argv[] = { name, NULL };

	optind = 0; /* getopt begins anew */
	return command_queue(1, argv);
}

/* Other programs' options: what asks for something that we do anyway is taken and does nothing. */
static int
take_options(struct job *j, int argc, char **argv)
{
	static const struct option data[] = {
		{ "dir", required_argument, NULL, DIR_OPTION },
		{ "config", required_argument, NULL, 'C' },
		{ 0 },
	};
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "+itf:r:F:b:o:C:B:N:R:L:h:X:A:mnvUG", data,
			NULL)) != -1)
		switch (option) {
		case 'i':
			j->dots = true;
			break;
		case 't':
			j->from_header = true;
			break;
		case 'f':
		case 'r':
			j->sender =
				str_eq(str_from(optarg), S("<>")) ? S("") : str_from(optarg);
			break;
		case 'F':
			j->name = str_from(optarg);
			break;
		case DIR_OPTION:
			data_set_folder(optarg);
			break;
		case 'C':
			data_set_config(optarg);
			break;
		case 'o':
			if (optarg[0] == 'i')
				j->dots = true;
			break;
		case 'b':
			if (optarg[0] == 'i')
				return EX_OK;
			if (optarg[0] == 'p')
				return list_queue();
			if (optarg[0] == 'm')
				break;
			fprintf(stderr, "sendmail: -b%s is not offered\n", optarg);
			return EX_UNAVAILABLE;
		case '?':
			fprintf(stderr, "sendmail: there is no option -%c\n", optopt);
			return usage();
		default:
			break;
		}
	return -1;
}

int
command_sendmail(int argc, char **argv)
{
	struct job j = { .name = S(""),
		.message = BUF_INIT(MESSAGE_MAX),
		.recipients = BUF_INIT(RECIPIENTS_TEXT_MAX) };
	/* newaliases: aliases are always new */
	int code = str_ends(str_from(argv[0]), S("newaliases")) ? EX_OK
								: take_options(&j, argc, argv);

	if (code >= 0)
		return code;
	if (!find_names(&j))
		return EX_CONFIG;
	j.arena = arena_new(ADDRESSES_MEMORY);
	code = send(&j, argc - optind, argv + optind);
	arena_free(j.arena);
	buf_done(&j.message);
	buf_done(&j.recipients);
	return code;
}
