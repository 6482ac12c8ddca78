/* SPDX-License-Identifier: ISC */
#include "command/ask.h"

#include "command/data.h"
#include "os/clock.h"
#include "os/memfd.h"
#include "rpc/control.h"
#include "service/master/table.h"
#include "store/directory.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

static Err
ask_server(int fd, const Str *words, size_t count, Str input, struct buf *ret, int *ret_exit)
{
	AUTO_FD memory = -1;

	if (input.n > 0)
		TRY(memfd_from(input, &memory));
	return control_command(fd, words, count, memory, ret, ret_exit);
}

/*
 * The folder of the database, made as `serve` would make it. What root makes in it later belongs
 * to its service, so root becomes that user first.
 */
static Err
enter_folder(const char *data)
{
	char path[PATH_MAX];
	const struct passwd *user;
	struct stat st;

	if (snprintf(path, sizeof(path), "%s/directory", data) >= (int)sizeof(path))
		return fail(ERR_PERM, "path of the data folder is too long");
	if (mkdir(path, 0700) == 0 && geteuid() == 0) {
		user = getpwnam(service_table[SERVICE_DIRECTORY].user);
		if (user != NULL && chown(path, user->pw_uid, user->pw_gid) != 0)
			return fail_sys(ERR_PERM, "cannot give the folder to its service");
	}
	if (chdir(path) != 0 || stat(".", &st) != 0)
		return fail_sys(ERR_PERM, "cannot use the folder of the directory");
	if (geteuid() == 0 && st.st_uid != 0 &&
		(setegid(st.st_gid) != 0 || seteuid(st.st_uid) != 0))
		return fail_sys(ERR_PERM, "cannot become the owner of the directory");
	return OK;
}

static Err
ask_database(const Str *words, size_t count, Str input, struct buf *ret, int *ret_exit)
{
	AUTO(directory) d = NULL;
	const char *data = data_folder();
	AUTO_FD here = open(".", O_PATH | O_CLOEXEC);
	Err e = enter_folder(data);

	umask(077);
	if (!failed(e))
		e = directory_open(DIRECTORY_FILE, &d);
	if (!failed(e))
		e = directory_command(d, words, count, input, clock_wall(), ret, ret_exit);
	directory_drop(&d);
	if (geteuid() != getuid() && (seteuid(getuid()) != 0 || setegid(getgid()) != 0))
		return fail_sys(ERR_PERM, "cannot become root again");
	if (here >= 0 && fchdir(here) != 0)
		return fail_sys(ERR_PERM, "cannot go back to the working folder");
	return e;
}

int
ask_directory(const Str *words, size_t count, Str input, struct buf *ret)
{
	AUTO_FD fd = -1;
	int exit_code = EX_OK;
	Err e = control_open(data_folder(), &fd);

	if (!failed(e))
		e = ask_server(fd, words, count, input, ret, &exit_code);
	else if (e.kind == ERR_GONE)
		e = ask_database(words, count, input, ret, &exit_code);
	if (!failed(e))
		return exit_code;
	buf_reset(ret);
	buf_printf(ret, "%s: %s%s%s\n", data_folder(), e.what, e.sys != 0 ? ": " : "",
		err_sys_text(e));
	return e.kind == ERR_TEMP ? EX_TEMPFAIL : e.sys == EACCES ? EX_NOPERM : EX_UNAVAILABLE;
}

static void
complain(const Str *words, size_t count, Str said)
{
	fprintf(stderr, "posthorn:");
	for (size_t i = 0; i < count && i < 3; i++)
		fprintf(stderr, " %.*s", STR_ARG(words[i]));
	fprintf(stderr, ": %.*s", STR_ARG(said));
}

int
ask_change(const Str *words, size_t count)
{
	AUTO_BUF said = BUF_INIT(CONTROL_TEXT_MAX);
	int exit_code = ask_directory(words, count, S(""), &said);

	if (exit_code != EX_OK)
		complain(words, count, buf_view(&said));
	return exit_code;
}

int
ask_records(Str noun, struct arena *a, struct buf *packed, struct directory_record **ret,
	size_t *ret_count)
{
	const Str words[] = { noun, S("list") };
	const size_t count = str_eq(noun, S("dump")) ? 1 : 2;
	int exit_code = ask_directory(words, count, S(""), packed);
	struct directory_record *records = NULL;
	struct cursor c = cursor_of(buf_view(packed));
	size_t n = 0;

	if (exit_code != EX_OK) {
		complain(words, count, buf_view(packed));
		return exit_code;
	}
	while (!cursor_done(&c)) {
		struct directory_record record;

		if (failed(directory_record_parse(&c, a, &record)))
			return EX_SOFTWARE;
		n++;
	}
	records = arena_try_array(a, n, sizeof(*records));
	if (records == NULL && n > 0)
		return EX_SOFTWARE;
	c = cursor_of(buf_view(packed));
	for (size_t i = 0; i < n; i++)
		if (failed(directory_record_parse(&c, a, &records[i])))
			return EX_SOFTWARE;
	*ret = records;
	*ret_count = n;
	return EX_OK;
}
