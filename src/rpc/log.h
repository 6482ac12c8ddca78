/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Events on their way to `log`. An event has a stable dotted name and fields; `log` renders it as
 * Postfix would (that shape is a contract with twenty-five years of tools) and keeps it as JSON on
 * request. Sending never blocks and never fails: what does not fit is counted.
 */

#include "base/buf.h"

enum log_level {
	LOG_LEVEL_DEBUG,
	LOG_LEVEL_INFO,
	LOG_LEVEL_WARNING,
	LOG_LEVEL_ERROR,
};

enum log_field_kind {
	LOG_FIELD_TEXT,    /* key=value, escaped */
	LOG_FIELD_ADDRESS, /* key=<value> */
	LOG_FIELD_NUMBER,  /* key=42 */
	LOG_FIELD_QUEUE,   /* a queue id: "2AD596513B: " in front of everything */
	LOG_FIELD_SESSION, /* a session id: JSON only, and in debug lines */
	LOG_FIELD_WORDS,   /* bare words without a key: "connect from", "removed" */
	LOG_FIELD_BEHIND, /* bare words behind the field before, in brackets: "sent (250 ok)" */
	LOG_FIELD_SECONDS, /* key=0.62: microseconds, shown as Postfix shows delays */
};

struct log_field {
	enum log_field_kind kind;
	const char *key;
	Str text;
	int64_t number;
};

#define F_STR(k, s) ((struct log_field){ LOG_FIELD_TEXT, (k), (s), 0 })
#define F_ADDR(k, s) ((struct log_field){ LOG_FIELD_ADDRESS, (k), (s), 0 })
#define F_INT(k, n) ((struct log_field){ LOG_FIELD_NUMBER, (k), S(""), (int64_t)(n) })
#define F_QUEUE(id) ((struct log_field){ LOG_FIELD_QUEUE, "queue", S(""), (int64_t)(id) })
#define F_SESSION(s) ((struct log_field){ LOG_FIELD_SESSION, "session", (s), 0 })
#define F_WORDS(k, s) ((struct log_field){ LOG_FIELD_WORDS, (k), (s), 0 })
#define F_BEHIND(k, s) ((struct log_field){ LOG_FIELD_BEHIND, (k), (s), 0 })
#define F_SECONDS(k, us) ((struct log_field){ LOG_FIELD_SECONDS, (k), S(""), (us) })

enum {
	LOG_LINE_MAX = 4096, /* octets of one event on its way; longer values are cut */
};

/* Called once, at the start of a service: where events go, and as whom. fd -1: to stderr. */
void log_open(int fd, const char *service);
/* In a child, before its first event: it has a number of its own. */
void log_forked(void);

/* Events below this are not sent. */
void log_set_level(enum log_level level);

/* log_event(LOG_LEVEL_INFO, "smtp.rcpt.rejected", F_STR("why", S("no such user"))); */
#define log_event(level, name, ...) \
	log_send((level), (name), (const struct log_field[]){ __VA_ARGS__ }, \
		sizeof((const struct log_field[]){ __VA_ARGS__ }) / sizeof(struct log_field))

void log_send(enum log_level level, const char *name, const struct log_field *fields,
	size_t count);

/* A failure with its text: name, what was being done, and the system's words. */
void log_failure(enum log_level level, const char *name, Err e);

/* Microseconds as Postfix shows delays: two digits that matter. */
void log_put_seconds(struct buf *b, int64_t us);

/*
 * "0.04/0.01/0.03/0.54": before the queue, in it, connecting, transmitting, in microseconds (SD-132).
 * Returns their sum; a part that a jump of the clock made negative counts as nothing.
 */
int64_t log_put_delays(struct buf *b, const int64_t parts[4]);

/* ---- `log` itself ---- */

struct log_record {
	enum log_level level;
	int64_t at_us; /* wall clock */
	uint32_t pid;
	uint32_t lost; /* events that did not fit before this one */
	Str service, name;
	struct cursor fields; /* log_record_field */
};

MUST_USE Err log_record_parse(Str datagram, struct log_record *ret);
/* The next field; false at the end. Strs point into the datagram; key is not NUL-terminated. */
bool log_record_field(struct log_record *r, enum log_field_kind *ret_kind, Str *ret_key,
	Str *ret_text, int64_t *ret_number);
/* The line as Postfix would write it, without date and host, and without its line end. */
void log_record_write_text(struct log_record *r, struct buf *b);
