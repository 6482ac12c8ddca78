/* SPDX-License-Identifier: ISC */
#include "os/wall.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static char base[] = "/tmp/posthorn-wall-XXXXXX";
static int mine, other;

static int
make_folders(void **state)
{
	char path[64];

	(void)state;
	if (mkdtemp(base) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/mine", base);
	mkdir(path, 0700);
	mine = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "%s/other", base);
	mkdir(path, 0700);
	other = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return mine < 0 || other < 0 ? -1 : 0;
}

static int
remove_folders(void **state)
{
	char path[64];

	(void)state;
	unlinkat(mine, "file", 0);
	snprintf(path, sizeof(path), "%s/mine", base);
	rmdir(path);
	snprintf(path, sizeof(path), "%s/other", base);
	rmdir(path);
	return rmdir(base);
}

/* Runs in a child, because walls never come down again; 0 is success, else the failed line. */
static void
in_child(int (*run)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(run());
	assert_int_equal(pid, waitpid(pid, &status, 0));
	assert_true(WIFEXITED(status));
	assert_int_equal(0, WEXITSTATUS(status));
}

#define CHECK(what) \
	do { \
		if (!(what)) \
			return __LINE__ & 0xff; \
	} while (0)

static bool
can_make(int folder)
{
	int fd = openat(folder, "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static int
keep_one_folder(void)
{
	struct wall w = { .allow = WALL_FILES, .folders = { mine }, .folder_count = 1 };

	CHECK(!failed(wall_raise(&w)));
	CHECK(can_make(mine));
	CHECK(!can_make(other));
	CHECK(open("/etc/passwd", O_RDONLY | O_CLOEXEC) < 0);
	CHECK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0);
	CHECK(fork() < 0);
	return 0;
}

static int
keep_nothing(void)
{
	struct wall w = { .allow = 0 };

	CHECK(!failed(wall_raise(&w)));
	CHECK(!can_make(mine));
	CHECK(mkdirat(mine, "folder", 0700) < 0);
	return 0;
}

static int
reach_out(void)
{
	struct wall w = { .allow = WALL_OUTGOING };

	CHECK(!failed(wall_raise(&w)));
	CHECK(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0);
	CHECK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) < 0);
	CHECK(!can_make(mine));
	return 0;
}

/* As the mailbox template does: an outer wall with both folders, an inner one with one. */
static int
narrow_a_child(void)
{
	struct wall w = {
		.allow = WALL_FILES | WALL_FORK, .folders = { mine, other }, .folder_count = 2
	};
	struct wall_program *inner;
	int status;
	pid_t pid;

	CHECK(!failed(wall_raise(&w)));
	CHECK(!failed(wall_program_new(WALL_FILES, &inner)));
	CHECK(can_make(other) && unlinkat(other, "file", 0) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		bool good = !failed(wall_raise_inner(inner, mine)) && can_make(mine) &&
			    !can_make(other) && fork() < 0;

		_exit(good ? 0 : 1);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void
test_one_folder_and_no_more(void **state)
{
	(void)state;
	in_child(keep_one_folder);
}

static void
test_no_file_at_all(void **state)
{
	(void)state;
	in_child(keep_nothing);
}

static void
test_outgoing_is_only_the_internet(void **state)
{
	(void)state;
	in_child(reach_out);
}

static void
test_inner_wall(void **state)
{
	(void)state;
	in_child(narrow_a_child);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_folder_and_no_more),
		cmocka_unit_test(test_no_file_at_all),
		cmocka_unit_test(test_outgoing_is_only_the_internet),
		cmocka_unit_test(test_inner_wall),
	};

	return cmocka_run_group_tests(tests, make_folders, remove_folders);
}
