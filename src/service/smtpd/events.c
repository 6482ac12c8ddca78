/* SPDX-License-Identifier: ISC */
#include "service/smtpd/events.h"

#include "os/clock.h"

#include <stdatomic.h>

enum {
	WORDS_MAX = 1024, /* octets of a line's free text */
};

void
smtpd_put_session_id(struct buf *b)
{
	static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
	static atomic_uint count;
	uint64_t number = (uint64_t)clock_wall().us << 8;

	/* microsecond, process and count: two of them never meet */
	number |= atomic_fetch_add_explicit(&count, 1, memory_order_relaxed) & 0xff;
	number = number * 0x9e3779b1 + (uint64_t)getpid();
	for (int i = 0; i < 13; i++, number >>= 5)
		buf_put_char(b, digits[number & 31]);
}

void
smtpd_log_connect(const struct smtpd_who *w)
{
	log_event(LOG_LEVEL_INFO, "smtp.connect", F_WORDS("what", S("connect from")),
		F_WORDS("client", w->peer), F_SESSION(w->session));
}

void
smtpd_log_pregreet(const struct smtpd_who *w)
{
	log_event(LOG_LEVEL_INFO, "smtp.pregreet", F_WORDS("what", S("PREGREET from")),
		F_WORDS("client", w->peer), F_SESSION(w->session));
}

void
smtpd_log_tls(const struct smtpd_who *w, Str version, Str cipher)
{
	log_event(LOG_LEVEL_INFO, "smtp.tls",
		F_WORDS("what", S("Anonymous TLS connection established from")),
		F_WORDS("client", w->peer), F_WORDS("version", version),
		F_WORDS("with", S("with cipher")), F_WORDS("cipher", cipher),
		F_SESSION(w->session));
}

void
smtpd_log_disconnect(const struct smtpd_who *w, const struct smtp_session *s)
{
	char room[WORDS_MAX];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	smtp_session_put_counts(s, &b);
	log_event(LOG_LEVEL_INFO, "smtp.disconnect", F_WORDS("what", S("disconnect from")),
		F_WORDS("client", w->peer), F_WORDS("commands", buf_view(&b)),
		F_SESSION(w->session));
}

void
smtpd_log_lost(const struct smtpd_who *w, Err e, Str after)
{
	log_event(LOG_LEVEL_INFO, "smtp.lost",
		F_WORDS("what",
			e.sys == ETIMEDOUT ? S("timeout after") : S("lost connection after")),
		F_WORDS("after", after), F_WORDS("from", S("from")), F_WORDS("client", w->peer),
		F_SESSION(w->session));
}

void
smtpd_log_reject(const struct smtpd_who *w, const struct smtpd_rejection *r)
{
	char room[WORDS_MAX];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	buf_put(&b, S("NOQUEUE: reject: "));
	buf_put(&b, r->stage);
	buf_put(&b, S(" from "));
	buf_put(&b, w->peer);
	buf_put(&b, S(": "));
	buf_put(&b, r->reply);
	buf_put(&b, S(";"));
	if (r->recipient.n > 0)
		log_event(LOG_LEVEL_INFO, "smtp.reject", F_WORDS("what", buf_view(&b)),
			F_ADDR("from", r->sender), F_ADDR("to", r->recipient),
			F_STR("proto", r->with), F_ADDR("helo", r->helo),
			F_SESSION(w->session));
	else
		log_event(LOG_LEVEL_INFO, "smtp.reject", F_WORDS("what", buf_view(&b)),
			F_ADDR("from", r->sender), F_STR("proto", r->with),
			F_ADDR("helo", r->helo), F_SESSION(w->session));
}

void
smtpd_log_auth_failed(const struct smtpd_who *w, Str mechanism, Str user)
{
	log_event(LOG_LEVEL_WARNING, "smtp.auth.failed", F_WORDS("client", w->peer),
		F_WORDS("what", S("SASL authentication failed:")),
		F_STR("sasl_method", mechanism), F_STR("sasl_username", user),
		F_SESSION(w->session));
}

void
smtpd_log_accepted(const struct smtpd_who *w, const struct smtpd_acceptance *a)
{
	log_event(LOG_LEVEL_INFO, "smtp.client", F_QUEUE(a->queue_id), F_STR("client", w->peer),
		F_STR("sasl_method", a->mechanism), F_STR("sasl_username", a->user),
		F_SESSION(w->session));
	log_event(LOG_LEVEL_INFO, "smtp.message_id", F_QUEUE(a->queue_id),
		F_STR("message-id", a->message_id.n > 0 ? a->message_id : S("<>")),
		F_SESSION(w->session));
}

void
smtpd_log_picked_up(uint64_t queue_id, uint32_t user, Str sender, Str message_id)
{
	char room[32];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	buf_put(&b, S("uid="));
	buf_put_u64(&b, user);
	log_event(LOG_LEVEL_INFO, "smtp.local", F_QUEUE(queue_id), F_WORDS("uid", buf_view(&b)),
		F_ADDR("from", sender));
	log_event(LOG_LEVEL_INFO, "smtp.message_id", F_QUEUE(queue_id),
		F_STR("message-id", message_id.n > 0 ? message_id : S("<>")));
}
