/* SPDX-License-Identifier: ISC */
/* Administrators' words, each carried out in a transaction of its own. */
#include "store/directory/internal.h"

#include <sysexits.h>

enum {
	WORDS_ANY = 1 << 20,
};

const char directory_command_usage[] =
	"domain add NAME | domain remove NAME\n"
	"account add ADDRESS HASH | account passwd ADDRESS HASH\n"
	"account disable|enable|remove ADDRESS\n"
	"alias add ADDRESS MEMBER... | alias remove ADDRESS [MEMBER...]\n"
	"list domains|accounts|aliases|dump\n"
	"apply stage TOKEN PIECE | apply run TOKEN | apply try TOKEN\n";

struct context {
	struct directory *d;
	const Str *args; /* behind the verb */
	size_t count;
	Time now;
	struct buf *ret;
	bool undo; /* the command wants its changes undone though it succeeded */
};

static Err
domain_add(struct context *c)
{
	return directory_add_domain(c->d, c->args[0]);
}

static Err
domain_remove(struct context *c)
{
	return directory_remove_domain(c->d, c->args[0]);
}

static Err
account_add(struct context *c)
{
	const struct directory_record record = {
		.kind = DIRECTORY_RECORD_ACCOUNT, .name = c->args[0], .password = c->args[1]
	};

	return directory_add_account(c->d, &record, c->now);
}

static Err
account_passwd(struct context *c)
{
	return directory_set_password(c->d, c->args[0], c->args[1]);
}

static Err
account_disable(struct context *c)
{
	return directory_set_disabled(c->d, c->args[0], true);
}

static Err
account_enable(struct context *c)
{
	return directory_set_disabled(c->d, c->args[0], false);
}

static Err
account_remove(struct context *c)
{
	return directory_remove_account(c->d, c->args[0]);
}

static Err
alias_add(struct context *c)
{
	return directory_add_alias(c->d, c->args[0], c->args + 1, c->count - 1);
}

static Err
alias_remove(struct context *c)
{
	if (c->count == 1)
		return directory_remove_alias(c->d, c->args[0]);
	return directory_remove_members(c->d, c->args[0], c->args + 1, c->count - 1);
}

static Err
list_domains(struct context *c)
{
	return directory_list_domains(c->d, c->ret);
}

static Err
list_accounts(struct context *c)
{
	return directory_list_accounts(c->d, true, c->ret);
}

static Err
list_aliases(struct context *c)
{
	return directory_list_aliases(c->d, c->ret);
}

static Err
list_dump(struct context *c)
{
	return directory_list_all(c->d, false, c->ret);
}

static Err
parse_token(Str word, uint64_t *ret)
{
	return str_to_u64(word, UINT64_MAX, ret) ? OK : fail(ERR_PEER, "not a token");
}

/* One text at a time is on its way; a new token throws the last one away. */
static Err
stage(struct context *c)
{
	uint64_t token;

	TRY(parse_token(c->args[0], &token));
	if (token != c->d->staged_token)
		buf_done(&c->d->staged);
	c->d->staged_token = token;
	buf_put(&c->d->staged, c->args[1]);
	return buf_check(&c->d->staged);
}

static Err
apply(struct context *c)
{
	uint64_t token;
	Err e;

	TRY(parse_token(c->args[0], &token));
	if (token != c->d->staged_token)
		return fail(ERR_TEMP, "another apply came between; start again");
	e = directory_apply(c->d, buf_view(&c->d->staged), c->now, c->ret);
	buf_done(&c->d->staged);
	return e;
}

static Err
apply_try(struct context *c)
{
	c->undo = true;
	return apply(c);
}

static const struct command {
	Str noun, verb;
	size_t least, most; /* words behind the verb */
	Err (*run)(struct context *c);
	bool reads; /* changes nothing, and says nothing when it fails half-way */
} commands[] = {
	{ S("domain"), S("add"), 1, 1, domain_add },
	{ S("domain"), S("remove"), 1, 1, domain_remove },
	{ S("account"), S("add"), 2, 2, account_add },
	{ S("account"), S("passwd"), 2, 2, account_passwd },
	{ S("account"), S("disable"), 1, 1, account_disable },
	{ S("account"), S("enable"), 1, 1, account_enable },
	{ S("account"), S("remove"), 1, 1, account_remove },
	{ S("alias"), S("add"), 2, WORDS_ANY, alias_add },
	{ S("alias"), S("remove"), 1, WORDS_ANY, alias_remove },
	{ S("list"), S("domains"), 0, 0, list_domains, .reads = true },
	{ S("list"), S("accounts"), 0, 0, list_accounts, .reads = true },
	{ S("list"), S("aliases"), 0, 0, list_aliases, .reads = true },
	{ S("list"), S("dump"), 0, 0, list_dump, .reads = true },
	{ S("apply"), S("stage"), 2, 2, stage, .reads = true },
	{ S("apply"), S("run"), 1, 1, apply },
	{ S("apply"), S("try"), 1, 1, apply_try },
};

static const struct command *
find_command(const Str *words, size_t count)
{
	for (size_t i = 0; count >= 2 && i < COUNT(commands); i++)
		if (str_eq(words[0], commands[i].noun) && str_eq(words[1], commands[i].verb) &&
			count - 2 >= commands[i].least && count - 2 <= commands[i].most)
			return &commands[i];
	return NULL;
}

static Err
run(struct context *c, const struct command *command)
{
	Err e;

	if (command->reads)
		return command->run(c);
	TRY(sql_run(c->d->db, "BEGIN IMMEDIATE"));
	e = command->run(c);
	if (!failed(e) && !c->undo)
		e = sql_run(c->d->db, "COMMIT");
	if (failed(e) || c->undo)
		sqlite3_exec(c->d->db, "ROLLBACK", NULL, NULL, NULL);
	directory_forget(c->d);
	c->d->changes++;
	return e;
}

static int
exit_code(Err e)
{
	static const int codes[] = {
		[ERR_NONE] = EX_OK,
		[ERR_PEER] = EX_DATAERR,
		[ERR_LIMIT] = EX_DATAERR,
		[ERR_GONE] = EX_NOUSER,
		[ERR_TEMP] = EX_TEMPFAIL,
		[ERR_PERM] = EX_SOFTWARE,
	};

	return codes[e.kind];
}

Err
directory_command(struct directory *d, const Str *words, size_t count, Time now,
	struct buf *ret, int *ret_exit)
{
	const struct command *command = find_command(words, count);
	struct context c = { .d = d, .now = now, .ret = ret };
	size_t before = ret->n;
	Err e;

	if (command == NULL) {
		buf_put_c(ret, directory_command_usage);
		*ret_exit = EX_USAGE;
		return buf_check(ret);
	}
	c.args = words + 2;
	c.count = count - 2;
	e = run(&c, command);
	*ret_exit = exit_code(e);
	if (failed(e) && command->reads)
		buf_cut(ret, before);
	if (failed(e) && ret->n == before) /* apply may have told already which record it was */
		buf_printf(ret, "%s%s%s\n", e.what, e.sys != 0 ? ": " : "", err_sys_text(e));
	return buf_check(ret);
}
