/* SPDX-License-Identifier: ISC */
/*
 * The store of an account. Every test that takes `state` runs on both drivers; what only files can
 * show (crashes, other programs) is tested for the driver that has files.
 */
#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/memfd.h"
#include "store/mailbox.h"
#include "test.h"

#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct place {
	bool local;
	char path[64];
	int folder;
	struct mailbox *m;
	struct arena *arena;
};

static void
open_mailbox(struct place *p)
{
	struct mailbox_settings settings = { .host = S("mail.example.org"),
		.folder = p->folder };

	if (p->local)
		assert_ok(mailbox_open_local(&settings, &p->m));
	else
		assert_ok(mailbox_open_ram(&settings, &p->m));
}

static int
set_up(void **state, bool local)
{
	struct place *p = memory_get(sizeof(*p));

	p->local = local;
	p->folder = -1;
	p->arena = arena_new(10 * 1024 * 1024);
	/* in memory where that is possible: hundreds of syncs */
	snprintf(p->path, sizeof(p->path), "%s/posthorn-mailbox-XXXXXX",
		access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(p->path));
	p->folder = open(p->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(p->folder >= 0);
	open_mailbox(p);
	*state = p;
	return 0;
}

static int
set_up_local(void **state)
{
	return set_up(state, true);
}

static int
set_up_ram(void **state)
{
	return set_up(state, false);
}

/* Runs a shell script in the account's folder: what other programs do. */
static void
run(const char *script)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		execl("/bin/sh", "sh", "-c", script, NULL);
		_exit(127);
	}
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_int_equal(0, status);
}

static int
tear_down(void **state)
{
	struct place *p = *state;
	char command[128];

	mailbox_close(p->m);
	close(p->folder);
	arena_free(p->arena);
	snprintf(command, sizeof(command), "rm -rf %s", p->path);
	assert_int_equal(0, chdir("/"));
	run(command);
	free(p);
	return 0;
}

static struct mailbox_append
message(Str bytes)
{
	return (struct mailbox_append){ .message = { .bytes = bytes, .fd = -1 },
		.date = { 1000000000 } };
}

static uint32_t
append(struct place *p, uint32_t folder, Str bytes)
{
	struct mailbox_append a = message(bytes);
	uint32_t uid;

	assert_ok(mailbox_append(p->m, folder, &a, 1, MAILBOX_DURABLE, &uid));
	return uid;
}

static struct mailbox_folder
find(struct place *p, Str name)
{
	struct mailbox_folder f;

	assert_ok(mailbox_folder_find(p->m, name, p->arena, &f));
	return f;
}

static Str
bytes_of(struct place *p, uint32_t folder, uint32_t uid)
{
	struct mailbox_bytes b;
	char *buffer;

	assert_ok(mailbox_bytes_open(p->m, folder, uid, &b));
	buffer = arena_try(p->arena, b.size + 1);
	assert_int_equal(b.size, pread(b.fd, buffer, b.size + 1, 0));
	close(b.fd);
	return (Str){ buffer, b.size };
}

static Err
deliver(struct place *p, uint64_t id, Str bytes, struct mailbox_delivered *ret)
{
	struct mailbox_delivery d = { .queue_id = id,
		.recipient = 1,
		.accepted = { 1000000000000000 },
		.message = { .bytes = bytes, .fd = -1 } };

	return mailbox_deliver(p->m, &d, 1, ret);
}

static struct mailbox_changes
refresh(struct mailbox_view *v, enum mailbox_refresh how)
{
	struct mailbox_changes c;

	assert_ok(mailbox_view_refresh(v, how, &c));
	return c;
}

static uint64_t
flag(struct place *p, uint32_t folder, uint32_t uid, uint64_t flags)
{
	struct mailbox_flags_change change = {
		.mode = MAILBOX_FLAGS_ADD, .flags = flags, .unchanged_since = UINT64_MAX
	};
	struct mailbox_flags_result result;

	assert_ok(mailbox_flags_set(p->m, folder, &uid, 1, &change, p->arena, &result));
	return result.modseq;
}

/* ---- Both drivers ---- */

static void
test_SD_204_new_account(void **state)
{
	struct place *p = *state;
	struct mailbox_folder *all;
	size_t count;

	assert_ok(mailbox_folder_list(p->m, p->arena, &all, &count));
	assert_int_equal(6, count);
	assert_str(S("INBOX"), all[0].name);
	assert_str(S("Spam"), all[4].name);
	assert_int_equal(MAILBOX_USE_JUNK, all[4].use);
	for (size_t i = 0; i < count; i++) {
		assert_true(all[i].exists && all[i].subscribed);
		assert_int_equal(1, all[i].uid_next);
	}
}

static void
test_append_and_read(void **state)
{
	struct place *p = *state;
	struct mailbox_append a = message(S("Subject: hi\r\n\r\none\r\ntwo\r\n"));
	struct mailbox_row *rows;
	struct mailbox_view *v;
	uint32_t uid, uids[2] = { 1, 7 };

	a.message.crlf = true;
	a.flags = MAILBOX_SEEN | MAILBOX_FLAGGED;
	assert_ok(mailbox_append(p->m, 1, &a, 1, MAILBOX_DURABLE, &uid));
	assert_int_equal(1, uid);
	assert_str(S("Subject: hi\n\none\ntwo\n"), bytes_of(p, 1, 1));
	assert_ok(mailbox_view_open(p->m, 1, &v));
	assert_int_equal(1, v->count);
	assert_int_equal(25, v->messages[0].size);
	assert_int_equal(MAILBOX_SEEN | MAILBOX_FLAGGED, v->messages[0].flags);
	assert_int_equal(1000, v->messages[0].date);
	assert_ok(mailbox_fetch(p->m, 1, uids, 2, MAILBOX_ENVELOPE | MAILBOX_STRUCTURE,
		p->arena, &rows));
	assert_str(S("(NIL \"hi\" NIL NIL NIL NIL NIL NIL NIL NIL)"), rows[0].envelope);
	assert_str(
		S("(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 10 2 NIL NIL "
		  "NIL NIL)"),
		rows[0].structure);
	assert_int_equal(13, rows[0].header_size);
	assert_true(rows[1].gone);
	mailbox_view_close(v);
}

static void
test_bare_lf_is_kept(void **state)
{
	struct place *p = *state;
	struct mailbox_append a = message(S("a: b\r\n\r\none\ntwo\r\n"));
	struct mailbox_bytes b;
	uint32_t uid;

	a.message.crlf = true;
	assert_ok(mailbox_append(p->m, 1, &a, 1, MAILBOX_DURABLE, &uid));
	assert_str(S("a: b\r\n\r\none\ntwo\r\n"), bytes_of(p, 1, uid));
	assert_ok(mailbox_bytes_open(p->m, 1, uid, &b));
	assert_true(b.raw);
	close(b.fd);
}

static void
test_sessions_see_one_another(void **state)
{
	struct place *p = *state;
	struct mailbox_view *v, *w;
	struct mailbox_changes c;
	uint64_t modseq;
	int fd;

	append(p, 1, S("a: 1\n\n"));
	append(p, 1, S("a: 2\n\n"));
	append(p, 1, S("a: 3\n\n"));
	assert_ok(mailbox_view_open(p->m, 1, &v));
	assert_ok(mailbox_view_open(p->m, 1, &w));
	assert_ok(mailbox_view_wait_fd(w, &fd));
	assert_int_equal(0, poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0));
	modseq = flag(p, 1, 2, MAILBOX_DELETED);
	assert_int_equal(1, poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0));
	append(p, 1, S("a: 4\n\n"));
	c = refresh(w, MAILBOX_REFRESH_ALL);
	assert_int_equal(0, poll(&(struct pollfd){ fd, POLLIN, 0 }, 1, 0));
	assert_int_equal(1, c.changed_count);
	assert_int_equal(1, c.changed[0]);
	assert_true(w->messages[1].modseq == modseq);
	assert_int_equal(1, c.added);
	assert_int_equal(4, w->count);
	assert_int_equal(3, v->count); /* nothing moves under a session that did not ask */
	assert_ok(mailbox_expunge(p->m, 1, NULL, 0, &modseq));
	c = refresh(v, MAILBOX_REFRESH_KEEP);
	assert_true(c.kept);
	assert_int_equal(0, c.gone_count);
	assert_int_equal(4, v->count);
	c = refresh(v, MAILBOX_REFRESH_ALL);
	assert_int_equal(1, c.gone_count);
	assert_int_equal(2, c.gone[0].number);
	assert_int_equal(3, v->count);
	assert_int_equal(3, v->messages[1].uid);
	c = refresh(w, MAILBOX_REFRESH_ALL);
	assert_int_equal(1, c.gone_count);
	assert_int_equal(2, c.gone[0].uid);
	c = refresh(w, MAILBOX_REFRESH_ALL);
	assert_int_equal(0, c.gone_count + c.changed_count + c.added);
	mailbox_view_close(v);
	mailbox_view_close(w);
}

/* More changes than events are kept: the view compares arrays, and ends at the same. */
static void
test_a_view_far_behind(void **state)
{
	struct place *p = *state;
	struct mailbox_append many[100];
	uint32_t uids[100];
	struct mailbox_view *v;
	struct mailbox_changes c;
	uint64_t modseq;

	for (size_t i = 0; i < COUNT(many); i++)
		many[i] = message(S("a: b\n\n"));
	assert_ok(mailbox_append(p->m, 1, many, COUNT(many), MAILBOX_COVERED, uids));
	assert_ok(mailbox_view_open(p->m, 1, &v));
	for (size_t round = 0; round < 700; round++) {
		struct mailbox_flags_change change = {
			.mode = round % 2 == 0 ? MAILBOX_FLAGS_ADD : MAILBOX_FLAGS_REMOVE,
			.flags = MAILBOX_SEEN,
			.unchanged_since = UINT64_MAX
		};
		struct mailbox_flags_result result;

		assert_ok(mailbox_flags_set(p->m, 1, uids, COUNT(uids), &change, p->arena,
			&result));
	}
	flag(p, 1, 50, MAILBOX_DELETED);
	assert_ok(mailbox_expunge(p->m, 1, NULL, 0, &modseq));
	c = refresh(v, MAILBOX_REFRESH_ALL);
	assert_int_equal(1, c.gone_count);
	assert_int_equal(50, c.gone[0].number);
	assert_int_equal(99, c.changed_count);
	assert_int_equal(99, v->count);
	mailbox_view_close(v);
}

static void
test_unchanged_since(void **state)
{
	struct place *p = *state;
	struct mailbox_flags_change change = { .mode = MAILBOX_FLAGS_REPLACE,
		.flags = MAILBOX_SEEN };
	struct mailbox_flags_result result;
	uint32_t uids[] = { 1, 2, 9 };

	append(p, 1, S("a: 1\n\n"));
	append(p, 1, S("a: 2\n\n"));
	change.unchanged_since = flag(p, 1, 1, MAILBOX_FLAGGED);
	flag(p, 1, 2, MAILBOX_FLAGGED);
	assert_ok(mailbox_flags_set(p->m, 1, uids, 3, &change, p->arena, &result));
	assert_int_equal(1, result.failed_count);
	assert_int_equal(2, result.failed[0]);
	assert_true(result.modseq > change.unchanged_since);
}

static void
test_keywords(void **state)
{
	struct place *p = *state;
	struct mailbox_view *v;
	struct mailbox_copied copied;
	uint64_t bit, again;
	char name[16];

	append(p, 1, S("a: 1\n\n"));
	assert_ok(mailbox_view_open(p->m, 1, &v));
	assert_ok(mailbox_keyword_bit(p->m, 1, S("$Important"), false, &bit));
	assert_int_equal(0, bit);
	assert_ok(mailbox_keyword_bit(p->m, 1, S("$Important"), true, &bit));
	assert_ok(mailbox_keyword_bit(p->m, 1, S("$IMPORTANT"), true, &again));
	assert_true(bit == again && bit == 1 << MAILBOX_KEYWORD_FIRST);
	flag(p, 1, 1, bit);
	assert_true(refresh(v, MAILBOX_REFRESH_ALL).keywords);
	assert_str(S("$Important"), v->keywords[0]);
	mailbox_view_close(v);
	assert_ok(mailbox_keyword_bit(p->m, 4, S("other"), true, &again));
	assert_ok(mailbox_copy(p->m, 1, (uint32_t[]){ 1 }, 1, 4, p->arena, &copied));
	assert_ok(mailbox_view_open(p->m, 4, &v));
	assert_true(v->messages[0].flags == 1 << (MAILBOX_KEYWORD_FIRST + 1));
	assert_str(S("$Important"), v->keywords[1]);
	mailbox_view_close(v);
	for (int i = 1; i < MAILBOX_KEYWORD_MAX; i++) {
		snprintf(name, sizeof(name), "k%d", i);
		assert_ok(mailbox_keyword_bit(p->m, 1, str_from(name), true, &bit));
	}
	assert_err(ERR_LIMIT, mailbox_keyword_bit(p->m, 1, S("one-more"), true, &bit));
}

static void
test_copy_move_expunge(void **state)
{
	struct place *p = *state;
	struct mailbox_copied copied;
	uint32_t uids[] = { 1, 2, 3 }, *gone;
	struct mailbox_folder f;
	uint64_t modseq;
	size_t count;

	append(p, 1, S("a: 1\n\n"));
	append(p, 1, S("a: 2\n\n"));
	append(p, 1, S("a: 3\n\n"));
	flag(p, 1, 1, MAILBOX_SEEN);
	assert_ok(mailbox_copy(p->m, 1, uids, 2, 4, p->arena, &copied));
	assert_int_equal(2, copied.count);
	assert_int_equal(1, copied.to[0]);
	assert_true(copied.uid_validity == find(p, S("Sent")).uid_validity);
	assert_str(S("a: 2\n\n"), bytes_of(p, 4, 2));
	modseq = find(p, S("INBOX")).modseq;
	assert_ok(mailbox_move(p->m, 1, uids + 1, 2, 4, p->arena, &copied));
	assert_int_equal(2, copied.count);
	assert_int_equal(3, copied.from[1]);
	assert_int_equal(4, copied.to[1]);
	assert_str(S("a: 3\n\n"), bytes_of(p, 4, 4));
	assert_ok(mailbox_expunged_since(p->m, 1, modseq, p->arena, &gone, &count));
	assert_int_equal(2, count);
	assert_int_equal(2, gone[0]);
	f = find(p, S("INBOX"));
	assert_int_equal(1, f.messages);
	assert_int_equal(0, f.unseen);
	assert_int_equal(4, f.uid_next);
	f = find(p, S("Sent"));
	assert_int_equal(4, f.messages);
	assert_int_equal(3, f.unseen);
	assert_int_equal(32, f.size);
	flag(p, 4, 1, MAILBOX_DELETED);
	flag(p, 4, 2, MAILBOX_DELETED);
	assert_int_equal(2, find(p, S("Sent")).deleted);
	assert_ok(mailbox_expunge(p->m, 4, uids + 1, 2, &modseq));
	f = find(p, S("Sent"));
	assert_int_equal(3, f.messages);
	assert_int_equal(1, f.deleted);
}

static void
test_move_within_a_folder(void **state)
{
	struct place *p = *state;
	struct mailbox_copied copied;

	append(p, 1, S("a: 1\n\n"));
	assert_ok(mailbox_move(p->m, 1, (uint32_t[]){ 1 }, 1, 1, p->arena, &copied));
	assert_int_equal(2, copied.to[0]);
	assert_int_equal(1, find(p, S("INBOX")).messages);
	assert_str(S("a: 1\n\n"), bytes_of(p, 1, 2));
	assert_err(ERR_PEER,
		mailbox_copy(p->m, 1, (uint32_t[]){ 2 }, 1, 99, p->arena, &copied));
}

static const struct {
	const char *why;
	Str name;
	enum err_kind want;
} names[] = {
	{ "plain", S("Work"), ERR_NONE },
	{ "deep", S("a/b/c"), ERR_NONE },
	{ "dots and 8 bit", S("a.b/Entwürfe & more"), ERR_NONE },
	{ "below INBOX", S("inbox/x"), ERR_NONE },
	{ "up", S("../x"), ERR_NONE }, /* only a name: ".&AC4-&AC4-.x" on disk */
	{ "reserved on disk", S("cur"), ERR_NONE },
	{ "exists", S("Sent"), ERR_PEER },
	{ "INBOX", S("inbox"), ERR_PEER },
	{ "empty", S(""), ERR_PEER },
	{ "empty level", S("a//b"), ERR_PEER },
	{ "leading slash", S("/a"), ERR_PEER },
	{ "NUL", S("a\0b"), ERR_PEER },
	{ "line end", S("a\nb"), ERR_PEER },
	{ "not UTF-8", S("a\xff"), ERR_PEER },
	{ "wildcard", S("a%"), ERR_PEER },
	{ "too deep", S("1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/6/7/8/9/0/1"), ERR_LIMIT },
	{ "too long on disk",
		S("................................................................"),
		ERR_LIMIT },
};

static void
test_names_of_folders(void **state)
{
	struct place *p = *state;
	char longest[301];
	uint32_t id;

	for (size_t i = 0; i < COUNT(names); i++) {
		Err e = mailbox_folder_create(p->m, exact(names[i].name), MAILBOX_USE_NONE,
			&id);

		if (e.kind != names[i].want)
			fail_msg("%s: %s", names[i].why, e.what);
	}
	memset(longest, 'x', sizeof(longest));
	assert_err(ERR_LIMIT,
		mailbox_folder_create(p->m, (Str){ longest, 300 }, MAILBOX_USE_NONE, &id));
	assert_true(find(p, S("a/b")).children);
	append(p, find(p, S("../x")).id, S("a: b\n\n"));
	append(p, find(p, S("a.b/Entwürfe & more")).id, S("a: b\n\n"));
	append(p, find(p, S("cur")).id, S("a: b\n\n"));
	assert_true(find(p, S("INBOX/x")).exists);
}

static void
test_folders_come_and_go(void **state)
{
	struct place *p = *state;
	struct mailbox_folder f, *all;
	struct mailbox_view *v;
	uint32_t id, validity;
	size_t count;

	assert_ok(mailbox_folder_create(p->m, S("a/b"), MAILBOX_USE_NONE, &id));
	append(p, id, S("a: 1\n\n"));
	validity = find(p, S("a/b")).uid_validity;
	assert_ok(mailbox_folder_rename(p->m, S("a"), S("c/d")));
	f = find(p, S("c/d/b"));
	assert_int_equal(id, f.id);
	assert_int_equal(validity, f.uid_validity);
	assert_str(S("a: 1\n\n"), bytes_of(p, id, 1));
	assert_err(ERR_PEER, mailbox_folder_rename(p->m, S("c"), S("c/e")));
	assert_err(ERR_PEER, mailbox_folder_rename(p->m, S("c"), S("Sent")));
	assert_err(ERR_PEER, mailbox_folder_rename(p->m, S("none"), S("x")));
	assert_ok(mailbox_view_open(p->m, id, &v));
	assert_ok(mailbox_folder_delete(p->m, S("c/d")));
	assert_ok(mailbox_folder_list(p->m, p->arena, &all, &count));
	for (size_t i = 0; i < count; i++)
		if (str_eq(all[i].name, S("c/d")))
			assert_true(!all[i].exists && all[i].children);
	assert_ok(mailbox_folder_delete(p->m, S("c/d/b")));
	assert_true(refresh(v, MAILBOX_REFRESH_ALL).folder_gone);
	mailbox_view_close(v);
	assert_err(ERR_PEER, mailbox_folder_delete(p->m, S("INBOX")));
	assert_err(ERR_PEER, mailbox_folder_delete(p->m, S("c/d/b")));
	assert_ok(mailbox_folder_create(p->m, S("c/d/b"), MAILBOX_USE_NONE, &id));
	f = find(p, S("c/d/b"));
	assert_int_equal(0, f.messages);
	assert_true(f.uid_validity > validity);
}

static void
test_rename_inbox_moves_its_mail(void **state)
{
	struct place *p = *state;

	append(p, 1, S("a: 1\n\n"));
	append(p, 1, S("a: 2\n\n"));
	assert_ok(mailbox_folder_rename(p->m, S("INBOX"), S("old")));
	assert_int_equal(0, find(p, S("INBOX")).messages);
	assert_int_equal(2, find(p, S("old")).messages);
	assert_str(S("a: 2\n\n"), bytes_of(p, find(p, S("old")).id, 2));
}

static void
test_subscriptions_need_no_folder(void **state)
{
	struct place *p = *state;
	struct mailbox_folder *all;
	bool seen = false;
	size_t count;

	assert_ok(mailbox_folder_subscribe(p->m, S("later"), true));
	assert_ok(mailbox_folder_subscribe(p->m, S("Sent"), false));
	assert_ok(mailbox_folder_list(p->m, p->arena, &all, &count));
	for (size_t i = 0; i < count; i++)
		if (str_eq(all[i].name, S("later")))
			seen = !all[i].exists && all[i].subscribed && all[i].id == 0;
	assert_true(seen);
	assert_false(find(p, S("Sent")).subscribed);
}

static void
test_delivery_happens_once(void **state)
{
	struct place *p = *state;
	struct mailbox_delivered d;
	struct mailbox_copied copied;
	uint64_t modseq;

	assert_ok(deliver(p, 77, S("a: 1\n\n"), &d));
	assert_int_equal(1, d.uid);
	assert_false(d.before);
	assert_ok(deliver(p, 77, S("a: 1\n\n"), &d));
	assert_int_equal(1, d.uid);
	assert_true(d.before);
	assert_int_equal(1, find(p, S("INBOX")).messages);
	assert_ok(mailbox_move(p->m, 1, (uint32_t[]){ 1 }, 1, 4, p->arena, &copied));
	assert_ok(deliver(p, 77, S("a: 1\n\n"), &d));
	assert_true(d.before);
	assert_int_equal(0, d.uid);
	assert_int_equal(0, find(p, S("INBOX")).messages);
	flag(p, 4, 1, MAILBOX_DELETED);
	assert_ok(mailbox_expunge(p->m, 4, NULL, 0, &modseq));
	assert_ok(deliver(p, 77, S("a: 1\n\n"), &d));
	assert_true(d.before);
	assert_ok(mailbox_forget(p->m, 77));
	assert_ok(deliver(p, 77, S("a: 1\n\n"), &d));
	assert_true(d.before);
	assert_ok(mailbox_forget(p->m, 78));
	assert_ok(deliver(p, 77, S("a: 1\n\n"), &d));
	assert_false(d.before);
}

/* A message that nobody can take apart, one that keeps its line ends, one from a memfd. */
static void
test_deliveries_of_every_kind(void **state)
{
	struct place *p = *state;
	struct mailbox_delivery d[3] = {
		{ .queue_id = 1,
			.unparsed = true,
			.message = { .bytes = S("a: 1\n\n"), .fd = -1 } },
		{ .queue_id = 2,
			.message = { .bytes = S("a: 2\r\n\r\nb\nc"), .fd = -1, .raw = true } },
		{ .queue_id = 3, .flags = MAILBOX_FLAGGED, .message = { .size = 13 } },
	};
	struct mailbox_delivered result[3];
	struct mailbox_view *v;
	struct mailbox_row *rows;
	struct mailbox_bytes b;

	assert_ok(memfd_from(S("Subject: 3\n\nx"), &d[2].message.fd));
	assert_ok(mailbox_deliver(p->m, d, 3, result));
	close(d[2].message.fd);
	assert_ok(mailbox_view_open(p->m, 1, &v));
	assert_int_equal(3, v->count);
	assert_int_equal(8, v->messages[0].size);
	assert_int_equal(11, v->messages[1].size);
	assert_int_equal(15, v->messages[2].size);
	assert_int_equal(MAILBOX_FLAGGED, v->messages[2].flags);
	mailbox_view_close(v);
	assert_ok(mailbox_fetch(p->m, 1, (uint32_t[]){ 1, 2, 3 }, 3,
		MAILBOX_ENVELOPE | MAILBOX_STRUCTURE, p->arena, &rows));
	assert_str(S("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"), rows[0].envelope);
	assert_str(
		S("(\"application\" \"octet-stream\" NIL NIL NIL \"binary\" 8 NIL NIL NIL NIL)"),
		rows[0].structure);
	assert_int_equal(8, rows[1].header_size);
	assert_str(S("(NIL \"3\" NIL NIL NIL NIL NIL NIL NIL NIL)"), rows[2].envelope);
	assert_str(S("a: 2\r\n\r\nb\nc"), bytes_of(p, 1, 2));
	assert_str(S("Subject: 3\n\nx"), bytes_of(p, 1, 3));
	assert_ok(mailbox_bytes_open(p->m, 1, 2, &b));
	assert_true(b.raw);
	close(b.fd);
}

struct worker {
	struct place *place;
	pthread_t thread;
	uint32_t uid;
	Err e;
};

static void *
work(void *argument)
{
	struct worker *w = argument;

	for (int i = 0; i < 50 && !failed(w->e); i++) {
		AUTO(arena) arena = arena_new(100000);
		struct mailbox_flags_change change = {
			.mode = i % 2 == 0 ? MAILBOX_FLAGS_ADD : MAILBOX_FLAGS_REMOVE,
			.flags = MAILBOX_SEEN,
			.unchanged_since = UINT64_MAX
		};
		struct mailbox_append a = message(S("a: b\n\n"));
		struct mailbox_flags_result result;
		uint32_t uid;

		w->e = mailbox_flags_set(w->place->m, 1, &w->uid, 1, &change, arena, &result);
		if (!failed(w->e))
			w->e = mailbox_append(w->place->m, 4, &a, 1, MAILBOX_DURABLE, &uid);
	}
	return NULL;
}

static void
test_threads_share_a_mailbox(void **state)
{
	struct place *p = *state;
	struct worker workers[8] = { 0 };

	for (size_t i = 0; i < COUNT(workers); i++) {
		workers[i].place = p;
		workers[i].uid = append(p, 1, S("a: b\n\n"));
	}
	for (size_t i = 0; i < COUNT(workers); i++)
		assert_int_equal(0,
			pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	for (size_t i = 0; i < COUNT(workers); i++) {
		pthread_join(workers[i].thread, NULL);
		assert_ok(workers[i].e);
	}
	assert_int_equal(400, find(p, S("Sent")).messages);
	assert_int_equal(401, find(p, S("Sent")).uid_next);
	assert_int_equal(8, find(p, S("INBOX")).unseen);
}

/* ---- Files ---- */

static void
reopen(struct place *p)
{
	mailbox_close(p->m);
	open_mailbox(p);
}

/* Runs work in a process that is killed: what a crash leaves behind. */
static void
crash_after(struct place *p, void (*work_then)(struct place *p))
{
	int status;
	pid_t child;

	mailbox_close(p->m);
	child = fork();
	if (child == 0) {
		open_mailbox(p);
		work_then(p);
		kill(getpid(), SIGKILL);
	}
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_true(WIFSIGNALED(status));
	open_mailbox(p);
}

static void
test_everything_is_there_after_closing(void **state)
{
	struct place *p = *state;
	struct mailbox_folder before, after;
	struct mailbox_view *v;
	uint64_t bit;
	uint32_t id;

	assert_ok(mailbox_folder_create(p->m, S("Wörk/a.b"), MAILBOX_USE_NONE, &id));
	append(p, id, S("a: 1\n\n"));
	assert_ok(mailbox_keyword_bit(p->m, id, S("$Work"), true, &bit));
	flag(p, id, 1, bit | MAILBOX_ANSWERED);
	before = find(p, S("Wörk/a.b"));
	reopen(p);
	after = find(p, S("Wörk/a.b"));
	assert_true(before.id == after.id && before.uid_validity == after.uid_validity &&
		    before.uid_next == after.uid_next && before.modseq == after.modseq);
	assert_ok(mailbox_view_open(p->m, id, &v));
	assert_true(v->messages[0].flags == (bit | MAILBOX_ANSWERED));
	assert_str(S("$Work"), v->keywords[0]);
	mailbox_view_close(v);
	assert_str(S("a: 1\n\n"), bytes_of(p, id, 1));
}

static void
test_the_lease_is_one_processs(void **state)
{
	struct place *p = *state;
	struct mailbox_settings settings = { .folder = p->folder };
	struct mailbox *second;
	int status;
	pid_t child = fork();

	if (child == 0) {
		Err e = mailbox_open_local(&settings, &second);

		_exit(e.kind == ERR_TEMP && e.sys == EBUSY ? 0 : 1);
	}
	assert_int_equal(child, waitpid(child, &status, 0));
	assert_int_equal(0, status);
}

/* In the account's folder, which is the working directory. */
static size_t
count_files(const char *pattern)
{
	glob_t found;
	size_t count = 0;

	if (glob(pattern, 0, NULL, &found) == 0)
		count = found.gl_pathc;
	globfree(&found);
	return count;
}

static void
put_file(struct place *p, const char *name, Str bytes)
{
	AUTO_FD fd = -1;

	assert_ok(file_create(p->folder, name, 0600, &fd));
	assert_ok(file_write(fd, bytes));
}

static void
test_SD_189_new_mail_moves_to_cur_when_seen(void **state)
{
	struct place *p = *state;
	struct mailbox_delivered d;
	struct mailbox_view *v;

	assert_ok(deliver(p, 16, S("a: 1\n\n"), &d));
	assert_int_equal(1,
		count_files("Maildir/new/1000000000.Q10R1.mail.example.org,S=6,W=8"));
	reopen(p);
	assert_int_equal(1, count_files("Maildir/new/*"));
	assert_ok(mailbox_view_open(p->m, 1, &v));
	assert_int_equal(1, v->count);
	flag(p, 1, 1, MAILBOX_SEEN | MAILBOX_FLAGGED);
	mailbox_view_close(v);
	reopen(p);
	assert_int_equal(1, count_files("Maildir/cur/*:2,FS"));
	assert_int_equal(1, count_files("Maildir/*/*"));
	assert_int_equal(0, count_files("Maildir/tmp/*"));
}

static void
test_other_programs_are_noticed(void **state)
{
	struct place *p = *state;
	struct mailbox_changes c;
	struct mailbox_view *v;
	Time due;

	append(p, 1, S("a: 1\n\n"));
	append(p, 1, S("a: 2\n\n"));
	assert_ok(mailbox_view_open(p->m, 1, &v));
	put_file(p, "Maildir/new/1.foreign", S("Subject: from outside\n\nx\n"));
	put_file(p, "Maildir/cur/2.foreign:2,PS", S("Subject: second\r\n\r\nx\r\n"));
	run("for f in Maildir/cur/*N1.*; do mv $f ${f%:*}:2,F; done");
	run("rm Maildir/cur/*N2.*");
	assert_ok(mailbox_tidy(p->m, clock_wall(), &due));
	c = refresh(v, MAILBOX_REFRESH_ALL);
	assert_int_equal(1, c.gone_count);
	assert_int_equal(2, c.gone[0].uid);
	assert_int_equal(1, c.changed_count);
	assert_int_equal(MAILBOX_FLAGGED, v->messages[0].flags);
	assert_int_equal(2, c.added);
	assert_int_equal(3, v->count);
	for (size_t i = 1; i < 3; i++)
		if (v->messages[i].flags == MAILBOX_SEEN)
			assert_int_equal(22, v->messages[i].size);
		else
			assert_int_equal(28, v->messages[i].size);
	/* a flag of ours and a letter of theirs live in one name */
	flag(p, 1, v->messages[1].uid, MAILBOX_ANSWERED);
	flag(p, 1, v->messages[2].uid, MAILBOX_ANSWERED);
	mailbox_view_close(v);
	reopen(p);
	assert_int_equal(1, count_files("Maildir/cur/2.foreign:2,PRS"));
	assert_int_equal(1, count_files("Maildir/cur/1.foreign:2,R"));
}

/* Names as long as the file system takes; one has no room for flags. */
static void
test_long_names_of_other_programs(void **state)
{
	struct place *p = *state;
	struct mailbox_view *v;

	assert_ok(mailbox_view_open(p->m, find(p, S("Sent")).id, &v));
	mailbox_view_close(v); /* now the folders are on disk */
	run("n=$(head -c 240 /dev/zero | tr '\\0' n); echo 'a: 1' > Maildir/new/$n;"
	    "n=$(head -c 255 /dev/zero | tr '\\0' o); echo 'a: 2' > Maildir/new/$n");
	assert_ok(mailbox_view_open(p->m, 1, &v));
	assert_int_equal(2, v->count);
	flag(p, 1, 1, MAILBOX_SEEN);
	flag(p, 1, 2, MAILBOX_SEEN);
	mailbox_view_close(v);
	reopen(p);
	assert_int_equal(0, find(p, S("INBOX")).unseen);
	assert_int_equal(1, count_files("Maildir/cur/nnn*:2,S"));
	assert_int_equal(1, count_files("Maildir/new/ooo*"));
	assert_int_equal(5, bytes_of(p, 1, 1).n);
	assert_int_equal(5, bytes_of(p, 1, 2).n);
}

static void
test_a_file_renamed_under_us_is_found(void **state)
{
	struct place *p = *state;
	struct mailbox_bytes b;

	append(p, 1, S("a: 1\n\n"));
	run("for f in Maildir/cur/*; do mv $f ${f%:*}:2,S; done");
	assert_str(S("a: 1\n\n"), bytes_of(p, 1, 1));
	assert_int_equal(0, find(p, S("INBOX")).unseen);
	run("rm Maildir/cur/*");
	assert_err(ERR_PEER, mailbox_bytes_open(p->m, 1, 1, &b));
	assert_int_equal(0, find(p, S("INBOX")).messages);
}

static void
test_a_lost_index_finds_the_files(void **state)
{
	struct place *p = *state;
	uint32_t id, validity = find(p, S("INBOX")).uid_validity;

	assert_ok(mailbox_folder_create(p->m, S("a.b/c"), MAILBOX_USE_NONE, &id));
	append(p, id, S("a: 1\n\n"));
	append(p, 1, S("a: 2\n\n"));
	mailbox_close(p->m);
	run("rm index.db*; sleep 1.1");
	open_mailbox(p);
	assert_str(S("a: 1\n\n"), bytes_of(p, find(p, S("a.b/c")).id, 1));
	assert_int_equal(1, find(p, S("INBOX")).messages);
	assert_true(find(p, S("INBOX")).uid_validity > validity);
}

static void
deliver_two(struct place *p)
{
	struct mailbox_delivered d;

	(void)failed(deliver(p, 1, S("a: 1\n\n"), &d));
	(void)failed(deliver(p, 2, S("a: 2\n\n"), &d));
}

static void
test_no_uid_twice_after_a_crash(void **state)
{
	struct place *p = *state;
	struct mailbox_delivered d;
	uint64_t modseq = find(p, S("INBOX")).modseq;

	crash_after(p, deliver_two);
	assert_int_equal(2, find(p, S("INBOX")).messages);
	assert_ok(deliver(p, 1, S("a: 1\n\n"), &d));
	assert_true(d.before);
	assert_int_equal(1, d.uid);
	assert_ok(deliver(p, 3, S("a: 3\n\n"), &d));
	assert_true(d.uid >= 1000);
	assert_true(find(p, S("INBOX")).modseq > modseq + 2);
}

/* The file was renamed, its row was not committed. */
static void
test_a_delivery_without_a_row(void **state)
{
	struct place *p = *state;
	struct mailbox_delivered d;

	crash_after(p, deliver_two);
	mailbox_close(p->m);
	p->m = NULL;
	put_file(p, "Maildir/new/1000000000.Q9R1.mail.example.org,S=6,W=8", S("a: 9\n\n"));
	put_file(p, "Maildir/new/1000000000.QAR1.mail.example.org,S=6,W=8", S("a:"));
	put_file(p, "Maildir/new/1000000000.QBR1.mail.example.org,S=6,W=8", S("\0\0\0\0\0\0"));
	open_mailbox(p);
	crash_after(p, deliver_two);                       /* unclean: everything is listed */
	assert_int_equal(4, find(p, S("INBOX")).messages); /* the short one is not taken */
	assert_ok(deliver(p, 9, S("a: 9\n\n"), &d));
	assert_true(d.before);
	assert_ok(deliver(p, 10, S("a: A\n\n"), &d));
	assert_false(d.before);
	assert_str(S("a: A\n\n"), bytes_of(p, 1, d.uid));
	assert_ok(deliver(p, 11, S("a: B\n\n"), &d));
	assert_true(d.before);
	assert_str(S("a: B\n\n"), bytes_of(p, 1, d.uid));
	assert_int_equal(5, find(p, S("INBOX")).messages);
	assert_int_equal(5, count_files("Maildir/new/*"));
}

/* A power cut took the file and left the row: the replay brings the bytes back, the UID stays. */
static void
test_a_row_without_its_file(void **state)
{
	struct place *p = *state;
	struct mailbox_delivered d;

	crash_after(p, deliver_two);
	assert_ok(deliver(p, 4, S("a: 4\n\n"), &d));
	run("rm Maildir/new/*Q1R1*; : > $(ls Maildir/new/*Q2R1*)");
	assert_ok(deliver(p, 1, S("a: 1\n\n"), &d));
	assert_true(d.before && d.uid == 1);
	assert_ok(deliver(p, 2, S("a: 2\n\n"), &d));
	assert_true(d.before && d.uid == 2);
	assert_str(S("a: 1\n\n"), bytes_of(p, 1, 1));
	assert_str(S("a: 2\n\n"), bytes_of(p, 1, 2));
}

/* A session looked first and found the file missing: the message waits for its replay. */
static void
test_a_missing_file_is_delivered_again(void **state)
{
	struct place *p = *state;
	struct mailbox_delivered d;
	struct mailbox_bytes b;

	crash_after(p, deliver_two);
	flag(p, 1, 1, MAILBOX_FLAGGED);
	run("rm Maildir/*/*Q1R1*");
	assert_err(ERR_PEER, mailbox_bytes_open(p->m, 1, 1, &b));
	assert_ok(deliver(p, 1, S("a: 1\n\n"), &d));
	assert_true(d.before && d.uid == 1);
	assert_str(S("a: 1\n\n"), bytes_of(p, 1, 1));
	/* the queue no longer has it: whoever removed it wanted that */
	assert_ok(mailbox_forget(p->m, 100));
	run("rm Maildir/*/*Q1R1*");
	assert_err(ERR_PEER, mailbox_bytes_open(p->m, 1, 1, &b));
	assert_int_equal(1, find(p, S("INBOX")).messages);
}

static void
expunge_and_keep_file(struct place *p)
{
	uint64_t modseq;

	deliver_two(p);
	flag(p, 1, 1, MAILBOX_DELETED);
	run("ln Maildir/new/*Q1R1* Maildir/kept");
	assert_ok(mailbox_expunge(p->m, 1, NULL, 0, &modseq));
	run("mv Maildir/kept Maildir/new/1000000000.Q1R1.mail.example.org,S=6,W=8");
}

/* The row went, the power went, the file came back. */
static void
test_nothing_expunged_returns(void **state)
{
	struct place *p = *state;
	struct mailbox_delivered d;

	crash_after(p, expunge_and_keep_file);
	assert_int_equal(1, find(p, S("INBOX")).messages);
	assert_int_equal(0, count_files("Maildir/*/*Q1R1*"));
	assert_ok(deliver(p, 1, S("a: 1\n\n"), &d));
	assert_true(d.before);
	assert_int_equal(1, find(p, S("INBOX")).messages);
}

static Err
full_disk(void *self, const struct file_event *event)
{
	enum file_event_kind *kind = self;

	return event->kind == *kind ? (Err){ ERR_TEMP, ENOSPC, "no room" } : OK;
}

static void
test_a_full_disk_leaves_nothing_half(void **state)
{
	static const enum file_event_kind kinds[] = { FILE_EVENT_CREATE, FILE_EVENT_WRITE,
		FILE_EVENT_SYNC, FILE_EVENT_RENAME, FILE_EVENT_LINK };
	struct place *p = *state;
	struct mailbox_append a[2] = { message(S("a: 1\n\n")), message(S("a: 2\n\n")) };
	struct mailbox_copied copied;
	uint32_t uids[2];

	append(p, 1, S("a: 0\n\n"));
	for (size_t i = 0; i < COUNT(kinds); i++) {
		enum file_event_kind kind = kinds[i];

		file_observe(full_disk, &kind);
		if (kind == FILE_EVENT_LINK)
			assert_err(ERR_TEMP, mailbox_copy(p->m, 1, (uint32_t[]){ 1 }, 1, 4,
						     p->arena, &copied));
		else
			assert_err(ERR_TEMP,
				mailbox_append(p->m, 1, a, 2, MAILBOX_DURABLE, uids));
		file_observe(NULL, NULL);
		assert_int_equal(1, find(p, S("INBOX")).messages);
		assert_int_equal(1, count_files("Maildir/*/*"));
		assert_int_equal(0, count_files("Maildir/.Sent/*/*"));
	}
	assert_ok(mailbox_append(p->m, 1, a, 2, MAILBOX_DURABLE, uids));
	assert_int_equal(3, find(p, S("INBOX")).messages);
}

static Err
die_at(void *self, const struct file_event *event)
{
	enum file_event_kind *kind = self;

	if (event->kind == *kind)
		kill(getpid(), SIGKILL);
	return OK;
}

static enum file_event_kind renaming = FILE_EVENT_RENAME;

static void
rename_and_die(struct place *p)
{
	file_observe(die_at, &renaming);
	(void)failed(mailbox_folder_rename(p->m, S("a"), S("c")));
}

static void
delete_and_die(struct place *p)
{
	file_observe(die_at, &renaming);
	(void)failed(mailbox_folder_delete(p->m, S("a/b")));
}

static void
append_and_die(struct place *p)
{
	struct mailbox_append a = message(S("a: 9\n\n"));
	uint32_t uid;

	deliver_two(p);
	file_observe(die_at, &renaming);
	(void)failed(mailbox_append(p->m, 1, &a, 1, MAILBOX_DURABLE, &uid));
}

/* Killed between the commit and the change on disk. */
static void
test_folders_after_a_crash(void **state)
{
	struct place *p = *state;
	uint32_t id;

	assert_ok(mailbox_folder_create(p->m, S("a/b"), MAILBOX_USE_NONE, &id));
	append(p, id, S("a: 1\n\n"));
	append(p, find(p, S("a")).id, S("a: 2\n\n"));
	crash_after(p, rename_and_die);
	assert_str(S("a: 1\n\n"), bytes_of(p, find(p, S("c/b")).id, 1));
	assert_str(S("a: 2\n\n"), bytes_of(p, find(p, S("c")).id, 1));
	assert_ok(mailbox_folder_rename(p->m, S("c"), S("a")));
	crash_after(p, delete_and_die);
	assert_ok(mailbox_folder_create(p->m, S("a/b"), MAILBOX_USE_NONE, &id));
	assert_ok(mailbox_folder_rename(p->m, S("a"), S("z")));
	reopen(p);
	assert_str(S("a: 2\n\n"), bytes_of(p, find(p, S("z")).id, 1));
	assert_int_equal(0, find(p, S("z/b")).messages);
	crash_after(p, append_and_die);
	assert_int_equal(0, count_files("Maildir/tmp/*"));
	assert_int_equal(2, find(p, S("INBOX")).messages);
}

/* SQLite finds no room: what was refused is not there, what was accepted is. */
static void
test_an_index_without_room(void **state)
{
	struct place *p = *state;
	struct rlimit before, small;
	uint32_t accepted = 0;
	struct stat st;

	append(p, 1, S("a: 0\n\n"));
	assert_int_equal(0, stat("index.db-wal", &st));
	assert_int_equal(0, getrlimit(RLIMIT_FSIZE, &before));
	signal(SIGXFSZ, SIG_IGN);
	small = (struct rlimit){ (rlim_t)st.st_size + 100000, before.rlim_max };
	assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &small));
	for (int i = 0; i < 100; i++) {
		struct mailbox_append a = message(S("a: 1\n\n"));
		uint32_t uid;

		accepted += !failed(mailbox_append(p->m, 1, &a, 1, MAILBOX_DURABLE, &uid));
	}
	assert_int_equal(0, setrlimit(RLIMIT_FSIZE, &before));
	assert_true(accepted > 0 && accepted < 100);
	assert_int_equal(accepted + 1, find(p, S("INBOX")).messages);
	append(p, 1, S("a: 2\n\n"));
	reopen(p);
	assert_int_equal(accepted + 2, find(p, S("INBOX")).messages);
	assert_int_equal(accepted + 2, count_files("Maildir/*/*"));
}

static void
test_a_damaged_index_is_made_anew(void **state)
{
	struct place *p = *state;
	struct mailbox_delivered d;
	uint32_t validity;

	append(p, 1, S("a: 1\n\n"));
	flag(p, 1, 1, MAILBOX_SEEN);
	assert_ok(deliver(p, 5, S("a: 2\n\n"), &d));
	validity = find(p, S("INBOX")).uid_validity;
	mailbox_close(p->m);
	run("sleep 1.1; for f in index.db index.db-wal; do head -c 40000 /dev/zero | tr '\\0' x | "
	    "dd of=$f bs=1 seek=64 conv=notrunc status=none; done");
	open_mailbox(p);
	assert_true(mailbox_was_rebuilt(p->m));
	assert_int_equal(2, find(p, S("INBOX")).messages);
	assert_int_equal(1, find(p, S("INBOX")).unseen);
	assert_true(find(p, S("INBOX")).uid_validity > validity);
	assert_ok(deliver(p, 5, S("a: 2\n\n"), &d));
	assert_true(d.before);
	reopen(p);
	assert_false(mailbox_was_rebuilt(p->m));
}

static void
test_no_uidvalidity_twice(void **state)
{
	struct place *p = *state;
	uint32_t id, last = 0;

	for (int i = 0; i < 5; i++) {
		assert_ok(mailbox_folder_create(p->m, S("x"), MAILBOX_USE_NONE, &id));
		assert_true(find(p, S("x")).uid_validity > last);
		last = find(p, S("x")).uid_validity;
		assert_ok(mailbox_folder_delete(p->m, S("x")));
		if (p->local)
			reopen(p);
	}
}

/* ---- Both drivers side by side ---- */

enum {
	STEPS = 2000,
	FOLDERS = 5,
};

/* Our own numbers, so that a failure repeats. */
static uint32_t
dice(uint64_t *seed, uint32_t sides)
{
	*seed = *seed * 6364136223846793005 + 1442695040888963407;
	return (uint32_t)(*seed >> 33) % sides;
}

static void
assert_same_folder(struct place *a, struct place *b, uint32_t id)
{
	struct mailbox_view *v, *w;

	assert_ok(mailbox_view_open(a->m, id, &v));
	assert_ok(mailbox_view_open(b->m, id, &w));
	assert_int_equal(v->count, w->count);
	assert_int_equal(v->uid_next, w->uid_next);
	for (size_t i = 0; i < v->count; i++) {
		assert_int_equal(v->messages[i].uid, w->messages[i].uid);
		assert_int_equal(v->messages[i].flags, w->messages[i].flags);
		assert_int_equal(v->messages[i].size, w->messages[i].size);
		assert_str(bytes_of(a, id, v->messages[i].uid),
			bytes_of(b, id, v->messages[i].uid));
	}
	mailbox_view_close(v);
	mailbox_view_close(w);
}

static void
assert_same(struct place *a, struct place *b)
{
	struct mailbox_folder *all, *others;
	size_t count, other_count;

	arena_reset(a->arena);
	arena_reset(b->arena);
	assert_ok(mailbox_folder_list(a->m, a->arena, &all, &count));
	assert_ok(mailbox_folder_list(b->m, b->arena, &others, &other_count));
	assert_int_equal(count, other_count);
	for (size_t i = 0; i < count; i++) {
		assert_str(all[i].name, others[i].name);
		assert_int_equal(all[i].messages, others[i].messages);
		assert_int_equal(all[i].unseen, others[i].unseen);
		assert_int_equal(all[i].deleted, others[i].deleted);
		assert_int_equal(all[i].size, others[i].size);
		if (all[i].exists)
			assert_same_folder(a, b, all[i].id);
	}
}

/* The same step on either; what it answers must be the same. */
static enum err_kind
take_step(struct place *p, uint64_t seed, unsigned step)
{
	uint32_t folder = 1 + dice(&seed, FOLDERS), to = 1 + dice(&seed, FOLDERS);
	uint32_t uids[3] = { 1 + dice(&seed, 60) };
	struct mailbox_flags_change change = { .mode = (enum mailbox_flags_mode)dice(&seed, 3),
		.flags = dice(&seed, 32),
		.unchanged_since = UINT64_MAX };
	struct mailbox_flags_result result;
	struct mailbox_copied copied;
	struct mailbox_delivered delivered;
	uint32_t again = 1 + dice(&seed, step);
	char text[32], delivery[32];
	uint64_t modseq;

	uids[1] = uids[0] + 1;
	uids[2] = uids[1] + 5;
	snprintf(text, sizeof(text), "a: %u\n\n%.*s", step, (int)dice(&seed, 9), "12345678");
	switch (dice(&seed, 12)) {
	case 0:
		return mailbox_copy(p->m, folder, uids, 3, to, p->arena, &copied).kind;
	case 1:
		return mailbox_move(p->m, folder, uids, 3, to, p->arena, &copied).kind;
	case 2:
		return mailbox_expunge(p->m, folder, NULL, 0, &modseq).kind;
	case 3:
	case 4:
		/* the queue repeats a delivery with the same bytes */
		snprintf(delivery, sizeof(delivery), "a: %u\n\n", again);
		return deliver(p, again, str_from(delivery), &delivered).kind;
	case 5:
		return mailbox_folder_rename(p->m, S("Archive"), S("Old/Archive")).kind;
	case 6:
		return mailbox_folder_rename(p->m, S("Old/Archive"), S("Archive")).kind;
	case 7:
		append(p, folder, str_from(text));
		return ERR_NONE;
	default:
		return mailbox_flags_set(p->m, folder, uids, 3, &change, p->arena, &result)
			.kind;
	}
}

static void
test_both_drivers_do_the_same(void **state)
{
	struct place *a = *state, *b;
	uint64_t seed = 20261121;
	void *other;
	Time due;

	set_up_ram(&other);
	b = other;
	for (unsigned step = 1; step <= STEPS; step++) {
		enum err_kind kind;

		dice(&seed, 2);
		kind = take_step(a, seed, step);
		assert_int_equal(kind, take_step(b, seed, step));
		if (step % 100 == 0)
			assert_ok(mailbox_tidy(a->m, time_add_seconds(clock_wall(), MINUTE),
				&due));
		if (step % 300 == 0)
			reopen(a);
		if (step % 50 == 0)
			assert_same(a, b);
	}
	tear_down(&other);
	assert_int_equal(0, fchdir(a->folder));
}

#define BOTH(test) \
	cmocka_unit_test_setup_teardown(test, set_up_ram, tear_down), \
		cmocka_unit_test_setup_teardown(test, set_up_local, tear_down)
#define FILES(test) cmocka_unit_test_setup_teardown(test, set_up_local, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_SD_204_new_account),
		BOTH(test_append_and_read),
		BOTH(test_bare_lf_is_kept),
		BOTH(test_sessions_see_one_another),
		BOTH(test_a_view_far_behind),
		BOTH(test_unchanged_since),
		BOTH(test_keywords),
		BOTH(test_copy_move_expunge),
		BOTH(test_move_within_a_folder),
		BOTH(test_names_of_folders),
		BOTH(test_folders_come_and_go),
		BOTH(test_rename_inbox_moves_its_mail),
		BOTH(test_subscriptions_need_no_folder),
		BOTH(test_delivery_happens_once),
		BOTH(test_deliveries_of_every_kind),
		BOTH(test_threads_share_a_mailbox),
		BOTH(test_no_uidvalidity_twice),
		FILES(test_both_drivers_do_the_same),
		FILES(test_everything_is_there_after_closing),
		FILES(test_the_lease_is_one_processs),
		FILES(test_SD_189_new_mail_moves_to_cur_when_seen),
		FILES(test_other_programs_are_noticed),
		FILES(test_long_names_of_other_programs),
		FILES(test_a_file_renamed_under_us_is_found),
		FILES(test_a_lost_index_finds_the_files),
		FILES(test_no_uid_twice_after_a_crash),
		FILES(test_a_delivery_without_a_row),
		FILES(test_a_row_without_its_file),
		FILES(test_a_missing_file_is_delivered_again),
		FILES(test_nothing_expunged_returns),
		FILES(test_a_full_disk_leaves_nothing_half),
		FILES(test_folders_after_a_crash),
		FILES(test_a_damaged_index_is_made_anew),
		FILES(test_an_index_without_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
