/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What an SMTP dialogue remembers, and what each command means there (RFC 5321, 3 and 4.1.4). No
 * input, no output, no clock: the service does what a step says and tells what came of it.
 */

#include "format/smtp/command.h"

enum {
	SMTP_RECIPIENTS_MIN = 100, /* RFC 5321, 4.5.3.1.8: any limit below is wrong */
};

/* How one kind of port behaves. Read only, shared by all conversations. */
struct smtp_settings {
	Str hostname;
	uint64_t message_max;    /* octets, announced as SIZE */
	uint32_t recipients_max; /* of one message */
	uint32_t
		bad_max; /* commands that are wrong or do nothing before the connection is closed */
	bool submission; /* RFC 6409: nothing without authentication */
	bool tls;        /* a certificate is there: STARTTLS can be offered */
	bool auth_clear; /* AUTH may be offered without TLS (set by the service for loopback) */
	bool bare_paths; /* addresses without brackets are taken */
};

enum smtp_step {
	SMTP_STEP_REPLY, /* only answer */
	SMTP_STEP_GREET, /* HELO or EHLO was taken: answer with smtp_session_put_greeting */
	SMTP_STEP_CHECK_SENDER, /* may this sender? then smtp_session_set_sender */
	SMTP_STEP_CHECK_RCPT,   /* is this recipient ours? then smtp_session_add_rcpt */
	SMTP_STEP_RECEIVE, /* send the reply (354), read DATA, then smtp_session_end_message */
	SMTP_STEP_CHUNK,   /* read cmd->chunk octets of the message; end it when cmd->last */
	SMTP_STEP_SKIP_CHUNK, /* read cmd->chunk octets, forget them, send the reply */
	SMTP_STEP_STARTTLS, /* send the reply (220), shake hands, then smtp_session_set_secure */
	SMTP_STEP_AUTH,     /* run the mechanism, then smtp_session_set_user or _fail_auth */
	SMTP_STEP_VERIFY,   /* VRFY: the service knows its policy */
	SMTP_STEP_CLOSE,    /* send the reply and end the connection */
};

/* What has been asked, for the line at the end of a connection. */
struct smtp_counts {
	uint32_t good, all; /* all includes the good ones */
};

/* The fields are for reading; the functions below write them. */
struct smtp_session {
	const struct smtp_settings *settings;
	bool greeted;   /* HELO or EHLO was taken */
	bool extended;  /* it was EHLO */
	bool secure;    /* TLS runs */
	bool may_auth;  /* AUTH is offered on this port */
	bool user;      /* authenticated */
	bool sender;    /* MAIL was taken: a transaction is open */
	bool utf8;      /* this transaction asked for SMTPUTF8 */
	bool chunks;    /* BDAT has begun */
	bool chunk_bad; /* a BDAT of this transaction failed; the rest is skipped */
	enum smtp_body body;
	uint64_t size_said; /* MAIL's SIZE, or 0 */
	uint32_t rcpts;     /* taken */
	uint32_t rcpts_refused;
	uint32_t bad;      /* towards bad_max */
	uint32_t messages; /* ended well */
	struct smtp_counts counts[SMTP_VERBS];
};

void smtp_session_init(struct smtp_session *s, const struct smtp_settings *settings,
	bool secure, bool auth_clear);

/*
 * One command. ret_reply is static text without its CRLF, "250 2.0.0 Ok": final for STEP_REPLY
 * and STEP_CLOSE, the go-ahead for RECEIVE and STARTTLS, the answer to send after SKIP_CHUNK, and
 * what to send if all is well for the others.
 */
enum smtp_step smtp_session_step(struct smtp_session *s, const struct smtp_command *cmd,
	Str *ret_reply);

/*
 * A line that smtp_command_parse or the line reader refused: counts it and gives the reply; it may
 * be 421, then the connection ends (STEP_CLOSE).
 */
enum smtp_step smtp_session_step_bad(struct smtp_session *s, Err why, struct buf *reply);

/* What the service found out after a step. */
void smtp_session_set_sender(struct smtp_session *s, const struct smtp_command *cmd);
void smtp_session_add_rcpt(struct smtp_session *s);
void smtp_session_refuse_rcpt(struct smtp_session *s);
void smtp_session_set_secure(
	struct smtp_session *s); /* forgets all but the settings (RFC 3207, 4.2) */
void smtp_session_set_user(struct smtp_session *s);
void smtp_session_fail_auth(struct smtp_session *s);
void
smtp_session_fail_chunk(struct smtp_session *s); /* the message is lost; chunks still come */
void smtp_session_end_message(struct smtp_session *s, bool taken);

/* True when the connection has used up its patience: 421 and close. */
bool smtp_session_tired(const struct smtp_session *s);

/* 250 with the extensions on offer now; peer is "client.example [192.0.2.1]" or so. */
void smtp_session_put_greeting(const struct smtp_session *s, Str peer, struct buf *reply);

/* RFC 3848: SMTP, ESMTP, ESMTPS, ESMTPA, ESMTPSA; with SMTPUTF8 UTF8SMTP... (RFC 6531, 4.3). */
Str smtp_session_with(const struct smtp_session *s);

/* "ehlo=1 mail=1 rcpt=1/2 data=0/1 quit=1 commands=4/6", as Postfix ends its disconnect line. */
void smtp_session_put_counts(const struct smtp_session *s, struct buf *b);
