/* SPDX-License-Identifier: ISC */
/*
 * Reads one command with its literals. The message of an APPEND never passes through the text of
 * the command: it is put aside, in memory or in a memfd, as it comes.
 */
#include "os/memfd.h"
#include "service/mailbox/session_internal.h"

enum {
	WAIT_CHUNK =
		2 << 10, /* octets of room while nothing has come: most sessions are silent */
};

void
session_spool_done(struct session_spool *spool)
{
	buf_done(&spool->bytes);
	fd_drop(&spool->fd);
	spool->size = 0;
	spool->nul = false;
}

/* The command will be answered with this as soon as its end is found. */
static void
refuse(struct imap_session *s, enum session_status status, const char *code, const char *text)
{
	session_answer(s, status, code, text);
	s->refused = true;
	imap_reader_refuse(&s->reader);
}

static Err
go_ahead(struct imap_session *s)
{
	if (!imap_reader_literal(&s->reader).sync)
		return OK;
	buf_put(&s->out, S("+ OK\r\n"));
	return session_flush(s);
}

/* Reads the octets of a message; they are kept even when they turn out to be refused. */
static Err
read_message(struct imap_session *s, uint64_t size)
{
	struct session_spool *spool = &s->spool;

	spool->size = size;
	spool->bytes.max = SESSION_APPEND_INLINE;
	if (size > SESSION_APPEND_INLINE)
		TRY(memfd_new(&spool->fd));
	for (uint64_t left = size; left > 0;) {
		Str part;

		TRY(conn_read_up_to(s->conn, left > SESSION_OUT ? SESSION_OUT : (size_t)left,
			&part));
		if (spool->fd >= 0)
			TRY(memfd_write(spool->fd, part));
		else
			buf_put(&spool->bytes, part);
		spool->nul = spool->nul || str_has(part, 0);
		conn_eat(s->conn, part.n);
		left -= part.n;
	}
	TRY(buf_check(&spool->bytes));
	return spool->fd >= 0 ? memfd_seal(spool->fd) : OK;
}

/*
 * Would this message be taken? Worth asking while the client still waits for our word; one that
 * does not wait is read first and answered when its command is served.
 */
static Err
check_append(struct imap_session *s, const struct imap_append *append, bool *ret_ok)
{
	struct mailbox_folder folder;

	*ret_ok = append->size <= SESSION_APPEND_MAX;
	if (!*ret_ok) {
		refuse(s, SESSION_NO, "TOOBIG", "Message is too large");
		return OK;
	}
	if (!imap_reader_literal(&s->reader).sync)
		return OK;
	TRY(session_find(s, append->mailbox, "TRYCREATE", &folder, ret_ok));
	if (!*ret_ok)
		refuse(s, s->status, "TRYCREATE", s->text);
	return OK;
}

/* A literal inside APPEND: the message, or an argument before it. */
static Err
append_literal(struct imap_session *s, bool *ret_taken)
{
	struct imap_command cmd;
	bool message, ok;
	Err e;

	arena_reset(s->arena);
	*ret_taken = true;
	e = imap_append_parse(imap_reader_text(&s->reader), s->arena, &cmd, &message);
	if (failed(e)) {
		refuse(s, SESSION_BAD, NULL, e.what);
		return OK;
	}
	*ret_taken = message;
	if (!message)
		return OK;
	TRY(check_append(s, &cmd.append, &ok));
	if (!ok)
		return OK;
	TRY(go_ahead(s));
	imap_reader_pass(&s->reader);
	session_spool_done(&s->spool);
	return read_message(s, cmd.append.size);
}

static Err
read_literal(struct imap_session *s)
{
	bool taken = false;

	if (imap_command_is_append(imap_reader_text(&s->reader)) &&
		!imap_reader_literal(&s->reader).malformed)
		TRY(append_literal(s, &taken));
	if (taken)
		return OK;
	if (imap_reader_take(&s->reader))
		return go_ahead(s);
	refuse(s, SESSION_BAD, "TOOBIG", "Literal is too large");
	return OK;
}

/* The next thing that is no mere lack of octets. */
static Err
next_event(struct imap_session *s, enum imap_event *ret)
{
	size_t used;

	*ret = imap_reader_feed(&s->reader, S(""), &used);
	while (*ret == IMAP_READ_MORE) {
		Str in;

		TRY(conn_read_up_to(s->conn, WAIT_CHUNK, &in));
		*ret = imap_reader_feed(&s->reader, in, &used);
		conn_eat(s->conn, used);
	}
	return OK;
}

Err
session_read(struct imap_session *s, Str *ret)
{
	enum imap_event event;

	s->refused = false;
	for (;;) {
		TRY(next_event(s, &event));
		if (event != IMAP_READ_LITERAL)
			break;
		TRY(read_literal(s));
	}
	if (event == IMAP_READ_BROKEN) {
		buf_put(&s->out, S("* BYE [TOOBIG] No end of this command in sight\r\n"));
		return fail(ERR_GONE, "command without end");
	}
	if (event == IMAP_READ_LONG && !s->refused) {
		session_answer(s, SESSION_BAD, NULL, "Command is too long");
		s->refused = true;
	}
	*ret = imap_reader_text(&s->reader);
	return OK;
}
