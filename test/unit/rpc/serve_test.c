/* SPDX-License-Identifier: ISC */
#include "rpc/call.h"
#include "rpc/serve.h"
#include "test.h"

#include <pthread.h>
#include <unistd.h>

enum {
	ECHO = 1,
	FORBIDDEN = 2,
	THREADS = 4,
	ASKS = 200,
};

static const struct rpc_rule rules[] = {
	{ ECHO, BIT(SERVICE_SMTPD) },
	{ FORBIDDEN, BIT(SERVICE_RELAY) },
	{ 0 },
};

struct fixture {
	struct server *server;
	struct peer *peer;
};

static struct fixture
set_up(void)
{
	struct fixture f = { .server = server_new(rules) };
	int pair[2];

	assert_ok(channel_pair(pair));
	server_add_client(f.server, SERVICE_SMTPD, pair[1]);
	f.peer = peer_new(SERVICE_QUEUE, pair[0]);
	return f;
}

static char no_answer[] = "no answer", wrong_answer[] = "wrong answer";

static void *
ask_often(void *arg)
{
	AUTO(caller) c = caller_new(arg);

	for (uint32_t i = 0; i < ASKS; i++) {
		struct request r = { .type = ECHO, .timeout = 10000 };
		struct reply reply;

		r.fields = (Str){ (const char *)&i, sizeof(i) };
		r.body = S("body");
		if (failed(caller_ask(c, &r, &reply)))
			return no_answer;
		if (!str_eq(reply.fields.rest, (Str){ (const char *)&i, sizeof(i) }))
			return wrong_answer;
	}
	return NULL;
}

static void
test_threads_get_their_own_answers(void **state)
{
	struct fixture f = set_up();
	pthread_t threads[THREADS];
	size_t answered = 0;

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(0, pthread_create(&threads[i], NULL, ask_often, f.peer));
	while (answered < (size_t)THREADS * ASKS) {
		struct server_request *batch;
		size_t n;

		assert_ok(server_take(f.server, moment_after(10000), &batch, &n));
		assert_true(n > 0);
		for (size_t i = 0; i < n; i++) {
			Str fields = cursor_take(&batch[i].fields, sizeof(uint32_t));

			assert_str(S("body"), batch[i].fields.rest);
			assert_ok(server_answer(f.server, batch[i].reply_to, &fields, 1, NULL,
				0));
		}
		answered += n;
	}
	for (size_t i = 0; i < THREADS; i++) {
		void *why;

		pthread_join(threads[i], &why);
		assert_null(why);
	}
	server_free(f.server);
	peer_free(f.peer);
}

static void
test_forbidden_request_ends_the_asker(void **state)
{
	struct fixture f = set_up();
	AUTO(caller) c = caller_new(f.peer);
	struct request r = { .type = FORBIDDEN, .timeout = 1000 };
	struct server_request *batch;
	enum service_id who;
	struct reply reply;
	size_t n;

	(void)state;
	assert_ok(caller_tell(c, &r));
	assert_ok(server_take(f.server, moment_after(1000), &batch, &n));
	assert_int_equal(0, n);
	assert_true(server_offender(f.server, &who));
	assert_int_equal(SERVICE_SMTPD, who);
	assert_err(ERR_TEMP, caller_ask(c, &r, &reply));
	caller_free(TAKE(c));
	server_free(f.server);
	peer_free(f.peer);
}

/* The socket outlives the server, as master holds it: a successor takes over. */
static void
test_death_of_the_server_is_told_at_once(void **state)
{
	struct server *first = server_new(rules), *second = server_new(rules);
	struct request r = { .type = ECHO, .timeout = 10000 };
	struct server_request *batch;
	struct reply reply;
	struct peer *peer;
	struct caller *c;
	uint32_t serial;
	int pair[2];
	size_t n;

	(void)state;
	assert_ok(channel_pair(pair));
	server_add_client(first, SERVICE_SMTPD, dup(pair[1]));
	server_add_client(second, SERVICE_SMTPD, pair[1]);
	peer = peer_new(SERVICE_QUEUE, pair[0]);
	c = caller_new(peer);
	assert_ok(caller_send(c, &r, &serial));
	assert_ok(server_take(first, moment_after(1000), &batch, &n));
	assert_int_equal(1, n);
	server_free(first);
	assert_err(ERR_TEMP, caller_next(c, 10000, &reply));
	assert_ok(caller_send(c, &r, &serial));
	assert_ok(server_take(second, moment_after(1000), &batch, &n));
	assert_int_equal(1, n);
	assert_ok(server_answer(second, batch[0].reply_to, NULL, 0, NULL, 0));
	assert_ok(caller_next(c, 1000, &reply));
	caller_free(c);
	server_free(second);
	peer_free(peer);
}

/* Nothing that is told to the dead is lost: the successor hears it. */
static void
test_what_is_told_reaches_the_successor(void **state)
{
	struct server *first = server_new(rules), *second = server_new(rules);
	struct request r = { .type = ECHO, .timeout = 1000 };
	struct server_request *batch;
	struct peer *peer;
	struct caller *c;
	int pair[2];
	size_t n;

	(void)state;
	assert_ok(channel_pair(pair));
	server_add_client(first, SERVICE_SMTPD, dup(pair[1]));
	server_add_client(second, SERVICE_SMTPD, pair[1]);
	peer = peer_new(SERVICE_QUEUE, pair[0]);
	c = caller_new(peer);
	assert_ok(caller_tell(c, &r));
	assert_ok(server_take(first, moment_after(1000), &batch, &n));
	assert_int_equal(1, n);
	server_free(first);
	assert_ok(caller_tell(c, &r));
	assert_ok(server_take(second, moment_after(1000), &batch, &n));
	assert_int_equal(1, n);
	caller_free(c);
	server_free(second);
	peer_free(peer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_threads_get_their_own_answers),
		cmocka_unit_test(test_forbidden_request_ends_the_asker),
		cmocka_unit_test(test_death_of_the_server_is_told_at_once),
		cmocka_unit_test(test_what_is_told_reaches_the_successor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
