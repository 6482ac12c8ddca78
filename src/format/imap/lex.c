/* SPDX-License-Identifier: ISC */
#include "format/imap/lex_internal.h"
#include "format/imap/write.h"

const struct imap_flag_name imap_flag_names[] = {
	{ S("\\Seen"), IMAP_FLAG_SEEN },
	{ S("\\Answered"), IMAP_FLAG_ANSWERED },
	{ S("\\Flagged"), IMAP_FLAG_FLAGGED },
	{ S("\\Deleted"), IMAP_FLAG_DELETED },
	{ S("\\Draft"), IMAP_FLAG_DRAFT },
};
const size_t imap_flag_name_count = COUNT(imap_flag_names);

const char *const imap_month_names[12] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul",
	"Aug", "Sep", "Oct", "Nov", "Dec" };

/* ATOM-CHAR = <any CHAR except atom-specials> */
bool
imap_is_atom_char(int c)
{
	return c > ' ' && c < 0x7f && c != '(' && c != ')' && c != '{' && c != '%' &&
	       c != '*' && c != '"' && c != '\\' && c != ']';
}

/* ASTRING-CHAR = ATOM-CHAR / resp-specials */
bool
imap_is_astring_char(int c)
{
	return imap_is_atom_char(c) || c == ']';
}

/* list-char = ATOM-CHAR / list-wildcards / resp-specials */
bool
imap_is_list_char(int c)
{
	return imap_is_astring_char(c) || c == '%' || c == '*';
}

void
imap_lex_fail(struct imap_lex *l, enum err_kind kind, const char *what)
{
	if (!failed(l->err))
		l->err = fail(kind, what);
	l->in.bad = true;
}

bool
imap_lex_bad(const struct imap_lex *l)
{
	return failed(l->err);
}

int
imap_lex_peek(const struct imap_lex *l)
{
	return cursor_peek(&l->in);
}

bool
imap_lex_take(struct imap_lex *l, char c)
{
	return cursor_take_char(&l->in, c);
}

void
imap_lex_need(struct imap_lex *l, char c)
{
	if (!cursor_take_char(&l->in, c))
		imap_lex_fail(l, ERR_PEER, "syntax error in arguments");
}

void
imap_lex_space(struct imap_lex *l)
{
	if (!cursor_take_char(&l->in, ' '))
		imap_lex_fail(l, ERR_PEER, "argument missing");
}

bool
imap_lex_word(struct imap_lex *l, Str word)
{
	struct cursor ahead = l->in;

	if (!cursor_take_icase(&ahead, word) || imap_is_atom_char(cursor_peek(&ahead)))
		return false;
	l->in = ahead;
	return true;
}

bool
imap_lex_at_end(const struct imap_lex *l)
{
	return imap_lex_bad(l) || str_eq(l->in.rest, S("\r\n"));
}

void
imap_lex_end(struct imap_lex *l)
{
	if (!imap_lex_at_end(l))
		imap_lex_fail(l, ERR_PEER, "too many arguments, or no CRLF at the end");
}

void *
imap_lex_alloc(struct imap_lex *l, size_t size)
{
	void *p = imap_lex_bad(l) ? NULL : arena_try(l->arena, size);

	if (p == NULL)
		imap_lex_fail(l, ERR_LIMIT, "command too complex");
	return p;
}

void
imap_lex_add(struct imap_lex *l, struct imap_strings *list, Str s)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity == 0 ? 4 : 2 * list->capacity;
		Str *at = imap_lex_bad(l) ? NULL
					  : arena_try_array(l->arena, capacity, sizeof(*at));

		if (at == NULL) {
			imap_lex_fail(l, ERR_LIMIT, "command too complex");
			return;
		}
		if (list->count > 0)
			memcpy(at, list->at, list->count * sizeof(*at));
		list->at = at;
		list->capacity = capacity;
	}
	list->at[list->count++] = s;
}

static Str
run(struct imap_lex *l, bool (*is)(int c), const char *what)
{
	Str s = cursor_while(&l->in, is);

	if (s.n == 0)
		imap_lex_fail(l, ERR_PEER, what);
	return s;
}

Str
imap_lex_atom(struct imap_lex *l)
{
	return run(l, imap_is_atom_char, "atom expected");
}

/* quoted = DQUOTE *QUOTED-CHAR DQUOTE; the opening quote is next. */
static Str
quoted(struct imap_lex *l)
{
	struct cursor ahead;
	size_t escapes = 0;
	Str inside;
	char *copy;
	int c;

	imap_lex_need(l, '"');
	inside = l->in.rest;
	ahead = l->in;
	while ((c = cursor_next(&ahead)) != '"') {
		if (c < 0 || c == '\r' || c == '\n' || c == 0)
			break;
		if (c != '\\')
			continue;
		escapes++;
		c = cursor_next(&ahead);
		if (c != '"' && c != '\\')
			break;
	}
	if (ahead.bad || c != '"' || imap_lex_bad(l)) {
		imap_lex_fail(l, ERR_PEER, "quoted string without its end");
		return S("");
	}
	inside.n -= ahead.rest.n + 1;
	l->in = ahead;
	if (escapes == 0)
		return inside;
	copy = imap_lex_alloc(l, inside.n);
	if (copy == NULL)
		return S("");
	ahead = cursor_of(inside);
	for (size_t i = 0; i < inside.n - escapes; i++) {
		c = cursor_next(&ahead);
		copy[i] = (char)(c == '\\' ? cursor_next(&ahead) : c);
	}
	return (Str){ copy, inside.n - escapes };
}

/* literal = "{" number64 ["+"] "}" CRLF *CHAR8; the brace is next. */
static Str
literal(struct imap_lex *l)
{
	uint64_t size;
	Str s;

	imap_lex_need(l, '{');
	size = imap_lex_number(l, INT64_MAX);
	(void)imap_lex_take(l, '+');
	if (!cursor_take_str(&l->in, S("}\r\n")))
		imap_lex_fail(l, ERR_PEER, "bad literal");
	l->cut = l->prefix && !imap_lex_bad(l) && l->in.rest.n == 0;
	if (l->cut || imap_lex_bad(l) || size > l->in.rest.n) {
		imap_lex_fail(l, ERR_PEER, "bad literal");
		return S("");
	}
	s = cursor_take(&l->in, (size_t)size);
	if (str_has(s, 0)) {
		imap_lex_fail(l, ERR_PEER, "NUL in a literal");
		return S("");
	}
	return s;
}

Str
imap_lex_string(struct imap_lex *l)
{
	if (imap_lex_peek(l) == '"')
		return quoted(l);
	if (imap_lex_peek(l) == '{')
		return literal(l);
	imap_lex_fail(l, ERR_PEER, "string expected");
	return S("");
}

Str
imap_lex_astring(struct imap_lex *l)
{
	if (imap_lex_peek(l) == '"' || imap_lex_peek(l) == '{')
		return imap_lex_string(l);
	return run(l, imap_is_astring_char, "string expected");
}

Str
imap_lex_nstring(struct imap_lex *l, bool *ret_present)
{
	*ret_present = !imap_lex_word(l, S("NIL"));
	return *ret_present ? imap_lex_string(l) : S("");
}

Str
imap_lex_list_mailbox(struct imap_lex *l)
{
	if (imap_lex_peek(l) == '"' || imap_lex_peek(l) == '{')
		return imap_lex_string(l);
	return run(l, imap_is_list_char, "mailbox pattern expected");
}

uint64_t
imap_lex_number(struct imap_lex *l, uint64_t max)
{
	uint64_t number;

	if (str_to_u64(cursor_while(&l->in, char_is_digit), max, &number))
		return number;
	imap_lex_fail(l, ERR_PEER, "number expected, or too large");
	return 0;
}

static bool
is_set_char(int c)
{
	return char_is_digit(c) || c == ':' || c == ',' || c == '*' || c == '$';
}

struct imap_set
imap_lex_set(struct imap_lex *l)
{
	Str s = run(l, is_set_char, "sequence set expected");
	struct imap_set set = { 0 };
	Err e;

	if (imap_lex_bad(l))
		return set;
	e = imap_set_parse(s, l->arena, &set);
	if (failed(e))
		imap_lex_fail(l, e.kind, e.what);
	return set;
}

/* flag = "\Answered" / ... / flag-keyword / flag-extension */
void
imap_lex_flag(struct imap_lex *l, struct imap_flags *flags)
{
	Str all = l->in.rest, name;
	bool system = imap_lex_take(l, '\\');

	name = imap_lex_atom(l);
	if (imap_lex_bad(l))
		return;
	if (!system) {
		imap_lex_add(l, &flags->keywords, name);
		return;
	}
	name = str_part(all, 0, name.n + 1);
	if (str_eq_icase(name, S("\\Recent")))
		return; /* RFC 9051 has it no more; RFC 3501 lets no client set it */
	for (size_t i = 0; i < imap_flag_name_count; i++) {
		if (!str_eq_icase(name, imap_flag_names[i].name))
			continue;
		flags->system |= imap_flag_names[i].bit;
		return;
	}
	imap_lex_add(l, &flags->keywords, name);
}

/* flag-list = "(" [flag *(SP flag)] ")" */
struct imap_flags
imap_lex_flags(struct imap_lex *l)
{
	struct imap_flags flags = { 0 };

	imap_lex_need(l, '(');
	while (!imap_lex_take(l, ')') && !imap_lex_bad(l)) {
		imap_lex_flag(l, &flags);
		if (imap_lex_peek(l) != ')')
			imap_lex_space(l);
	}
	return flags;
}

static int
month(struct imap_lex *l)
{
	for (int i = 0; i < (int)COUNT(imap_month_names); i++)
		if (cursor_take_icase(&l->in, str_from(imap_month_names[i])))
			return i + 1;
	imap_lex_fail(l, ERR_PEER, "bad date");
	return 1;
}

static void
check_civil(struct imap_lex *l, const struct civil *c)
{
	if (!imap_lex_bad(l) && !time_civil_valid(c))
		imap_lex_fail(l, ERR_PEER, "no such day or time");
}

/* date = date-text / DQUOTE date-text DQUOTE; date-text = date-day "-" date-month "-" date-year */
Time
imap_lex_date(struct imap_lex *l)
{
	bool quotes = imap_lex_take(l, '"');
	struct civil c = { 0 };

	c.day = (int)imap_lex_number(l, 31);
	imap_lex_need(l, '-');
	c.month = month(l);
	imap_lex_need(l, '-');
	c.year = (int)imap_lex_number(l, 9999);
	if (quotes)
		imap_lex_need(l, '"');
	check_civil(l, &c);
	return imap_lex_bad(l) ? (Time){ 0 } : time_from_civil(&c);
}

/* zone = ("+" / "-") 4DIGIT */
static int64_t
zone_seconds(struct imap_lex *l)
{
	bool west = imap_lex_take(l, '-');
	uint64_t number;

	if (!west)
		imap_lex_need(l, '+');
	number = imap_lex_number(l, 9999);
	if (number % 100 > 59)
		imap_lex_fail(l, ERR_PEER, "bad time zone");
	return (west ? -1 : 1) * (int64_t)(number / 100 * HOUR + number % 100 * MINUTE);
}

/* date-time = DQUOTE date-day-fixed "-" date-month "-" date-year SP time SP zone DQUOTE */
Time
imap_lex_date_time(struct imap_lex *l)
{
	struct civil c = { 0 };
	int64_t zone;

	imap_lex_need(l, '"');
	(void)imap_lex_take(l, ' '); /* date-day-fixed = (SP DIGIT) / 2DIGIT */
	c.day = (int)imap_lex_number(l, 31);
	imap_lex_need(l, '-');
	c.month = month(l);
	imap_lex_need(l, '-');
	c.year = (int)imap_lex_number(l, 9999);
	imap_lex_space(l);
	c.hour = (int)imap_lex_number(l, 23);
	imap_lex_need(l, ':');
	c.minute = (int)imap_lex_number(l, 59);
	imap_lex_need(l, ':');
	c.second = (int)imap_lex_number(l, 60);
	imap_lex_space(l);
	zone = zone_seconds(l);
	imap_lex_need(l, '"');
	check_civil(l, &c);
	return imap_lex_bad(l) ? (Time){ 0 } : time_add_seconds(time_from_civil(&c), -zone);
}
