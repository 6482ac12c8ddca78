/* SPDX-License-Identifier: ISC */
#include "rpc/directory.h"

#include "rpc/admin.h"
#include "rpc/serve.h"
#include "rpc/verdict.h"

enum {
	ASK_TIMEOUT = 20 * 1000,  /* ms */
	AUTH_TIMEOUT = 60 * 1000, /* ms; many may wait for their password to be hashed */
	FIELDS_MAX = 4096,
};

const struct rpc_rule directory_rules[] = {
	{ DIRECTORY_RECIPIENT,
		BIT(SERVICE_SMTPD) | BIT(SERVICE_SUBMIT) | BIT(SERVICE_DELIVER) },
	{ DIRECTORY_SENDER, BIT(SERVICE_SUBMIT) },
	{ DIRECTORY_AUTH, BIT(SERVICE_SUBMIT) },
	{ DIRECTORY_LOGIN, BIT(SERVICE_LOGIN) },
	{ DIRECTORY_EXPAND, BIT(SERVICE_DELIVER) },
	{ DIRECTORY_OPEN, BIT(SERVICE_DELIVER) },
	{ DIRECTORY_ADMIN, BIT(SERVICE_CONTROL) },
	{ 0 },
};

static Err
ask(struct caller *c, const struct request *r, struct reply *ret)
{
	Err e;

	TRY(caller_ask(c, r, ret));
	e = verdict_read(&ret->fields, "directory cannot say");
	if (failed(e))
		channel_message_drop(&ret->message);
	return e;
}

static Err
check_answer(const struct reply *reply)
{
	return reply->fields.bad ? fail(ERR_TEMP, "answer of directory is cut") : OK;
}

Err
directory_call_recipient(struct caller *c, Str address, struct directory_recipient *ret)
{
	struct request r = {
		.type = DIRECTORY_RECIPIENT, .fields = address, .timeout = ASK_TIMEOUT
	};
	struct directory_recipient answer;
	struct reply reply;

	TRY(ask(c, &r, &reply));
	answer.class = (enum directory_class)cursor_u8(&reply.fields);
	answer.account = cursor_u64(&reply.fields);
	TRY(check_answer(&reply));
	*ret = answer;
	return OK;
}

Err
directory_parse_address(struct cursor *c, Str *ret)
{
	*ret = cursor_take(c, c->rest.n);
	return OK;
}

void
directory_write_recipient(struct buf *b, const struct directory_recipient *r)
{
	verdict_write(b, OK);
	buf_u8(b, (uint8_t)r->class);
	buf_u64(b, r->account);
}

Err
directory_call_sender(struct caller *c, uint64_t account, Str address, bool *ret_allowed)
{
	AUTO_BUF fields = BUF_INIT(FIELDS_MAX);
	struct request r = { .type = DIRECTORY_SENDER, .timeout = ASK_TIMEOUT };
	struct reply reply;
	bool allowed;

	buf_u64(&fields, account);
	buf_str(&fields, address);
	TRY(buf_check(&fields));
	r.fields = buf_view(&fields);
	TRY(ask(c, &r, &reply));
	allowed = cursor_u8(&reply.fields) != 0;
	TRY(check_answer(&reply));
	*ret_allowed = allowed;
	return OK;
}

Err
directory_parse_sender(struct cursor *c, struct directory_sender_request *ret)
{
	struct directory_sender_request r;

	r.account = cursor_u64(c);
	r.address = cursor_str(c);
	if (c->bad)
		return fail(ERR_PEER, "request is cut");
	*ret = r;
	return OK;
}

void
directory_write_sender(struct buf *b, bool allowed)
{
	verdict_write(b, OK);
	buf_u8(b, allowed);
}

static Err
write_login(struct buf *b, const struct directory_login *login)
{
	if (login->user.n > DIRECTORY_USER_MAX || login->password.n > DIRECTORY_PASSWORD_MAX ||
		login->tag.n > DIRECTORY_TAG_MAX)
		return fail(ERR_LIMIT, "user name or password is too long");
	buf_str(b, login->user);
	buf_str(b, login->password);
	buf_str(b, login->peer);
	buf_str(b, login->session);
	buf_u8(b, login->tls);
	buf_str(b, login->tag);
	return buf_check(b);
}

static void
wipe(struct buf *b)
{
	if (b->p != NULL)
		explicit_bzero(b->p, b->cap);
}

/* Credentials stay in memory no longer than the question takes. */
static Err
ask_login(struct caller *c, uint16_t type, const struct directory_login *login, const int *fds,
	size_t fd_count, struct reply *ret)
{
	char room[FIELDS_MAX];
	struct buf fields = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct request r = {
		.type = type, .fds = fds, .fd_count = fd_count, .timeout = AUTH_TIMEOUT
	};
	Err e = write_login(&fields, login);

	if (!failed(e)) {
		r.fields = buf_view(&fields);
		e = ask(c, &r, ret);
	}
	wipe(&fields);
	return e;
}

Err
directory_call_auth(struct caller *c, const struct directory_login *login, struct arena *a,
	enum directory_auth *ret_auth, uint64_t *ret_account, Str *ret_address)
{
	enum directory_auth auth;
	struct reply reply;
	uint64_t account;
	Str address;

	TRY(ask_login(c, DIRECTORY_AUTH, login, NULL, 0, &reply));
	auth = cursor_u8(&reply.fields) == DIRECTORY_AUTH_OK ? DIRECTORY_AUTH_OK
							     : DIRECTORY_AUTH_WRONG;
	account = cursor_u64(&reply.fields);
	TRY(arena_copy(a, cursor_str(&reply.fields), &address));
	TRY(check_answer(&reply));
	*ret_auth = auth;
	*ret_account = account;
	*ret_address = address;
	return OK;
}

Err
directory_call_login(struct caller *c, const struct directory_login *login, int taken,
	int socket, enum directory_auth *ret_auth, uint64_t *ret_account)
{
	int fds[2] = { taken, socket };
	enum directory_auth auth;
	struct reply reply;
	uint64_t account;

	TRY(ask_login(c, DIRECTORY_LOGIN, login, fds, socket < 0 ? 1 : 2, &reply));
	auth = cursor_u8(&reply.fields) == DIRECTORY_AUTH_OK ? DIRECTORY_AUTH_OK
							     : DIRECTORY_AUTH_WRONG;
	account = cursor_u64(&reply.fields);
	TRY(check_answer(&reply));
	*ret_auth = auth;
	*ret_account = account;
	return OK;
}

Err
directory_parse_login(struct cursor *c, struct directory_login *ret)
{
	struct directory_login l;

	l.user = cursor_str(c);
	l.password = cursor_str(c);
	l.peer = cursor_str(c);
	l.session = cursor_str(c);
	l.tls = cursor_u8(c) != 0;
	l.tag = cursor_str(c);
	if (c->bad || l.user.n > DIRECTORY_USER_MAX || l.password.n > DIRECTORY_PASSWORD_MAX ||
		l.tag.n > DIRECTORY_TAG_MAX)
		return fail(ERR_PEER, "credentials are cut or too long");
	*ret = l;
	return OK;
}

void
directory_write_auth(struct buf *b, enum directory_auth auth, uint64_t account, Str address)
{
	verdict_write(b, OK);
	buf_u8(b, (uint8_t)auth);
	buf_u64(b, account);
	buf_str(b, address);
}

Err
directory_call_expand(struct caller *c, Str address, uint64_t cursor, struct arena *a,
	struct directory_members *ret)
{
	AUTO_BUF fields = BUF_INIT(FIELDS_MAX);
	struct request r = { .type = DIRECTORY_EXPAND, .timeout = ASK_TIMEOUT };
	struct directory_members m = { 0 };
	struct reply reply;

	buf_u64(&fields, cursor);
	buf_str(&fields, address);
	TRY(buf_check(&fields));
	r.fields = buf_view(&fields);
	TRY(ask(c, &r, &reply));
	m.cursor = cursor_u64(&reply.fields);
	m.done = cursor_u8(&reply.fields) != 0;
	m.count = cursor_u32(&reply.fields);
	if (reply.fields.bad || m.count > DIRECTORY_MEMBERS_MAX)
		return fail(ERR_TEMP, "answer of directory is cut");
	m.members = arena_try_array(a, m.count, sizeof(*m.members));
	if (m.members == NULL)
		return fail(ERR_TEMP, "no room for members");
	for (size_t i = 0; i < m.count; i++) {
		m.members[i].class = cursor_u8(&reply.fields) == ENVELOPE_REMOTE
					     ? ENVELOPE_REMOTE
					     : ENVELOPE_LOCAL;
		TRY(arena_copy(a, cursor_str(&reply.fields), &m.members[i].address));
	}
	TRY(check_answer(&reply));
	*ret = m;
	return OK;
}

Err
directory_parse_expand(struct cursor *c, struct directory_expand_request *ret)
{
	struct directory_expand_request r;

	r.cursor = cursor_u64(c);
	r.address = cursor_str(c);
	if (c->bad)
		return fail(ERR_PEER, "request is cut");
	*ret = r;
	return OK;
}

void
directory_write_members(struct buf *b, const struct directory_members *m)
{
	verdict_write(b, OK);
	buf_u64(b, m->cursor);
	buf_u8(b, m->done);
	buf_u32(b, (uint32_t)m->count);
	for (size_t i = 0; i < m->count; i++) {
		buf_u8(b, (uint8_t)m->members[i].class);
		buf_str(b, m->members[i].address);
	}
}

Err
directory_call_open(struct caller *c, uint64_t account, int channel)
{
	AUTO_BUF fields = BUF_INIT(8);
	struct request r = {
		.type = DIRECTORY_OPEN, .fds = &channel, .fd_count = 1, .timeout = ASK_TIMEOUT
	};
	struct reply reply;

	buf_u64(&fields, account);
	r.fields = buf_view(&fields);
	return ask(c, &r, &reply);
}

Err
directory_parse_open(struct cursor *c, uint64_t *ret_account)
{
	uint64_t account = cursor_u64(c);

	if (c->bad)
		return fail(ERR_PEER, "request is cut");
	*ret_account = account;
	return OK;
}

Err
directory_call_admin(struct caller *c, const Str *words, size_t count, int input,
	struct buf *ret, int *ret_exit)
{
	return admin_call(c, DIRECTORY_ADMIN, words, count, input, ret, ret_exit);
}
