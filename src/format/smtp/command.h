/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * SMTP command lines (RFC 5321, 4.1.1), read as a server and written as a client. The line is the
 * peer's; the Strs in a command point into it.
 */

#include "format/address/address.h"

enum {
	SMTP_LINE_MAX = 12288, /* octets; AUTH needs so many (RFC 4954, 4) */
	SMTP_COMMAND_MAX =
		2048, /* octets of other lines; 512 and what extensions add (4.5.3.1.4) */
	SMTP_PARAMETERS_MAX = 16, /* of one MAIL or RCPT */
};

enum smtp_verb {
	SMTP_UNKNOWN, /* not a verb of ours: 500 */
	SMTP_HELO,
	SMTP_EHLO,
	SMTP_MAIL,
	SMTP_RCPT,
	SMTP_DATA,
	SMTP_BDAT,
	SMTP_RSET,
	SMTP_NOOP,
	SMTP_HELP,
	SMTP_VRFY,
	SMTP_EXPN,
	SMTP_QUIT,
	SMTP_STARTTLS,
	SMTP_AUTH,
	SMTP_VERBS, /* how many there are */
};

enum smtp_body {
	SMTP_BODY_UNSAID,
	SMTP_BODY_7BIT,
	SMTP_BODY_8BITMIME,   /* RFC 6152 */
	SMTP_BODY_BINARYMIME, /* RFC 3030; known, but not offered */
};

struct smtp_command {
	enum smtp_verb verb;
	Str argument; /* HELO, EHLO: the name; AUTH: the mechanism; NOOP, HELP, VRFY, EXPN: the rest */
	bool bare; /* MAIL, RCPT: the address stood without brackets, or behind a blank */
	struct address path; /* MAIL, RCPT */
	Str parameter; /* MAIL, RCPT: the first parameter that we do not know, or empty: 555 */
	/* MAIL */
	bool has_size;
	uint64_t size; /* octets (RFC 1870) */
	enum smtp_body body;
	bool utf8; /* RFC 6531 */
	Str auth;  /* RFC 4954, 5: xtext as written, or empty */
	/* AUTH */
	bool has_initial;
	Str initial; /* base64 as written; "=" stands for the empty response */
	/* BDAT (RFC 3030) */
	uint64_t chunk; /* octets that follow the line */
	bool last;
};

/*
 * Parses one command line. Verbs and parameters in any letter case; blanks at the end of the line
 * and around an address are forgiven, and so is an address without brackets (ret->bare): the
 * session decides whether it may stand.
 *
 * line  without its CRLF; the Strs in *ret point into it and die with it.
 *
 * ERR_PEER   bad syntax (501); an unknown verb is no error here but SMTP_UNKNOWN
 * ERR_LIMIT  longer than SMTP_COMMAND_MAX or (AUTH) SMTP_LINE_MAX, or too many parameters (500)
 */
MUST_USE Err smtp_command_parse(Str line, struct smtp_command *ret);

/* Writes the line with its CRLF; what smtp_command_parse reads back as the same command. */
void smtp_command_write(struct buf *b, const struct smtp_command *cmd);

/* "MAIL"; "UNKNOWN" for SMTP_UNKNOWN. */
Str smtp_command_verb_name(enum smtp_verb verb);
