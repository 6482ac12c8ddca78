/* SPDX-License-Identifier: ISC */
#include "os/channel.h"

#include <assert.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

Err
channel_pair(int ret[2])
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ret) != 0)
		return fail_sys(ERR_TEMP, "cannot make a channel");
	return OK;
}

void
channel_widen(int fd)
{
	int privileged = 4 * 1024 * 1024,
	    allowed = 208 * 1024; /* net.core.wmem_max as shipped */

	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &privileged, sizeof(privileged)) != 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &allowed, sizeof(allowed));
}

Err
channel_stream_pair(int ret[2])
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ret) != 0)
		return fail_sys(ERR_TEMP, "cannot make a channel");
	return OK;
}

union fds_room {
	char bytes[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
	struct cmsghdr align;
};

static void
attach_fds(struct msghdr *m, union fds_room *room, const int *fds, size_t fd_count)
{
	struct cmsghdr *header;

	m->msg_control = room->bytes;
	m->msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
	header = CMSG_FIRSTHDR(m);
	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
	memcpy(CMSG_DATA(header), fds, sizeof(int) * fd_count);
}

Err
channel_send_now(int fd, const Str *parts, size_t part_count, const int *fds, size_t fd_count)
{
	struct iovec iov[CHANNEL_PARTS_MAX];
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = part_count };
	union fds_room room = { 0 };
	size_t all = 0;

	assert(part_count <= CHANNEL_PARTS_MAX && fd_count <= CHANNEL_FDS_MAX);
	for (size_t i = 0; i < part_count; i++) {
		iov[i] = (struct iovec){ (void *)parts[i].p, parts[i].n };
		all += parts[i].n;
	}
	if (all > CHANNEL_MESSAGE_MAX)
		return fail(ERR_LIMIT, "message between processes is too long");
	if (fd_count > 0)
		attach_fds(&m, &room, fds, fd_count);
	for (;;) {
		if (sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
			return OK;
		if (errno == EINTR)
			continue;
		if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
			return fail_sys(ERR_GONE, "the other process is gone");
		return fail_sys(ERR_TEMP, "cannot send to another process");
	}
}

/* True when the descriptor is ready, has failed or is closed: the next call tells which. */
static bool
wait_for(int fd, short events, Moment until)
{
	struct pollfd p = { .fd = fd, .events = events };
	int n;

	do
		n = poll(&p, 1, moment_left(until));
	while (n < 0 && errno == EINTR);
	return n > 0;
}

Err
channel_send(int fd, const Str *parts, size_t part_count, const int *fds, size_t fd_count,
	Moment until)
{
	for (;;) {
		Err e = channel_send_now(fd, parts, part_count, fds, fd_count);

		if (e.kind != ERR_TEMP || (e.sys != EAGAIN && e.sys != ENOBUFS))
			return e;
		if (!wait_for(fd, POLLOUT, until))
			return e;
	}
}

static void
collect_fds(struct msghdr *m, struct channel_message *ret)
{
	ret->fd_count = 0;
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		size_t n;

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		n = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < n && ret->fd_count < CHANNEL_FDS_MAX; i++)
			memcpy(&ret->fds[ret->fd_count++], CMSG_DATA(h) + i * sizeof(int),
				sizeof(int));
	}
}

Err
channel_receive_now(int fd, char *buffer, size_t size, struct channel_message *ret)
{
	struct iovec iov = { buffer, size };
	union fds_room room;
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = room.bytes,
		.msg_controllen = sizeof(room.bytes) };
	ssize_t n;

	do
		n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return (Err){ ERR_TEMP, EAGAIN, "nothing to receive" };
	if (n < 0)
		return fail_sys(ERR_GONE, "the other process is gone");
	if (n == 0)
		return fail(ERR_GONE, "the other process is gone"); /* errno is an old one */
	collect_fds(&m, ret);
	ret->bytes = (Str){ buffer, (size_t)n };
	if ((m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) {
		channel_message_drop(ret);
		return fail(ERR_TEMP, "message between processes was cut");
	}
	return OK;
}

Err
channel_receive(int fd, char *buffer, size_t size, Moment until, struct channel_message *ret)
{
	for (;;) {
		Err e = channel_receive_now(fd, buffer, size, ret);

		if (e.kind != ERR_TEMP || e.sys != EAGAIN)
			return e;
		if (!wait_for(fd, POLLIN, until))
			return fail(ERR_TEMP, "no answer in time");
	}
}

Err
channel_receive_many(int fd, char *buffer, size_t size, size_t most, Str *ret,
	size_t *ret_count)
{
	struct iovec iov[CHANNEL_MANY_MAX];
	struct mmsghdr messages[CHANNEL_MANY_MAX] = { 0 };
	size_t count = 0;
	int n;

	assert(most <= CHANNEL_MANY_MAX);
	for (size_t i = 0; i < most; i++) {
		iov[i] = (struct iovec){ buffer + i * size, size };
		messages[i].msg_hdr = (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	do
		n = recvmmsg(fd, messages, (unsigned)most, MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return fail_sys(ERR_GONE, "the other process is gone");
	for (; n > 0 && count < (size_t)n && messages[count].msg_len > 0; count++)
		ret[count] = (Str){ iov[count].iov_base, messages[count].msg_len };
	if (n > 0 && count == 0) /* an empty datagram is the end of the file */
		return fail(ERR_GONE, "the other process is gone");
	*ret_count = count;
	return OK;
}

void
channel_message_drop(struct channel_message *m)
{
	for (size_t i = 0; i < m->fd_count; i++)
		fd_drop(&m->fds[i]);
	m->fd_count = 0;
}

int
channel_take_fd(struct channel_message *m, size_t at)
{
	return at < m->fd_count ? TAKE_FD(m->fds[at]) : -1;
}
