/* SPDX-License-Identifier: ISC */
#include "format/imap/write.h"

#include "format/imap/lex_internal.h"
#include "format/imap/mutf7.h"

enum {
	QUOTED_MAX = 1000, /* longer goes as a literal: clients have line limits too */
	NAME_MAX_MUTF7 = 8 * 1024,
	NUL_STAND_IN = 0x80,
};

void
imap_write_flags(struct buf *b, unsigned flags)
{
	bool any = false;

	for (size_t i = 0; i < imap_flag_name_count; i++) {
		if ((flags & imap_flag_names[i].bit) == 0)
			continue;
		if (any)
			buf_put_char(b, ' ');
		buf_put(b, imap_flag_names[i].name);
		any = true;
	}
}

static bool
fits_quoted(Str s, bool utf8)
{
	bool high = false;

	if (s.n > QUOTED_MAX)
		return false;
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = str_at(s, i);

		if (c == '\r' || c == '\n' || c == 0)
			return false;
		high = high || c >= 0x80;
	}
	return !high || (utf8 && imap_utf8_valid(s));
}

static void
put_quoted(struct buf *b, Str s)
{
	buf_put_char(b, '"');
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = str_at(s, i);

		if (c == '"' || c == '\\')
			buf_put_char(b, '\\');
		buf_put_char(b, (char)c);
	}
	buf_put_char(b, '"');
}

static void
put_literal(struct buf *b, Str s)
{
	buf_put_char(b, '{');
	buf_put_u64(b, s.n);
	buf_put(b, S("}\r\n"));
	if (!str_has(s, 0)) {
		buf_put(b, s);
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		buf_put_char(b, (char)(str_at(s, i) == 0 ? NUL_STAND_IN : str_at(s, i)));
}

void
imap_write_string(struct buf *b, Str s, bool utf8)
{
	if (fits_quoted(s, utf8))
		put_quoted(b, s);
	else
		put_literal(b, s);
}

void
imap_write_nstring(struct buf *b, bool present, Str s, bool utf8)
{
	if (present)
		imap_write_string(b, s, utf8);
	else
		buf_put(b, S("NIL"));
}

void
imap_write_astring(struct buf *b, Str s, bool utf8)
{
	bool atom = s.n > 0 && !str_eq_icase(s, S("NIL"));

	for (size_t i = 0; atom && i < s.n; i++)
		atom = imap_is_astring_char(str_at(s, i));
	if (atom)
		buf_put(b, s);
	else
		imap_write_string(b, s, utf8);
}

void
imap_write_mailbox(struct buf *b, Str name, bool utf8)
{
	AUTO_BUF wire = BUF_INIT(NAME_MAX_MUTF7);

	if (utf8 || failed(imap_mutf7_write(&wire, name)))
		imap_write_astring(b, name, utf8);
	else
		imap_write_astring(b, buf_view(&wire), false);
}

static void
put_digits(char *to, size_t count, int number)
{
	for (; count > 0; number /= 10)
		to[--count] = (char)('0' + number % 10);
}

void
imap_write_date_time(struct buf *b, Time t)
{
	/* Written by hand: a listing of a large folder asks for one of these per message. */
	char text[] = "\"00-Jan-0000 00:00:00 +0000\"";
	struct civil c = time_to_civil(t);

	put_digits(text + 1, 2, c.day);
	memcpy(text + 4, imap_month_names[c.month - 1], 3);
	put_digits(text + 8, 4, c.year);
	put_digits(text + 13, 2, c.hour);
	put_digits(text + 16, 2, c.minute);
	put_digits(text + 19, 2, c.second);
	buf_put(b, str_from(text));
}
