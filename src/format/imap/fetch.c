/* SPDX-License-Identifier: ISC */
/* Arguments of FETCH (RFC 9051, 6.4.5; RFC 7162, 3.1.4). */
#include "format/imap/lex_internal.h"
#include "format/imap/write.h"

static const struct {
	Str name;
	enum imap_fetch_kind kind;
} plain_items[] = {
	{ S("FLAGS"), IMAP_FETCH_FLAGS },
	{ S("UID"), IMAP_FETCH_UID },
	{ S("INTERNALDATE"), IMAP_FETCH_INTERNALDATE },
	{ S("RFC822.SIZE"), IMAP_FETCH_SIZE },
	{ S("ENVELOPE"), IMAP_FETCH_ENVELOPE },
	{ S("BODYSTRUCTURE"), IMAP_FETCH_BODYSTRUCTURE },
	{ S("BODY"), IMAP_FETCH_BODY },
	{ S("MODSEQ"), IMAP_FETCH_MODSEQ },
};

/* RFC 3501, 6.4.5: three names for sections; clients in the wild still use them. */
static const struct {
	Str name;
	enum imap_section_part part;
	bool peek;
} old_items[] = {
	{ S("RFC822"), IMAP_SECTION_ALL, false },
	{ S("RFC822.HEADER"), IMAP_SECTION_HEADER, true },
	{ S("RFC822.TEXT"), IMAP_SECTION_TEXT, false },
};

static const struct {
	Str name;
	enum imap_fetch_kind kinds[5];
	size_t count;
} macros[] = {
	{ S("ALL"),
		{ IMAP_FETCH_FLAGS, IMAP_FETCH_INTERNALDATE, IMAP_FETCH_SIZE,
			IMAP_FETCH_ENVELOPE },
		4 },
	{ S("FAST"), { IMAP_FETCH_FLAGS, IMAP_FETCH_INTERNALDATE, IMAP_FETCH_SIZE }, 3 },
	{ S("FULL"),
		{ IMAP_FETCH_FLAGS, IMAP_FETCH_INTERNALDATE, IMAP_FETCH_SIZE,
			IMAP_FETCH_ENVELOPE, IMAP_FETCH_BODY },
		5 },
};

static const struct {
	Str name;
	enum imap_section_part part;
} section_texts[] = {
	{ S("HEADER.FIELDS.NOT"), IMAP_SECTION_FIELDS_NOT },
	{ S("HEADER.FIELDS"), IMAP_SECTION_FIELDS },
	{ S("HEADER"), IMAP_SECTION_HEADER },
	{ S("TEXT"), IMAP_SECTION_TEXT },
	{ S("MIME"), IMAP_SECTION_MIME },
};

static struct imap_fetch_item *
new_item(struct imap_lex *l, struct imap_fetch *f, enum imap_fetch_kind kind)
{
	struct imap_fetch_item *item;

	if (f->items == NULL)
		f->items = imap_lex_alloc(l, IMAP_FETCH_ITEMS_MAX * sizeof(*f->items));
	if (f->items == NULL)
		return NULL;
	if (f->count == IMAP_FETCH_ITEMS_MAX) {
		imap_lex_fail(l, ERR_LIMIT, "too many FETCH items");
		return NULL;
	}
	item = &f->items[f->count++];
	item->kind = kind;
	for (size_t i = 0; i < COUNT(plain_items); i++)
		if (plain_items[i].kind == kind)
			item->name = plain_items[i].name;
	return item;
}

/* section-part = nz-number *("." nz-number); a dot behind it is eaten when text follows. */
static void
part_numbers(struct imap_lex *l, struct imap_section *section)
{
	while (char_is_digit(imap_lex_peek(l))) {
		uint64_t number = imap_lex_number(l, UINT32_MAX);

		if (number == 0 || section->depth == IMAP_PART_DEPTH_MAX) {
			imap_lex_fail(l, ERR_PEER, "bad part number");
			return;
		}
		section->path[section->depth++] = (uint32_t)number;
		if (!imap_lex_take(l, '.'))
			return;
		if (imap_lex_peek(l) == ']')
			imap_lex_fail(l, ERR_PEER, "bad section");
	}
}

/* header-list = "(" header-fld-name *(SP header-fld-name) ")" */
static void
field_list(struct imap_lex *l, struct imap_section *section)
{
	imap_lex_space(l);
	imap_lex_need(l, '(');
	do
		imap_lex_add(l, &section->fields, imap_lex_astring(l));
	while (imap_lex_take(l, ' '));
	imap_lex_need(l, ')');
}

/* section-spec = section-msgtext / (section-part ["." section-text]) */
static void
section_spec(struct imap_lex *l, struct imap_section *section)
{
	bool dot_before;

	part_numbers(l, section);
	if (imap_lex_peek(l) == ']')
		return;
	dot_before = section->depth > 0;
	for (size_t i = 0; i < COUNT(section_texts); i++) {
		if (!cursor_take_icase(&l->in, section_texts[i].name))
			continue;
		section->part = section_texts[i].part;
		if (section->part == IMAP_SECTION_MIME && !dot_before)
			break; /* MIME belongs to a part */
		if (section->part == IMAP_SECTION_FIELDS ||
			section->part == IMAP_SECTION_FIELDS_NOT)
			field_list(l, section);
		return;
	}
	imap_lex_fail(l, ERR_PEER, "bad section");
}

/* partial = "<" number64 ["." nz-number64] ">"; a command always has both numbers. */
static void
partial(struct imap_lex *l, struct imap_fetch_item *item)
{
	if (!imap_lex_take(l, '<'))
		return;
	item->partial = true;
	item->from = imap_lex_number(l, INT64_MAX);
	imap_lex_need(l, '.');
	item->length = imap_lex_number(l, INT64_MAX);
	imap_lex_need(l, '>');
	if (item->length == 0)
		imap_lex_fail(l, ERR_PEER, "partial of nothing");
}

static Str
name_prefix(enum imap_fetch_kind kind)
{
	return kind == IMAP_FETCH_BINARY        ? S("BINARY[")
	       : kind == IMAP_FETCH_BINARY_SIZE ? S("BINARY.SIZE[")
						: S("BODY[");
}

/*
 * The name an answer gives a section: "BODY[" with what the client wrote inside, and where a
 * partial begins. Field names are written again, since a literal may not be copied (a name that
 * needs one is not a field name).
 */
static void
name_section(struct imap_lex *l, struct imap_fetch_item *item)
{
	static const Str texts[] = {
		[IMAP_SECTION_ALL] = S(""),
		[IMAP_SECTION_HEADER] = S("HEADER"),
		[IMAP_SECTION_FIELDS] = S("HEADER.FIELDS"),
		[IMAP_SECTION_FIELDS_NOT] = S("HEADER.FIELDS.NOT"),
		[IMAP_SECTION_TEXT] = S("TEXT"),
		[IMAP_SECTION_MIME] = S("MIME"),
	};
	const struct imap_section *section = item->section;
	AUTO_BUF name = BUF_INIT(IMAP_SECTION_NAME_MAX);
	Err e;

	buf_put(&name, name_prefix(item->kind));
	for (size_t i = 0; i < section->depth; i++) {
		if (i > 0)
			buf_put_char(&name, '.');
		buf_put_u64(&name, section->path[i]);
	}
	if (section->depth > 0 && section->part != IMAP_SECTION_ALL)
		buf_put_char(&name, '.');
	buf_put(&name, texts[section->part]);
	for (size_t i = 0; i < section->fields.count; i++) {
		buf_put(&name, i == 0 ? S(" (") : S(" "));
		imap_write_astring(&name, section->fields.at[i], false);
	}
	buf_put(&name, section->fields.count > 0 ? S(")]") : S("]"));
	if (item->partial) {
		buf_put_char(&name, '<');
		buf_put_u64(&name, item->from);
		buf_put_char(&name, '>');
	}
	if (imap_lex_bad(l))
		return;
	e = buf_check(&name);
	if (!failed(e))
		e = arena_copy(l->arena, buf_view(&name), &item->name);
	if (failed(e))
		imap_lex_fail(l, ERR_LIMIT, "section too long");
}

static const struct {
	Str word; /* with its bracket */
	enum imap_fetch_kind kind;
	bool peek;
} section_items[] = {
	{ S("BODY["), IMAP_FETCH_SECTION, false },
	{ S("BODY.PEEK["), IMAP_FETCH_SECTION, true },
	{ S("BINARY["), IMAP_FETCH_BINARY, false },
	{ S("BINARY.PEEK["), IMAP_FETCH_BINARY, true },
	{ S("BINARY.SIZE["), IMAP_FETCH_BINARY_SIZE, true },
};

/* What is between the brackets, and a partial behind them; section-binary has numbers only. */
static void
section_item(struct imap_lex *l, struct imap_fetch *f, enum imap_fetch_kind kind, bool peek)
{
	struct imap_fetch_item *item = new_item(l, f, kind);

	if (item == NULL)
		return;
	item->peek = peek;
	item->section = imap_lex_alloc(l, sizeof(*item->section));
	if (item->section == NULL)
		return;
	if (kind != IMAP_FETCH_SECTION)
		part_numbers(l, item->section);
	else if (imap_lex_peek(l) != ']')
		section_spec(l, item->section);
	imap_lex_need(l, ']');
	if (kind != IMAP_FETCH_BINARY_SIZE)
		partial(l, item);
	name_section(l, item);
}

static bool
section_word(struct imap_lex *l, struct imap_fetch *f)
{
	for (size_t i = 0; i < COUNT(section_items); i++) {
		if (!cursor_take_icase(&l->in, section_items[i].word))
			continue;
		section_item(l, f, section_items[i].kind, section_items[i].peek);
		return true;
	}
	return false;
}

static bool
old_item(struct imap_lex *l, struct imap_fetch *f)
{
	for (size_t i = 0; i < COUNT(old_items); i++) {
		struct imap_fetch_item *item;

		if (!imap_lex_word(l, old_items[i].name))
			continue;
		item = new_item(l, f, IMAP_FETCH_SECTION);
		if (item == NULL)
			return true;
		item->name = old_items[i].name;
		item->peek = old_items[i].peek;
		item->section = imap_lex_alloc(l, sizeof(*item->section));
		if (item->section != NULL)
			item->section->part = old_items[i].part;
		return true;
	}
	return false;
}

static void
one_item(struct imap_lex *l, struct imap_fetch *f)
{
	if (section_word(l, f))
		return;
	for (size_t i = 0; i < COUNT(plain_items); i++) {
		if (!imap_lex_word(l, plain_items[i].name))
			continue;
		(void)new_item(l, f, plain_items[i].kind);
		return;
	}
	if (!old_item(l, f))
		imap_lex_fail(l, ERR_PEER, "unknown FETCH item");
}

static bool
macro(struct imap_lex *l, struct imap_fetch *f)
{
	for (size_t i = 0; i < COUNT(macros); i++) {
		if (!imap_lex_word(l, macros[i].name))
			continue;
		for (size_t k = 0; k < macros[i].count; k++)
			(void)new_item(l, f, macros[i].kinds[k]);
		return true;
	}
	return false;
}

/* fetch-modifiers: CHANGEDSINCE and VANISHED (RFC 7162, 7). */
static void
modifiers(struct imap_lex *l, struct imap_fetch *f)
{
	imap_lex_space(l);
	imap_lex_need(l, '(');
	do {
		if (imap_lex_word(l, S("CHANGEDSINCE"))) {
			imap_lex_space(l);
			f->changed_since = true;
			f->modseq = imap_lex_number(l, INT64_MAX);
		} else if (imap_lex_word(l, S("VANISHED"))) {
			f->vanished = true;
		} else {
			imap_lex_fail(l, ERR_PEER, "unknown FETCH modifier");
		}
	} while (imap_lex_take(l, ' '));
	imap_lex_need(l, ')');
}

/* fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" ... ")") */
void
imap_fetch_lex(struct imap_lex *l, struct imap_fetch *ret)
{
	struct imap_fetch f = { .set = imap_lex_set(l) };

	imap_lex_space(l);
	if (imap_lex_take(l, '(')) {
		do
			one_item(l, &f);
		while (imap_lex_take(l, ' '));
		imap_lex_need(l, ')');
	} else if (!macro(l, &f)) {
		one_item(l, &f);
	}
	if (!imap_lex_at_end(l))
		modifiers(l, &f);
	*ret = f;
}
