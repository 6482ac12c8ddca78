/* SPDX-License-Identifier: ISC */
#pragma once

/* What the parts of the SQLite directory share. */

#include "base/map.h"
#include "format/address/address.h"
#include "store/directory.h"
#include "store/sql.h"

enum {
	DIRECTORY_KEY_MAX = 512,  /* octets of an address's key */
	DIRECTORY_POSTMASTER = 0, /* alias id that stands for postmaster; rows count from 1 */
};

enum directory_statement {
	FIND_DOMAIN,
	FIND_ACCOUNT,
	FIND_ALIAS,
	FIRST_ACCOUNT,
	ONLY_USER,
	GET_ACCOUNT,
	GET_VERSION,
	GET_MEMBERS,
	FIND_MEMBER,
	ALIASES_OF,
	KEY_OF_ACCOUNT,
	ADD_DOMAIN,
	REMOVE_DOMAIN,
	COUNT_IN_DOMAIN,
	ADD_ACCOUNT,
	FOLDER_TAKEN,
	NEXT_ACCOUNT,
	SET_PASSWORD,
	SET_DISABLED,
	SET_CREATED,
	KEEP_FOLDER,
	REMOVE_ACCOUNT,
	ADD_ALIAS,
	TOUCH_ALIAS,
	REMOVE_ALIAS,
	ADD_MEMBER,
	REMOVE_MEMBER,
	COUNT_MEMBERS,
	CLEAR_MEMBERS,
	LIST_DOMAINS,
	LIST_ACCOUNTS,
	LIST_ALIASES,
	DIRECTORY_STATEMENTS,
};

struct directory {
	sqlite3 *db;
	sqlite3_stmt *statements[DIRECTORY_STATEMENTS];
	struct str_map *cache; /* key -> struct cached, see find.c */
	uint64_t changes;
	Str delimiter, postmaster;
};

/* A domain's row. ERR_GONE when it is not ours. */
MUST_USE Err directory_domain_row(struct directory *d, Str domain_key, uint64_t *ret);

/* The row that a statement finds for a key, or 0. */
MUST_USE Err directory_row(struct directory *d, enum directory_statement which, Str key,
	uint64_t *ret);

/* Everything the cache knows may be wrong now. */
void directory_forget(struct directory *d);

/* The domain of a key: what is behind its @. */
Str directory_key_domain(Str key);
Str directory_key_local(Str key);

/*
 * Changes, inside a transaction of the caller's. `what` of a failure is a sentence for people.
 * ERR_PEER   not an address, is there already ...
 * ERR_GONE   not there
 */
MUST_USE Err directory_add_domain(struct directory *d, Str name);
MUST_USE Err directory_remove_domain(struct directory *d, Str name);
MUST_USE Err directory_add_account(struct directory *d, const struct directory_record *record,
	Time now);
MUST_USE Err directory_remove_account(struct directory *d, Str address);
MUST_USE Err directory_set_password(struct directory *d, Str address, Str hash);
MUST_USE Err directory_set_disabled(struct directory *d, Str address, bool disabled);
MUST_USE Err directory_set_created(struct directory *d, Str address, Time created);
MUST_USE Err directory_add_alias(struct directory *d, Str name, const Str *members,
	size_t count);
MUST_USE Err directory_remove_members(struct directory *d, Str name, const Str *members,
	size_t count);
MUST_USE Err directory_remove_alias(struct directory *d, Str name);

/* The key of an address, of @DOMAIN, or of a domain alone. ERR_PEER when it is none of them. */
MUST_USE Err directory_put_key(Str name, struct buf *b);
MUST_USE Err directory_put_domain_key(Str name, struct buf *b);

/* DOMAIN/USER, as an account of that key has it when nobody had it before. */
void directory_put_folder(Str key, struct buf *b);

/* Records in a stable order: by domain, then by name. `all_folders` also writes the usual ones. */
MUST_USE Err directory_list_domains(struct directory *d, struct buf *ret);
MUST_USE Err directory_list_accounts(struct directory *d, bool all_folders, struct buf *ret);
MUST_USE Err directory_list_aliases(struct directory *d, struct buf *ret);
MUST_USE Err directory_list_all(struct directory *d, bool all_folders, struct buf *ret);

/*
 * Makes the directory what the packed records say and tells each difference in a line. Inside a
 * transaction of the caller's.
 */
MUST_USE Err directory_apply(struct directory *d, Str records, Time now, struct buf *ret);
