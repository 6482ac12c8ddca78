/* SPDX-License-Identifier: ISC */
#include "os/spawn.h"

#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

enum {
	CHANNEL = 3, /* where the child finds it */
	VARIABLE_MAX = 512,
};

Err
spawn_open_self(int *ret)
{
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail_sys(ERR_PERM, "cannot open our own executable (is /proc mounted?)");
	*ret = fd;
	return OK;
}

static const char *const kept_variables[] = { "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS",
	"POSTHORN_TEST_HOOKS" };

struct environment {
	char text[COUNT(kept_variables)][VARIABLE_MAX];
	char *list[COUNT(kept_variables) + 1];
};

static void
fill_environment(struct environment *e)
{
	size_t n = 0;

	for (size_t i = 0; i < COUNT(kept_variables); i++) {
		const char *value = getenv(kept_variables[i]);

		if (value == NULL)
			continue;
		snprintf(e->text[n], VARIABLE_MAX, "%s=%s", kept_variables[i], value);
		e->list[n] = e->text[n];
		n++;
	}
	e->list[n] = NULL;
}

/* In the child, between fork and exec: only what is safe there. */
static void
become(int self, char *const *argv, int channel, char *const *environment)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* a terminal's Ctrl-C is for master */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Out of the way of the places that they are going to. */
	channel = fcntl(channel, F_DUPFD_CLOEXEC, CHANNEL + 2);
	self = fcntl(self, F_DUPFD_CLOEXEC, CHANNEL + 1);
	if (null < 0 || channel < 0 || self < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
		dup2(channel, CHANNEL) < 0)
		_exit(71);
	close_range(CHANNEL + 1, ~0U, CLOSE_RANGE_CLOEXEC);
	fexecve(self, argv, environment);
	_exit(71);
}

Err
spawn_run(int self, char *const *argv, int channel, pid_t *ret)
{
	struct environment environment;
	pid_t pid;

	fill_environment(&environment);
	pid = fork();
	if (pid < 0)
		return fail_sys(ERR_TEMP, "cannot start a process");
	if (pid == 0)
		become(self, argv, channel, environment.list);
	*ret = pid;
	return OK;
}
