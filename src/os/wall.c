/* SPDX-License-Identifier: ISC */
#include "os/wall.h"

#include "base/memory.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/* Newer than the headers of Debian 12; the running kernel's ABI says whether it knows them. */
enum {
	ABI_TRUNCATE = 3,
	ABI_NET = 4,
	ABI_IOCTL = 5,
	ABI_SCOPE = 6,
};

struct ruleset {
	uint64_t files;
	uint64_t net;
	uint64_t scoped;
};

#define FS_UP_TO_REFER ((1ULL << 14) - 1) /* ABI 2 */
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL (1ULL << 15)
#define NET_BIND_AND_CONNECT 3ULL
#define SCOPE_ABSTRACT_AND_SIGNAL 3ULL

#define FS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_CHANGE \
	(FS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
		LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | \
		LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_REFER)

/* What every service needs: memory, threads, clocks, and the descriptors that it holds. */
static const int calls_base[] = {
	SCMP_SYS(read),
	SCMP_SYS(readv),
	SCMP_SYS(pread64),
	SCMP_SYS(preadv),
	SCMP_SYS(write),
	SCMP_SYS(writev),
	SCMP_SYS(pwrite64),
	SCMP_SYS(pwritev),
	SCMP_SYS(lseek),
	SCMP_SYS(close),
	SCMP_SYS(close_range),
	SCMP_SYS(dup),
	SCMP_SYS(fcntl),
	SCMP_SYS(fstat),
	SCMP_SYS(sendfile),
	SCMP_SYS(recvmsg),
	SCMP_SYS(recvmmsg),
	SCMP_SYS(recvfrom),
	SCMP_SYS(sendmsg),
	SCMP_SYS(sendmmsg),
	SCMP_SYS(sendto),
	SCMP_SYS(accept4),
	SCMP_SYS(shutdown),
	SCMP_SYS(getsockname),
	SCMP_SYS(getpeername),
	SCMP_SYS(getsockopt),
	SCMP_SYS(setsockopt),
	SCMP_SYS(poll),
	SCMP_SYS(ppoll),
	SCMP_SYS(select),
	SCMP_SYS(pselect6),
	SCMP_SYS(epoll_create1),
	SCMP_SYS(epoll_ctl),
	SCMP_SYS(epoll_wait),
	SCMP_SYS(epoll_pwait),
	SCMP_SYS(eventfd2),
	SCMP_SYS(pipe),
	SCMP_SYS(pipe2),
	SCMP_SYS(memfd_create),
	SCMP_SYS(ftruncate),
	SCMP_SYS(brk),
	SCMP_SYS(munmap),
	SCMP_SYS(mremap),
	SCMP_SYS(madvise),
	SCMP_SYS(futex),
	SCMP_SYS(set_robust_list),
	SCMP_SYS(get_robust_list),
	SCMP_SYS(rseq),
	SCMP_SYS(membarrier),
	SCMP_SYS(sched_yield),
	SCMP_SYS(sched_getaffinity),
	SCMP_SYS(getcpu),
	SCMP_SYS(exit),
	SCMP_SYS(exit_group),
	SCMP_SYS(restart_syscall),
	SCMP_SYS(rt_sigaction),
	SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigreturn),
	SCMP_SYS(sigaltstack),
	SCMP_SYS(clock_gettime),
	SCMP_SYS(clock_getres),
	SCMP_SYS(clock_nanosleep),
	SCMP_SYS(nanosleep),
	SCMP_SYS(gettimeofday),
	SCMP_SYS(time),
	SCMP_SYS(getrandom),
	SCMP_SYS(getpid),
	SCMP_SYS(getppid),
	SCMP_SYS(gettid),
	SCMP_SYS(getuid),
	SCMP_SYS(geteuid),
	SCMP_SYS(getgid),
	SCMP_SYS(getegid),
	SCMP_SYS(getrusage),
	SCMP_SYS(sysinfo),
	SCMP_SYS(uname),
	SCMP_SYS(umask),
};

static const int calls_files_read[] = {
	SCMP_SYS(openat),
	SCMP_SYS(open),
	SCMP_SYS(openat2),
	SCMP_SYS(stat),
	SCMP_SYS(lstat),
	SCMP_SYS(newfstatat),
	SCMP_SYS(statx),
	SCMP_SYS(statfs),
	SCMP_SYS(fstatfs),
	SCMP_SYS(access),
	SCMP_SYS(faccessat),
	SCMP_SYS(faccessat2),
	SCMP_SYS(readlink),
	SCMP_SYS(readlinkat),
	SCMP_SYS(getdents64),
	SCMP_SYS(getcwd),
	SCMP_SYS(fchdir),
	SCMP_SYS(chdir),
	SCMP_SYS(inotify_init1),
	SCMP_SYS(inotify_add_watch),
	SCMP_SYS(inotify_rm_watch),
	SCMP_SYS(fadvise64),
	SCMP_SYS(flock),
};

static const int calls_files_change[] = {
	SCMP_SYS(mkdir),
	SCMP_SYS(mkdirat),
	SCMP_SYS(rmdir),
	SCMP_SYS(unlink),
	SCMP_SYS(unlinkat),
	SCMP_SYS(rename),
	SCMP_SYS(renameat),
	SCMP_SYS(renameat2),
	SCMP_SYS(link),
	SCMP_SYS(linkat),
	SCMP_SYS(truncate),
	SCMP_SYS(fallocate),
	SCMP_SYS(fsync),
	SCMP_SYS(fdatasync),
	SCMP_SYS(sync_file_range),
	SCMP_SYS(syncfs),
	SCMP_SYS(utimensat),
	SCMP_SYS(copy_file_range),
};

static const int calls_outgoing[] = {
	SCMP_SYS(connect),
	SCMP_SYS(bind),
};

static const int calls_fork[] = {
	SCMP_SYS(clone),
	SCMP_SYS(vfork),
	SCMP_SYS(wait4),
	SCMP_SYS(waitid),
	SCMP_SYS(signalfd4),
	SCMP_SYS(pidfd_open),
	SCMP_SYS(pidfd_send_signal),
	/* for the inner wall */
	SCMP_SYS(landlock_create_ruleset),
	SCMP_SYS(landlock_add_rule),
	SCMP_SYS(landlock_restrict_self),
	SCMP_SYS(seccomp),
};

static const int calls_sync[] = {
	SCMP_SYS(syncfs),
};

static bool
allow_all(scmp_filter_ctx filter, const int *calls, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0) != 0)
			return false;
	return true;
}

/* Calls whose arguments matter. Memory that can be written is never executable. */
static bool
allow_checked(scmp_filter_ctx filter, uint32_t allow)
{
	bool good = true;

	good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mmap), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
	good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(mprotect), 1,
			SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)) == 0;
	if ((allow & WALL_FORK) == 0)
		good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
				SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD)) == 0;
	/* Its flags lie in memory, where no filter sees them: glibc falls back to clone. */
	good &= seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0;
	good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socketpair), 1,
			SCMP_A0(SCMP_CMP_EQ, AF_UNIX)) == 0;
	good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
			SCMP_A0(SCMP_CMP_EQ, PR_SET_NAME)) == 0;
	good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prctl), 1,
			SCMP_A0(SCMP_CMP_EQ, PR_SET_PDEATHSIG)) == 0;
	good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(prlimit64), 1,
			SCMP_A2(SCMP_CMP_EQ, 0)) == 0;
	/* abort() raises a signal in its own thread; nothing else is ever signalled. */
	if ((allow & WALL_FORK) == 0)
		good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
				SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid())) == 0;
	if ((allow & WALL_OUTGOING) != 0) {
		good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_EQ, AF_INET)) == 0;
		good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(socket), 1,
				SCMP_A0(SCMP_CMP_EQ, AF_INET6)) == 0;
	}
	good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_EQ, 0x5421 /* FIONBIO */)) == 0;
	good &= seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
			SCMP_A1(SCMP_CMP_EQ, 0x541b /* FIONREAD */)) == 0;
	return good;
}

#define ALLOW(filter, calls) allow_all((filter), (calls), COUNT(calls))

static Err
build_filter(uint32_t allow, scmp_filter_ctx *ret)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	bool good = filter != NULL;

	good = good && seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2) == 0;
	good = good && ALLOW(filter, calls_base) && allow_checked(filter, allow);
	if (good && (allow & (WALL_FILES | WALL_READ)) != 0)
		good = ALLOW(filter, calls_files_read);
	if (good && (allow & WALL_FILES) != 0)
		good = ALLOW(filter, calls_files_change);
	if (good && (allow & WALL_OUTGOING) != 0)
		good = ALLOW(filter, calls_outgoing);
	if (good && (allow & WALL_FORK) != 0)
		good = ALLOW(filter, calls_fork);
	if (good && (allow & WALL_SYNC) != 0)
		good = ALLOW(filter, calls_sync);
	if (!good) {
		seccomp_release(filter);
		return fail(ERR_PERM, "cannot build the list of allowed system calls");
	}
	*ret = filter;
	return OK;
}

int
wall_landlock_abi(void)
{
	long abi =
		syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < 0 ? 0 : (int)abi;
}

static Err
allow_folder(int ruleset, int folder, uint64_t access)
{
	struct landlock_path_beneath_attr rule = { .allowed_access = access,
		.parent_fd = folder };

	if (syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) != 0)
		return fail_sys(ERR_PERM, "cannot allow a folder");
	return OK;
}

static Err
raise_landlock(uint32_t allow, const int *folders, size_t folder_count)
{
	int abi = wall_landlock_abi();
	struct ruleset attributes = { .files = FS_UP_TO_REFER };
	uint64_t access = (allow & WALL_FILES) != 0 ? FS_CHANGE : FS_READ;
	AUTO_FD ruleset = -1;

	if (abi >= ABI_TRUNCATE) {
		attributes.files |= FS_TRUNCATE;
		if ((allow & WALL_FILES) != 0)
			access |= FS_TRUNCATE;
	}
	if (abi >= ABI_IOCTL)
		attributes.files |= FS_IOCTL;
	if (abi >= ABI_NET && (allow & WALL_OUTGOING) == 0)
		attributes.net = NET_BIND_AND_CONNECT;
	if (abi >= ABI_SCOPE)
		attributes.scoped = SCOPE_ABSTRACT_AND_SIGNAL;
	ruleset = (int)syscall(SYS_landlock_create_ruleset, &attributes,
		abi >= ABI_SCOPE ? sizeof(attributes)
		: abi >= ABI_NET ? offsetof(struct ruleset, scoped)
				 : offsetof(struct ruleset, net),
		0);
	if (ruleset < 0)
		return fail_sys(ERR_PERM, "cannot make a Landlock ruleset");
	if ((allow & (WALL_FILES | WALL_READ)) != 0)
		for (size_t i = 0; i < folder_count; i++)
			TRY(allow_folder(ruleset, folders[i], access));
	if (syscall(SYS_landlock_restrict_self, ruleset, 0) != 0)
		return fail_sys(ERR_PERM, "cannot raise Landlock");
	return OK;
}

static Err
drop_user(const struct wall *w)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	if (w->user != 0) {
		if (setgroups(0, NULL) != 0 || setresgid(w->group, w->group, w->group) != 0 ||
			setresuid(w->user, w->user, w->user) != 0)
			return fail_sys(ERR_PERM, "cannot become the service's user");
	}
	if (syscall(SYS_capset, &head, none) != 0)
		return fail_sys(ERR_PERM, "cannot drop capabilities");
	return OK;
}

static size_t
count_threads(void)
{
	DIR *tasks = opendir("/proc/self/task");
	struct dirent *entry;
	size_t n = 0;

	if (tasks == NULL)
		return 1; /* no /proc: nothing to count */
	while ((entry = readdir(tasks)) != NULL)
		n += entry->d_name[0] != '.';
	closedir(tasks);
	return n;
}

Err
wall_raise(const struct wall *w)
{
	scmp_filter_ctx filter;
	int loaded;

/* The sanitizers' runtimes keep a thread of their own. */
#if !defined(__SANITIZE_THREAD__)
	assert(count_threads() == 1);
#else
	(void)count_threads;
#endif
	TRY(drop_user(w));
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_DUMPABLE, 0) != 0)
		return fail_sys(ERR_PERM, "cannot give up privileges");
	if (wall_landlock_abi() >= WALL_LANDLOCK_MIN)
		TRY(raise_landlock(w->allow, w->folders, w->folder_count));
	else if (!w->weak)
		return fail(ERR_PERM,
			"this kernel has no Landlock (CONFIG_SECURITY_LANDLOCK, Linux 5.19, "
			"lsm=landlock); \"weak-walls yes\" goes on without");
	TRY(build_filter(w->allow, &filter));
	loaded = seccomp_load(filter);
	seccomp_release(filter);
	if (loaded != 0)
		return fail(ERR_PERM, "cannot raise the list of allowed system calls");
	return OK;
}

struct wall_program {
	uint32_t allow;
	struct sock_fprog program;
};

Err
wall_program_new(uint32_t allow, struct wall_program **ret)
{
	struct wall_program *p;
	scmp_filter_ctx filter;
	AUTO_FD fd = -1;
	struct stat st;
	int exported;

	TRY(build_filter(allow, &filter));
	fd = memfd_create("filter", MFD_CLOEXEC);
	exported = fd < 0 ? -1 : seccomp_export_bpf(filter, fd);
	seccomp_release(filter);
	if (exported != 0 || fstat(fd, &st) != 0)
		return fail_sys(ERR_PERM, "cannot prepare the inner wall");
	p = memory_get(sizeof(*p));
	p->allow = allow;
	p->program.len = (unsigned short)((size_t)st.st_size / sizeof(struct sock_filter));
	p->program.filter = memory_get((size_t)st.st_size);
	if (pread(fd, p->program.filter, (size_t)st.st_size, 0) != st.st_size) {
		free(p->program.filter);
		free(p);
		return fail_sys(ERR_PERM, "cannot prepare the inner wall");
	}
	*ret = p;
	return OK;
}

Err
wall_raise_inner(const struct wall_program *p, int folder)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return fail_sys(ERR_PERM, "cannot tie to the parent");
	if (wall_landlock_abi() >= WALL_LANDLOCK_MIN)
		TRY(raise_landlock(p->allow, &folder, 1));
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p->program) != 0)
		return fail_sys(ERR_PERM, "cannot raise the inner wall");
	return OK;
}
