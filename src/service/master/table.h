/* SPDX-License-Identifier: ISC */
#pragma once

/* The table of all services: who they are, what they may reach, whom they may ask. */

#include "format/config/settings.h"
#include "rpc/start.h"

enum {
	TABLE_LISTENS_MAX = 3,
};

struct service_entry {
	const char *user;   /* in the password database; not used by an unprivileged `try` */
	uint32_t allow;     /* enum wall_allow */
	uint32_t asks;      /* BIT(SERVICE_...) */
	uint32_t instances; /* processes */
	const char *folder; /* below the data folder, or NULL; handed over open */
	const char *file;   /* "certificate" or "key", or NULL */
	const char *listens[TABLE_LISTENS_MAX]; /* what is spoken on the listening sockets */
	const struct setting *settings;         /* or NULL */
	bool retires; /* has sessions that outlive a new configuration: start_retire */
	void (*serve)(struct start *start);
};

/* By enum service_id; `master` itself has an empty entry. */
extern const struct service_entry service_table[SERVICE_COUNT];
