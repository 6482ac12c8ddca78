/* SPDX-License-Identifier: ISC */
#include "base/memory.h"
#include "os/file.h"
#include "store/journal.h"
#include "store/journal/record.h"
#include "test.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
	SIZE = JOURNAL_SEGMENT_MIN,
	RECORDS_MAX = 4096,
};

/* What the journal should hold. */
struct model {
	struct {
		uint64_t position;
		uint16_t type;
		Str payload;
		size_t batch;
	} records[RECORDS_MAX];
	size_t count;
	size_t batch; /* of the records that are added now */
};

struct fixture {
	char path[64];
	int folder;
	struct model model;
	struct journal *journal;
	/* What a replay told. */
	struct model told;
	size_t damages;
};

static Err
take_record(void *self, const struct journal_record *record)
{
	struct fixture *f = self;
	size_t at = f->told.count++;

	assert_true(at < RECORDS_MAX);
	f->told.records[at].position = record->position;
	f->told.records[at].type = record->type;
	f->told.records[at].payload = memory_copy(record->payload);
	return OK;
}

static void
take_damage(void *self, const struct journal_damage *damage)
{
	struct fixture *f = self;

	assert_true(damage->size > 0);
	f->damages++;
}

static const struct journal_reader reader = { take_record, take_damage };

static void
model_clear(struct model *m)
{
	for (size_t i = 0; i < m->count; i++)
		memory_free_str(&m->records[i].payload);
	m->count = 0;
}

static void
remove_files(int folder)
{
	DIR *dir = fdopendir(dup(folder));
	struct dirent *entry;

	assert_non_null(dir);
	rewinddir(dir);
	while ((entry = readdir(dir)) != NULL)
		if (entry->d_name[0] != '.')
			assert_int_equal(0, unlinkat(folder, entry->d_name, 0));
	closedir(dir);
}

static int
setup(void **state)
{
	struct fixture *f = memory_get(sizeof(*f));
	const char *top = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";

	snprintf(f->path, sizeof(f->path), "%s/journal-test-XXXXXX", top);
	assert_non_null(mkdtemp(f->path));
	assert_ok(file_open_folder(AT_FDCWD, f->path, &f->folder));
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	file_observe(NULL, NULL);
	journal_free(f->journal);
	model_clear(&f->model);
	model_clear(&f->told);
	remove_files(f->folder);
	close(f->folder);
	rmdir(f->path);
	free(f);
	return 0;
}

/* Opens (again) and replays. */
static void
reopen(struct fixture *f)
{
	struct journal_settings settings = { .segment_size = SIZE };

	journal_free(TAKE(f->journal));
	model_clear(&f->told);
	f->damages = 0;
	assert_ok(journal_open(f->folder, &settings, &f->journal));
	assert_ok(journal_replay(f->journal, &reader, f));
}

static void
add(struct fixture *f, size_t size)
{
	char *bytes = memory_get(size + 1);
	uint16_t type = (uint16_t)(random() % 1000);
	Str payload = { bytes, size };
	size_t at = f->model.count;
	uint64_t position;

	for (size_t i = 0; i < size; i++)
		bytes[i] = (char)random();
	assert_true(at < RECORDS_MAX);
	assert_true(journal_fits(f->journal, size));
	assert_ok(journal_add(f->journal, type, &payload, 1, &position));
	if (at > 0)
		assert_true(position > f->model.records[at - 1].position);
	f->model.records[at].position = position;
	f->model.records[at].type = type;
	f->model.records[at].payload = memory_copy(payload);
	f->model.records[at].batch = f->model.batch;
	f->model.count++;
	free(bytes);
}

static void
commit(struct fixture *f)
{
	assert_ok(journal_commit(f->journal));
	f->model.batch++;
}

static bool
same(const struct fixture *f, size_t model_at, size_t told_at)
{
	return told_at < f->told.count &&
	       f->model.records[model_at].position == f->told.records[told_at].position &&
	       f->model.records[model_at].type == f->told.records[told_at].type &&
	       str_eq(f->model.records[model_at].payload, f->told.records[told_at].payload);
}

/* The replay told what the model holds from `from` on, without `missing`. */
static void
assert_told(const struct fixture *f, size_t from, size_t to, size_t missing)
{
	size_t told = 0;

	for (size_t i = from; i < to; i++) {
		if (i == missing)
			continue;
		if (!same(f, i, told++))
			fail_msg("record %zu of %zu is not what was added", i, to);
	}
	assert_int_equal(told, f->told.count);
}

static void
test_replay_equals_model(void **state)
{
	struct fixture *f = *state;

	srandom(1);
	reopen(f);
	for (int round = 0; round < 20; round++) {
		for (int batch = 0; batch < 8; batch++) {
			for (long n = random() % 5; n >= 0; n--) {
				size_t size = (size_t)random() % 3000;

				if (!journal_fits(f->journal, size))
					commit(f);
				add(f, size);
			}
			commit(f);
		}
		if (round % 4 != 0)
			continue;
		reopen(f);
		assert_told(f, 0, f->model.count, SIZE_MAX);
		assert_int_equal(0, f->damages);
	}
	for (size_t i = 0; i < f->model.count; i++) {
		AUTO_BUF bytes = BUF_INIT(SIZE);
		uint16_t type;

		assert_ok(journal_read(f->journal, f->model.records[i].position, &type,
			&bytes));
		assert_int_equal(f->model.records[i].type, type);
		assert_str(f->model.records[i].payload, buf_view(&bytes));
	}
}

static void
test_largest_record(void **state)
{
	struct fixture *f = *state;
	size_t most;

	reopen(f);
	most = journal_payload_max(f->journal);
	assert_false(journal_fits(f->journal, most + 1));
	for (int i = 0; i < 3; i++) {
		add(f, most);
		commit(f);
	}
	reopen(f);
	assert_told(f, 0, f->model.count, SIZE_MAX);
}

/* One segment with known records, as bytes that a test can spoil. */
struct image {
	char name[32];
	char bytes[SIZE];
	size_t end; /* of the last record */
};

static void
image_put(const struct fixture *f, const struct image *image)
{
	AUTO_FD fd = -1;
	Str part = { image->bytes, SIZE };

	remove_files(f->folder);
	assert_ok(file_create(f->folder, image->name, 0600, &fd));
	assert_ok(file_write_at(fd, 0, &part, 1));
}

static void
image_make(struct fixture *f, struct image *ret)
{
	AUTO_FD fd = -1;

	reopen(f);
	for (int batch = 0; batch < 6; batch++) {
		for (int i = 0; i < 4; i++)
			add(f, (size_t)random() % 120);
		commit(f);
	}
	ret->end = position_place(journal_end(f->journal));
	snprintf(ret->name, sizeof(ret->name), "segment-00000001");
	assert_ok(file_open_read(f->folder, ret->name, &fd));
	assert_ok(file_read_at(fd, 0, ret->bytes, SIZE));
	journal_free(TAKE(f->journal));
}

static size_t
record_end(const struct fixture *f, size_t at)
{
	return position_place(f->model.records[at].position) +
	       record_room(f->model.records[at].payload.n);
}

static void
test_every_truncation_is_a_torn_tail(void **state)
{
	struct fixture *f = *state;
	struct image *image = memory_get(sizeof(*image)), *cut = memory_get(sizeof(*cut));

	srandom(2);
	image_make(f, image);
	for (size_t at = SEGMENT_FIRST; at <= image->end; at++) {
		size_t whole = 0;

		*cut = *image;
		memset(cut->bytes + at, 0, SIZE - at);
		/* Padding may be cut off without harm; it is zero. */
		while (whole < f->model.count &&
			position_place(f->model.records[whole].position) + RECORD_HEAD +
					f->model.records[whole].payload.n <=
				at)
			whole++;
		image_put(f, cut);
		reopen(f);
		/* A payload that ends in zeros survives a cut there. */
		if (f->told.count == whole + 1)
			whole++;
		assert_told(f, 0, whole, SIZE_MAX);
		assert_int_equal(0, f->damages);
	}
	free(image);
	free(cut);
}

static void
test_damage_costs_one_record(void **state)
{
	struct fixture *f = *state;
	struct image *image = memory_get(sizeof(*image)), *bad = memory_get(sizeof(*bad));
	size_t last_batch;

	srandom(3);
	image_make(f, image);
	last_batch = f->model.records[f->model.count - 1].batch;
	for (int round = 0; round < 2000; round++) {
		size_t at = (size_t)position_place(f->model.records[0].position), hit = 0;
		bool padding;

		at += (size_t)random() % (image->end - at);
		while (record_end(f, hit) <= at)
			hit++;
		padding = at >= position_place(f->model.records[hit].position) + RECORD_HEAD +
					f->model.records[hit].payload.n;
		*bad = *image;
		bad->bytes[at] = (char)(bad->bytes[at] ^ (1 + random() % 255));
		image_put(f, bad);
		reopen(f);
		assert_told(f, 0, f->model.count, padding ? SIZE_MAX : hit);
		/* In the last batch it may be what a power cut left of it. */
		assert_int_equal(!padding && f->model.records[hit].batch < last_batch,
			f->damages);
		if (round % 50 != 0)
			continue;
		/* It is reported each time, and stays until the segment is used again. */
		add(f, 10);
		commit(f);
		f->model.count--;
		memory_free_str(&f->model.records[f->model.count].payload);
		f->model.batch--;
		reopen(f);
		assert_int_equal(!padding && f->model.records[hit].batch < last_batch,
			f->damages);
	}
	free(image);
	free(bad);
}

static void
test_damaged_head_is_set_aside(void **state)
{
	struct fixture *f = *state;
	struct image *image = memory_get(sizeof(*image));
	struct stat st;

	image_make(f, image);
	memset(image->bytes, 0x55, 600);
	image_put(f, image);
	reopen(f);
	assert_told(f, 0, f->model.count, SIZE_MAX); /* the second copy is whole */
	assert_int_equal(0, f->damages);

	memset(image->bytes + SEGMENT_SECOND, 0x55, 8);
	image_put(f, image);
	reopen(f);
	assert_int_equal(0, f->told.count);
	assert_int_equal(1, f->damages);
	assert_int_equal(0, fstatat(f->folder, "damaged-00000001", &st, 0));
	free(image);
}

/* Old records behind the tail of a segment that is used again are not told. */
static void
test_reused_segment(void **state)
{
	struct fixture *f = *state;
	struct journal_figures figures;
	size_t from = 0;

	srandom(4);
	reopen(f);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 5; i++) {
			add(f, (size_t)random() % 4000);
			commit(f);
		}
		if (round % 3 == 2) {
			from = f->model.count;
			assert_ok(journal_set_floor(f->journal, journal_end(f->journal)));
			assert_ok(journal_commit(f->journal));
		}
		if (round % 7 == 0) {
			reopen(f);
			assert_told(f, from, f->model.count, SIZE_MAX);
			assert_int_equal(0, f->damages);
		}
	}
	figures = journal_figures(f->journal);
	assert_true(figures.segments < 12);
}

static Err
fail_event(void *self, const struct file_event *event)
{
	enum file_event_kind *kind = self;

	errno = kind != NULL && *kind == FILE_EVENT_WRITE ? ENOSPC : EIO;
	return event->kind == *kind ? fail_sys(ERR_TEMP, "seeded failure") : OK;
}

static void
test_failed_batch_never_counts(void **state)
{
	struct fixture *f = *state;
	enum file_event_kind kinds[] = { FILE_EVENT_SYNC, FILE_EVENT_WRITE };

	reopen(f);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		size_t kept;

		add(f, 100);
		commit(f);
		kept = f->model.count;
		add(f, 200);
		file_observe(fail_event, &kinds[i]);
		assert_err(ERR_TEMP, journal_commit(f->journal));
		file_observe(NULL, NULL);
		memory_free_str(&f->model.records[kept].payload);
		f->model.count = kept;
		/* What was acknowledged before can still be read, and work goes on elsewhere. */
		add(f, 300);
		commit(f);
		assert_true(position_serial(f->model.records[kept].position) >
			    position_serial(f->model.records[kept - 1].position));
		reopen(f);
		assert_told(f, 0, f->model.count, SIZE_MAX);
		assert_int_equal(0, f->damages);
	}
}

static void
test_broken_disk_rests(void **state)
{
	struct fixture *f = *state;
	enum file_event_kind kind = FILE_EVENT_SYNC;
	struct journal_figures before, after;
	uint64_t position;
	bool more = true;

	reopen(f);
	add(f, 100);
	commit(f);
	while (more)
		assert_ok(journal_prepare(f->journal, &more));
	before = journal_figures(f->journal);
	file_observe(fail_event, &kind);
	for (int i = 0; i < 20; i++)
		if (!failed(journal_add(f->journal, 1, &S("x"), 1, &position)))
			assert_err(ERR_TEMP, journal_commit(f->journal));
	after = journal_figures(f->journal);
	assert_int_equal(2, after.failed);
	assert_true(before.empty - after.empty <= 2);
}

static void
test_held_back(void **state)
{
	struct fixture *f = *state;
	bool more = true;

	reopen(f);
	assert_false(journal_has_room(f->journal, 10));
	while (more)
		assert_ok(journal_prepare(f->journal, &more));
	assert_int_equal(JOURNAL_HELD_BACK + 1, journal_figures(f->journal).empty);
	assert_true(journal_has_room(f->journal, 10));
	add(f, 50000);
	commit(f);
	/* The next one would have to take a segment that is held back. */
	assert_false(journal_has_room(f->journal, 50000));
	assert_true(journal_has_room(f->journal, 1000));
	add(f, 50000);
	commit(f);
	assert_int_equal(JOURNAL_HELD_BACK - 1, journal_figures(f->journal).empty);
}

/* ---- a power cut in every commit ---- */

struct disk {
	struct {
		char name[32];
		char bytes[SIZE];
	} files[16];
	size_t count;
};

static void
disk_take(const struct fixture *f, struct disk *ret)
{
	DIR *dir = fdopendir(dup(f->folder));
	struct dirent *entry;

	assert_non_null(dir);
	rewinddir(dir);
	ret->count = 0;
	while ((entry = readdir(dir)) != NULL) {
		AUTO_FD fd = -1;

		if (entry->d_name[0] == '.')
			continue;
		assert_true(ret->count < COUNT(ret->files) && strlen(entry->d_name) < 32);
		memcpy(ret->files[ret->count].name, entry->d_name, strlen(entry->d_name) + 1);
		assert_ok(file_open_read(f->folder, entry->d_name, &fd));
		assert_ok(file_read_at(fd, 0, ret->files[ret->count].bytes, SIZE));
		ret->count++;
	}
	closedir(dir);
}

/* Leaves on disk what lay there before, with some of the sectors that were written since. */
static void
disk_cut(const struct fixture *f, const struct disk *before, const struct disk *after)
{
	remove_files(f->folder);
	for (size_t i = 0; i < after->count; i++) {
		AUTO_FD fd = -1;
		char bytes[SIZE];
		Str part = { bytes, SIZE };

		memcpy(bytes, after->files[i].bytes, SIZE);
		for (size_t k = 0; k < before->count; k++)
			if (strcmp(before->files[k].name, after->files[i].name) == 0)
				for (size_t at = 0; at < SIZE; at += 512)
					if (random() % 2 == 0)
						memcpy(bytes + at, before->files[k].bytes + at,
							512);
		assert_ok(file_create(f->folder, after->files[i].name, 0600, &fd));
		assert_ok(file_write_at(fd, 0, &part, 1));
	}
}

static void
test_power_cut_keeps_what_was_committed(void **state)
{
	struct fixture *f = *state;
	struct disk *before = memory_get(sizeof(*before)), *after = memory_get(sizeof(*after));
	bool more = true;

	srandom(5);
	reopen(f);
	for (int round = 0; round < 150; round++) {
		size_t sure = f->model.count, told = 0;

		while (more)
			assert_ok(journal_prepare(f->journal, &more));
		add(f, (size_t)random() % 300);
		commit(f);
		sure++;
		disk_take(f, before);
		for (long n = random() % 6; n >= 0; n--)
			add(f, (size_t)random() % 1500);
		commit(f);
		disk_take(f, after);
		disk_cut(f, before, after);
		reopen(f);
		/* All that was sure, then any of the others, in order. */
		for (size_t i = 0; i < f->model.count; i++) {
			if (same(f, i, told))
				told++;
			else if (i < sure)
				fail_msg("round %d: record %zu is lost", round, i);
		}
		assert_int_equal(told, f->told.count);
		assert_int_equal(0, f->damages);
		/* Go on with what is there now. */
		model_clear(&f->model);
		assert_ok(journal_set_floor(f->journal, journal_end(f->journal)));
		assert_ok(journal_commit(f->journal));
		more = true;
	}
	free(before);
	free(after);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_replay_equals_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_largest_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_truncation_is_a_torn_tail, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_damage_costs_one_record, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_head_is_set_aside, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_reused_segment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_failed_batch_never_counts, setup,
			teardown),
		cmocka_unit_test_setup_teardown(test_broken_disk_rests, setup, teardown),
		cmocka_unit_test_setup_teardown(test_held_back, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power_cut_keeps_what_was_committed, setup,
			teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
