/* SPDX-License-Identifier: ISC */
#include "os/conn.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>

/*
 * The socket stays in blocking mode and waits with SO_RCVTIMEO and SO_SNDTIMEO: one system call
 * for a read that waits, where poll and O_NONBLOCK need three. A deadline covers a whole line, so
 * a peer that sends an octet a minute gains nothing: the time left shrinks with each.
 */
enum {
	CHUNK_LINE = 2 << 10,  /* octets asked for while waiting for a command */
	CHUNK_BULK = 32 << 10, /* octets asked for while a body comes */
	IN_MAX = CONN_LINE_MAX + CHUNK_BULK,
	OUT_KEPT = 1 << 10, /* a reply buffer up to this size survives a flush */
};

struct conn {
	int fd;
	enum conn_flags flags;
	struct tls *tls;
	bool no_wait; /* the transport answers EAGAIN at once */

	struct buf in;
	size_t in_at;   /* octets of `in` already used */
	size_t scanned; /* octets behind in_at known to hold no LF */
	struct buf out;
	size_t out_at; /* octets of `out` already sent */

	int64_t read_ms, write_ms;
	Moment end;              /* of the conversation */
	Moment deadline;         /* of the read or write under way */
	int set_read, set_write; /* what the socket was told last, ms */

	uint16_t peer_port;
	char peer[CONN_PEER_MAX];
};

/* Before a read or write that may take max_ms in all. */
static void
begin(struct conn *c, int64_t max_ms)
{
	c->deadline = moment_after(max_ms);
	if (c->end.ms < c->deadline.ms)
		c->deadline = c->end;
}

/* Tells the socket how long it may wait. False: no time is left. */
static bool
arm(struct conn *c, int option, int *set)
{
	int ms = moment_left(c->deadline);
	struct timeval t;

	if (ms == 0) {
		errno = EAGAIN;
		return false;
	}
	/* A few ms lost since begin() are not worth a system call. */
	if (*set >= ms && *set - ms <= 10)
		return true;
	t = (struct timeval){ .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	if (setsockopt(c->fd, SOL_SOCKET, option, &t, sizeof(t)) < 0)
		return false;
	*set = ms;
	return true;
}

static ssize_t
raw_read(struct conn *c, char *p, size_t n, int flags)
{
	ssize_t got;

	if (c->no_wait)
		flags |= MSG_DONTWAIT;
	do {
		if (!c->no_wait && !arm(c, SO_RCVTIMEO, &c->set_read))
			return -1;
		got = recv(c->fd, p, n, flags);
	} while (got < 0 && errno == EINTR);
	return got;
}

static ssize_t
raw_write(struct conn *c, const struct iovec *parts, size_t count)
{
	struct msghdr m = { .msg_iov = (struct iovec *)parts, .msg_iovlen = count };
	int flags = MSG_NOSIGNAL | (c->no_wait ? MSG_DONTWAIT : 0);
	ssize_t sent;

	do {
		if (!c->no_wait && !arm(c, SO_SNDTIMEO, &c->set_write))
			return -1;
		sent = sendmsg(c->fd, &m, flags);
	} while (sent < 0 && errno == EINTR);
	return sent;
}

static ssize_t
transport_read(void *with, char *p, size_t n)
{
	return raw_read(with, p, n, 0);
}

static ssize_t
transport_write(void *with, const char *p, size_t n)
{
	return raw_write(with, &(struct iovec){ .iov_base = (char *)p, .iov_len = n }, 1);
}

/* After a read or write that returned `n` <= 0. */
static Err
gone(ssize_t n)
{
	if (n == 0)
		return fail(ERR_GONE, "peer closed the connection");
	if (errno == EAGAIN)
		return (Err){ .kind = ERR_GONE, .sys = ETIMEDOUT, .what = "peer fell silent" };
	return fail_sys(ERR_GONE, "connection broke");
}

static Str
unread(const struct conn *c)
{
	return str_from_at(buf_view(&c->in), c->in_at);
}

/* Moves what is unread to the front; gives a buffer back that holds nothing and is larger than n. */
static void
tidy_in(struct conn *c, size_t n)
{
	buf_eat(&c->in, c->in_at);
	c->in_at = 0;
	if (c->in.n == 0 && c->in.cap > n)
		buf_done(&c->in);
}

static void
tidy_out(struct conn *c)
{
	if (c->out_at < c->out.n)
		return;
	c->out_at = 0;
	buf_reset(&c->out);
	if (c->out.cap > OUT_KEPT)
		buf_done(&c->out);
}

/*
 * While a TLS session waits in its transport it holds a buffer of 17 KiB; it should wait before
 * it takes one.
 */
static Err
wait_for_record(struct conn *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	int n;

	if (c->no_wait || tls_has_pending(c->tls))
		return OK;
	do {
		n = poll(&p, 1, moment_left(c->deadline));
	} while (n < 0 && errno == EINTR);
	if (n == 0)
		errno = EAGAIN;
	return n > 0 ? OK : gone(-1);
}

/* Reads once, up to n octets, behind what is unread; the deadline is running. */
static Err
fill(struct conn *c, size_t n)
{
	char *room;
	ssize_t got;

	tidy_in(c, n);
	if (c->tls != NULL)
		TRY(wait_for_record(c));
	room = buf_room(&c->in, n);
	if (room == NULL) {
		c->in.bad = false;
		return fail(ERR_TEMP, "no memory to read into");
	}
	got = c->tls != NULL ? tls_read(c->tls, room, n) : raw_read(c, room, n, 0);
	if (got <= 0) {
		int sys = errno;

		tidy_in(c, 0);
		errno = sys;
		return gone(got);
	}
	buf_grew(&c->in, (size_t)got);
	return OK;
}

/* As fill, but takes nothing behind the first LF from the socket. */
static Err
fill_to_line_end(struct conn *c, size_t n)
{
	char *room;
	size_t end, want;
	ssize_t got;

	tidy_in(c, n);
	room = buf_room(&c->in, n);
	if (room == NULL) {
		c->in.bad = false;
		return fail(ERR_TEMP, "no memory to read into");
	}
	got = raw_read(c, room, n, MSG_PEEK);
	if (got <= 0)
		return gone(got);
	end = str_find((Str){ room, (size_t)got }, '\n');
	want = end == STR_NONE ? (size_t)got : end + 1;
	got = raw_read(c, room, want, 0);
	if (got <= 0)
		return gone(got);
	buf_grew(&c->in, (size_t)got);
	return OK;
}

/* What is gathered must leave before we wait, or the peer would wait for us. */
static Err
flush_first(struct conn *c)
{
	Moment deadline = c->deadline;

	TRY(conn_flush(c));
	c->deadline = deadline;
	return OK;
}

static Err
read_more(struct conn *c, size_t n)
{
	TRY(flush_first(c));
	if ((c->flags & CONN_EXACT) && c->tls == NULL)
		return fill_to_line_end(c, n);
	return fill(c, n);
}

/* Reads and drops up to and with the next LF. */
static Err
discard_line(struct conn *c)
{
	size_t dropped = 0;

	for (;;) {
		Str s = unread(c);
		size_t end = str_find(s, '\n');

		if (end != STR_NONE) {
			conn_eat(c, end + 1);
			return OK;
		}
		dropped += s.n;
		conn_eat(c, s.n);
		if (dropped > CONN_DISCARD_MAX)
			return fail(ERR_GONE, "line without end");
		TRY(read_more(c, CHUNK_LINE));
	}
}

/* Looks at a line that ends with LF, takes the end off. */
static Err
check_line(const struct conn *c, Str line, size_t max, Str *ret)
{
	bool bare;

	line.n--;
	bare = !str_ends(line, S("\r"));
	if (!bare)
		line.n--;
	if (line.n > max)
		return fail(ERR_LIMIT, "line is too long");
	if (bare && !(c->flags & CONN_BARE_LF))
		return fail(ERR_PEER, "line ends without CR");
	if (str_has(line, '\r'))
		return fail(ERR_PEER, "CR inside a line");
	*ret = line;
	return OK;
}

Err
conn_read_line(struct conn *c, size_t max, Str *ret)
{
	assert(max <= CONN_LINE_MAX);
	begin(c, c->read_ms);
	for (;;) {
		Str s = unread(c);
		size_t end = str_find(str_from_at(s, c->scanned), '\n');

		if (end != STR_NONE) {
			Str line = str_part(s, 0, c->scanned + end + 1);

			/* Only marks it as used: the octets stay until the next read. */
			conn_eat(c, line.n);
			return check_line(c, line, max, ret);
		}
		c->scanned = s.n;
		if (s.n > max + 1) {
			TRY(discard_line(c));
			return fail(ERR_LIMIT, "line is too long");
		}
		TRY(read_more(c, CHUNK_LINE));
	}
}

Err
conn_read_up_to(struct conn *c, size_t max, Str *ret)
{
	if (c->in_at == c->in.n) {
		begin(c, c->read_ms);
		TRY(read_more(c, max > CHUNK_BULK ? CHUNK_BULK : max));
	}
	*ret = str_part(unread(c), 0, max);
	return OK;
}

Err
conn_read_some(struct conn *c, Str *ret)
{
	return conn_read_up_to(c, CHUNK_BULK, ret);
}

void
conn_eat(struct conn *c, size_t n)
{
	assert(n <= c->in.n - c->in_at);
	c->in_at += n;
	c->scanned = 0;
}

bool
conn_has_input(const struct conn *c)
{
	int waiting = 0;

	if (c->in_at < c->in.n || (c->tls != NULL && tls_has_pending(c->tls)))
		return true;
	return ioctl(c->fd, FIONREAD, &waiting) == 0 && waiting > 0;
}

Err
conn_wait(struct conn *c, int also, int64_t max_ms, bool *ret_input, bool *ret_also)
{
	struct pollfd p[2] = {
		{ .fd = c->fd, .events = POLLIN },
		{ .fd = also, .events = POLLIN },
	};
	int n;

	TRY(conn_flush(c));
	begin(c, max_ms);
	do {
		n = poll(p, 2, conn_has_input(c) ? 0 : moment_left(c->deadline));
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return fail_sys(ERR_TEMP, "poll");
	*ret_input = p[0].revents != 0 || conn_has_input(c);
	*ret_also = p[1].revents != 0;
	return OK;
}

/* Sends what is gathered and then s; the deadline is running. */
static Err
send_all(struct conn *c, Str s)
{
	while (conn_unsent(c) > 0 || s.n > 0) {
		Str held = str_from_at(buf_view(&c->out), c->out_at);
		struct iovec parts[2] = {
			{ .iov_base = (char *)held.p, .iov_len = held.n },
			{ .iov_base = (char *)s.p, .iov_len = s.n },
		};
		Str first = held.n > 0 ? held : s;
		ssize_t sent = c->tls != NULL ? tls_write(c->tls, first.p, first.n)
					      : raw_write(c, parts, COUNT(parts));
		size_t of_held;

		if (sent <= 0)
			return sent == 0 ? fail(ERR_GONE, "connection broke") : gone(sent);
		of_held = (size_t)sent < held.n ? (size_t)sent : held.n;
		c->out_at += of_held;
		s = str_from_at(s, (size_t)sent - of_held);
	}
	tidy_out(c);
	return OK;
}

Err
conn_write(struct conn *c, Str s)
{
	if (s.n <= CONN_OUT_MAX - c->out.n) {
		buf_put(&c->out, s);
		if (!c->out.bad)
			return OK;
		c->out.bad = false; /* no memory: send what is there instead */
	}
	/* Each piece has its own deadline: a slow reader may take long over a large body. */
	while (s.n > 0) {
		Str piece = str_part(s, 0, 2 * CONN_OUT_MAX);

		begin(c, c->write_ms);
		TRY(send_all(c, piece));
		s = str_from_at(s, piece.n);
	}
	return OK;
}

Err
conn_write_line(struct conn *c, Str s)
{
	TRY(conn_write(c, s));
	return conn_write(c, S("\r\n"));
}

Err
conn_printf(struct conn *c, const char *format, ...)
{
	AUTO_BUF text = BUF_INIT(CONN_OUT_MAX);
	va_list args;

	va_start(args, format);
	buf_vprintf(&text, format, args);
	va_end(args);
	TRY(buf_check(&text));
	return conn_write(c, buf_view(&text));
}

Err
conn_flush(struct conn *c)
{
	if (conn_unsent(c) == 0)
		return OK;
	begin(c, c->write_ms);
	return send_all(c, S(""));
}

void
conn_hang_up(struct conn *c, int64_t max_ms)
{
	Moment end = moment_after(max_ms);
	size_t dropped = 0;
	Str s;

	if (end.ms < c->end.ms)
		c->end = end;
	if (failed(conn_flush(c)))
		return;
	tls_free(TAKE(c->tls)); /* what still comes is not looked at */
	shutdown(c->fd, SHUT_WR);
	conn_eat(c, c->in.n - c->in_at);
	while (dropped < CONN_DISCARD_MAX && !failed(fill(c, CHUNK_BULK))) {
		s = unread(c);
		dropped += s.n;
		conn_eat(c, s.n);
	}
}

Err
conn_start_tls(struct conn *c, struct tls_context *context, Str name, int64_t max_ms)
{
	struct tls_transport transport = { transport_read, transport_write, c };

	assert(c->tls == NULL);
	TRY(conn_flush(c));
	if (c->in_at < c->in.n)
		return fail(ERR_PEER, "bytes came before the TLS handshake");
	begin(c, max_ms);
	return tls_start(context, transport, name, &c->tls);
}

const struct tls *
conn_tls(const struct conn *c)
{
	return c->tls;
}

int
conn_fd(const struct conn *c)
{
	return c->fd;
}

Err
conn_take_fd(struct conn *c, int *ret_fd)
{
	if (c->tls != NULL || c->in_at < c->in.n || conn_unsent(c) > 0)
		return fail(ERR_PERM, "connection cannot be handed on now");
	*ret_fd = TAKE_FD(c->fd);
	return OK;
}

Err
conn_try_read(struct conn *c, Str *ret)
{
	if (c->in_at == c->in.n) {
		Err e;

		c->no_wait = true;
		e = fill(c, CHUNK_BULK);
		c->no_wait = false;
		if (failed(e) && e.sys != ETIMEDOUT)
			return e;
	}
	*ret = unread(c);
	return OK;
}

Err
conn_try_flush(struct conn *c, bool *ret_all)
{
	Err e = OK;

	if (conn_unsent(c) > 0) {
		c->no_wait = true;
		e = send_all(c, S(""));
		c->no_wait = false;
		if (failed(e) && e.sys != ETIMEDOUT)
			return e;
	}
	*ret_all = !failed(e);
	return OK;
}

bool
conn_wants_write(const struct conn *c)
{
	return c->tls != NULL && tls_wants_write(c->tls);
}

size_t
conn_unsent(const struct conn *c)
{
	return c->out.n - c->out_at;
}

void
conn_set_wait(struct conn *c, int64_t read_ms, int64_t write_ms)
{
	c->read_ms = read_ms;
	c->write_ms = write_ms;
}

void
conn_set_end(struct conn *c, Moment end)
{
	c->end = end;
}

Str
conn_peer(const struct conn *c)
{
	return str_from(c->peer);
}

uint16_t
conn_peer_port(const struct conn *c)
{
	return c->peer_port;
}

void
conn_set_peer(struct conn *c, Str address, uint16_t port)
{
	if (failed(str_c(address, c->peer, sizeof(c->peer))))
		c->peer[0] = '\0';
	c->peer_port = port;
}

bool
conn_peer_is_loopback(const struct conn *c)
{
	Str peer = conn_peer(c);

	return peer.n == 0 || str_starts(peer, S("127.")) || str_eq(peer, S("::1"));
}

static void
find_peer(struct conn *c)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
		struct sockaddr_storage all;
	} a = { 0 };
	socklen_t size = sizeof(a);
	const char *text = NULL;
	uint16_t port = 0;

	if (getpeername(c->fd, &a.any, &size) < 0) {
		conn_set_peer(c, S("unknown"), 0); /* gone already */
		return;
	}
	if (a.any.sa_family == AF_INET) {
		text = inet_ntop(AF_INET, &a.v4.sin_addr, c->peer, sizeof(c->peer));
		port = a.v4.sin_port;
	} else if (a.any.sa_family == AF_INET6) {
		bool mapped = IN6_IS_ADDR_V4MAPPED(&a.v6.sin6_addr);

		text = inet_ntop(mapped ? AF_INET : AF_INET6,
			mapped ? &a.v6.sin6_addr.s6_addr[12] : a.v6.sin6_addr.s6_addr, c->peer,
			sizeof(c->peer));
		port = a.v6.sin6_port;
	}
	if (text != NULL)
		c->peer_port = ntohs(port);
}

struct conn *
conn_new(int fd, enum conn_flags flags)
{
	struct conn *c = memory_get(sizeof(*c));

	c->fd = fd;
	c->flags = flags;
	c->in = BUF_INIT(IN_MAX);
	c->out = BUF_INIT(CONN_OUT_MAX);
	c->read_ms = CONN_READ_MS;
	c->write_ms = CONN_WRITE_MS;
	c->end = MOMENT_NEVER;
	find_peer(c);
	return c;
}

static Err
dial(const struct sockaddr *address, socklen_t size, int64_t max_ms, struct conn **ret)
{
	AUTO_FD fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval t = { .tv_sec = max_ms / 1000, .tv_usec = max_ms % 1000 * 1000 };
	int on = 1;

	if (fd < 0)
		return fail_sys(ERR_TEMP, "socket");
	/* What we send leaves in whole turns already; waiting for more would only add delay. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &t, sizeof(t)) < 0)
		return fail_sys(ERR_TEMP, "setsockopt");
	if (connect(fd, address, size) < 0) {
		if (errno == EINPROGRESS)
			errno = ETIMEDOUT;
		return fail_sys(ERR_TEMP, "connect");
	}
	*ret = conn_new(TAKE_FD(fd), 0);
	return OK;
}

Err
conn_dial(Str address, uint16_t port, int64_t max_ms, struct conn **ret)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_port = htons(port) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	char text[CONN_PEER_MAX];

	TRY(str_c(address, text, sizeof(text)));
	if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
		return dial((struct sockaddr *)&v4, sizeof(v4), max_ms, ret);
	if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
		return dial((struct sockaddr *)&v6, sizeof(v6), max_ms, ret);
	return fail(ERR_PERM, "not an address to connect to");
}

void
conn_free(struct conn *c)
{
	if (c == NULL)
		return;
	c->no_wait = true;
	tls_free(c->tls);
	buf_done(&c->in);
	buf_done(&c->out);
	fd_drop(&c->fd);
	free(c);
}
