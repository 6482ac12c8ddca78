/* SPDX-License-Identifier: ISC */
/* Arguments of SEARCH (RFC 9051, 6.4.4; RFC 4731, RFC 5032, RFC 7162). */
#include "format/imap/lex_internal.h"
#include "format/imap/write.h"

enum argument { NOTHING, STRING, KEYWORD, NUMBER, SECONDS, DATE, FIELD, SET, MODSEQ };

static const struct key_word {
	Str name;
	enum imap_search_kind kind;
	enum argument argument;
	unsigned flag;
	bool negated;
	Str field;
} key_words[] = {
	{ S("ALL"), IMAP_SEARCH_ALL },
	{ S("ANSWERED"), IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_ANSWERED },
	{ S("BCC"), IMAP_SEARCH_HEADER, STRING, .field = S("Bcc") },
	{ S("BEFORE"), IMAP_SEARCH_BEFORE, DATE },
	{ S("BODY"), IMAP_SEARCH_BODY, STRING },
	{ S("CC"), IMAP_SEARCH_HEADER, STRING, .field = S("Cc") },
	{ S("DELETED"), IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_DELETED },
	{ S("DRAFT"), IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_DRAFT },
	{ S("FLAGGED"), IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_FLAGGED },
	{ S("FROM"), IMAP_SEARCH_HEADER, STRING, .field = S("From") },
	{ S("HEADER"), IMAP_SEARCH_HEADER, FIELD },
	{ S("KEYWORD"), IMAP_SEARCH_KEYWORD, KEYWORD },
	{ S("LARGER"), IMAP_SEARCH_LARGER, NUMBER },
	{ S("MODSEQ"), IMAP_SEARCH_MODSEQ, MODSEQ },
	{ S("NEW"), IMAP_SEARCH_NONE },
	{ S("OLD"), IMAP_SEARCH_ALL },
	{ S("OLDER"), IMAP_SEARCH_OLDER, SECONDS },
	{ S("ON"), IMAP_SEARCH_ON, DATE },
	{ S("RECENT"), IMAP_SEARCH_NONE },
	{ S("SEEN"), IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_SEEN },
	{ S("SENTBEFORE"), IMAP_SEARCH_SENTBEFORE, DATE },
	{ S("SENTON"), IMAP_SEARCH_SENTON, DATE },
	{ S("SENTSINCE"), IMAP_SEARCH_SENTSINCE, DATE },
	{ S("SINCE"), IMAP_SEARCH_SINCE, DATE },
	{ S("SMALLER"), IMAP_SEARCH_SMALLER, NUMBER },
	{ S("SUBJECT"), IMAP_SEARCH_HEADER, STRING, .field = S("Subject") },
	{ S("TEXT"), IMAP_SEARCH_TEXT, STRING },
	{ S("TO"), IMAP_SEARCH_HEADER, STRING, .field = S("To") },
	{ S("UID"), IMAP_SEARCH_UID, SET },
	{ S("UNANSWERED"), IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_ANSWERED, true },
	{ S("UNDELETED"), IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_DELETED, true },
	{ S("UNDRAFT"), IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_DRAFT, true },
	{ S("UNFLAGGED"), IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_FLAGGED, true },
	{ S("UNKEYWORD"), IMAP_SEARCH_KEYWORD, KEYWORD, 0, true },
	{ S("UNSEEN"), IMAP_SEARCH_FLAG, NOTHING, IMAP_FLAG_SEEN, true },
	{ S("YOUNGER"), IMAP_SEARCH_YOUNGER, SECONDS },
};

static struct imap_search_key *search_key(struct imap_lex *l, int depth, bool *modseq);

static struct imap_search_key *
new_key(struct imap_lex *l, enum imap_search_kind kind)
{
	struct imap_search_key *key = imap_lex_alloc(l, sizeof(*key));

	if (key != NULL)
		key->kind = kind;
	return key;
}

/* search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer (RFC 7162, 7) */
static uint64_t
modseq_argument(struct imap_lex *l)
{
	if (imap_lex_peek(l) == '"') {
		(void)imap_lex_string(l); /* which flag: we keep one number for all */
		imap_lex_space(l);
		(void)imap_lex_atom(l); /* priv, shared or all */
		imap_lex_space(l);
	}
	return imap_lex_number(l, INT64_MAX);
}

static void
take_argument(struct imap_lex *l, enum argument argument, struct imap_search_key *key)
{
	imap_lex_space(l);
	switch (argument) {
	case NOTHING:
		break;
	case FIELD:
		key->name = imap_lex_astring(l);
		imap_lex_space(l);
		FALLTHROUGH;
	case STRING:
		key->text = imap_lex_astring(l);
		break;
	case KEYWORD:
		key->text = imap_lex_atom(l);
		break;
	case NUMBER:
		key->number = imap_lex_number(l, INT64_MAX);
		break;
	case SECONDS:
		key->number = imap_lex_number(l, UINT32_MAX);
		break;
	case DATE:
		key->day = imap_lex_date(l);
		break;
	case SET:
		key->set = imap_lex_set(l);
		break;
	case MODSEQ:
		key->number = modseq_argument(l);
		break;
	}
}

static struct imap_search_key *
negate(struct imap_lex *l, struct imap_search_key *inner)
{
	struct imap_search_key *outer = new_key(l, IMAP_SEARCH_NOT);

	if (outer != NULL)
		outer->inner = inner;
	return outer;
}

/* NOLINTBEGIN(misc-no-recursion): no deeper than IMAP_SEARCH_DEPTH_MAX */

/* search-key *(SP search-key), up to what cannot be one: ")" or the end. */
static struct imap_search_key *
key_list(struct imap_lex *l, int depth, bool *modseq)
{
	struct imap_search_key *first = NULL, **last = &first;

	do {
		*last = search_key(l, depth, modseq);
		if (*last == NULL)
			return NULL;
		last = &(*last)->next;
	} while (imap_lex_take(l, ' '));
	return first;
}

static struct imap_search_key *
simple_key(struct imap_lex *l, bool *modseq)
{
	for (size_t i = 0; i < COUNT(key_words); i++) {
		const struct key_word *word = &key_words[i];
		struct imap_search_key *key;

		if (!imap_lex_word(l, word->name))
			continue;
		key = new_key(l, word->kind);
		if (key == NULL)
			return NULL;
		key->flag = word->flag;
		key->name = word->field;
		if (word->argument != NOTHING)
			take_argument(l, word->argument, key);
		*modseq = *modseq || word->argument == MODSEQ;
		return word->negated ? negate(l, key) : key;
	}
	imap_lex_fail(l, ERR_PEER, "unknown search key");
	return NULL;
}

/* One key; depth is what may still be nested inside it. */
static struct imap_search_key *
search_key(struct imap_lex *l, int depth, bool *modseq)
{
	struct imap_search_key *key;
	int next = imap_lex_peek(l);

	if (depth == 0) {
		imap_lex_fail(l, ERR_LIMIT, "search keys nested too deep");
		return NULL;
	}
	if (char_is_digit(next) || next == '*' || next == '$') {
		key = new_key(l, IMAP_SEARCH_SEQ);
		if (key != NULL)
			key->set = imap_lex_set(l);
		return key;
	}
	if (imap_lex_take(l, '(')) {
		key = new_key(l, IMAP_SEARCH_AND);
		if (key != NULL)
			key->inner = key_list(l, depth - 1, modseq);
		imap_lex_need(l, ')');
		return key;
	}
	if (imap_lex_word(l, S("NOT"))) {
		imap_lex_space(l);
		return negate(l, search_key(l, depth - 1, modseq));
	}
	if (imap_lex_word(l, S("OR"))) {
		key = new_key(l, IMAP_SEARCH_OR);
		if (key == NULL)
			return NULL;
		imap_lex_space(l);
		key->inner = search_key(l, depth - 1, modseq);
		imap_lex_space(l);
		key->other = search_key(l, depth - 1, modseq);
		return key;
	}
	return simple_key(l, modseq);
}

/* NOLINTEND(misc-no-recursion) */

/* search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")" */
static void
return_options(struct imap_lex *l, struct imap_search *search)
{
	static const struct {
		Str name;
		unsigned bit;
	} options[] = {
		{ S("MIN"), IMAP_RETURN_MIN },
		{ S("MAX"), IMAP_RETURN_MAX },
		{ S("ALL"), IMAP_RETURN_ALL },
		{ S("COUNT"), IMAP_RETURN_COUNT },
		{ S("SAVE"), IMAP_RETURN_SAVE },
	};

	search->extended = true;
	imap_lex_space(l);
	imap_lex_need(l, '(');
	while (!imap_lex_take(l, ')') && !imap_lex_bad(l)) {
		Str word = imap_lex_atom(l);
		unsigned bit = 0;

		for (size_t i = 0; i < COUNT(options); i++)
			if (str_eq_icase(word, options[i].name))
				bit = options[i].bit;
		if (bit == 0)
			imap_lex_fail(l, ERR_PEER, "unknown SEARCH return option");
		search->give |= bit;
		if (imap_lex_peek(l) != ')')
			imap_lex_space(l);
	}
	if (search->give == 0)
		search->give = IMAP_RETURN_ALL; /* RFC 9051, 6.4.4: "()" means ALL */
	imap_lex_space(l);
}

/* search = "SEARCH" [search-return-opts] SP search-program */
void
imap_search_lex(struct imap_lex *l, struct imap_search *ret)
{
	struct imap_search search = { 0 };

	if (imap_lex_word(l, S("RETURN")))
		return_options(l, &search);
	if (imap_lex_word(l, S("CHARSET"))) {
		imap_lex_space(l);
		search.charset = imap_lex_astring(l);
		imap_lex_space(l);
	}
	search.keys = key_list(l, IMAP_SEARCH_DEPTH_MAX, &search.uses_modseq);
	*ret = search;
}
