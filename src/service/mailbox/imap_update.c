/* SPDX-License-Identifier: ISC */
/*
 * What other sessions, deliveries and programs did to the selected folder, told as RFC 9051, 7.5
 * wants it: EXPUNGE never during FETCH, STORE and SEARCH, and nothing between commands but in
 * IDLE.
 */
#include "service/mailbox/session_internal.h"

static Err
tell_gone(struct imap_session *s, const struct mailbox_changes *changes)
{
	for (size_t i = 0; i < changes->gone_count; i++) {
		buf_put(&s->out, S("* "));
		buf_put_u64(&s->out, changes->gone[i].number);
		buf_put(&s->out, S(" EXPUNGE\r\n"));
		TRY(session_push(s));
	}
	return OK;
}

static bool
is_own(const struct imap_session *s, const struct session_own *own, uint32_t place, size_t *at)
{
	if (own == NULL || own->modseq == 0 || s->view->messages[place].modseq != own->modseq)
		return false;
	if (own->places == NULL)
		return true;
	while (*at < own->count && own->places[*at] < place)
		(*at)++;
	return *at < own->count && own->places[*at] == place;
}

static Err
tell_changed(struct imap_session *s, const struct mailbox_changes *changes,
	const struct session_own *own)
{
	size_t at = 0;

	for (size_t i = 0; i < changes->changed_count; i++)
		if (!is_own(s, own, changes->changed[i], &at))
			TRY(session_write_fetch_flags(s, changes->changed[i]));
	return OK;
}

Err
session_update(struct imap_session *s, enum mailbox_refresh how, const struct session_own *own)
{
	struct mailbox_changes changes;

	if (s->view == NULL)
		return OK;
	TRY(mailbox_view_refresh(s->view, how, &changes));
	if (changes.folder_gone) {
		/* Nothing in the protocol says "unselected"; a client that connects anew learns it. */
		buf_put(&s->out, S("* BYE The selected folder is gone\r\n"));
		s->done = true;
		return OK;
	}
	TRY(tell_gone(s, &changes));
	if (changes.keywords)
		session_write_folder_flags(s);
	if (changes.added > 0) {
		buf_put(&s->out, S("* "));
		buf_put_u64(&s->out, s->view->count);
		buf_put(&s->out, S(" EXISTS\r\n"));
	}
	return tell_changed(s, &changes, own);
}

/* Waits for the client or for news; true when the client has said something. */
static Err
wait_for_news(struct imap_session *s, int news, Moment until, bool *ret_input)
{
	bool changed;

	TRY(conn_wait(s->conn, news, moment_left(until), ret_input, &changed));
	if (!*ret_input && !changed && moment_past(until))
		return (Err){ .kind = ERR_GONE, .sys = ETIMEDOUT, .what = "idle for too long" };
	if (!changed)
		return OK;
	TRY(session_update(s, MAILBOX_REFRESH_ALL, NULL));
	return session_flush(s);
}

/* IDLE (RFC 9051, 6.3.13) */
Err
session_idle(struct imap_session *s, const struct imap_command *cmd)
{
	Moment until = moment_after(SESSION_IDLE_MS);
	bool input = false;
	int news = -1;
	Str text;

	(void)cmd;
	if (s->view != NULL)
		TRY(session_answer_failure(s, mailbox_view_wait_fd(s->view, &news), NULL,
			NULL));
	if (s->status != SESSION_OK)
		return OK;
	TRY(session_update(s, MAILBOX_REFRESH_ALL, NULL));
	buf_put(&s->out, S("+ idling\r\n"));
	TRY(session_flush(s));
	buf_done(&s->out); /* this may last: hold nothing */
	while (!input && !s->done)
		TRY(wait_for_news(s, news, until, &input));
	if (s->done)
		return OK;
	imap_reader_next(&s->reader);
	TRY(session_read(s, &text));
	if (!str_eq_icase(text, S("DONE\r\n")))
		session_answer(s, SESSION_BAD, NULL, "DONE expected");
	return OK;
}
