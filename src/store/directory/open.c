/* SPDX-License-Identifier: ISC */
/* The tables, their statements, and what an older Posthorn's database needs to become ours. */
#include "base/memory.h"
#include "store/directory/internal.h"

#include <stdlib.h>

/*
 * migrations[n] takes a database from version n to n + 1; user_version holds the version.
 *
 * key is format/address's key of the name. A removed account's folder stays in kept_folders, so
 * that a later account of the same name does not find the mail of somebody else. An alias's
 * version is a new random number at every change: part of the cursors of directory_expand.
 */
static const char *const migrations[] = {
	"CREATE TABLE domains(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL,"
	" key TEXT NOT NULL UNIQUE) STRICT;"

	"CREATE TABLE accounts(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" domain INTEGER NOT NULL REFERENCES domains, name TEXT NOT NULL,"
	" key TEXT NOT NULL UNIQUE, folder TEXT NOT NULL UNIQUE, password TEXT NOT NULL,"
	" disabled INTEGER NOT NULL, created INTEGER NOT NULL) STRICT;"
	"CREATE INDEX accounts_domain ON accounts(domain);"

	"CREATE TABLE kept_folders(folder TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;"

	"CREATE TABLE aliases(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" domain INTEGER NOT NULL REFERENCES domains, name TEXT NOT NULL,"
	" key TEXT NOT NULL UNIQUE, version INTEGER NOT NULL) STRICT;"
	"CREATE INDEX aliases_domain ON aliases(domain);"

	"CREATE TABLE members(alias INTEGER NOT NULL REFERENCES aliases ON DELETE CASCADE,"
	" position INTEGER NOT NULL, address TEXT NOT NULL, key TEXT NOT NULL,"
	" PRIMARY KEY(alias, position)) STRICT, WITHOUT ROWID;"
	"CREATE UNIQUE INDEX members_key ON members(key, alias);",
};

#define ACCOUNT_COLUMNS "id, name, folder, password, disabled"

static const char *const texts[DIRECTORY_STATEMENTS] = {
	[FIND_DOMAIN] = "SELECT id FROM domains WHERE key = ?1",
	[FIND_ACCOUNT] = "SELECT id, disabled FROM accounts WHERE key = ?1",
	[FIND_ALIAS] = "SELECT id FROM aliases WHERE key = ?1",
	[FIRST_ACCOUNT] = "SELECT name FROM accounts WHERE NOT disabled ORDER BY id LIMIT 1",
	[ONLY_USER] = "SELECT a.id FROM accounts a JOIN domains d ON a.key = ?1 || '@' || d.key"
		      " LIMIT 2",
	[GET_ACCOUNT] = "SELECT " ACCOUNT_COLUMNS " FROM accounts WHERE id = ?1",
	[GET_VERSION] = "SELECT version FROM aliases WHERE id = ?1",
	[GET_MEMBERS] = "SELECT position, address, key FROM members"
			" WHERE alias = ?1 AND position > ?2 ORDER BY position LIMIT ?3",
	[FIND_MEMBER] = "SELECT position FROM members WHERE key = ?1 AND alias = ?2",
	[ALIASES_OF] = "WITH RECURSIVE of(id, depth) AS ("
		       " SELECT alias, 1 FROM members WHERE key = ?1 UNION"
		       " SELECT m.alias, depth + 1 FROM of JOIN aliases a ON a.id = of.id"
		       " JOIN members m ON m.key = a.key WHERE depth < ?3)"
		       " SELECT 1 FROM of WHERE id = ?2 LIMIT 1",
	[KEY_OF_ACCOUNT] = "SELECT key FROM accounts WHERE id = ?1",
	[ADD_DOMAIN] = "INSERT INTO domains(name, key) VALUES(?1, ?2)",
	[REMOVE_DOMAIN] = "DELETE FROM domains WHERE key = ?1",
	[COUNT_IN_DOMAIN] = "SELECT (SELECT count(*) FROM accounts WHERE domain = ?1)"
			    " + (SELECT count(*) FROM aliases WHERE domain = ?1)",
	[ADD_ACCOUNT] =
		"INSERT INTO accounts(domain, name, key, folder, password, disabled, created)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)",
	[FOLDER_TAKEN] = "SELECT 1 FROM accounts WHERE folder = ?1"
			 " UNION ALL SELECT 1 FROM kept_folders WHERE folder = ?1 LIMIT 1",
	[NEXT_ACCOUNT] = "SELECT coalesce((SELECT seq FROM sqlite_sequence"
			 " WHERE name = 'accounts'), 0) + 1",
	[SET_PASSWORD] = "UPDATE accounts SET password = ?2 WHERE key = ?1",
	[SET_DISABLED] = "UPDATE accounts SET disabled = ?2 WHERE key = ?1",
	[SET_CREATED] = "UPDATE accounts SET created = ?2 WHERE key = ?1",
	[KEEP_FOLDER] = "INSERT OR IGNORE INTO kept_folders"
			" SELECT folder FROM accounts WHERE key = ?1",
	[REMOVE_ACCOUNT] = "DELETE FROM accounts WHERE key = ?1",
	[ADD_ALIAS] = "INSERT INTO aliases(domain, name, key, version)"
		      " VALUES(?1, ?2, ?3, abs(random() % 4294967295))",
	[TOUCH_ALIAS] = "UPDATE aliases SET version = abs(random() % 4294967295) WHERE id = ?1",
	[REMOVE_ALIAS] = "DELETE FROM aliases WHERE id = ?1",
	[ADD_MEMBER] = "INSERT OR IGNORE INTO members(alias, position, address, key) VALUES(?1,"
		       " 1 + coalesce((SELECT max(position) FROM members WHERE alias = ?1), 0),"
		       " ?2, ?3)",
	[REMOVE_MEMBER] = "DELETE FROM members WHERE key = ?1 AND alias = ?2",
	[COUNT_MEMBERS] = "SELECT count(*) FROM members WHERE alias = ?1",
	[CLEAR_MEMBERS] = "DELETE FROM members WHERE alias = ?1",
	[LIST_DOMAINS] = "SELECT name, key FROM domains ORDER BY key",
	[LIST_ACCOUNTS] = "SELECT a.id, a.name, a.key, folder, password, disabled, created"
			  " FROM accounts a JOIN domains d ON d.id = a.domain"
			  " ORDER BY d.key, a.key",
	[LIST_ALIASES] = "SELECT a.id, a.name FROM aliases a JOIN domains d ON d.id = a.domain"
			 " ORDER BY d.key, a.key",
};

static Err
get_version(sqlite3 *db, uint64_t *ret)
{
	sqlite3_stmt *s;
	bool row;
	Err e;

	TRY(sql_prepare(db, "PRAGMA user_version", &s));
	e = sql_step(s, &row);
	if (!failed(e))
		*ret = sql_u64(s, 0);
	sqlite3_finalize(s);
	return e;
}

static Err
migrate(sqlite3 *db)
{
	uint64_t version;

	TRY(get_version(db, &version));
	if (version > COUNT(migrations))
		return fail(ERR_PERM, "the directory was made by a newer Posthorn");
	for (; version < COUNT(migrations); version++) {
		char done[] = "PRAGMA user_version = 0; COMMIT";

		_Static_assert(COUNT(migrations) < 10, "one digit");
		done[sizeof("PRAGMA user_version = ") - 1] = (char)('1' + version);
		TRY(sql_run(db, "BEGIN IMMEDIATE"));
		TRY(sql_run(db, migrations[version]));
		TRY(sql_run(db, done));
	}
	return OK;
}

Err
directory_open(const char *path, struct directory **ret)
{
	struct directory *d = memory_get(sizeof(*d));
	Err e = sql_open(path, &d->db);

	d->cache = str_map_new();
	d->delimiter = S("+");
	d->postmaster = S("");
	if (!failed(e))
		e = migrate(d->db);
	for (size_t i = 0; i < DIRECTORY_STATEMENTS && !failed(e); i++)
		e = sql_prepare(d->db, texts[i], &d->statements[i]);
	if (failed(e)) {
		directory_close(d);
		return e;
	}
	*ret = d;
	return OK;
}

void
directory_close(struct directory *d)
{
	if (d == NULL)
		return;
	directory_forget(d);
	str_map_free(d->cache);
	for (size_t i = 0; i < DIRECTORY_STATEMENTS; i++)
		sqlite3_finalize(d->statements[i]);
	sql_close(d->db);
	free(d);
}

void
directory_set(struct directory *d, Str delimiter, Str postmaster)
{
	d->delimiter = delimiter;
	d->postmaster = postmaster;
	directory_forget(d);
}

uint64_t
directory_changes(const struct directory *d)
{
	return d->changes;
}
