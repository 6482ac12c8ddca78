/* SPDX-License-Identifier: ISC */
/*
 * SEARCH (RFC 9051, 6.4.4). Each message is judged with what is at hand first: memory, then its
 * ENVELOPE, then its bytes. A key that needs more than is at hand answers "maybe", and only who is
 * still undecided is looked at more closely.
 */
#include "format/imap/fold.h"
#include "format/mime/date.h"
#include "format/mime/decode.h"
#include "format/mime/envelope.h"
#include "format/mime/message.h"
#include "format/mime/text.h"
#include "service/mailbox/session_internal.h"

#include <stdlib.h>

enum verdict { NO, MAYBE, YES };

/* How much is at hand. */
enum depth { IN_MEMORY, WITH_ENVELOPE, WITH_BYTES };

struct searching {
	struct imap_session *s;
	const struct imap_search *search;
	int64_t now; /* seconds */
	uint32_t place;
	enum depth depth;
	const struct mime_envelope *envelope;
	struct session_body body;
	bool envelopes; /* some key reads ENVELOPE */
	bool addresses; /* ... and more of it than date and subject */
	struct buf text, folded;
	Err err; /* of reading; the message is then taken as not found */
	uint32_t *found;
	size_t count;
};

static const Str charsets =
	S("BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252)");

/* ---- before the walk ---- */

static Err
prepare_text(struct searching *q, struct imap_search_key *key)
{
	if (key->kind != IMAP_SEARCH_HEADER && key->kind != IMAP_SEARCH_BODY &&
		key->kind != IMAP_SEARCH_TEXT)
		return OK;
	buf_reset(&q->text);
	buf_reset(&q->folded);
	mime_decode_charset(&q->text, q->search->charset, key->text);
	imap_fold(&q->folded, buf_view(&q->text));
	TRY(buf_check(&q->folded));
	return arena_copy(q->s->arena, buf_view(&q->folded), &key->text);
}

/* The bit of a keyword in the selected folder; no bit matches nothing. */
static uint64_t
keyword_bit(const struct mailbox_view *v, Str name)
{
	for (size_t i = 0; i < v->keyword_count; i++)
		if (str_eq_icase(v->keywords[i], name))
			return (uint64_t)1 << (MAILBOX_KEYWORD_FIRST + i);
	return 0;
}

static bool
reads_envelope(const struct imap_search_key *key)
{
	static const Str fields[] = { S("Subject"), S("From"), S("To"), S("Cc"), S("Bcc") };

	if (key->kind >= IMAP_SEARCH_SENTBEFORE && key->kind <= IMAP_SEARCH_SENTSINCE)
		return true;
	if (key->kind != IMAP_SEARCH_HEADER)
		return false;
	for (size_t i = 0; i < COUNT(fields); i++)
		if (str_eq_icase(key->name, fields[i]))
			return true;
	return false;
}

/* NOLINTBEGIN(misc-no-recursion): no deeper than IMAP_SEARCH_DEPTH_MAX */
static Err
prepare(struct searching *q, struct imap_search_key *key)
{
	const struct mailbox_view *v = q->s->view;
	uint32_t count = (uint32_t)v->count;

	for (; key != NULL; key = key->next) {
		TRY(prepare_text(q, key));
		if (key->kind == IMAP_SEARCH_KEYWORD)
			key->number = keyword_bit(v, key->text);
		if (key->kind == IMAP_SEARCH_SEQ)
			imap_set_settle(&key->set, count);
		if (key->kind == IMAP_SEARCH_UID)
			imap_set_settle(&key->set, count == 0 ? 0 : v->messages[count - 1].uid);
		q->envelopes = q->envelopes || reads_envelope(key);
		q->addresses = q->addresses || (key->kind == IMAP_SEARCH_HEADER &&
						       !str_eq_icase(key->name, S("Subject")));
		TRY(prepare(q, key->inner));
		TRY(prepare(q, key->other));
	}
	return OK;
}

/* NOLINTEND(misc-no-recursion) */

/* ---- single keys ---- */

static enum verdict
verdict_of(bool yes)
{
	return yes ? YES : NO;
}

static int
compare_uids(const void *a, const void *b)
{
	const uint32_t *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

static bool
in_set(const struct searching *q, const struct imap_search_key *key, bool uid)
{
	const struct imap_session *s = q->s;
	uint32_t own = s->view->messages[q->place].uid;

	if (key->set.saved)
		return s->saved.count > 0 && bsearch(&own, s->saved.at, s->saved.count,
						     sizeof(own), compare_uids) != NULL;
	return imap_set_has(&key->set, uid ? own : q->place + 1);
}

static int64_t
day_of(int64_t seconds)
{
	return seconds >= 0 ? seconds / DAY : -((-seconds + DAY - 1) / DAY);
}

/* -1, 0 or 1: before, on or after the day of the key. */
static int
compare_day(int64_t seconds, const struct imap_search_key *key)
{
	int64_t a = day_of(seconds), b = day_of(time_seconds(key->day));

	return a < b ? -1 : a > b;
}

/* RFC 9051, 6.4.4: the Date field, disregarding time and time zone. */
static enum verdict
match_sent(const struct searching *q, const struct imap_search_key *key)
{
	struct mime_date date;
	int order;

	if (q->depth < WITH_ENVELOPE)
		return MAYBE;
	if (failed(mime_date_parse(q->envelope->date, &date)))
		return NO;
	order = compare_day(time_seconds(date.when) + date.zone * MINUTE, key);
	if (key->kind == IMAP_SEARCH_SENTBEFORE)
		return verdict_of(order < 0);
	return verdict_of(key->kind == IMAP_SEARCH_SENTON ? order == 0 : order >= 0);
}

/* Does the key's text occur in s, which is UTF-8? */
static bool
occurs(struct searching *q, Str s, Str text)
{
	buf_reset(&q->folded);
	imap_fold(&q->folded, s);
	return str_find_str(buf_view(&q->folded), text) != STR_NONE;
}

/* The same for header text, with encoded words. */
static bool
occurs_decoded(struct searching *q, Str s, Str text)
{
	buf_reset(&q->text);
	mime_decode_words(&q->text, s);
	return occurs(q, buf_view(&q->text), text);
}

static bool
match_addresses(struct searching *q, const struct mime_address *a, Str text)
{
	if (a != NULL && text.n == 0)
		return true;
	for (; a != NULL; a = a->next) {
		buf_reset(&q->text);
		mime_decode_words(&q->text, a->name);
		buf_put(&q->text, S(" <"));
		buf_put(&q->text, a->local);
		buf_put_char(&q->text, '@');
		buf_put(&q->text, a->domain);
		buf_put_char(&q->text, '>');
		if (occurs(q, buf_view(&q->text), text))
			return true;
	}
	return false;
}

static bool
match_envelope(struct searching *q, const struct imap_search_key *key)
{
	const struct mime_envelope *e = q->envelope;

	if (str_eq_icase(key->name, S("Subject")))
		return e->subject.p != NULL && occurs_decoded(q, e->subject, key->text);
	if (str_eq_icase(key->name, S("From")))
		return match_addresses(q, e->from, key->text);
	if (str_eq_icase(key->name, S("To")))
		return match_addresses(q, e->to, key->text);
	if (str_eq_icase(key->name, S("Cc")))
		return match_addresses(q, e->cc, key->text);
	return match_addresses(q, e->bcc, key->text);
}

/* name empty: any field, its name included */
static bool
match_header(struct searching *q, Str header, Str name, Str text)
{
	struct cursor c = cursor_of(header);
	AUTO_BUF line = BUF_INIT(MIME_HEADER_MAX);
	struct mime_field f;

	while (mime_field_next(&c, &f)) {
		if (name.n > 0 && !str_eq_icase(f.name, name))
			continue;
		buf_reset(&line);
		if (name.n == 0) {
			buf_put(&line, f.name);
			buf_put(&line, S(": "));
		}
		mime_field_unfold(&line, f.body);
		if (occurs_decoded(q, buf_view(&line), text))
			return true;
	}
	return false;
}

static enum verdict
match_field(struct searching *q, const struct imap_search_key *key)
{
	Str header;

	if (reads_envelope(key))
		return q->depth < WITH_ENVELOPE ? MAYBE : verdict_of(match_envelope(q, key));
	if (q->depth < WITH_BYTES)
		return MAYBE;
	q->err = session_body_header(&q->body, &header);
	if (failed(q->err))
		return NO;
	return verdict_of(match_header(q, header, key->name, key->text));
}

static bool
match_leaf(struct searching *q, const struct mime_part *part, Str text)
{
	Str body = str_part(buf_view(&q->body.data), part->body_at, part->body_size);
	AUTO_BUF decoded = BUF_INIT(SESSION_PARSE_MAX);

	if (part->kind != MIME_TEXT)
		return false;
	mime_decode_transfer(&decoded,
		mime_decode_encoding(part->header.fields[MIME_CONTENT_ENCODING]), body);
	buf_reset(&q->text);
	mime_decode_charset(&q->text, mime_param_get(part->params, S("charset")),
		buf_view(&decoded));
	return occurs(q, buf_view(&q->text), text);
}

/* The next part of a tree, parents before children; NULL at the end. */
static const struct mime_part *
next_part(const struct mime_part *part)
{
	if (part->child != NULL)
		return part->child;
	while (part != NULL && part->next == NULL)
		part = part->parent;
	return part == NULL ? NULL : part->next;
}

/* BODY and TEXT: text parts decoded, headers only for TEXT. */
static enum verdict
match_text(struct searching *q, const struct imap_search_key *key)
{
	if (q->depth < WITH_BYTES)
		return MAYBE;
	q->err = session_body_parse(&q->body);
	if (failed(q->err))
		return NO;
	for (const struct mime_part *p = q->body.root; p != NULL; p = next_part(p)) {
		Str header = str_part(buf_view(&q->body.data), p->header_at, p->header_size);
		bool headers = key->kind == IMAP_SEARCH_TEXT || p != q->body.root;

		if (match_leaf(q, p, key->text) ||
			(headers && match_header(q, header, S(""), key->text)))
			return YES;
	}
	return verdict_of(key->text.n == 0);
}

static enum verdict
match_simple(struct searching *q, const struct imap_search_key *key)
{
	const struct mailbox_message *m = &q->s->view->messages[q->place];

	switch (key->kind) {
	case IMAP_SEARCH_ALL:
		return YES;
	case IMAP_SEARCH_SEQ:
		return verdict_of(in_set(q, key, false));
	case IMAP_SEARCH_UID:
		return verdict_of(in_set(q, key, true));
	case IMAP_SEARCH_FLAG:
		return verdict_of((m->flags & key->flag) != 0);
	case IMAP_SEARCH_KEYWORD:
		return verdict_of((m->flags & key->number) != 0);
	case IMAP_SEARCH_BEFORE:
		return verdict_of(compare_day(m->date, key) < 0);
	case IMAP_SEARCH_ON:
		return verdict_of(compare_day(m->date, key) == 0);
	case IMAP_SEARCH_SINCE:
		return verdict_of(compare_day(m->date, key) >= 0);
	case IMAP_SEARCH_OLDER:
		return verdict_of(m->date <= q->now - (int64_t)key->number);
	case IMAP_SEARCH_YOUNGER:
		return verdict_of(m->date >= q->now - (int64_t)key->number);
	case IMAP_SEARCH_LARGER:
		return verdict_of(m->size > key->number);
	case IMAP_SEARCH_SMALLER:
		return verdict_of(m->size < key->number);
	case IMAP_SEARCH_MODSEQ:
		return verdict_of(m->modseq >= key->number);
	case IMAP_SEARCH_SENTBEFORE:
	case IMAP_SEARCH_SENTON:
	case IMAP_SEARCH_SENTSINCE:
		return match_sent(q, key);
	case IMAP_SEARCH_HEADER:
		return match_field(q, key);
	case IMAP_SEARCH_BODY:
	case IMAP_SEARCH_TEXT:
		return match_text(q, key);
	case IMAP_SEARCH_NONE:
	case IMAP_SEARCH_AND:
	case IMAP_SEARCH_OR:
	case IMAP_SEARCH_NOT:
		break;
	}
	return NO;
}

/* ---- the tree ---- */

/* NOLINTBEGIN(misc-no-recursion): no deeper than IMAP_SEARCH_DEPTH_MAX */
static enum verdict match(struct searching *q, const struct imap_search_key *key);

/* All of a list: one NO decides. */
static enum verdict
match_all(struct searching *q, const struct imap_search_key *key)
{
	enum verdict all = YES;

	for (; key != NULL && all != NO; key = key->next) {
		enum verdict one = match(q, key);

		if (one < all)
			all = one;
	}
	return all;
}

static enum verdict
match(struct searching *q, const struct imap_search_key *key)
{
	enum verdict a, b;

	switch ((int)key->kind) {
	case IMAP_SEARCH_AND:
		return match_all(q, key->inner);
	case IMAP_SEARCH_NOT:
		return (enum verdict)(YES - match(q, key->inner));
	case IMAP_SEARCH_OR:
		a = match(q, key->inner);
		if (a == YES)
			return YES;
		b = match(q, key->other);
		return a > b ? a : b;
	default:
		return match_simple(q, key);
	}
}

/* NOLINTEND(misc-no-recursion) */

/* ---- the walk ---- */

/* Date and subject come first in an ENVELOPE; who asks for no more need not have it all read. */
static Err
read_envelope(const struct searching *q, Str text, struct arena *a, struct mime_envelope *ret)
{
	struct cursor c = cursor_of(text);
	struct mime_envelope e = { 0 };

	if (q->addresses)
		return mime_envelope_parse(text, a, ret);
	cursor_need_char(&c, '(');
	TRY(mime_text_parse(&c, a, &e.date));
	cursor_need_char(&c, ' ');
	TRY(mime_text_parse(&c, a, &e.subject));
	if (c.bad)
		return fail(ERR_PERM, "envelope is damaged");
	*ret = e;
	return OK;
}

/* One that memory could not decide. */
static Err
look_closer(struct searching *q, const struct mailbox_row *row, struct arena *a)
{
	static const struct mime_envelope nothing;
	struct mime_envelope envelope;
	enum verdict v = MAYBE;

	q->err = OK;
	if (row != NULL && row->gone)
		return OK;
	q->envelope = &nothing;
	if (row != NULL && !failed(read_envelope(q, row->envelope, a, &envelope)))
		q->envelope = &envelope;
	q->depth = WITH_ENVELOPE;
	if (row != NULL)
		v = match_all(q, q->search->keys);
	if (v == MAYBE) {
		q->depth = WITH_BYTES;
		session_body_set(&q->body, q->s->view->messages[q->place].uid);
		v = match_all(q, q->search->keys);
		/* A message that is gone or cannot be read is not found; a lost lease ends all. */
		if (failed(q->err))
			v = NO;
	}
	q->depth = IN_MEMORY;
	q->envelope = NULL;
	if (v == YES)
		q->found[q->count++] = q->place;
	return q->err.kind == ERR_GONE ? q->err : OK;
}

/* The places from `at` on: n of them; those still undecided with their ENVELOPEs at hand. */
static Err
walk_batch(struct searching *q, uint32_t at, uint32_t n, struct arena *a)
{
	uint32_t uids[SESSION_BATCH], maybe[SESSION_BATCH];
	struct mailbox_row *rows = NULL;
	size_t count = 0;

	for (q->place = at; q->place < at + n; q->place++) {
		enum verdict v = match_all(q, q->search->keys);

		if (v == MAYBE) {
			uids[count] = q->s->view->messages[q->place].uid;
			maybe[count++] = q->place;
		} else if (v == YES) {
			q->found[q->count++] = q->place;
		}
	}
	if (count == 0)
		return OK;
	arena_reset(a);
	if (q->envelopes)
		TRY(mailbox_fetch(q->s->mailbox, q->s->view->folder, uids, count,
			MAILBOX_ENVELOPE, a, &rows));
	for (size_t i = 0; i < count; i++) {
		q->place = maybe[i];
		TRY(look_closer(q, rows == NULL ? NULL : &rows[i], a));
	}
	return OK;
}

static Err
walk(struct searching *q)
{
	uint32_t all = (uint32_t)q->s->view->count;
	AUTO(arena) a = arena_new(SESSION_BATCH_MAX);

	q->found = arena_try_array(q->s->arena, (size_t)all + 1, sizeof(*q->found));
	if (q->found == NULL)
		return fail(ERR_LIMIT, "Too many messages at once");
	for (uint32_t at = 0; at < all; at += SESSION_BATCH)
		TRY(walk_batch(q, at, all - at < SESSION_BATCH ? all - at : SESSION_BATCH, a));
	/* Who was undecided came late. */
	qsort(q->found, q->count, sizeof(*q->found), compare_uids);
	return OK;
}

/* ---- the answer ---- */

static uint32_t
number_of(const struct searching *q, bool uid, size_t i)
{
	return uid ? q->s->view->messages[q->found[i]].uid : q->found[i] + 1;
}

static uint64_t
highest_modseq(const struct searching *q)
{
	uint64_t highest = 0;

	for (size_t i = 0; i < q->count; i++)
		if (q->s->view->messages[q->found[i]].modseq > highest)
			highest = q->s->view->messages[q->found[i]].modseq;
	return highest;
}

static Err
write_search(struct searching *q, bool uid)
{
	struct imap_session *s = q->s;

	buf_put(&s->out, S("* SEARCH"));
	for (size_t i = 0; i < q->count; i++) {
		buf_put_char(&s->out, ' ');
		buf_put_u64(&s->out, number_of(q, uid, i));
		TRY(session_push(s));
	}
	if (q->search->uses_modseq && q->count > 0)
		buf_printf(&s->out, " (MODSEQ %llu)", (unsigned long long)highest_modseq(q));
	buf_put(&s->out, S("\r\n"));
	return OK;
}

/* esearch-response (RFC 9051, 7.3.4) */
static Err
write_esearch(struct searching *q, Str tag, bool uid, unsigned give)
{
	struct imap_session *s = q->s;
	struct imap_set_writer w = { 0 };

	buf_put(&s->out, S("* ESEARCH (TAG \""));
	buf_put(&s->out, tag);
	buf_put(&s->out, uid ? S("\") UID") : S("\")"));
	if ((give & IMAP_RETURN_MIN) != 0 && q->count > 0)
		buf_printf(&s->out, " MIN %u", number_of(q, uid, 0));
	if ((give & IMAP_RETURN_MAX) != 0 && q->count > 0)
		buf_printf(&s->out, " MAX %u", number_of(q, uid, q->count - 1));
	if ((give & IMAP_RETURN_ALL) != 0 && q->count > 0) {
		buf_put(&s->out, S(" ALL "));
		for (size_t i = 0; i < q->count; i++) {
			imap_set_add(&w, &s->out, number_of(q, uid, i));
			TRY(session_push(s));
		}
		imap_set_end(&w, &s->out);
	}
	if ((give & IMAP_RETURN_COUNT) != 0)
		buf_printf(&s->out, " COUNT %zu", q->count);
	if (q->search->uses_modseq && q->count > 0)
		buf_printf(&s->out, " MODSEQ %llu", (unsigned long long)highest_modseq(q));
	buf_put(&s->out, S("\r\n"));
	return OK;
}

/* RETURN (SAVE): with MIN or MAX only those, without ALL or COUNT (RFC 9051, 6.4.4.4). */
static Err
save(struct searching *q, unsigned give)
{
	struct session_uids *saved = &q->s->saved;
	bool ends = (give & (IMAP_RETURN_MIN | IMAP_RETURN_MAX)) != 0 &&
		    (give & (IMAP_RETURN_ALL | IMAP_RETURN_COUNT)) == 0;
	uint32_t *at = calloc(q->count + 1, sizeof(*at));
	size_t n = 0;

	free(saved->at);
	*saved = (struct session_uids){ 0 };
	if (at == NULL)
		return fail(ERR_TEMP, "no memory for a search result");
	for (size_t i = 0; i < q->count; i++)
		if (!ends || (i == 0 && (give & IMAP_RETURN_MIN) != 0) ||
			(i == q->count - 1 && (give & IMAP_RETURN_MAX) != 0))
			at[n++] = number_of(q, true, i);
	*saved = (struct session_uids){ at, n };
	return OK;
}

static Err
answer_search(struct searching *q, const struct imap_command *cmd)
{
	unsigned give = q->search->give;

	if ((give & IMAP_RETURN_SAVE) != 0) {
		TRY(save(q, give));
		if (give == IMAP_RETURN_SAVE)
			return OK; /* nothing else was asked for */
	}
	if (!q->search->extended && !q->s->rev2)
		return write_search(q, cmd->uid);
	return write_esearch(q, cmd->tag, cmd->uid, give == 0 ? IMAP_RETURN_ALL : give);
}

Err
session_search(struct imap_session *s, const struct imap_command *cmd)
{
	struct searching q = {
		.s = s,
		.search = &cmd->search,
		.now = time_seconds(clock_wall()),
		.text = BUF_INIT(SESSION_PARSE_MAX),
		.folded = BUF_INIT(SESSION_PARSE_MAX),
	};
	Err e;

	if (cmd->search.charset.n > 0 && !mime_decode_knows_charset(cmd->search.charset)) {
		session_answer(s, SESSION_NO, charsets.p, "Charset is not known");
		return OK;
	}
	s->condstore = s->condstore || cmd->search.uses_modseq;
	session_body_init(&q.body, s);
	e = prepare(&q, cmd->search.keys);
	if (!failed(e))
		e = walk(&q);
	if (failed(e))
		e = session_answer_failure(s, e, "NONEXISTENT", "The mailbox is gone");
	else
		e = answer_search(&q, cmd);
	session_body_done(&q.body);
	buf_done(&q.text);
	buf_done(&q.folded);
	return e;
}
