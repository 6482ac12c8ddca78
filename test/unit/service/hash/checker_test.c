/* SPDX-License-Identifier: ISC */
#include "rpc/hash.h"
#include "service/hash/checker.h"
#include "test.h"

#define HASH "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2" /* secret */

struct fixture {
	struct server *server;
	struct peer *peer;
	struct caller *caller;
	struct checker *checker;
};

static int
set_up(void **state)
{
	static struct fixture f;
	int pair[2];

	assert_ok(channel_pair(pair));
	f.server = server_new(hash_rules);
	server_add_client(f.server, SERVICE_DIRECTORY, pair[1]);
	f.peer = peer_new(SERVICE_HASH, pair[0]);
	f.caller = caller_new(f.peer);
	f.checker = checker_new();
	*state = &f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	caller_free(f->caller);
	peer_free(f->peer);
	server_free(f->server);
	checker_free(f->checker);
	return 0;
}

static uint32_t
ask(struct fixture *f, Str hash, Str password)
{
	uint32_t serial;

	assert_ok(hash_send_verify(f->caller, hash, password, &serial));
	return serial;
}

static void
turn(struct fixture *f)
{
	assert_ok(checker_turn(f->checker, f->server, moment_after(0), NULL, NULL));
}

static void
expect(struct fixture *f, uint32_t serial, enum err_kind verdict, bool right)
{
	uint32_t got;
	Err e;
	bool was;

	assert_ok(hash_receive_verify(f->caller, &got, &e, &was));
	assert_int_equal(serial, got);
	assert_int_equal(verdict, e.kind);
	assert_int_equal(right, was);
}

static void
expect_nothing(struct fixture *f)
{
	uint32_t serial;
	Err verdict;
	bool right;

	assert_err(ERR_TEMP, hash_receive_verify(f->caller, &serial, &verdict, &right));
}

static void
test_right_and_wrong(void **state)
{
	struct fixture *f = *state;
	uint32_t right = ask(f, S(HASH), S("secret"));
	uint32_t wrong = ask(f, S(HASH), S("Secret"));
	uint32_t broken = ask(f, S("nonsense"), S("secret"));

	turn(f);
	expect(f, right, ERR_NONE, true);
	expect_nothing(f);
	turn(f);
	expect(f, wrong, ERR_NONE, false);
	turn(f);
	expect(f, broken, ERR_PERM, false);
}

static void
test_remembered_ones_overtake(void **state)
{
	struct fixture *f = *state;
	uint32_t first, slow, fast;

	first = ask(f, S(HASH), S("secret"));
	turn(f);
	expect(f, first, ERR_NONE, true);
	slow = ask(f, S(HASH), S("wrong"));
	ask(f, S(HASH), S("wrong too"));
	fast = ask(f, S(HASH), S("secret"));
	turn(f);
	expect(f, fast, ERR_NONE, true);
	expect(f, slow, ERR_NONE, false);
	expect_nothing(f);
}

static void
test_a_changed_password_is_not_remembered(void **state)
{
	struct fixture *f = *state;
	uint32_t serial = ask(f, S(HASH), S("secret"));

	turn(f);
	expect(f, serial, ERR_NONE, true);
	serial = ask(f, S("$5$rounds=1000$saltsalt$other"), S("secret"));
	turn(f);
	expect(f, serial, ERR_NONE, false);
}

static void
test_too_many_are_told_to_come_later(void **state)
{
	struct fixture *f = *state;
	uint32_t serial = 0, last;
	bool told = false, right;
	Err verdict;

	for (int i = 0; i < 2 * CHECKER_WAITING_MAX && !told; i++) {
		last = ask(f, S("x"), S("secret"));
		if (i % 32 == 31)
			turn(f); /* takes 32, checks one */
		while (!failed(hash_receive_verify(f->caller, &serial, &verdict, &right)))
			told = told || (verdict.kind == ERR_TEMP && serial <= last);
	}
	assert_true(told);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_right_and_wrong, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_remembered_ones_overtake, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_a_changed_password_is_not_remembered,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_are_told_to_come_later, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
