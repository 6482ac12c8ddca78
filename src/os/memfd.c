/* SPDX-License-Identifier: ISC */
#include "os/memfd.h"

#include <fcntl.h>
#include <sys/mman.h>

enum {
	SEALS = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK,
};

Err
memfd_new(int *ret)
{
	int fd = memfd_create("message", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0)
		return fail_sys(ERR_TEMP, "cannot make room for a message");
	*ret = fd;
	return OK;
}

Err
memfd_write(int fd, Str s)
{
	while (s.n > 0) {
		ssize_t n = write(fd, s.p, s.n);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return fail_sys(ERR_TEMP, "cannot write a message to memory");
		s = str_from_at(s, (size_t)n);
	}
	return OK;
}

Err
memfd_seal(int fd)
{
	if (fcntl(fd, F_ADD_SEALS, SEALS) != 0)
		return fail_sys(ERR_TEMP, "cannot seal a message");
	return OK;
}

Err
memfd_from(Str s, int *ret)
{
	AUTO_FD fd = -1;

	TRY(memfd_new(&fd));
	TRY(memfd_write(fd, s));
	TRY(memfd_seal(fd));
	*ret = TAKE_FD(fd);
	return OK;
}

Err
memfd_check(int fd, size_t size)
{
	int seals = fcntl(fd, F_GET_SEALS); /* which only memfds have */
	off_t end;

	if (seals < 0 || (seals & SEALS) != SEALS)
		return fail(ERR_PEER, "message is not sealed");
	/* fstat(3) takes a path inside today's C libraries: services without files may not. */
	end = lseek(fd, 0, SEEK_END);
	if (end < 0 || (size_t)end != size)
		return fail(ERR_PEER, "message is not of the announced size");
	return OK;
}

Err
memfd_read(int fd, off_t at, char *buffer, size_t n)
{
	while (n > 0) {
		ssize_t got = pread(fd, buffer, n, at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return fail_sys(ERR_TEMP, "cannot read a message from memory");
		buffer += got;
		at += got;
		n -= (size_t)got;
	}
	return OK;
}
