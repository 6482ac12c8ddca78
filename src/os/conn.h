/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * struct conn: one connection as a stream of bytes (TCP, TLS or one end of a socket pair), read
 * and written by one thread in straight lines. Each call that waits has a deadline. Replies are
 * gathered and leave when the next read would wait, so pipelined commands get one packet of
 * answers. Buffers exist only while they hold something: an idle conn costs a few hundred octets
 * (and what OpenSSL keeps).
 *
 * Every call that reads or writes:
 * ERR_GONE   the peer closed (sys 0 or the socket's error) or fell silent (sys ETIMEDOUT)
 */

#include "base/buf.h"
#include "os/clock.h"
#include "os/tls.h"

enum conn_flags {
	/*
	 * Takes from a plain socket nothing behind the next LF (it looks with MSG_PEEK first), so
	 * that the socket can be handed to another process after any line.
	 */
	CONN_EXACT = 1 << 0,
	/* A bare LF ends a line too. Without it: ERR_PEER. */
	CONN_BARE_LF = 1 << 1,
};

enum {
	CONN_LINE_MAX = 64 << 10, /* octets: the most that conn_read_line may be asked for */
	CONN_DISCARD_MAX =
		256 << 10,         /* octets of one overlong line read only to find its end */
	CONN_OUT_MAX = 32 << 10,   /* octets of replies gathered before they must leave */
	CONN_READ_MS = 300 * 1000, /* RFC 5321, 4.5.3.2.7 */
	CONN_WRITE_MS = 300 * 1000,
	CONN_PEER_MAX = 48, /* octets of an address as text */
};

struct conn;

/* Takes fd, a connected stream socket in blocking mode. */
struct conn *conn_new(int fd, enum conn_flags flags);

/* Connects to an IPv4 or IPv6 address (no name). ERR_TEMP when that fails or takes too long. */
MUST_USE Err conn_dial(Str address, uint16_t port, int64_t max_ms, struct conn **ret);

/* Sends nothing of what is gathered; under TLS says close_notify if that does not wait. */
void conn_free(struct conn *c); /* NULL is fine */
DEFINE_DROP(conn)

/* How long one line (or one piece of a body) and one flush may take. */
void conn_set_wait(struct conn *c, int64_t read_ms, int64_t write_ms);
/* No read or write waits beyond `end`, whatever conn_set_wait says; MOMENT_NEVER: no limit. */
void conn_set_end(struct conn *c, Moment end);

/*
 * The peer's address as text, "192.0.2.1" or "2001:db8::1" (mapped IPv4 as IPv4), port beside it.
 * Empty and 0 for a socket pair unless conn_set_peer said otherwise. Lives as long as c.
 */
Str conn_peer(const struct conn *c);
uint16_t conn_peer_port(const struct conn *c);
void conn_set_peer(struct conn *c, Str address, uint16_t port);
/* Also for a socket pair: what has no address is on this host. */
bool conn_peer_is_loopback(const struct conn *c);

/*
 * The last of a conversation that we end: sends what is gathered, says that no more comes, and
 * reads on for a while without looking, because closing with input unread makes the kernel throw
 * away what the peer has not yet read. Takes at most max_ms and CONN_DISCARD_MAX octets.
 */
void conn_hang_up(struct conn *c, int64_t max_ms);

/*
 * One line without its CRLF; flushes first when it must wait. *ret points into c and dies with
 * the next read. Octets other than CR and LF, NUL included, are the grammar's business.
 *
 * ERR_PEER   a CR without LF in it, or ended by a bare LF; the line is gone, go on with the next
 * ERR_LIMIT  longer than max; the line is gone, go on with the next
 * ERR_GONE   also: more than CONN_DISCARD_MAX without an end
 */
MUST_USE Err conn_read_line(struct conn *c, size_t max, Str *ret);

/*
 * What is buffered, at least one octet; flushes and waits when nothing is. *ret dies with the
 * next read. The caller says with conn_eat how much of it was used.
 */
MUST_USE Err conn_read_some(struct conn *c, Str *ret);
/* The same, but takes no more than max octets from the socket. For literals. */
MUST_USE Err conn_read_up_to(struct conn *c, size_t max, Str *ret);
void conn_eat(struct conn *c, size_t n);

/* Is there input that can be read without waiting? */
bool conn_has_input(const struct conn *c);

/*
 * Flushes, then waits until there is input or `also` (a descriptor, or -1) can be read. Neither
 * within max_ms (which the limit of conn_set_end may shorten): OK with both false.
 */
MUST_USE Err conn_wait(struct conn *c, int also, int64_t max_ms, bool *ret_input,
	bool *ret_also);

/* Gathers; sends when more than CONN_OUT_MAX is waiting. Long s is sent without a copy. */
MUST_USE Err conn_write(struct conn *c, Str s);
MUST_USE Err conn_write_line(struct conn *c, Str s); /* adds CRLF */
MUST_USE Err conn_printf(struct conn *c, const char *format, ...) PRINTF_LIKE(2, 3);
MUST_USE Err conn_flush(struct conn *c);

/*
 * Sends what is gathered and shakes hands as a server or a client, as the context says. After a
 * failure only conn_free is left, unless it says ERR_PEER with nothing sent: bytes came in before
 * the handshake (STARTTLS injection, CVE-2011-0411); ask conn_has_input before promising TLS.
 *
 * name     client: the host to name and, when the context verifies, to demand; else empty
 * ERR_GONE no handshake within max_ms, or the peer broke it off
 * ERR_PEER input was waiting, or the handshake failed
 */
MUST_USE Err conn_start_tls(struct conn *c, struct tls_context *context, Str name,
	int64_t max_ms);

/* NULL without TLS. */
const struct tls *conn_tls(const struct conn *c);

int conn_fd(const struct conn *c); /* still c's */

/* Ends c's part and hands its socket on. ERR_PERM under TLS or while anything is buffered. */
MUST_USE Err conn_take_fd(struct conn *c, int *ret_fd);

/*
 * For the thread that carries bytes for many: these never wait. conn_try_read gives an empty Str
 * when nothing has come; conn_try_flush says whether all has left. conn_wants_write: TLS must
 * send before it can read on.
 */
MUST_USE Err conn_try_read(struct conn *c, Str *ret);
MUST_USE Err conn_try_flush(struct conn *c, bool *ret_all);
bool conn_wants_write(const struct conn *c);
/* Octets gathered and not sent. */
size_t conn_unsent(const struct conn *c);
