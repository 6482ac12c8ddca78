/* SPDX-License-Identifier: ISC */
#include "os/channel.h"
#include "os/memfd.h"
#include "test.h"

#include <fcntl.h>
#include <sys/stat.h>

struct ends {
	int a, b;
};

static struct ends
new_pair(void)
{
	int pair[2];

	assert_ok(channel_pair(pair));
	return (struct ends){ pair[0], pair[1] };
}

static void
test_parts_become_one_message(void **state)
{
	struct ends e = new_pair();
	struct channel_message m;
	char buffer[64];

	(void)state;
	assert_ok(channel_send(e.a, (Str[]){ S("mail"), S(""), S("box") }, 3, NULL, 0,
		moment_after(1000)));
	assert_ok(channel_receive(e.b, buffer, sizeof(buffer), moment_after(1000), &m));
	assert_str(S("mailbox"), m.bytes);
	assert_int_equal(0, m.fd_count);
	close(e.a);
	assert_err(ERR_GONE, channel_receive(e.b, buffer, sizeof(buffer), MOMENT_NEVER, &m));
	close(e.b);
}

static void
test_descriptors_travel(void **state)
{
	struct ends e = new_pair();
	struct channel_message m;
	struct stat before, after;
	char buffer[64];
	int fds[2], taken;

	(void)state;
	assert_ok(memfd_from(S("one"), &fds[0]));
	assert_ok(memfd_from(S("two"), &fds[1]));
	assert_ok(channel_send_now(e.a, (Str[]){ S("x") }, 1, fds, 2));
	assert_ok(channel_receive_now(e.b, buffer, sizeof(buffer), &m));
	assert_int_equal(2, m.fd_count);
	taken = channel_take_fd(&m, 1);
	assert_int_equal(0, fstat(fds[1], &before) | fstat(taken, &after));
	assert_int_equal(before.st_ino, after.st_ino);
	assert_true((fcntl(taken, F_GETFD) & FD_CLOEXEC) != 0);
	channel_message_drop(&m);
	assert_int_equal(-1, channel_take_fd(&m, 0));
	close(taken);
	close(fds[0]);
	close(fds[1]);
	close(e.a);
	close(e.b);
}

static void
test_nothing_is_said_at_once(void **state)
{
	struct ends e = new_pair();
	struct channel_message m;
	char buffer[8];
	Err err;

	(void)state;
	err = channel_receive_now(e.b, buffer, sizeof(buffer), &m);
	assert_int_equal(ERR_TEMP, err.kind);
	assert_int_equal(EAGAIN, err.sys);
	assert_err(ERR_TEMP, channel_receive(e.b, buffer, sizeof(buffer), moment_after(1), &m));
	assert_ok(channel_send_now(e.a, (Str[]){ S("longer than eight") }, 1, NULL, 0));
	assert_err(ERR_TEMP, channel_receive_now(e.b, buffer, sizeof(buffer), &m));
	close(e.a);
	close(e.b);
}

static void
test_many_at_once(void **state)
{
	struct ends e = new_pair();
	char buffer[4 * 8];
	Str got[4];
	size_t n;

	(void)state;
	assert_ok(channel_receive_many(e.b, buffer, 8, 4, got, &n));
	assert_int_equal(0, n);
	for (int i = 0; i < 5; i++)
		assert_ok(channel_send_now(e.a, (Str[]){ S("mail") }, 1, NULL, 0));
	assert_ok(channel_receive_many(e.b, buffer, 8, 4, got, &n));
	assert_int_equal(4, n);
	assert_str(S("mail"), got[3]);
	close(e.a);
	assert_ok(channel_receive_many(e.b, buffer, 8, 4, got, &n));
	assert_int_equal(1, n);
	assert_err(ERR_GONE, channel_receive_many(e.b, buffer, 8, 4, got, &n));
	close(e.b);
}

static void
test_a_full_channel_never_blocks(void **state)
{
	static char large[64 * 1024];
	struct ends e = new_pair();
	Err err = OK;

	(void)state;
	for (int i = 0; i < 1000 && !failed(err); i++)
		err = channel_send_now(e.a, (Str[]){ { large, sizeof(large) } }, 1, NULL, 0);
	assert_int_equal(ERR_TEMP, err.kind);
	close(e.b);
	assert_err(ERR_GONE,
		channel_send(e.a, (Str[]){ S("x") }, 1, NULL, 0, moment_after(1000)));
	close(e.a);
}

static void
test_only_a_sealed_memfd_is_a_message(void **state)
{
	char read[5];
	int sealed, open;

	(void)state;
	assert_ok(memfd_from(S("hello"), &sealed));
	assert_ok(memfd_check(sealed, 5));
	assert_err(ERR_PEER, memfd_check(sealed, 4));
	assert_true(write(sealed, "x", 1) < 0);
	assert_ok(memfd_read(sealed, 0, read, 5));
	assert_str(S("hello"), ((Str){ read, 5 }));
	assert_err(ERR_TEMP, memfd_read(sealed, 1, read, 5));
	assert_ok(memfd_new(&open));
	assert_err(ERR_PEER, memfd_check(open, 0));
	close(sealed);
	close(open);
	open = openat(AT_FDCWD, "/dev/null", O_RDONLY | O_CLOEXEC);
	assert_err(ERR_PEER, memfd_check(open, 0));
	close(open);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parts_become_one_message),
		cmocka_unit_test(test_descriptors_travel),
		cmocka_unit_test(test_nothing_is_said_at_once),
		cmocka_unit_test(test_many_at_once),
		cmocka_unit_test(test_a_full_channel_never_blocks),
		cmocka_unit_test(test_only_a_sealed_memfd_is_a_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
