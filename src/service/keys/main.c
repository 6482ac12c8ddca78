/* SPDX-License-Identifier: ISC */
/*
 * keys: holds the private keys of this host, and signs with them what TLS servers sign in a
 * handshake. Nothing else gets a signature, and nobody gets a key.
 *
 * reads      requests with fixed limits and no grammar but their shape
 * runs as    _posthorn-keys; the key folder is read before the walls go up, then no files
 * asks       nobody
 * if it dies handshakes under way fail, clients try again; master starts the next
 */

#include "os/file.h"
#include "rpc/keys.h"
#include "rpc/log.h"
#include "rpc/start.h"
#include "service/keys/keyring.h"

#include <dirent.h>
#include <fcntl.h>

enum {
	KEY_FILE_MAX = 64 << 10, /* octets */
};

void keys_serve(struct start *start);

/* fd may be shared with our predecessor, so its offset says nothing. */
static Err
add_file(struct keyring *k, int fd)
{
	AUTO_BUF pem = BUF_INIT(KEY_FILE_MAX);
	Err e = OK;

	for (;;) {
		char *room = buf_room(&pem, 4096);
		ssize_t got = room == NULL ? -1 : pread(fd, room, 4096, (off_t)pem.n);

		if (got < 0)
			e = room == NULL ? fail(ERR_PERM, "key file is too long")
					 : fail_sys(ERR_PERM, "cannot read a key file");
		if (got <= 0)
			break;
		buf_grew(&pem, (size_t)got);
	}
	if (!failed(e))
		e = keyring_add(k, buf_view(&pem));
	if (pem.p != NULL)
		explicit_bzero(pem.p, pem.cap);
	return e;
}

static void
report(Str file, Err e)
{
	if (failed(e))
		log_event(LOG_LEVEL_ERROR, "keys.unusable", F_STR("file", file),
			F_STR("why", str_from(e.what)),
			F_STR("system", str_from(err_sys_text(e))));
}

/* Every file NAME.key of the folder. */
static void
add_folder(struct keyring *k, int folder)
{
	int again = openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = again < 0 ? NULL : fdopendir(again);
	struct dirent *entry;

	if (d == NULL) {
		fd_drop(&again);
		report(S("keys"), fail_sys(ERR_PERM, "cannot list the key folder"));
		return;
	}
	while ((entry = readdir(d)) != NULL) {
		Str name = str_from(entry->d_name);
		AUTO_FD fd = -1;

		if (!str_ends(name, S(".key")))
			continue;
		fd = openat(folder, entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		report(name, fd < 0 ? fail_sys(ERR_PERM, "cannot open a key file")
				    : add_file(k, fd));
	}
	closedir(d);
}

static void
turn(struct start *start, struct server *server, struct keyring *ring)
{
	struct server_request *batch;
	enum service_id offender;
	size_t n;
	Err e = server_take(server, MOMENT_NEVER, &batch, &n);

	if (failed(e)) {
		log_failure(LOG_LEVEL_ERROR, "keys.wait", e);
		return;
	}
	for (size_t i = 0; i < n; i++)
		if (batch[i].type == KEYS_SIGN)
			keyring_answer(ring, server, &batch[i]);
		else if (batch[i].watch == START_WATCH)
			start_turn(start, server);
	while (server_offender(server, &offender))
		log_event(LOG_LEVEL_ERROR, "keys.offence",
			F_STR("service", str_from(service_name(offender))));
}

void
keys_serve(struct start *start)
{
	AUTO(keyring) ring = keyring_new();
	AUTO(server) server = server_new(keys_rules);
	int folder = start_folder(start, "keys"), file = start_file(start, "key");

	if (folder >= 0)
		add_folder(ring, folder);
	if (file >= 0)
		report(S("tls-key"), add_file(ring, file));
	start_serve(start, server);
	start_walls(start);
	start_ready(start);
	while (!start->stopping)
		turn(start, server, ring);
}
