/* SPDX-License-Identifier: ISC */
#include "format/address/address.h"
#include "format/address/domain.h"
#include "test.h"

#define LABEL_63 "abcdefghijklmnopqrstuvwxyz-abcdefghijklmnopqrstuvwxyz-012345678"
#define LOCAL_64 "abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.0123456789"

static const struct {
	const char *why;
	Str text;
	unsigned allow;
	enum err_kind want;
	Str local, domain;
} mailboxes[] = {
	{ "plain", S("john@example.org"), 0, ERR_NONE, S("john"), S("example.org") },
	{ "every atext", S("a!#$%&'*+-/=?^_`{|}~0@b"), 0, ERR_NONE, S("a!#$%&'*+-/=?^_`{|}~0"),
		S("b") },
	{ "dots", S("a.b.c@d.e"), 0, ERR_NONE, S("a.b.c"), S("d.e") },
	{ "quoted", S("\"a b@c\"@d"), 0, ERR_NONE, S("\"a b@c\""), S("d") },
	{ "quoted quote", S("\"a\\\"\\\\\"@d"), 0, ERR_NONE, S("\"a\\\"\\\\\""), S("d") },
	{ "empty quoted", S("\"\"@d"), 0, ERR_NONE, S("\"\""), S("d") },
	{ "IPv4 literal", S("a@[192.0.2.1]"), 0, ERR_NONE, S("a"), S("[192.0.2.1]") },
	{ "IPv6 literal", S("a@[IPv6:2001:db8::1]"), 0, ERR_NONE, S("a"),
		S("[IPv6:2001:db8::1]") },
	{ "IPv6 literal, lower case", S("a@[ipv6:::1]"), 0, ERR_NONE, S("a"), S("[ipv6:::1]") },
	{ "UTF-8 asked for", S("\xc3\xa9@\xc3\xa9.fr"), ADDRESS_UTF8, ERR_NONE, S("\xc3\xa9"),
		S("\xc3\xa9.fr") },
	{ "UTF-8 in quotes", S("\"\xc3\xa9 \"@b"), ADDRESS_UTF8, ERR_NONE, S("\"\xc3\xa9 \""),
		S("b") },
	{ "local part of 64", S(LOCAL_64 "@b"), ADDRESS_SHORT_LOCAL, ERR_NONE, S(LOCAL_64),
		S("b") },
	{ "label of 63", S("a@" LABEL_63), 0, ERR_NONE, S("a"), S(LABEL_63) },
	{ "UTF-8 not asked for", S("\xc3\xa9@b"), 0, ERR_PEER, S(""), S("") },
	{ "overlong UTF-8", S("\xc0\xaf@b"), ADDRESS_UTF8, ERR_PEER, S(""), S("") },
	{ "surrogate", S("\xed\xa0\x80@b"), ADDRESS_UTF8, ERR_PEER, S(""), S("") },
	{ "half a character", S("a@\xc3"), ADDRESS_UTF8, ERR_PEER, S(""), S("") },
	{ "empty", S(""), 0, ERR_PEER, S(""), S("") },
	{ "no domain", S("john"), 0, ERR_PEER, S(""), S("") },
	{ "nothing behind @", S("john@"), 0, ERR_PEER, S(""), S("") },
	{ "nothing before @", S("@b"), 0, ERR_PEER, S(""), S("") },
	{ "leading dot", S(".a@b"), 0, ERR_PEER, S(""), S("") },
	{ "trailing dot", S("a.@b"), 0, ERR_PEER, S(""), S("") },
	{ "two dots", S("a..b@c"), 0, ERR_PEER, S(""), S("") },
	{ "two @", S("a@b@c"), 0, ERR_PEER, S(""), S("") },
	{ "blank", S("a b@c"), 0, ERR_PEER, S(""), S("") },
	{ "control character in quotes", S("\"a\x01\"@c"), 0, ERR_PEER, S(""), S("") },
	{ "NUL", S("a\0b@c"), 0, ERR_PEER, S(""), S("") },
	{ "NUL in quotes", S("\"\0\"@c"), 0, ERR_PEER, S(""), S("") },
	{ "open quote", S("\"a@c"), 0, ERR_PEER, S(""), S("") },
	{ "backslash at the end", S("\"a\\"), 0, ERR_PEER, S(""), S("") },
	{ "hyphen first", S("a@-b"), 0, ERR_PEER, S(""), S("") },
	{ "hyphen last", S("a@b-"), 0, ERR_PEER, S(""), S("") },
	{ "underscore", S("a@b_c"), 0, ERR_PEER, S(""), S("") },
	{ "empty label", S("a@b..c"), 0, ERR_PEER, S(""), S("") },
	{ "root dot", S("a@b."), 0, ERR_PEER, S(""), S("") },
	{ "label of 64", S("a@" LABEL_63 "x"), 0, ERR_PEER, S(""), S("") },
	{ "octet over 255", S("a@[1.2.3.256]"), 0, ERR_PEER, S(""), S("") },
	{ "three octets", S("a@[1.2.3]"), 0, ERR_PEER, S(""), S("") },
	{ "five octets", S("a@[1.2.3.4.5]"), 0, ERR_PEER, S(""), S("") },
	{ "IPv6 without its tag", S("a@[::1]"), 0, ERR_PEER, S(""), S("") },
	{ "IPv6 zone", S("a@[IPv6:fe80::1%12]"), 0, ERR_PEER, S(""), S("") },
	{ "open literal", S("a@[1.2.3.4"), 0, ERR_PEER, S(""), S("") },
	{ "unregistered tag", S("a@[x:y]"), 0, ERR_PEER, S(""), S("") },
	{ "local part of 65 as an account", S(LOCAL_64 "x@b"), ADDRESS_SHORT_LOCAL, ERR_LIMIT,
		S(""), S("") },
	{ "mailbox over 254", S(LOCAL_64 LOCAL_64 "@" LABEL_63 "." LABEL_63), 0, ERR_LIMIT,
		S(""), S("") },
};

static void
test_mailboxes(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mailboxes); i++) {
		struct address a = { .local = S(""), .domain = S("") };
		Err e = address_parse(exact(mailboxes[i].text), mailboxes[i].allow, &a);

		if (e.kind != mailboxes[i].want || !str_eq(a.local, mailboxes[i].local) ||
			!str_eq(a.domain, mailboxes[i].domain))
			fail_msg("%s: %s", mailboxes[i].why, err_kind_name(e.kind));
	}
}

static const struct {
	const char *why;
	Str text;
	unsigned allow;
	enum err_kind want;
	Str mailbox, rest;
} paths[] = {
	{ "plain", S("<a@b> SIZE=1"), 0, ERR_NONE, S("a@b"), S(" SIZE=1") },
	{ "null", S("<>"), ADDRESS_NULL, ERR_NONE, S(""), S("") },
	{ "null where none may be", S("<>"), 0, ERR_PEER, S(""), S("") },
	{ "postmaster", S("<PostMaster>"), ADDRESS_POSTMASTER, ERR_NONE, S("PostMaster"),
		S("") },
	{ "postmaster with a domain", S("<postmaster@b>"), ADDRESS_POSTMASTER, ERR_NONE,
		S("postmaster@b"), S("") },
	{ "postmaster as sender", S("<postmaster>"), ADDRESS_NULL, ERR_PEER, S(""), S("") },
	{ "route of one", S("<@x.org:a@b>"), 0, ERR_NONE, S("a@b"), S("") },
	{ "route of two", S("<@x.org,@[1.2.3.4]:a@b>"), 0, ERR_NONE, S("a@b"), S("") },
	{ "route without colon", S("<@x.org,a@b>"), 0, ERR_PEER, S(""), S("") },
	{ "route alone", S("<@x.org:>"), 0, ERR_PEER, S(""), S("") },
	{ "open bracket", S("<a@b"), 0, ERR_PEER, S(""), S("") },
	{ "quoted bracket", S("<\">\"@b>"), 0, ERR_NONE, S("\">\"@b"), S("") },
	{ "two brackets", S("<<a@b>>"), 0, ERR_PEER, S(""), S("") },
	{ "blank inside", S("< a@b>"), 0, ERR_PEER, S(""), S("") },
};

static void
test_paths(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(paths); i++) {
		struct address a = { .text = S("") };
		struct cursor c = cursor_of(exact(paths[i].text));
		Err e = address_parse_path(&c, paths[i].allow, &a);

		if (e.kind != paths[i].want || !str_eq(a.text, paths[i].mailbox))
			fail_msg("%s: %s", paths[i].why, err_kind_name(e.kind));
		if (!failed(e))
			assert_str(paths[i].rest, c.rest);
	}
}

static const struct {
	const char *why;
	Str text, key;
} keys[] = {
	{ "case", S("John.Doe@EXAMPLE.org"), S("john.doe@example.org") },
	{ "needless quotes", S("\"john\"@b"), S("john@b") },
	{ "needless backslash", S("\"\\j\\o hn\"@b"), S("jo hn@b") },
	{ "U-label",
		S("a@B\xc3\x9c"
		  "cher.example"),
		S("a@xn--bcher-kva.example") },
	{ "A-label", S("a@XN--bcher-kva.example"), S("a@xn--bcher-kva.example") },
	{ "literal", S("a@[IPv6:2001:DB8::1]"), S("a@[ipv6:2001:db8::1]") },
};

static void
test_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(keys); i++) {
		AUTO_BUF b = BUF_INIT(1000);
		struct address a;

		assert_ok(address_parse(exact(keys[i].text), ADDRESS_UTF8, &a));
		assert_ok(address_put_key(&b, &a));
		if (!str_eq(buf_view(&b), keys[i].key))
			fail_msg("%s: %.*s", keys[i].why, STR_ARG(buf_view(&b)));
	}
}

static void
test_domains(void **state)
{
	static const Str bad[] = { S(""), S("."), S("a..b"), S(".a"), S("\xff.a") };
	AUTO_BUF b = BUF_INIT(1000);

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_err(ERR_PEER, address_domain_put_key(&b, exact(bad[i])));
	assert_ok(address_domain_put_key(&b, exact(S("Example.ORG."))));
	assert_str(S("example.org"), buf_view(&b));
	buf_reset(&b);
	address_domain_put_readable(&b, exact(S("xn--bcher-kva.example")));
	assert_str(S("b\xc3\xbc"
		     "cher.example"),
		buf_view(&b));
}

static const struct {
	Str name, written;
} written[] = {
	{ S("john"), S("john@b") },
	{ S("a b"), S("\"a b\"@b") },
	{ S("a\"\\"), S("\"a\\\"\\\\\"@b") },
	{ S(""), S("\"\"@b") },
	{ S(".x"), S("\".x\"@b") },
};

static void
test_writing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(written); i++) {
		AUTO_BUF b = BUF_INIT(100);
		AUTO_BUF back = BUF_INIT(100);
		struct address a;

		address_write(&b, exact(written[i].name), S("b"));
		assert_str(written[i].written, buf_view(&b));
		assert_ok(address_parse(exact(buf_view(&b)), 0, &a));
		address_put_local(&back, &a);
		assert_str(written[i].name, buf_view(&back));
	}
}

static const struct {
	Str name, user, tag;
} tags[] = {
	{ S("user+tag"), S("user"), S("tag") },
	{ S("user"), S("user"), S("") },
	{ S("user+a+b"), S("user"), S("a+b") },
	{ S("+tag"), S("+tag"), S("") },
	{ S("user+"), S("user"), S("") },
	{ S(""), S(""), S("") },
};

static void
test_tags(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tags); i++) {
		Str user, tag;

		address_split_tag(exact(tags[i].name), '+', &user, &tag);
		assert_str(tags[i].user, user);
		assert_str(tags[i].tag, tag);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mailboxes),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_domains),
		cmocka_unit_test(test_writing),
		cmocka_unit_test(test_tags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
