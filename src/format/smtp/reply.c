/* SPDX-License-Identifier: ISC */
#include "format/smtp/reply.h"

void
smtp_reply_reset(struct smtp_reply *r)
{
	buf_reset(&r->text);
	r->code = 0;
	r->lines = 0;
	r->status = (struct smtp_status){ 0 };
}

/* Reply-code = %x32-35 %x30-35 %x30-39; 1yz and x6z and above are let through, by first digit */
static bool
parse_code(struct cursor *c, unsigned *ret)
{
	uint64_t code;

	if (!str_to_u64(cursor_take(c, 3), 599, &code) || code < 100)
		return false;
	*ret = (unsigned)code;
	return true;
}

static bool
take_number(struct cursor *c, uint16_t *ret)
{
	Str digits = cursor_while(c, char_is_digit);
	uint64_t number;

	/* RFC 3463, 2: at most three digits each */
	if (digits.n > 3 || !str_to_u64(digits, 999, &number))
		return false;
	*ret = (uint16_t)number;
	return true;
}

/* status-code = ( "2" / "4" / "5" ) "." 1*3digit "." 1*3digit */
struct smtp_status
smtp_status_parse(Str text, Str *ret_rest)
{
	static const struct smtp_status none = { 0 };
	struct cursor c = cursor_of(text);
	struct smtp_status s;

	*ret_rest = text;
	if (!take_number(&c, &s.class) || !cursor_take_char(&c, '.') ||
		!take_number(&c, &s.subject) || !cursor_take_char(&c, '.') ||
		!take_number(&c, &s.detail))
		return none;
	if (s.class != 2 && s.class != 4 && s.class != 5)
		return none;
	if (!cursor_done(&c) && !cursor_take_char(&c, ' '))
		return none;
	*ret_rest = c.rest;
	return s;
}

void
smtp_status_put(struct buf *b, struct smtp_status s)
{
	buf_printf(b, "%u.%u.%u", s.class, s.subject, s.detail);
}

/* Keeps what fits: a reply may be longer than anybody wants to read in a log. */
static void
keep_text(struct smtp_reply *r, Str text)
{
	size_t room = r->text.max - r->text.n;

	if (r->text.n > 0 && room > 0) {
		buf_put_char(&r->text, ' ');
		room--;
	}
	buf_put(&r->text, str_part(text, 0, room));
}

Err
smtp_reply_add_line(struct smtp_reply *r, Str line, bool *ret_last, Str *ret_text)
{
	struct cursor c = cursor_of(line);
	struct smtp_status status;
	bool last;
	unsigned code;
	Str rest;

	if (line.n > SMTP_REPLY_LINE_MAX)
		return fail(ERR_LIMIT, "server's line is too long");
	if (r->lines == SMTP_REPLY_LINES_MAX)
		return fail(ERR_LIMIT, "server's reply has too many lines");
	if (!parse_code(&c, &code))
		return fail(ERR_PEER, "server's line has no reply code");
	last = !cursor_take_char(&c, '-');
	/* some servers end a reply with the bare code (RFC 5321, 4.2.1: MUST be accepted) */
	if (last && !cursor_done(&c) && !cursor_take_char(&c, ' '))
		return fail(ERR_PEER, "server's line is not a reply");
	if (r->lines > 0 && code != r->code)
		return fail(ERR_PEER, "server's reply changes its code");
	r->code = code;
	r->lines++;
	status = smtp_status_parse(c.rest, &rest);
	if (status.class == code / 100 && r->status.class == 0)
		r->status = status;
	keep_text(r, status.class == code / 100 && r->lines > 1 ? rest : c.rest);
	*ret_last = last;
	*ret_text = c.rest;
	return OK;
}

enum smtp_reply_kind
smtp_reply_kind(const struct smtp_reply *r)
{
	switch (r->code / 100) {
	case 2:
		return SMTP_REPLY_DONE;
	case 3:
		return SMTP_REPLY_GO_ON;
	case 5:
		return SMTP_REPLY_NEVER;
	default:
		return SMTP_REPLY_LATER;
	}
}

struct smtp_status
smtp_reply_status(const struct smtp_reply *r)
{
	enum smtp_reply_kind kind = smtp_reply_kind(r);

	if (r->status.class != 0)
		return r->status;
	if (kind == SMTP_REPLY_GO_ON) /* where an end was due: the server's protocol error */
		return (struct smtp_status){ 5, 5, 0 };
	return (struct smtp_status){ (uint16_t)kind, 0, 0 };
}

void
smtp_reply_put(struct buf *b, const struct smtp_reply *r)
{
	Str text = buf_view(&r->text);

	buf_printf(b, "%03u", r->code);
	if (text.n > 0)
		buf_put_char(b, ' ');
	for (size_t at = 0; at < text.n; at++) {
		unsigned char c = str_at(text, at);

		buf_put_char(b, c < ' ' || c == 0x7f ? '?' : (char)c);
	}
}

static const struct {
	Str keyword;
	unsigned offer;
} offers[] = {
	{ S("PIPELINING"), SMTP_OFFER_PIPELINING },
	{ S("SIZE"), SMTP_OFFER_SIZE },
	{ S("8BITMIME"), SMTP_OFFER_8BITMIME },
	{ S("ENHANCEDSTATUSCODES"), SMTP_OFFER_ENHANCEDSTATUSCODES },
	{ S("SMTPUTF8"), SMTP_OFFER_SMTPUTF8 },
	{ S("CHUNKING"), SMTP_OFFER_CHUNKING },
	{ S("STARTTLS"), SMTP_OFFER_STARTTLS },
	{ S("AUTH"), SMTP_OFFER_AUTH },
	{ S("DSN"), SMTP_OFFER_DSN },
};

static void
add_mechanisms(struct smtp_offers *o, struct cursor *c)
{
	while (!cursor_done(c)) {
		Str mechanism = cursor_until(c, ' ');

		if (str_eq_icase(mechanism, S("PLAIN")))
			o->set |= SMTP_OFFER_AUTH_PLAIN;
		if (str_eq_icase(mechanism, S("LOGIN")))
			o->set |= SMTP_OFFER_AUTH_LOGIN;
		cursor_take_char(c, ' ');
	}
}

void
smtp_offers_add(struct smtp_offers *o, Str text)
{
	struct cursor c = cursor_of(str_trim(text));
	Str keyword = cursor_until(&c, ' ');
	unsigned offer = 0;

	/* "AUTH=PLAIN LOGIN": some servers still answer old clients in this shape */
	if (str_starts_icase(keyword, S("AUTH="))) {
		o->set |= SMTP_OFFER_AUTH;
		c = cursor_of(str_from_at(str_trim(text), 5));
		add_mechanisms(o, &c);
		return;
	}
	for (size_t i = 0; i < COUNT(offers); i++)
		if (str_eq_icase(keyword, offers[i].keyword))
			offer = offers[i].offer;
	o->set |= offer;
	cursor_take_char(&c, ' ');
	if (offer == SMTP_OFFER_SIZE && !str_to_u64(str_trim(c.rest), UINT64_MAX, &o->size_max))
		o->size_max = 0;
	if (offer == SMTP_OFFER_AUTH)
		add_mechanisms(o, &c);
}

void
smtp_reply_write(struct buf *b, unsigned code, Str text)
{
	Str line, rest;

	while (str_split(text, '\n', &line, &rest)) {
		buf_put_u64(b, code);
		buf_put_char(b, '-');
		buf_put(b, line);
		buf_put(b, S("\r\n"));
		text = rest;
	}
	buf_put_u64(b, code);
	buf_put_char(b, ' ');
	buf_put(b, text);
	buf_put(b, S("\r\n"));
}
