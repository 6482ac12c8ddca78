/* SPDX-License-Identifier: ISC */
#pragma once

/* The configuration as `master` reads it: checked as a whole, then packed for each service. */

#include "base/arena.h"
#include "format/config/config.h"
#include "rpc/settings.h"
#include "service/master/master.h"

struct master_config {
	struct arena *arena;
	struct settings_master own;
	struct config_tree tree;
};

/*
 * Reads and checks; errors go to stderr as file:line:column lines. config_free it.
 * ERR_PERM   not readable, or not right: keep what is running
 */
MUST_USE Err master_config_read(const struct master_options *options,
	struct master_config *ret);
void master_config_free(struct master_config *c);

/* The values of one table: what the file says over the defaults. */
MUST_USE Err master_config_fill(const struct master_config *c, const struct setting *table,
	void *values);

/* The settings of one service, packed. */
MUST_USE Err master_config_pack(const struct master_config *c, const struct setting *table,
	struct buf *ret);
