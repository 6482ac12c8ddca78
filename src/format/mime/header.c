/* SPDX-License-Identifier: ISC */
#include "format/mime/header.h"

static const struct {
	Str name;
	enum mime_field_id id;
} known[] = {
	{ S("Date"), MIME_DATE },
	{ S("Subject"), MIME_SUBJECT },
	{ S("From"), MIME_FROM },
	{ S("Sender"), MIME_SENDER },
	{ S("Reply-To"), MIME_REPLY_TO },
	{ S("To"), MIME_TO },
	{ S("Cc"), MIME_CC },
	{ S("Bcc"), MIME_BCC },
	{ S("In-Reply-To"), MIME_IN_REPLY_TO },
	{ S("Message-ID"), MIME_MESSAGE_ID },
	{ S("References"), MIME_REFERENCES },
	{ S("Content-Type"), MIME_CONTENT_TYPE },
	{ S("Content-Transfer-Encoding"), MIME_CONTENT_ENCODING },
	{ S("Content-Disposition"), MIME_CONTENT_DISPOSITION },
	{ S("Content-ID"), MIME_CONTENT_ID },
	{ S("Content-Description"), MIME_CONTENT_DESCRIPTION },
	{ S("Content-Language"), MIME_CONTENT_LANGUAGE },
	{ S("Content-Location"), MIME_CONTENT_LOCATION },
	{ S("Content-MD5"), MIME_CONTENT_MD5 },
	{ S("Auto-Submitted"), MIME_AUTO_SUBMITTED },
};

/* ftext = %d33-57 / %d59-126; blanks before the colon are obsolete syntax */
static Str
field_name(Str line, size_t colon)
{
	Str name = str_part(line, 0, colon);

	while (name.n > 0 && (name.p[name.n - 1] == ' ' || name.p[name.n - 1] == '\t'))
		name.n--;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] <= ' ' || name.p[i] == 127)
			return S("");
	return name;
}

bool
mime_field_next(struct cursor *c, struct mime_field *ret)
{
	Str start = c->rest;
	Str line;
	size_t colon, end;

	if (cursor_done(c))
		return false;
	line = cursor_line(c);
	if (line.n == 0)
		return false;
	end = line.n;
	while (cursor_peek(c) == ' ' || cursor_peek(c) == '\t') {
		Str more = cursor_line(c);

		/* a folded line of blanks alone is still a line of the field */
		end = (size_t)(more.p - start.p) + more.n;
	}
	ret->whole = str_part(start, 0, start.n - c->rest.n);
	colon = str_find(line, ':');
	ret->name = colon == STR_NONE ? S("") : field_name(line, colon);
	ret->body = ret->name.n == 0 ? str_part(start, 0, end)
				     : str_part(start, colon + 1, end - colon - 1);
	return true;
}

void
mime_field_unfold(struct buf *b, Str body)
{
	Str s = str_trim(body);

	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != '\r' && s.p[i] != '\n' && s.p[i] != '\0')
			buf_put_char(b, s.p[i]);
}

size_t
mime_header_size(Str message)
{
	struct cursor c = cursor_of(message);

	while (!cursor_done(&c))
		if (cursor_line(&c).n == 0)
			break;
	return message.n - c.rest.n;
}

static void
keep(const struct mime_field *field, struct mime_header *ret)
{
	for (size_t i = 0; i < COUNT(known); i++) {
		Str *at = &ret->fields[known[i].id];

		if (field->name.n != known[i].name.n ||
			!str_eq_icase(field->name, known[i].name))
			continue;
		if (at->p == NULL)
			*at = field->body.n == 0 ? S("") : field->body;
		return;
	}
}

void
mime_header_read(struct cursor *c, struct mime_header *ret)
{
	struct mime_field field;
	size_t seen = 0;

	*ret = (struct mime_header){ 0 };
	while (mime_field_next(c, &field)) {
		seen += field.whole.n;
		if (seen <= MIME_HEADER_MAX)
			keep(&field, ret);
	}
}

Str
mime_header_message_id(Str body)
{
	size_t open = str_find(body, '<');
	size_t close;

	if (open == STR_NONE)
		return S("");
	body = str_from_at(body, open);
	close = str_find(body, '>');
	return close == STR_NONE || close < 2 ? S("") : str_part(body, 0, close + 1);
}
