/* SPDX-License-Identifier: ISC */
#include "format/mime/envelope.h"

#include "format/mime/text.h"

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")" */
static void
put_address(struct buf *b, const struct mime_address *a)
{
	static const Str nil = { 0 };

	buf_put_char(b, '(');
	mime_text_write(b, a->kind == MIME_ADDRESS_MAILBOX ? a->name : nil);
	buf_put_char(b, ' ');
	mime_text_write(b, a->route);
	buf_put_char(b, ' ');
	/* a group begins with its name as the mailbox and ends with NIL; its host is NIL */
	mime_text_write(b, a->kind == MIME_ADDRESS_MAILBOX ? a->local : a->name);
	buf_put_char(b, ' ');
	mime_text_write(b, a->kind == MIME_ADDRESS_MAILBOX ? a->domain : nil);
	buf_put_char(b, ')');
}

/* env-from and its like = "(" 1*address ")" / nil */
static Err
put_list(struct buf *b, Str body, struct arena *scratch)
{
	struct mime_address *first = NULL;

	if (body.n > 0)
		TRY(mime_address_parse(body, scratch, &first));
	if (first == NULL) {
		buf_put(b, S(" NIL"));
		return OK;
	}
	buf_put(b, S(" ("));
	for (const struct mime_address *a = first; a != NULL; a = a->next)
		put_address(b, a);
	buf_put_char(b, ')');
	return OK;
}

/* Sender and Reply-To are From's when the message has none (RFC 9051, 7.5.2). */
static Err
put_list_or_from(struct buf *b, Str body, size_t from, size_t from_size, struct arena *scratch)
{
	size_t before = b->n;

	TRY(put_list(b, body, scratch));
	if (b->n - before > 4)
		return OK;
	buf_cut(b, before);
	if (buf_room(b, from_size) == NULL)
		return fail(ERR_LIMIT, "envelope is too long");
	buf_put(b, (Str){ b->p + from, from_size });
	return OK;
}

Err
mime_envelope_write(struct buf *b, const struct mime_header *header, struct arena *scratch)
{
	const Str *fields = header->fields;
	size_t from, from_size;

	buf_put_char(b, '(');
	mime_text_write_field(b, fields[MIME_DATE]);
	buf_put_char(b, ' ');
	mime_text_write_field(b, fields[MIME_SUBJECT]);
	from = b->n;
	TRY(put_list(b, fields[MIME_FROM], scratch));
	from_size = b->n - from;
	TRY(put_list_or_from(b, fields[MIME_SENDER], from, from_size, scratch));
	TRY(put_list_or_from(b, fields[MIME_REPLY_TO], from, from_size, scratch));
	TRY(put_list(b, fields[MIME_TO], scratch));
	TRY(put_list(b, fields[MIME_CC], scratch));
	TRY(put_list(b, fields[MIME_BCC], scratch));
	buf_put_char(b, ' ');
	mime_text_write_field(b, fields[MIME_IN_REPLY_TO]);
	buf_put_char(b, ' ');
	mime_text_write_field(b, fields[MIME_MESSAGE_ID]);
	buf_put_char(b, ')');
	return buf_check(b);
}

static Err
parse_address(struct cursor *c, struct arena *arena, struct mime_address *ret)
{
	Str name, mailbox, host;

	cursor_need_char(c, '(');
	TRY(mime_text_parse(c, arena, &name));
	cursor_need_char(c, ' ');
	TRY(mime_text_parse(c, arena, &ret->route));
	cursor_need_char(c, ' ');
	TRY(mime_text_parse(c, arena, &mailbox));
	cursor_need_char(c, ' ');
	TRY(mime_text_parse(c, arena, &host));
	cursor_need_char(c, ')');
	ret->next = NULL;
	ret->kind = MIME_ADDRESS_MAILBOX;
	ret->name = name;
	ret->local = mailbox;
	ret->domain = host;
	if (host.p == NULL) {
		ret->kind = mailbox.p == NULL ? MIME_ADDRESS_END : MIME_ADDRESS_GROUP;
		ret->name = mailbox;
		ret->local = (Str){ 0 };
	}
	return OK;
}

static Err
parse_list(struct cursor *c, struct arena *arena, struct mime_address **ret)
{
	struct mime_address **end = ret;

	*ret = NULL;
	cursor_need_char(c, ' ');
	if (cursor_take_str(c, S("NIL")))
		return OK;
	cursor_need_char(c, '(');
	while (!c->bad && !cursor_take_char(c, ')')) {
		*end = arena_try(arena, sizeof(**end));
		if (*end == NULL)
			return fail(ERR_LIMIT, "too many addresses");
		TRY(parse_address(c, arena, *end));
		end = &(*end)->next;
	}
	return OK;
}

Err
mime_envelope_parse(Str s, struct arena *arena, struct mime_envelope *ret)
{
	struct cursor c = cursor_of(s);
	struct mime_envelope e = { 0 };

	cursor_need_char(&c, '(');
	TRY(mime_text_parse(&c, arena, &e.date));
	cursor_need_char(&c, ' ');
	TRY(mime_text_parse(&c, arena, &e.subject));
	TRY(parse_list(&c, arena, &e.from));
	TRY(parse_list(&c, arena, &e.sender));
	TRY(parse_list(&c, arena, &e.reply_to));
	TRY(parse_list(&c, arena, &e.to));
	TRY(parse_list(&c, arena, &e.cc));
	TRY(parse_list(&c, arena, &e.bcc));
	cursor_need_char(&c, ' ');
	TRY(mime_text_parse(&c, arena, &e.in_reply_to));
	cursor_need_char(&c, ' ');
	TRY(mime_text_parse(&c, arena, &e.message_id));
	cursor_need_char(&c, ')');
	if (c.bad || c.rest.n > 0)
		return fail(ERR_PEER, "not an envelope");
	*ret = e;
	return OK;
}
