/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The directory: which domains, accounts and aliases there are. One process owns it (the service,
 * or the command line while no server runs); one thread uses it. Behind it is SQLite and, for the
 * question asked at every RCPT, a cache of answers.
 *
 * Addresses are compared by format/address/address.h's key: the local part without its quotes and
 * in ASCII lower case, the domain as A-labels. Every call may fail with ERR_TEMP (the disk) or
 * ERR_PERM (the database is damaged) besides what it names.
 */

#include "format/directory/record.h"

struct directory;

/* In the data folder's folder "directory". */
#define DIRECTORY_FILE "directory.db"

enum {
	DIRECTORY_EXPAND_MAX = 500, /* members of one answer */
	DIRECTORY_NESTING_MAX = 10, /* aliases in aliases, for directory_may_send */
};

/*
 * Opens or makes the database; a path of ":memory:" lives in memory, for tests.
 * ERR_TEMP with sys EBUSY   another process has it: the server runs
 * ERR_PERM                  made by a newer Posthorn
 */
MUST_USE Err directory_open(const char *path, struct directory **ret);
void directory_close(struct directory *d); /* NULL is fine */
static inline void
directory_drop(struct directory **d)
{
	directory_close(*d);
	*d = NULL;
}

/*
 * delimiter    between user and tag; "" for none
 * postmaster   where mail for postmaster goes; "" is the first account
 * Both must outlive the directory.
 */
void directory_set(struct directory *d, Str delimiter, Str postmaster);

/* ---- Questions ---- */

enum directory_answer {
	DIRECTORY_NO_DOMAIN, /* the domain is not ours */
	DIRECTORY_NO_USER,   /* the domain is ours, the user is not */
	DIRECTORY_IS_DISABLED,
	DIRECTORY_IS_ACCOUNT,
	DIRECTORY_IS_ALIAS,
};

struct directory_match {
	enum directory_answer answer;
	uint64_t id; /* of the account or alias */
};

/*
 * Whose is this address? Looked for in this order: account, alias, the same without its tag,
 * postmaster, the domain's catch-all. `postmaster` alone is allowed (RFC 5321, 4.5.1).
 *
 * ERR_PEER   not an address
 */
MUST_USE Err directory_find(struct directory *d, Str address, struct directory_match *ret);

struct directory_account {
	uint64_t id; /* never used again */
	Str address;
	Str folder;   /* DOMAIN/USER */
	Str password; /* its hash, or "" */
	bool disabled;
};

/* In the arena. ERR_GONE when there is none. */
MUST_USE Err directory_account(struct directory *d, uint64_t id, struct arena *a,
	struct directory_account *ret);

/*
 * The account that logs in under this name: its address, or the part before the @ when one local
 * domain alone has it. ERR_GONE when there is none.
 */
MUST_USE Err directory_user(struct directory *d, Str name, struct arena *a,
	struct directory_account *ret);

struct directory_expansion {
	Str *members; /* addresses, in the arena */
	bool *local;  /* for each: its domain is ours */
	uint32_t n;
	uint64_t cursor; /* for the next call */
	bool done;
};

/*
 * The members of an alias behind a cursor (0 at first). When the alias has changed since the cursor
 * was given it begins anew; the caller leaves out whom it has already.
 * ERR_GONE   no such alias
 */
MUST_USE Err directory_expand(struct directory *d, uint64_t alias, uint64_t cursor,
	uint32_t most, struct arena *a, struct directory_expansion *ret);

/* May the account send as this address: its own (also with a tag), or an alias it is a member of? */
MUST_USE Err directory_may_send(struct directory *d, uint64_t account, Str address, bool *ret);

/* ---- Changes: durable when they return ---- */

/*
 * An administrator's words: `domain add NAME` and so on, as directory_command_usage lists them,
 * a password as its hash. What there is to say is appended to ret: text, or packed records for
 * `list` and `dump`. *ret_exit is of sysexits.h, with the reason in ret.
 *
 * input   packed records for `apply`
 */
MUST_USE Err directory_command(struct directory *d, const Str *words, size_t count, Str input,
	Time now, struct buf *ret, int *ret_exit);
extern const char directory_command_usage[];

/* Counts the changes made since opening: whoever keeps answers drops them when it differs. */
uint64_t directory_changes(const struct directory *d);
