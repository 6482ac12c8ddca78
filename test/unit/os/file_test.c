/* SPDX-License-Identifier: ISC */
#include "os/file.h"
#include "test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

static char folder_path[] = "/tmp/posthorn-file-XXXXXX";
static int folder;

static int
make_folder(void **state)
{
	(void)state;
	if (mkdtemp(folder_path) == NULL)
		return -1;
	folder = open(folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder < 0 ? -1 : 0;
}

static int
remove_folder(void **state)
{
	(void)state;
	close(folder);
	return rmdir(folder_path);
}

static void
test_replace_is_all_or_nothing(void **state)
{
	AUTO_BUF content = BUF_INIT(100);

	(void)state;
	assert_ok(file_replace(folder, "state", 0600, S("first")));
	assert_ok(file_replace(folder, "state", 0600, S("second")));
	assert_ok(file_read(folder, "state", &content));
	assert_str(S("second"), buf_view(&content));
	assert_ok(file_remove(folder, "state"));
	assert_ok(file_remove(folder, "state"));
}

static void
test_reading_has_a_limit(void **state)
{
	AUTO_BUF exactly = BUF_INIT(5);
	AUTO_BUF small = BUF_INIT(4);

	(void)state;
	assert_ok(file_replace(folder, "five", 0600, S("12345")));
	assert_ok(file_read(folder, "five", &exactly));
	assert_str(S("12345"), buf_view(&exactly));
	assert_err(ERR_LIMIT, file_read(folder, "five", &small));
	assert_ok(file_remove(folder, "five"));
}

static void
test_parts_are_written_in_order(void **state)
{
	enum { PARTS = 200 };
	AUTO_BUF content = BUF_INIT(1000);
	Str parts[PARTS];
	AUTO_FD fd = -1;

	(void)state;
	for (size_t i = 0; i < PARTS; i++)
		parts[i] = i % 3 == 0 ? S("") : i % 3 == 1 ? S("a") : S("bc");
	assert_ok(file_create(folder, "parts", 0600, &fd));
	assert_ok(file_write_at(fd, 2, parts, PARTS));
	assert_ok(file_read(folder, "parts", &content));
	/* 67 empty ones, 67 of one octet, 66 of two; two octets of nothing before them */
	assert_int_equal(2 + 67 + 2 * 66, content.n);
	assert_str(S("\0\0abcabc"), str_part(buf_view(&content), 0, 8));
	assert_ok(file_remove(folder, "parts"));
}

static void
test_links_are_not_followed(void **state)
{
	int fd;

	(void)state;
	assert_int_equal(0, symlinkat("/etc/passwd", folder, "link"));
	assert_err(ERR_TEMP, file_open_read(folder, "link", &fd));
	assert_ok(file_remove(folder, "link"));
}

struct recording {
	enum file_event_kind kinds[16];
	size_t n;
	int fail_sync;
};

static Err
record(void *self, const struct file_event *event)
{
	struct recording *r = self;

	assert_true(r->n < COUNT(r->kinds));
	r->kinds[r->n++] = event->kind;
	if (event->kind == FILE_EVENT_SYNC && r->fail_sync)
		return (Err){ ERR_TEMP, EIO, "seeded" };
	return OK;
}

static void
test_every_change_can_be_recorded(void **state)
{
	static const enum file_event_kind want[] = { FILE_EVENT_REMOVE, FILE_EVENT_CREATE,
		FILE_EVENT_WRITE, FILE_EVENT_SYNC, FILE_EVENT_RENAME, FILE_EVENT_SYNC_FOLDER };
	struct recording r = { .n = 0 };

	(void)state;
	file_observe(record, &r);
	assert_ok(file_replace(folder, "state", 0600, S("x")));
	file_observe(NULL, NULL);
	assert_int_equal(COUNT(want), r.n);
	assert_memory_equal(want, r.kinds, sizeof(want));
	assert_ok(file_remove(folder, "state"));
}

static void
test_a_failing_sync_keeps_the_old_file(void **state)
{
	struct recording r = { .fail_sync = 1 };
	AUTO_BUF content = BUF_INIT(100);

	(void)state;
	assert_ok(file_replace(folder, "state", 0600, S("old")));
	file_observe(record, &r);
	assert_err(ERR_TEMP, file_replace(folder, "state", 0600, S("new")));
	file_observe(NULL, NULL);
	assert_ok(file_read(folder, "state", &content));
	assert_str(S("old"), buf_view(&content));
	assert_ok(file_remove(folder, "state"));
	assert_ok(file_remove(folder, "state.new"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_replace_is_all_or_nothing),
		cmocka_unit_test(test_reading_has_a_limit),
		cmocka_unit_test(test_parts_are_written_in_order),
		cmocka_unit_test(test_links_are_not_followed),
		cmocka_unit_test(test_every_change_can_be_recorded),
		cmocka_unit_test(test_a_failing_sync_keeps_the_old_file),
	};

	return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
