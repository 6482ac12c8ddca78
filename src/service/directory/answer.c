/* SPDX-License-Identifier: ISC */
#include "service/directory/answer.h"

#include "os/clock.h"
#include "os/memfd.h"
#include "rpc/admin.h"
#include "rpc/log.h"
#include "rpc/mailbox.h"
#include "rpc/verdict.h"

#include <sys/stat.h>
#include <sysexits.h>

static Err
answer_recipient(struct office *o, struct server_request *r, struct buf *b)
{
	static const enum directory_class classes[] = {
		[DIRECTORY_NO_DOMAIN] = DIRECTORY_UNKNOWN_DOMAIN,
		[DIRECTORY_NO_USER] = DIRECTORY_UNKNOWN_USER,
		[DIRECTORY_IS_DISABLED] = DIRECTORY_DISABLED,
		[DIRECTORY_IS_ACCOUNT] = DIRECTORY_ACCOUNT,
		[DIRECTORY_IS_ALIAS] = DIRECTORY_ALIAS,
	};
	struct directory_recipient recipient = { 0 };
	struct directory_match match;
	Str address;

	TRY(directory_parse_address(&r->fields, &address));
	TRY(directory_find(o->directory, address, &match));
	recipient.class = classes[match.answer];
	if (match.answer == DIRECTORY_IS_ACCOUNT)
		recipient.account = match.id;
	directory_write_recipient(b, &recipient);
	return OK;
}

static Err
answer_sender(struct office *o, struct server_request *r, struct buf *b)
{
	struct directory_sender_request asked;
	bool allowed = true;

	TRY(directory_parse_sender(&r->fields, &asked));
	if (asked.address.n > 0)
		TRY(directory_may_send(o->directory, asked.account, asked.address, &allowed));
	directory_write_sender(b, allowed);
	return OK;
}

static Err
answer_expand(struct office *o, struct server_request *r, struct buf *b)
{
	struct directory_expand_request asked;
	struct directory_expansion x;
	struct directory_members members;
	struct directory_match match;

	TRY(directory_parse_expand(&r->fields, &asked));
	TRY(directory_find(o->directory, asked.address, &match));
	if (match.answer != DIRECTORY_IS_ALIAS)
		return fail(ERR_PERM, "no alias any more");
	TRY(directory_expand(o->directory, match.id, asked.cursor, DIRECTORY_MEMBERS_MAX,
		o->scratch, &x));
	members = (struct directory_members){
		.members = arena_try_array(o->scratch, x.n, sizeof(*members.members)),
		.count = x.n,
		.cursor = x.cursor,
		.done = x.done,
	};
	if (members.members == NULL && x.n > 0)
		return fail(ERR_TEMP, "no room for members");
	for (uint32_t i = 0; i < x.n; i++) {
		members.members[i].address = x.members[i];
		members.members[i].class = x.local[i] ? ENVELOPE_LOCAL : ENVELOPE_REMOTE;
	}
	directory_write_members(b, &members);
	return OK;
}

static Err
answer_open(struct office *o, struct server_request *r, struct buf *b)
{
	struct mailbox_open open = { .right = MAILBOX_RIGHT_DELIVERY };
	struct directory_account account;
	uint64_t id;

	TRY(directory_parse_open(&r->fields, &id));
	if (r->message.fd_count < 1)
		return fail(ERR_PEER, "no descriptor for deliveries");
	TRY(directory_account(o->directory, id, o->scratch, &account));
	if (account.disabled)
		return fail(ERR_PERM, "account is disabled");
	open.account = account.id;
	open.folder = account.folder;
	open.address = account.address;
	TRY(mailbox_tell_open(o->mailbox, &open, r->message.fds, 1));
	verdict_write(b, OK);
	return OK;
}

/* The text that comes with a command, or nothing. */
static Err
read_input(struct server_request *r, struct buf *ret)
{
	struct stat st;
	char *room;

	if (r->message.fd_count == 0)
		return OK;
	if (fstat(r->message.fds[0], &st) != 0 || st.st_size < 0)
		return fail_sys(ERR_TEMP, "cannot see a command's input");
	TRY(memfd_check(r->message.fds[0], (size_t)st.st_size));
	room = buf_room(ret, (size_t)st.st_size);
	if (room == NULL)
		return fail(ERR_LIMIT, "a command's input is too long");
	TRY(memfd_read(r->message.fds[0], 0, room, (size_t)st.st_size));
	buf_grew(ret, (size_t)st.st_size);
	return OK;
}

/* The words without what may be secret: a hash. */
static void
report_command(const Str *words, size_t count, int exit_code)
{
	log_event(LOG_LEVEL_INFO, "directory.command", F_WORDS("what", S("command:")),
		F_STR("noun", count > 0 ? words[0] : S("")),
		F_STR("verb", count > 1 ? words[1] : S("")),
		F_STR("name", count > 2 ? words[2] : S("")), F_INT("exit", exit_code));
}

static void
answer_admin(struct office *o, struct server_request *r)
{
	AUTO_BUF input = BUF_INIT(DIRECTORY_RECORD_PACKED_MAX);
	AUTO_BUF said = BUF_INIT(DIRECTORY_RECORD_PACKED_MAX);
	int exit_code = EX_SOFTWARE;
	size_t count = 0;
	Str *words = NULL;
	Err e = admin_parse(&r->fields, o->scratch, &words, &count);

	if (!failed(e))
		e = read_input(r, &input);
	if (!failed(e))
		e = directory_command(o->directory, words, count, buf_view(&input),
			clock_wall(), &said, &exit_code);
	if (failed(e)) {
		buf_reset(&said);
		buf_printf(&said, "%s\n", e.what);
		exit_code = e.kind == ERR_TEMP ? EX_TEMPFAIL : EX_SOFTWARE;
	}
	report_command(words, count, exit_code);
	admin_answer(o->server, &r->reply_to, buf_view(&said), exit_code);
}

void
answer_request(struct office *o, struct server_request *r)
{
	static Err (*const answers[])(struct office *, struct server_request *,
		struct buf *) = {
		[DIRECTORY_RECIPIENT] = answer_recipient,
		[DIRECTORY_SENDER] = answer_sender,
		[DIRECTORY_EXPAND] = answer_expand,
		[DIRECTORY_OPEN] = answer_open,
	};
	AUTO_BUF b = BUF_INIT(CHANNEL_MESSAGE_MAX);
	Str part;
	Err e;

	arena_reset(o->scratch);
	if (r->type == DIRECTORY_ADMIN) {
		answer_admin(o, r);
		return;
	}
	e = answers[r->type](o, r, &b);
	if (!failed(e))
		e = buf_check(&b);
	if (failed(e)) {
		if (e.kind == ERR_TEMP)
			log_failure(LOG_LEVEL_ERROR, "directory.failed", e);
		buf_reset(&b);
		verdict_write(&b, e);
	}
	part = buf_view(&b);
	/* An asker that is gone wants no answer. */
	(void)server_answer(o->server, r->reply_to, &part, 1, NULL, 0).kind;
}
