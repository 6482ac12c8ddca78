/* SPDX-License-Identifier: ISC */
#include "service/smtpd/auth.h"

static Err
refuse(Str reply, Str *ret_refusal)
{
	*ret_refusal = reply;
	return fail(ERR_PEER, "AUTH went wrong");
}

static Err
take(struct sasl *s, Str response, bool *ret_done, Str *ret_refusal)
{
	Err e;

	if (str_eq(response, S("*")))
		return refuse(S("501 5.7.0 Authentication cancelled"), ret_refusal);
	e = sasl_respond(s, response, ret_done);
	if (e.kind == ERR_LIMIT)
		return refuse(S("500 5.5.6 Response is too long"), ret_refusal);
	return failed(e) ? refuse(S("501 5.5.2 Bad response"), ret_refusal) : OK;
}

static Err
ask(struct conn *c, Str challenge, Str *ret_response, Str *ret_refusal)
{
	Err e;

	TRY(conn_write(c, S("334 ")));
	TRY(conn_write_line(c, challenge));
	e = conn_read_line(c, SMTP_LINE_MAX, ret_response);
	if (e.kind == ERR_LIMIT)
		return refuse(S("500 5.5.6 Response is too long"), ret_refusal);
	if (e.kind == ERR_PEER)
		return refuse(S("501 5.5.2 Bad response"), ret_refusal);
	return e;
}

Err
smtpd_auth_read(struct sasl *s, struct conn *c, const struct smtp_command *cmd,
	Str *ret_refusal)
{
	enum sasl_mechanism mechanism = SASL_PLAIN;
	bool known = sasl_mechanism_find(cmd->argument, &mechanism), done = false;
	Str response;

	sasl_init(s, mechanism);
	if (!known)
		return refuse(S("504 5.5.4 Mechanism is not offered"), ret_refusal);
	if (cmd->has_initial) {
		/* "=" is how SMTP writes an empty response (RFC 4954, 4) */
		response = str_eq(cmd->initial, S("=")) ? S("") : cmd->initial;
		TRY(take(s, response, &done, ret_refusal));
	}
	while (!done) {
		TRY(ask(c, sasl_challenge(s), &response, ret_refusal));
		TRY(take(s, response, &done, ret_refusal));
	}
	return OK;
}
