/* SPDX-License-Identifier: ISC */
#include "os/thread.h"
#include "test.h"

#include <stdatomic.h>
#include <unistd.h>

static atomic_int done;

static void
count_one(void *arg)
{
	(void)arg;
	atomic_fetch_add(&done, 1);
}

static void
test_every_conversation_runs_once(void **state)
{
	enum { CONVERSATIONS = 1000 };
	struct thread_pool *p = thread_pool_new(8, THREAD_STACK, count_one, "test");

	(void)state;
	for (int i = 0; i < CONVERSATIONS;) {
		if (!failed(thread_pool_run(p, p)))
			i++;
		else
			usleep(100); /* all busy: the only thing to wait for is the scheduler */
	}
	thread_pool_wait(p);
	assert_int_equal(CONVERSATIONS, atomic_load(&done));
	assert_int_equal(0, thread_pool_busy(p));
}

static void
wait_for_pipe(void *arg)
{
	char c;

	assert_int_equal(1, read(*(int *)arg, &c, 1));
}

static void
test_no_more_than_allowed(void **state)
{
	struct thread_pool *p = thread_pool_new(2, THREAD_STACK, wait_for_pipe, "test");
	int ends[2];

	(void)state;
	assert_int_equal(0, pipe(ends));
	assert_ok(thread_pool_run(p, &ends[0]));
	assert_ok(thread_pool_run(p, &ends[0]));
	assert_int_equal(2, thread_pool_busy(p));
	assert_err(ERR_TEMP, thread_pool_run(p, &ends[0]));
	assert_int_equal(2, write(ends[1], "xx", 2));
	thread_pool_wait(p);
	assert_ok(thread_pool_run(p, &ends[0]));
	assert_int_equal(1, write(ends[1], "x", 1));
	thread_pool_wait(p);
	close(ends[0]);
	close(ends[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_conversation_runs_once),
		cmocka_unit_test(test_no_more_than_allowed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
