/* SPDX-License-Identifier: ISC */
#include "rpc/hash.h"
#include "rpc/mailbox.h"
#include "rpc/verdict.h"
#include "service/directory/logins.h"
#include "test.h"

#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

/*
 * One thread plays all parts: login asks, directory begins and decides, hash and the mailbox template
 * answer as the test says.
 */
struct fixture {
	struct directory *directory;
	struct server *server; /* directory's */
	struct server *hash[LOGINS_HASHES];
	struct server *mailbox;
	struct peer *mailbox_peer, *directory_peer;
	struct caller *mailbox_caller, *login;
	struct logins *logins;
};

static struct server *
serve(const struct rpc_rule *rules, enum service_id id, struct peer **ret)
{
	struct server *s = server_new(rules);
	int pair[2];

	assert_ok(channel_pair(pair));
	server_add_client(s, SERVICE_DIRECTORY, pair[1]);
	*ret = peer_new(id, pair[0]);
	return s;
}

static void
command(struct fixture *f, Str noun, Str verb, Str name, Str hash)
{
	AUTO_BUF said = BUF_INIT(4096);
	const Str words[] = { noun, verb, name, hash };
	int code;

	assert_ok(directory_command(f->directory, words, hash.n > 0 ? 4 : 3, S(""), (Time){ 1 },
		&said, &code));
	assert_int_equal(EX_OK, code);
}

static int
set_up(void **state)
{
	static struct fixture f;
	struct peer *hashes[LOGINS_HASHES];
	int pair[2];

	assert_ok(directory_open(":memory:", &f.directory));
	command(&f, S("domain"), S("add"), S("a.example"), S(""));
	command(&f, S("account"), S("add"), S("ann@a.example"), S("$6$salt$ann"));
	command(&f, S("account"), S("add"), S("off@a.example"), S("$6$salt$off"));
	command(&f, S("account"), S("disable"), S("off@a.example"), S(""));
	for (size_t i = 0; i < LOGINS_HASHES; i++)
		f.hash[i] = serve(hash_rules, SERVICE_HASH, &hashes[i]);
	f.mailbox = serve(mailbox_rules, SERVICE_MAILBOX, &f.mailbox_peer);
	f.mailbox_caller = caller_new(f.mailbox_peer);
	f.server = server_new(directory_rules);
	assert_ok(channel_pair(pair));
	server_add_client(f.server, SERVICE_LOGIN, pair[1]);
	f.directory_peer = peer_new(SERVICE_DIRECTORY, pair[0]);
	f.login = caller_new(f.directory_peer);
	f.logins = logins_new(f.directory, f.server, hashes, f.mailbox_caller);
	*state = &f;
	return 0;
}

static int
tear_down(void **state)
{
	struct fixture *f = *state;

	logins_free(f->logins);
	caller_free(f->login);
	peer_free(f->directory_peer);
	caller_free(f->mailbox_caller);
	peer_free(f->mailbox_peer);
	for (size_t i = 0; i < LOGINS_HASHES; i++)
		server_free(f->hash[i]);
	server_free(f->mailbox);
	server_free(f->server);
	directory_close(f->directory);
	return 0;
}

/* A client wants in; directory takes that up. */
static void
ask_from(struct fixture *f, Str user, Str client)
{
	AUTO_BUF fields = BUF_INIT(4096);
	struct request r = { .type = DIRECTORY_LOGIN, .fd_count = 1, .timeout = 1000 };
	struct server_request *batch;
	AUTO_FD session = dup(STDERR_FILENO);
	uint32_t serial;
	size_t n;

	buf_str(&fields, user);
	buf_str(&fields, S("secret"));
	buf_str(&fields, client);
	buf_str(&fields, S("S1"));
	buf_u8(&fields, 1);
	buf_str(&fields, S("a1"));
	r.fields = buf_view(&fields);
	r.fds = &session;
	assert_ok(caller_send(f->login, &r, &serial));
	assert_ok(server_take(f->server, moment_after(1000), &batch, &n));
	assert_int_equal(1, n);
	logins_begin(f->logins, &batch[0]);
}

static void
ask(struct fixture *f, Str user)
{
	ask_from(f, user, S("192.0.2.1"));
}

/* hash is asked about this stored hash, and says whether the password fits. */
static void
hash_answers(struct fixture *f, Str want, bool right)
{
	for (size_t i = 0; i < LOGINS_HASHES; i++) {
		struct server_request *batch;
		struct hash_verify v;
		AUTO_BUF b = BUF_INIT(64);
		Str part;
		size_t n;

		assert_ok(server_take(f->hash[i], moment_after(0), &batch, &n));
		if (n == 0)
			continue;
		assert_int_equal(1, n);
		assert_ok(hash_parse_verify(&batch[0].fields, &v));
		assert_true(str_starts(v.hash, want));
		assert_str(S("secret"), v.password);
		hash_write_verify(&b, OK, right);
		part = buf_view(&b);
		assert_ok(server_answer(f->hash[i], batch[0].reply_to, &part, 1, NULL, 0));
		return;
	}
	fail_msg("hash was not asked");
}

static void
directory_hears(struct fixture *f)
{
	struct server_request *batch;
	size_t n;

	assert_ok(server_take(f->server, moment_after(1000), &batch, &n));
	assert_int_equal(1, n);
	assert_int_equal(SERVER_WATCH, batch[0].type);
	logins_turn(f->logins, batch[0].watch);
}

static void
login_hears(struct fixture *f, enum err_kind verdict, enum directory_auth auth)
{
	struct reply reply;
	uint32_t serial;

	assert_ok(caller_receive(f->login, &reply, &serial));
	assert_err(verdict, verdict_read(&reply.fields, "refused"));
	if (verdict == ERR_NONE)
		assert_int_equal(auth, cursor_u8(&reply.fields));
	channel_message_drop(&reply.message);
}

static void
login_hears_nothing(struct fixture *f)
{
	struct reply reply;
	uint32_t serial;

	assert_err(ERR_TEMP, caller_receive(f->login, &reply, &serial));
}

/* What the template is told, or that it is told nothing. */
static void
mailbox_opens(struct fixture *f, Str folder)
{
	struct server_request *batch;
	struct mailbox_open open;
	size_t n;

	assert_ok(server_take(f->mailbox, moment_after(0), &batch, &n));
	assert_int_equal(folder.n > 0, n);
	if (n == 0)
		return;
	assert_ok(mailbox_open_parse(&batch[0].fields, &open));
	assert_str(folder, open.folder);
	assert_int_equal(MAILBOX_RIGHT_SESSION, open.right);
	assert_str(S("a1"), open.tag);
	assert_false(open.own_socket);
	assert_int_equal(1, batch[0].message.fd_count);
}

static void
test_right_password_opens_the_account(void **state)
{
	struct fixture *f = *state;

	ask(f, S("ANN@a.example"));
	login_hears_nothing(f);
	mailbox_opens(f, S(""));
	hash_answers(f, S("$6$salt$ann"), true);
	directory_hears(f);
	login_hears(f, ERR_NONE, DIRECTORY_AUTH_OK);
	mailbox_opens(f, S("a.example/ann"));
}

static void
test_wrong_password(void **state)
{
	struct fixture *f = *state;

	ask(f, S("ann@a.example"));
	hash_answers(f, S("$6$salt$ann"), false);
	directory_hears(f);
	login_hears(f, ERR_NONE, DIRECTORY_AUTH_WRONG);
	mailbox_opens(f, S(""));
}

/* hash works as long for them, and even its yes would let nobody in. */
static void
test_unknown_and_disabled_users_look_like_wrong_passwords(void **state)
{
	static const Str users[] = { S("nobody@a.example"), S("off@a.example"),
		S("ann@b.example"), S(""), S("@"), S("ann@a.example@a.example") };
	struct fixture *f = *state;

	for (size_t i = 0; i < COUNT(users); i++) {
		ask(f, users[i]);
		login_hears_nothing(f);
		hash_answers(f, S("$argon2id$v=19$m=19456,t=2,p=1$"), true);
		directory_hears(f);
		login_hears(f, ERR_NONE, DIRECTORY_AUTH_WRONG);
		mailbox_opens(f, S(""));
	}
}

static void
test_disabled_while_its_password_is_checked(void **state)
{
	struct fixture *f = *state;

	ask(f, S("ann@a.example"));
	command(f, S("account"), S("disable"), S("ann@a.example"), S(""));
	hash_answers(f, S("$6$salt$ann"), true);
	directory_hears(f);
	login_hears(f, ERR_NONE, DIRECTORY_AUTH_WRONG);
	mailbox_opens(f, S(""));
}

static void
test_who_waits_for_a_dead_hash_may_come_again(void **state)
{
	struct fixture *f = *state;

	ask(f, S("ann@a.example"));
	for (size_t i = 0; i < LOGINS_HASHES; i++) {
		struct server_request *batch;
		size_t n;

		/* Takes the reply channel, and dies with it. */
		assert_ok(server_take(f->hash[i], moment_after(0), &batch, &n));
		server_free(f->hash[i]);
		f->hash[i] = NULL;
	}
	directory_hears(f);
	login_hears(f, ERR_TEMP, DIRECTORY_AUTH_WRONG);
	mailbox_opens(f, S(""));
}

static void
test_too_many_may_come_again(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < LOGINS_MAX; i++) {
		char client[16];

		snprintf(client, sizeof(client), "192.0.2.%d", i % 8);
		ask_from(f, S("ann@a.example"), str_from(client));
		for (size_t k = 0; k < LOGINS_HASHES; k++) {
			struct server_request *batch;
			size_t n;

			assert_ok(server_take(f->hash[k], moment_after(0), &batch, &n));
		}
	}
	login_hears_nothing(f);
	ask(f, S("ann@a.example"));
	login_hears(f, ERR_TEMP, DIRECTORY_AUTH_WRONG);
}

static void
test_one_client_cannot_keep_others_out(void **state)
{
	struct fixture *f = *state;

	for (int i = 0; i < LOGINS_OF_CLIENT_MAX; i++) {
		ask(f, S("ann@a.example"));
		for (size_t k = 0; k < LOGINS_HASHES; k++) {
			struct server_request *batch;
			size_t n;

			assert_ok(server_take(f->hash[k], moment_after(0), &batch, &n));
		}
	}
	ask(f, S("ann@a.example"));
	login_hears(f, ERR_TEMP, DIRECTORY_AUTH_WRONG);
	ask_from(f, S("ann@a.example"), S("192.0.2.2"));
	login_hears_nothing(f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_right_password_opens_the_account, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_wrong_password, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_unknown_and_disabled_users_look_like_wrong_passwords, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_disabled_while_its_password_is_checked,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_who_waits_for_a_dead_hash_may_come_again,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_one_client_cannot_keep_others_out, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_too_many_may_come_again, set_up,
			tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
