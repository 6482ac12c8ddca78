/* SPDX-License-Identifier: ISC */
#include "base/memory.h"
#include "os/file.h"
#include "os/memfd.h"
#include "store/journal.h"
#include "store/queue.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

enum {
	EVENTS_MAX = 4096,
};

/* Every test runs on both drivers. */
struct fixture {
	bool ram;
	char path[64];
	int spool;
	struct queue_limits limits;
	struct queue_watcher watcher;
	struct queue_now now;
	struct queue *q;
	struct arena *arena;
	uint64_t removed[EVENTS_MAX];
	size_t removed_count, gave_up, body_lost;
	struct queue_work work[QUEUE_TAKE_MAX];
	size_t work_count;
};

static void
on_removed(void *self, uint64_t id)
{
	struct fixture *f = self;

	assert_true(f->removed_count < EVENTS_MAX);
	f->removed[f->removed_count++] = id;
}

static void
on_gave_up(void *self, uint64_t id, Str address, Str status, Str text)
{
	struct fixture *f = self;

	(void)id;
	(void)address;
	(void)text;
	assert_str(S("4.4.7"), status);
	f->gave_up++;
}

static void
on_body_lost(void *self, uint64_t id)
{
	struct fixture *f = self;

	(void)id;
	f->body_lost++;
}

static void
open_queue(struct fixture *f)
{
	if (f->ram)
		assert_ok(queue_open_ram(&f->limits, &f->watcher, f->now, &f->q));
	else
		assert_ok(queue_open_local(f->spool, &f->limits, &f->watcher, f->now, &f->q));
}

/* As after a crash: what was not committed is gone. */
static void
reopen(struct fixture *f)
{
	if (f->ram) {
		assert_ok(queue_reopen_ram(&f->q, f->now));
		return;
	}
	queue_free(TAKE(f->q));
	open_queue(f);
}

static int
setup(void **state, bool ram)
{
	struct fixture *f = memory_get(sizeof(*f));
	const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	f->ram = ram;
	snprintf(f->path, sizeof(f->path), "%s/queue-test-XXXXXX", top);
	assert_non_null(mkdtemp(f->path));
	assert_ok(file_open_folder(AT_FDCWD, f->path, &f->spool));
	f->limits = (struct queue_limits){ .retry = { 60, 120, 240 },
		.retry_count = 3,
		.age_max = 3600,
		.lease = 900,
		.concurrency_max = 20,
		.memory = 1024 * 1024,
		.segment_size = 256 * 1024 };
	f->watcher = (struct queue_watcher){ .self = f,
		.removed = on_removed,
		.gave_up = on_gave_up,
		.body_lost = on_body_lost };
	f->now = (struct queue_now){ .wall = { INT64_C(1767000000) * 1000000 }, .ms = 5000 };
	f->arena = arena_new(16 * 1024 * 1024);
	open_queue(f);
	*state = f;
	return 0;
}

static int
setup_ram(void **state)
{
	return setup(state, true);
}

static int
setup_local(void **state)
{
	return setup(state, false);
}

static void
remove_files(int spool, const char *name)
{
	AUTO_FD folder = -1;
	struct dirent *entry;
	DIR *dir;

	if (failed(file_open_folder(spool, name, &folder)))
		return;
	dir = fdopendir(dup(folder));
	assert_non_null(dir);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			unlinkat(folder, entry->d_name, 0);
	closedir(dir);
	unlinkat(spool, name, AT_REMOVEDIR);
}

static void
drop_work(struct fixture *f)
{
	for (size_t i = 0; i < f->work_count; i++)
		fd_drop(&f->work[i].fd);
	f->work_count = 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	file_observe(NULL, NULL);
	drop_work(f);
	queue_free(f->q);
	arena_free(f->arena);
	remove_files(f->spool, "journal");
	remove_files(f->spool, "large");
	close(f->spool);
	rmdir(f->path);
	free(f);
	return 0;
}

static void
pass(struct fixture *f, int64_t seconds)
{
	f->now.ms += seconds * 1000;
	f->now.wall = time_add_seconds(f->now.wall, seconds);
	queue_set_now(f->q, f->now);
}

static void
commit(struct fixture *f)
{
	Err rest;

	assert_ok(queue_commit(f->q, &rest));
	assert_ok(rest);
}

/* Recipients: addresses at "far..." domains are remote. */
static uint64_t
submit(struct fixture *f, const char *sender, const char *const *to, size_t count, Str body)
{
	struct envelope_recipient recipients[200];
	struct envelope e = { .sender = str_from(sender),
		.client = S("mx.far.example[192.0.2.1]"),
		.recipients = recipients,
		.recipient_count = count };
	struct queue_new new = { .envelope = &e, .body = body, .fd = -1, .size = body.n };
	uint64_t id;

	assert_true(count <= COUNT(recipients));
	for (size_t i = 0; i < count; i++) {
		Str address = str_from(to[i]);

		recipients[i] = (struct envelope_recipient){ .address = address };
		if (str_find_str(address, S("@far")) != STR_NONE)
			recipients[i].class = ENVELOPE_REMOTE;
	}
	assert_ok(queue_submit(f->q, &new, &id));
	commit(f);
	return id;
}

static uint64_t
submit_to(struct fixture *f, const char *to)
{
	return submit(f, "sender@far.example", &to, 1, S("Subject: x\n\nbody\n"));
}

static size_t
take_from(struct fixture *f, enum queue_way way, Str destination, size_t most)
{
	drop_work(f);
	arena_reset(f->arena);
	assert_ok(queue_take(f->q, way, destination, most, SIZE_MAX, 7, f->arena, f->work,
		&f->work_count));
	return f->work_count;
}

static size_t
take(struct fixture *f, enum queue_way way)
{
	return take_from(f, way, S(""), QUEUE_TAKE_MAX);
}

static void
result(struct fixture *f, uint64_t id, uint32_t number, enum queue_fate fate)
{
	struct queue_result r = { .id = id,
		.number = number,
		.fate = fate,
		.status = fate == QUEUE_FATE_DONE ? S("2.0.0") : S("4.2.1"),
		.text = S("because") };

	assert_ok(queue_results(f->q, &r, 1));
	commit(f);
}

static bool
exists(struct fixture *f, uint64_t id)
{
	struct queue_view v;

	return !failed(queue_view_get(f->q, id, f->arena, &v));
}

static void
checkpoint(struct fixture *f)
{
	uint64_t position;

	if (queue_checkpoint_begin(f->q, &position))
		assert_ok(queue_checkpoint_end(f->q, position));
}

static void
test_one_message(void **state)
{
	struct fixture *f = *state;
	uint64_t id = submit_to(f, "anna@example.org");

	assert_int_equal(0, take(f, QUEUE_WAY_REMOTE));
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(id, f->work[0].id);
	assert_int_equal(1, f->work[0].attempt);
	assert_str(S("sender@far.example"), f->work[0].envelope.sender);
	assert_str(S("anna@example.org"), f->work[0].envelope.recipients[0].address);
	assert_int_equal(1, f->work[0].envelope.recipients[0].number);
	assert_str(S("Subject: x\n\nbody\n"), f->work[0].body);
	assert_int_equal(0, take(f, QUEUE_WAY_LOCAL));
	result(f, id, 1, QUEUE_FATE_DONE);
	assert_int_equal(1, f->removed_count);
	assert_int_equal(id, f->removed[0]);
	assert_false(exists(f, id));
}

static void
test_local_delivery_is_repeated_until_checkpoint(void **state)
{
	struct fixture *f = *state;
	uint64_t local = submit_to(f, "anna@example.org");
	uint64_t remote = submit_to(f, "ben@far.example");

	take(f, QUEUE_WAY_LOCAL);
	take(f, QUEUE_WAY_REMOTE);
	result(f, local, 1, QUEUE_FATE_DONE);
	result(f, remote, 1, QUEUE_FATE_DONE);
	reopen(f);
	assert_true(exists(f, local));
	assert_false(exists(f, remote));
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_str(S("Subject: x\n\nbody\n"), f->work[0].body);
	assert_true(queue_forget_below(f->q) <= local);
	result(f, local, 1, QUEUE_FATE_DONE);
	checkpoint(f);
	assert_true(queue_forget_below(f->q) > local);
	reopen(f);
	assert_false(exists(f, local));
	assert_int_equal(0, take(f, QUEUE_WAY_LOCAL));
}

static void
test_uncommitted_is_forgotten(void **state)
{
	struct fixture *f = *state;
	struct envelope_recipient r = { .address = S("anna@example.org") };
	struct envelope e = { .recipients = &r, .recipient_count = 1 };
	struct queue_new new = { .envelope = &e, .body = S("x"), .fd = -1, .size = 1 };
	uint64_t id;

	assert_ok(queue_submit(f->q, &new, &id));
	assert_int_equal(0, queue_figures(f->q).messages);
	commit(f);
	assert_ok(queue_submit(f->q, &new, &id));
	reopen(f);
	assert_int_equal(1, queue_figures(f->q).messages);
}

static void
test_retry_schedule_survives(void **state)
{
	struct fixture *f = *state;
	uint64_t id = submit_to(f, "ben@far.example");
	static const int64_t waits[] = { 60, 120, 240, 240 };

	for (size_t i = 0; i < COUNT(waits); i++) {
		assert_int_equal(1, take(f, QUEUE_WAY_REMOTE));
		assert_int_equal(i + 1, f->work[0].attempt);
		result(f, id, 1, QUEUE_FATE_LATER);
		assert_int_equal(f->now.ms + waits[i] * 1000, queue_due(f->q));
		pass(f, waits[i] / 2);
		if (i % 2 == 1)
			reopen(f);
		assert_int_equal(0, take(f, QUEUE_WAY_REMOTE));
		pass(f, waits[i] / 2);
	}
	assert_int_equal(1, take(f, QUEUE_WAY_REMOTE));
	assert_str(S("Subject: x\n\nbody\n"), f->work[0].body);
}

static void
test_clock_jump_does_not_delay(void **state)
{
	struct fixture *f = *state;
	uint64_t id = submit_to(f, "ben@far.example");

	take(f, QUEUE_WAY_REMOTE);
	result(f, id, 1, QUEUE_FATE_LATER);
	f->now.wall = time_add_seconds(f->now.wall, -365 * DAY);
	reopen(f);
	assert_int_equal(f->now.ms + 240 * 1000, queue_due(f->q));
}

static void
test_too_old_is_given_back(void **state)
{
	struct fixture *f = *state;
	uint64_t id = submit_to(f, "ben@far.example");

	pass(f, 7200);
	reopen(f);
	/* Not before an attempt has failed. */
	assert_int_equal(0, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(1, take(f, QUEUE_WAY_REMOTE));
	result(f, id, 1, QUEUE_FATE_LATER);
	assert_int_equal(1, f->gave_up);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(QUEUE_WORK_BOUNCE, f->work[0].kind);
	assert_str(S("4.4.7"), f->work[0].reasons[0].status);
	assert_str(S("because"), f->work[0].reasons[0].text);
}

static void
test_bounce_settles(void **state)
{
	struct fixture *f = *state;
	const char *to[] = { "a@far.example", "b@far.example", "c@far.example" };
	uint64_t id = submit(f, "anna@example.org", to, 3, S("body\n")), bounce;
	struct envelope_recipient back = { .address = S("anna@example.org") };
	struct envelope e = { .recipients = &back, .recipient_count = 1 };
	uint32_t numbers[2];
	struct queue_new new = { .envelope = &e,
		.body = S("sorry"),
		.fd = -1,
		.size = 5,
		.settles_id = id,
		.settles = numbers };

	assert_int_equal(1, take(f, QUEUE_WAY_REMOTE));
	result(f, id, 1, QUEUE_FATE_FAILED);
	result(f, id, 3, QUEUE_FATE_FAILED);
	result(f, id, 2, QUEUE_FATE_LATER);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(QUEUE_WORK_BOUNCE, f->work[0].kind);
	assert_int_equal(2, f->work[0].envelope.recipient_count);
	for (size_t i = 0; i < 2; i++)
		numbers[i] = f->work[0].envelope.recipients[i].number;
	new.settles_count = 2;
	assert_ok(queue_submit(f->q, &new, &bounce));
	/* Before the commit, nothing of it counts. */
	reopen(f);
	assert_false(exists(f, bounce));
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(QUEUE_WORK_BOUNCE, f->work[0].kind);
	assert_ok(queue_submit(f->q, &new, &bounce));
	commit(f);
	reopen(f);
	assert_true(exists(f, bounce));
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(bounce, f->work[0].id);
	/* The bounce fails in turn: nobody is told. */
	result(f, bounce, 1, QUEUE_FATE_FAILED);
	assert_false(exists(f, bounce));
	pass(f, 60);
	assert_int_equal(1, take(f, QUEUE_WAY_REMOTE));
	assert_int_equal(1, f->work[0].envelope.recipient_count);
	result(f, id, 2, QUEUE_FATE_DONE);
	assert_false(exists(f, id));
}

static void
test_dead_destination_starves_nobody(void **state)
{
	struct fixture *f = *state;
	struct queue_result down = { .fate = QUEUE_FATE_LATER, .destination_down = true };

	for (int i = 0; i < 50; i++)
		submit_to(f, "x@far-dead.example");
	submit_to(f, "y@far-alive.example");
	/* No more than the window at once, and everybody's turn comes. */
	assert_int_equal(5, take(f, QUEUE_WAY_REMOTE));
	down.id = f->work[0].id;
	down.number = 1;
	assert_int_equal(1, take(f, QUEUE_WAY_REMOTE));
	assert_str(S("y@far-alive.example"), f->work[0].envelope.recipients[0].address);
	assert_ok(queue_results(f->q, &down, 1));
	commit(f);
	assert_int_equal(0, take(f, QUEUE_WAY_REMOTE));
	assert_int_equal(0, take_from(f, QUEUE_WAY_REMOTE, S("far-other.example"), 5));
	queue_lease_lost(f->q, 7, 7);
	for (int i = 0; i < 10; i++) {
		/* Held back as a whole, then tried with one. */
		pass(f, 60);
		drop_work(f);
		if (take(f, QUEUE_WAY_REMOTE) > 0 &&
			f->work[0].envelope.recipients[0].address.p[0] == 'x')
			break;
	}
	assert_int_equal(1, f->work_count);
	down.id = f->work[0].id;
	down.fate = QUEUE_FATE_DONE;
	down.destination_down = false;
	assert_ok(queue_results(f->q, &down, 1));
	commit(f);
	assert_int_equal(2, take_from(f, QUEUE_WAY_REMOTE, S("far-dead.example"), 64));
}

static void
test_old_mail_for_a_dead_destination_goes_back(void **state)
{
	struct fixture *f = *state;
	struct queue_result down = {
		.fate = QUEUE_FATE_LATER, .destination_down = true, .number = 1
	};

	for (int i = 0; i < 10; i++)
		submit_to(f, "x@far-dead.example");
	pass(f, 7200);
	assert_int_equal(1, take_from(f, QUEUE_WAY_REMOTE, S(""), 1));
	down.id = f->work[0].id;
	assert_ok(queue_results(f->q, &down, 1));
	commit(f);
	assert_int_equal(10, f->gave_up);
	assert_int_equal(10, take(f, QUEUE_WAY_LOCAL));
}

static void
test_expansion(void **state)
{
	struct fixture *f = *state;
	const char *to[] = { "list@example.org", "Anna@example.org" };
	uint64_t id = submit(f, "x@far.example", to, 2, S("body"));
	struct envelope_recipient members[] = {
		{ .address = S("ben@example.org") },
		{ .address = S("anna@EXAMPLE.org") }, /* has it already */
		{ .address = S("cleo@far.example"), .class = ENVELOPE_REMOTE },
		{ .address = S("ben@example.org") },
	};
	size_t found = 0;

	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_ok(queue_expand(f->q, id, 1, members, 2, 77, false));
	commit(f);
	reopen(f);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	for (size_t i = 0; i < f->work[0].envelope.recipient_count; i++)
		if (f->work[0].envelope.recipients[i].number == 1)
			assert_int_equal(77, f->work[0].envelope.recipients[i].cursor);
	assert_ok(queue_expand(f->q, id, 1, members, 4, 99, true));
	commit(f);
	assert_err(ERR_PEER, queue_expand(f->q, id, 1, members, 1, 99, true));
	result(f, id, 2, QUEUE_FATE_DONE);
	reopen(f);
	assert_int_equal(1, take(f, QUEUE_WAY_REMOTE));
	result(f, id, f->work[0].envelope.recipients[0].number, QUEUE_FATE_DONE);
	assert_true(take(f, QUEUE_WAY_LOCAL) > 0);
	for (size_t i = 0; i < f->work_count; i++)
		for (size_t k = 0; k < f->work[i].envelope.recipient_count; k++) {
			found += str_eq(S("ben@example.org"),
				f->work[i].envelope.recipients[k].address);
			result(f, id, f->work[i].envelope.recipients[k].number,
				QUEUE_FATE_DONE);
		}
	assert_int_equal(1, found);
	assert_false(exists(f, id));
}

static void
test_hold_release_remove(void **state)
{
	struct fixture *f = *state;
	uint64_t id = submit_to(f, "anna@example.org");
	uint64_t other = submit_to(f, "ben@far.example");

	assert_ok(queue_hold(f->q, id, true));
	assert_ok(queue_hold(f->q, other, true));
	commit(f);
	assert_int_equal(0, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(0, take(f, QUEUE_WAY_REMOTE));
	reopen(f);
	assert_int_equal(0, take(f, QUEUE_WAY_LOCAL));
	assert_ok(queue_hold(f->q, id, false));
	assert_ok(queue_remove(f->q, other));
	commit(f);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	reopen(f);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_false(exists(f, other));
	assert_err(ERR_PEER, queue_remove(f->q, other));
}

static void
test_poison_is_handled_with_care(void **state)
{
	struct fixture *f = *state;
	uint64_t poison = submit_to(f, "anna@example.org");
	uint64_t innocent = submit_to(f, "ben@example.org");

	assert_int_equal(2, take(f, QUEUE_WAY_LOCAL));
	queue_lease_lost(f->q, 7, 7);
	/* Now one at a time. */
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(poison, f->work[0].id);
	assert_int_equal(QUEUE_WORK_MESSAGE, f->work[0].kind);
	reopen(f);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(poison, f->work[0].id);
	assert_int_equal(QUEUE_WORK_CAREFUL, f->work[0].kind);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(innocent, f->work[0].id);
	assert_int_equal(QUEUE_WORK_MESSAGE, f->work[0].kind);
	result(f, innocent, 1, QUEUE_FATE_CRASHED);
	pass(f, 1);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	assert_int_equal(QUEUE_WORK_CAREFUL, f->work[0].kind);
}

static void
test_lease_ends(void **state)
{
	struct fixture *f = *state;
	uint64_t id = submit_to(f, "anna@example.org");

	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	pass(f, 899);
	assert_int_equal(0, take(f, QUEUE_WAY_LOCAL));
	pass(f, 1);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	queue_give_back(f->q, f->work[0].handle);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	result(f, id, 1, QUEUE_FATE_BUSY);
	assert_int_equal(0, take(f, QUEUE_WAY_LOCAL));
	pass(f, 1);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
	/* Its holder says nothing, and asks for more. */
	queue_lease_over(f->q, 7);
	assert_int_equal(0, take(f, QUEUE_WAY_LOCAL));
	pass(f, 5);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
}

static void
test_large_body(void **state)
{
	struct fixture *f = *state;
	size_t size = 3 * 1024 * 1024;
	char *bytes = memory_get(size);
	struct envelope_recipient r = { .address = S("anna@example.org") };
	struct envelope e = { .recipients = &r, .recipient_count = 1 };
	struct queue_new new = { .envelope = &e, .size = size };
	AUTO_BUF got = BUF_INIT(size);
	uint64_t id;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)(i * 31 / 7);
	assert_ok(memfd_from((Str){ bytes, size }, &new.fd));
	assert_ok(queue_submit(f->q, &new, &id));
	commit(f);
	close(new.fd);
	for (int round = 0; round < 2; round++) {
		assert_int_equal(1, take(f, QUEUE_WAY_LOCAL));
		assert_true(f->work[0].fd >= 0);
		assert_ok(memfd_check(f->work[0].fd, size));
		buf_reset(&got);
		assert_ok(queue_read_body(f->q, id, &got));
		assert_memory_equal(bytes, got.p, size);
		reopen(f);
	}
	take(f, QUEUE_WAY_LOCAL);
	result(f, id, 1, QUEUE_FATE_DONE);
	reopen(f);
	assert_int_equal(1, take(f, QUEUE_WAY_LOCAL)); /* the file is still there */
	assert_int_equal(0, f->body_lost);
	result(f, id, 1, QUEUE_FATE_DONE);
	checkpoint(f);
	if (!f->ram) {
		AUTO_FD folder = -1;
		struct dirent *entry;
		DIR *dir;

		assert_ok(file_open_folder(f->spool, "large", &folder));
		dir = fdopendir(dup(folder));
		while ((entry = readdir(dir)) != NULL)
			assert_int_equal('.', entry->d_name[0]);
		closedir(dir);
	}
	free(bytes);
}

/* Mail that waits long does not keep the journal from being used again. */
static void
test_waiting_mail_moves_out_of_the_way(void **state)
{
	struct fixture *f = *state;
	char *bytes = memory_get(20000);
	const char *to = "anna@example.org";
	uint64_t waiting[20];
	bool more;

	memset(bytes, 'x', 20000);
	for (size_t i = 0; i < COUNT(waiting); i++) {
		waiting[i] = submit_to(f, "ben@far.example");
		for (int k = 0; k < 12; k++) {
			uint64_t id = submit(f, "s@far.example", &to, 1, (Str){ bytes, 20000 });

			take(f, QUEUE_WAY_LOCAL);
			result(f, id, 1, QUEUE_FATE_DONE);
		}
		while (take(f, QUEUE_WAY_REMOTE) > 0)
			for (size_t k = 0; k < f->work_count; k++)
				result(f, f->work[k].id, 1, QUEUE_FATE_LATER);
		pass(f, 40);
		more = true;
		for (int k = 0; more && k < 1000; k++)
			assert_ok(queue_tidy(f->q, &more));
		checkpoint(f);
		if (i % 5 == 4)
			reopen(f);
	}
	assert_true(queue_figures(f->q).segments < 14);
	pass(f, 300);
	assert_int_equal(COUNT(waiting), queue_figures(f->q).messages);
	for (size_t i = 0; i < COUNT(waiting); i++) {
		AUTO_BUF body = BUF_INIT(1000);

		assert_ok(queue_read_body(f->q, waiting[i], &body));
		assert_str(S("Subject: x\n\nbody\n"), buf_view(&body));
	}
	assert_true(queue_forget_below(f->q) <= waiting[0]);
	free(bytes);
}

static Err
fail_sync(void *self, const struct file_event *event)
{
	int *left = self;

	errno = EIO;
	return event->kind == FILE_EVENT_SYNC && (*left)-- > 0 ? fail_sys(ERR_TEMP, "seeded")
							       : OK;
}

static void
test_failed_sync_keeps_results(void **state)
{
	struct fixture *f = *state;
	uint64_t id = submit_to(f, "ben@far.example"), new_id;
	struct envelope_recipient r = { .address = S("anna@example.org") };
	struct envelope e = { .recipients = &r, .recipient_count = 1 };
	struct queue_new new = { .envelope = &e, .body = S("x"), .fd = -1, .size = 1 };
	struct queue_result done = { .id = id, .number = 1, .fate = QUEUE_FATE_DONE };
	bool more = true;
	int left = 1;
	Err rest;

	if (f->ram)
		return;
	while (more)
		assert_ok(queue_tidy(f->q, &more));
	take(f, QUEUE_WAY_REMOTE);
	assert_ok(queue_submit(f->q, &new, &new_id));
	assert_ok(queue_results(f->q, &done, 1));
	file_observe(fail_sync, &left);
	assert_err(ERR_TEMP, queue_commit(f->q, &rest));
	file_observe(NULL, NULL);
	assert_ok(rest);
	assert_false(exists(f, id));
	assert_false(exists(f, new_id));
	reopen(f);
	assert_false(exists(f, id));
	assert_int_equal(0, queue_figures(f->q).messages);
	submit_to(f, "ben@far.example");
}

/* What a simple model says is still to be done is what the queue hands out, whatever happens. */
static void
test_model(void **state)
{
	struct fixture *f = *state;
	struct {
		uint64_t id;
		bool remote;
		bool done;
	} model[400];
	size_t count = 0, open = 0;

	srandom(11);
	for (int step = 0; step < 3000; step++) {
		long dice = random() % 100;

		if (dice < 20 && count < COUNT(model)) {
			bool remote = random() % 2 == 0;
			char to[40];

			snprintf(to, sizeof(to),
				remote ? "u@far%ld.example" : "u%ld@example.org", random() % 5);
			model[count].remote = remote;
			model[count].done = false;
			model[count++].id = submit_to(f, to);
		} else if (dice < 75) {
			bool remote = random() % 2 == 0;

			take_from(f, remote ? QUEUE_WAY_REMOTE : QUEUE_WAY_LOCAL, S(""), 3);
			for (size_t i = 0; i < f->work_count; i++) {
				enum queue_fate fate = random() % 3 == 0   ? QUEUE_FATE_LATER
						       : random() % 9 == 0 ? QUEUE_FATE_CRASHED
									   : QUEUE_FATE_DONE;

				if (f->work[i].kind == QUEUE_WORK_BOUNCE)
					fate = QUEUE_FATE_SETTLED;
				for (size_t k = 0; k < count; k++)
					if (model[k].id == f->work[i].id)
						model[k].done |= fate == QUEUE_FATE_DONE ||
								 fate == QUEUE_FATE_SETTLED;
				result(f, f->work[i].id, 1, fate);
			}
		} else if (dice < 90) {
			pass(f, random() % 20);
		} else if (dice < 94) {
			checkpoint(f);
		} else if (dice < 96) {
			take(f, QUEUE_WAY_LOCAL);
			queue_lease_lost(f->q, 7, 7);
		} else {
			reopen(f);
		}
	}
	checkpoint(f);
	for (int round = 0; round < 500; round++) {
		pass(f, 60);
		take(f, round % 2 == 0 ? QUEUE_WAY_LOCAL : QUEUE_WAY_REMOTE);
		for (size_t i = 0; i < f->work_count; i++) {
			for (size_t k = 0; k < count; k++)
				if (model[k].id == f->work[i].id)
					model[k].done = true;
			result(f, f->work[i].id, 1,
				f->work[i].kind == QUEUE_WORK_BOUNCE ? QUEUE_FATE_SETTLED
								     : QUEUE_FATE_DONE);
		}
	}
	for (size_t k = 0; k < count; k++)
		open += !model[k].done;
	assert_int_equal(0, open);
	assert_int_equal(0, queue_figures(f->q).messages);
	assert_int_equal(0, queue_figures(f->q).memory);
	assert_int_equal(0, queue_figures(f->q).parts_leased);
}

#define ON_BOTH(test) \
	{ #test " (ram)", test, setup_ram, teardown, NULL }, \
	{ \
#test " (local)", test, setup_local, teardown, NULL \
	}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ON_BOTH(test_one_message),
		ON_BOTH(test_local_delivery_is_repeated_until_checkpoint),
		ON_BOTH(test_uncommitted_is_forgotten),
		ON_BOTH(test_retry_schedule_survives),
		ON_BOTH(test_clock_jump_does_not_delay),
		ON_BOTH(test_too_old_is_given_back),
		ON_BOTH(test_bounce_settles),
		ON_BOTH(test_dead_destination_starves_nobody),
		ON_BOTH(test_old_mail_for_a_dead_destination_goes_back),
		ON_BOTH(test_expansion),
		ON_BOTH(test_hold_release_remove),
		ON_BOTH(test_poison_is_handled_with_care),
		ON_BOTH(test_lease_ends),
		ON_BOTH(test_large_body),
		ON_BOTH(test_waiting_mail_moves_out_of_the_way),
		ON_BOTH(test_failed_sync_keeps_results),
		ON_BOTH(test_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
