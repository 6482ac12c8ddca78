/* SPDX-License-Identifier: ISC */
/* Arguments of LIST, LSUB and STATUS (RFC 9051, 6.3.9 to 6.3.11; RFC 5258, RFC 5819). */
#include "format/imap/lex_internal.h"

struct option {
	Str name;
	unsigned bit;
};

static const struct option select_options[] = {
	{ S("SUBSCRIBED"), IMAP_LIST_SUBSCRIBED },
	{ S("REMOTE"), IMAP_LIST_REMOTE },
	{ S("RECURSIVEMATCH"), IMAP_LIST_RECURSIVEMATCH },
	{ S("SPECIAL-USE"), IMAP_LIST_SPECIAL_USE },
};

static const struct option return_options[] = {
	{ S("SUBSCRIBED"), IMAP_LIST_SUBSCRIBED },
	{ S("CHILDREN"), IMAP_LIST_CHILDREN },
	{ S("SPECIAL-USE"), IMAP_LIST_SPECIAL_USE },
	{ S("STATUS"), IMAP_LIST_STATUS },
};

static const struct option status_items[] = {
	{ S("MESSAGES"), IMAP_STATUS_MESSAGES },
	{ S("RECENT"), IMAP_STATUS_RECENT },
	{ S("UIDNEXT"), IMAP_STATUS_UIDNEXT },
	{ S("UIDVALIDITY"), IMAP_STATUS_UIDVALIDITY },
	{ S("UNSEEN"), IMAP_STATUS_UNSEEN },
	{ S("DELETED"), IMAP_STATUS_DELETED },
	{ S("SIZE"), IMAP_STATUS_SIZE },
	{ S("HIGHESTMODSEQ"), IMAP_STATUS_HIGHESTMODSEQ },
};

/* The bit of the word that is next; fails when it is in no row. */
static unsigned
one_of(struct imap_lex *l, const struct option *options, size_t count, const char *what)
{
	Str word = imap_lex_atom(l);

	for (size_t i = 0; i < count; i++)
		if (str_eq_icase(word, options[i].name))
			return options[i].bit;
	imap_lex_fail(l, ERR_PEER, what);
	return 0;
}

void
imap_status_items_lex(struct imap_lex *l, unsigned *ret)
{
	unsigned items = 0;

	imap_lex_need(l, '(');
	do
		items |= one_of(l, status_items, COUNT(status_items), "unknown status item");
	while (imap_lex_take(l, ' '));
	imap_lex_need(l, ')');
	*ret = items;
}

/* list-select-opts = "(" [list-select-opt *(SP list-select-opt)] ")" */
static void
select_list(struct imap_lex *l, struct imap_list *list)
{
	list->extended = true;
	imap_lex_need(l, '(');
	while (!imap_lex_take(l, ')') && !imap_lex_bad(l)) {
		list->select |= one_of(l, select_options, COUNT(select_options),
			"unknown LIST selection option");
		if (imap_lex_peek(l) != ')')
			imap_lex_space(l);
	}
	/* RECURSIVEMATCH alone is an error (RFC 5258, 3.1). */
	if ((list->select & IMAP_LIST_RECURSIVEMATCH) != 0 &&
		(list->select & (IMAP_LIST_SUBSCRIBED | IMAP_LIST_SPECIAL_USE)) == 0)
		imap_lex_fail(l, ERR_PEER, "RECURSIVEMATCH needs another option");
}

/* list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")" */
static void
return_list(struct imap_lex *l, struct imap_list *list)
{
	list->extended = true;
	imap_lex_space(l);
	if (!imap_lex_word(l, S("RETURN")))
		imap_lex_fail(l, ERR_PEER, "RETURN expected");
	imap_lex_space(l);
	imap_lex_need(l, '(');
	while (!imap_lex_take(l, ')') && !imap_lex_bad(l)) {
		unsigned option = one_of(l, return_options, COUNT(return_options),
			"unknown LIST return option");

		list->give |= option;
		if (option == IMAP_LIST_STATUS) {
			imap_lex_space(l);
			imap_status_items_lex(l, &list->status);
		}
		if (imap_lex_peek(l) != ')')
			imap_lex_space(l);
	}
}

/* patterns = "(" list-mailbox *(SP list-mailbox) ")" */
static void
pattern_list(struct imap_lex *l, struct imap_list *list)
{
	list->extended = true;
	do
		imap_lex_add(l, &list->patterns, imap_lex_list_mailbox(l));
	while (imap_lex_take(l, ' '));
	imap_lex_need(l, ')');
}

/* list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts] */
void
imap_list_lex(struct imap_lex *l, struct imap_list *ret)
{
	struct imap_list list = { 0 };

	if (imap_lex_peek(l) == '(') {
		select_list(l, &list);
		imap_lex_space(l);
	}
	list.reference = imap_lex_astring(l);
	imap_lex_space(l);
	if (imap_lex_take(l, '('))
		pattern_list(l, &list);
	else
		imap_lex_add(l, &list.patterns, imap_lex_list_mailbox(l));
	if (!imap_lex_at_end(l))
		return_list(l, &list);
	*ret = list;
}
