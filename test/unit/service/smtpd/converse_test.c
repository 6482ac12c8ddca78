/* SPDX-License-Identifier: ISC */
/*
 * Whole conversations: the client's bytes go in at once, the answers come out. directory, queue
 * and resolver are threads that answer from a table.
 */
#include "base/memory.h"
#include "os/memfd.h"
#include "rpc/log.h"
#include "rpc/queue.h"
#include "rpc/resolver.h"
#include "rpc/verdict.h"
#include "service/smtpd/smtpd.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	OUTPUT_MAX = 1024 * 1024,
	MESSAGE_LIMIT = 300 * 1024,
	QUEUE_ID = 0x1234567890,
};

/*
 * What the last message was. Written by the thread of queue, read when the conversation is over;
 * the lock is for ThreadSanitizer, which cannot see the order that sockets make.
 */
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	struct buf body, sender, recipients;
	uint32_t flags;
	size_t count;
	Err refuses;
} kept = { .body = { .max = OUTPUT_MAX },
	.sender = { .max = 1000 },
	.recipients = { .max = 100000 } };

struct fake {
	struct server *server;
	void (*answer)(struct server *s, struct server_request *r);
};

static void
answer_directory(struct server *s, struct server_request *r)
{
	AUTO_BUF b = BUF_INIT(1000);
	Str all = r->fields.rest, part;
	struct directory_recipient found = { .class = DIRECTORY_UNKNOWN_DOMAIN };
	struct directory_login login;
	struct directory_sender_request sender;

	switch (r->type) {
	case DIRECTORY_RECIPIENT:
		if (str_ends_icase(all, S("@here.example")))
			found.class = str_starts(all, S("nobody")) ? DIRECTORY_UNKNOWN_USER
								   : DIRECTORY_ACCOUNT;
		if (str_eq_icase(all, S("postmaster")))
			found.class = DIRECTORY_ALIAS;
		if (str_starts(all, S("later")))
			verdict_write(&b, (Err){ .kind = ERR_TEMP });
		else
			directory_write_recipient(&b, &found);
		break;
	case DIRECTORY_SENDER:
		assert_ok(directory_parse_sender(&r->fields, &sender));
		directory_write_sender(&b, str_eq(sender.address, S("anna@here.example")));
		break;
	default:
		assert_ok(directory_parse_login(&r->fields, &login));
		directory_write_auth(&b,
			str_eq(login.password, S("secret")) ? DIRECTORY_AUTH_OK
							    : DIRECTORY_AUTH_WRONG,
			7, S("anna@here.example"));
		break;
	}
	part = buf_view(&b);
	(void)server_answer(s, r->reply_to, &part, 1, NULL, 0).kind;
}

static void
keep(const struct queue_submit *q)
{
	buf_reset(&kept.body);
	buf_reset(&kept.sender);
	buf_reset(&kept.recipients);
	if (q->body.fd < 0)
		buf_put(&kept.body, q->body.bytes);
	else
		assert_ok(memfd_read(q->body.fd, 0, buf_room(&kept.body, q->body.size),
			q->body.size));
	if (q->body.fd >= 0)
		buf_grew(&kept.body, q->body.size);
	buf_put(&kept.sender, q->envelope.sender);
	for (size_t i = 0; i < q->envelope.recipient_count; i++) {
		buf_put(&kept.recipients, q->envelope.recipients[i].address);
		buf_put_char(&kept.recipients, ' ');
	}
	kept.flags = q->envelope.flags;
	kept.count++;
}

static void
answer_queue(struct server *s, struct server_request *r)
{
	AUTO_BUF b = BUF_INIT(1000);
	AUTO(arena) a = arena_new(1024 * 1024);
	struct queue_submit q;
	Str part;

	assert_ok(queue_parse_submit(&r->fields, &r->message, a, &q));
	pthread_mutex_lock(&kept_lock);
	verdict_write(&b, kept.refuses);
	buf_u64(&b, QUEUE_ID);
	if (!failed(kept.refuses))
		keep(&q);
	pthread_mutex_unlock(&kept_lock);
	part = buf_view(&b);
	(void)server_answer(s, r->reply_to, &part, 1, NULL, 0).kind;
}

static void
answer_resolver(struct server *s, struct server_request *r)
{
	AUTO_BUF b = BUF_INIT(1000);
	struct resolver_name found = { .name = S("client.example") };
	Str part;

	resolver_write_name(&b, &found);
	part = buf_view(&b);
	(void)server_answer(s, r->reply_to, &part, 1, NULL, 0).kind;
}

static void *
run_fake(void *arg)
{
	struct fake *f = arg;

	for (;;) {
		struct server_request *batch;
		size_t n;

		if (failed(server_take(f->server, MOMENT_NEVER, &batch, &n)))
			return NULL;
		for (size_t i = 0; i < n; i++)
			f->answer(f->server, &batch[i]);
	}
}

static struct peer *
start_fake(enum service_id id, const struct rpc_rule *rules,
	void (*answer)(struct server *, struct server_request *))
{
	struct fake *f = memory_get(sizeof(*f));
	pthread_t thread;
	int pair[2];

	assert_ok(channel_pair(pair));
	f->server = server_new(rules);
	f->answer = answer;
	server_add_client(f->server, SERVICE_SUBMIT, pair[1]);
	assert_int_equal(0, pthread_create(&thread, NULL, run_fake, f));
	pthread_detach(thread);
	return peer_new(id, pair[0]);
}

static struct smtpd mx, msa;

static int
set_up(void **state)
{
	struct smtp_settings settings = {
		.hostname = S("mx.here.example"),
		.message_max = MESSAGE_LIMIT,
		.recipients_max = ENVELOPE_RECIPIENTS_MAX,
		.bad_max = 20,
		.bare_paths = true,
	};

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	mx = (struct smtpd){ .service = SERVICE_SMTPD, .smtp = settings };
	mx.askers = smtpd_askers_new(start_fake(SERVICE_DIRECTORY, directory_rules,
					     answer_directory),
		start_fake(SERVICE_QUEUE, queue_rules, answer_queue),
		start_fake(SERVICE_RESOLVER, resolver_rules, answer_resolver));
	mx.recipients = smtpd_recipients_new();
	mx.roll = smtpd_roll_new();
	mx.clients = smtpd_clients_new(10, 10);
	msa = mx;
	msa.service = SERVICE_SUBMIT;
	msa.smtp.submission = true;
	msa.smtp.auth_clear = true;
	return 0;
}

struct speech {
	int fd;
	Str text;
};

static void *
say(void *arg)
{
	struct speech *speech = arg;
	ssize_t n;

	for (size_t at = 0; at < speech->text.n; at += (size_t)n) {
		n = send(speech->fd, speech->text.p + at, speech->text.n - at, MSG_NOSIGNAL);
		if (n < 0)
			break;
	}
	shutdown(speech->fd, SHUT_WR);
	return NULL;
}

static void
meet_queue(void)
{
	pthread_mutex_lock(&kept_lock);
	pthread_mutex_unlock(&kept_lock);
}

/* Says all of input, then half-closes; out gets every answer. */
static void
play_from(struct smtpd *d, Str address, Str input, struct buf *out)
{
	struct smtpd_connection *c = memory_get(sizeof(*c));
	struct speech speech;
	pthread_t thread;
	int pair[2];
	ssize_t n;

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
	speech = (struct speech){ pair[0], input };
	assert_int_equal(0, pthread_create(&thread, NULL, say, &speech));
	c->smtpd = d;
	c->conn = conn_new(pair[1], 0);
	conn_set_peer(c->conn, address, 1234);
	assert_ok(ip_parse(address, &c->ip));
	assert_ok(smtpd_clients_enter(d->clients, c->ip, &c->place));
	meet_queue();
	smtpd_converse(c);
	meet_queue();
	pthread_join(thread, NULL);
	for (;;) {
		char *room = buf_room(out, 4096);

		assert_non_null(room);
		n = recv(pair[0], room, 4096, 0);
		assert_true(n >= 0);
		if (n == 0)
			break;
		buf_grew(out, (size_t)n);
	}
	close(pair[0]);
}

static void
play(struct smtpd *d, Str input, struct buf *out)
{
	play_from(d, S("192.0.2.1"), input, out);
}

static const struct {
	const char *why;
	bool submission;
	Str input, codes; /* of the last lines of all replies */
} dialogues[] = {
	{ "an ordinary delivery, pipelined", false,
		S("EHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<anna@here.example>\r\nDATA\r\nS: x\r\n\r\n"
		  "hi\r\n.\r\nQUIT\r\n"),
		S("220 250 250 250 354 250 221 ") },
	{ "as typed by hand", false,
		S("helo me\r\nmial from: a@b\r\nmail from: a@b\r\nrcpt to: anna@here.example\r\ndata\r\n"
		  "hi\r\n.\r\nquit\r\n"),
		S("220 250 500 250 250 354 250 221 ") },
	{ "an unknown user, a strange domain, and postmaster", false,
		S("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<nobody@here.example>\r\n"
		  "RCPT TO:<a@far.example>\r\nRCPT TO:<@here.example:a@far.example>\r\n"
		  "RCPT TO:<postmaster>\r\nQUIT\r\n"),
		S("220 250 250 550 550 550 250 221 ") },
	{ "DATA without a recipient", false,
		S("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<a@far.example>\r\nDATA\r\nRSET\r\nQUIT\r\n"),
		S("220 250 250 550 554 250 221 ") },
	{ "directory cannot say", false,
		S("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<later@here.example>\r\nQUIT\r\n"),
		S("220 250 250 451 221 ") },
	{ "too large by announcement", false,
		S("EHLO x\r\nMAIL FROM:<a@b> SIZE=400000\r\nQUIT\r\n"), S("220 250 552 221 ") },
	{ "bare line feeds refused", false,
		S("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna@here.example>\r\nDATA\r\na\n.\nb\r\n.\r\n"
		  "NOOP\r\nQUIT\r\n"),
		S("220 250 250 250 354 554 250 221 ") },
	{ "chunks", false,
		S("EHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<anna@here.example>\r\nBDAT 6\r\nS: x\r\n"
		  "BDAT 7 LAST\r\n\r\n.\r\n\r\nQUIT\r\n"),
		S("220 250 250 250 250 250 221 ") },
	{ "a chunk nobody wants is skipped", false,
		S("EHLO x\r\nBDAT 6 LAST\r\nNOOP\r\nNOOP\r\nQUIT\r\n"),
		S("220 250 503 250 221 ") },
	{ "no AUTH on port 25", false, S("EHLO x\r\nAUTH PLAIN AGEAYg==\r\nQUIT\r\n"),
		S("220 250 502 221 ") },
	{ "no mail without AUTH on 587", true, S("EHLO x\r\nMAIL FROM:<a@b>\r\nQUIT\r\n"),
		S("220 250 530 221 ") },
	{ "submission to anywhere", true,
		S("EHLO x\r\nAUTH PLAIN AGFubmEAc2VjcmV0\r\nMAIL FROM:<anna@here.example>\r\n"
		  "RCPT TO:<a@far.example>\r\nRCPT TO:<nobody@here.example>\r\nDATA\r\n\r\n.\r\nQUIT\r\n"),
		S("220 250 235 250 250 550 354 250 221 ") },
	{ "a sender that is not the user's", true,
		S("EHLO x\r\nAUTH LOGIN\r\nYW5uYQ==\r\nc2VjcmV0\r\nMAIL FROM:<ben@here.example>\r\n"
		  "QUIT\r\n"),
		S("220 250 334 334 235 553 221 ") },
	{ "AUTH given up, bad base64, unknown mechanism", true,
		S("EHLO x\r\nAUTH PLAIN\r\n*\r\nAUTH PLAIN ===\r\nAUTH CRAM-MD5\r\nQUIT\r\n"),
		S("220 250 334 501 501 504 221 ") },
	{ "the client hangs up", false, S("EHLO x\r\nMAIL FROM:<a@b>\r\n"), S("220 250 250 ") },
	{ "bare CR in a command", false, S("EHLO x\r\nNO\rOP\r\nNOOP\r\nQUIT\r\n"),
		S("220 250 501 250 221 ") },
};

static void
put_codes(Str output, struct buf *ret)
{
	struct cursor c = cursor_of(output);

	while (!cursor_done(&c)) {
		Str line = cursor_line(&c);

		if (str_at(line, 3) == ' ') {
			buf_put(ret, str_part(line, 0, 3));
			buf_put_char(ret, ' ');
		}
	}
}

static void
test_SD_005_dialogues(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(dialogues); i++) {
		AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
		AUTO_BUF codes = BUF_INIT(1000);

		play(dialogues[i].submission ? &msa : &mx, dialogues[i].input, &out);
		put_codes(buf_view(&out), &codes);
		if (!str_eq(buf_view(&codes), dialogues[i].codes))
			fail_msg("%s: %.*s", dialogues[i].why, STR_ARG(buf_view(&out)));
	}
}

static void
test_SD_010_what_is_kept(void **state)
{
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	Str body;

	(void)state;
	play(&mx,
		S("EHLO me\r\nMAIL FROM:<a@b> BODY=8BITMIME\r\nRCPT TO:<anna@here.example>\r\n"
		  "RCPT TO:<anna@here.example>\r\nDATA\r\nSubject: x\r\n\r\n..\r\n\xe9\r\n.\r\n"
		  "QUIT\r\n"),
		&out);
	body = buf_view(&kept.body);
	assert_true(str_find_str(buf_view(&out), S("250 2.0.0 Ok: queued as 1234567890\r\n")) !=
		    STR_NONE);
	assert_str(S("a@b"), buf_view(&kept.sender));
	assert_str(S("anna@here.example "), buf_view(&kept.recipients));
	assert_int_equal(ENVELOPE_8BIT, kept.flags);
	assert_true(str_starts(body,
		S("Authentication-Results: mx.here.example; iprev=pass "
		  "policy.iprev=\"192.0.2.1\" (client.example)\n"
		  "Received: from me (client.example [192.0.2.1])\n\tby mx.here.example ")));
	assert_true(str_find_str(body, S("for <anna@here.example>; ")) != STR_NONE);
	assert_true(str_ends(body, S("\nSubject: x\n\n.\n\xe9\n")));
}

static void
test_SD_039_an_IPv6_client(void **state)
{
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);

	(void)state;
	play_from(&mx, S("2001:db8::1"),
		S("EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<anna@here.example>\r\nDATA\r\n\r\n.\r\nQUIT\r\n"),
		&out);
	assert_true(str_starts(buf_view(&out), S("220 mx.here.example ESMTP ")));
	assert_true(str_find_str(buf_view(&out), S("Hello client.example [2001:db8::1], ")) !=
		    STR_NONE);
	assert_true(str_starts(buf_view(&kept.body),
		S("Authentication-Results: mx.here.example; iprev=pass "
		  "policy.iprev=\"2001:db8::1\" (client.example)\n"
		  "Received: from me (client.example [IPv6:2001:db8::1])\n")));
}

static void
test_SD_049_submission_adds_what_is_missing(void **state)
{
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
	Str body;

	(void)state;
	play(&msa,
		S("EHLO me\r\nAUTH PLAIN AGFubmEAc2VjcmV0\r\nMAIL FROM:<anna@here.example>\r\n"
		  "RCPT TO:<a@far.example>\r\nRCPT TO:<b@far.example>\r\nDATA\r\nSubject: x\r\n"
		  "Bcc: b@far.example,\r\n c@far.example\r\nX-Y: z\r\n\r\nBcc: text\r\n.\r\nQUIT\r\n"),
		&out);
	body = buf_view(&kept.body);
	assert_int_equal(ENVELOPE_SUBMITTED, kept.flags);
	assert_true(str_find_str(body, S("\nDate: ")) != STR_NONE);
	assert_true(str_find_str(body, S("\nMessage-ID: <")) != STR_NONE);
	assert_true(str_find_str(body, S("\nTo: undisclosed-recipients: ;\n")) != STR_NONE);
	assert_true(str_find_str(body, S("for <")) == STR_NONE);
	assert_true(str_ends(body, S("\nSubject: x\nX-Y: z\n\nBcc: text\n")));
}

static void
test_message_without_a_header(void **state)
{
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);

	(void)state;
	play(&mx,
		S("EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<anna@here.example>\r\nDATA\r\nhello you\r\n.\r\n"),
		&out);
	assert_true(str_ends(buf_view(&kept.body), S(" +0000\n\nhello you\n")));
}

static void
put_lines(struct buf *b, const char *line, size_t count)
{
	for (size_t i = 0; i < count; i++)
		buf_put_c(b, line);
}

static void
test_large_message_and_too_large(void **state)
{
	static const Str head =
		S("EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<anna@here.example>\r\nDATA\r\n\r\n");
	size_t before = kept.count;

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		AUTO_BUF in = BUF_INIT(OUTPUT_MAX);
		AUTO_BUF out = BUF_INIT(OUTPUT_MAX);
		struct smtpd small = mx;

		small.smtp.message_max = 250000;
		buf_put(&in, head);
		put_lines(&in,
			"0123456789012345678901234567890123456789012345678901234567890123456789"
			"0123456789012345678901234567\r\n",
			i == 0 ? 1600 : 2600);
		buf_put(&in, S(".\r\nQUIT\r\n"));
		play(&small, buf_view(&in), &out);
		assert_true(str_find_str(buf_view(&out), i == 0 ? S("250 2.0.0 Ok: queued")
								: S("552 5.3.4")) != STR_NONE);
	}
	assert_int_equal(before + 1, kept.count);
	assert_true(kept.body.n > 1600 * 99);
}

static void
test_SD_047_loops_end(void **state)
{
	AUTO_BUF in = BUF_INIT(OUTPUT_MAX);
	AUTO_BUF out = BUF_INIT(OUTPUT_MAX);

	(void)state;
	buf_put(&in, S("EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<anna@here.example>\r\nDATA\r\n"));
	put_lines(&in, "Received: from a by b; today\r\n", SMTPD_HOPS_MAX);
	buf_put(&in, S("\r\nx\r\n.\r\nQUIT\r\n"));
	play(&mx, buf_view(&in), &out);
	assert_true(str_find_str(buf_view(&out), S("554 5.4.6")) != STR_NONE);
}

static void
test_queue_refuses(void **state)
{
	static const struct {
		int sys;
		Str reply;
	} cases[] = { { 0, S("451 4.3.0") }, { ENOSPC, S("452 4.3.1") } };

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		AUTO_BUF out = BUF_INIT(OUTPUT_MAX);

		kept.refuses = (Err){ ERR_TEMP, cases[i].sys, "not now" };
		play(&mx,
			S("EHLO me\r\nMAIL FROM:<>\r\nRCPT TO:<anna@here.example>\r\nDATA\r\n"
			  "\r\n.\r\nQUIT\r\n"),
			&out);
		kept.refuses = OK;
		assert_true(str_find_str(buf_view(&out), cases[i].reply) != STR_NONE);
		assert_true(str_find_str(buf_view(&out), S("queued")) == STR_NONE);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_SD_005_dialogues),
		cmocka_unit_test(test_SD_010_what_is_kept),
		cmocka_unit_test(test_SD_039_an_IPv6_client),
		cmocka_unit_test(test_SD_049_submission_adds_what_is_missing),
		cmocka_unit_test(test_message_without_a_header),
		cmocka_unit_test(test_large_message_and_too_large),
		cmocka_unit_test(test_SD_047_loops_end),
		cmocka_unit_test(test_queue_refuses),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
