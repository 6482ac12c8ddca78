/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The configuration file: statements of the form `word args { block }`, one per line. The bytes are
 * the administrator's, so every error names line, column and, where it can, what was meant.
 *
 *	file       = *( [statement] [comment] line-end )
 *	statement  = word *word [ "{" *( [statement] [comment] line-end ) "}" ]
 *	word       = 1*( any but blank, control, `"`, `{`, `}`, `;` and a leading `#` )
 *	           / `"` *( any but control, `"` and `\` / `\"` / `\\` ) `"`
 *	comment    = "#" up to the end of the line
 *
 * A statement ends with its line, at `;`, at `}` or before it. The first statement is
 * `config-version 1`.
 */

#include "format/config/settings.h"

enum {
	CONFIG_VERSION = 1,
	CONFIG_TEXT_MAX = 1024 * 1024, /* octets of a file */
	CONFIG_DEPTH_MAX = 8,          /* blocks within blocks */
	CONFIG_ERRORS_MAX = 100,       /* more are counted, not kept */
};

struct config_word {
	struct config_word *next; /* the next argument */
	Str text;                 /* in the file's text, or in the arena when it had a `\` */
	uint32_t line, column;    /* from 1; a column is one character */
	bool quoted;
};

struct config_entry {
	struct config_word name;
	struct config_word *args;
	struct config_entry *first; /* of its block */
	struct config_entry *next;
	bool block; /* it has one, maybe empty */
};

struct config_tree {
	struct config_entry *first;
};

struct config_error {
	struct config_error *next;
	uint32_t line, column; /* 0 when it is about the whole file */
	Str text;
};

/* In the order of the file. Lives as long as its arena. */
struct config_errors {
	struct arena *arena;
	struct config_error *first;
	uint32_t n; /* all, also those beyond CONFIG_ERRORS_MAX */
};

/* Adds one; text that came from the file is made printable. A second one at one place is left out. */
void config_errors_add(struct config_errors *errors, uint32_t line, uint32_t column,
	const char *format, ...) PRINTF_LIKE(4, 5);

/* Writes `file:line:column: text` lines, as compilers do. */
void config_errors_write(const struct config_errors *errors, Str file, struct buf *b);

/*
 * Reads a whole file and goes on after errors.
 *
 * text  must outlive the tree, and so must the arena (also errors->arena).
 * ret   always set, with what could be read.
 *
 * ERR_PEER   something was added to errors
 * ERR_LIMIT  the arena is full
 */
MUST_USE Err config_parse(Str text, struct arena *a, struct config_tree *ret,
	struct config_errors *errors);

/*
 * The same grammar for another file: `first_word` takes the place of config-version;
 * the caller limits the length.
 */
MUST_USE Err config_parse_as(Str first_word, Str text, struct arena *a, struct config_tree *ret,
	struct config_errors *errors);

/* One word, quoted where it must be. */
void config_write_word(Str word, struct buf *b);

/* The tree as text that parses to the same tree; comments are not part of it. */
void config_write(const struct config_tree *tree, struct buf *b);

/*
 * Are all words of the tree known to one of the tables (a list that ends with NULL), and given
 * once? An unknown word is reported with the nearest known one.
 *
 * ERR_PEER   something was added to errors
 */
MUST_USE Err config_check(const struct config_tree *tree, const struct setting *const *tables,
	struct config_errors *errors);

/*
 * Reads the values of one table out of the tree; a setting that is not there keeps what it has, so
 * call settings_set_standard first. Texts point into the tree, lists into the arena.
 *
 * ERR_PEER   something was added to errors; the other settings are set
 * ERR_LIMIT  the arena is full
 */
MUST_USE Err config_apply(const struct config_tree *tree, const struct setting *table,
	struct arena *a, void *values, struct config_errors *errors);

/* The statement of a path such as "listen.imap", or NULL when it is not there. */
const struct config_entry *config_find(const struct config_tree *tree, const char *path);

/*
 * The path, last word of a path or name of a block that is nearest to this one, for `config
 * explain`; "" when none is near.
 */
Str config_nearest(const struct setting *const *tables, Str word);
