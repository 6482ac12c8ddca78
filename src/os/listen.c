/* SPDX-License-Identifier: ISC */
#include "os/listen.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum {
	BACKLOG = 1024,
};

union any_address {
	struct sockaddr any;
	struct sockaddr_in four;
	struct sockaddr_in6 six;
};

static Err
fill_address(Str text, uint16_t port, union any_address *ret, socklen_t *ret_size)
{
	char digits[INET6_ADDRSTRLEN];

	*ret = (union any_address){ 0 };
	if (str_eq(text, S("*")))
		text = S("::");
	TRY(str_c(text, digits, sizeof(digits)));
	if (inet_pton(AF_INET, digits, &ret->four.sin_addr) == 1) {
		ret->four.sin_family = AF_INET;
		ret->four.sin_port = htons(port);
		*ret_size = sizeof(ret->four);
		return OK;
	}
	if (inet_pton(AF_INET6, digits, &ret->six.sin6_addr) == 1) {
		ret->six.sin6_family = AF_INET6;
		ret->six.sin6_port = htons(port);
		*ret_size = sizeof(ret->six);
		return OK;
	}
	return fail(ERR_PERM, "not an address to listen on");
}

Err
listen_tcp(Str address, uint16_t port, int *ret)
{
	union any_address where;
	socklen_t size;
	AUTO_FD fd = -1;
	int on = 1, off = 0;

	TRY(fill_address(address, port, &where, &size));
	fd = socket(where.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_sys(ERR_PERM, "cannot make a socket");
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (where.any.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, str_eq(address, S("*")) ? &off : &on,
			sizeof(on));
	if (bind(fd, &where.any, size) != 0 || listen(fd, BACKLOG) != 0)
		return fail_sys(ERR_PERM, "cannot listen");
	*ret = TAKE_FD(fd);
	return OK;
}

Err
listen_local(const char *path, int *ret)
{
	struct sockaddr_un where = { .sun_family = AF_UNIX };
	AUTO_FD fd = -1;
	int n = snprintf(where.sun_path, sizeof(where.sun_path), "%s", path);

	if (n < 0 || (size_t)n >= sizeof(where.sun_path))
		return fail(ERR_PERM, "path of the socket is too long (107 octets at most)");
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return fail_sys(ERR_PERM, "cannot make a socket");
	unlink(path);
	if (bind(fd, (struct sockaddr *)&where, sizeof(where)) != 0 || chmod(path, 0600) != 0 ||
		listen(fd, BACKLOG) != 0)
		return fail_sys(ERR_PERM, "cannot make the local socket");
	*ret = TAKE_FD(fd);
	return OK;
}

Err
listen_accept(int listener, int *ret)
{
	int on = 1;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return fail_sys(ERR_TEMP, "nobody to accept");
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	*ret = fd;
	return OK;
}
