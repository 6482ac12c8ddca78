/* SPDX-License-Identifier: ISC */
/*
 * hash: checks passwords. There are two, so that many logins at once use two processors, and so that
 * guessing passwords never delays anything but other logins.
 *
 * reads      user names' passwords, and the hashes that directory keeps; no grammar
 * runs as    _posthorn-hash; no files, no network
 * asks       nobody
 * if it dies those who were logging in are told to try again later
 */
#include "rpc/hash.h"
#include "rpc/log.h"
#include "rpc/start.h"
#include "service/hash/checker.h"

#include <malloc.h>

void hash_serve(struct start *start);

enum {
	MAPPED_FROM = 1024 * 1024, /* octets */
};

struct turn {
	struct start *start;
	struct server *server;
};

static void
turn(void *arg)
{
	struct turn *t = arg;

	start_turn(t->start, t->server);
}

void
hash_serve(struct start *start)
{
	AUTO(server) server = server_new(hash_rules);
	AUTO(checker) checker = checker_new();
	struct turn t = { start, server };
	enum service_id offender;

	/* argon2's memory goes back to the system at once: a fixed limit keeps it out of the heap. */
	mallopt(M_MMAP_THRESHOLD, MAPPED_FROM);
	start_walls(start);
	start_serve(start, server);
	start_ready(start);
	while (!start->stopping) {
		Err e = checker_turn(checker, server, MOMENT_NEVER, turn, &t);

		if (failed(e))
			log_failure(LOG_LEVEL_ERROR, "hash.failed", e);
		while (server_offender(server, &offender))
			log_event(LOG_LEVEL_ERROR, "hash.offender",
				F_STR("service", str_from(service_name(offender))));
	}
}
