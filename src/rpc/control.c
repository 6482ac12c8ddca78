/* SPDX-License-Identifier: ISC */
#include "rpc/control.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

enum {
	TIMEOUT = 5 * 60 * 1000, /* ms */
};

Err
control_open(const char *data_folder, int *ret)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	AUTO_FD fd = -1;
	int n = snprintf(where.sun_path, sizeof(where.sun_path), "%s/control.sock",
		data_folder);

	if (n < 0 || (size_t)n >= sizeof(where.sun_path))
		return fail(ERR_PERM, "path of the data folder is too long");
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return fail_sys(ERR_TEMP, "cannot make a socket");
	if (connect(fd, (struct sockaddr *)&where, sizeof(where)) != 0)
		return errno == EACCES ? fail_sys(ERR_PERM, "may not use control.sock")
				       : fail_sys(ERR_GONE, "no server runs here");
	*ret = TAKE_FD(fd);
	return OK;
}

static Err
receive_answer(int fd, char *buffer, struct buf *ret, int *ret_exit)
{
	bool more;

	do {
		struct channel_message m;
		struct cursor c;

		TRY(channel_receive(fd, buffer, CHANNEL_MESSAGE_MAX, moment_after(TIMEOUT),
			&m));
		channel_message_drop(&m);
		c = cursor_of(m.bytes);
		*ret_exit = cursor_u8(&c);
		more = cursor_u8(&c) != 0;
		buf_put(ret, c.rest);
	} while (more);
	return buf_check(ret);
}

Err
control_command(int fd, const Str *words, size_t count, int input, struct buf *ret,
	int *ret_exit)
{
	AUTO_BUF request = BUF_INIT(CHANNEL_MESSAGE_MAX);
	char *buffer;
	Err e;

	buf_u32(&request, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		buf_str(&request, words[i]);
	TRY(buf_check(&request));
	TRY(channel_send(fd, (Str[]){ buf_view(&request) }, 1, &input, input >= 0,
		moment_after(TIMEOUT)));
	buffer = memory_get(CHANNEL_MESSAGE_MAX);
	e = receive_answer(fd, buffer, ret, ret_exit);
	free(buffer);
	return e;
}

Err
control_receive(int fd, char *buffer, size_t size, Moment until, struct channel_message *ret)
{
	return channel_receive(fd, buffer, size, until, ret);
}

void
control_answer(int fd, Str text, int exit_code)
{
	bool more;

	do {
		Str piece = str_part(text, 0, ADMIN_PIECE_MAX);
		char head[2];

		text = str_from_at(text, piece.n);
		more = text.n > 0;
		head[0] = (char)exit_code;
		head[1] = more;
		if (failed(channel_send(fd, (Str[]){ { head, sizeof(head) }, piece }, 2, NULL,
			    0, moment_after(TIMEOUT))))
			return;
	} while (more);
}
