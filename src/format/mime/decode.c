/* SPDX-License-Identifier: ISC */
#include "format/mime/decode.h"

#include "format/mime/lexer.h"

enum {
	REPLACEMENT = 0xfffd,
	NO_DIGIT = 64,
};

/* 0x80 to 0x9f of windows-1252; the five that it leaves out stay controls, as browsers have it. */
static const uint16_t windows_1252[] = { 0x20ac, 0x81, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020,
	0x2021, 0x02c6, 0x2030, 0x0160, 0x2039, 0x0152, 0x8d, 0x017d, 0x8f, 0x90, 0x2018,
	0x2019, 0x201c, 0x201d, 0x2022, 0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153,
	0x9d, 0x017e, 0x0178 };

static uint32_t
from_1252(unsigned char ch)
{
	return ch >= 0x80 && ch <= 0x9f ? windows_1252[ch - 0x80] : ch;
}

static uint32_t
from_latin1(unsigned char ch)
{
	return ch;
}

static uint32_t
from_latin9(unsigned char ch)
{
	switch (ch) {
	case 0xa4:
		return 0x20ac;
	case 0xa6:
		return 0x160;
	case 0xa8:
		return 0x161;
	case 0xb4:
		return 0x17d;
	case 0xb8:
		return 0x17e;
	case 0xbc:
		return 0x152;
	case 0xbd:
		return 0x153;
	case 0xbe:
		return 0x178;
	default:
		return ch;
	}
}

static uint32_t
from_ascii(unsigned char ch)
{
	return ch < 0x80 ? ch : REPLACEMENT;
}

static const struct {
	Str name;
	uint32_t (*from)(unsigned char ch); /* NULL: UTF-8 */
} charsets[] = {
	{ S("utf-8"), NULL },
	{ S("utf8"), NULL },
	{ S("us-ascii"), from_ascii },
	{ S("ascii"), from_ascii },
	{ S("iso-8859-1"), from_latin1 },
	{ S("latin1"), from_latin1 },
	{ S("iso-8859-15"), from_latin9 },
	{ S("latin9"), from_latin9 },
	{ S("windows-1252"), from_1252 },
	{ S("cp1252"), from_1252 },
};

static void
put_utf8(struct buf *b, uint32_t ch)
{
	if (ch < 0x80) {
		buf_put_char(b, (char)ch);
	} else if (ch < 0x800) {
		buf_put_char(b, (char)(0xc0 | ch >> 6));
		buf_put_char(b, (char)(0x80 | (ch & 0x3f)));
	} else {
		buf_put_char(b, (char)(0xe0 | ch >> 12));
		buf_put_char(b, (char)(0x80 | (ch >> 6 & 0x3f)));
		buf_put_char(b, (char)(0x80 | (ch & 0x3f)));
	}
}

/* Octets of the character at the cursor (RFC 3629, 4), or 0 when it is none. */
static size_t
utf8_size(const struct cursor *c)
{
	int first = cursor_peek(c);
	int second = cursor_peek_at(c, 1);
	int low = 0x80, high = 0xbf;
	size_t n;

	if (first < 0x80)
		return 1;
	n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (second < low || second > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if ((cursor_peek_at(c, i) & 0xc0) != 0x80)
			return 0;
	return cursor_peek_at(c, n - 1) < 0 ? 0 : n;
}

bool
mime_decode_is_utf8(Str s)
{
	struct cursor c = cursor_of(s);

	while (!cursor_done(&c)) {
		size_t n = utf8_size(&c);

		if (n == 0)
			return false;
		cursor_take(&c, n);
	}
	return true;
}

static void
copy_utf8(struct buf *b, Str s)
{
	struct cursor c = cursor_of(s);

	while (!cursor_done(&c)) {
		size_t n = utf8_size(&c);

		if (n == 0) {
			cursor_next(&c);
			put_utf8(b, REPLACEMENT);
		} else {
			buf_put(b, cursor_take(&c, n));
		}
	}
}

static bool
find_charset(Str charset, size_t *ret)
{
	for (size_t i = 0; i < COUNT(charsets); i++)
		if (str_eq_icase(charset, charsets[i].name)) {
			*ret = i;
			return true;
		}
	return false;
}

bool
mime_decode_knows_charset(Str charset)
{
	size_t at;

	return find_charset(charset, &at);
}

void
mime_decode_charset(struct buf *b, Str charset, Str s)
{
	uint32_t (*from)(unsigned char ch) = from_ascii;
	size_t at;

	if (charset.n == 0)
		from = mime_decode_is_utf8(s) ? NULL : from_1252;
	else if (find_charset(charset, &at))
		from = charsets[at].from;
	if (from == NULL) {
		copy_utf8(b, s);
		return;
	}
	for (size_t i = 0; i < s.n; i++)
		put_utf8(b, from((unsigned char)s.p[i]));
}

enum mime_encoding
mime_decode_encoding(Str body)
{
	struct cursor c = cursor_of(body);
	Str word;

	mime_lexer_skip(&c);
	word = mime_lexer_token(&c);
	if (str_eq_icase(word, S("base64")))
		return MIME_ENCODING_BASE64;
	return str_eq_icase(word, S("quoted-printable")) ? MIME_ENCODING_QUOTED
							 : MIME_ENCODING_NONE;
}

static unsigned
base64_digit(int ch)
{
	if (ch >= 'A' && ch <= 'Z')
		return (unsigned)(ch - 'A');
	if (ch >= 'a' && ch <= 'z')
		return (unsigned)(ch - 'a' + 26);
	if (ch >= '0' && ch <= '9')
		return (unsigned)(ch - '0' + 52);
	return ch == '+' ? 62 : ch == '/' ? 63 : NO_DIGIT;
}

/* As mail has it: what is no digit is passed over (RFC 2045, 6.8); padding ends a piece. */
static void
put_base64(struct buf *b, Str s)
{
	unsigned bits = 0, count = 0;

	for (size_t i = 0; i < s.n; i++) {
		unsigned digit = base64_digit((unsigned char)s.p[i]);

		if (s.p[i] == '=')
			count = 0;
		if (digit == NO_DIGIT)
			continue;
		bits = (bits << 6 | digit) & 0xffff;
		count++;
		if (count > 1)
			buf_put_char(b, (char)(bits >> (8 - 2 * count)));
		count %= 4;
	}
}

static int
hex_digit(int ch)
{
	if (ch >= '0' && ch <= '9')
		return ch - '0';
	if (ch >= 'A' && ch <= 'F')
		return ch - 'A' + 10;
	return ch >= 'a' && ch <= 'f' ? ch - 'a' + 10 : -1;
}

/* "=" hexadecimal; a soft line end is left out, anything else after "=" stays as it is. */
static void
put_quoted(struct buf *b, Str s, bool word)
{
	struct cursor c = cursor_of(s);

	while (!cursor_done(&c)) {
		int ch = cursor_next(&c);
		int high = hex_digit(cursor_peek(&c)), low = hex_digit(cursor_peek_at(&c, 1));

		if (ch == '_' && word) {
			buf_put_char(b, ' ');
		} else if (ch == '=' && high >= 0 && low >= 0) {
			cursor_take(&c, 2);
			buf_put_char(b, (char)(high << 4 | low));
		} else if (ch != '=' ||
			   (!cursor_take_str(&c, S("\n")) && !cursor_take_str(&c, S("\r\n")))) {
			buf_put_char(b, (char)ch);
		}
	}
}

void
mime_decode_transfer(struct buf *b, enum mime_encoding encoding, Str s)
{
	switch (encoding) {
	case MIME_ENCODING_NONE:
		buf_put(b, s);
		break;
	case MIME_ENCODING_BASE64:
		put_base64(b, s);
		break;
	case MIME_ENCODING_QUOTED:
		put_quoted(b, s, false);
		break;
	}
}

/* encoded-word = "=?" charset [ "*" language ] "?" encoding "?" encoded-text "?=" */
static bool
take_word(struct cursor *c, Str *ret_charset, int *ret_encoding, Str *ret_text)
{
	struct cursor at = *c;
	size_t star;

	if (!cursor_take_str(&at, S("=?")))
		return false;
	*ret_charset = cursor_until(&at, '?');
	cursor_need_char(&at, '?');
	*ret_encoding = (unsigned char)char_lower((char)cursor_next(&at));
	cursor_need_char(&at, '?');
	*ret_text = cursor_until(&at, '?');
	if (!cursor_take_str(&at, S("?=")) || at.bad)
		return false;
	if (*ret_encoding != 'b' && *ret_encoding != 'q')
		return false;
	star = str_find(*ret_charset, '*');
	if (star != STR_NONE)
		*ret_charset = str_part(*ret_charset, 0, star);
	*c = at;
	return true;
}

static bool
is_blank(int ch)
{
	return ch == ' ' || ch == '\t' || ch == '\r' || ch == '\n';
}

static void
put_word(struct buf *b, Str charset, int encoding, Str text)
{
	AUTO_BUF bytes = BUF_INIT(text.n + 1);

	if (encoding == 'b')
		put_base64(&bytes, text);
	else
		put_quoted(&bytes, text, true);
	mime_decode_charset(b, charset.n == 0 ? S("us-ascii") : charset, buf_view(&bytes));
}

void
mime_decode_words(struct buf *b, Str s)
{
	struct cursor c = cursor_of(s);
	bool after_word = false;

	while (!cursor_done(&c)) {
		Str blanks = cursor_while(&c, is_blank);
		Str charset, text, plain = c.rest;
		int encoding;

		if (cursor_peek(&c) == '=' && take_word(&c, &charset, &encoding, &text)) {
			/* blanks between two encoded words are not shown (RFC 2047, 6.2) */
			if (!after_word)
				buf_put(b, blanks);
			put_word(b, charset, encoding, text);
			after_word = true;
			continue;
		}
		buf_put(b, blanks);
		after_word = false;
		cursor_take(&c, c.rest.n > 0 ? 1 : 0);
		while (!cursor_done(&c) && !is_blank(cursor_peek(&c)) &&
			!str_starts(c.rest, S("=?")))
			cursor_next(&c);
		mime_decode_charset(b, S(""), str_part(plain, 0, plain.n - c.rest.n));
	}
}
