/* SPDX-License-Identifier: ISC */
#include "format/mime/date.h"

#include "format/mime/lexer.h"

static const Str months[] = { S("Jan"), S("Feb"), S("Mar"), S("Apr"), S("May"), S("Jun"),
	S("Jul"), S("Aug"), S("Sep"), S("Oct"), S("Nov"), S("Dec") };
static const Str weekdays[] = { S("Sun"), S("Mon"), S("Tue"), S("Wed"), S("Thu"), S("Fri"),
	S("Sat") };

static const struct {
	Str name;
	int minutes;
} zones[] = {
	/* RFC 5322, 4.3; single letters mean nothing certain there */
	{ S("UT"), 0 },
	{ S("GMT"), 0 },
	{ S("UTC"), 0 },
	{ S("EST"), -5 * 60 },
	{ S("EDT"), -4 * 60 },
	{ S("CST"), -6 * 60 },
	{ S("CDT"), -5 * 60 },
	{ S("MST"), -7 * 60 },
	{ S("MDT"), -6 * 60 },
	{ S("PST"), -8 * 60 },
	{ S("PDT"), -7 * 60 },
};

/* A decimal of at most `most` digits; the cursor goes bad when there is none. */
static int
take_number(struct cursor *c, size_t most, size_t *ret_digits)
{
	Str digits = cursor_while(c, char_is_digit);
	uint64_t value;

	*ret_digits = digits.n;
	if (digits.n > most || !str_to_u64(digits, 9999, &value)) {
		c->bad = true;
		return 0;
	}
	return (int)value;
}

static int
take_two(struct cursor *c)
{
	size_t digits;

	return take_number(c, 2, &digits);
}

/* 1 to 12; bad when it is no month. */
static int
take_month(struct cursor *c)
{
	Str word = cursor_while(c, char_is_alpha);

	for (size_t i = 0; i < COUNT(months); i++)
		if (word.n >= 3 && str_eq_icase(str_part(word, 0, 3), months[i]))
			return (int)i + 1;
	c->bad = true;
	return 1;
}

/* obs-year (RFC 5322, 4.3): 00 to 49 is this century, other two and three digits add 1900. */
static int
take_year(struct cursor *c)
{
	size_t digits;
	int year = take_number(c, 4, &digits);

	if (digits == 2)
		return year < 50 ? 2000 + year : 1900 + year;
	return digits == 3 ? 1900 + year : year;
}

/* ( "+" / "-" ) 4DIGIT; minutes above 59 or hours above 23 are no zone. */
static int
take_offset(struct cursor *c)
{
	int sign = cursor_next(c) == '-' ? -1 : 1;
	size_t digits;
	int value = take_number(c, 4, &digits);

	if (digits != 4 || value % 100 > 59 || value / 100 > 23)
		c->bad = true;
	return sign * (value / 100 * 60 + value % 100);
}

static int
take_zone(struct cursor *c)
{
	Str name;

	if (cursor_peek(c) == '+' || cursor_peek(c) == '-')
		return take_offset(c);
	name = cursor_while(c, char_is_alpha);
	for (size_t i = 0; i < COUNT(zones); i++)
		if (str_eq_icase(name, zones[i].name))
			return zones[i].minutes;
	return 0;
}

/* hour ":" minute [ ":" second ] */
static void
take_clock(struct cursor *c, struct civil *ret)
{
	ret->hour = take_two(c);
	mime_lexer_skip(c);
	cursor_need_char(c, ':');
	mime_lexer_skip(c);
	ret->minute = take_two(c);
	mime_lexer_skip(c);
	if (!cursor_take_char(c, ':'))
		return;
	mime_lexer_skip(c);
	ret->second = take_two(c);
	mime_lexer_skip(c);
}

static Err
finish(const struct cursor *c, const struct civil *civil, int zone, struct mime_date *ret)
{
	if (c->bad || !time_civil_valid(civil))
		return fail(ERR_PEER, "not a date");
	ret->when = time_add_seconds(time_from_civil(civil), -60 * (int64_t)zone);
	ret->zone = zone;
	return OK;
}

Err
mime_date_parse(Str s, struct mime_date *ret)
{
	struct cursor c = cursor_of(str_part(s, 0, MIME_DATE_MAX));
	struct civil civil = { 0 };
	int zone = 0;

	mime_lexer_skip(&c);
	if (char_is_alpha(cursor_peek(&c))) {
		cursor_while(&c, char_is_alpha);
		mime_lexer_skip(&c);
		cursor_take_char(&c, ',');
		mime_lexer_skip(&c);
	}
	civil.day = take_two(&c);
	mime_lexer_skip(&c);
	cursor_take_char(&c, '-'); /* 21-Nov-2026: old news software */
	civil.month = take_month(&c);
	mime_lexer_skip(&c);
	cursor_take_char(&c, '-');
	civil.year = take_year(&c);
	mime_lexer_skip(&c);
	take_clock(&c, &civil);
	if (!cursor_done(&c))
		zone = take_zone(&c);
	return finish(&c, &civil, zone, ret);
}

static void
put_two(struct buf *b, int n)
{
	buf_put_char(b, (char)('0' + n / 10 % 10));
	buf_put_char(b, (char)('0' + n % 10));
}

/* "19:57:11 +0000" */
static void
put_clock(struct buf *b, const struct civil *c, int zone)
{
	int minutes = zone < 0 ? -zone : zone;

	put_two(b, c->hour);
	buf_put_char(b, ':');
	put_two(b, c->minute);
	buf_put_char(b, ':');
	put_two(b, c->second);
	buf_put_char(b, ' ');
	buf_put_char(b, zone < 0 ? '-' : '+');
	put_two(b, minutes / 60);
	put_two(b, minutes % 60);
}

static void
put_year(struct buf *b, int year)
{
	put_two(b, year / 100);
	put_two(b, year % 100);
}

void
mime_date_write(struct buf *b, const struct mime_date *d)
{
	struct civil c = time_to_civil(time_add_seconds(d->when, 60 * (int64_t)d->zone));

	buf_put(b, weekdays[c.weekday]);
	buf_put(b, S(", "));
	buf_put_u64(b, (uint64_t)c.day);
	buf_put_char(b, ' ');
	buf_put(b, months[c.month - 1]);
	buf_put_char(b, ' ');
	put_year(b, c.year);
	buf_put_char(b, ' ');
	put_clock(b, &c, d->zone);
}

/* date-day "-" date-month "-" date-year */
static void
take_day(struct cursor *c, struct civil *ret)
{
	size_t digits;

	cursor_take_char(c, ' '); /* date-day-fixed = (SP DIGIT) / 2DIGIT */
	ret->day = take_two(c);
	cursor_need_char(c, '-');
	ret->month = take_month(c);
	cursor_need_char(c, '-');
	ret->year = take_number(c, 4, &digits);
	if (digits != 4)
		c->bad = true;
}

Err
mime_date_parse_internal(Str s, struct mime_date *ret)
{
	struct cursor c = cursor_of(s);
	struct civil civil = { 0 };
	int zone;

	take_day(&c, &civil);
	cursor_need_char(&c, ' ');
	civil.hour = take_two(&c);
	cursor_need_char(&c, ':');
	civil.minute = take_two(&c);
	cursor_need_char(&c, ':');
	civil.second = take_two(&c);
	cursor_need_char(&c, ' ');
	if (cursor_peek(&c) != '+' && cursor_peek(&c) != '-')
		return fail(ERR_PEER, "not a date");
	zone = take_offset(&c);
	if (c.rest.n > 0)
		return fail(ERR_PEER, "not a date");
	return finish(&c, &civil, zone, ret);
}

void
mime_date_write_internal(struct buf *b, const struct mime_date *d)
{
	struct civil c = time_to_civil(time_add_seconds(d->when, 60 * (int64_t)d->zone));

	put_two(b, c.day);
	buf_put_char(b, '-');
	buf_put(b, months[c.month - 1]);
	buf_put_char(b, '-');
	put_year(b, c.year);
	buf_put_char(b, ' ');
	put_clock(b, &c, d->zone);
}

Err
mime_date_parse_day(Str s, Time *ret)
{
	struct cursor c = cursor_of(s);
	struct civil civil = { 0 };
	struct mime_date date;

	take_day(&c, &civil);
	if (c.rest.n > 0)
		return fail(ERR_PEER, "not a date");
	TRY(finish(&c, &civil, 0, &date));
	*ret = date.when;
	return OK;
}
