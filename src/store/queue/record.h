/* SPDX-License-Identifier: ISC */
#pragma once

/* The payloads of the queue's journal records. Pure: bytes to values and back. */

#include "store/queue.h"

enum record_type {
	RECORD_MESSAGE = 1,
	RECORD_RESULTS,
	RECORD_ATTEMPT,
	RECORD_EXPAND,
	RECORD_CONTROL,
	RECORD_MOVED,
	RECORD_CHECKPOINT, /* u64: local deliveries journaled below are synced */
};

struct record_message {
	bool in_file;
	uint32_t file_sum; /* CRC32C of the file */
	uint64_t settles_id;
	const uint32_t *settles; /* parsed: in the arena */
	size_t settles_count;
	struct envelope envelope;
	Str body; /* parsed: what is left; the writer appends it itself */
};

void record_message_write(struct buf *b, const struct record_message *m);
MUST_USE Err record_message_parse(Str payload, struct arena *a, struct record_message *ret);
/* Only where the body is; ERR_PEER when it is in a file. */
MUST_USE Err record_message_find_body(Str payload, struct arena *a, Str *ret);

struct record_result {
	struct queue_result result;
	Time next; /* LATER */
};

/* A RESULTS payload is any number of these, one behind the other; so are ATTEMPTs. */
void record_result_write(struct buf *b, const struct record_result *r);
bool record_result_parse(struct cursor *c, struct record_result *ret);

struct record_attempt {
	uint64_t id;
	bool alone; /* nothing else was taken with it */
	const uint32_t *numbers;
	uint32_t count;
};

void record_attempt_begin(struct buf *b, uint64_t id, bool alone, uint32_t count);
/* Then buf_u32 for each number. Parsed: the numbers stay in the cursor, `count` of them. */
bool record_attempt_parse(struct cursor *c, uint64_t *ret_id, bool *ret_alone,
	uint32_t *ret_count);

struct record_expand {
	uint64_t id;
	uint32_t number;
	uint64_t cursor;
	bool done;
	struct envelope_recipient *members;
	size_t count;
};

void record_expand_write(struct buf *b, const struct record_expand *e);
MUST_USE Err record_expand_parse(Str payload, struct arena *a, struct record_expand *ret);

enum record_verb {
	RECORD_HOLD = 1,
	RECORD_RELEASE,
	RECORD_REMOVE,
};

void record_control_write(struct buf *b, uint64_t id, enum record_verb verb);
bool record_control_parse(Str payload, uint64_t *ret_id, enum record_verb *ret_verb);

/* A recipient as a MOVED record keeps it. */
struct record_moved_recipient {
	uint32_t number;
	enum envelope_class class;
	enum queue_recipient_state state;
	uint16_t attempts;
	uint8_t crashes;
	uint64_t cursor;
	Time next;
	Str address;
	struct queue_reason reason;
};

struct record_moved {
	uint64_t id;
	bool held;
	uint32_t file_sum;
	uint32_t next_number;
	struct envelope envelope; /* without recipients */
	uint32_t recipient_count;
	struct cursor recipients; /* parsed: record_moved_next */
};

/* Followed by recipient_count recipients. */
void record_moved_write(struct buf *b, const struct record_moved *m);
void record_moved_write_recipient(struct buf *b, const struct record_moved_recipient *r);
MUST_USE Err record_moved_parse(Str payload, struct arena *a, struct record_moved *ret);
bool record_moved_next(struct record_moved *m, struct record_moved_recipient *ret);
