/* SPDX-License-Identifier: ISC */
/* From what clients write to what the store knows: folder names, message sets, flags. */
#include "format/imap/mutf7.h"
#include "service/mailbox/session_internal.h"

/* INBOX in any case, alone or as the first level, is INBOX (RFC 9051, 5.1). */
static Str
with_inbox(struct buf *name)
{
	Str s = buf_view(name);

	if (str_starts_icase(s, S("INBOX")) &&
		(s.n == 5 || (char)str_at(s, 5) == session_delimiter))
		memcpy(name->p, "INBOX", 5);
	return s;
}

bool
session_name(struct imap_session *s, Str wire, Str *ret)
{
	AUTO_BUF name = BUF_INIT(4 * MAILBOX_NAME_MAX);
	Err e = OK;

	if (!s->rev2)
		e = imap_mutf7_parse(wire, &name);
	else if (imap_utf8_valid(wire))
		buf_put(&name, wire);
	else
		e = fail(ERR_PEER, "mailbox name is not UTF-8");
	if (!failed(e))
		e = buf_check(&name);
	if (!failed(e) && name.n > MAILBOX_NAME_MAX)
		e = fail(ERR_LIMIT, "");
	if (failed(e)) {
		session_answer(s, SESSION_NO, "CANNOT",
			e.kind == ERR_LIMIT ? "Mailbox name is too long" : e.what);
		return false;
	}
	e = arena_copy(s->arena, with_inbox(&name), ret);
	return !failed(e);
}

Err
session_find(struct imap_session *s, Str wire, const char *code, struct mailbox_folder *ret,
	bool *ret_found)
{
	Str name;
	Err e;

	*ret_found = false;
	if (!session_name(s, wire, &name))
		return OK;
	e = mailbox_folder_find(s->mailbox, name, s->arena, ret);
	if (!failed(e) && !ret->exists)
		e = fail(ERR_PEER, "no such folder");
	*ret_found = !failed(e);
	return session_answer_failure(s, e, code, "No such mailbox");
}

static Err
no_room(void)
{
	return fail(ERR_LIMIT, "Too many messages at once");
}

/* Places of the UIDs that a search has saved. */
static Err
saved_places(struct imap_session *s, uint32_t **ret, size_t *ret_count)
{
	uint32_t *places = arena_try_array(s->arena, s->saved.count + 1, sizeof(*places));
	size_t n = 0;

	if (places == NULL)
		return no_room();
	for (size_t i = 0; i < s->saved.count; i++) {
		size_t at = mailbox_view_find(s->view, s->saved.at[i]);

		if (at < s->view->count && s->view->messages[at].uid == s->saved.at[i])
			places[n++] = (uint32_t)at;
	}
	*ret = places;
	*ret_count = n;
	return OK;
}

/* The places that one range names: from *ret_first up to but not *ret_end. */
static void
range_places(const struct mailbox_view *v, struct imap_range range, bool uid, size_t *ret_first,
	size_t *ret_end)
{
	if (uid) {
		*ret_first = mailbox_view_find(v, range.first);
		*ret_end = range.last == UINT32_MAX ? v->count
						    : mailbox_view_find(v, range.last + 1);
		return;
	}
	*ret_first = range.first - 1;
	*ret_end = range.last;
}

Err
session_places(struct imap_session *s, struct imap_set *set, bool uid, uint32_t **ret,
	size_t *ret_count, bool *ret_ok)
{
	const struct mailbox_view *v = s->view;
	size_t total = 0, first, end, n = 0;
	uint32_t *places, largest = (uint32_t)v->count;

	*ret_ok = true;
	if (set->saved)
		return saved_places(s, ret, ret_count);
	if (uid)
		largest = v->count == 0 ? 0 : v->messages[v->count - 1].uid;
	/* "*" in an empty folder is a number that nobody has (RFC 9051, 9: seq-number). */
	*ret_ok = uid || v->count > 0;
	imap_set_settle(set, largest);
	if (!uid && set->count > 0 && set->ranges[set->count - 1].last > v->count)
		*ret_ok = false;
	if (!*ret_ok) {
		session_answer(s, SESSION_BAD, NULL, "No message has that number");
		return OK;
	}
	for (size_t i = 0; i < set->count; i++) {
		range_places(v, set->ranges[i], uid, &first, &end);
		total += end - first;
	}
	places = arena_try_array(s->arena, total + 1, sizeof(*places));
	if (places == NULL)
		return no_room();
	for (size_t i = 0; i < set->count; i++) {
		range_places(v, set->ranges[i], uid, &first, &end);
		for (size_t at = first; at < end; at++)
			places[n++] = (uint32_t)at;
	}
	*ret = places;
	*ret_count = n;
	return OK;
}

Err
session_uids(struct imap_session *s, const uint32_t *places, size_t count, uint32_t **ret)
{
	uint32_t *uids = arena_try_array(s->arena, count + 1, sizeof(*uids));

	if (uids == NULL)
		return no_room();
	for (size_t i = 0; i < count; i++)
		uids[i] = s->view->messages[places[i]].uid;
	*ret = uids;
	return OK;
}

Err
session_flag_bits(struct imap_session *s, uint32_t folder, const struct imap_flags *flags,
	bool create, uint64_t *ret, bool *ret_ok)
{
	uint64_t bits = flags->system;

	*ret_ok = false;
	for (size_t i = 0; i < flags->keywords.count; i++) {
		Str name = flags->keywords.at[i];
		uint64_t bit = 0;
		Err e;

		if (str_starts(name, S("\\"))) {
			session_answer(s, SESSION_BAD, NULL, "No such flag");
			return OK;
		}
		e = mailbox_keyword_bit(s->mailbox, folder, name, create, &bit);
		if (failed(e))
			return session_answer_failure(s, e, "NONEXISTENT", "No such mailbox");
		bits |= bit;
	}
	*ret = bits;
	*ret_ok = true;
	return OK;
}
