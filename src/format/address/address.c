/* SPDX-License-Identifier: ISC */
#include "format/address/address.h"

#include "base/utf8.h"
#include "format/address/domain.h"

#include <arpa/inet.h>
#include <assert.h>

static const char not_address[] = "not a mail address";

static bool
is_atext(int c)
{
	return char_is_alnum(c) ||
	       (c > 0 && c < 0x80 && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

/* One UTF8-non-ascii (RFC 6532, 3.1). */
static bool
take_utf8(struct cursor *c, struct address *a)
{
	if (cursor_peek(c) < 0x80)
		return false;
	a->utf8 = true;
	utf8_next(c);
	return !c->bad;
}

/* Dot-string = Atom *("." Atom) */
static void
read_dot_string(struct cursor *c, struct address *a)
{
	do {
		size_t before = c->rest.n;

		while (cursor_while(c, is_atext).n > 0 || take_utf8(c, a))
			;
		if (c->rest.n == before)
			c->bad = true;
	} while (cursor_take_char(c, '.'));
}

/* Quoted-string = DQUOTE *( qtextSMTP / "\" %d32-126 ) DQUOTE */
static void
read_quoted(struct cursor *c, struct address *a)
{
	a->quoted = true;
	cursor_need_char(c, '"');
	while (!cursor_take_char(c, '"')) {
		int next;

		if (take_utf8(c, a))
			continue;
		next = cursor_next(c);
		if (next == '\\')
			next = cursor_next(c);
		if (next < ' ' || next > '~')
			c->bad = true;
		if (c->bad)
			return;
	}
}

static bool
is_ldh(int c)
{
	return char_is_alnum(c) || c == '-';
}

/* sub-domain = Let-dig [Ldh-str], or a U-label: its own rules are IDNA's (domain.h). */
static void
read_label(struct cursor *c, struct address *a)
{
	Str start = c->rest;
	Str label;

	while (cursor_while(c, is_ldh).n > 0 || take_utf8(c, a))
		;
	label = str_part(start, 0, start.n - c->rest.n);
	if (label.n == 0 || str_starts(label, S("-")) || str_ends(label, S("-")))
		c->bad = true;
	if (label.n > ADDRESS_LABEL_MAX && utf8_is_ascii(label))
		c->bad = true;
}

/* IPv4-address-literal = Snum 3("." Snum); leading zeros are allowed there */
static bool
is_ipv4(Str text)
{
	for (int left = 4; left > 0; left--) {
		uint64_t number;
		Str part = text, rest = S("");

		if (left > 1 && !str_split(text, '.', &part, &rest))
			return false;
		if (part.n > 3 || !str_to_u64(part, 255, &number))
			return false;
		text = rest;
	}
	return true;
}

/* "IPv6:" and what RFC 4291 writes; other tags are not registered, so nobody can mean them. */
static bool
is_literal(Str text)
{
	char ip[INET6_ADDRSTRLEN];
	struct in6_addr parsed;

	if (!str_starts_icase(text, S("IPv6:")))
		return is_ipv4(text);
	return !failed(str_c(str_from_at(text, 5), ip, sizeof(ip))) &&
	       inet_pton(AF_INET6, ip, &parsed) == 1;
}

/* Domain / address-literal */
static void
read_domain(struct cursor *c, struct address *a)
{
	Str start = c->rest;

	if (cursor_take_char(c, '[')) {
		a->literal = true;
		if (!is_literal(cursor_until(c, ']')))
			c->bad = true;
		cursor_need_char(c, ']');
	} else {
		do
			read_label(c, a);
		while (!c->bad && cursor_take_char(c, '.'));
	}
	a->domain = str_part(start, 0, start.n - c->rest.n);
}

/* Mailbox = Local-part "@" ( Domain / address-literal ), or postmaster alone where allowed */
static void
read_mailbox(struct cursor *c, unsigned allow, struct address *a)
{
	Str start = c->rest;

	if (cursor_peek(c) == '"')
		read_quoted(c, a);
	else
		read_dot_string(c, a);
	a->local = str_part(start, 0, start.n - c->rest.n);
	if ((allow & ADDRESS_POSTMASTER) != 0 && cursor_peek(c) != '@' &&
		str_eq_icase(a->local, S("postmaster"))) {
		a->text = a->local;
		return;
	}
	cursor_need_char(c, '@');
	if (!c->bad)
		read_domain(c, a);
	a->text = str_part(start, 0, start.n - c->rest.n);
}

static Err
check_mailbox(const struct cursor *c, unsigned allow, const struct address *a)
{
	if (c->bad)
		return fail(ERR_PEER, not_address);
	if (a->utf8 && (allow & ADDRESS_UTF8) == 0)
		return fail(ERR_PEER, "address is not ASCII");
	if (a->text.n > ADDRESS_MAX || a->domain.n > ADDRESS_DOMAIN_MAX)
		return fail(ERR_LIMIT, "address is too long");
	if ((allow & ADDRESS_SHORT_LOCAL) != 0 && a->local.n > ADDRESS_LOCAL_MAX)
		return fail(ERR_LIMIT, "local part is too long");
	return OK;
}

Err
address_parse(Str text, unsigned allow, struct address *ret)
{
	struct cursor c = cursor_of(text);
	struct address a = { .text = S(""), .local = S(""), .domain = S("") };

	assert((allow & (ADDRESS_NULL | ADDRESS_POSTMASTER)) == 0);
	read_mailbox(&c, allow, &a);
	if (!cursor_done(&c))
		c.bad = true;
	TRY(check_mailbox(&c, allow, &a));
	*ret = a;
	return OK;
}

/* A-d-l = At-domain *( "," At-domain ), and its ":" */
static void
skip_route(struct cursor *c)
{
	struct address hop = { 0 };
	size_t before = c->rest.n;

	do {
		cursor_need_char(c, '@');
		if (!c->bad)
			read_domain(c, &hop);
	} while (!c->bad && cursor_take_char(c, ','));
	cursor_need_char(c, ':');
	if (before - c->rest.n > ADDRESS_ROUTE_MAX)
		c->bad = true;
}

Err
address_parse_path(struct cursor *c, unsigned allow, struct address *ret)
{
	struct address a = { .text = S(""), .local = S(""), .domain = S("") };

	cursor_need_char(c, '<');
	if ((allow & ADDRESS_NULL) != 0 && cursor_take_char(c, '>')) {
		*ret = a;
		return OK;
	}
	if (cursor_peek(c) == '@')
		skip_route(c);
	read_mailbox(c, allow, &a);
	cursor_need_char(c, '>');
	TRY(check_mailbox(c, allow, &a));
	*ret = a;
	return OK;
}

Err
address_check_domain(Str text, unsigned allow)
{
	struct cursor c = cursor_of(text);
	struct address a = { .text = S(""), .local = S(""), .domain = S("") };

	read_domain(&c, &a);
	if (!cursor_done(&c))
		c.bad = true;
	return check_mailbox(&c, allow, &a);
}

void
address_put_local(struct buf *b, const struct address *a)
{
	struct cursor c = cursor_of(a->local);

	if (!a->quoted) {
		buf_put(b, a->local);
		return;
	}
	cursor_take_char(&c, '"');
	while (c.rest.n > 1) {
		cursor_take_char(&c, '\\');
		buf_put(b, cursor_take(&c, 1));
	}
}

static bool
needs_quotes(Str name)
{
	struct cursor c = cursor_of(name);
	struct address ignored;

	read_dot_string(&c, &ignored);
	return c.bad || c.rest.n > 0;
}

void
address_write(struct buf *b, Str name, Str domain)
{
	if (needs_quotes(name)) {
		buf_put_char(b, '"');
		for (size_t at = 0; at < name.n; at++) {
			char c = (char)str_at(name, at);

			if (c == '"' || c == '\\')
				buf_put_char(b, '\\');
			buf_put_char(b, c);
		}
		buf_put_char(b, '"');
	} else {
		buf_put(b, name);
	}
	if (domain.n > 0) {
		buf_put_char(b, '@');
		buf_put(b, domain);
	}
}

Err
address_put_key(struct buf *b, const struct address *a)
{
	size_t start = b->n;

	address_put_local(b, a);
	buf_lower_from(b, start);
	if (a->domain.n == 0)
		return buf_check(b);
	buf_put_char(b, '@');
	return address_domain_put_key(b, a->domain);
}

void
address_split_tag(Str name, char separator, Str *ret_user, Str *ret_tag)
{
	size_t at = str_find(str_from_at(name, 1), separator);

	if (name.n == 0 || at == STR_NONE) {
		*ret_user = name;
		*ret_tag = S("");
		return;
	}
	*ret_user = str_part(name, 0, at + 1);
	*ret_tag = str_from_at(name, at + 2);
}
