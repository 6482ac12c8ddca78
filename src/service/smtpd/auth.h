/* SPDX-License-Identifier: ISC */
#pragma once

/* The lines of AUTH (RFC 4954, 4) around the mechanisms of format/sasl. */

#include "format/sasl/sasl.h"
#include "format/smtp/command.h"
#include "os/conn.h"

/*
 * Runs the mechanism that cmd names until user and password are known. Whatever comes of it,
 * sasl_done is the caller's.
 *
 * ERR_PEER   *ret_refusal is the reply to give
 * ERR_GONE   as conn_read_line
 */
MUST_USE Err smtpd_auth_read(struct sasl *s, struct conn *c, const struct smtp_command *cmd,
	Str *ret_refusal);
