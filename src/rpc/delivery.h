/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * The delivery channel between `deliver` and one account's process: a SEQPACKET pair whose one end
 * came through `directory` and the template. `deliver` sends messages, the last of a batch marked;
 * the process commits the batch and answers with one datagram. It says HELLO first, so that
 * `deliver` knows that it is up.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "base/time.h"
#include "os/channel.h"

enum {
	DELIVERY_INLINE_MAX =
		64 * 1024, /* octets of a body inside the datagram; more is a memfd */
	DELIVERY_BATCH_MAX = 64,
};

struct delivery_message {
	uint64_t queue_id; /* with number: the delivery id */
	uint32_t number;
	bool last;          /* of the batch: commit and answer */
	bool unparsed;      /* parsing it has crashed twice: store it as it is */
	bool own_line_ends; /* bytes keep their CR and LF */
	Str sender;         /* for Return-Path; "" is <> */
	Str recipient;      /* for Delivered-To */
	Time queued;
	uint64_t forget_below; /* delivery ids of older queue ids may go */
	Str bytes;             /* when fd is -1 */
	int fd;                /* sealed memfd; the message's until taken */
	uint64_t size;
};

enum delivery_verdict {
	DELIVERY_DONE,
	DELIVERY_LATER,   /* 4.x.x */
	DELIVERY_REFUSED, /* 5.x.x */
};

struct delivery_answer {
	uint64_t queue_id;
	uint32_t number;
	enum delivery_verdict verdict;
	Str status; /* x.y.z */
	Str text;   /* "delivered to INBOX" */
};

/* `deliver`: ERR_GONE the process ended, ERR_TEMP it does not take more until then. */
MUST_USE Err delivery_send(int channel, const struct delivery_message *m, Moment until);
/* Waits for the answer to a batch; buffer holds CHANNEL_MESSAGE_MAX octets. count 0 is HELLO. */
MUST_USE Err delivery_receive_answers(int channel, char *buffer, struct arena *a, Moment until,
	struct delivery_answer **ret, size_t *ret_count);

/* The account's process. */
MUST_USE Err delivery_say_hello(int channel);
/* buffer holds CHANNEL_MESSAGE_MAX octets; Strs point into it. ret->fd is the caller's. */
MUST_USE Err delivery_receive(int channel, char *buffer, Moment until,
	struct delivery_message *ret);
MUST_USE Err delivery_answer(int channel, const struct delivery_answer *answers, size_t count);
