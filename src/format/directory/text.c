/* SPDX-License-Identifier: ISC */
/*
 * The directory as text:
 *
 *	directory-version 1
 *	domain example.org
 *	account ann@example.org {
 *		password "$argon2id$..."
 *		created 2026-03-01T08:30:00Z
 *		disabled
 *	}
 *	alias info@example.org ann@example.org bob@elsewhere.example
 *	alias @example.org ann@example.org
 */
#include "format/directory/record.h"

static Err
bad(struct config_errors *errors, const struct config_word *at, const char *text)
{
	config_errors_add(errors, at->line, at->column, "%s", text);
	return OK;
}

/* 2026-03-01T08:30:00Z (RFC 3339, 5.6, always UTC). */
static bool
parse_time(Str s, Time *ret)
{
	static const struct {
		size_t at, n;
	} parts[] = { { 0, 4 }, { 5, 2 }, { 8, 2 }, { 11, 2 }, { 14, 2 }, { 17, 2 } };
	struct civil civil = { 0 };
	int *const fields[] = { &civil.year, &civil.month, &civil.day, &civil.hour,
		&civil.minute, &civil.second };

	if (s.n != 20 || str_at(s, 4) != '-' || str_at(s, 7) != '-' || str_at(s, 10) != 'T' ||
		str_at(s, 13) != ':' || str_at(s, 16) != ':' || str_at(s, 19) != 'Z')
		return false;
	for (size_t i = 0; i < COUNT(parts); i++) {
		uint64_t value;

		if (!str_to_u64(str_part(s, parts[i].at, parts[i].n), 9999, &value))
			return false;
		*fields[i] = (int)value;
	}
	if (!time_civil_valid(&civil))
		return false;
	*ret = time_from_civil(&civil);
	return true;
}

static void
write_time(Time t, struct buf *b)
{
	struct civil c = time_to_civil(t);

	buf_printf(b, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour,
		c.minute, c.second);
}

void
directory_text_begin(struct buf *b)
{
	buf_put(b, S("directory-version 1\n"));
}

static void
write_account(const struct directory_record *record, struct buf *b)
{
	buf_put(b, S(" {\n\tpassword "));
	config_write_word(record->password, b);
	buf_put(b, S("\n\tcreated "));
	write_time(record->created, b);
	if (record->folder.n > 0) {
		buf_put(b, S("\n\tfolder "));
		config_write_word(record->folder, b);
	}
	if (record->disabled)
		buf_put(b, S("\n\tdisabled"));
	buf_put(b, S("\n}"));
}

void
directory_text_write(const struct directory_record *record, struct buf *b)
{
	static const char *const words[] = {
		[DIRECTORY_RECORD_DOMAIN] = "domain ",
		[DIRECTORY_RECORD_ACCOUNT] = "account ",
		[DIRECTORY_RECORD_ALIAS] = "alias ",
	};

	buf_put_c(b, words[record->kind]);
	config_write_word(record->name, b);
	if (record->kind == DIRECTORY_RECORD_ACCOUNT)
		write_account(record, b);
	for (uint32_t i = 0; i < record->member_count; i++) {
		buf_put_char(b, ' ');
		config_write_word(record->members[i], b);
	}
	buf_put_char(b, '\n');
}

/* One statement of an account's block. */
static Err
parse_detail(const struct config_entry *entry, struct directory_record *record,
	struct config_errors *errors)
{
	Str word = entry->name.text;
	const struct config_word *value = entry->args;

	if (entry->block)
		return bad(errors, &entry->name, "no block belongs here");
	if (str_eq(word, S("disabled"))) {
		record->disabled = true;
		return value == NULL ? OK : bad(errors, value, "nothing comes behind disabled");
	}
	if (!str_eq(word, S("password")) && !str_eq(word, S("created")) &&
		!str_eq(word, S("folder")))
		return bad(errors, &entry->name,
			"unknown word; an account has password, created, folder, disabled");
	if (value == NULL || value->next != NULL)
		return bad(errors, &entry->name, "wants one value");
	if (str_eq(word, S("password")))
		record->password = value->text;
	else if (str_eq(word, S("folder")))
		record->folder = value->text;
	else if (!parse_time(value->text, &record->created))
		return bad(errors, value, "wants a time such as 2026-03-01T08:30:00Z");
	return OK;
}

static Err
parse_account(const struct config_entry *entry, struct directory_record *record,
	struct config_errors *errors)
{
	record->kind = DIRECTORY_RECORD_ACCOUNT;
	for (const struct config_entry *e = entry->first; e != NULL; e = e->next)
		TRY(parse_detail(e, record, errors));
	if (entry->args->next != NULL)
		return bad(errors, entry->args->next, "an account has one address");
	return OK;
}

static Err
parse_alias(const struct config_entry *entry, struct arena *a, struct directory_record *record,
	struct config_errors *errors)
{
	record->kind = DIRECTORY_RECORD_ALIAS;
	for (const struct config_word *w = entry->args->next; w != NULL; w = w->next)
		record->member_count++;
	if (record->member_count == 0)
		return bad(errors, entry->args,
			"an alias needs at least one member behind its name");
	if (record->member_count > DIRECTORY_RECORD_MEMBERS_MAX)
		return bad(errors, entry->args, "too many members");
	record->members = arena_try_array(a, record->member_count, sizeof(Str));
	if (record->members == NULL)
		return fail(ERR_LIMIT, "directory text is too large");
	record->member_count = 0;
	for (const struct config_word *w = entry->args->next; w != NULL; w = w->next)
		record->members[record->member_count++] = w->text;
	return OK;
}

static Err
parse_entry(const struct config_entry *entry, struct arena *a, struct buf *packed,
	struct config_errors *errors)
{
	struct directory_record record = { .kind = DIRECTORY_RECORD_DOMAIN };
	uint32_t before = errors->n;

	if (entry->args == NULL)
		return bad(errors, &entry->name, "wants a name");
	record.name = entry->args->text;
	if (str_eq(entry->name.text, S("account")))
		TRY(parse_account(entry, &record, errors));
	else if (entry->block)
		return bad(errors, &entry->name, "only an account has a block");
	else if (str_eq(entry->name.text, S("alias")))
		TRY(parse_alias(entry, a, &record, errors));
	else if (!str_eq(entry->name.text, S("domain")))
		return bad(errors, &entry->name,
			"unknown word; there are domain, account, alias");
	else if (entry->args->next != NULL)
		return bad(errors, entry->args->next, "a domain has one name");
	if (errors->n == before)
		directory_record_write(&record, packed);
	return OK;
}

Err
directory_text_parse(Str text, struct arena *a, struct buf *ret, struct config_errors *errors)
{
	struct config_tree tree;
	uint32_t before = errors->n;
	Err e = config_parse_as(S("directory-version"), text, a, &tree, errors);

	if (failed(e) && e.kind != ERR_PEER)
		return e;
	if (tree.first == NULL)
		return bad(errors, &(struct config_word){ .line = 1, .column = 1 },
			       "the first line must be: directory-version 1"),
		       fail(ERR_PEER, "directory text is empty");
	for (const struct config_entry *entry = tree.first->next; entry != NULL;
		entry = entry->next)
		TRY(parse_entry(entry, a, ret, errors));
	return errors->n == before ? buf_check(ret)
				   : fail(ERR_PEER, "directory text has errors");
}
