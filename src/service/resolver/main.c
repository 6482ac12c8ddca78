/* SPDX-License-Identifier: ISC */
/*
 * resolver: answers what the DNS says, validated and cached.
 *
 * reads      answers of name servers, which libunbound parses
 * runs as    _posthorn-resolver; outgoing network, no files
 * asks       nobody
 * if it dies mail to others waits for its successor, whose cache is empty; clients are "unknown"
 */

#include "rpc/log.h"
#include "rpc/start.h"
#include "service/resolver/serve.h"

#include <stdlib.h>
#include <sysexits.h>

void resolver_serve(struct start *start);

void
resolver_serve(struct start *start)
{
	AUTO(server) server = server_new(resolver_rules);
	AUTO(lookup) lookup = NULL;
	AUTO(resolver) resolver = NULL;
	struct settings_resolver settings;
	Err e;

	start_settings(start, settings_resolver_table, &settings);
	start_walls(start);
	e = lookup_new(&settings, &lookup);
	if (failed(e)) {
		log_failure(LOG_LEVEL_ERROR, "resolver.settings", e);
		exit(EX_CONFIG);
	}
	resolver = resolver_new(server, lookup);
	start_serve(start, server);
	start_ready(start);
	while (!start->stopping) {
		e = resolver_turn(resolver, start, MOMENT_NEVER);
		if (failed(e))
			log_failure(LOG_LEVEL_ERROR, "resolver.wait", e);
	}
}
