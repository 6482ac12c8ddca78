/* SPDX-License-Identifier: ISC */
#include "format/smtp/session.h"

static const Str ok = S("250 2.0.0 Ok");

void
smtp_session_init(struct smtp_session *s, const struct smtp_settings *settings, bool secure,
	bool auth_clear)
{
	*s = (struct smtp_session){ .settings = settings, .secure = secure };
	s->may_auth = settings->submission;
	if (!secure && !auth_clear && !settings->auth_clear)
		s->may_auth = false;
}

static void
reset(struct smtp_session *s)
{
	s->sender = s->utf8 = s->chunks = s->chunk_bad = false;
	s->body = SMTP_BODY_UNSAID;
	s->size_said = 0;
	s->rcpts = s->rcpts_refused = 0;
}

bool
smtp_session_tired(const struct smtp_session *s)
{
	return s->bad > s->settings->bad_max;
}

static enum smtp_step
tired(Str *ret_reply)
{
	*ret_reply = S("421 4.7.0 Too many errors or idle commands, closing");
	return SMTP_STEP_CLOSE;
}

/* An answer that refuses: counted, and once too often. */
static enum smtp_step
refuse(struct smtp_session *s, Str reply, Str *ret_reply)
{
	s->bad++;
	if (smtp_session_tired(s))
		return tired(ret_reply);
	*ret_reply = reply;
	return SMTP_STEP_REPLY;
}

static enum smtp_step
answer(struct smtp_session *s, enum smtp_verb verb, Str reply, Str *ret_reply)
{
	s->counts[verb].good++;
	*ret_reply = reply;
	return SMTP_STEP_REPLY;
}

/* Commands that do nothing are welcome, but not for ever. */
static enum smtp_step
answer_idle(struct smtp_session *s, enum smtp_verb verb, Str reply, Str *ret_reply)
{
	s->bad++;
	if (smtp_session_tired(s))
		return tired(ret_reply);
	return answer(s, verb, reply, ret_reply);
}

/* RFC 5321, 3.2 and 4.1.4: EHLO and HELO end whatever transaction was open. */
static enum smtp_step
step_greeting(struct smtp_session *s, const struct smtp_command *cmd, Str *ret_reply)
{
	reset(s);
	s->greeted = true;
	s->extended = cmd->verb == SMTP_EHLO;
	s->counts[cmd->verb].good++;
	*ret_reply = ok;
	return SMTP_STEP_GREET;
}

static Str
sender_fault(const struct smtp_session *s, const struct smtp_command *cmd)
{
	if (s->settings->submission && !s->user)
		return s->may_auth ? S("530 5.7.0 Authentication required")
				   : S("530 5.7.0 Must issue a STARTTLS command first");
	if (!s->greeted)
		return S("503 5.5.1 Send HELO or EHLO first");
	if (s->sender)
		return S("503 5.5.1 Nested MAIL command");
	if (cmd->bare && !s->settings->bare_paths)
		return S("501 5.1.7 The sender must stand in angle brackets");
	if (cmd->parameter.n > 0)
		return S("555 5.5.4 Unknown MAIL parameter");
	if (cmd->body == SMTP_BODY_BINARYMIME)
		return S("555 5.5.4 BODY=BINARYMIME is not offered");
	if (cmd->auth.n > 0 && !s->may_auth)
		return S("555 5.5.4 MAIL parameter AUTH is not offered");
	if (!s->extended && (cmd->has_size || cmd->utf8 || cmd->body != SMTP_BODY_UNSAID))
		return S("555 5.5.4 MAIL parameters need EHLO");
	if (cmd->path.utf8 && !cmd->utf8)
		return S("553 5.6.7 The sender needs SMTPUTF8");
	if (cmd->has_size && cmd->size > s->settings->message_max)
		return S("552 5.3.4 Message size exceeds fixed limit");
	return S("");
}

static enum smtp_step
step_mail(struct smtp_session *s, const struct smtp_command *cmd, Str *ret_reply)
{
	Str fault = sender_fault(s, cmd);

	if (fault.n > 0)
		return refuse(s, fault, ret_reply);
	*ret_reply = S("250 2.1.0 Ok");
	return SMTP_STEP_CHECK_SENDER;
}

static enum smtp_step
step_rcpt(struct smtp_session *s, const struct smtp_command *cmd, Str *ret_reply)
{
	if (!s->sender)
		return refuse(s, S("503 5.5.1 Need MAIL command first"), ret_reply);
	if (s->chunks)
		return refuse(s, S("503 5.5.1 The message has begun"), ret_reply);
	if (cmd->bare && !s->settings->bare_paths)
		return refuse(s, S("501 5.1.3 The recipient must stand in angle brackets"),
			ret_reply);
	if (cmd->parameter.n > 0)
		return refuse(s, S("555 5.5.4 Unknown RCPT parameter"), ret_reply);
	if (cmd->path.utf8 && !s->utf8)
		return refuse(s, S("553 5.6.7 The recipient needs SMTPUTF8"), ret_reply);
	if (s->rcpts >= s->settings->recipients_max) {
		/* not counted as bad: the client is right to send the rest in another message */
		*ret_reply = S("452 4.5.3 Too many recipients");
		return SMTP_STEP_REPLY;
	}
	*ret_reply = S("250 2.1.5 Ok");
	return SMTP_STEP_CHECK_RCPT;
}

static enum smtp_step
step_data(struct smtp_session *s, Str *ret_reply)
{
	if (!s->sender)
		return refuse(s, S("503 5.5.1 Need MAIL command first"), ret_reply);
	if (s->chunks)
		return refuse(s, S("503 5.5.1 The message has begun with BDAT"), ret_reply);
	if (s->rcpts == 0)
		/* RFC 2033 and 2920 clients send DATA without waiting for RCPT's answer */
		return refuse(s,
			s->rcpts_refused > 0 ? S("554 5.5.1 No valid recipients")
					     : S("503 5.5.1 Need RCPT command first"),
			ret_reply);
	*ret_reply = S("354 End data with <CR><LF>.<CR><LF>");
	return SMTP_STEP_RECEIVE;
}

static Str
chunk_fault(const struct smtp_session *s)
{
	if (!s->sender)
		return S("503 5.5.1 Need MAIL command first");
	if (s->rcpts == 0)
		return s->rcpts_refused > 0 ? S("554 5.5.1 No valid recipients")
					    : S("503 5.5.1 Need RCPT command first");
	if (s->chunk_bad)
		return S("503 5.5.1 An earlier chunk was refused");
	return S("");
}

/* RFC 3030, 2: the octets of a refused BDAT still follow and must be read. */
static enum smtp_step
step_bdat(struct smtp_session *s, Str *ret_reply)
{
	Str fault = chunk_fault(s);

	if (fault.n == 0) {
		s->chunks = true;
		*ret_reply = S("250 2.0.0 Ok");
		return SMTP_STEP_CHUNK;
	}
	if (refuse(s, fault, ret_reply) == SMTP_STEP_CLOSE)
		return SMTP_STEP_CLOSE;
	return SMTP_STEP_SKIP_CHUNK;
}

static enum smtp_step
step_starttls(struct smtp_session *s, Str *ret_reply)
{
	if (s->secure)
		return refuse(s, S("503 5.5.1 TLS is already active"), ret_reply);
	if (!s->settings->tls)
		return refuse(s, S("502 5.5.1 STARTTLS is not offered"), ret_reply);
	if (s->sender)
		return refuse(s, S("503 5.5.1 STARTTLS within a transaction"), ret_reply);
	s->counts[SMTP_STARTTLS].good++;
	*ret_reply = S("220 2.0.0 Ready to start TLS");
	return SMTP_STEP_STARTTLS;
}

/* RFC 4954, 4 */
static enum smtp_step
step_auth(struct smtp_session *s, Str *ret_reply)
{
	if (!s->settings->submission)
		return refuse(s, S("502 5.5.1 AUTH is not offered"), ret_reply);
	if (!s->may_auth)
		return refuse(s, S("538 5.7.11 Encryption required: use STARTTLS first"),
			ret_reply);
	if (!s->extended)
		return refuse(s, S("503 5.5.1 Send EHLO first"), ret_reply);
	if (s->user)
		return refuse(s, S("503 5.5.1 Already authenticated"), ret_reply);
	if (s->sender)
		return refuse(s, S("503 5.5.1 AUTH within a transaction"), ret_reply);
	*ret_reply = S("235 2.7.0 Authentication successful");
	return SMTP_STEP_AUTH;
}

static const Str help =
	S("214 2.0.0 See RFC 5321. Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP "
	  "HELP VRFY QUIT STARTTLS AUTH");

enum smtp_step
smtp_session_step(struct smtp_session *s, const struct smtp_command *cmd, Str *ret_reply)
{
	s->counts[cmd->verb].all++;
	switch (cmd->verb) {
	case SMTP_HELO:
	case SMTP_EHLO:
		return step_greeting(s, cmd, ret_reply);
	case SMTP_MAIL:
		return step_mail(s, cmd, ret_reply);
	case SMTP_RCPT:
		return step_rcpt(s, cmd, ret_reply);
	case SMTP_DATA:
		return step_data(s, ret_reply);
	case SMTP_BDAT:
		return step_bdat(s, ret_reply);
	case SMTP_RSET:
		if (!s->sender)
			return answer_idle(s, SMTP_RSET, ok, ret_reply);
		reset(s);
		return answer(s, SMTP_RSET, ok, ret_reply);
	case SMTP_NOOP:
		return answer_idle(s, SMTP_NOOP, ok, ret_reply);
	case SMTP_HELP:
		return answer_idle(s, SMTP_HELP, help, ret_reply);
	case SMTP_VRFY:
		if (s->settings->submission && !s->user)
			return refuse(s, S("530 5.7.0 Authentication required"), ret_reply);
		*ret_reply =
			S("252 2.5.0 Cannot verify, but will take mail and try to deliver it");
		s->bad++;
		return smtp_session_tired(s) ? tired(ret_reply) : SMTP_STEP_VERIFY;
	case SMTP_EXPN:
		return refuse(s, S("502 5.5.1 EXPN is not offered"), ret_reply);
	case SMTP_QUIT:
		s->counts[SMTP_QUIT].good++;
		*ret_reply = S("221 2.0.0 Bye");
		return SMTP_STEP_CLOSE;
	case SMTP_STARTTLS:
		return step_starttls(s, ret_reply);
	case SMTP_AUTH:
		return step_auth(s, ret_reply);
	case SMTP_UNKNOWN:
	case SMTP_VERBS:
		break;
	}
	return refuse(s, S("500 5.5.2 Command not recognized"), ret_reply);
}

enum smtp_step
smtp_session_step_bad(struct smtp_session *s, Err why, struct buf *reply)
{
	Str text;

	s->counts[SMTP_UNKNOWN].all++;
	if (refuse(s, S(""), &text) == SMTP_STEP_CLOSE) {
		buf_put(reply, text);
		return SMTP_STEP_CLOSE;
	}
	buf_put(reply, why.kind == ERR_LIMIT ? S("500 5.5.2 Error: ") : S("501 5.5.4 Error: "));
	buf_put_c(reply, why.what);
	return SMTP_STEP_REPLY;
}

void
smtp_session_set_sender(struct smtp_session *s, const struct smtp_command *cmd)
{
	s->counts[SMTP_MAIL].good++;
	s->sender = true;
	s->utf8 = cmd->utf8;
	s->body = cmd->body;
	s->size_said = cmd->has_size ? cmd->size : 0;
}

void
smtp_session_add_rcpt(struct smtp_session *s)
{
	s->counts[SMTP_RCPT].good++;
	s->rcpts++;
}

void
smtp_session_refuse_rcpt(struct smtp_session *s)
{
	s->rcpts_refused++;
	s->bad++;
}

void
smtp_session_set_secure(struct smtp_session *s)
{
	s->secure = true;
	s->may_auth = s->settings->submission;
	s->greeted = s->extended = s->user = false;
	reset(s);
}

void
smtp_session_set_user(struct smtp_session *s)
{
	s->counts[SMTP_AUTH].good++;
	s->user = true;
}

void
smtp_session_fail_auth(struct smtp_session *s)
{
	s->bad++;
}

void
smtp_session_fail_chunk(struct smtp_session *s)
{
	s->chunk_bad = true;
}

void
smtp_session_end_message(struct smtp_session *s, bool taken)
{
	if (taken) {
		s->counts[s->chunks ? SMTP_BDAT : SMTP_DATA].good++;
		s->messages++;
		s->bad = 0;
	}
	reset(s);
}

static void
put_keyword(struct buf *reply, const char *keyword)
{
	buf_put(reply, S("250-"));
	buf_put_c(reply, keyword);
	buf_put(reply, S("\r\n"));
}

void
smtp_session_put_greeting(const struct smtp_session *s, Str peer, struct buf *reply)
{
	buf_put(reply, s->extended ? S("250-") : S("250 "));
	buf_put(reply, s->settings->hostname);
	buf_put(reply, S(" Hello "));
	buf_put(reply, peer);
	buf_put(reply, S("\r\n"));
	if (!s->extended)
		return;
	put_keyword(reply, "PIPELINING");
	buf_put(reply, S("250-SIZE "));
	buf_put_u64(reply, s->settings->message_max);
	buf_put(reply, S("\r\n"));
	put_keyword(reply, "8BITMIME");
	put_keyword(reply, "ENHANCEDSTATUSCODES");
	put_keyword(reply, "SMTPUTF8");
	put_keyword(reply, "CHUNKING");
	if (s->settings->tls && !s->secure)
		put_keyword(reply, "STARTTLS");
	if (s->may_auth && !s->user)
		put_keyword(reply, "AUTH PLAIN LOGIN");
	buf_put(reply, S("250 HELP\r\n"));
}

Str
smtp_session_with(const struct smtp_session *s)
{
	static const Str names[2][2][2] = {
		{ { S("ESMTP"), S("ESMTPA") }, { S("ESMTPS"), S("ESMTPSA") } },
		{ { S("UTF8SMTP"), S("UTF8SMTPA") }, { S("UTF8SMTPS"), S("UTF8SMTPSA") } },
	};

	if (!s->extended)
		return S("SMTP");
	return names[s->utf8][s->secure][s->user];
}

static void
put_count(struct buf *b, const char *name, const struct smtp_counts *n)
{
	buf_put_c(b, name);
	buf_put_char(b, '=');
	buf_put_u64(b, n->good);
	if (n->good != n->all) {
		buf_put_char(b, '/');
		buf_put_u64(b, n->all);
	}
}

void
smtp_session_put_counts(const struct smtp_session *s, struct buf *b)
{
	struct smtp_counts sum = { 0 };

	for (int v = SMTP_UNKNOWN; v < SMTP_VERBS; v++) {
		size_t start = b->n;

		sum.good += s->counts[v].good;
		sum.all += s->counts[v].all;
		if (s->counts[v].all == 0)
			continue;
		buf_put(b, smtp_command_verb_name((enum smtp_verb)v));
		buf_lower_from(b, start);
		put_count(b, "", &s->counts[v]);
		buf_put_char(b, ' ');
	}
	put_count(b, "commands", &sum);
}
