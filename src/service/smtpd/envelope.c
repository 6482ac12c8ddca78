/* SPDX-License-Identifier: ISC */
/* Who the message is from and for: `directory` decides, at once and for each. */
#include "service/smtpd/talk.h"

enum {
	REPLY_MAX = 512 + ADDRESS_MAX, /* octets of one reply with an address in it */
	RECIPIENTS_FIRST = 16,
	RECIPIENT_COST = 32, /* octets of a packed recipient besides its address, at most */
};

/* "550 5.1.1 <a@b>: why" */
static Err
reject_address(struct talk *t, Str stage, const char *code, Str address, const char *why)
{
	char room[REPLY_MAX];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };

	buf_put_c(&b, code);
	buf_put(&b, S(" <"));
	buf_put(&b, address);
	buf_put(&b, S(">: "));
	buf_put_c(&b, why);
	return smtpd_talk_reject(t, stage, buf_view(&b),
		str_eq(stage, S("RCPT")) ? address : S(""));
}

static Err
begin_transaction(struct talk *t, const struct smtp_command *cmd, Str reply)
{
	Err e;

	smtpd_talk_forget(t);
	e = arena_copy(t->asker->arena, cmd->path.text, &t->sender);
	if (failed(e))
		return smtpd_talk_answer(t, S("452 4.3.1 No memory for the sender"));
	t->packed = t->sender.n + t->who.peer.n + t->who.session.n + RECIPIENT_COST * 4;
	t->began = clock_wall();
	smtp_session_set_sender(&t->session, cmd);
	return smtpd_talk_answer(t, reply);
}

Err
smtpd_talk_check_sender(struct talk *t, const struct smtp_command *cmd, Str reply)
{
	bool allowed = true;
	Err e = OK;

	if (t->smtpd->smtp.submission)
		e = directory_call_sender(t->asker->directory, t->account, cmd->path.text,
			&allowed);
	if (failed(e)) {
		log_failure(LOG_LEVEL_WARNING, "smtp.directory", e);
		return reject_address(t, S("MAIL"), "451 4.3.0", cmd->path.text,
			"Temporary lookup failure");
	}
	if (!allowed)
		return reject_address(t, S("MAIL"), "553 5.7.1", cmd->path.text,
			"Sender address rejected: not yours");
	return begin_transaction(t, cmd, reply);
}

/* Letter case makes no other person of ours; of others only their own server can tell. */
static bool
is_recipient_already(const struct talk *t, Str address, enum envelope_class class)
{
	for (size_t i = 0; i < t->recipient_count; i++) {
		Str have = t->recipients[i].address;

		if (class == ENVELOPE_LOCAL ? str_eq_icase(have, address)
					    : str_eq(have, address))
			return true;
	}
	return false;
}

/* Room for one more; doubles, so the arena holds at most twice what is needed. */
static bool
grow_recipients(struct talk *t)
{
	size_t room = t->recipient_room == 0 ? RECIPIENTS_FIRST : t->recipient_room * 2;
	struct envelope_recipient *more;

	if (t->recipient_count < t->recipient_room)
		return true;
	more = arena_try_array(t->asker->arena, room, sizeof(*more));
	if (more == NULL)
		return false;
	for (size_t i = 0; i < t->recipient_count; i++)
		more[i] = t->recipients[i];
	t->recipients = more;
	t->recipient_room = room;
	return true;
}

static Err
add_recipient(struct talk *t, Str address, enum envelope_class class, Str reply)
{
	struct envelope_recipient r = { .class = class,
		.number = (uint32_t)t->recipient_count };
	size_t cost = address.n + RECIPIENT_COST;

	if (is_recipient_already(t, address, class)) {
		smtp_session_add_rcpt(&t->session);
		return smtpd_talk_answer(t, reply);
	}
	if (t->packed + cost > ENVELOPE_PACKED_MAX || !grow_recipients(t) ||
		failed(arena_copy(t->asker->arena, address, &r.address)))
		return smtpd_talk_answer(t, S("452 4.5.3 Too many recipients"));
	t->recipients[t->recipient_count++] = r;
	t->packed += cost;
	smtp_session_add_rcpt(&t->session);
	return smtpd_talk_answer(t, reply);
}

static Err
ask_recipient(struct talk *t, Str address, struct directory_recipient *ret)
{
	if (smtpd_recipients_get(t->smtpd->recipients, address, ret))
		return OK;
	TRY(directory_call_recipient(t->asker->directory, address, ret));
	if (ret->class == DIRECTORY_ACCOUNT || ret->class == DIRECTORY_ALIAS)
		smtpd_recipients_put(t->smtpd->recipients, address, ret);
	return OK;
}

static Err
refuse_recipient(struct talk *t, Str address, const char *code, const char *why)
{
	smtp_session_refuse_rcpt(&t->session);
	return reject_address(t, S("RCPT"), code, address, why);
}

Err
smtpd_talk_check_recipient(struct talk *t, const struct smtp_command *cmd, Str reply)
{
	Str address = cmd->path.text;
	struct directory_recipient r;
	Err e = ask_recipient(t, address, &r);

	if (failed(e)) {
		log_failure(LOG_LEVEL_WARNING, "smtp.directory", e);
		return refuse_recipient(t, address, "451 4.3.0", "Temporary lookup failure");
	}
	switch (r.class) {
	case DIRECTORY_ACCOUNT:
	case DIRECTORY_ALIAS:
		return add_recipient(t, address, ENVELOPE_LOCAL, reply);
	case DIRECTORY_UNKNOWN_USER:
		return refuse_recipient(t, address, "550 5.1.1",
			"Recipient address rejected: User unknown");
	case DIRECTORY_DISABLED:
		return refuse_recipient(t, address, "550 5.2.1",
			"Recipient address rejected: Account is disabled");
	case DIRECTORY_UNKNOWN_DOMAIN:
		break;
	}
	if (t->session.user)
		return add_recipient(t, address, ENVELOPE_REMOTE, reply);
	return refuse_recipient(t, address, "550 5.7.1",
		"No such domain at this location, and relay access denied");
}
