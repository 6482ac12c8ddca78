/* SPDX-License-Identifier: ISC */
/* The whole directory as records, and the way back: what differs is changed. */
#include "store/directory/internal.h"

enum {
	APPLY_ARENA_MAX = 512 * 1024 * 1024, /* octets; names and members are not copied */
};

Err
directory_list_domains(struct directory *d, struct buf *ret)
{
	sqlite3_stmt *s = d->statements[LIST_DOMAINS];
	bool row;

	for (;;) {
		struct directory_record record = { .kind = DIRECTORY_RECORD_DOMAIN };

		TRY(sql_step(s, &row));
		if (!row)
			return OK;
		record.name = sql_str(s, 0);
		directory_record_write(&record, ret);
	}
}

Err
directory_list_accounts(struct directory *d, bool all_folders, struct buf *ret)
{
	sqlite3_stmt *s = d->statements[LIST_ACCOUNTS];
	bool row;

	for (;;) {
		struct directory_record record = { .kind = DIRECTORY_RECORD_ACCOUNT };
		AUTO_BUF usual = BUF_INIT(DIRECTORY_KEY_MAX);

		TRY(sql_step(s, &row));
		if (!row)
			return OK;
		directory_put_folder(sql_str(s, 2), &usual);
		record.id = sql_u64(s, 0);
		record.name = sql_str(s, 1);
		record.folder = sql_str(s, 3);
		if (!all_folders && str_eq(record.folder, buf_view(&usual)))
			record.folder = S("");
		record.password = sql_str(s, 4);
		record.disabled = sql_u64(s, 5) != 0;
		record.created.us = (int64_t)sql_u64(s, 6);
		directory_record_write(&record, ret);
	}
}

static Err
list_alias(struct directory *d, uint64_t id, Str name, struct buf *ret)
{
	struct directory_record record = { .kind = DIRECTORY_RECORD_ALIAS, .name = name };
	sqlite3_stmt *s = d->statements[GET_MEMBERS];
	size_t count_at;
	uint32_t n = 0;
	bool row;

	directory_record_write(&record, ret);
	count_at = ret->n - sizeof(uint32_t);
	sql_bind_u64(s, 1, id);
	sql_bind_u64(s, 2, 0);
	sql_bind_u64(s, 3, DIRECTORY_RECORD_MEMBERS_MAX);
	for (;; n++) {
		TRY(sql_step(s, &row));
		if (!row)
			break;
		buf_str(ret, sql_str(s, 1));
	}
	TRY(buf_check(ret));
	buf_set_u32(ret, count_at, n);
	return OK;
}

Err
directory_list_aliases(struct directory *d, struct buf *ret)
{
	sqlite3_stmt *s = d->statements[LIST_ALIASES];
	bool row;

	for (;;) {
		Err e;

		TRY(sql_step(s, &row));
		if (!row)
			return OK;
		e = list_alias(d, sql_u64(s, 0), sql_str(s, 1), ret);
		if (failed(e)) {
			sql_reset(s);
			return e;
		}
	}
}

Err
directory_list_all(struct directory *d, bool all_folders, struct buf *ret)
{
	TRY(directory_list_domains(d, ret));
	TRY(directory_list_accounts(d, all_folders, ret));
	TRY(directory_list_aliases(d, ret));
	return buf_check(ret);
}

/* A record and its kind's first letter with its key, by which it is found. */
struct item {
	struct directory_record record;
	Str key;
};

struct side {
	struct item *items;
	size_t n;
	struct str_map *by_key;
};

static const char *const kind_names[] = {
	[DIRECTORY_RECORD_DOMAIN] = "domain",
	[DIRECTORY_RECORD_ACCOUNT] = "account",
	[DIRECTORY_RECORD_ALIAS] = "alias",
};

static Err
put_item_key(const struct directory_record *record, struct buf *b)
{
	buf_put_char(b, kind_names[record->kind][1]); /* o, c, l */
	if (record->kind == DIRECTORY_RECORD_DOMAIN)
		return directory_put_domain_key(record->name, b);
	return directory_put_key(record->name, b);
}

static Err
count_records(Str packed, struct arena *a, size_t *ret)
{
	struct cursor c = cursor_of(packed);
	struct directory_record record;
	size_t n = 0;

	for (; !cursor_done(&c); n++)
		TRY(directory_record_parse(&c, a, &record));
	*ret = n;
	return n <= DIRECTORY_RECORD_COUNT_MAX ? OK : fail(ERR_LIMIT, "too many records");
}

/* Tells which record is meant, then why it cannot be. */
static Err
blame(const struct directory_record *record, Err e, struct buf *report)
{
	buf_printf(report, "%s %.*s: %s\n", kind_names[record->kind], STR_ARG(record->name),
		e.what);
	return e;
}

static Err
read_side(Str packed, struct arena *a, struct side *ret, struct buf *report)
{
	struct cursor c = cursor_of(packed);
	size_t n;

	TRY(count_records(packed, a, &n));
	ret->items = arena_try_array(a, n, sizeof(*ret->items));
	if (ret->items == NULL && n > 0)
		return fail(ERR_LIMIT, "too many records");
	for (; ret->n < n; ret->n++) {
		struct item *item = &ret->items[ret->n];
		AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
		Err e;

		TRY(directory_record_parse(&c, a, &item->record));
		e = put_item_key(&item->record, &key);
		if (!failed(e))
			e = arena_copy(a, buf_view(&key), &item->key);
		if (!failed(e) && str_map_set(ret->by_key, item->key, item) != NULL)
			e = fail(ERR_PEER, "is there twice");
		if (failed(e))
			return blame(&item->record, e, report);
	}
	return OK;
}

static Err
add(struct directory *d, const struct directory_record *r, Time now, struct buf *report)
{
	Err e = OK;

	buf_printf(report, "+ %s %.*s\n", kind_names[r->kind], STR_ARG(r->name));
	switch (r->kind) {
	case DIRECTORY_RECORD_DOMAIN:
		e = directory_add_domain(d, r->name);
		break;
	case DIRECTORY_RECORD_ACCOUNT:
		e = directory_add_account(d, r, now);
		break;
	case DIRECTORY_RECORD_ALIAS:
		e = directory_add_alias(d, r->name, r->members, r->member_count);
		break;
	}
	return failed(e) ? blame(r, e, report) : OK;
}

static Err
remove_record(struct directory *d, const struct directory_record *r, struct buf *report)
{
	Err e = OK;

	buf_printf(report, "- %s %.*s\n", kind_names[r->kind], STR_ARG(r->name));
	switch (r->kind) {
	case DIRECTORY_RECORD_DOMAIN:
		e = directory_remove_domain(d, r->name);
		break;
	case DIRECTORY_RECORD_ACCOUNT:
		e = directory_remove_account(d, r->name);
		break;
	case DIRECTORY_RECORD_ALIAS:
		e = directory_remove_alias(d, r->name);
		break;
	}
	return failed(e) ? blame(r, e, report) : OK;
}

/* Seconds are all that a text can say. */
static bool
same_second(Time a, Time b)
{
	return time_seconds(a) == time_seconds(b);
}

static Err
change_account(struct directory *d, const struct directory_record *old,
	const struct directory_record *want, struct buf *report)
{
	Err e = OK;

	if (want->folder.n > 0 && !str_eq(want->folder, old->folder))
		return blame(want, fail(ERR_PEER, "an account's folder cannot change"), report);
	if (!str_eq(old->password, want->password)) {
		buf_printf(report, "~ account %.*s: password\n", STR_ARG(want->name));
		e = directory_set_password(d, want->name, want->password);
	}
	if (!failed(e) && old->disabled != want->disabled) {
		buf_printf(report, "~ account %.*s: %s\n", STR_ARG(want->name),
			want->disabled ? "disabled" : "enabled");
		e = directory_set_disabled(d, want->name, want->disabled);
	}
	if (!failed(e) && want->created.us != 0 && !same_second(old->created, want->created)) {
		buf_printf(report, "~ account %.*s: created\n", STR_ARG(want->name));
		e = directory_set_created(d, want->name, want->created);
	}
	return failed(e) ? blame(want, e, report) : OK;
}

static Err
change_alias(struct directory *d, const struct directory_record *old,
	const struct directory_record *want, struct buf *report)
{
	bool same = old->member_count == want->member_count;
	Err e;

	for (uint32_t i = 0; same && i < old->member_count; i++)
		same = str_eq(old->members[i], want->members[i]);
	if (same)
		return OK;
	buf_printf(report, "~ alias %.*s: %u members, were %u\n", STR_ARG(want->name),
		want->member_count, old->member_count);
	e = directory_remove_alias(d, old->name);
	if (!failed(e))
		e = directory_add_alias(d, want->name, want->members, want->member_count);
	return failed(e) ? blame(want, e, report) : OK;
}

static Err
remove_missing(struct directory *d, enum directory_kind kind, const struct side *have,
	const struct side *want, struct buf *report)
{
	for (size_t i = 0; i < have->n; i++)
		if (have->items[i].record.kind == kind &&
			str_map_get(want->by_key, have->items[i].key) == NULL)
			TRY(remove_record(d, &have->items[i].record, report));
	return OK;
}

static Err
add_or_change(struct directory *d, enum directory_kind kind, const struct side *have,
	const struct side *want, Time now, struct buf *report)
{
	for (size_t i = 0; i < want->n; i++) {
		const struct directory_record *r = &want->items[i].record;
		const struct item *old = str_map_get(have->by_key, want->items[i].key);

		if (r->kind != kind)
			continue;
		if (old == NULL)
			TRY(add(d, r, now, report));
		else if (kind == DIRECTORY_RECORD_ACCOUNT)
			TRY(change_account(d, &old->record, r, report));
		else if (kind == DIRECTORY_RECORD_ALIAS)
			TRY(change_alias(d, &old->record, r, report));
	}
	return OK;
}

/* An order in which no step meets what a later one removes. */
static Err
apply_sides(struct directory *d, const struct side *have, const struct side *want, Time now,
	struct buf *report)
{
	TRY(add_or_change(d, DIRECTORY_RECORD_DOMAIN, have, want, now, report));
	TRY(remove_missing(d, DIRECTORY_RECORD_ALIAS, have, want, report));
	TRY(remove_missing(d, DIRECTORY_RECORD_ACCOUNT, have, want, report));
	TRY(add_or_change(d, DIRECTORY_RECORD_ACCOUNT, have, want, now, report));
	TRY(add_or_change(d, DIRECTORY_RECORD_ALIAS, have, want, now, report));
	return remove_missing(d, DIRECTORY_RECORD_DOMAIN, have, want, report);
}

Err
directory_apply(struct directory *d, Str records, Time now, struct buf *ret)
{
	AUTO(arena) a = arena_new(APPLY_ARENA_MAX);
	AUTO(str_map) have_keys = str_map_new();
	AUTO(str_map) want_keys = str_map_new();
	AUTO_BUF present = BUF_INIT(DIRECTORY_RECORD_PACKED_MAX);
	struct side have = { .by_key = have_keys }, want = { .by_key = want_keys };

	TRY(directory_list_all(d, true, &present));
	TRY(read_side(buf_view(&present), a, &have, ret));
	TRY(read_side(records, a, &want, ret));
	return apply_sides(d, &have, &want, now, ret);
}
