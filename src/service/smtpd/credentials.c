/* SPDX-License-Identifier: ISC */
/* AUTH: a wrong password costs time, the third one the connection. */
#include "service/smtpd/auth.h"
#include "service/smtpd/talk.h"

#include <time.h>

static Err
wrong_password(struct talk *t, const struct sasl *sasl)
{
	struct timespec pause;
	int64_t ms = (int64_t)SMTPD_AUTH_DELAY * ++t->wrong_passwords;

	smtpd_log_auth_failed(&t->who, t->mechanism, sasl_user(sasl));
	smtp_session_fail_auth(&t->session);
	TRY(conn_flush(t->conn));
	pause = (struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	nanosleep(&pause, NULL);
	if (t->wrong_passwords >= SMTPD_AUTH_TRIES) {
		t->over = true;
		TRY(smtpd_talk_answer(t, S("535-5.7.8 Authentication credentials invalid")));
		return smtpd_talk_answer(t, S("535 5.7.8 Too many tries, closing"));
	}
	return smtpd_talk_answer(t, S("535 5.7.8 Authentication credentials invalid"));
}

static Err
check_password(struct talk *t, const struct sasl *sasl, Str reply)
{
	struct directory_login login = {
		.user = sasl_user(sasl),
		.password = sasl_password(sasl),
		.peer = conn_peer(t->conn),
		.session = t->who.session,
		.tls = t->session.secure,
	};
	enum directory_auth auth;
	Str address;
	Err e = directory_call_auth(t->asker->directory, &login, t->asker->arena, &auth,
		&t->account, &address);

	if (failed(e)) {
		log_failure(LOG_LEVEL_WARNING, "smtp.directory", e);
		return smtpd_talk_answer(t, S("454 4.7.0 Temporary authentication failure"));
	}
	if (auth != DIRECTORY_AUTH_OK)
		return wrong_password(t, sasl);
	buf_put(&t->user, address);
	smtp_session_set_user(&t->session);
	return smtpd_talk_answer(t, reply);
}

Err
smtpd_talk_authenticate(struct talk *t, const struct smtp_command *cmd, Str reply)
{
	struct sasl sasl;
	Str refusal = S("");
	Err e;

	t->mechanism = str_eq_icase(cmd->argument, S("LOGIN")) ? S("LOGIN") : S("PLAIN");
	e = smtpd_auth_read(&sasl, t->conn, cmd, &refusal);
	if (!failed(e)) {
		e = check_password(t, &sasl, reply);
	} else if (e.kind == ERR_PEER) {
		smtp_session_fail_auth(&t->session);
		e = smtpd_talk_answer(t, refusal);
	}
	sasl_done(&sasl);
	return e;
}
