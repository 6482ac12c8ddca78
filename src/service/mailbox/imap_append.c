/* SPDX-License-Identifier: ISC */
/* APPEND (RFC 9051, 6.3.12): the message is in the spool already, see imap_read.c. */
#include "service/mailbox/session_internal.h"

Err
session_append(struct imap_session *s, const struct imap_command *cmd)
{
	const struct imap_append *append = &cmd->append;
	struct mailbox_append message = {
		.message = { .bytes = buf_view(&s->spool.bytes),
			.fd = s->spool.fd,
			.size = s->spool.size,
			.crlf = true },
		.date = append->has_date ? append->date : clock_wall(),
	};
	struct mailbox_folder folder;
	uint32_t uid;
	bool ok;
	Err e;

	if (s->spool.nul) {
		session_answer(s, SESSION_NO, "UNKNOWN-CTE", "The message holds a NUL");
		return OK;
	}
	TRY(session_find(s, append->mailbox, "TRYCREATE", &folder, &ok));
	if (!ok)
		return OK;
	if (append->size == 0) {
		session_answer(s, SESSION_NO, NULL, "An empty message is none");
		return OK;
	}
	TRY(session_flag_bits(s, folder.id, &append->flags, true, &message.flags, &ok));
	if (!ok)
		return OK;
	e = mailbox_append(s->mailbox, folder.id, &message, 1, MAILBOX_DURABLE, &uid);
	if (failed(e))
		return session_answer_failure(s, e, "TRYCREATE", "No such mailbox");
	buf_printf(&s->code, "APPENDUID %u %u", folder.uid_validity, uid);
	return OK;
}
