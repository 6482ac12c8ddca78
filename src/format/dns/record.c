/* SPDX-License-Identifier: ISC */
#include "format/dns/record.h"

/* `_` is no host name by RFC 1123, but real mail exchangers and all policy records use it. */
static bool
is_name_char(int c)
{
	return char_is_alnum(c) || c == '-' || c == '_';
}

static bool
label_valid(Str label)
{
	if (label.n == 0 || label.n > DNS_LABEL_MAX)
		return false;
	for (size_t i = 0; i < label.n; i++)
		if (!is_name_char(str_at(label, i)))
			return false;
	return true;
}

Err
dns_record_parse_name(struct cursor *c, struct buf *b)
{
	size_t from = b->n;

	for (;;) {
		uint8_t length = cursor_u8(c);
		Str label = cursor_take(c, length);

		if (c->bad || length > DNS_LABEL_MAX)
			return fail(ERR_PEER, "broken name in DNS data");
		if (length == 0)
			break;
		if (!label_valid(label))
			return fail(ERR_PEER, "not a host name in DNS data");
		if (b->n > from)
			buf_put_char(b, '.');
		buf_put(b, label);
		if (b->n - from > DNS_NAME_MAX)
			return fail(ERR_PEER, "name in DNS data too long");
	}
	buf_lower_from(b, from);
	return buf_check(b);
}

Err
dns_record_parse_mx(Str data, uint16_t *ret_preference, struct buf *b)
{
	struct cursor c = cursor_of(data);
	uint16_t preference = cursor_u8(&c);

	preference = (uint16_t)(preference << 8 | cursor_u8(&c)); /* network order */
	TRY(dns_record_parse_name(&c, b));
	if (c.rest.n > 0)
		return fail(ERR_PEER, "octets behind an MX record");
	*ret_preference = preference;
	return OK;
}

Err
dns_record_parse_txt(Str data, struct buf *b)
{
	struct cursor c = cursor_of(data);

	do {
		uint8_t length = cursor_u8(&c);

		buf_put(b, cursor_take(&c, length));
	} while (!c.bad && c.rest.n > 0);
	if (c.bad)
		return fail(ERR_PEER, "broken TXT record");
	return buf_check(b);
}

bool
dns_record_name_valid(Str name)
{
	Str label, rest = name;

	if (str_ends(name, S(".")))
		rest = str_part(name, 0, name.n - 1);
	if (rest.n == 0 || rest.n > DNS_NAME_MAX)
		return false;
	while (str_split(rest, '.', &label, &rest))
		if (!label_valid(label))
			return false;
	return label_valid(rest);
}
