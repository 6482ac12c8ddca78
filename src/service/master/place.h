/* SPDX-License-Identifier: ISC */
#pragma once

/* What `master` opens for the others: folders, listening sockets, the certificate. */

#include "os/clock.h"
#include "rpc/service.h"
#include "service/master/settings.h"

#include <sys/stat.h>
#include <sys/types.h>

enum {
	PLACE_FOLDERS_MAX = 8,
	PLACE_LISTENERS_MAX = 32,
};

struct place {
	int data;             /* the data folder, locked: one server at a time */
	int certificate, key; /* PEM */
	struct stat certificate_seen, key_seen;
	int tickets; /* memfd: the key of TLS session tickets */
	Moment tickets_until;
	struct place_folder {
		const char *name;
		int fd;
	} folders[PLACE_FOLDERS_MAX];
	size_t folder_count;
	struct place_listener {
		const char *name; /* what is spoken there */
		int fd;
	} listeners[PLACE_LISTENERS_MAX];
	size_t listener_count;
};

/* Makes and opens everything; says on stderr what is wrong and how to mend it. */
MUST_USE Err place_open(const struct master_config *c, bool drop_users, struct place *ret);
void place_close(struct place *p);

/*
 * Opens the certificate and its key, anew after a renewal: whoever starts later gets the new ones.
 * After a failure (said on stderr) the old ones are still there.
 */
MUST_USE Err place_open_certificate(struct place *p, const struct settings_master *own,
	bool *ret_changed);

/* A new key for session tickets when the old one has had its time. For those who start later. */
MUST_USE Err place_renew_tickets(struct place *p);

/* "certificate", "key" or "tickets"; -1 for another name. */
int place_file(const struct place *p, const char *name);
int place_folder(const struct place *p, const char *name);

/* The user of a service. ERR_PERM: not in the password database (said on stderr). */
MUST_USE Err place_user(const char *name, uid_t *ret_user, gid_t *ret_group);
