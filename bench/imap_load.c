/* SPDX-License-Identifier: ISC */
/*
 * Measures an IMAP server. The first word says what:
 *
 * login     LOGIN and LOGOUT, each on a new connection, over several connections at once
 * command   one command again and again in a selected folder; %u becomes 1, 2, 3 ...
 * append    APPEND of a message, again and again
 * idle      a message by SMTP; the time from its 250 to EXISTS in an idling session
 * hold      opens sessions, says so, and keeps them until its input ends: for measuring memory
 *
 * Ends with a line of JSON (see load_report). Any answer but OK ends the run.
 */
#include "base/buf.h"
#include "base/memory.h"
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

enum {
	CHUNK = 256 * 1024, /* octets read at once */
	LINE_MAX_HERE = 1 << 22,
	THREADS_MAX = 1000,
	MESSAGE_MAX = 1 << 24,
};

struct plan {
	int port, smtp_port;
	bool tls;
	unsigned count, connections, accounts, size;
	const char *domain, *password, *folder, *command;
	SSL_CTX *ssl;
};

struct session {
	int fd;
	SSL *ssl;
	struct buf in;
	size_t at; /* read and understood so far */
	uint64_t octets;
};

static void
send_all(struct session *s, Str text)
{
	while (text.n > 0) {
		ssize_t n = s->ssl != NULL ? SSL_write(s->ssl, text.p, (int)text.n)
					   : send(s->fd, text.p, text.n, MSG_NOSIGNAL);

		if (n <= 0)
			load_die("send");
		text = str_from_at(text, (size_t)n);
	}
}

static void
receive(struct session *s)
{
	char *room;
	ssize_t n;

	buf_eat(&s->in, s->at);
	s->at = 0;
	room = buf_room(&s->in, CHUNK);
	if (room == NULL)
		load_die("a line is too long");
	n = s->ssl != NULL ? SSL_read(s->ssl, room, CHUNK) : recv(s->fd, room, CHUNK, 0);
	if (n <= 0)
		load_die("the server closed the connection");
	buf_grew(&s->in, (size_t)n);
	s->octets += (uint64_t)n;
}

/* The next line without CRLF; dies with the next call. */
static Str
next_line(struct session *s)
{
	for (;;) {
		Str rest = str_from_at(buf_view(&s->in), s->at);
		size_t end = str_find(rest, '\n');

		if (end != STR_NONE) {
			s->at += end + 1;
			return str_part(rest, 0, end > 0 ? end - 1 : 0);
		}
		receive(s);
	}
}

static void
skip(struct session *s, uint64_t octets)
{
	while (octets > s->in.n - s->at) {
		octets -= s->in.n - s->at;
		s->at = s->in.n;
		receive(s);
	}
	s->at += octets;
}

/* A literal at the end of a line: {123} or {123+}. */
static uint64_t
literal_of(Str line)
{
	uint64_t octets = 0;
	size_t open;

	if (!str_ends(line, S("}")))
		return 0;
	open = str_find_last(line, '{');
	if (open != STR_NONE)
		str_to_u64(str_part(line, open + 1, line.n - open - 2), UINT32_MAX, &octets);
	return octets;
}

static void
wait_tagged(struct session *s)
{
	for (;;) {
		Str line = next_line(s);

		if (str_starts(line, S("a "))) {
			if (str_starts(line, S("a OK")))
				return;
			fprintf(stderr, "imap_load: %.*s\n", STR_ARG(line));
			exit(1);
		}
		skip(s, literal_of(line));
	}
}

static void
command(struct session *s, const char *text)
{
	AUTO_BUF out = BUF_INIT(LINE_MAX_HERE);

	buf_printf(&out, "a %s\r\n", text);
	send_all(s, buf_view(&out));
	wait_tagged(s);
}

static void
open_session(const struct plan *p, struct session *s, unsigned number)
{
	AUTO_BUF login = BUF_INIT(1024);

	*s = (struct session){ .in = BUF_INIT(LINE_MAX_HERE), .fd = load_connect(p->port) };
	if (p->tls) {
		s->ssl = SSL_new(p->ssl);
		if (s->ssl == NULL || SSL_set_fd(s->ssl, s->fd) != 1 ||
			SSL_connect(s->ssl) != 1)
			load_die("TLS");
	}
	next_line(s);
	buf_printf(&login, "LOGIN user%u@%s %s%c", number % p->accounts, p->domain, p->password,
		0);
	command(s, login.p);
}

static void
close_session(struct session *s)
{
	if (s->ssl != NULL)
		SSL_free(s->ssl);
	close(s->fd);
	buf_done(&s->in);
}

static void
open_selected(const struct plan *p, struct session *s)
{
	AUTO_BUF text = BUF_INIT(1024);

	open_session(p, s, 0);
	buf_printf(&text, "SELECT \"%s\"%c", p->folder, 0);
	command(s, text.p);
}

/* What the threads of the login mode share. */
struct logins {
	const struct plan *plan;
	_Atomic unsigned next;
	int64_t *delays;
};

static void *
log_in_and_out(void *argument)
{
	struct logins *l = argument;

	for (;;) {
		unsigned i = atomic_fetch_add(&l->next, 1);
		struct session s;
		int64_t at = load_now_us();

		if (i >= l->plan->count)
			return NULL;
		open_session(l->plan, &s, i);
		command(&s, "LOGOUT");
		close_session(&s);
		l->delays[i] = load_now_us() - at;
	}
}

static void
run_login(const struct plan *p, int64_t *delays)
{
	struct logins l = { .plan = p, .delays = delays };
	pthread_t threads[THREADS_MAX];

	for (unsigned i = 0; i < p->connections; i++)
		if (pthread_create(&threads[i], NULL, log_in_and_out, &l) != 0)
			load_die("thread");
	for (unsigned i = 0; i < p->connections; i++)
		pthread_join(threads[i], NULL);
}

/* A C string: the command with %u replaced. */
static void
make_command(struct buf *ret, const char *pattern, unsigned number)
{
	Str rest = str_from(pattern);
	size_t at = str_find_str(rest, S("%u"));

	buf_reset(ret);
	if (at != STR_NONE) {
		buf_put(ret, str_part(rest, 0, at));
		buf_put_u64(ret, number);
		rest = str_from_at(rest, at + 2);
	}
	buf_put(ret, rest);
	buf_put_char(ret, '\0');
}

static void
run_command(const struct plan *p, int64_t *delays)
{
	AUTO_BUF text = BUF_INIT(LINE_MAX_HERE);
	struct session s;

	open_selected(p, &s);
	for (unsigned i = 0; i < p->count; i++) {
		int64_t at = load_now_us();

		make_command(&text, p->command, i + 1);
		command(&s, text.p);
		delays[i] = load_now_us() - at;
	}
	fprintf(stderr, "%ju octets\n", (uintmax_t)s.octets);
	close_session(&s);
}

static void
make_message(struct buf *ret, unsigned size)
{
	buf_put_c(ret,
		"From: Load <load@client.example>\r\nTo: user@example.org\r\nSubject: x\r\n"
		"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\n");
	while (ret->n < size)
		buf_put_c(ret, "the quick brown fox jumps over the lazy dog\r\n");
}

static void
run_append(const struct plan *p, int64_t *delays)
{
	AUTO_BUF message = BUF_INIT(MESSAGE_MAX);
	AUTO_BUF text = BUF_INIT(MESSAGE_MAX);
	struct session s;

	make_message(&message, p->size);
	buf_printf(&text, "a APPEND \"%s\" {%zu+}\r\n", p->folder, message.n);
	buf_put(&text, buf_view(&message));
	buf_put_c(&text, "\r\n");
	open_selected(p, &s);
	for (unsigned i = 0; i < p->count; i++) {
		int64_t at = load_now_us();

		send_all(&s, buf_view(&text));
		wait_tagged(&s);
		delays[i] = load_now_us() - at;
	}
	close_session(&s);
}

/* The last line of an SMTP reply, which must begin as wanted. */
static void
smtp_reply(struct session *smtp, Str want)
{
	Str line;

	do
		line = next_line(smtp);
	while (str_at(line, 3) == '-');
	if (!str_starts(line, want)) {
		fprintf(stderr, "imap_load: SMTP says %.*s\n", STR_ARG(line));
		exit(1);
	}
}

static void
smtp_send(struct session *smtp, const struct plan *p, Str message)
{
	AUTO_BUF envelope = BUF_INIT(1024);

	buf_printf(&envelope,
		"MAIL FROM:<load@client.example>\r\nRCPT TO:<user0@%s>\r\nDATA\r\n", p->domain);
	send_all(smtp, buf_view(&envelope));
	smtp_reply(smtp, S("250"));
	smtp_reply(smtp, S("250"));
	smtp_reply(smtp, S("354"));
	send_all(smtp, message);
}

/*
 * Reads from both until the 250 and EXISTS are there; how long after the 250 EXISTS came, in
 * microseconds, 0 when it came first.
 */
static int64_t
wait_both(struct session *smtp, struct session *imap)
{
	struct pollfd fds[] = { { .fd = smtp->fd, .events = POLLIN },
		{ .fd = imap->fd, .events = POLLIN } };
	int64_t accepted = 0, told = 0;

	while (accepted == 0 || told == 0) {
		if (poll(fds, 2, 60000) <= 0)
			load_die("a minute without EXISTS");
		if (fds[0].revents != 0 && accepted == 0) {
			accepted = load_now_us();
			smtp_reply(smtp, S("250"));
			fds[0].fd = -1;
		}
		if (fds[1].revents != 0 &&
			str_find_str(next_line(imap), S(" EXISTS")) != STR_NONE)
			told = load_now_us();
	}
	return told > accepted ? told - accepted : 0;
}

static void
run_idle(const struct plan *p, int64_t *delays)
{
	struct session imap, smtp = { .in = BUF_INIT(LINE_MAX_HERE) };
	AUTO_BUF message = BUF_INIT(MESSAGE_MAX);

	make_message(&message, p->size);
	buf_put_c(&message, ".\r\n");
	smtp.fd = load_connect(p->smtp_port);
	smtp_reply(&smtp, S("220"));
	send_all(&smtp, S("EHLO client.example\r\n"));
	smtp_reply(&smtp, S("250"));
	open_selected(p, &imap);
	for (unsigned i = 0; i < p->count; i++) {
		send_all(&imap, S("a IDLE\r\n"));
		while (!str_starts(next_line(&imap), S("+")))
			;
		/* Long enough for a server that sets up its watching after the "+". */
		poll(NULL, 0, 20);
		smtp_send(&smtp, p, buf_view(&message));
		delays[i] = wait_both(&smtp, &imap);
		send_all(&imap, S("DONE\r\n"));
		wait_tagged(&imap);
	}
	close_session(&imap);
	close_session(&smtp);
}

static void
run_hold(const struct plan *p, int64_t *delays)
{
	struct session *sessions = memory_get_array(p->count, sizeof(*sessions));

	for (unsigned i = 0; i < p->count; i++) {
		int64_t at = load_now_us();

		open_session(p, &sessions[i], i);
		if (p->folder[0] != '\0')
			command(&sessions[i], "SELECT INBOX");
		buf_trim(&sessions[i].in);
		delays[i] = load_now_us() - at;
	}
	puts("held");
	fflush(stdout);
	while (getchar() != EOF)
		;
	for (unsigned i = 0; i < p->count; i++)
		close_session(&sessions[i]);
	free(sessions);
}

static const struct mode {
	const char *name;
	void (*run)(const struct plan *p, int64_t *delays);
} modes[] = {
	{ "login", run_login },
	{ "command", run_command },
	{ "append", run_append },
	{ "idle", run_idle },
	{ "hold", run_hold },
};

static bool
read_options(int argc, char **argv, struct plan *p)
{
	int option;

	while ((option = getopt(argc, argv, "p:P:tn:c:a:s:d:w:f:q:")) != -1) {
		switch (option) {
		case 'p':
			p->port = (int)load_number(optarg, 65535);
			break;
		case 'P':
			p->smtp_port = (int)load_number(optarg, 65535);
			break;
		case 't':
			p->tls = true;
			break;
		case 'n':
			p->count = load_number(optarg, 10000000);
			break;
		case 'c':
			p->connections = load_number(optarg, THREADS_MAX);
			break;
		case 'a':
			p->accounts = load_number(optarg, 10000000);
			break;
		case 's':
			p->size = load_number(optarg, MESSAGE_MAX / 2);
			break;
		case 'd':
			p->domain = optarg;
			break;
		case 'w':
			p->password = optarg;
			break;
		case 'f':
			p->folder = optarg;
			break;
		case 'q':
			p->command = optarg;
			break;
		default:
			return false;
		}
	}
	return p->port != 0 && p->accounts != 0;
}

int
main(int argc, char **argv)
{
	struct plan plan = { .count = 1,
		.connections = 20,
		.accounts = 1,
		.size = 4096,
		.domain = "example.org",
		.password = "secret",
		.folder = "INBOX",
		.command = "NOOP" };
	const struct mode *mode = NULL;
	int64_t *delays, started;

	for (size_t i = 0; argc > 1 && i < COUNT(modes); i++)
		if (str_eq(str_from(argv[1]), str_from(modes[i].name)))
			mode = &modes[i];
	if (mode == NULL || !read_options(argc - 1, argv + 1, &plan)) {
		fprintf(stderr,
			"usage: imap_load login|command|append|idle|hold -p PORT [-t] [-n COUNT]"
			" [-c CONNECTIONS] [-a ACCOUNTS] [-d DOMAIN] [-w PASSWORD] [-f FOLDER]"
			" [-q COMMAND] [-s OCTETS] [-P SMTP-PORT]\n");
		return 64;
	}
	plan.ssl = SSL_CTX_new(TLS_client_method());
	delays = memory_get_array(plan.count, sizeof(*delays));
	started = load_now_us();
	mode->run(&plan, delays);
	load_report(stdout, started, delays, plan.count);
	SSL_CTX_free(plan.ssl);
	free(delays);
	return 0;
}
