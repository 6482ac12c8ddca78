/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * One conversation, as the files that hold it share it: converse.c has the dialogue, credentials.c
 * AUTH, envelope.c senders and recipients, receive.c the message.
 */

#include "os/conn.h"
#include "service/smtpd/events.h"
#include "service/smtpd/message.h"
#include "service/smtpd/smtpd.h"

struct talk {
	struct smtpd *smtpd;
	struct smtpd_asker *asker;
	struct conn *conn;
	struct smtpd_roll_entry *entry;
	struct smtp_session session;
	struct smtpd_who who;
	bool over;
	enum smtp_verb last;

	Ip ip;
	struct buf names; /* holds who, name and address */
	Str name;         /* verified, or empty */
	Str address;      /* as Received lines write it: "IPv6:..." */
	struct buf helo;
	struct buf tls;  /* "TLSv1.3 with cipher ...", or empty */
	struct buf user; /* authenticated as; empty: nobody */
	Str mechanism;
	uint64_t account;
	int wrong_passwords;

	/* The transaction; what it says lives in the asker's arena. */
	unsigned transactions;
	Str sender;
	Time began;
	struct envelope_recipient *recipients;
	size_t recipient_count, recipient_room;
	size_t packed; /* octets of the envelope so far, at most */

	bool receiving; /* message is open */
	struct smtpd_message message;
	struct smtpd_terms terms;
	struct buf id; /* of the message, for its Received line */
};

/* Writes a reply; it leaves when the next read must wait. */
MUST_USE Err smtpd_talk_answer(struct talk *t, Str reply);

/* Refuses and tells the log, as Postfix does for what its policy refuses. */
MUST_USE Err smtpd_talk_reject(struct talk *t, Str stage, Str reply, Str recipient);

/* Ends the transaction, and with it whatever was received of a message. */
void smtpd_talk_forget(struct talk *t);

/*
 * What the steps of format/smtp/session.h of the same names ask for. reply is what to say when all
 * is well. An Err ends the conversation.
 */
MUST_USE Err smtpd_talk_authenticate(struct talk *t, const struct smtp_command *cmd, Str reply);
MUST_USE Err smtpd_talk_check_sender(struct talk *t, const struct smtp_command *cmd, Str reply);
MUST_USE Err smtpd_talk_check_recipient(struct talk *t, const struct smtp_command *cmd,
	Str reply);
MUST_USE Err smtpd_talk_receive_data(struct talk *t, Str go_ahead);
MUST_USE Err smtpd_talk_receive_chunk(struct talk *t, const struct smtp_command *cmd);
MUST_USE Err smtpd_talk_skip_chunk(struct talk *t, const struct smtp_command *cmd, Str reply);
