/* SPDX-License-Identifier: ISC */
#include "store/sql.h"

#include <limits.h>

Err
sql_failure(sqlite3 *db, const char *what)
{
	int sys = db == NULL ? 0 : sqlite3_system_errno(db);

	switch (db == NULL ? SQLITE_NOMEM : sqlite3_errcode(db)) {
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return (Err){ ERR_TEMP, EBUSY, what };
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
	case SQLITE_SCHEMA:
	case SQLITE_MISMATCH:
	case SQLITE_CONSTRAINT:
	case SQLITE_ERROR:
		return (Err){ ERR_PERM, 0, what };
	case SQLITE_FULL:
		return (Err){ ERR_TEMP, ENOSPC, what };
	default:
		return (Err){ ERR_TEMP, sys, what };
	}
}

Err
sql_run(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		return sql_failure(db, "database refuses");
	return OK;
}

void
sql_close(sqlite3 *db)
{
	sqlite3_close(db);
}

void
sql_seed(void)
{
	char octet;

	/* What a statement may have to take back stays in memory, not in a file that walls forbid. */
	sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
	sqlite3_randomness(sizeof(octet), &octet);
}

Err
sql_open(const char *path, sqlite3 **ret)
{
	/* mmap_size 0: a file cut short by somebody else must not become SIGBUS. */
	static const char setup[] = "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
				    "PRAGMA synchronous=FULL; PRAGMA mmap_size=0;"
				    "PRAGMA foreign_keys=ON; PRAGMA trusted_schema=OFF;"
				    "PRAGMA temp_store=MEMORY; BEGIN EXCLUSIVE; COMMIT";
	sqlite3 *db = NULL;
	Err e = OK;

	if (sqlite3_open_v2(path, &db,
		    SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
			    SQLITE_OPEN_NOFOLLOW,
		    NULL) != SQLITE_OK)
		e = sql_failure(db, "cannot open database");
	if (!failed(e))
		e = sql_run(db, setup);
	if (failed(e)) {
		sql_close(db);
		return e;
	}
	*ret = db;
	return OK;
}

Err
sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret)
{
	if (sqlite3_prepare_v3(db, text, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL) != SQLITE_OK)
		return sql_failure(db, "cannot prepare a statement");
	return OK;
}

void
sql_bind_str(sqlite3_stmt *s, int at, Str value)
{
	/* Longer than any text of ours: binds nothing, which no column takes. */
	if (value.n <= INT_MAX)
		sqlite3_bind_text(s, at, value.n == 0 ? "" : value.p, (int)value.n,
			SQLITE_STATIC);
}

void
sql_bind_u64(sqlite3_stmt *s, int at, uint64_t value)
{
	sqlite3_bind_int64(s, at, (sqlite3_int64)value);
}

void
sql_reset(sqlite3_stmt *s)
{
	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
}

Err
sql_step(sqlite3_stmt *s, bool *ret_row)
{
	Err e = OK;
	int rc = sqlite3_step(s);

	if (rc == SQLITE_ROW) {
		*ret_row = true;
		return OK;
	}
	if (rc != SQLITE_DONE)
		e = sql_failure(sqlite3_db_handle(s), "database fails");
	else
		*ret_row = false;
	sql_reset(s);
	return e;
}

Err
sql_done(sqlite3_stmt *s)
{
	bool row;

	TRY(sql_step(s, &row));
	if (row)
		sql_reset(s);
	return OK;
}

Str
sql_str(sqlite3_stmt *s, int column)
{
	const unsigned char *text = sqlite3_column_text(s, column);

	return text == NULL
		       ? S("")
		       : (Str){ (const char *)text, (size_t)sqlite3_column_bytes(s, column) };
}

uint64_t
sql_u64(sqlite3_stmt *s, int column)
{
	return (uint64_t)sqlite3_column_int64(s, column);
}
