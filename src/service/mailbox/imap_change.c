/* SPDX-License-Identifier: ISC */
/* STORE, COPY, MOVE and EXPUNGE (RFC 9051, 6.4.3 and 6.4.6 to 6.4.8; RFC 7162). */
#include "service/mailbox/session_internal.h"

static bool
may_write(struct imap_session *s)
{
	if (s->read_only)
		session_answer(s, SESSION_NO, "READ-ONLY", "Mailbox is open for reading only");
	return !s->read_only;
}

/* Leaves out the places that the store refused because they had changed since; both ascend. */
static size_t
without_failed(struct imap_session *s, uint32_t *places, size_t count,
	const struct mailbox_flags_result *result)
{
	size_t n = 0, at = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t uid = s->view->messages[places[i]].uid;

		if (at < result->failed_count && result->failed[at] == uid)
			at++;
		else
			places[n++] = places[i];
	}
	return n;
}

/* MODIFIED: the messages that had changed since (RFC 7162, 3.1.3). */
static void
answer_modified(struct imap_session *s, bool uid, const struct mailbox_flags_result *result)
{
	struct imap_set_writer w = { 0 };

	if (result->failed_count == 0)
		return;
	session_answer(s, SESSION_OK, NULL, "Some had changed since");
	buf_put(&s->code, S("MODIFIED "));
	for (size_t i = 0; i < result->failed_count; i++) {
		size_t place = mailbox_view_find(s->view, result->failed[i]);

		imap_set_add(&w, &s->code, uid ? result->failed[i] : (uint32_t)place + 1);
	}
	imap_set_end(&w, &s->code);
}

static Err
tell_stored(struct imap_session *s, bool silent, const uint32_t *places, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct mailbox_message *m = &s->view->messages[places[i]];

		if (!silent) {
			TRY(session_write_fetch_flags(s, places[i]));
		} else if (s->condstore) {
			/* RFC 7162, 3.1.3: even then the client must learn the mod-sequence. */
			buf_printf(&s->out, "* %u FETCH (UID %u MODSEQ (%llu))\r\n",
				places[i] + 1, m->uid, (unsigned long long)m->modseq);
			TRY(session_push(s));
		}
	}
	return OK;
}

static Err
store_flags(struct imap_session *s, const struct imap_command *cmd,
	const struct mailbox_flags_change *change, uint32_t *places, size_t count)
{
	struct mailbox_flags_result result = { 0 };
	struct session_own own;
	uint32_t *uids;
	Err e;

	TRY(session_uids(s, places, count, &uids));
	e = mailbox_flags_set(s->mailbox, s->view->folder, uids, count, change, s->arena,
		&result);
	if (failed(e))
		return session_answer_failure(s, e, "NONEXISTENT", "The mailbox is gone");
	answer_modified(s, cmd->uid, &result);
	/*
	 * Expunges stay untold even after UID STORE, where they would be allowed: the places must
	 * stand until the flags are told.
	 */
	own = (struct session_own){ .modseq = result.modseq };
	TRY(session_update(s, MAILBOX_REFRESH_KEEP, &own));
	if (s->done)
		return OK;
	count = without_failed(s, places, count, &result);
	return tell_stored(s, cmd->store.silent, places, count);
}

Err
session_store(struct imap_session *s, const struct imap_command *cmd)
{
	static const enum mailbox_flags_mode modes[] = {
		[IMAP_STORE_SET] = MAILBOX_FLAGS_REPLACE,
		[IMAP_STORE_ADD] = MAILBOX_FLAGS_ADD,
		[IMAP_STORE_REMOVE] = MAILBOX_FLAGS_REMOVE,
	};
	const struct imap_store *store = &cmd->store;
	struct mailbox_flags_change change = {
		.mode = modes[store->mode],
		.unchanged_since = store->unchanged_since ? store->modseq : UINT64_MAX,
	};
	struct imap_set set = store->set;
	uint32_t *places;
	size_t count;
	bool ok;

	if (!may_write(s))
		return OK;
	s->condstore = s->condstore || store->unchanged_since;
	TRY(session_places(s, &set, cmd->uid, &places, &count, &ok));
	if (!ok || count == 0)
		return OK;
	TRY(session_flag_bits(s, s->view->folder, &store->flags,
		store->mode != IMAP_STORE_REMOVE, &change.flags, &ok));
	return ok ? store_flags(s, cmd, &change, places, count) : OK;
}

/* COPYUID validity from to (RFC 9051, 7.1) */
static void
write_copied(struct buf *b, const struct mailbox_copied *copied)
{
	struct imap_set_writer w = { 0 };

	buf_printf(b, "COPYUID %u ", copied->uid_validity);
	for (size_t i = 0; i < copied->count; i++)
		imap_set_add(&w, b, copied->from[i]);
	imap_set_end(&w, b);
	buf_put_char(b, ' ');
	w = (struct imap_set_writer){ 0 };
	for (size_t i = 0; i < copied->count; i++)
		imap_set_add(&w, b, copied->to[i]);
	imap_set_end(&w, b);
}

Err
session_copy(struct imap_session *s, const struct imap_command *cmd)
{
	bool move = cmd->verb == IMAP_MOVE, ok;
	struct imap_set set = cmd->copy.set;
	struct mailbox_copied copied = { 0 };
	struct mailbox_folder to;
	uint32_t *places, *uids;
	size_t count;
	Err e;

	if (move && !may_write(s))
		return OK;
	TRY(session_places(s, &set, cmd->uid, &places, &count, &ok));
	if (!ok)
		return OK;
	TRY(session_find(s, cmd->copy.mailbox, "TRYCREATE", &to, &ok));
	if (!ok || count == 0)
		return OK;
	TRY(session_uids(s, places, count, &uids));
	e = (move ? mailbox_move : mailbox_copy)(s->mailbox, s->view->folder, uids, count,
		to.id, s->arena, &copied);
	if (failed(e))
		return session_answer_failure(s, e, "TRYCREATE", "No such mailbox");
	if (move && copied.count > 0) {
		buf_put(&s->out, S("* OK ["));
		write_copied(&s->code, &copied);
		TRY(session_put(s, s->code.bad ? S("MOVED") : buf_view(&s->code)));
		buf_put(&s->out, S("] Moved\r\n"));
		buf_reset(&s->code);
	} else if (copied.count > 0) {
		write_copied(&s->code, &copied);
	}
	return OK;
}

Err
session_expunge(struct imap_session *s, const struct imap_command *cmd)
{
	struct imap_set set = cmd->expunge;
	uint32_t *places, *uids = NULL;
	size_t count = 0;
	uint64_t modseq;
	bool ok = true;
	Err e;

	if (!may_write(s))
		return OK;
	if (cmd->uid) {
		TRY(session_places(s, &set, true, &places, &count, &ok));
		if (!ok || count == 0)
			return OK;
		TRY(session_uids(s, places, count, &uids));
	}
	e = mailbox_expunge(s->mailbox, s->view->folder, uids, count, &modseq);
	return session_answer_failure(s, e, "NONEXISTENT", "The mailbox is gone");
}
