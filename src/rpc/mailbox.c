/* SPDX-License-Identifier: ISC */
#include "rpc/mailbox.h"

enum {
	TIMEOUT = 5000, /* ms */
	FIELDS_MAX = 8192,
};

const struct rpc_rule mailbox_rules[] = {
	{ MAILBOX_OPEN, BIT(SERVICE_DIRECTORY) },
	{ 0 },
};

void
mailbox_open_write(struct buf *b, const struct mailbox_open *o)
{
	buf_u64(b, o->account);
	buf_u8(b, (uint8_t)o->right);
	buf_u8(b, o->tls);
	buf_u8(b, o->own_socket);
	buf_str(b, o->folder);
	buf_str(b, o->address);
	buf_str(b, o->user);
	buf_str(b, o->peer);
	buf_str(b, o->session);
	buf_str(b, o->tag);
}

Err
mailbox_open_parse(struct cursor *c, struct mailbox_open *ret)
{
	struct mailbox_open o;

	o.account = cursor_u64(c);
	o.right = cursor_u8(c) == MAILBOX_RIGHT_SESSION ? MAILBOX_RIGHT_SESSION
							: MAILBOX_RIGHT_DELIVERY;
	o.tls = cursor_u8(c) != 0;
	o.own_socket = cursor_u8(c) != 0;
	o.folder = cursor_str(c);
	o.address = cursor_str(c);
	o.user = cursor_str(c);
	o.peer = cursor_str(c);
	o.session = cursor_str(c);
	o.tag = cursor_str(c);
	if (c->bad)
		return fail(ERR_PEER, "request to open an account is cut");
	*ret = o;
	return OK;
}

Err
mailbox_tell_open(struct caller *c, const struct mailbox_open *o, const int *fds,
	size_t fd_count)
{
	AUTO_BUF fields = BUF_INIT(FIELDS_MAX);
	struct request r = {
		.type = MAILBOX_OPEN, .fds = fds, .fd_count = fd_count, .timeout = TIMEOUT
	};

	mailbox_open_write(&fields, o);
	TRY(buf_check(&fields));
	r.fields = buf_view(&fields);
	return caller_tell(c, &r);
}
