/* SPDX-License-Identifier: ISC */
#include "store/directory.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

enum {
	SCRATCH = 16 * 1024 * 1024,
	WORDS = 8,
};

static const Time now = { 1772352000000000 };

/* Words with a blank between; answers what the command said, its exit code in *ret. */
static int
run(struct directory *d, const char *line, struct buf *said)
{
	struct cursor c = cursor_of(str_from(line));
	Str words[WORDS];
	size_t n = 0;
	int code;

	while (!cursor_done(&c)) {
		assert_true(n < WORDS);
		words[n++] = cursor_until(&c, ' ');
		cursor_take_char(&c, ' ');
	}
	assert_ok(directory_command(d, words, n, S(""), now, said, &code));
	return code;
}

static void
must(struct directory *d, const char *line)
{
	AUTO_BUF said = BUF_INIT(SCRATCH);

	if (run(d, line, &said) != EX_OK)
		fail_msg("%s: %.*s", line, STR_ARG(buf_view(&said)));
}

/* Two domains with one account each and aliases between them. */
static struct directory *
sample(void)
{
	static const char *const lines[] = {
		"domain add a.example",
		"domain add b.example",
		"account add adamj@a.example $6$s$h",
		"account add Info@b.example $6$s$i",
		"account add sleepy@a.example $6$s$j",
		"account disable sleepy@a.example",
		"alias add John_Adams@a.example adamj@a.example",
		"alias add info@a.example adamj@a.example",
		"alias add admin@a.example adamj sysadmin@elsewhere.example info@b.example",
		"alias add staff@a.example admin@a.example",
		"alias add @b.example info@b.example",
	};
	struct directory *d;

	assert_ok(directory_open(":memory:", &d));
	for (size_t i = 0; i < COUNT(lines); i++)
		must(d, lines[i]);
	return d;
}

static uint64_t
id_of(struct directory *d, Str address, enum directory_answer want)
{
	struct directory_match match;

	assert_ok(directory_find(d, exact(address), &match));
	if (match.answer != want)
		fail_msg("%.*s is %d", STR_ARG(address), match.answer);
	return match.id;
}

static const struct {
	const char *why;
	Str address;
	enum directory_answer want;
	Str same_as;
} finds[] = {
	{ "account", S("adamj@a.example"), DIRECTORY_IS_ACCOUNT, S("") },
	{ "case of the local part", S("AdamJ@a.example"), DIRECTORY_IS_ACCOUNT,
		S("adamj@a.example") },
	{ "case of the domain", S("adamj@A.EXAMPLE"), DIRECTORY_IS_ACCOUNT,
		S("adamj@a.example") },
	{ "needless quotes", S("\"adamj\"@a.example"), DIRECTORY_IS_ACCOUNT,
		S("adamj@a.example") },
	{ "subaddress", S("adamj+lists@a.example"), DIRECTORY_IS_ACCOUNT,
		S("adamj@a.example") },
	{ "subaddress of an alias", S("info+x@a.example"), DIRECTORY_IS_ALIAS,
		S("info@a.example") },
	{ "tag alone is no user", S("+x@a.example"), DIRECTORY_NO_USER, S("") },
	{ "unknown", S("nobody@a.example"), DIRECTORY_NO_USER, S("") },
	{ "foreign", S("adamj@c.example"), DIRECTORY_NO_DOMAIN, S("") },
	{ "address literal", S("adamj@[192.0.2.1]"), DIRECTORY_NO_DOMAIN, S("") },
	{ "disabled", S("sleepy@a.example"), DIRECTORY_IS_DISABLED, S("") },
	{ "catch-all", S("anything@b.example"), DIRECTORY_IS_ALIAS, S("other@b.example") },
	{ "postmaster", S("postmaster@a.example"), DIRECTORY_IS_ALIAS,
		S("PostMaster@A.example") },
	{ "postmaster without a domain", S("Postmaster"), DIRECTORY_IS_ALIAS,
		S("postmaster@a.example") },
	{ "postmaster before the catch-all", S("postmaster@b.example"), DIRECTORY_IS_ALIAS,
		S("postmaster@a.example") },
};

static void
test_find(void **state)
{
	AUTO(directory) d = sample();

	(void)state;
	for (int round = 0; round < 2; round++) /* the second from the cache */
		for (size_t i = 0; i < COUNT(finds); i++) {
			uint64_t id = id_of(d, finds[i].address, finds[i].want);

			if (finds[i].same_as.n > 0 &&
				id != id_of(d, finds[i].same_as, finds[i].want))
				fail_msg("%s", finds[i].why);
		}
}

static void
test_not_an_address(void **state)
{
	static const Str bad[] = { S(""), S("@"), S("@b.example"), S("a"), S("a b@c"),
		S("\0@a.example"), S("a@b@c") };
	AUTO(directory) d = sample();
	struct directory_match match;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_err(ERR_PEER, directory_find(d, exact(bad[i]), &match));
}

static void
test_SD_093_alias_of_one_user_in_any_case(void **state)
{
	static const Str names[] = { S("John_Adams@a.example"), S("john_adams@a.example"),
		S("JOHN_ADAMS@a.example") };
	AUTO(directory) d = sample();
	AUTO(arena) a = arena_new(SCRATCH);
	struct directory_expansion x;

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		assert_ok(directory_expand(d, id_of(d, names[i], DIRECTORY_IS_ALIAS), 0, 500, a,
			&x));
		assert_int_equal(1, x.n);
		assert_true(x.done);
		assert_str(S("adamj@a.example"), x.members[0]);
	}
}

static void
test_SD_094_alias_of_local_and_remote_members(void **state)
{
	AUTO(directory) d = sample();
	AUTO(arena) a = arena_new(SCRATCH);
	uint64_t alias = id_of(d, S("admin@a.example"), DIRECTORY_IS_ALIAS);
	struct directory_expansion x;

	(void)state;
	must(d, "alias add admin@a.example ADAMJ@A.EXAMPLE"); /* there already */
	assert_ok(directory_expand(d, alias, 0, 500, a, &x));
	assert_int_equal(3, x.n);
	assert_str(S("adamj@a.example"), x.members[0]);
	assert_true(x.local[0]);
	assert_str(S("sysadmin@elsewhere.example"), x.members[1]);
	assert_false(x.local[1]);
	assert_true(x.local[2]);
}

static void
test_SD_106_same_name_in_two_domains_and_catch_all(void **state)
{
	AUTO(directory) d = sample();
	AUTO(arena) a = arena_new(SCRATCH);
	struct directory_expansion x;
	struct directory_account account;

	(void)state;
	assert_ok(directory_expand(d, id_of(d, S("info@a.example"), DIRECTORY_IS_ALIAS), 0, 9,
		a, &x));
	assert_str(S("adamj@a.example"), x.members[0]);
	assert_ok(directory_account(d, id_of(d, S("info@b.example"), DIRECTORY_IS_ACCOUNT), a,
		&account));
	assert_str(S("Info@b.example"), account.address);
	assert_str(S("b.example/info"), account.folder);
	assert_ok(directory_expand(d, id_of(d, S("who@b.example"), DIRECTORY_IS_ALIAS), 0, 9, a,
		&x));
	assert_str(S("info@b.example"), x.members[0]);
}

static void
test_expansion_in_pieces(void **state)
{
	AUTO(directory) d = sample();
	AUTO(arena) a = arena_new(SCRATCH);
	uint64_t alias = id_of(d, S("admin@a.example"), DIRECTORY_IS_ALIAS);
	struct directory_expansion x;

	(void)state;
	assert_ok(directory_expand(d, alias, 0, 2, a, &x));
	assert_int_equal(2, x.n);
	assert_false(x.done);
	assert_ok(directory_expand(d, alias, x.cursor, 2, a, &x));
	assert_int_equal(1, x.n);
	assert_true(x.done);
	assert_ok(directory_expand(d, alias, 0, 2, a, &x));
	must(d, "alias remove admin@a.example info@b.example"); /* the cursor is void now */
	assert_ok(directory_expand(d, alias, x.cursor, 2, a, &x));
	assert_int_equal(2, x.n);
	assert_true(x.done);
	must(d, "alias remove admin@a.example");
	assert_err(ERR_GONE, directory_expand(d, alias, 0, 2, a, &x));
}

static void
test_postmaster(void **state)
{
	AUTO(directory) d = sample();
	AUTO(directory) empty = NULL;
	AUTO(arena) a = arena_new(SCRATCH);
	struct directory_expansion x;
	struct directory_match match;
	uint64_t id = id_of(d, S("postmaster"), DIRECTORY_IS_ALIAS);

	(void)state;
	assert_ok(directory_expand(d, id, 0, 9, a, &x));
	assert_str(S("adamj@a.example"), x.members[0]);
	directory_set(d, S("+"), S("info@b.example"));
	assert_ok(directory_expand(d, id, 0, 9, a, &x));
	assert_str(S("info@b.example"), x.members[0]);
	directory_set(d, S("+"), S("postmaster@a.example")); /* would lead back here */
	assert_ok(directory_expand(d, id, 0, 9, a, &x));
	assert_str(S("adamj@a.example"), x.members[0]);
	assert_ok(directory_open(":memory:", &empty));
	assert_err(ERR_TEMP, directory_find(empty, S("postmaster"), &match));
}

static const struct {
	const char *why;
	Str user, address;
	bool want;
} senders[] = {
	{ "its own", S("adamj@a.example"), S("AdamJ@a.example"), true },
	{ "its own with a tag", S("adamj@a.example"), S("adamj+x@a.example"), true },
	{ "an alias of it", S("adamj@a.example"), S("john_adams@a.example"), true },
	{ "an alias of an alias", S("adamj@a.example"), S("staff@a.example"), true },
	{ "the catch-all's", S("info@b.example"), S("whatever@b.example"), true },
	{ "as postmaster", S("adamj@a.example"), S("postmaster@a.example"), true },
	{ "postmaster is another", S("info@b.example"), S("postmaster@a.example"), false },
	{ "another's", S("info@b.example"), S("adamj@a.example"), false },
	{ "an alias of another", S("info@b.example"), S("john_adams@a.example"), false },
	{ "foreign", S("adamj@a.example"), S("x@elsewhere.example"), false },
	{ "unknown", S("adamj@a.example"), S("x@a.example"), false },
	{ "no address", S("adamj@a.example"), S("x"), false },
};

/* RFC 5891: U-labels and A-labels are the same domain. */
static void
test_domains_beyond_ascii(void **state)
{
	AUTO(directory) d = sample();
	AUTO(arena) a = arena_new(SCRATCH);
	struct directory_account account;
	uint64_t id;

	(void)state;
	must(d, "domain add b\xc3\xbc"
		"cher.example");
	must(d, "account add j\xc3\xb6rg@xn--bcher-kva.example $6$x");
	id = id_of(d,
		S("j\xc3\xb6rg@B\xc3\x9c"
		  "CHER.example"),
		DIRECTORY_IS_ACCOUNT);
	assert_true(id ==
		    id_of(d, S("J\xc3\xb6rg@XN--BCHER-KVA.example"), DIRECTORY_IS_ACCOUNT));
	assert_ok(directory_account(d, id, a, &account));
	assert_str(S("xn--bcher-kva.example/j\xc3\xb6rg"), account.folder);
}

static void
test_may_send(void **state)
{
	AUTO(directory) d = sample();

	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++) {
		uint64_t id = id_of(d, senders[i].user, DIRECTORY_IS_ACCOUNT);
		bool may;

		assert_ok(directory_may_send(d, id, exact(senders[i].address), &may));
		if (may != senders[i].want)
			fail_msg("%s", senders[i].why);
	}
}

static void
test_user(void **state)
{
	AUTO(directory) d = sample();
	AUTO(arena) a = arena_new(SCRATCH);
	struct directory_account account;

	(void)state;
	assert_ok(directory_user(d, S("ADAMJ@A.example"), a, &account));
	assert_str(S("$6$s$h"), account.password);
	assert_ok(directory_user(d, S("adamj"), a, &account));
	assert_str(S("a.example/adamj"), account.folder);
	must(d, "account add adamj@b.example $6$x");
	assert_err(ERR_GONE, directory_user(d, S("adamj"), a, &account));
	assert_err(ERR_GONE, directory_user(d, S("john_adams@a.example"), a, &account));
	assert_err(ERR_GONE, directory_user(d, S("\0"), a, &account));
	assert_err(ERR_GONE, directory_user(d, S(""), a, &account));
}

static void
test_a_later_account_gets_a_folder_of_its_own(void **state)
{
	AUTO(directory) d = sample();
	AUTO(arena) a = arena_new(SCRATCH);
	uint64_t before = id_of(d, S("adamj@a.example"), DIRECTORY_IS_ACCOUNT);
	struct directory_account account;

	(void)state;
	must(d, "account remove adamj@a.example");
	id_of(d, S("adamj@a.example"), DIRECTORY_NO_USER);
	must(d, "account add adamj@a.example $6$x");
	assert_ok(directory_user(d, S("adamj@a.example"), a, &account));
	assert_true(account.id > before);
	assert_str(S("a.example/adamj~4"), account.folder);
}

static const struct {
	const char *line;
	int want;
	const char *said;
} refusals[] = {
	{ "domain add a.example", EX_CANTCREAT, "that domain is there already\n" },
	{ "domain add A.EXAMPLE", EX_CANTCREAT, "that domain is there already\n" },
	{ "domain add a..b", EX_DATAERR, "not a domain name\n" },
	{ "domain add [192.0.2.1]", EX_DATAERR, "not a domain name\n" },
	{ "domain remove c.example", EX_NOUSER, "no such domain here\n" },
	{ "domain remove a.example", EX_DATAERR,
		"that domain still has accounts or aliases\n" },
	{ "account add x@c.example $6$x", EX_NOUSER, "no such domain here\n" },
	{ "account add adamj@a.example $6$x", EX_CANTCREAT,
		"there is an account of that address already\n" },
	{ "account add info@a.example $6$x", EX_CANTCREAT,
		"there is an alias of that address already\n" },
	{ "account add a/b@a.example $6$x", EX_DATAERR,
		"an account's name has letters, digits and ._-+=&' (other addresses can be "
		"aliases)\n" },
	{ "account add \"..\"@a.example h", EX_DATAERR,
		"an account's name has letters, digits and ._-+=&' (other addresses can be "
		"aliases)\n" },
	{ "account add plain@a.example secret", EX_DATAERR, "not a password's hash\n" },
	{ "account remove x@a.example", EX_NOUSER, "no such account\n" },
	{ "account passwd x@a.example $6$x", EX_NOUSER, "no such account\n" },
	{ "alias add adamj@a.example x@y", EX_CANTCREAT,
		"there is an account of that address already\n" },
	{ "alias add loop@a.example LOOP@a.example", EX_DATAERR,
		"an alias cannot be a member of itself\n" },
	{ "alias add x@a.example @b.example", EX_DATAERR, "a member is an address\n" },
	{ "alias remove x@a.example", EX_NOUSER, "no such alias\n" },
	{ "alias remove admin@a.example x@y", EX_NOUSER, "no such member\n" },
};

static void
test_refusals_change_nothing(void **state)
{
	AUTO(directory) d = sample();
	AUTO_BUF before = BUF_INIT(SCRATCH);

	(void)state;
	assert_int_equal(EX_OK, run(d, "dump", &before));
	for (size_t i = 0; i < COUNT(refusals); i++) {
		AUTO_BUF said = BUF_INIT(SCRATCH);
		AUTO_BUF after = BUF_INIT(SCRATCH);

		if (run(d, refusals[i].line, &said) != refusals[i].want ||
			!str_eq(str_from(refusals[i].said), buf_view(&said)))
			fail_msg("%s: %.*s", refusals[i].line, STR_ARG(buf_view(&said)));
		assert_int_equal(EX_OK, run(d, "dump", &after));
		assert_str(buf_view(&before), buf_view(&after));
	}
}

/* verb is run or try; what was said. */
static int
apply(struct directory *d, const char *verb, Str text, struct buf *said)
{
	AUTO(arena) a = arena_new(SCRATCH);
	AUTO_BUF packed = BUF_INIT(SCRATCH);
	struct config_errors errors = { .arena = a };
	Str words[] = { S("apply"), str_from(verb) };
	int code;

	assert_ok(directory_text_parse(text, a, &packed, &errors));
	assert_ok(directory_command(d, words, COUNT(words), buf_view(&packed), now, said,
		&code));
	return code;
}

static void
dump(struct directory *d, struct buf *ret)
{
	AUTO(arena) a = arena_new(SCRATCH);
	AUTO_BUF packed = BUF_INIT(SCRATCH);
	struct directory_record record;
	struct cursor c;

	assert_int_equal(EX_OK, run(d, "dump", &packed));
	directory_text_begin(ret);
	for (c = cursor_of(buf_view(&packed)); !cursor_done(&c);) {
		assert_ok(directory_record_parse(&c, a, &record));
		directory_text_write(&record, ret);
	}
}

static void
test_what_is_dumped_applies_to_the_same(void **state)
{
	AUTO(directory) d = sample();
	AUTO(directory) other = NULL;
	AUTO_BUF text = BUF_INIT(SCRATCH);
	AUTO_BUF again = BUF_INIT(SCRATCH);
	AUTO_BUF said = BUF_INIT(SCRATCH);

	(void)state;
	must(d, "account remove sleepy@a.example");
	must(d, "account add sleepy@a.example $6$x"); /* a folder that is not the usual one */
	dump(d, &text);
	assert_ok(directory_open(":memory:", &other));
	assert_int_equal(EX_OK, apply(other, "run", buf_view(&text), &said));
	dump(other, &again);
	assert_str(buf_view(&text), buf_view(&again));
	buf_reset(&said);
	assert_int_equal(EX_OK, apply(d, "run", buf_view(&text), &said));
	assert_str(S(""), buf_view(&said));
}

static void
test_apply_tells_every_difference(void **state)
{
	static const char text[] = "directory-version 1\n"
				   "domain a.example\n"
				   "domain c.example\n"
				   "account adamj@a.example { password $6$new; disabled }\n"
				   "account sleepy@a.example { password $6$s$j; disabled }\n"
				   "account info@a.example { password $6$x }\n"
				   "alias admin@a.example sysadmin@elsewhere.example\n";
	static const char want[] = "+ domain c.example\n"
				   "- alias info@a.example\n"
				   "- alias John_Adams@a.example\n"
				   "- alias staff@a.example\n"
				   "- alias @b.example\n"
				   "- account Info@b.example\n"
				   "~ account adamj@a.example: password\n"
				   "~ account adamj@a.example: disabled\n"
				   "+ account info@a.example\n"
				   "~ alias admin@a.example: 1 members, were 3\n"
				   "- domain b.example\n";
	AUTO(directory) d = sample();
	AUTO_BUF before = BUF_INIT(SCRATCH);
	AUTO_BUF after = BUF_INIT(SCRATCH);
	AUTO_BUF said = BUF_INIT(SCRATCH);

	(void)state;
	dump(d, &before);
	assert_int_equal(EX_OK, apply(d, "try", str_from(text), &said));
	assert_str(str_from(want), buf_view(&said));
	dump(d, &after);
	assert_str(buf_view(&before), buf_view(&after));
	buf_reset(&said);
	assert_int_equal(EX_OK, apply(d, "run", str_from(text), &said));
	assert_str(str_from(want), buf_view(&said));
	id_of(d, S("info@a.example"), DIRECTORY_IS_ACCOUNT);
	id_of(d, S("x@b.example"), DIRECTORY_NO_DOMAIN);
}

static void
test_apply_is_all_or_nothing(void **state)
{
	AUTO(directory) d = sample();
	AUTO_BUF before = BUF_INIT(SCRATCH);
	AUTO_BUF after = BUF_INIT(SCRATCH);
	AUTO_BUF said = BUF_INIT(SCRATCH);

	(void)state;
	dump(d, &before);
	assert_int_equal(EX_NOUSER,
		apply(d, "run",
			S("directory-version 1\ndomain d.example\nalias x@e.example y@z\n"),
			&said));
	assert_true(str_ends(buf_view(&said), S("alias x@e.example: no such domain here\n")));
	buf_reset(&said);
	assert_int_equal(EX_DATAERR,
		apply(d, "run", S("directory-version 1\ndomain d.example\ndomain D.example\n"),
			&said));
	assert_str(S("domain D.example: is there twice\n"), buf_view(&said));
	dump(d, &after);
	assert_str(buf_view(&before), buf_view(&after));
}

static void
test_what_is_added_is_there_after_opening_again(void **state)
{
	char folder[] = "/tmp/posthorn-directory-XXXXXX";
	char path[sizeof(folder) + 16];
	struct directory *d, *second;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/directory.db", folder);
	assert_ok(directory_open(path, &d));
	must(d, "domain add a.example");
	must(d, "account add ann@a.example $6$x");
	assert_err(ERR_TEMP, directory_open(path, &second)); /* one owner */
	directory_close(d);
	assert_ok(directory_open(path, &d));
	id_of(d, S("ann@a.example"), DIRECTORY_IS_ACCOUNT);
	directory_close(d);
	unlink(path);
	rmdir(folder);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_not_an_address),
		cmocka_unit_test(test_SD_093_alias_of_one_user_in_any_case),
		cmocka_unit_test(test_SD_094_alias_of_local_and_remote_members),
		cmocka_unit_test(test_SD_106_same_name_in_two_domains_and_catch_all),
		cmocka_unit_test(test_expansion_in_pieces),
		cmocka_unit_test(test_postmaster),
		cmocka_unit_test(test_domains_beyond_ascii),
		cmocka_unit_test(test_may_send),
		cmocka_unit_test(test_user),
		cmocka_unit_test(test_a_later_account_gets_a_folder_of_its_own),
		cmocka_unit_test(test_refusals_change_nothing),
		cmocka_unit_test(test_what_is_dumped_applies_to_the_same),
		cmocka_unit_test(test_apply_tells_every_difference),
		cmocka_unit_test(test_apply_is_all_or_nothing),
		cmocka_unit_test(test_what_is_added_is_there_after_opening_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
