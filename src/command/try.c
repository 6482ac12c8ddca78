/* SPDX-License-Identifier: ISC */
/* posthorn try: the whole system, unprivileged, on loopback, in one directory. */
#include "base/buf.h"
#include "command/command.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/password.h"
#include "rpc/control.h"
#include "service/master/master.h"

#include <fcntl.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	NAMES_MAX = 4096,
	CONFIG_MAX = 1024 * 1024,
	PORT_BASE = 10000,
	PASSWORD_OCTETS = 9,
};

struct user {
	Str address, password;
	char made[2 * PASSWORD_OCTETS + 1]; /* the password, when we made it up */
};

struct
try {
	const char *dir;
	bool dir_is_ours; /* made for this run, and removed after it */
	char made_dir[2 * PATH_MAX];
	uint64_t port_base;
	const char *domains[NAMES_MAX];
	size_t domain_count;
	struct user *users;
	size_t user_count;
	const char *dns, *relay_to, *config;
	Str text; /* the whole configuration */
	int ready_fd;
	bool chosen; /* users were given: print less */
	char program[PATH_MAX];
};

int command_try(int argc, char **argv);

static int
usage(void)
{
	fprintf(stderr,
		"usage: posthorn try [--dir DIR] [--port-base N] [--domain NAME]...\n"
		"           [--user ADDRESS:PASSWORD]... [--dns ADDR:PORT] [--relay-to HOST:PORT]\n"
		"           [--config FILE] [--ready-fd FD]\n");
	return EX_USAGE;
}

static bool
add_user(struct try *t, const char *arg)
{
	Str address, password;

	if (!str_split(str_from(arg), ':', &address, &password) || !str_has(address, '@') ||
		t->user_count == NAMES_MAX) {
		fprintf(stderr, "posthorn try: --user wants ADDRESS:PASSWORD, not \"%s\"\n",
			arg);
		return false;
	}
	t->users[t->user_count++] = (struct user){ .address = address, .password = password };
	t->chosen = true;
	return true;
}

static bool
read_options(struct try *t, int argc, char **argv)
{
	static const struct option options[] = {
		{ "dir", required_argument, NULL, 'd' },
		{ "port-base", required_argument, NULL, 'p' },
		{ "domain", required_argument, NULL, 'm' },
		{ "user", required_argument, NULL, 'u' },
		{ "dns", required_argument, NULL, 'n' },
		{ "relay-to", required_argument, NULL, 'r' },
		{ "config", required_argument, NULL, 'c' },
		{ "ready-fd", required_argument, NULL, 'f' },
		{ 0 },
	};
	uint64_t number;
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'd':
			t->dir = optarg;
			break;
		case 'p':
			if (!str_to_u64(str_from(optarg), 64000, &t->port_base))
				return false;
			break;
		case 'm':
			if (t->domain_count == NAMES_MAX)
				return false;
			t->domains[t->domain_count++] = optarg;
			break;
		case 'u':
			if (!add_user(t, optarg))
				return false;
			break;
		case 'n':
			t->dns = optarg;
			break;
		case 'r':
			t->relay_to = optarg;
			break;
		case 'c':
			t->config = optarg;
			break;
		case 'f':
			if (!str_to_u64(str_from(optarg), 1 << 20, &number))
				return false;
			t->ready_fd = (int)number;
			break;
		default:
			return false;
		}
	}
	return optind == argc;
}

static void
make_password(struct user *u)
{
	unsigned char octets[PASSWORD_OCTETS];

	if (getrandom(octets, sizeof(octets), 0) != sizeof(octets))
		abort();
	for (size_t i = 0; i < sizeof(octets); i++)
		snprintf(u->made + 2 * i, 3, "%02x", octets[i]);
	u->password = str_from(u->made);
}

/* Without users of its own a try gets two, in example.org. */
static void
fill_in(struct try *t)
{
	static const char *const addresses[] = { "jane@example.org", "john@example.org" };

	if (t->domain_count == 0 && !t->chosen)
		t->domains[t->domain_count++] = "example.org";
	if (t->chosen || t->domain_count > 1 || strcmp(t->domains[0], "example.org") != 0)
		return;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		struct user *u = &t->users[t->user_count++];

		u->address = str_from(addresses[i]);
		make_password(u);
	}
}

static bool
find_dir(struct try *t)
{
	char relative[PATH_MAX];

	if (t->dir == NULL) {
		const char *tmp = getenv("TMPDIR");

		snprintf(t->made_dir, sizeof(t->made_dir), "%s/posthorn-try-XXXXXX",
			tmp == NULL ? "/tmp" : tmp);
		t->dir = mkdtemp(t->made_dir);
		t->dir_is_ours = true;
		return t->dir != NULL;
	}
	if (t->dir[0] == '/')
		return true;
	if (getcwd(relative, sizeof(relative)) == NULL)
		return false;
	snprintf(t->made_dir, sizeof(t->made_dir), "%s/%s", relative, t->dir);
	t->dir = t->made_dir;
	return true;
}

static bool
read_config(const char *path, struct buf *ret)
{
	char line[4096];
	FILE *f = fopen(path, "r");
	size_t n;

	if (f == NULL) {
		perror(path);
		return false;
	}
	while ((n = fread(line, 1, sizeof(line), f)) > 0)
		buf_put(ret, (Str){ line, n });
	fclose(f);
	return true;
}

/* A line of the file begins with this word: then it is not for us to say. */
static bool
says(Str text, Str word)
{
	struct cursor c = cursor_of(text);

	while (!cursor_done(&c)) {
		Str line = cursor_line(&c);

		if (str_starts(line, word) && (line.n == word.n || str_at(line, word.n) == ' '))
			return true;
	}
	return false;
}

/* What the options say, as configuration; a file given with --config comes behind it. */
static bool
write_config(const struct try *t, struct buf *b)
{
	AUTO_BUF file = BUF_INIT(CONFIG_MAX);

	if (t->config != NULL && !read_config(t->config, &file))
		return false;
	buf_printf(b, "config-version 1\n");
	buf_printf(b, "data %s\n", t->dir);
	buf_printf(b, "listen { address 127.0.0.1; port-base %llu }\n",
		(unsigned long long)t->port_base);
	if (!says(buf_view(&file), S("plain-auth-on-loopback")))
		buf_printf(b, "plain-auth-on-loopback yes\n");
	if (!says(buf_view(&file), S("relay")))
		buf_printf(b, "relay { to-private yes }\n");
	if (t->dns != NULL)
		buf_printf(b, "dns { forwarder %s; trust-anchor none }\n", t->dns);
	if (t->relay_to != NULL)
		buf_printf(b, "relay-host %s { tls try }\n", t->relay_to);
	buf_put(b, buf_view(&file));
	return true;
}

static void
command(const struct try *t, const Str *words, size_t count)
{
	AUTO_BUF text = BUF_INIT(64 * 1024);
	AUTO_FD fd = -1;
	int code = 0;
	Err e = control_open(t->dir, &fd);

	if (!failed(e))
		e = control_command(fd, words, count, -1, &text, &code);
	if (failed(e))
		fprintf(stderr, "posthorn try: %s: %s\n", e.what, err_sys_text(e));
	else if (code != 0 && code != EX_CANTCREAT) /* there already: --dir keeps state */
		fprintf(stderr, "posthorn try: %.*s", STR_ARG(buf_view(&text)));
}

/* The password goes no further than this process; the directory is given its hash. */
static void
make_account(const struct try *t, const struct user *u)
{
	AUTO_BUF hash = BUF_INIT(PASSWORD_HASH_MAX);
	Err e = password_hash(u->password, &hash);

	if (failed(e))
		fprintf(stderr, "posthorn try: %s\n", e.what);
	else
		command(t, (Str[]){ S("account"), S("add"), u->address, buf_view(&hash) }, 4);
}

static void
make_accounts(struct try *t)
{
	for (size_t i = 0; i < t->domain_count; i++)
		command(t, (Str[]){ S("domain"), S("add"), str_from(t->domains[i]) }, 3);
	for (size_t i = 0; i < t->user_count; i++) {
		struct user *u = &t->users[i];
		Str domain = str_from_at(u->address, str_find_last(u->address, '@') + 1);

		command(t, (Str[]){ S("domain"), S("add"), domain }, 3);
		make_account(t, u);
	}
	malloc_trim(0); /* argon2's 19 MiB: this process stays as master */
}

static void
print_welcome(const struct try *t)
{
	const unsigned base = (unsigned)t->port_base;

	printf("Posthorn is running in %s\n\n", t->dir);
	printf("  SMTP 127.0.0.1:%u   submission 127.0.0.1:%u (STARTTLS), 127.0.0.1:%u (TLS)\n",
		base + 25, base + 587, base + 465);
	printf("  IMAP 127.0.0.1:%u (STARTTLS), 127.0.0.1:%u (TLS)\n\n", base + 143,
		base + 993);
	for (size_t i = 0; i < t->user_count; i++)
		printf("  %.*s   password %.*s\n", STR_ARG(t->users[i].address),
			STR_ARG(t->users[i].password));
	if (t->user_count >= 2) {
		const struct user *from = &t->users[0], *to = &t->users[1];

		printf("\nSend a message, read it, and see what became of it:\n\n");
		printf("  printf 'Subject: hello\\n\\nIt works.\\n' | curl -sS --url "
		       "smtp://127.0.0.1:%u --user '%.*s:%.*s' --mail-from %.*s --mail-rcpt %.*s "
		       "--crlf --upload-file -\n",
			base + 587, STR_ARG(from->address), STR_ARG(from->password),
			STR_ARG(from->address), STR_ARG(to->address));
		printf("  curl -sS 'imap://127.0.0.1:%u/INBOX;MAILINDEX=1' --user '%.*s:%.*s'\n",
			base + 143, STR_ARG(to->address), STR_ARG(to->password));
		printf("  %s --dir %s trace last\n", t->program, t->dir);
	}
	printf("\nCtrl-C stops it.\n");
	fflush(stdout);
}

/* For other commands with --dir: `doctor`, `config show`. */
static void
keep_config(const struct try *t)
{
	AUTO_FD folder = -1;
	Err e = file_open_folder(AT_FDCWD, t->dir, &folder);

	if (!failed(e))
		e = file_replace(folder, "posthorn.conf", 0600, t->text);
	if (failed(e))
		fprintf(stderr, "posthorn try: %s/posthorn.conf: %s\n", t->dir, e.what);
}

static void
when_ready(void *arg)
{
	struct try *t = arg;

	keep_config(t);
	make_accounts(t);
	print_welcome(t);
}

static void
find_program(struct try *t)
{
	ssize_t n = readlink("/proc/self/exe", t->program, sizeof(t->program) - 1);

	snprintf(t->program + (n < 0 ? 0 : n), sizeof(t->program) - (size_t)(n < 0 ? 0 : n),
		"%s", n < 0 ? "posthorn" : "");
}

int
command_try(int argc, char **argv)
{
	static struct user users[NAMES_MAX];
	static struct try t;
	AUTO_BUF config = BUF_INIT(CONFIG_MAX);
	struct master_options master = { .ready = when_ready, .ready_arg = &t };

	t = (struct try){ .port_base = PORT_BASE, .ready_fd = -1, .users = users };
	if (!read_options(&t, argc, argv))
		return usage();
	fill_in(&t);
	find_program(&t);
	if (!find_dir(&t)) {
		perror("posthorn try: cannot make a directory");
		return EX_CANTCREAT;
	}
	if (!write_config(&t, &config))
		return EX_NOINPUT;
	t.text = buf_view(&config);
	master.text = t.text;
	master.ready_fd = t.ready_fd;
	return master_run(&master);
}
