/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Finds where one IMAP command ends (RFC 9051, 2.2.1 and 4.3): lines and the literals they
 * announce. No I/O: it is fed octets in any split and says what the conversation must do next.
 * The text it gathers, literals included, is what imap_command_parse reads.
 */

#include "base/buf.h"

enum {
	/* What a peer may make us read and throw away before we hang up. */
	IMAP_DISCARD_MAX = 1024 * 1024,
	IMAP_LINE_PREAUTH = 8 * 1024,
	IMAP_LITERAL_PREAUTH = 8 * 1024,
	IMAP_LINE_MAX = 64 * 1024,
	IMAP_LITERAL_MAX = 64 * 1024, /* all literals of a command, those of APPEND apart */
};

enum imap_event {
	IMAP_READ_MORE,    /* all octets fed are eaten: feed the next */
	IMAP_READ_LITERAL, /* a literal is announced: call take, pass or refuse */
	IMAP_READ_COMMAND, /* the text is a whole command: parse it, then call next */
	IMAP_READ_LONG, /* over a limit, eaten to its end: answer BAD with the tag, call next */
	IMAP_READ_BROKEN, /* no way to find the next command: say BYE and hang up */
};

struct imap_literal {
	uint64_t size;  /* octets; UINT64_MAX also for what does not fit */
	bool sync;      /* the client waits for our "+" */
	bool binary;    /* literal8, "~{n}" */
	bool malformed; /* larger than number64 allows */
};

struct imap_reader {
	struct buf text;    /* the command so far */
	size_t literal_max; /* octets of all literals together */
	size_t line_max;    /* octets of all lines together */
	size_t lines;       /* octets of lines so far */
	size_t literals;    /* octets of literals so far */
	uint64_t left;      /* of the literal being read */
	struct imap_literal literal;
	size_t discarded;
	size_t line_at; /* where the current line begins in text */
	enum imap_reader_state {
		IMAP_READER_LINE,
		IMAP_READER_IN_LITERAL,
		IMAP_READER_ASK,
		IMAP_READER_SKIP_LINE,
		IMAP_READER_SKIP_LITERAL,
		IMAP_READER_DONE,
		IMAP_READER_ENDED,
	} state;
	enum imap_event end; /* what IMAP_READER_ENDED says */
	char tail[32]; /* the end of a line being skipped: a literal may be announced there */
	size_t tail_n;
};

void imap_reader_init(struct imap_reader *r, size_t line_max, size_t literal_max);
void imap_reader_done(struct imap_reader *r);

/*
 * Reads from in up to the next event; *ret_used octets were eaten. After LITERAL, COMMAND, LONG
 * and BROKEN the same event comes again, with nothing eaten, until it has been answered.
 */
enum imap_event imap_reader_feed(struct imap_reader *r, Str in, size_t *ret_used);

/* After COMMAND or LONG: the command as sent, CRLF included; dies at imap_reader_next. */
Str imap_reader_text(const struct imap_reader *r);

/* After LITERAL: what was announced. */
struct imap_literal imap_reader_literal(const struct imap_reader *r);

/*
 * Answers to LITERAL. take: the octets become part of the text; false when that is over a limit,
 * the literal is then refused. pass: the caller reads them itself, the reader goes on behind them.
 * refuse: this command is not wanted; after a synchronising literal the next event is LONG at
 * once, after another one its octets and the rest of the command are thrown away first.
 */
bool imap_reader_take(struct imap_reader *r);
void imap_reader_pass(struct imap_reader *r);
void imap_reader_refuse(struct imap_reader *r);

/* Begins the next command. */
void imap_reader_next(struct imap_reader *r);
