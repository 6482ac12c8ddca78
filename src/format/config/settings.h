/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Settings: a table says for each one its path in the configuration, its type, its place in a
 * struct, its default and what it is for. Parser, checker, `config show`, `config explain` and the
 * channel between master and services all work from the same table.
 */

#include "base/arena.h"
#include "base/buf.h"

enum setting_type {
	SETTING_TEXT,    /* Str */
	SETTING_SIZE,    /* uint64_t, octets: 50M */
	SETTING_SECONDS, /* uint32_t: 5m, 1h30m */
	SETTING_NUMBER,  /* uint32_t */
	SETTING_YES_NO,  /* bool */
	SETTING_ADDRESS, /* SettingAddress: host:port, [::1]:53, host */
	SETTING_CHOICE,  /* uint32_t: place in `choices`, from 0 */
	SETTING_LIST,    /* SettingList: the words behind it */
	SETTING_TIMES,   /* SettingList; each word is a duration */
};

typedef struct SettingAddress {
	Str host;      /* without brackets; empty when none was given */
	uint16_t port; /* 0 when none was given */
	bool brackets; /* written as [host]: a host and not a domain (relay-host) */
} SettingAddress;

typedef struct SettingList {
	Str *items;
	uint32_t n;
} SettingList;

struct setting {
	const char *path; /* "listen.imap" is `listen { imap ... }`; NULL ends a table */
	enum setting_type type;
	size_t offset;
	const char *standard; /* the default; words as in the file; "" is none */
	const char *text;     /* one or two sentences for people */
	const char *choices;  /* words with a blank between, for SETTING_CHOICE */
	uint64_t min, max;    /* numbers, sizes and seconds; max 0 is no limit */
};

enum {
	SETTINGS_DURATION_MAX = 10 * 365 * 24 * 3600, /* seconds */
	SETTINGS_LIST_MAX = 256,
};

/* The setting of that path, or NULL. */
const struct setting *settings_find(const struct setting *table, Str path);

/*
 * Values as people write them. ERR_PEER when s is not one; `what` says what is wanted.
 * Sizes know K M G T (powers of 1024), durations s m h d w, also several in a row (1h30m).
 */
MUST_USE Err settings_size_parse(Str s, uint64_t *ret);
MUST_USE Err settings_seconds_parse(Str s, uint32_t *ret);
MUST_USE Err settings_yes_no_parse(Str s, bool *ret);
MUST_USE Err settings_address_parse(Str s, SettingAddress *ret);
MUST_USE Err settings_choice_parse(const char *choices, Str s, uint32_t *ret);

void settings_size_write(uint64_t size, struct buf *b);
void settings_seconds_write(uint32_t seconds, struct buf *b);

/* Appends the value of one setting as the file would have it, words quoted where needed. */
void settings_value_write(const struct setting *setting, const void *values, struct buf *b);

/*
 * Sets every value of a table to its default. A default of @NAME is replaced by what `facts` gives
 * for it (found out at start, such as the host name); facts ends with a NULL name.
 * The Strs point into the table and the facts; lists into the arena.
 */
struct setting_fact {
	const char *name; /* with its @ */
	Str value;
};
MUST_USE Err settings_set_standard(const struct setting *table,
	const struct setting_fact *facts, struct arena *a, void *values);

/* All values of a table for another process of the same build, and back. */
void settings_pack(const struct setting *table, const void *values, struct buf *b);

/*
 * ret points into packed (texts) and the arena (lists).
 * ERR_PEER   packed was not made by settings_pack from the same table
 */
MUST_USE Err settings_unpack(const struct setting *table, Str packed, struct arena *a,
	void *ret);
