/* SPDX-License-Identifier: ISC */
/* SELECT and its ends, CREATE to UNSUBSCRIBE, STATUS (RFC 9051, 6.3 and 6.4.1 to 6.4.2). */
#include "service/mailbox/session_internal.h"

#include <stdlib.h>

void
session_leave_folder(struct imap_session *s)
{
	mailbox_view_close(s->view);
	s->view = NULL;
	free(s->saved.at);
	s->saved = (struct session_uids){ 0 };
}

/* Number of the first message without \Seen, 0 when there is none. */
static size_t
first_unseen(const struct mailbox_view *v)
{
	for (size_t i = 0; i < v->count; i++)
		if ((v->messages[i].flags & MAILBOX_SEEN) == 0)
			return i + 1;
	return 0;
}

static void
write_selected(struct imap_session *s, const struct mailbox_folder *folder)
{
	const struct mailbox_view *v = s->view;
	size_t unseen = s->rev2 ? 0 : first_unseen(v);

	session_write_folder_flags(s);
	buf_printf(&s->out, "* %zu EXISTS\r\n", v->count);
	if (!s->rev2)
		buf_put(&s->out, S("* 0 RECENT\r\n"));
	if (unseen > 0)
		buf_printf(&s->out, "* OK [UNSEEN %zu] First unseen\r\n", unseen);
	buf_printf(&s->out, "* OK [UIDVALIDITY %u] UIDs are valid\r\n", v->uid_validity);
	buf_printf(&s->out, "* OK [UIDNEXT %u] Next UID\r\n", v->uid_next);
	buf_printf(&s->out, "* OK [HIGHESTMODSEQ %llu] Highest\r\n",
		(unsigned long long)v->modseq);
	if (!s->rev2)
		return;
	/* RFC 9051, 6.3.2: the LIST response tells the name that the server uses. */
	buf_put(&s->out, S("* LIST () \"/\" "));
	imap_write_mailbox(&s->out, folder->name, true);
	buf_put(&s->out, S("\r\n"));
}

/* SELECT and EXAMINE (RFC 9051, 6.3.2 and 6.3.3) */
Err
session_select(struct imap_session *s, const struct imap_command *cmd)
{
	struct mailbox_folder folder;
	struct mailbox_changes changes;
	bool ok, before = s->view != NULL;
	Err e;

	if (cmd->select.qresync) {
		session_answer(s, SESSION_BAD, NULL, "QRESYNC is not offered");
		return OK;
	}
	s->condstore = s->condstore || cmd->select.condstore;
	/* Whatever comes of this, the folder selected before is not any more. */
	session_leave_folder(s);
	if (before && (s->rev2 || s->condstore))
		buf_put(&s->out, S("* OK [CLOSED] Previous mailbox is closed\r\n"));
	TRY(session_find(s, cmd->select.mailbox, "NONEXISTENT", &folder, &ok));
	if (!ok)
		return OK;
	e = mailbox_view_open(s->mailbox, folder.id, &s->view);
	if (!failed(e))
		e = mailbox_view_refresh(s->view, MAILBOX_REFRESH_ALL, &changes);
	if (failed(e)) {
		session_leave_folder(s);
		return session_answer_failure(s, e, "NONEXISTENT", "No such mailbox");
	}
	s->read_only = cmd->verb == IMAP_EXAMINE || (folder.rights & MAILBOX_MAY_FLAG) == 0;
	write_selected(s, &folder);
	session_answer(s, SESSION_OK, s->read_only ? "READ-ONLY" : "READ-WRITE", NULL);
	return OK;
}

/* CLOSE: expunges without telling (RFC 9051, 6.4.1) */
Err
session_close(struct imap_session *s, const struct imap_command *cmd)
{
	uint64_t modseq;
	Err e = OK;

	(void)cmd;
	if (!s->read_only)
		e = mailbox_expunge(s->mailbox, s->view->folder, NULL, 0, &modseq);
	session_leave_folder(s);
	/* The folder may be gone already: that closes it too. */
	return e.kind == ERR_PEER ? OK : session_answer_failure(s, e, NULL, NULL);
}

Err
session_unselect(struct imap_session *s, const struct imap_command *cmd)
{
	(void)cmd;
	session_leave_folder(s);
	return OK;
}

static const struct {
	Str name;
	enum mailbox_use use;
} uses[] = {
	{ S("\\Archive"), MAILBOX_USE_ARCHIVE },
	{ S("\\Drafts"), MAILBOX_USE_DRAFTS },
	{ S("\\Junk"), MAILBOX_USE_JUNK },
	{ S("\\Sent"), MAILBOX_USE_SENT },
	{ S("\\Trash"), MAILBOX_USE_TRASH },
};

/* RFC 6154, 3: a use that we do not know fails the CREATE. */
static bool
read_use(struct imap_session *s, const struct imap_strings *names, enum mailbox_use *ret)
{
	*ret = MAILBOX_USE_NONE;
	if (names->count == 0)
		return true;
	for (size_t i = 0; i < COUNT(uses); i++) {
		if (names->count != 1 || !str_eq_icase(names->at[0], uses[i].name))
			continue;
		*ret = uses[i].use;
		return true;
	}
	session_answer(s, SESSION_NO, "USEATTR", "A mailbox cannot be used for that");
	return false;
}

/* A level called "." or "..": no danger here, but one to whatever reads our names as paths. */
static bool
has_dots(Str name)
{
	Str level, rest = name;
	bool more = true;

	while (more) {
		more = str_split(rest, session_delimiter, &level, &rest);
		if (!more)
			level = rest;
		if (str_eq(level, S(".")) || str_eq(level, S("..")))
			return true;
	}
	return false;
}

/* The name of something new: no folder has it yet. Answers and gives false otherwise. */
static Err
new_name(struct imap_session *s, Str wire, Str *ret, bool *ret_ok)
{
	struct mailbox_folder folder;
	Err e;

	*ret_ok = false;
	/* "Foo/" asks for a Foo that will have children (RFC 9051, 6.3.4): all of ours may. */
	if (wire.n > 1 && (char)str_at(wire, wire.n - 1) == session_delimiter)
		wire.n--;
	if (!session_name(s, wire, ret))
		return OK;
	if (has_dots(*ret)) {
		session_answer(s, SESSION_NO, "CANNOT", "Mailbox name is not allowed");
		return OK;
	}
	e = mailbox_folder_find(s->mailbox, *ret, s->arena, &folder);
	if (!failed(e) && folder.exists) {
		session_answer(s, SESSION_NO, "ALREADYEXISTS", "Mailbox exists already");
		return OK;
	}
	*ret_ok = !failed(e) || e.kind == ERR_PEER;
	return *ret_ok ? OK : session_answer_failure(s, e, NULL, NULL);
}

Err
session_create(struct imap_session *s, const struct imap_command *cmd)
{
	enum mailbox_use use;
	uint32_t id;
	Str name;
	bool ok;

	if (!read_use(s, &cmd->create.use, &use))
		return OK;
	TRY(new_name(s, cmd->create.mailbox, &name, &ok));
	if (!ok)
		return OK;
	return session_answer_failure(s, mailbox_folder_create(s->mailbox, name, use, &id),
		"CANNOT", "Mailbox name is not allowed");
}

Err
session_delete(struct imap_session *s, const struct imap_command *cmd)
{
	struct mailbox_folder folder;
	bool ok, selected;
	Err e;

	TRY(session_find(s, cmd->mailbox, "NONEXISTENT", &folder, &ok));
	if (!ok)
		return OK;
	selected = s->view != NULL && s->view->folder == folder.id;
	e = mailbox_folder_delete(s->mailbox, folder.name);
	if (!failed(e) && selected)
		session_leave_folder(s);
	return session_answer_failure(s, e, "CANNOT", "This mailbox cannot be deleted");
}

Err
session_rename(struct imap_session *s, const struct imap_command *cmd)
{
	Str from, to;
	bool ok;

	if (!session_name(s, cmd->rename.from, &from))
		return OK;
	TRY(new_name(s, cmd->rename.to, &to, &ok));
	if (!ok)
		return OK;
	return session_answer_failure(s, mailbox_folder_rename(s->mailbox, from, to), "CANNOT",
		"No such mailbox, or its new name is not allowed");
}

/* SUBSCRIBE and UNSUBSCRIBE */
Err
session_subscribe(struct imap_session *s, const struct imap_command *cmd)
{
	Str name;

	if (!session_name(s, cmd->mailbox, &name))
		return OK;
	return session_answer_failure(s,
		mailbox_folder_subscribe(s->mailbox, name, cmd->verb == IMAP_SUBSCRIBE),
		"CANNOT", "Mailbox name is not allowed");
}
