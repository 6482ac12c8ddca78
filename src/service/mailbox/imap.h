/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * An IMAP session after authentication, in the process of its account (RFC 9051 and RFC 3501).
 * One thread serves one session in straight lines; everything it shares with others is behind
 * store/mailbox.h.
 */

#include "rpc/mailbox.h"
#include "store/mailbox.h"

/* What is promised once a user is known; `login` promises its own before. */
extern const char imap_session_capabilities[];

/*
 * Speaks IMAP on fd until the client leaves: begins with "TAG OK [CAPABILITY ...]", the answer to
 * the LOGIN or AUTHENTICATE that `login` has read.
 *
 * fd    a stream socket, TLS is somebody else's; taken.
 * open  stays the caller's, alive until this returns.
 */
void imap_session_serve(struct mailbox *mailbox, int fd, const struct mailbox_open *open);
