/* SPDX-License-Identifier: ISC */
#include "rpc/escape.h"

#include "rpc/log.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* Each attempt returns true when it got through; false leaves errno. */

static bool
got(int fd)
{
	int kept = errno;

	if (fd < 0) {
		errno = kept;
		return false;
	}
	close(fd);
	return true;
}

static bool
open_passwd(void)
{
	return got(open("/etc/passwd", O_RDONLY | O_CLOEXEC));
}

static bool
write_tmp(void)
{
	return got(open("/tmp/posthorn-escaped", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
}

static bool
open_parent(void)
{
	return got(open("..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static bool
open_proc(void)
{
	return got(open("/proc/1/environ", O_RDONLY | O_CLOEXEC));
}

static bool
internet_socket(void)
{
	return got(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static bool
local_socket(void)
{
	return got(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
}

static bool
packet_socket(void)
{
	return got(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static bool
netlink_socket(void)
{
	return got(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, 0));
}

static bool
run_program(void)
{
	char *argv[] = { NULL }, *environment[] = { NULL };

	/* Only an exec that the kernel stops returns. */
	return execve("/bin/false", argv, environment) == 0;
}

static bool
trace_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0;
}

static bool
signal_parent(void)
{
	return kill(getppid(), 0) == 0;
}

static bool
signal_all(void)
{
	return kill(-1, 0) == 0;
}

static bool
change_mode(void)
{
	return chmod("/tmp", 01777) == 0;
}

static bool
become_root(void)
{
	return setuid(0) == 0 && setgid(0) == 0;
}

static bool
fork_child(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid > 0;
}

static bool
executable_memory(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p != MAP_FAILED && munmap(p, 4096) == 0;
}

static const struct {
	const char *name;
	bool (*attempt)(void);
} attempts[] = {
	{ "open-passwd", open_passwd },
	{ "write-tmp", write_tmp },
	{ "open-parent", open_parent },
	{ "open-proc", open_proc },
	{ "internet-socket", internet_socket },
	{ "local-socket", local_socket },
	{ "packet-socket", packet_socket },
	{ "netlink-socket", netlink_socket },
	{ "exec", run_program },
	{ "ptrace", trace_parent },
	{ "signal-parent", signal_parent },
	{ "signal-all", signal_all },
	{ "chmod", change_mode },
	{ "setuid", become_root },
	{ "fork", fork_child },
	{ "executable-memory", executable_memory },
};

void
escape_attempt(const char *who)
{
	const char *hook = getenv("POSTHORN_TEST_HOOKS");

	if (hook == NULL || strcmp(hook, "escape") != 0)
		return;
	for (size_t i = 0; i < COUNT(attempts); i++) {
		bool escaped;

		errno = 0;
		escaped = attempts[i].attempt();
		log_event(LOG_LEVEL_INFO, "walls.attempt", F_WORDS("what", S("escape")),
			F_STR("who", str_from(who)),
			F_STR("attempt", str_from(attempts[i].name)),
			F_STR("result", escaped ? S("through") : S("denied")),
			F_STR("error", str_from(strerrorname_np(errno))));
	}
}
