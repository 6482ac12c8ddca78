/* SPDX-License-Identifier: ISC */
/*
 * Questions. Most are asked for addresses that were asked for a moment ago, so directory_find keeps
 * its answers until the next change of anything; a full cache is thrown away whole, which an
 * attacker who guesses names can bring about and which costs each name one look into the database.
 */
#include "base/memory.h"
#include "format/address/domain.h"
#include "store/directory/internal.h"

#include <stdlib.h>

enum {
	CACHE_MAX = 65536, /* entries of about 120 octets */
};

struct cached {
	Str key; /* right behind this */
	struct directory_match match;
};

void
directory_forget(struct directory *d)
{
	size_t at = 0;

	for (struct cached *c; (c = str_map_each(d->cache, &at)) != NULL;) {
		memory_free_str(&c->key);
		free(c);
	}
	str_map_free(d->cache);
	d->cache = str_map_new();
}

static void
remember(struct directory *d, Str key, struct directory_match match)
{
	struct cached *c;

	if (str_map_count(d->cache) >= CACHE_MAX)
		directory_forget(d);
	c = memory_get(sizeof(*c));
	c->key = memory_copy(key);
	c->match = match;
	str_map_set(d->cache, c->key, c);
}

Str
directory_key_domain(Str key)
{
	size_t at = str_find_last(key, '@');

	return at == STR_NONE ? S("") : str_from_at(key, at + 1);
}

Str
directory_key_local(Str key)
{
	size_t at = str_find_last(key, '@');

	return at == STR_NONE ? key : str_part(key, 0, at);
}

Err
directory_put_key(Str name, struct buf *b)
{
	struct address address;

	if (str_starts(name, S("@"))) {
		buf_put_char(b, '@');
		return directory_put_domain_key(str_from_at(name, 1), b);
	}
	if (failed(address_parse(name, ADDRESS_UTF8, &address)) ||
		failed(address_put_key(b, &address)))
		return fail(ERR_PEER, "not an address");
	return OK;
}

Err
directory_put_domain_key(Str name, struct buf *b)
{
	if (str_starts(name, S("[")) || failed(address_check_domain(name, ADDRESS_UTF8)) ||
		failed(address_domain_put_key(b, name)))
		return fail(ERR_PEER, "not a domain name");
	return OK;
}

Err
directory_row(struct directory *d, enum directory_statement which, Str key, uint64_t *ret)
{
	sqlite3_stmt *s = d->statements[which];
	bool row;

	sql_bind_str(s, 1, key);
	TRY(sql_step(s, &row));
	*ret = row ? sql_u64(s, 0) : 0;
	if (row)
		sql_reset(s);
	return OK;
}

Err
directory_domain_row(struct directory *d, Str domain_key, uint64_t *ret)
{
	TRY(directory_row(d, FIND_DOMAIN, domain_key, ret));
	return *ret == 0 ? fail(ERR_GONE, "no such domain here") : OK;
}

static Err
find_account(struct directory *d, Str key, struct directory_match *ret)
{
	sqlite3_stmt *s = d->statements[FIND_ACCOUNT];
	bool row;

	sql_bind_str(s, 1, key);
	TRY(sql_step(s, &row));
	if (!row)
		return OK;
	ret->id = sql_u64(s, 0);
	ret->answer = sql_u64(s, 1) != 0 ? DIRECTORY_IS_DISABLED : DIRECTORY_IS_ACCOUNT;
	sql_reset(s);
	return OK;
}

/* Exactly this key: an account, an alias, or neither (*ret stays). */
static Err
find_exact(struct directory *d, Str key, struct directory_match *ret)
{
	uint64_t alias;

	TRY(find_account(d, key, ret));
	if (ret->answer != DIRECTORY_NO_USER)
		return OK;
	TRY(directory_row(d, FIND_ALIAS, key, &alias));
	if (alias != 0)
		*ret = (struct directory_match){ DIRECTORY_IS_ALIAS, alias };
	return OK;
}

static Err
find_without_tag(struct directory *d, Str key, struct directory_match *ret)
{
	AUTO_BUF short_key = BUF_INIT(DIRECTORY_KEY_MAX);
	Str user, tag;

	if (d->delimiter.n == 0)
		return OK;
	address_split_tag(directory_key_local(key), (char)str_at(d->delimiter, 0), &user, &tag);
	if (user.n == directory_key_local(key).n)
		return OK;
	buf_put(&short_key, user);
	buf_put_char(&short_key, '@');
	buf_put(&short_key, directory_key_domain(key));
	return find_exact(d, buf_view(&short_key), ret);
}

/* Where mail for postmaster goes: the address set, or else the first account. */
static Err
postmaster_address(struct directory *d, struct buf *ret)
{
	sqlite3_stmt *s = d->statements[FIRST_ACCOUNT];
	bool row;

	if (d->postmaster.n > 0) {
		AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
		struct directory_match match = { DIRECTORY_NO_USER, 0 };

		TRY(directory_put_key(d->postmaster, &key));
		TRY(find_exact(d, buf_view(&key), &match));
		/* postmaster@DOMAIN of ours that nobody has would lead back here. */
		if (match.answer != DIRECTORY_NO_USER ||
			!str_eq(directory_key_local(buf_view(&key)), S("postmaster"))) {
			buf_put(ret, d->postmaster);
			return buf_check(ret);
		}
	}
	TRY(sql_step(s, &row));
	if (!row)
		return fail(ERR_TEMP, "there is no account that postmaster's mail could go to");
	buf_put(ret, sql_str(s, 0));
	sql_reset(s);
	return buf_check(ret);
}

static Err
find_key(struct directory *d, Str key, struct directory_match *ret)
{
	struct directory_match match = { DIRECTORY_NO_DOMAIN, 0 };
	Str local = directory_key_local(key), domain = directory_key_domain(key);
	AUTO_BUF scratch = BUF_INIT(DIRECTORY_KEY_MAX);
	uint64_t row;

	TRY(directory_row(d, FIND_DOMAIN, domain, &row));
	if (domain.n > 0 && row == 0) {
		*ret = match;
		return OK;
	}
	match.answer = DIRECTORY_NO_USER;
	if (domain.n > 0)
		TRY(find_exact(d, key, &match));
	if (match.answer == DIRECTORY_NO_USER && domain.n > 0)
		TRY(find_without_tag(d, key, &match));
	if (match.answer == DIRECTORY_NO_USER && str_eq(local, S("postmaster"))) {
		TRY(postmaster_address(d, &scratch));
		match = (struct directory_match){ DIRECTORY_IS_ALIAS, DIRECTORY_POSTMASTER };
	}
	if (match.answer == DIRECTORY_NO_USER && domain.n > 0)
		TRY(find_exact(d, str_from_at(key, local.n), &match));
	*ret = match;
	return OK;
}

Err
directory_find(struct directory *d, Str address, struct directory_match *ret)
{
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	struct cached *known;

	if (str_eq_icase(address, S("postmaster")))
		buf_put(&key, S("postmaster"));
	else if (str_starts(address, S("@")))
		return fail(ERR_PEER, "not an address");
	else
		TRY(directory_put_key(address, &key));
	TRY(buf_check(&key));
	known = str_map_get(d->cache, buf_view(&key));
	if (known != NULL) {
		*ret = known->match;
		return OK;
	}
	TRY(find_key(d, buf_view(&key), ret));
	remember(d, buf_view(&key), *ret);
	return OK;
}

static Err
copy_account(sqlite3_stmt *s, struct arena *a, struct directory_account *ret)
{
	ret->id = sql_u64(s, 0);
	ret->disabled = sql_u64(s, 4) != 0;
	TRY(arena_copy(a, sql_str(s, 1), &ret->address));
	TRY(arena_copy(a, sql_str(s, 2), &ret->folder));
	return arena_copy(a, sql_str(s, 3), &ret->password);
}

Err
directory_account(struct directory *d, uint64_t id, struct arena *a,
	struct directory_account *ret)
{
	sqlite3_stmt *s = d->statements[GET_ACCOUNT];
	struct directory_account account;
	bool row;
	Err e;

	sql_bind_u64(s, 1, id);
	TRY(sql_step(s, &row));
	if (!row)
		return fail(ERR_GONE, "no such account");
	e = copy_account(s, a, &account);
	sql_reset(s);
	if (!failed(e))
		*ret = account;
	return e;
}

/* A name without @: whose it is when no second domain has it too. */
static Err
find_only_user(struct directory *d, Str name, uint64_t *ret)
{
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	sqlite3_stmt *s = d->statements[ONLY_USER];
	bool row;

	buf_put(&key, name);
	buf_lower_from(&key, 0);
	TRY(buf_check(&key));
	sql_bind_str(s, 1, buf_view(&key));
	TRY(sql_step(s, &row));
	if (!row)
		return fail(ERR_GONE, "no such user");
	*ret = sql_u64(s, 0);
	TRY(sql_step(s, &row));
	if (!row)
		return OK;
	sql_reset(s);
	return fail(ERR_GONE, "more than one domain has this user");
}

Err
directory_user(struct directory *d, Str name, struct arena *a, struct directory_account *ret)
{
	struct directory_match match;
	uint64_t id;

	if (!str_has(name, '@')) {
		TRY(find_only_user(d, name, &id));
		return directory_account(d, id, a, ret);
	}
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	if (failed(directory_put_key(name, &key)))
		return fail(ERR_GONE, "no such user");
	match.answer = DIRECTORY_NO_USER;
	TRY(find_account(d, buf_view(&key), &match));
	if (match.answer == DIRECTORY_NO_USER)
		return fail(ERR_GONE, "no such user");
	return directory_account(d, match.id, a, ret);
}

static Err
expand_postmaster(struct directory *d, struct arena *a, struct directory_expansion *ret)
{
	AUTO_BUF address = BUF_INIT(DIRECTORY_KEY_MAX);
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	uint64_t domain;

	TRY(postmaster_address(d, &address));
	TRY(directory_put_key(buf_view(&address), &key));
	TRY(directory_row(d, FIND_DOMAIN, directory_key_domain(buf_view(&key)), &domain));
	*ret = (struct directory_expansion){ .n = 1, .done = true };
	ret->members = arena_try_array(a, 1, sizeof(*ret->members));
	ret->local = arena_try_array(a, 1, sizeof(*ret->local));
	if (ret->members == NULL || ret->local == NULL)
		return fail(ERR_LIMIT, "no room for members");
	ret->local[0] = domain != 0;
	return arena_copy(a, buf_view(&address), &ret->members[0]);
}

static Err
collect_members(struct directory *d, struct arena *a, uint32_t most,
	struct directory_expansion *x, uint32_t *ret_position)
{
	sqlite3_stmt *s = d->statements[GET_MEMBERS];
	bool row;

	for (;;) {
		uint64_t domain;
		Err e = sql_step(s, &row);

		if (failed(e) || !row)
			return e;
		if (x->n == most)
			break;
		*ret_position = (uint32_t)sql_u64(s, 0);
		e = arena_copy(a, sql_str(s, 1), &x->members[x->n]);
		if (!failed(e))
			e = directory_row(d, FIND_DOMAIN, directory_key_domain(sql_str(s, 2)),
				&domain);
		if (failed(e)) {
			sql_reset(s);
			return e;
		}
		x->local[x->n++] = domain != 0;
	}
	x->done = false;
	sql_reset(s);
	return OK;
}

Err
directory_expand(struct directory *d, uint64_t alias, uint64_t cursor, uint32_t most,
	struct arena *a, struct directory_expansion *ret)
{
	sqlite3_stmt *s = d->statements[GET_VERSION];
	struct directory_expansion x = { .done = true };
	uint32_t position = (uint32_t)cursor;
	uint64_t version;
	bool row;

	if (alias == DIRECTORY_POSTMASTER)
		return expand_postmaster(d, a, ret);
	sql_bind_u64(s, 1, alias);
	TRY(sql_step(s, &row));
	if (!row)
		return fail(ERR_GONE, "no such alias");
	version = sql_u64(s, 0);
	sql_reset(s);
	if (cursor >> 32 != version)
		position = 0;
	if (most > DIRECTORY_EXPAND_MAX)
		most = DIRECTORY_EXPAND_MAX;
	x.members = arena_try_array(a, most, sizeof(*x.members));
	x.local = arena_try_array(a, most, sizeof(*x.local));
	if (x.members == NULL || x.local == NULL)
		return fail(ERR_LIMIT, "no room for members");
	s = d->statements[GET_MEMBERS];
	sql_bind_u64(s, 1, alias);
	sql_bind_u64(s, 2, position);
	sql_bind_u64(s, 3, most + 1);
	TRY(collect_members(d, a, most, &x, &position));
	x.cursor = version << 32 | position;
	*ret = x;
	return OK;
}

/* Is the account a member of the alias, or of one that is a member of it? */
static Err
is_member(struct directory *d, uint64_t account, uint64_t alias, bool *ret)
{
	sqlite3_stmt *s = d->statements[KEY_OF_ACCOUNT];
	AUTO_BUF key = BUF_INIT(DIRECTORY_KEY_MAX);
	bool row;

	*ret = false;
	sql_bind_u64(s, 1, account);
	TRY(sql_step(s, &row));
	if (!row)
		return OK;
	buf_put(&key, sql_str(s, 0));
	sql_reset(s);
	s = d->statements[ALIASES_OF];
	sql_bind_str(s, 1, buf_view(&key));
	sql_bind_u64(s, 2, alias);
	sql_bind_u64(s, 3, DIRECTORY_NESTING_MAX);
	TRY(sql_step(s, ret));
	if (*ret)
		sql_reset(s);
	return OK;
}

Err
directory_may_send(struct directory *d, uint64_t account, Str address, bool *ret)
{
	AUTO_BUF postmaster = BUF_INIT(DIRECTORY_KEY_MAX);
	struct directory_match match;
	Err e = directory_find(d, address, &match);

	if (e.kind == ERR_PEER) {
		*ret = false;
		return OK;
	}
	TRY(e);
	if (match.answer == DIRECTORY_IS_ALIAS && match.id == DIRECTORY_POSTMASTER) {
		TRY(postmaster_address(d, &postmaster));
		TRY(directory_find(d, buf_view(&postmaster), &match));
	}
	if (match.answer == DIRECTORY_IS_ALIAS && match.id != DIRECTORY_POSTMASTER)
		return is_member(d, account, match.id, ret);
	*ret = match.answer == DIRECTORY_IS_ACCOUNT && match.id == account;
	return OK;
}
