/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * SQLite as the stores use it: errors become Err by whose turn it is, texts are Strs, statements
 * are prepared once and reset after use. One thread per database.
 */

#include "base/str.h"

#include <sqlite3.h>

/* For before the walls: SQLite takes its random seed from /dev/urandom, which they hide. */
void sql_seed(void);

/*
 * Opens or makes a database that this process alone uses: the kernel's lock is the lease, WAL is
 * the journal. ":memory:" is one in memory.
 * ERR_TEMP with sys EBUSY   another process has it open
 * ERR_PERM                  not a database, or damaged
 */
MUST_USE Err sql_open(const char *path, sqlite3 **ret);
void sql_close(sqlite3 *db); /* after its statements; NULL is fine */

/* What the failure of the last call means: full disk, I/O, lock: ERR_TEMP; damage: ERR_PERM. */
MUST_USE Err sql_failure(sqlite3 *db, const char *what);

/* One or more statements without parameters and results. */
MUST_USE Err sql_run(sqlite3 *db, const char *text);
MUST_USE Err sql_prepare(sqlite3 *db, const char *text, sqlite3_stmt **ret);

/* Parameters count from 1. The octets must live until the statement is reset. */
void sql_bind_str(sqlite3_stmt *s, int at, Str value);
void sql_bind_u64(sqlite3_stmt *s, int at, uint64_t value);

/* *ret_row says whether there is one; without one, and on failure, the statement is reset. */
MUST_USE Err sql_step(sqlite3_stmt *s, bool *ret_row);
/* For statements that give no rows: runs and resets. */
MUST_USE Err sql_done(sqlite3_stmt *s);
/* Ends a walk before its last row. */
void sql_reset(sqlite3_stmt *s);

/* Columns count from 0; a Str dies with the next step or reset. */
Str sql_str(sqlite3_stmt *s, int column);
uint64_t sql_u64(sqlite3_stmt *s, int column);
