/* SPDX-License-Identifier: ISC */
/*
 * FETCH (RFC 9051, 6.4.5). What the view holds in memory (flags, UIDs, sizes, dates) is written
 * without asking anybody; columns are asked of the store in batches; bytes are read message by
 * message. Nothing is locked while octets go to the client.
 */
#include "format/mime/structure.h"
#include "service/mailbox/session_internal.h"

struct fetching {
	struct imap_session *s;
	const struct imap_fetch *fetch;
	const uint32_t *places;
	size_t count;
	unsigned columns;     /* enum mailbox_column */
	bool bytes;           /* some section is wanted */
	bool flags;           /* FLAGS is among the items */
	bool uid;             /* UID is to be added: the UID form does not name it itself */
	bool modseq;          /* MODSEQ is to be added */
	bool missing;         /* a message was expunged meanwhile */
	const uint32_t *seen; /* places that became \Seen by this command */
	size_t seen_count;
	size_t seen_at;
	struct session_body body;

	uint64_t flags_of; /* flags_text is theirs: neighbours are often alike */
	struct buf flags_text;
};

static bool
has_item(const struct imap_fetch *fetch, enum imap_fetch_kind kind)
{
	for (size_t i = 0; i < fetch->count; i++)
		if (fetch->items[i].kind == kind)
			return true;
	return false;
}

static void
plan(struct fetching *f, const struct imap_command *cmd)
{
	const struct imap_fetch *fetch = &cmd->fetch;

	f->fetch = fetch;
	if (has_item(fetch, IMAP_FETCH_ENVELOPE))
		f->columns |= MAILBOX_ENVELOPE;
	if (has_item(fetch, IMAP_FETCH_BODY) || has_item(fetch, IMAP_FETCH_BODYSTRUCTURE))
		f->columns |= MAILBOX_STRUCTURE;
	f->bytes = has_item(fetch, IMAP_FETCH_SECTION) || has_item(fetch, IMAP_FETCH_BINARY) ||
		   has_item(fetch, IMAP_FETCH_BINARY_SIZE);
	f->flags = has_item(fetch, IMAP_FETCH_FLAGS);
	f->uid = cmd->uid && !has_item(fetch, IMAP_FETCH_UID);
	/* RFC 7162, 3.1.4.1: CHANGEDSINCE implies MODSEQ. */
	f->modseq = fetch->changed_since && !has_item(fetch, IMAP_FETCH_MODSEQ);
}

static void
write_flags(struct fetching *f, uint64_t flags)
{
	if (f->flags_text.n == 0 || f->flags_of != flags) {
		buf_reset(&f->flags_text);
		session_write_flags(f->s, &f->flags_text, flags);
		f->flags_of = flags;
	}
	buf_put(&f->s->out, S("FLAGS "));
	buf_put(&f->s->out, buf_view(&f->flags_text));
}

static void
write_number(struct buf *b, Str name, uint64_t number)
{
	buf_put(b, name);
	buf_put_u64(b, number);
}

static void
write_modseq(struct buf *b, uint64_t modseq)
{
	write_number(b, S("MODSEQ ("), modseq);
	buf_put_char(b, ')');
}

static Err
write_body(struct fetching *f, Str structure)
{
	AUTO_BUF body = BUF_INIT(SESSION_BATCH_MAX);

	TRY(mime_structure_write_body(&body, structure));
	return session_put(f->s, buf_view(&body));
}

static Err
write_item(struct fetching *f, const struct imap_fetch_item *item,
	const struct mailbox_message *m, const struct mailbox_row *row)
{
	struct buf *out = &f->s->out;

	switch (item->kind) {
	case IMAP_FETCH_FLAGS:
		write_flags(f, m->flags);
		return OK;
	case IMAP_FETCH_UID:
		write_number(out, S("UID "), m->uid);
		return OK;
	case IMAP_FETCH_INTERNALDATE:
		buf_put(out, S("INTERNALDATE "));
		imap_write_date_time(out, time_from_seconds(m->date));
		return OK;
	case IMAP_FETCH_SIZE:
		write_number(out, S("RFC822.SIZE "), m->size);
		return OK;
	case IMAP_FETCH_MODSEQ:
		write_modseq(out, m->modseq);
		return OK;
	case IMAP_FETCH_ENVELOPE:
		buf_put(out, S("ENVELOPE "));
		return session_put(f->s, row->envelope);
	case IMAP_FETCH_BODYSTRUCTURE:
		buf_put(out, S("BODYSTRUCTURE "));
		return session_put(f->s, row->structure);
	case IMAP_FETCH_BODY:
		buf_put(out, S("BODY "));
		return write_body(f, row->structure);
	case IMAP_FETCH_SECTION:
		buf_put(out, item->name);
		buf_put_char(out, ' ');
		return session_body_write(&f->body, item);
	case IMAP_FETCH_BINARY:
	case IMAP_FETCH_BINARY_SIZE:
		buf_put(out, item->name);
		buf_put_char(out, ' ');
		return session_body_write_binary(&f->body, item);
	}
	return OK;
}

/* Did this command set \Seen there? The places come in order. */
static bool
became_seen(struct fetching *f, uint32_t place)
{
	while (f->seen_at < f->seen_count && f->seen[f->seen_at] < place)
		f->seen_at++;
	return f->seen_at < f->seen_count && f->seen[f->seen_at] == place;
}

/* What the client did not name, but has to be told. */
static void
write_implied(struct fetching *f, const struct mailbox_message *m, bool seen)
{
	if (f->uid) {
		buf_put_char(&f->s->out, ' ');
		write_number(&f->s->out, S("UID "), m->uid);
	}
	if (seen && !f->flags) {
		buf_put_char(&f->s->out, ' ');
		write_flags(f, m->flags);
	}
	if (f->modseq || (seen && f->s->condstore && !has_item(f->fetch, IMAP_FETCH_MODSEQ))) {
		buf_put_char(&f->s->out, ' ');
		write_modseq(&f->s->out, m->modseq);
	}
}

static Err
write_message(struct fetching *f, uint32_t place, const struct mailbox_row *row)
{
	const struct mailbox_message *m = &f->s->view->messages[place];
	struct buf *out = &f->s->out;

	buf_put(out, S("* "));
	buf_put_u64(out, place + 1);
	buf_put(out, S(" FETCH ("));
	for (size_t i = 0; i < f->fetch->count; i++) {
		if (i > 0)
			buf_put_char(out, ' ');
		TRY(write_item(f, &f->fetch->items[i], m, row));
	}
	write_implied(f, m, became_seen(f, place));
	buf_put(out, S(")\r\n"));
	return session_push(f->s);
}

/*
 * A message whose bytes are wanted. What fails before the first octet of it has left leaves no
 * trace; later the connection is lost.
 */
static Err
write_with_bytes(struct fetching *f, uint32_t place, const struct mailbox_row *row)
{
	struct imap_session *s = f->s;
	uint64_t sent = s->sent;
	size_t before = s->out.n;
	Err e;

	session_body_set(&f->body, s->view->messages[place].uid);
	e = write_message(f, place, row);
	if (!failed(e) || e.kind == ERR_GONE)
		return e;
	if (s->sent != sent || s->out.bad)
		return fail(ERR_GONE, "lost the place inside a response");
	buf_cut(&s->out, before);
	if (e.kind != ERR_PEER)
		return session_answer_failure(s, e, NULL, NULL);
	f->missing = true;
	return OK;
}

/* The columns of the next messages; rows are NULL when none are wanted. */
static Err
fetch_rows(struct fetching *f, size_t at, size_t n, struct arena *a, struct mailbox_row **ret)
{
	uint32_t uids[SESSION_BATCH];

	*ret = NULL;
	if (f->columns == 0)
		return OK;
	arena_reset(a);
	for (size_t i = 0; i < n; i++)
		uids[i] = f->s->view->messages[f->places[at + i]].uid;
	return mailbox_fetch(f->s->mailbox, f->s->view->folder, uids, n, f->columns, a, ret);
}

static Err
write_all(struct fetching *f)
{
	static const struct mailbox_row no_columns;
	AUTO(arena) a = arena_new(SESSION_BATCH_MAX);

	for (size_t at = 0; at < f->count; at += SESSION_BATCH) {
		size_t n = f->count - at < SESSION_BATCH ? f->count - at : SESSION_BATCH;
		struct mailbox_row *rows;
		Err e = fetch_rows(f, at, n, a, &rows);

		if (failed(e))
			return session_answer_failure(f->s, e, "NONEXISTENT",
				"The mailbox is gone");
		for (size_t i = 0; i < n; i++) {
			const struct mailbox_row *row = rows == NULL ? &no_columns : &rows[i];

			if (row->gone)
				f->missing = true;
			else if (f->bytes)
				TRY(write_with_bytes(f, f->places[at + i], row));
			else
				TRY(write_message(f, f->places[at + i], row));
		}
	}
	return OK;
}

static bool
sets_seen(const struct imap_fetch *fetch)
{
	for (size_t i = 0; i < fetch->count; i++)
		if (fetch->items[i].section != NULL && !fetch->items[i].peek)
			return true;
	return false;
}

/* BODY[...] without PEEK sets \Seen (RFC 9051, 6.4.5); done first, told with the message. */
static Err
set_seen(struct fetching *f)
{
	struct imap_session *s = f->s;
	struct mailbox_flags_change change = {
		.mode = MAILBOX_FLAGS_ADD, .flags = MAILBOX_SEEN, .unchanged_since = UINT64_MAX
	};
	struct mailbox_flags_result result;
	struct session_own own;
	uint32_t *places, *uids;
	size_t n = 0;

	if (s->read_only || !sets_seen(f->fetch))
		return OK;
	places = arena_try_array(s->arena, f->count + 1, sizeof(*places));
	if (places == NULL)
		return fail(ERR_LIMIT, "Too many messages at once");
	for (size_t i = 0; i < f->count; i++)
		if ((s->view->messages[f->places[i]].flags & MAILBOX_SEEN) == 0)
			places[n++] = f->places[i];
	if (n == 0)
		return OK;
	TRY(session_uids(s, places, n, &uids));
	TRY(mailbox_flags_set(s->mailbox, s->view->folder, uids, n, &change, s->arena,
		&result));
	f->seen = places;
	f->seen_count = n;
	own = (struct session_own){ result.modseq, places, n };
	return session_update(s, MAILBOX_REFRESH_KEEP, &own);
}

static size_t
changed_since(const struct imap_session *s, uint32_t *places, size_t count, uint64_t modseq)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++)
		if (s->view->messages[places[i]].modseq > modseq)
			places[n++] = places[i];
	return n;
}

Err
session_fetch(struct imap_session *s, const struct imap_command *cmd)
{
	struct fetching f = { .s = s, .flags_text = BUF_INIT(16 << 10) };
	struct imap_set set = cmd->fetch.set;
	uint32_t *places;
	bool ok;
	Err e;

	plan(&f, cmd);
	if (cmd->fetch.vanished) {
		session_answer(s, SESSION_BAD, NULL, "QRESYNC is not enabled");
		return OK;
	}
	s->condstore = s->condstore || cmd->fetch.changed_since ||
		       has_item(&cmd->fetch, IMAP_FETCH_MODSEQ);
	TRY(session_places(s, &set, cmd->uid, &places, &f.count, &ok));
	if (!ok)
		return OK;
	if (cmd->fetch.changed_since)
		f.count = changed_since(s, places, f.count, cmd->fetch.modseq);
	f.places = places;
	session_body_init(&f.body, s);
	e = session_answer_failure(s, set_seen(&f), "NONEXISTENT", "The mailbox is gone");
	if (!failed(e) && s->status == SESSION_OK && !s->done)
		e = write_all(&f);
	session_body_done(&f.body);
	buf_done(&f.flags_text);
	if (!failed(e) && f.missing && s->status == SESSION_OK)
		session_answer(s, SESSION_NO, "EXPUNGEISSUED", "Some messages are gone");
	return e;
}
