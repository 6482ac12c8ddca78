/* SPDX-License-Identifier: ISC */
/*
 * directory: who is who, and who may open what.
 *
 * reads      fields with fixed limits, no grammar
 * runs as    _posthorn-directory; files below directory/ only
 * asks       hash (is this password right?), mailbox (open this account)
 * if it dies RCPT, logins and deliveries get "try again later" until it is back; what it holds is
 *            synced before an administrator is told that it is done
 */
#include "rpc/log.h"
#include "rpc/settings.h"
#include "rpc/start.h"
#include "service/directory/answer.h"
#include "service/directory/logins.h"
#include "store/sql.h"

#include <stdlib.h>
#include <unistd.h>

enum {
	SCRATCH = 4 * 1024 * 1024, /* octets for one request: the words of a command, members */
};

void directory_serve(struct start *start);

/* Behind the walls, so that what is made belongs to our own user. */
static struct directory *
open_directory(struct start *start, const struct settings_directory *settings)
{
	struct directory *d;
	int folder = start_folder(start, "directory");
	Err e = OK;

	if (folder < 0 || fchdir(folder) != 0)
		e = fail_sys(ERR_PERM, "there is no folder for the directory");
	if (!failed(e))
		e = directory_open(DIRECTORY_FILE, &d);
	if (failed(e)) {
		log_failure(LOG_LEVEL_ERROR, "directory.closed", e);
		exit(EXIT_FAILURE);
	}
	directory_set(d, settings->subaddress_delimiter, settings->postmaster);
	return d;
}

static void
take(struct office *o, struct logins *l, struct start *start, struct server_request *r)
{
	if (r->type == SERVER_WATCH && r->watch == START_WATCH)
		start_turn(start, o->server);
	else if (r->type == SERVER_WATCH)
		logins_turn(l, r->watch);
	else if (r->type == DIRECTORY_AUTH || r->type == DIRECTORY_LOGIN)
		logins_begin(l, r);
	else
		answer_request(o, r);
}

static void
serve(struct office *o, struct logins *l, struct start *start)
{
	enum service_id offender;

	while (!start->stopping) {
		struct server_request *batch;
		size_t n = 0;
		Err e = server_take(o->server, MOMENT_NEVER, &batch, &n);

		if (failed(e)) {
			log_failure(LOG_LEVEL_ERROR, "directory.failed", e);
			exit(EXIT_FAILURE);
		}
		for (size_t i = 0; i < n; i++)
			take(o, l, start, &batch[i]);
		while (server_offender(o->server, &offender))
			log_event(LOG_LEVEL_ERROR, "directory.offender",
				F_STR("service", str_from(service_name(offender))));
	}
}

void
directory_serve(struct start *start)
{
	AUTO(directory) d = NULL;
	AUTO(server) server = server_new(directory_rules);
	AUTO(arena) scratch = arena_new(SCRATCH);
	AUTO(peer) mailbox_peer = start_ask(start, SERVICE_MAILBOX, 0);
	AUTO(caller) mailbox = caller_new(mailbox_peer);
	AUTO(logins) logins = NULL;
	struct settings_directory settings;
	struct peer *hashes[LOGINS_HASHES];
	struct office office;

	start_settings(start, settings_directory_table, &settings);
	sql_seed();
	for (uint32_t i = 0; i < LOGINS_HASHES; i++)
		hashes[i] = start_ask(start, SERVICE_HASH, i);
	start_walls(start);
	d = open_directory(start, &settings);
	logins = logins_new(d, server, hashes, mailbox);
	office = (struct office){ d, server, mailbox, scratch };
	start_serve(start, server);
	start_ready(start);
	serve(&office, logins, start);
}
