/* SPDX-License-Identifier: ISC */
#include "service/master/place.h"

#include "os/clock.h"
#include "os/file.h"
#include "os/key.h"
#include "os/listen.h"
#include "os/memfd.h"
#include "os/tls.h"
#include "service/master/table.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>

#define OWN_CERTIFICATE "self-signed.pem"
#define OWN_KEY "self-signed.key"

enum {
	CERTIFICATE_MAX = 64 * 1024,   /* octets */
	TICKETS_MS = 12 * HOUR * 1000, /* how long the key of session tickets is handed out */
};

/* Ports by what is spoken on them; the setting says whether it is. */
struct port {
	const char *name;
	uint16_t port;
	bool on;
};

static Err
complain(Err e, const char *what, const char *fix)
{
	fprintf(stderr, "posthorn: %s: %s: %s%s%s\n", what, e.what, err_sys_text(e),
		fix == NULL ? "" : "; ", fix == NULL ? "" : fix);
	return e;
}

Err
place_user(const char *name, uid_t *ret_user, gid_t *ret_group)
{
	const struct passwd *entry = getpwnam(name);

	if (entry == NULL) {
		fprintf(stderr,
			"posthorn: there is no user %s; make it with: useradd --system "
			"--no-create-home --shell /usr/sbin/nologin %s (posthorn doctor names all "
			"that are missing)\n",
			name, name);
		return fail(ERR_PERM, "a service's user is missing");
	}
	*ret_user = entry->pw_uid;
	*ret_group = entry->pw_gid;
	return OK;
}

static Err
open_data(const char *path, struct place *p)
{
	char parent[PATH_MAX];
	int fd;

	/* One level up is made too, so that `--dir new/place` works. */
	snprintf(parent, sizeof(parent), "%s", path);
	for (char *slash = strchr(parent + 1, '/'); slash != NULL;
		slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		mkdir(parent, 0755);
		*slash = '/';
	}
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return complain(fail_sys(ERR_PERM, "cannot make the data folder"), path, NULL);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return complain(fail_sys(ERR_PERM, "cannot open the data folder"), path, NULL);
	p->data = fd;
	/* People may reach the drop folder; the others are closed to them one by one. */
	if (fchmod(fd, 0711) != 0)
		return complain(fail_sys(ERR_PERM, "cannot set the mode of the data folder"),
			path, NULL);
	/* The kernel holds the lock, so a killed server leaves none behind. */
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return complain(fail_sys(ERR_PERM, "a server is running here already"), path,
			"stop it first");
	return OK;
}

/* Belongs to the first service of the table that names it; the others only hold it. */
static Err
open_folder(struct place *p, const char *name, const char *user, bool drop_users)
{
	uid_t uid;
	gid_t gid;
	int fd;

	TRY(file_make_folder(p->data, name, 0700));
	TRY(file_open_folder(p->data, name, &fd));
	p->folders[p->folder_count++] = (struct place_folder){ name, fd };
	if (!drop_users)
		return OK;
	TRY(place_user(user, &uid, &gid));
	if (fchown(fd, uid, gid) != 0)
		return fail_sys(ERR_PERM, "cannot give the folder to its service");
	return OK;
}

int
place_folder(const struct place *p, const char *name)
{
	for (size_t i = 0; i < p->folder_count; i++)
		if (strcmp(p->folders[i].name, name) == 0)
			return p->folders[i].fd;
	return -1;
}

static Err
open_drop(struct place *p)
{
	TRY(file_make_folder(p->data, "drop", 0700));
	if (fchmodat(p->data, "drop", 01733, 0) != 0)
		return complain(fail_sys(ERR_PERM, "cannot open the folder to all"), "drop",
			NULL);
	return OK;
}

/*
 * A log file elsewhere: its folder may be everybody's, such as /var/log, so only the file is given to
 * the service. Without a folder of its own the service cannot put a full file aside; it goes on in it.
 */
static Err
open_log_elsewhere(struct place *p, Str path, bool drop_users)
{
	char name[PATH_MAX], folder[PATH_MAX];
	size_t slash = str_find_last(path, '/');
	AUTO_FD file = -1;
	uid_t uid;
	gid_t gid;
	int fd;

	TRY(str_c(path, name, sizeof(name)));
	TRY(str_c(str_part(path, 0, slash == 0 ? 1 : slash), folder, sizeof(folder)));
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return complain(fail_sys(ERR_PERM, "cannot open the folder of log-file"),
			folder, "make it, or correct log-file");
	p->folders[p->folder_count++] = (struct place_folder){ "log", fd };
	if (!drop_users)
		return OK;
	TRY(place_user(service_table[SERVICE_LOG].user, &uid, &gid));
	file = openat(fd, strrchr(name, '/') + 1,
		O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0640);
	if (file >= 0 && fchown(file, uid, gid) != 0)
		return complain(fail_sys(ERR_PERM, "cannot give the log to its service"), name,
			NULL);
	return OK;
}

static Err
open_folders(struct place *p, const struct settings_master *own, bool drop_users)
{
	if (str_find_last(own->log_file, '/') != STR_NONE)
		TRY(open_log_elsewhere(p, own->log_file, drop_users));
	for (size_t i = 0; i < SERVICE_COUNT; i++) {
		const struct service_entry *s = &service_table[i];

		if (s->folder == NULL || place_folder(p, s->folder) >= 0)
			continue;
		Err e = open_folder(p, s->folder, s->user, drop_users);

		if (failed(e))
			return complain(e, s->folder, NULL);
	}
	/* Anyone may leave a message here while the server is down; nobody may look. */
	return open_drop(p);
}

int
place_file(const struct place *p, const char *name)
{
	if (strcmp(name, "certificate") == 0)
		return p->certificate;
	if (strcmp(name, "tickets") == 0)
		return p->tickets;
	return strcmp(name, "key") == 0 ? p->key : -1;
}

/* A first start without a certificate makes its own; clients will ask whether to trust it. */
static Err
make_certificate(struct place *p, Str hostname)
{
	AUTO_BUF key = BUF_INIT(CERTIFICATE_MAX);
	AUTO_BUF certificate = BUF_INIT(CERTIFICATE_MAX);
	const Str names[] = { hostname, S("localhost") };
	int keys = place_folder(p, "keys");

	TRY(key_make_self_signed(names, COUNT(names), clock_wall(), &key, &certificate));
	TRY(file_replace(keys, OWN_KEY, 0600, buf_view(&key)));
	return file_replace(keys, OWN_CERTIFICATE, 0644, buf_view(&certificate));
}

static Err
open_named(int folder, Str name, const char *what, int *ret)
{
	char path[PATH_MAX];
	Err e = str_c(name, path, sizeof(path));

	if (!failed(e)) {
		*ret = openat(folder, path, O_RDONLY | O_CLOEXEC);
		if (*ret < 0)
			e = fail_sys(ERR_PERM, "cannot open");
	}
	return failed(e) ? complain(e, path, what) : OK;
}

/* Written over in place, a file is still the same inode: what it was when opened is remembered. */
static bool
note_file(int fd, struct stat *seen)
{
	struct stat now;
	bool changed;

	if (fstat(fd, &now) != 0)
		return true;
	changed = now.st_dev != seen->st_dev || now.st_ino != seen->st_ino ||
		  now.st_size != seen->st_size || now.st_mtim.tv_sec != seen->st_mtim.tv_sec ||
		  now.st_mtim.tv_nsec != seen->st_mtim.tv_nsec;
	*seen = now;
	return changed;
}

Err
place_open_certificate(struct place *p, const struct settings_master *own, bool *ret_changed)
{
	AUTO_FD new_certificate = -1, new_key = -1;
	int keys = place_folder(p, "keys");
	Str certificate = own->tls_certificate, key = own->tls_key;

	if (certificate.n == 0) {
		certificate = S(OWN_CERTIFICATE);
		key = S(OWN_KEY);
		if (faccessat(keys, OWN_CERTIFICATE, R_OK, 0) != 0)
			TRY(make_certificate(p, own->hostname));
	}
	TRY(open_named(keys, certificate, "see tls-certificate", &new_certificate));
	TRY(open_named(keys, key, "see tls-key", &new_key));
	*ret_changed = note_file(new_certificate, &p->certificate_seen);
	*ret_changed |= note_file(new_key, &p->key_seen);
	fd_drop(&p->certificate);
	fd_drop(&p->key);
	p->certificate = TAKE_FD(new_certificate);
	p->key = TAKE_FD(new_key);
	return OK;
}

Err
place_renew_tickets(struct place *p)
{
	char key[TLS_TICKET_KEY_SIZE];
	int fd;
	Err e;

	if (p->tickets >= 0 && !moment_past(p->tickets_until))
		return OK;
	if (getrandom(key, sizeof(key), 0) != (ssize_t)sizeof(key))
		return fail_sys(ERR_TEMP, "no random numbers");
	e = memfd_from((Str){ key, sizeof(key) }, &fd);
	explicit_bzero(key, sizeof(key));
	TRY(e);
	fd_drop(&p->tickets);
	p->tickets = fd;
	p->tickets_until = moment_after(TICKETS_MS);
	return OK;
}

static Err
listen_on(struct place *p, const struct port *port, const struct settings_master *own)
{
	for (uint32_t i = 0; i < own->listen_addresses.n; i++) {
		Str address = own->listen_addresses.items[i];
		uint32_t number = port->port + own->listen_port_base;
		char what[128];
		int fd;
		Err e;

		if (p->listener_count == PLACE_LISTENERS_MAX)
			return fail(ERR_PERM, "too many addresses to listen on");
		snprintf(what, sizeof(what), "%s on %.*s port %u", port->name, STR_ARG(address),
			number);
		e = listen_tcp(address, (uint16_t)number, &fd);
		if (failed(e))
			return complain(e, what,
				e.sys == EADDRINUSE ? "see who holds it: ss -ltnp"
				: e.sys == EACCES   ? "ports below 1024 want root"
						    : NULL);
		p->listeners[p->listener_count++] = (struct place_listener){ port->name, fd };
	}
	return OK;
}

static Err
open_listeners(struct place *p, const struct settings_master *own)
{
	const struct port ports[] = {
		{ "smtp", 25, own->listen_smtp },
		{ "submission", 587, own->listen_submission },
		{ "submissions", 465, own->listen_submissions },
		{ "imap", 143, own->listen_imap },
		{ "imaps", 993, own->listen_imaps },
	};

	for (size_t i = 0; i < COUNT(ports); i++)
		if (ports[i].on)
			TRY(listen_on(p, &ports[i], own));
	return OK;
}

static Err
open_control(struct place *p, const char *data)
{
	char path[PATH_MAX + 16];
	int fd;
	Err e;

	snprintf(path, sizeof(path), "%s/control.sock", data);
	e = listen_local(path, &fd);
	if (failed(e))
		return complain(e, path, NULL);
	p->listeners[p->listener_count++] = (struct place_listener){ "control", fd };
	return OK;
}

Err
place_open(const struct master_config *c, bool drop_users, struct place *ret)
{
	bool changed;
	struct place p = { .data = -1, .certificate = -1, .key = -1, .tickets = -1 };
	char data[PATH_MAX];
	Err e = str_c(c->own.data, data, sizeof(data));

	if (!failed(e))
		e = open_data(data, &p);
	if (!failed(e))
		e = open_folders(&p, &c->own, drop_users);
	if (!failed(e))
		e = place_open_certificate(&p, &c->own, &changed);
	if (!failed(e))
		e = place_renew_tickets(&p);
	if (!failed(e))
		e = open_control(&p, data);
	if (!failed(e))
		e = open_listeners(&p, &c->own);
	if (failed(e)) {
		place_close(&p);
		return e;
	}
	*ret = p;
	return OK;
}

void
place_close(struct place *p)
{
	for (size_t i = 0; i < p->folder_count; i++)
		fd_drop(&p->folders[i].fd);
	for (size_t i = 0; i < p->listener_count; i++)
		fd_drop(&p->listeners[i].fd);
	fd_drop(&p->certificate);
	fd_drop(&p->tickets);
	fd_drop(&p->key);
	fd_drop(&p->data);
}
