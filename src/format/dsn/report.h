/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Delivery status notifications: what a sender is told about mail that did not arrive, as a
 * multipart/report (RFC 6522, RFC 3464) of a text for people, fields for programs, and the header
 * of the message. What remote servers said and what strangers wrote is in it; none of it can leave
 * its place.
 */

#include "base/buf.h"
#include "base/time.h"

enum dsn_action {
	DSN_FAILED,
	DSN_DELAYED,
};

struct dsn_recipient {
	Str address;
	Str status; /* x.y.z (RFC 3463) */
	Str text;   /* diagnostic, one line; as the log has it */
	Str remote; /* "host[address]:port" of the server that was spoken to, or "" */
};

struct dsn_report {
	enum dsn_action action;
	Str hostname; /* ours */
	Str sender;   /* of the message; the report goes to it. Never "" (RFC 5321, 4.5.5) */
	Str queue_id; /* of the message, as text */
	Time arrived; /* the message */
	Time now;
	uint32_t seed; /* makes the Message-ID and the boundary of this report unlike others */
	const struct dsn_recipient *recipients;
	size_t recipient_count;
};

enum {
	DSN_HEADER_MAX = 64 * 1024,  /* octets of the message's header that go back with it */
	DSN_REPORT_MAX = 512 * 1024, /* octets of a whole report */
};

/*
 * Appends the report, header first, with LF line ends. It is from the null sender, which the
 * caller puts into the envelope; no Return-Path or Received line is written.
 *
 * original   the message, or at least its header
 */
void dsn_report_write(struct buf *b, const struct dsn_report *r, Str original);

/* Whether the report holds octets above 127 (ENVELOPE_8BIT for whoever submits it). */
bool dsn_report_is_8bit(Str report);
