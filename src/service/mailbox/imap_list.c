/* SPDX-License-Identifier: ISC */
/* LIST, LSUB, STATUS and NAMESPACE (RFC 9051, 6.3.9 to 6.3.11; RFC 5258, 5819, 6154). */
#include "format/imap/match.h"
#include "service/mailbox/session_internal.h"

static const Str use_names[] = {
	[MAILBOX_USE_NONE] = S(""),
	[MAILBOX_USE_ARCHIVE] = S("\\Archive"),
	[MAILBOX_USE_DRAFTS] = S("\\Drafts"),
	[MAILBOX_USE_JUNK] = S("\\Junk"),
	[MAILBOX_USE_SENT] = S("\\Sent"),
	[MAILBOX_USE_TRASH] = S("\\Trash"),
};

/* The folders of the account and what is asked of them. */
struct listing {
	const struct imap_list *list;
	Str *patterns; /* reference and pattern joined, UTF-8 */
	struct mailbox_folder *folders;
	size_t count;
};

/* A pattern as the client wrote it becomes UTF-8; wildcards are ASCII in both spellings. */
static Err
read_patterns(struct imap_session *s, const struct imap_list *list, Str **ret, bool *ret_ok)
{
	Str *patterns = arena_try_array(s->arena, list->patterns.count, sizeof(*patterns));

	*ret_ok = false;
	if (patterns == NULL)
		return fail(ERR_LIMIT, "too many patterns");
	for (size_t i = 0; i < list->patterns.count; i++) {
		AUTO_BUF joined = BUF_INIT(IMAP_PATTERN_MAX);

		buf_put(&joined, list->reference);
		buf_put(&joined, list->patterns.at[i]);
		if (failed(buf_check(&joined)) ||
			!session_name(s, buf_view(&joined), &patterns[i]))
			return session_answer_failure(s, buf_check(&joined), "CANNOT",
				"Pattern is too long");
	}
	*ret = patterns;
	*ret_ok = true;
	return OK;
}

static bool
matches(const struct listing *l, Str name)
{
	for (size_t i = 0; i < l->list->patterns.count; i++)
		if (imap_match(l->patterns[i], name, session_delimiter))
			return true;
	return false;
}

static bool
is_below(Str name, Str parent)
{
	return name.n > parent.n && str_starts(name, parent) &&
	       (char)str_at(name, parent.n) == session_delimiter;
}

static bool
is_selected(const struct listing *l, const struct mailbox_folder *f)
{
	unsigned select = l->list->select;

	if ((select & IMAP_LIST_SUBSCRIBED) != 0 && !f->subscribed)
		return false;
	if ((select & IMAP_LIST_SPECIAL_USE) != 0 && f->use == MAILBOX_USE_NONE)
		return false;
	/* What is only subscribed shows up when subscriptions are asked for. */
	return f->exists || f->children || (select & IMAP_LIST_SUBSCRIBED) != 0;
}

/* Is something below f selected that the patterns do not name themselves? (RFC 5258, 3.5) */
static bool
has_selected_child(const struct listing *l, const struct mailbox_folder *f)
{
	if ((l->list->select & IMAP_LIST_RECURSIVEMATCH) == 0)
		return false;
	for (size_t i = 0; i < l->count; i++)
		if (is_below(l->folders[i].name, f->name) && is_selected(l, &l->folders[i]) &&
			!matches(l, l->folders[i].name))
			return true;
	return false;
}

static void
put_word(struct buf *b, Str word)
{
	if (str_at(buf_view(b), b->n - 1) != '(')
		buf_put_char(b, ' ');
	buf_put(b, word);
}

static void
write_entry(struct imap_session *s, const struct listing *l, const struct mailbox_folder *f,
	bool child_selected)
{
	const struct imap_list *list = l->list;
	struct buf *b = &s->out;

	buf_put(b, S("* LIST ("));
	if (!f->exists && list->extended)
		put_word(b, S("\\NonExistent"));
	if (!f->exists)
		put_word(b, S("\\Noselect"));
	put_word(b, f->children ? S("\\HasChildren") : S("\\HasNoChildren"));
	if (f->subscribed && ((list->give | list->select) & IMAP_LIST_SUBSCRIBED) != 0)
		put_word(b, S("\\Subscribed"));
	if (f->use != MAILBOX_USE_NONE)
		put_word(b, use_names[f->use]);
	buf_put(b, S(") \"/\" "));
	imap_write_mailbox(b, f->name, s->rev2);
	if (child_selected)
		buf_put(b, (list->select & IMAP_LIST_SUBSCRIBED) != 0
				   ? S(" (\"CHILDINFO\" (\"SUBSCRIBED\"))")
				   : S(" (\"CHILDINFO\" (\"SPECIAL-USE\"))"));
	buf_put(b, S("\r\n"));
}

static void
put_item(struct buf *b, const char *name, uint64_t number)
{
	if (str_at(buf_view(b), b->n - 1) != '(')
		buf_put_char(b, ' ');
	buf_put_c(b, name);
	buf_put_char(b, ' ');
	buf_put_u64(b, number);
}

static void
write_status(struct imap_session *s, const struct mailbox_folder *f, unsigned items)
{
	const struct {
		unsigned item;
		const char *name;
		uint64_t number;
	} rows[] = {
		{ IMAP_STATUS_MESSAGES, "MESSAGES", f->messages },
		{ IMAP_STATUS_RECENT, "RECENT", 0 },
		{ IMAP_STATUS_UIDNEXT, "UIDNEXT", f->uid_next },
		{ IMAP_STATUS_UIDVALIDITY, "UIDVALIDITY", f->uid_validity },
		{ IMAP_STATUS_UNSEEN, "UNSEEN", f->unseen },
		{ IMAP_STATUS_DELETED, "DELETED", f->deleted },
		{ IMAP_STATUS_SIZE, "SIZE", f->size },
		{ IMAP_STATUS_HIGHESTMODSEQ, "HIGHESTMODSEQ", f->modseq },
	};

	buf_put(&s->out, S("* STATUS "));
	imap_write_mailbox(&s->out, f->name, s->rev2);
	buf_put(&s->out, S(" ("));
	for (size_t i = 0; i < COUNT(rows); i++)
		if ((items & rows[i].item) != 0)
			put_item(&s->out, rows[i].name, rows[i].number);
	buf_put(&s->out, S(")\r\n"));
}

static Err
write_listing(struct imap_session *s, const struct listing *l)
{
	for (size_t i = 0; i < l->count; i++) {
		const struct mailbox_folder *f = &l->folders[i];
		bool child, selected;

		if (!matches(l, f->name))
			continue;
		selected = is_selected(l, f);
		child = has_selected_child(l, f);
		if (!selected && !child)
			continue;
		write_entry(s, l, f, child);
		if ((l->list->give & IMAP_LIST_STATUS) != 0 && f->exists)
			write_status(s, f, l->list->status);
		TRY(session_push(s));
	}
	return OK;
}

Err
session_list(struct imap_session *s, const struct imap_command *cmd)
{
	struct listing l = { .list = &cmd->list };
	bool ok;

	/* RFC 9051, 6.3.9: an empty pattern asks for the delimiter. */
	if (!cmd->list.extended && cmd->list.patterns.at[0].n == 0) {
		buf_put(&s->out, S("* LIST (\\Noselect) \"/\" \"\"\r\n"));
		return OK;
	}
	TRY(read_patterns(s, &cmd->list, &l.patterns, &ok));
	if (!ok)
		return OK;
	TRY(session_answer_failure(s,
		mailbox_folder_list(s->mailbox, s->arena, &l.folders, &l.count), NULL, NULL));
	return s->status == SESSION_OK ? write_listing(s, &l) : OK;
}

static void
write_lsub(struct imap_session *s, Str name, bool selectable)
{
	buf_put(&s->out, selectable ? S("* LSUB () \"/\" ") : S("* LSUB (\\Noselect) \"/\" "));
	imap_write_mailbox(&s->out, name, s->rev2);
	buf_put(&s->out, S("\r\n"));
}

/*
 * RFC 3501, 6.3.9: with %, a parent that is not subscribed itself shows up for its subscribed
 * child. `last` is the parent told last: children of one parent follow one another.
 */
static void
list_parents(struct imap_session *s, const struct listing *l, Str name, Str *last)
{
	Str parent = name;
	size_t at;

	while ((at = str_find_last(parent, session_delimiter)) != STR_NONE) {
		bool told = false;

		parent = str_part(parent, 0, at);
		for (size_t i = 0; i < l->count && !told; i++)
			told = l->folders[i].subscribed && str_eq(l->folders[i].name, parent);
		if (told || !matches(l, parent) || str_eq(parent, *last))
			continue;
		write_lsub(s, parent, false);
		*last = parent;
	}
}

Err
session_lsub(struct imap_session *s, const struct imap_command *cmd)
{
	struct listing l = { .list = &cmd->list };
	Str last = S("");
	bool ok;

	TRY(read_patterns(s, &cmd->list, &l.patterns, &ok));
	if (!ok)
		return OK;
	TRY(session_answer_failure(s,
		mailbox_folder_list(s->mailbox, s->arena, &l.folders, &l.count), NULL, NULL));
	if (s->status != SESSION_OK)
		return OK;
	for (size_t i = 0; i < l.count; i++) {
		if (!l.folders[i].subscribed)
			continue;
		if (matches(&l, l.folders[i].name))
			write_lsub(s, l.folders[i].name, l.folders[i].exists);
		else
			list_parents(s, &l, l.folders[i].name, &last);
		TRY(session_push(s));
	}
	return OK;
}

Err
session_status(struct imap_session *s, const struct imap_command *cmd)
{
	struct mailbox_folder folder;
	bool ok;

	TRY(session_find(s, cmd->status.mailbox, "NONEXISTENT", &folder, &ok));
	/* RFC 7162, 3.1: who asks for mod-sequences understands them. */
	s->condstore = s->condstore || (cmd->status.items & IMAP_STATUS_HIGHESTMODSEQ) != 0;
	if (ok)
		write_status(s, &folder, cmd->status.items);
	return OK;
}

/* RFC 9051, 6.3.10: all folders are the user's own, without a prefix. */
Err
session_namespace(struct imap_session *s, const struct imap_command *cmd)
{
	(void)cmd;
	buf_put(&s->out, S("* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n"));
	return OK;
}
