/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Words of IMAP commands, for the parsers of this folder. A struct imap_lex reads a whole command
 * from left to right; after the first failure everything it gives is empty and the failure stays.
 */

#include "base/arena.h"
#include "format/imap/command.h"
#include "format/imap/set.h"

struct imap_lex {
	struct cursor in;
	struct arena *arena;
	Err err;     /* the first failure */
	bool prefix; /* the text ends where a literal is announced */
	bool cut;    /* that literal was wanted as an argument */
};

struct imap_flag_name {
	Str name;
	unsigned bit;
};
extern const struct imap_flag_name imap_flag_names[];
extern const size_t imap_flag_name_count;
extern const char *const imap_month_names[12];

bool imap_is_atom_char(int c);
bool imap_is_astring_char(int c);
bool imap_is_list_char(int c);

void imap_lex_fail(struct imap_lex *l, enum err_kind kind, const char *what);
bool imap_lex_bad(const struct imap_lex *l);

int imap_lex_peek(const struct imap_lex *l);
bool imap_lex_take(struct imap_lex *l, char c); /* moves on when it is next */
void imap_lex_need(struct imap_lex *l, char c); /* fails when it is not next */
void imap_lex_space(struct imap_lex *l);        /* exactly one SP */
bool imap_lex_word(struct imap_lex *l,
	Str word);                              /* moves on when this atom is next, any case */
bool imap_lex_at_end(const struct imap_lex *l); /* CRLF is next */
void imap_lex_end(struct imap_lex *l);          /* fails when something is left */

Str imap_lex_atom(struct imap_lex *l);
Str imap_lex_astring(struct imap_lex *l);
Str imap_lex_string(struct imap_lex *l);
Str imap_lex_nstring(struct imap_lex *l, bool *ret_present);
Str imap_lex_list_mailbox(struct imap_lex *l);
uint64_t imap_lex_number(struct imap_lex *l, uint64_t max);
struct imap_set imap_lex_set(struct imap_lex *l);
struct imap_flags imap_lex_flags(struct imap_lex *l); /* "(" ... ")" */
void imap_lex_flag(struct imap_lex *l, struct imap_flags *flags);
Time imap_lex_date(struct imap_lex *l);      /* midnight of the day, UTC */
Time imap_lex_date_time(struct imap_lex *l); /* quoted */

void *imap_lex_alloc(struct imap_lex *l, size_t size); /* NULL: failed */
void imap_lex_add(struct imap_lex *l, struct imap_strings *list, Str s);

/* Arguments, after the SP behind the command's name. */
void imap_fetch_lex(struct imap_lex *l, struct imap_fetch *ret);
void imap_search_lex(struct imap_lex *l, struct imap_search *ret);
void imap_list_lex(struct imap_lex *l, struct imap_list *ret);
void imap_status_items_lex(struct imap_lex *l, unsigned *ret); /* "(" ... ")" */
