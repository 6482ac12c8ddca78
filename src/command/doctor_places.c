/* SPDX-License-Identifier: ISC */
/* doctor: paths, permissions, walls. */
#include "command/doctor.h"
#include "os/file.h"
#include "os/wall.h"
#include "service/master/table.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	FIX_MAX = PATH_MAX + 128,
	STATUS_MAX = 64 * 1024, /* octets of /proc/PID/status */
};

/* A file that a setting names. */
static void
check_file(struct doctor *d, const char *setting, Str path)
{
	char name[PATH_MAX], fix[FIX_MAX];

	if (path.n == 0)
		return;
	if (failed(str_c(path, name, sizeof(name))) || access(name, R_OK) == 0)
		return;
	snprintf(fix, sizeof(fix), "correct %s in %s, or put the file there", setting,
		d->config);
	doctor_bad(d, "paths", fix, "%s: %s", name, err_sys_text(fail_sys(ERR_PERM, "")));
}

static void
check_log(struct doctor *d)
{
	size_t slash = str_find_last(d->own.log_file, '/');
	char folder[PATH_MAX];

	if (slash == STR_NONE || slash == 0 ||
		failed(str_c(str_part(d->own.log_file, 0, slash), folder, sizeof(folder))) ||
		access(folder, X_OK) == 0)
		return;
	doctor_bad(d, "paths", "make the folder, or correct log-file", "%s: %s", folder,
		err_sys_text(fail_sys(ERR_PERM, "")));
}

void
doctor_paths(struct doctor *d)
{
	unsigned before = d->bad;
	char fix[FIX_MAX];
	struct stat st;

	if (stat(d->data, &st) != 0) {
		snprintf(fix, sizeof(fix),
			"start the server once (posthorn serve), or correct data in %s",
			d->config == NULL ? "/etc/posthorn/posthorn.conf" : d->config);
		doctor_bad(d, "paths", fix, "%s: %s", d->data,
			err_sys_text(fail_sys(ERR_PERM, "")));
	} else if (!S_ISDIR(st.st_mode)) {
		doctor_bad(d, "paths", "give data the name of a folder", "%s is no folder",
			d->data);
	}
	check_file(d, "tls.certificate", d->own.tls_certificate);
	check_file(d, "tls.key", d->own.tls_key);
	check_file(d, "relay-host.login-file", d->own.relay_login_file);
	check_log(d);
	if (d->bad == before)
		doctor_good(d, "paths", "%s", d->data);
}

/* Bits that must be off. */
static void
check_mode(struct doctor *d, const char *path, mode_t off, const char *why, const char *chmod)
{
	char fix[FIX_MAX];
	struct stat st;

	if (stat(path, &st) != 0 || (st.st_mode & off) == 0)
		return;
	snprintf(fix, sizeof(fix), "chmod %s %s", chmod, path);
	doctor_bad(d, "permissions", fix, "%s %s (mode %04o)", path, why,
		(unsigned)(st.st_mode & 07777));
}

static void
check_mode_of(struct doctor *d, Str path, mode_t off, const char *why, const char *chmod)
{
	char name[PATH_MAX];

	if (path.n > 0 && !failed(str_c(path, name, sizeof(name))))
		check_mode(d, name, off, why, chmod);
}

/* Once master has made it, a service's folder belongs to that service alone. */
static void
check_owner(struct doctor *d, const char *path, const char *user)
{
	const struct passwd *entry = getpwnam(user);
	char fix[FIX_MAX];
	struct stat st;

	if (entry == NULL || stat(path, &st) != 0 || st.st_uid == entry->pw_uid)
		return;
	snprintf(fix, sizeof(fix), "chown -R %s: %s", user, path);
	doctor_bad(d, "permissions", fix, "%s does not belong to %s", path, user);
}

/* All that are missing in one finding, so that one command makes them. */
static void
check_users(struct doctor *d)
{
	AUTO_BUF missing = BUF_INIT(FIX_MAX);
	char fix[2 * FIX_MAX];

	for (size_t i = 0; i < SERVICE_COUNT; i++)
		if (service_table[i].user != NULL && getpwnam(service_table[i].user) == NULL)
			buf_printf(&missing, " %s", service_table[i].user);
	if (missing.n == 0)
		return;
	snprintf(fix, sizeof(fix),
		"for u in%.*s; do useradd --system --no-create-home --shell /usr/sbin/nologin $u; "
		"done",
		STR_ARG(buf_view(&missing)));
	doctor_bad(d, "permissions", fix, "there are no users%.*s",
		STR_ARG(buf_view(&missing)));
}

static bool
is_first_with_folder(enum service_id id)
{
	for (size_t i = 0; i < id; i++)
		if (service_table[i].folder != NULL &&
			strcmp(service_table[i].folder, service_table[id].folder) == 0)
			return false;
	return true;
}

static void
check_folders(struct doctor *d)
{
	char path[PATH_MAX];
	struct stat st;

	for (size_t i = 0; i < SERVICE_COUNT; i++) {
		const struct service_entry *s = &service_table[i];

		if (s->folder == NULL || !is_first_with_folder((enum service_id)i) ||
			snprintf(path, sizeof(path), "%s/%s", d->data, s->folder) >=
				(int)sizeof(path))
			continue;
		check_mode(d, path, 077, "is open to others", "0700");
		if (!d->tried && geteuid() == 0)
			check_owner(d, path, s->user);
	}
	if (snprintf(path, sizeof(path), "%s/drop", d->data) < (int)sizeof(path) &&
		stat(path, &st) == 0 && (st.st_mode & 07777) != 01733)
		doctor_bad(d, "permissions", "restart the server, which sets it to 1733",
			"%s has mode %04o: sendmail(1) cannot leave messages there, or others can "
			"read them",
			path, (unsigned)(st.st_mode & 07777));
}

void
doctor_permissions(struct doctor *d)
{
	unsigned before = d->bad;

	if (d->config != NULL)
		check_mode(d, d->config, 022, "can be changed by others", "go-w");
	check_mode(d, d->data, 022, "can be changed by others", "go-w");
	check_mode_of(d, d->own.tls_key, 077, "is a private key open to others", "0600");
	check_mode_of(d, d->own.relay_login_file, 077, "is a password open to others", "0600");
	if (!d->tried && geteuid() == 0)
		check_users(d);
	check_folders(d);
	if (d->bad == before)
		doctor_good(d, "permissions",
			"files and folders are open to whom they should be");
}

/* "NoNewPrivs:\t1": the number behind a name in /proc/PID/status. */
static bool
status_says(Str status, Str name, uint64_t *ret)
{
	size_t at = str_find_str(status, name);
	struct cursor c;

	if (at == STR_NONE)
		return false;
	c = cursor_of(str_from_at(status, at + name.n));
	return str_to_u64(str_trim(cursor_line(&c)), UINT32_MAX, ret);
}

/* One process below /proc: is it ours, and has it its walls? */
static void
check_process(struct doctor *d, const char *pid, unsigned *confined)
{
	AUTO_BUF status = BUF_INIT(STATUS_MAX);
	char path[NAME_MAX + 32], name[64];
	uint64_t parent, privileges, seccomp;

	snprintf(path, sizeof(path), "/proc/%s/status", pid);
	if (failed(file_read(AT_FDCWD, path, &status)) ||
		!status_says(buf_view(&status), S("\nPPid:"), &parent) ||
		parent != (uint64_t)d->master)
		return;
	if (status_says(buf_view(&status), S("\nNoNewPrivs:"), &privileges) &&
		privileges == 1 && status_says(buf_view(&status), S("\nSeccomp:"), &seccomp) &&
		seccomp == 2) {
		++*confined;
		return;
	}
	doctor_process_name((pid_t)strtol(pid, NULL, 10), name, sizeof(name));
	doctor_bad(d, "walls", "restart the server and see its log for service.walls",
		"%s[%s] runs without its walls", name, pid);
}

static void
check_processes(struct doctor *d)
{
	unsigned confined = 0;
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	if (proc == NULL)
		return;
	while ((entry = readdir(proc)) != NULL)
		if (char_is_digit(entry->d_name[0]))
			check_process(d, entry->d_name, &confined);
	closedir(proc);
	doctor_good(d, "walls", "%u processes run behind seccomp", confined);
}

void
doctor_walls(struct doctor *d)
{
	int abi = wall_landlock_abi();

	if (abi >= WALL_LANDLOCK_MIN)
		doctor_good(d, "walls", "the kernel has Landlock (ABI %d)", abi);
	else
		doctor_bad(d, "walls",
			"run Linux 5.19 or later with CONFIG_SECURITY_LANDLOCK and landlock in lsm=",
			"the kernel cannot confine the services (Landlock ABI %d)", abi);
	if (access("/proc/sys/kernel/seccomp/actions_avail", R_OK) != 0)
		doctor_bad(d, "walls", "run a kernel with CONFIG_SECCOMP_FILTER",
			"the kernel has no seccomp filters");
	if (d->own.weak_walls)
		doctor_bad(d, "walls", "take weak-walls out of the configuration",
			"weak-walls is on: a broken service may reach everybody's mail");
	if (d->master != 0)
		check_processes(d);
}
