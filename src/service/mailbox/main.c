/* SPDX-License-Identifier: ISC */
/*
 * mailbox: a template without secrets that forks one process for each account in use.
 *
 * reads      requests of directory
 * runs as    _posthorn-mail; files below mail/ only; each child: its account's folder only
 * asks       nobody
 * if it dies the accounts' processes end with it; clients see closed connections; deliveries wait
 *            in queue; nothing that was acknowledged is lost
 */

#include "base/map.h"
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "rpc/escape.h"
#include "rpc/log.h"
#include "rpc/mailbox.h"
#include "rpc/start.h"
#include "service/mailbox/account.h"
#include "store/mailbox.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum {
	CRASHES_MAX = 3,          /* of one account within CRASH_WINDOW; then it rests */
	CRASH_WINDOW = 60 * 1000, /* ms */
	REST = 60 * 1000,         /* ms */
	PARKED_MAX = 256,         /* requests that wait for a process to end */
	SETTLE_WAIT = 10 * 1000,  /* ms for the accounts to settle when we stop */
	WATCH_CHILDREN = 1,
	WATCH_CONTROLS = 2, /* all control channels, through one epoll */
	EVENTS = 64,
	OTHERS = 512, /* descriptors from here on are of accounts other than one just forked */
	LARGE_MEMORY = 64 * 1024, /* octets that malloc takes from the kernel each time */
};

/* An account that has, or recently had, a process. */
struct account {
	uint64_t number;
	pid_t pid;       /* 0: none */
	int control;     /* -1: it has been told to end */
	uint32_t sent;   /* mailbox_open messages */
	uint32_t parked; /* requests waiting for the old process to end */
	Moment last_used;
	Moment crashes[CRASHES_MAX];
	size_t crash_count;
	Moment resting; /* until */
};

struct parked {
	struct account *account;
	Str bytes; /* owned */
	int fds[2];
	size_t fd_count;
};

struct template
{
	struct start *start;
	struct server *server;
	struct settings_mailbox settings;
	struct wall_program *inner;
	int mail;     /* the folder of all accounts */
	int children; /* signalfd */
	int controls; /* epoll over the channels to the accounts */
	struct map *accounts;
	size_t running;
	struct parked parked[PARKED_MAX];
	size_t parked_count;
};

/*
 * What a child must not hold. What belongs to other accounts lies from OTHERS on: one call closes
 * it, and the memory that names it stays shared with the template.
 */
static void
close_what_is_ours(struct template *t)
{
	close_range(OTHERS, ~0U, 0);
	server_free(t->server);
	fd_drop(&t->children);
	fd_drop(&t->controls);
	fd_drop(&t->start->master);
}

static _Noreturn void
be_the_account(struct template *t, uint64_t number, int folder, int control)
{
	struct account_place place = {
		.number = number, .folder = folder, .control = control, .settings = &t->settings
	};
	sigset_t none;
	Err e;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	close_what_is_ours(t);
	log_forked();
	fd_drop(&t->mail);
	e = wall_raise_inner(t->inner, folder);
	if (failed(e)) {
		log_failure(LOG_LEVEL_ERROR, "mailbox.walls", e);
		_exit(1);
	}
	prctl(PR_SET_NAME, "account");
	escape_attempt("account");
	exit(account_run(&place));
}

/* The account's folder, made when it is not there, reached without leaving mail/. */
static Err
open_folder(int mail, Str folder, int *ret)
{
	struct open_how how = { .flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS };
	char path[MAILBOX_FOLDER_MAX + 1];
	char *slash;
	long fd;

	TRY(str_c(folder, path, sizeof(path)));
	fd = syscall(SYS_openat2, mail, path, &how, sizeof(how));
	if (fd < 0 && errno == ENOENT) {
		slash = strchr(path, '/');
		if (slash == NULL)
			return fail(ERR_PERM, "account without a domain's folder");
		*slash = '\0';
		TRY(file_make_folder(mail, path, 0700));
		*slash = '/';
		TRY(file_make_folder(mail, path, 0700));
		fd = syscall(SYS_openat2, mail, path, &how, sizeof(how));
	}
	if (fd < 0)
		return fail_sys(ERR_PERM, "cannot open the account's folder");
	*ret = (int)fd;
	return OK;
}

static void
watch_control(struct template *t, struct account *a)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = a->number };

	epoll_ctl(t->controls, EPOLL_CTL_ADD, a->control, &event);
}

static Err
start_process(struct template *t, struct account *a, Str folder_name)
{
	AUTO_FD folder = -1;
	AUTO_FD ours = -1;
	AUTO_FD theirs = -1;
	int pair[2];
	pid_t pid;

	TRY(open_folder(t->mail, folder_name, &folder));
	TRY(channel_pair(pair));
	theirs = pair[1];
	ours = fcntl(pair[0], F_DUPFD_CLOEXEC, OTHERS);
	close(pair[0]);
	if (ours < 0 || theirs >= OTHERS || folder >= OTHERS)
		return fail_sys(ERR_TEMP, "too many descriptors for an account's process");
	pid = fork();
	if (pid < 0)
		return fail_sys(ERR_TEMP, "cannot fork an account's process");
	if (pid == 0)
		be_the_account(t, a->number, TAKE_FD(folder), TAKE_FD(theirs));
	a->pid = pid;
	a->control = TAKE_FD(ours);
	a->sent = 0;
	t->running++;
	watch_control(t, a);
	return OK;
}

static struct account *
find_account(struct template *t, uint64_t number)
{
	struct account *a = map_get(t->accounts, number);

	if (a == NULL) {
		a = memory_get(sizeof(*a));
		a->number = number;
		a->control = -1;
		map_set(t->accounts, number, a);
	}
	return a;
}

/* Over the limit the process idle longest is asked to end: its channel is closed. */
static void
make_room(struct template *t)
{
	struct account *oldest = NULL, *a;
	size_t at = 0;

	if (t->running < t->settings.processes)
		return;
	while ((a = map_each(t->accounts, &at)) != NULL)
		if (a->control >= 0 &&
			(oldest == NULL || a->last_used.ms < oldest->last_used.ms))
			oldest = a;
	if (oldest != NULL)
		fd_drop(&oldest->control);
}

/* Waits in line until the old process of the account has ended. */
static void
park(struct template *t, struct account *a, Str bytes, const int *fds, size_t fd_count)
{
	struct parked *p;

	if (t->parked_count == PARKED_MAX)
		return;
	p = &t->parked[t->parked_count++];
	*p = (struct parked){ .account = a, .bytes = memory_copy(bytes), .fd_count = fd_count };
	for (size_t i = 0; i < fd_count; i++)
		p->fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, OTHERS);
	a->parked++;
}

/* Hands the request to the account's process. A failure closes the descriptors: "not now". */
static Err
open_account(struct template *t, Str bytes, const int *fds, size_t fd_count)
{
	struct cursor c = cursor_of(bytes);
	struct mailbox_open open;
	struct account *a;

	TRY(mailbox_open_parse(&c, &open));
	if (fd_count == 0 || fd_count > 2)
		return fail(ERR_PEER, "account without a descriptor to serve");
	a = find_account(t, open.account);
	if (!moment_past(a->resting) && a->resting.ms != 0)
		return fail(ERR_TEMP, "account rests after three crashes");
	if (a->pid != 0 && a->control < 0) {
		park(t, a, bytes, fds, fd_count);
		return OK;
	}
	if (a->pid == 0) {
		make_room(t);
		TRY(start_process(t, a, open.folder));
	}
	a->last_used = clock_moment();
	a->sent++;
	return channel_send_now(a->control, (Str[]){ bytes }, 1, fds, fd_count);
}

static void
open_or_tell(struct template *t, Str bytes, const int *fds, size_t fd_count)
{
	Err e = open_account(t, bytes, fds, fd_count);

	if (failed(e))
		log_failure(LOG_LEVEL_WARNING, "mailbox.open.failed", e);
}

static void
open_parked(struct template *t, struct account *a)
{
	size_t kept = 0, count = t->parked_count;

	if (a->parked == 0)
		return;
	t->parked_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct parked p = t->parked[i];

		if (p.account != a) {
			t->parked[kept++] = p;
			t->parked_count = kept;
			continue;
		}
		a->parked--;
		open_or_tell(t, p.bytes, p.fds, p.fd_count);
		for (size_t k = 0; k < p.fd_count; k++)
			fd_drop(&p.fds[k]);
		memory_free_str(&p.bytes);
	}
}

static void
note_crash(struct account *a, int status)
{
	Moment now = clock_moment();

	log_event(LOG_LEVEL_ERROR, "mailbox.crashed",
		F_WORDS("what", S("an account's process died")), F_INT("account", a->number),
		F_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		F_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
	if (a->crash_count == CRASHES_MAX) {
		memmove(a->crashes, a->crashes + 1, (CRASHES_MAX - 1) * sizeof(*a->crashes));
		a->crash_count--;
	}
	a->crashes[a->crash_count++] = now;
	if (a->crash_count < CRASHES_MAX || now.ms - a->crashes[0].ms > CRASH_WINDOW)
		return;
	a->resting = moment_after(REST);
	a->crash_count = 0;
	log_event(LOG_LEVEL_ERROR, "mailbox.resting",
		F_WORDS("what", S("three crashes in a minute, the account rests for a minute")),
		F_INT("account", a->number));
}

static struct account *
find_process(struct template *t, pid_t pid)
{
	struct account *a;
	size_t at = 0;

	while ((a = map_each(t->accounts, &at)) != NULL)
		if (a->pid == pid)
			return a;
	return NULL;
}

static void
bury(struct template *t)
{
	struct signalfd_siginfo info;
	int status;
	pid_t pid;

	while (read(t->children, &info, sizeof(info)) == sizeof(info))
		;
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		struct account *a = find_process(t, pid);

		if (a == NULL)
			continue;
		a->pid = 0;
		t->running--;
		fd_drop(&a->control);
		if (status != 0)
			note_crash(a, status);
		open_parked(t, a);
		if (a->pid == 0 && a->crash_count == 0 && a->resting.ms == 0) {
			map_remove(t->accounts, a->number);
			free(a);
		}
	}
}

/*
 * The account's process has nothing to do and asks to end. It may, unless something is on its way
 * that it has not seen; then it finds that first.
 */
static void
let_end(struct account *a)
{
	char buffer[64];
	struct channel_message m;
	Err e = channel_receive_now(a->control, buffer, sizeof(buffer), &m);

	if (failed(e)) {
		if (e.kind == ERR_GONE)
			fd_drop(&a->control);
		return;
	}
	channel_message_drop(&m);
	if (cursor_u32(&(struct cursor){ .rest = m.bytes }) == a->sent)
		fd_drop(&a->control);
}

static void
hear_accounts(struct template *t)
{
	struct epoll_event events[EVENTS];
	int n = epoll_wait(t->controls, events, EVENTS, 0);

	for (int i = 0; i < n; i++) {
		struct account *a = map_get(t->accounts, events[i].data.u64);

		if (a != NULL && a->control >= 0)
			let_end(a);
	}
}

static void
serve_batch(struct template *t, struct server_request *batch, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct server_request *r = &batch[i];

		if (r->type == MAILBOX_OPEN)
			open_or_tell(t, r->fields.rest, r->message.fds, r->message.fd_count);
		else if (r->watch == WATCH_CHILDREN)
			bury(t);
		else if (r->watch == WATCH_CONTROLS)
			hear_accounts(t);
		else if (r->watch == START_WATCH)
			start_turn(t->start, t->server);
	}
}

/* Tells every account to settle, and waits for them a while. */
static void
settle(struct template *t)
{
	Moment until = moment_after(SETTLE_WAIT);
	struct account *a;
	size_t at = 0;

	while ((a = map_each(t->accounts, &at)) != NULL)
		fd_drop(&a->control);
	while (t->running > 0 && !moment_past(until)) {
		struct pollfd p = { .fd = t->children, .events = POLLIN };

		if (poll(&p, 1, moment_left(until)) > 0)
			bury(t);
	}
}

/*
 * A child copies every page of ours that it writes to. malloc would write to many: to join small
 * free blocks of ours, and to clear large blocks that it could have fresh from the kernel.
 */
static void
keep_memory_shared(void)
{
	mallopt(M_MMAP_THRESHOLD, LARGE_MEMORY);
	mallopt(M_MXFAST, 0);
	malloc_trim(0);
}

static Err
prepare(struct template *t)
{
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	t->children = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	t->controls = epoll_create1(EPOLL_CLOEXEC);
	if (t->children < 0 || t->controls < 0)
		return fail_sys(ERR_PERM, "cannot watch the accounts' processes");
	TRY(mailbox_prepare()); /* inherited by every account's process */
	keep_memory_shared();
	t->mail = start_folder(t->start, "mail");
	t->accounts = map_new();
	t->server = server_new(mailbox_rules);
	start_serve(t->start, t->server);
	server_watch(t->server, WATCH_CHILDREN, t->children);
	server_watch(t->server, WATCH_CONTROLS, t->controls);
	return wall_program_new(WALL_FILES, &t->inner);
}

void mailbox_serve(struct start *start);

void
mailbox_serve(struct start *start)
{
	struct template t = { .start = start };
	struct server_request *batch;
	size_t count;
	Err e;

	start_settings(start, settings_mailbox_table, &t.settings);
	tzset();
	start_walls(start);
	e = prepare(&t);
	if (failed(e)) {
		log_failure(LOG_LEVEL_ERROR, "mailbox.start.failed", e);
		return;
	}
	start_ready(start);
	while (!start->stopping)
		if (!failed(server_take(t.server, MOMENT_NEVER, &batch, &count)))
			serve_batch(&t, batch, count);
	settle(&t);
}
