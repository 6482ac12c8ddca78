/* SPDX-License-Identifier: ISC */
/* Administrators' words, each carried out in a transaction of its own. */
#include "store/directory/internal.h"

#include <sysexits.h>

enum {
	WORDS_ANY = 1 << 20,
};

const char directory_command_usage[] =
	"domain add NAME | domain remove NAME | domain list\n"
	"account add ADDRESS HASH | account passwd ADDRESS HASH | account list\n"
	"account disable|enable|remove ADDRESS\n"
	"alias add ADDRESS MEMBER... | alias remove ADDRESS [MEMBER...] | alias list\n"
	"dump | apply run | apply try\n";

struct context {
	struct directory *d;
	const Str *args; /* behind the verb */
	size_t count;
	Str input;
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
dump(struct context *c)
{
	return directory_list_all(c->d, false, c->ret);
}

static Err
apply(struct context *c)
{
	return directory_apply(c->d, c->input, c->now, c->ret);
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
	{ S("domain"), S("list"), 0, 0, list_domains, .reads = true },
	{ S("account"), S("list"), 0, 0, list_accounts, .reads = true },
	{ S("alias"), S("list"), 0, 0, list_aliases, .reads = true },
	{ S("dump"), S(""), 0, 0, dump, .reads = true },
	{ S("apply"), S("run"), 0, 0, apply },
	{ S("apply"), S("try"), 0, 0, apply_try },
};

static const struct command *
find_command(const Str *words, size_t count)
{
	for (size_t i = 0; count > 0 && i < COUNT(commands); i++) {
		size_t head = commands[i].verb.n > 0 ? 2 : 1;

		if (str_eq(words[0], commands[i].noun) && count >= head &&
			(head == 1 || str_eq(words[1], commands[i].verb)) &&
			count - head >= commands[i].least && count - head <= commands[i].most)
			return &commands[i];
	}
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

	return e.sys == EEXIST ? EX_CANTCREAT : codes[e.kind];
}

static void
say_why(Err e, struct buf *ret)
{
	buf_put_c(ret, e.what);
	if (e.sys != 0 && e.sys != EEXIST)
		buf_printf(ret, ": %s", err_sys_text(e));
	buf_put_char(ret, '\n');
}

Err
directory_command(struct directory *d, const Str *words, size_t count, Str input, Time now,
	struct buf *ret, int *ret_exit)
{
	const struct command *command = find_command(words, count);
	struct context c = { .d = d, .input = input, .now = now, .ret = ret };
	size_t before = ret->n;
	Err e;

	if (command == NULL) {
		buf_put_c(ret, directory_command_usage);
		*ret_exit = EX_USAGE;
		return buf_check(ret);
	}
	if (count > 2) {
		c.args = words + 2;
		c.count = count - 2;
	}
	e = run(&c, command);
	*ret_exit = exit_code(e);
	if (failed(e) && command->reads)
		buf_cut(ret, before);
	if (failed(e) && ret->n == before) /* apply may have told already which record it was */
		say_why(e, ret);
	return buf_check(ret);
}
