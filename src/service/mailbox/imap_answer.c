/* SPDX-License-Identifier: ISC */
#include "rpc/log.h"
#include "service/mailbox/session_internal.h"

_Static_assert((int)IMAP_FLAG_SEEN == (int)MAILBOX_SEEN &&
		       (int)IMAP_FLAG_ANSWERED == (int)MAILBOX_ANSWERED &&
		       (int)IMAP_FLAG_FLAGGED == (int)MAILBOX_FLAGGED &&
		       (int)IMAP_FLAG_DELETED == (int)MAILBOX_DELETED &&
		       (int)IMAP_FLAG_DRAFT == (int)MAILBOX_DRAFT,
	"the grammar and the store number the flags alike");

enum {
	SYSTEM_FLAGS = MAILBOX_SEEN | MAILBOX_ANSWERED | MAILBOX_FLAGGED | MAILBOX_DELETED |
		       MAILBOX_DRAFT,
};

void
session_answer(struct imap_session *s, enum session_status status, const char *code,
	const char *text)
{
	s->status = status;
	s->text = text;
	buf_reset(&s->code);
	if (code != NULL)
		buf_put_c(&s->code, code);
}

Err
session_answer_failure(struct imap_session *s, Err e, const char *code, const char *text)
{
	switch (e.kind) {
	case ERR_NONE:
		return OK;
	case ERR_PEER:
		session_answer(s, SESSION_NO, code, text);
		return OK;
	case ERR_LIMIT:
		session_answer(s, SESSION_NO, "LIMIT", e.what);
		return OK;
	case ERR_TEMP:
		log_failure(LOG_LEVEL_WARNING, "imap.failed", e);
		session_answer(s, SESSION_NO, "UNAVAILABLE", "Try again later");
		return OK;
	case ERR_PERM:
		log_failure(LOG_LEVEL_ERROR, "imap.failed", e);
		session_answer(s, SESSION_NO, "SERVERBUG", "The mailbox needs repair");
		return OK;
	case ERR_GONE:
		break;
	}
	return e;
}

Err
session_flush(struct imap_session *s)
{
	TRY(buf_check(&s->out));
	TRY(conn_write(s->conn, buf_view(&s->out)));
	s->sent += s->out.n;
	buf_reset(&s->out);
	return OK;
}

Err
session_push(struct imap_session *s)
{
	return s->out.n < SESSION_OUT ? OK : session_flush(s);
}

Err
session_put(struct imap_session *s, Str text)
{
	if (text.n < SESSION_OUT) {
		buf_put(&s->out, text);
		return session_push(s);
	}
	TRY(session_flush(s));
	s->sent += text.n;
	return conn_write(s->conn, text);
}

void
session_write_flags(struct imap_session *s, struct buf *b, uint64_t flags)
{
	const struct mailbox_view *v = s->view;

	buf_put_char(b, '(');
	imap_write_flags(b, (unsigned)flags & SYSTEM_FLAGS);
	for (size_t i = 0; i < v->keyword_count; i++) {
		if ((flags & (uint64_t)1 << (MAILBOX_KEYWORD_FIRST + i)) == 0)
			continue;
		if (str_at((Str){ b->p, b->n }, b->n - 1) != '(')
			buf_put_char(b, ' ');
		buf_put(b, v->keywords[i]);
	}
	buf_put_char(b, ')');
}

Err
session_write_fetch_flags(struct imap_session *s, size_t place)
{
	const struct mailbox_message *m = &s->view->messages[place];

	buf_put(&s->out, S("* "));
	buf_put_u64(&s->out, place + 1);
	buf_put(&s->out, S(" FETCH (FLAGS "));
	session_write_flags(s, &s->out, m->flags);
	buf_put(&s->out, S(" UID "));
	buf_put_u64(&s->out, m->uid);
	if (s->condstore) {
		buf_put(&s->out, S(" MODSEQ ("));
		buf_put_u64(&s->out, m->modseq);
		buf_put_char(&s->out, ')');
	}
	buf_put(&s->out, S(")\r\n"));
	return session_push(s);
}

void
session_write_folder_flags(struct imap_session *s)
{
	uint64_t all = SYSTEM_FLAGS;

	for (size_t i = 0; i < s->view->keyword_count; i++)
		all |= (uint64_t)1 << (MAILBOX_KEYWORD_FIRST + i);
	buf_put(&s->out, S("* FLAGS "));
	session_write_flags(s, &s->out, all);
	buf_put(&s->out, S("\r\n* OK [PERMANENTFLAGS "));
	if (s->read_only) {
		buf_put(&s->out, S("()] Read-only\r\n"));
		return;
	}
	session_write_flags(s, &s->out, all);
	if (s->view->keyword_count < MAILBOX_KEYWORD_MAX) {
		buf_cut(&s->out, s->out.n - 1);
		buf_put(&s->out, S(" \\*)"));
	}
	buf_put(&s->out, S("] Flags are kept\r\n"));
}
