/* SPDX-License-Identifier: ISC */
/* Changes, each inside a transaction of the caller's. */
#include "format/address/domain.h"
#include "os/password.h"
#include "store/directory/internal.h"

/* How many rows the statement just run has changed. */
static bool
changed(struct directory *d)
{
	return sqlite3_changes(d->db) > 0;
}

/* Is there already: told apart, so that whoever only wants it to be there may go on. */
static Err
there_already(const char *what)
{
	return (Err){ ERR_PEER, EEXIST, what };
}

Err
directory_add_domain(struct directory *d, Str name)
{
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	sqlite3_stmt *s = d->statements[ADD_DOMAIN];
	uint64_t row;

	TRY(directory_put_domain_key(name, &key));
	TRY(directory_row(d, FIND_DOMAIN, buf_view(&key), &row));
	if (row != 0)
		return there_already("that domain is there already");
	sql_bind_str(s, 1, name);
	sql_bind_str(s, 2, buf_view(&key));
	return sql_done(s);
}

Err
directory_remove_domain(struct directory *d, Str name)
{
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	sqlite3_stmt *s = d->statements[COUNT_IN_DOMAIN];
	uint64_t row, used;
	bool has;

	TRY(directory_put_domain_key(name, &key));
	TRY(directory_domain_row(d, buf_view(&key), &row));
	sql_bind_u64(s, 1, row);
	TRY(sql_step(s, &has));
	used = has ? sql_u64(s, 0) : 0;
	sql_reset(s);
	if (used > 0)
		return fail(ERR_PEER, "that domain still has accounts or aliases");
	s = d->statements[REMOVE_DOMAIN];
	sql_bind_str(s, 1, buf_view(&key));
	return sql_done(s);
}

/*
 * Names of accounts are names of folders too, and people type them: letters, digits, a few signs,
 * anything beyond ASCII. Other addresses can be aliases.
 */
static bool
is_account_name(Str local)
{
	if (local.n == 0 || local.n > ADDRESS_LOCAL_MAX || str_starts(local, S(".")))
		return false;
	for (size_t i = 0; i < local.n; i++) {
		unsigned char c = str_at(local, i);

		if (!char_is_alnum(c) && c < 0x80 && strchr("._-+=&'", c) == NULL)
			return false;
	}
	return true;
}

void
directory_put_folder(Str key, struct buf *b)
{
	buf_put(b, directory_key_domain(key));
	buf_put_char(b, '/');
	buf_put(b, directory_key_local(key));
}

/* DOMAIN/USER of plain names: nothing that leads elsewhere. */
static bool
is_folder(Str folder)
{
	Str domain, user;

	if (!str_split(folder, '/', &domain, &user) || folder.n > DIRECTORY_KEY_MAX)
		return false;
	return domain.n > 0 && user.n > 0 && !str_starts(domain, S(".")) &&
	       !str_starts(user, S(".")) && !str_has(user, '/') && !str_has(folder, '\0');
}

static Err
folder_taken(struct directory *d, Str folder, bool *ret)
{
	sqlite3_stmt *s = d->statements[FOLDER_TAKEN];

	sql_bind_str(s, 1, folder);
	TRY(sql_step(s, ret));
	if (*ret)
		sql_reset(s);
	return OK;
}

/* The usual folder, or one with the account's number when somebody had that before. */
static Err
choose_folder(struct directory *d, Str key, struct buf *ret)
{
	sqlite3_stmt *s = d->statements[NEXT_ACCOUNT];
	bool taken, row;

	directory_put_folder(key, ret);
	TRY(buf_check(ret));
	TRY(folder_taken(d, buf_view(ret), &taken));
	if (!taken)
		return OK;
	TRY(sql_step(s, &row));
	buf_printf(ret, "~%llu", row ? (unsigned long long)sql_u64(s, 0) : 0);
	sql_reset(s);
	return buf_check(ret);
}

/* ERR_PEER when an account or alias has this key. */
static Err
key_is_free(struct directory *d, Str key)
{
	uint64_t row;

	TRY(directory_row(d, FIND_ACCOUNT, key, &row));
	if (row != 0)
		return there_already("there is an account of that address already");
	TRY(directory_row(d, FIND_ALIAS, key, &row));
	if (row != 0)
		return there_already("there is an alias of that address already");
	return OK;
}

/* A hash that `hash` will be able to check, or nothing: then nobody gets in. */
static bool
is_hash(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (str_at(s, i) <= ' ' || str_at(s, i) >= 0x7f)
			return false;
	return s.n == 0 || password_hash_known(s);
}

Err
directory_add_account(struct directory *d, const struct directory_record *record, Time now)
{
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	AUTO_BUF folder = BUF_INIT(DIRECTORY_KEY_MAX + 32);
	sqlite3_stmt *s = d->statements[ADD_ACCOUNT];
	uint64_t domain;

	TRY(directory_put_key(record->name, &key));
	if (!is_account_name(directory_key_local(buf_view(&key))))
		return fail(ERR_PEER, "an account's name has letters, digits and ._-+=&' "
				      "(other addresses can be aliases)");
	if (!is_hash(record->password))
		return fail(ERR_PEER, "not a password's hash");
	TRY(directory_domain_row(d, directory_key_domain(buf_view(&key)), &domain));
	TRY(key_is_free(d, buf_view(&key)));
	if (record->folder.n == 0)
		TRY(choose_folder(d, buf_view(&key), &folder));
	else if (!is_folder(record->folder))
		return fail(ERR_PEER, "a folder is DOMAIN/USER");
	buf_put(&folder, record->folder);
	sql_bind_u64(s, 1, domain);
	sql_bind_str(s, 2, record->name);
	sql_bind_str(s, 3, buf_view(&key));
	sql_bind_str(s, 4, buf_view(&folder));
	sql_bind_str(s, 5, record->password);
	sql_bind_u64(s, 6, record->disabled);
	sql_bind_u64(s, 7, (uint64_t)(record->created.us != 0 ? record->created.us : now.us));
	return sql_done(s);
}

Err
directory_remove_account(struct directory *d, Str address)
{
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	sqlite3_stmt *s = d->statements[KEEP_FOLDER];

	TRY(directory_put_key(address, &key));
	sql_bind_str(s, 1, buf_view(&key));
	TRY(sql_done(s));
	s = d->statements[REMOVE_ACCOUNT];
	sql_bind_str(s, 1, buf_view(&key));
	TRY(sql_done(s));
	return changed(d) ? OK : fail(ERR_GONE, "no such account");
}

Err
directory_set_password(struct directory *d, Str address, Str hash)
{
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	sqlite3_stmt *s = d->statements[SET_PASSWORD];

	TRY(directory_put_key(address, &key));
	if (!is_hash(hash))
		return fail(ERR_PEER, "not a password's hash");
	sql_bind_str(s, 1, buf_view(&key));
	sql_bind_str(s, 2, hash);
	TRY(sql_done(s));
	return changed(d) ? OK : fail(ERR_GONE, "no such account");
}

/* One number of an account. */
static Err
set_number(struct directory *d, enum directory_statement which, Str address, uint64_t value)
{
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	sqlite3_stmt *s = d->statements[which];

	TRY(directory_put_key(address, &key));
	sql_bind_str(s, 1, buf_view(&key));
	sql_bind_u64(s, 2, value);
	TRY(sql_done(s));
	return changed(d) ? OK : fail(ERR_GONE, "no such account");
}

Err
directory_set_disabled(struct directory *d, Str address, bool disabled)
{
	return set_number(d, SET_DISABLED, address, disabled);
}

Err
directory_set_created(struct directory *d, Str address, Time created)
{
	return set_number(d, SET_CREATED, address, (uint64_t)created.us);
}

/* A member as it is kept: a name alone is one of the alias's own domain. */
static Err
complete_member(Str member, Str domain, struct buf *ret, struct buf *ret_key)
{
	if (str_starts(member, S("@")))
		return fail(ERR_PEER, "a member is an address");
	buf_put(ret, member);
	if (!str_has(member, '@')) {
		buf_put_char(ret, '@');
		buf_put(ret, domain);
	}
	TRY(buf_check(ret));
	if (failed(directory_put_key(buf_view(ret), ret_key)))
		return fail(ERR_PEER, "a member is not an address");
	return OK;
}

static Err
add_members(struct directory *d, uint64_t alias, Str alias_key, const Str *members,
	size_t count)
{
	sqlite3_stmt *s = d->statements[ADD_MEMBER];

	for (size_t i = 0; i < count; i++) {
		AUTO_BUF address = BUF_INIT(DIRECTORY_KEY_MAX);
		AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);

		TRY(complete_member(members[i], directory_key_domain(alias_key), &address,
			&key));
		if (str_eq(buf_view(&key), alias_key))
			return fail(ERR_PEER, "an alias cannot be a member of itself");
		sql_bind_u64(s, 1, alias);
		sql_bind_str(s, 2, buf_view(&address));
		sql_bind_str(s, 3, buf_view(&key));
		TRY(sql_done(s));
	}
	return OK;
}

static Err
count_members(struct directory *d, uint64_t alias, uint64_t *ret)
{
	sqlite3_stmt *s = d->statements[COUNT_MEMBERS];
	bool row;

	sql_bind_u64(s, 1, alias);
	TRY(sql_step(s, &row));
	*ret = row ? sql_u64(s, 0) : 0;
	sql_reset(s);
	return OK;
}

/* Cursors into the alias begin anew. */
static Err
touch_alias(struct directory *d, uint64_t alias)
{
	sql_bind_u64(d->statements[TOUCH_ALIAS], 1, alias);
	return sql_done(d->statements[TOUCH_ALIAS]);
}

Err
directory_add_alias(struct directory *d, Str name, const Str *members, size_t count)
{
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	sqlite3_stmt *s = d->statements[ADD_ALIAS];
	uint64_t domain, alias, total;

	TRY(directory_put_key(name, &key));
	TRY(directory_domain_row(d, directory_key_domain(buf_view(&key)), &domain));
	TRY(directory_row(d, FIND_ALIAS, buf_view(&key), &alias));
	if (alias == 0) {
		TRY(key_is_free(d, buf_view(&key)));
		sql_bind_u64(s, 1, domain);
		sql_bind_str(s, 2, name);
		sql_bind_str(s, 3, buf_view(&key));
		TRY(sql_done(s));
		alias = (uint64_t)sqlite3_last_insert_rowid(d->db);
	}
	TRY(add_members(d, alias, buf_view(&key), members, count));
	TRY(count_members(d, alias, &total));
	if (total > DIRECTORY_RECORD_MEMBERS_MAX)
		return fail(ERR_LIMIT, "an alias cannot have that many members");
	return touch_alias(d, alias);
}

static Err
alias_row(struct directory *d, Str name, struct buf *key, uint64_t *ret)
{
	TRY(directory_put_key(name, key));
	TRY(directory_row(d, FIND_ALIAS, buf_view(key), ret));
	return *ret == 0 ? fail(ERR_GONE, "no such alias") : OK;
}

Err
directory_remove_members(struct directory *d, Str name, const Str *members, size_t count)
{
	AUTO_BUF alias_key = BUF_INIT(DIRECTORY_KEY_MAX);
	sqlite3_stmt *s = d->statements[REMOVE_MEMBER];
	uint64_t alias, left;

	TRY(alias_row(d, name, &alias_key, &alias));
	for (size_t i = 0; i < count; i++) {
		AUTO_BUF address = BUF_INIT(DIRECTORY_KEY_MAX);
		AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);

		TRY(complete_member(members[i], directory_key_domain(buf_view(&alias_key)),
			&address, &key));
		sql_bind_str(s, 1, buf_view(&key));
		sql_bind_u64(s, 2, alias);
		TRY(sql_done(s));
		if (!changed(d))
			return fail(ERR_GONE, "no such member");
	}
	TRY(count_members(d, alias, &left));
	return left == 0 ? directory_remove_alias(d, name) : touch_alias(d, alias);
}

Err
directory_remove_alias(struct directory *d, Str name)
{
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	uint64_t alias;

	TRY(alias_row(d, name, &key, &alias));
	sql_bind_u64(d->statements[REMOVE_ALIAS], 1, alias);
	return sql_done(d->statements[REMOVE_ALIAS]);
}
