/* SPDX-License-Identifier: ISC */
#include "format/sasl/sasl.h"

#include "base/encode.h"

bool
sasl_mechanism_find(Str name, enum sasl_mechanism *ret)
{
	if (str_eq_icase(name, S("PLAIN")))
		*ret = SASL_PLAIN;
	else if (str_eq_icase(name, S("LOGIN")))
		*ret = SASL_LOGIN;
	else
		return false;
	return true;
}

void
sasl_init(struct sasl *s, enum sasl_mechanism mechanism)
{
	*s = (struct sasl){ .mechanism = mechanism };
}

void
sasl_done(struct sasl *s)
{
	explicit_bzero(s, sizeof(*s));
}

Str
sasl_challenge(const struct sasl *s)
{
	if (s->mechanism == SASL_PLAIN)
		return S("");
	return s->steps == 0 ? S("VXNlcm5hbWU6") : S("UGFzc3dvcmQ6"); /* Username: Password: */
}

Str
sasl_user(const struct sasl *s)
{
	return (Str){ s->text + s->user_at, s->user_n };
}

Str
sasl_password(const struct sasl *s)
{
	return (Str){ s->text + s->password_at, s->password_n };
}

static Err
set_user(struct sasl *s, Str user)
{
	if (user.n == 0)
		return fail(ERR_PEER, "no user name");
	if (user.n > SASL_USER_MAX)
		return fail(ERR_LIMIT, "user name is too long");
	if (str_has(user, '\0'))
		return fail(ERR_PEER, "NUL in a user name");
	s->user_at = (size_t)(user.p - s->text);
	s->user_n = user.n;
	return OK;
}

static Err
set_password(struct sasl *s, Str password)
{
	if (password.n == 0)
		return fail(ERR_PEER, "no password");
	if (password.n > SASL_PASSWORD_MAX)
		return fail(ERR_LIMIT, "password is too long");
	if (str_has(password, '\0'))
		return fail(ERR_PEER, "NUL in a password");
	s->password_at = (size_t)(password.p - s->text);
	s->password_n = password.n;
	return OK;
}

/* message = [authzid] UTF8NUL authcid UTF8NUL passwd (RFC 4616, 2) */
static Err
take_plain(struct sasl *s, Str message)
{
	Str as, user, password;

	if (!str_split(message, '\0', &as, &message) ||
		!str_split(message, '\0', &user, &password))
		return fail(ERR_PEER, "not a message of PLAIN");
	if (as.n > 0 && !str_eq(as, user))
		return fail(ERR_PEER, "nobody may act as somebody else");
	TRY(set_user(s, user));
	return set_password(s, password);
}

Err
sasl_respond(struct sasl *s, Str response, bool *ret_done)
{
	size_t room = sizeof(s->text) - s->used;
	struct buf decoded = { .p = s->text + s->used, .cap = room, .max = room };
	bool done;

	if (str_eq(response, S("*")))
		return fail(ERR_PEER, "client gave up");
	if (response.n > SASL_LINE_MAX)
		return fail(ERR_LIMIT, "response is too long");
	TRY(decode_base64(response, &decoded));
	s->used += decoded.n;
	done = s->mechanism == SASL_PLAIN || s->steps > 0;
	if (s->mechanism == SASL_PLAIN)
		TRY(take_plain(s, buf_view(&decoded)));
	else if (s->steps == 0)
		TRY(set_user(s, buf_view(&decoded)));
	else
		TRY(set_password(s, buf_view(&decoded)));
	s->steps++;
	*ret_done = done;
	return OK;
}

Err
sasl_write_plain(struct buf *b, Str user, Str password)
{
	char room[SASL_MESSAGE_MAX];
	struct buf message = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	Err e;

	if (str_has(user, '\0') || str_has(password, '\0'))
		return fail(ERR_PERM, "NUL in user or password");
	buf_put_char(&message, '\0');
	buf_put(&message, user);
	buf_put_char(&message, '\0');
	buf_put(&message, password);
	e = buf_check(&message);
	if (!failed(e)) {
		encode_base64(b, buf_view(&message));
		e = buf_check(b);
	}
	explicit_bzero(room, sizeof(room));
	return e;
}
