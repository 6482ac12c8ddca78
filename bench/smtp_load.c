/* SPDX-License-Identifier: ISC */
/*
 * Sends messages over many SMTP connections at once and measures how long each 250 takes.
 *
 * One epoll loop, no threads: the machine under test is this one, so the generator must be cheap.
 * Envelope and DATA go out in one write (RFC 2920), the message in a second one. Any reply that
 * is not the expected one ends the run: a rate with refusals in it would mean nothing.
 */
#include "base/buf.h"
#include "base/memory.h"
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>

enum {
	OUTPUT_MAX =
		1
		<< 26, /* octets: the largest message that can be asked for, and its envelope */
	REPLY_MAX = 4096, /* octets of replies read and not yet understood */
};

struct plan {
	int port;
	unsigned connections;
	unsigned messages;
	unsigned size;           /* octets of one message, CRLF included */
	unsigned per_connection; /* 0: as many as there are */
	unsigned accounts;       /* recipients are user0@DOMAIN ... in turns */
	const char *domain;
};

/* What the next reply answers. */
enum stage {
	GREETING,
	EHLO,
	MAIL,
	RCPT,
	DATA,
	MESSAGE,
	QUIT,
};

static const int expected[] = {
	[GREETING] = 220,
	[EHLO] = 250,
	[MAIL] = 250,
	[RCPT] = 250,
	[DATA] = 354,
	[MESSAGE] = 250,
	[QUIT] = 221,
};

struct client {
	int fd;
	enum stage stage;
	unsigned sent;      /* messages on this connection */
	int64_t message_at; /* when the final dot went out, microseconds */
	struct buf in, out;
	size_t written; /* octets of out */
};

struct run {
	const struct plan *plan;
	int epoll;
	unsigned begun, done, connected;
	Str body; /* the text all messages share */
	int64_t *delays;
};

static void
watch(struct run *r, struct client *c, bool output)
{
	struct epoll_event event = {
		.events = EPOLLIN | (output ? (uint32_t)EPOLLOUT : 0),
		.data.ptr = c,
	};

	if (epoll_ctl(r->epoll, EPOLL_CTL_MOD, c->fd, &event) < 0)
		load_die("epoll_ctl");
}

static void
flush(struct run *r, struct client *c)
{
	while (c->written < c->out.n) {
		ssize_t n =
			send(c->fd, c->out.p + c->written, c->out.n - c->written, MSG_NOSIGNAL);

		if (n < 0 && errno == EAGAIN) {
			watch(r, c, true);
			return;
		}
		if (n < 0)
			load_die("send");
		c->written += (size_t)n;
	}
	if (c->stage == MESSAGE)
		c->message_at = load_now_us();
	buf_reset(&c->out);
	c->written = 0;
	watch(r, c, false);
}

static void
open_client(struct run *r, struct client *c)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = c };

	c->fd = load_connect(r->plan->port);
	load_set_nonblocking(c->fd);
	c->stage = GREETING;
	c->sent = 0;
	buf_reset(&c->in);
	if (epoll_ctl(r->epoll, EPOLL_CTL_ADD, c->fd, &event) < 0)
		load_die("epoll_ctl");
	r->connected++;
}

static void
close_client(struct run *r, struct client *c)
{
	close(c->fd);
	c->fd = -1;
	r->connected--;
	if (r->begun < r->plan->messages)
		open_client(r, c);
}

/* The envelope of the next message, or QUIT when this connection has done its part. */
static void
begin_message(struct run *r, struct client *c)
{
	const struct plan *p = r->plan;

	if (r->begun == p->messages ||
		(p->per_connection > 0 && c->sent == p->per_connection)) {
		c->stage = QUIT;
		buf_put(&c->out, S("QUIT\r\n"));
	} else {
		unsigned user = p->accounts == 0 ? 0 : r->begun % p->accounts;

		c->stage = MAIL;
		c->sent++;
		r->begun++;
		buf_printf(&c->out,
			"MAIL FROM:<load@client.example>\r\nRCPT TO:<user%u@%s>\r\nDATA\r\n",
			user, p->domain);
	}
	flush(r, c);
}

static void
send_message(struct run *r, struct client *c)
{
	c->stage = MESSAGE;
	buf_printf(&c->out,
		"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\nFrom: Load <load@client.example>\r\n"
		"To: A User <user@%s>\r\nSubject: message %u of %u\r\n"
		"Message-ID: <%u.%jd@client.example>\r\nMIME-Version: 1.0\r\n"
		"Content-Type: text/plain; charset=utf-8\r\n\r\n",
		r->plan->domain, r->begun, r->plan->messages, r->begun,
		(intmax_t)load_now_us());
	/* The header counts: messages have the size that was asked for. */
	buf_put(&c->out, str_from_at(r->body, c->out.n < r->body.n ? c->out.n : r->body.n));
	buf_put(&c->out, S("\r\n.\r\n"));
	flush(r, c);
}

static void
take_reply(struct run *r, struct client *c, Str line)
{
	uint64_t code = 0;

	if (!str_to_u64(str_part(line, 0, 3), 999, &code) || (int)code != expected[c->stage]) {
		fprintf(stderr, "smtp_load: after %u messages: unexpected reply: %.*s\n",
			r->done, STR_ARG(line));
		exit(1);
	}
	if (str_at(line, 3) == '-')
		return;
	switch (c->stage) {
	case GREETING:
		c->stage = EHLO;
		buf_put(&c->out, S("EHLO client.example\r\n"));
		flush(r, c);
		break;
	case MAIL:
		c->stage = RCPT;
		break;
	case RCPT:
		c->stage = DATA;
		break;
	case DATA:
		send_message(r, c);
		break;
	case MESSAGE:
		r->delays[r->done++] = load_now_us() - c->message_at;
		begin_message(r, c);
		break;
	case EHLO:
		begin_message(r, c);
		break;
	case QUIT:
		close_client(r, c);
		break;
	}
}

static void
read_replies(struct run *r, struct client *c)
{
	char *room = buf_room(&c->in, REPLY_MAX - c->in.n);
	ssize_t n = room == NULL ? -1 : recv(c->fd, room, REPLY_MAX - c->in.n, 0);

	if (n < 0 && errno == EAGAIN)
		return;
	if (n <= 0)
		load_die("the server closed the connection");
	buf_grew(&c->in, (size_t)n);
	for (;;) {
		Str all = buf_view(&c->in);
		size_t end = str_find(all, '\n');

		if (end == STR_NONE)
			return;
		take_reply(r, c, str_trim(str_part(all, 0, end)));
		if (c->in.n == 0)
			return; /* closed, and perhaps opened anew */
		buf_eat(&c->in, end + 1);
	}
}

static void
run(struct run *r)
{
	struct client *clients = memory_get_array(r->plan->connections, sizeof(*clients));
	struct epoll_event events[64];

	for (unsigned i = 0; i < r->plan->connections; i++) {
		clients[i].in = BUF_INIT(REPLY_MAX);
		clients[i].out = BUF_INIT(OUTPUT_MAX);
		open_client(r, &clients[i]);
	}
	while (r->connected > 0) {
		int n = epoll_wait(r->epoll, events, COUNT(events), 60000);

		if (n == 0)
			load_die("the server says nothing for a minute");
		for (int i = 0; i < n; i++) {
			struct client *c = events[i].data.ptr;

			if (events[i].events & EPOLLOUT)
				flush(r, c);
			if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
				read_replies(r, c);
		}
	}
	for (unsigned i = 0; i < r->plan->connections; i++) {
		buf_done(&clients[i].in);
		buf_done(&clients[i].out);
	}
	free(clients);
}

/* Lines as people write them; long enough for the largest message. */
static void
make_body(struct buf *ret, unsigned size)
{
	while (ret->n + 78 <= size)
		buf_printf(ret,
			"%06zu the quick brown fox jumps over the lazy dog, and again it does\r\n",
			ret->n);
	while (ret->n < size)
		buf_put_char(ret, 'x');
}

int
main(int argc, char **argv)
{
	struct plan plan = { .connections = 20,
		.messages = 1000,
		.size = 10240,
		.accounts = 1,
		.domain = "example.org" };
	struct run r = { .plan = &plan };
	AUTO_BUF body = BUF_INIT(OUTPUT_MAX);
	int64_t started;
	int option;

	while ((option = getopt(argc, argv, "p:c:n:s:k:a:d:")) != -1) {
		switch (option) {
		case 'p':
			plan.port = (int)load_number(optarg, 65535);
			break;
		case 'c':
			plan.connections = load_number(optarg, 10000);
			break;
		case 'n':
			plan.messages = load_number(optarg, 100000000);
			break;
		case 's':
			plan.size = load_number(optarg, OUTPUT_MAX / 2);
			break;
		case 'k':
			plan.per_connection = load_number(optarg, 100000000);
			break;
		case 'a':
			plan.accounts = load_number(optarg, 10000000);
			break;
		case 'd':
			plan.domain = optarg;
			break;
		default:
			fprintf(stderr,
				"usage: smtp_load -p PORT [-c CONNECTIONS] [-n MESSAGES] "
				"[-s OCTETS] [-k PER-CONNECTION] [-a ACCOUNTS] [-d DOMAIN]\n");
			return 64;
		}
	}
	make_body(&body, plan.size);
	r.body = buf_view(&body);
	r.epoll = epoll_create1(EPOLL_CLOEXEC);
	r.delays = memory_get_array(plan.messages, sizeof(*r.delays));
	started = load_now_us();
	run(&r);
	load_report(stdout, started, r.delays, r.done);
	free(r.delays);
	close(r.epoll);
	return 0;
}
