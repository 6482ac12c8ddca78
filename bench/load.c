/* SPDX-License-Identifier: ISC */
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

void
load_die(const char *what)
{
	fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
	exit(1);
}

unsigned
load_number(const char *text, unsigned max)
{
	uint64_t number;

	if (!str_to_u64(str_from(text), max, &number)) {
		errno = EINVAL;
		load_die(text);
	}
	return (unsigned)number;
}

int64_t
load_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int
load_connect(int port)
{
	struct sockaddr_in to = {
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int on = 1;

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		load_die("connect");
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) < 0)
		load_die("TCP_NODELAY");
	return fd;
}

void
load_set_nonblocking(int fd)
{
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0)
		load_die("O_NONBLOCK");
}

static int
compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

void
load_report(FILE *out, int64_t started, int64_t *delays, size_t count)
{
	double seconds = (double)(load_now_us() - started) / 1e6;
	size_t middle = count / 2, late = count * 99 / 100;
	double at[] = { 0, 0, 0 };

	qsort(delays, count, sizeof(*delays), compare);
	if (count > 0) {
		at[0] = (double)delays[middle] / 1e3;
		at[1] = (double)delays[late] / 1e3;
		at[2] = (double)delays[count - 1] / 1e3;
	}
	fprintf(out,
		"{\"count\": %zu, \"seconds\": %.4f, \"rate\": %.1f, \"p50_ms\": %.3f, "
		"\"p99_ms\": %.3f, \"max_ms\": %.3f}\n",
		count, seconds, (double)count / seconds, at[0], at[1], at[2]);
	fflush(out);
}
