/* SPDX-License-Identifier: ISC */
/* Answers travel whole: what the serving side writes is what the asking side gets. */
#include "rpc/resolver.h"
#include "test.h"

#include <pthread.h>

struct fixture {
	struct server *server;
	struct peer *peer;
	const struct buf *answer;
	Str asked;
	char name[300];
	pthread_t thread;
};

/* Answers one request with f->answer. */
static void *
serve_one(void *arg)
{
	struct fixture *f = arg;
	struct server_request *batch;
	size_t count = 0;
	Str part = buf_view(f->answer), name;

	while (count == 0)
		if (failed(server_take(f->server, moment_after(5000), &batch, &count)))
			return NULL;
	name = cursor_str(&batch[0].fields);
	if (!failed(str_c(name, f->name, sizeof(f->name))))
		f->asked = str_from(f->name);
	(void)!failed(server_answer(f->server, batch[0].reply_to, &part, 1, NULL, 0));
	return NULL;
}

static void
set_up(struct fixture *f, const struct buf *answer)
{
	int pair[2];

	*f = (struct fixture){ .server = server_new(resolver_rules), .answer = answer };
	assert_ok(channel_pair(pair));
	server_add_client(f->server, SERVICE_RELAY, pair[1]);
	f->peer = peer_new(SERVICE_RESOLVER, pair[0]);
	assert_int_equal(0, pthread_create(&f->thread, NULL, serve_one, f));
}

static void
tear_down(struct fixture *f)
{
	pthread_join(f->thread, NULL);
	peer_free(f->peer);
	server_free(f->server);
}

static const struct resolver_status good = { RESOLVER_FOUND, RESOLVER_SECURE, 300, true };

static void
test_mx(void **state)
{
	struct resolver_mx sent = { .status = good,
		.count = 2,
		.list = { { 10, S("mx1.example.net") }, { 20, S("") } } };
	AUTO_BUF answer = BUF_INIT(RESOLVER_ANSWER_MAX);
	AUTO(arena) a = arena_new(65536);
	struct resolver_mx got;
	struct fixture f;

	(void)state;
	resolver_write_mx(&answer, &sent);
	set_up(&f, &answer);
	{
		AUTO(caller) c = caller_new(f.peer);

		assert_ok(resolver_call_mx(c, S("example.net"), a, &got));
	}
	assert_memory_equal(&good, &got.status, sizeof(good));
	assert_int_equal(2, got.count);
	assert_int_equal(10, got.list[0].preference);
	assert_str(S("mx1.example.net"), got.list[0].host);
	assert_str(S(""), got.list[1].host);
	tear_down(&f);
	assert_str(S("example.net"), f.asked);
}

static void
test_addresses(void **state)
{
	struct resolver_addresses sent = { .status = good,
		.count = 2,
		.list = { { 6, { 0x20, 1 } }, { 4, { 192, 0, 2, 1 } } } };
	AUTO_BUF answer = BUF_INIT(RESOLVER_ANSWER_MAX);
	struct resolver_addresses got;
	struct fixture f;

	(void)state;
	resolver_write_addresses(&answer, &sent);
	set_up(&f, &answer);
	{
		AUTO(caller) c = caller_new(f.peer);

		assert_ok(resolver_call_addresses(c, S("mx"), &got));
	}
	assert_int_equal(2, got.count);
	assert_true(ip_eq(sent.list[0], got.list[0]) && ip_eq(sent.list[1], got.list[1]));
	tear_down(&f);
}

static void
test_name(void **state)
{
	struct resolver_name sent = { .status = good, .name = S("mx.example.net") };
	AUTO_BUF answer = BUF_INIT(RESOLVER_ANSWER_MAX);
	AUTO(arena) a = arena_new(65536);
	struct resolver_name got;
	struct fixture f;

	(void)state;
	resolver_write_name(&answer, &sent);
	set_up(&f, &answer);
	{
		AUTO(caller) c = caller_new(f.peer);

		assert_ok(resolver_call_name(c, (Ip){ 4, { 192, 0, 2, 1 } }, a, &got));
	}
	assert_str(S("mx.example.net"), got.name);
	tear_down(&f);
	assert_str(S("192.0.2.1"), f.asked);
}

/* An answer that is cut, or that promises more than there can be, is no answer. */
static void
test_broken_answers(void **state)
{
	const Str answers[] = { S(""), S("\0\1\0\0\0\0\0\xff"), S("\0\1\0\0\0\0\0\2\0\0"),
		S("\x09\1\0\0\0\0\0\0") };

	(void)state;
	for (size_t i = 0; i < COUNT(answers); i++) {
		AUTO_BUF answer = BUF_INIT(100);
		AUTO(arena) a = arena_new(65536);
		struct resolver_mx got;
		struct fixture f;

		buf_put(&answer, answers[i]);
		set_up(&f, &answer);
		{
			AUTO(caller) c = caller_new(f.peer);

			assert_err(ERR_TEMP, resolver_call_mx(c, S("x"), a, &got));
		}
		tear_down(&f);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mx),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_name),
		cmocka_unit_test(test_broken_answers),
	};

	return cmocka_run_group_tests_name("rpc/resolver", tests, NULL, NULL);
}
