/* SPDX-License-Identifier: ISC */
/* doctor: tls, auth, delivery. */
#include "command/ask.h"
#include "command/doctor.h"
#include "os/certificate.h"
#include "os/clock.h"
#include "os/file.h"
#include "rpc/control.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/statvfs.h>
#include <sysexits.h>

enum {
	CERTIFICATE_MAX = 256 * 1024,      /* octets */
	RENEW_BEFORE = 14,                 /* days */
	RECORDS_MEMORY = 64 * 1024 * 1024, /* octets */
};

/* What a setting names, or what a first start makes in keys/. */
static Err
read_pem(const struct doctor *d, Str setting, const char *standard, struct buf *ret)
{
	char path[PATH_MAX];

	if (setting.n > 0)
		TRY(str_c(setting, path, sizeof(path)));
	else if (snprintf(path, sizeof(path), "%s/keys/%s", d->data, standard) >=
		 (int)sizeof(path))
		return fail(ERR_PERM, "path is too long");
	return file_read(AT_FDCWD, path, ret);
}

static void
check_dates(struct doctor *d, const struct certificate *c)
{
	int64_t days = (time_seconds(c->ends) - time_seconds(clock_wall())) / DAY;
	struct civil ends = time_to_civil(c->ends);

	if (clock_wall().us < c->begins.us)
		doctor_bad(d, "tls", "set the clock, or wait",
			"the certificate is not valid yet");
	else if (days < 0)
		doctor_bad(d, "tls", "get a new one and name it in tls { certificate ... }",
			"the certificate ended on %04d-%02d-%02d", ends.year, ends.month,
			ends.day);
	else if (days < RENEW_BEFORE)
		doctor_note(d, "tls", "the certificate ends in %d days", (int)days);
	else
		doctor_good(d, "tls", "the certificate is valid until %04d-%02d-%02d",
			ends.year, ends.month, ends.day);
}

static void
check_key(struct doctor *d, const struct certificate *c)
{
	AUTO_BUF pem = BUF_INIT(CERTIFICATE_MAX);
	AUTO(key) key = NULL;
	KeyId id;
	Err e = read_pem(d, d->own.tls_key, "self-signed.key", &pem);

	if (!failed(e))
		e = key_read(buf_view(&pem), &key);
	if (pem.p != NULL)
		explicit_bzero(pem.p, pem.cap);
	if (failed(e)) {
		if (e.sys == EACCES)
			doctor_note(d, "tls", "only root can read the private key");
		else
			doctor_bad(d, "tls", "name the certificate's key in tls { key ... }",
				"the private key cannot be used: %s", e.what);
		return;
	}
	id = key_id(key);
	if (memcmp(&id, &c->key, sizeof(id)) != 0)
		doctor_bad(d, "tls", "name the key that the certificate was made for",
			"certificate and private key do not belong together");
	else
		doctor_good(d, "tls", "certificate and private key belong together");
}

void
doctor_tls(struct doctor *d)
{
	AUTO_BUF pem = BUF_INIT(CERTIFICATE_MAX);
	struct certificate c;
	Err e = read_pem(d, d->own.tls_certificate, "self-signed.pem", &pem);

	if (failed(e) && e.sys == ENOENT && d->own.tls_certificate.n == 0) {
		doctor_note(d, "tls", "the first start makes a self-signed certificate");
		return;
	}
	if (!failed(e))
		e = certificate_read(buf_view(&pem), d->own.hostname, &c);
	if (failed(e)) {
		doctor_bad(d, "tls", "name a PEM file in tls { certificate ... }",
			"the certificate cannot be used: %s%s%s", e.what,
			e.sys != 0 ? ": " : "", err_sys_text(e));
		return;
	}
	check_dates(d, &c);
	check_key(d, &c);
	if (!c.names_host && !c.own_issuer)
		doctor_bad(d, "tls", "get one for this name, or correct hostname",
			"the certificate is not for %.*s", STR_ARG(d->own.hostname));
	if (c.own_issuer)
		doctor_note(d, "tls",
			"the certificate is signed with itself; mail programs will ask about it");
}

static size_t
count_usable(const struct directory_record *records, size_t n)
{
	size_t usable = 0;

	for (size_t i = 0; i < n; i++)
		usable += records[i].kind == DIRECTORY_RECORD_ACCOUNT && !records[i].disabled &&
			  records[i].password.n > 0;
	return usable;
}

void
doctor_auth(struct doctor *d)
{
	AUTO(arena) a = arena_new(RECORDS_MEMORY);
	AUTO_BUF packed = BUF_INIT(DIRECTORY_RECORD_PACKED_MAX);
	struct directory_record *records;
	size_t n, usable;

	if (access(d->data, X_OK) != 0)
		return; /* told by paths */
	if (ask_records(S("dump"), a, &packed, &records, &n) != EX_OK) {
		doctor_bad(d, "auth", "run doctor as root; see the log for directory.failed",
			"the directory cannot be read");
		return;
	}
	if (n == 0 || records[0].kind != DIRECTORY_RECORD_DOMAIN) {
		doctor_bad(d, "auth", "posthorn domain add NAME", "no domain is ours yet");
		return;
	}
	usable = count_usable(records, n);
	if (usable == 0)
		doctor_bad(d, "auth", "posthorn account add ADDRESS", "nobody can log in");
	else
		doctor_good(d, "auth", "%zu accounts can log in", usable);
}

/* One figure of `queue status`; 0 when it is not told. */
static uint64_t
figure(Str status, Str name)
{
	struct cursor c = cursor_of(status);
	uint64_t value = 0;

	while (!cursor_done(&c)) {
		Str key, number, line = cursor_line(&c);

		if (str_split(line, ' ', &key, &number) && str_eq(key, name) &&
			str_to_u64(number, UINT64_MAX, &value))
			return value;
	}
	return 0;
}

/* What the queue itself can say: only while it runs. */
static void
look_at_queue(struct doctor *d)
{
	AUTO_BUF said = BUF_INIT(4096);
	AUTO_FD fd = -1;
	int exit_code = EX_OK;
	unsigned long long damages, waiting, held;

	if (failed(control_open(d->data, &fd)) ||
		failed(control_command(fd, (Str[]){ S("queue"), S("status") }, 2, -1, &said,
			&exit_code)) ||
		exit_code != EX_OK)
		return; /* told by protocol, if it should run */
	damages = figure(buf_view(&said), S("damages"));
	waiting = figure(buf_view(&said), S("messages"));
	held = figure(buf_view(&said), S("held"));
	if (damages > 0)
		doctor_bad(d, "delivery", "see the log for queue.damaged; check the disk",
			"the journal had %llu damaged places at the last start", damages);
	if (figure(buf_view(&said), S("failed")) > 0)
		doctor_bad(d, "delivery", "see the log for queue.commit; check the disk",
			"the journal could not be written or synced since the start");
	doctor_good(d, "delivery", "%llu messages are in the queue, %llu of them held", waiting,
		held);
}

void
doctor_delivery(struct doctor *d)
{
	AUTO_BUF room = BUF_INIT(64);
	AUTO_BUF least = BUF_INIT(64);
	struct statvfs fs;
	uint64_t left;

	if (statvfs(d->data, &fs) != 0)
		return; /* told by paths */
	left = (uint64_t)fs.f_bavail * fs.f_frsize;
	settings_size_write(left >> 20 << 20, &room);
	settings_size_write(d->queue.free_min, &least);
	if (left < d->queue.free_min)
		doctor_bad(d, "delivery", "make room, or lower free-min",
			"%s has %.*s left, less than free-min %.*s: no mail is taken", d->data,
			STR_ARG(buf_view(&room)), STR_ARG(buf_view(&least)));
	else if (fs.f_files > 0 && fs.f_favail == 0)
		doctor_bad(d, "delivery", "remove files, or use a file system with more inodes",
			"%s has no inode left", d->data);
	else
		doctor_good(d, "delivery", "%s has %.*s left", d->data,
			STR_ARG(buf_view(&room)));
	look_at_queue(d);
}
