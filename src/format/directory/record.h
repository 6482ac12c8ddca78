/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What the directory holds, one record per domain, account and alias: as octets between processes
 * (`record`) and as text for people (`text`: `posthorn dump` and `apply`).
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/time.h"
#include "format/config/config.h"

enum {
	DIRECTORY_RECORD_MEMBERS_MAX = 100000,          /* of one alias */
	DIRECTORY_RECORD_COUNT_MAX = 1000000,           /* of one dump */
	DIRECTORY_RECORD_PACKED_MAX = 64 * 1024 * 1024, /* octets of one dump */
	DIRECTORY_RECORD_NAME_MAX = 254,                /* octets of an address or domain */
	DIRECTORY_RECORD_PASSWORD_MAX = 512,            /* octets of a password's hash */
};

enum directory_kind {
	DIRECTORY_RECORD_DOMAIN = 1,
	DIRECTORY_RECORD_ACCOUNT,
	DIRECTORY_RECORD_ALIAS, /* its name is @DOMAIN for all that is not known otherwise */
};

struct directory_record {
	enum directory_kind kind;
	Str name;      /* domain or address */
	uint64_t id;   /* account number; 0 in a text */
	Str password;  /* account: hash as crypt(3) or libargon2 write it; "" lets nobody in */
	Str folder;    /* account: DOMAIN/USER below mail/; "" is the usual one */
	bool disabled; /* account: no login, no mail */
	Time created;  /* account */
	Str *members;  /* alias: addresses */
	uint32_t member_count;
};

void directory_record_write(const struct directory_record *record, struct buf *b);

/*
 * Reads the next one. Strs point into the cursor's octets, members into the arena.
 * ERR_PEER   not a record
 * ERR_LIMIT  too many members, arena full
 */
MUST_USE Err directory_record_parse(struct cursor *c, struct arena *a,
	struct directory_record *ret);

/* Text for one record, one statement of the configuration's grammar. */
void directory_text_write(const struct directory_record *record, struct buf *b);

/* The first line of a dump. */
void directory_text_begin(struct buf *b);

/*
 * Reads a whole dump and appends its records, packed, to ret. Names are not looked into: whoever
 * keeps them does that.
 * ERR_PEER   something was added to errors
 * ERR_LIMIT  too large
 */
MUST_USE Err directory_text_parse(Str text, struct arena *a, struct buf *ret,
	struct config_errors *errors);
