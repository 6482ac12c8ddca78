/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What the parts of `posthorn doctor` share: the configuration they look at, and how they tell what
 * they find. Each finding is one line: its class, what is so, and how to mend it.
 */

#include "base/arena.h"
#include "base/buf.h"
#include "format/config/config.h"
#include "rpc/settings.h"

#include <sys/types.h>

struct doctor {
	const char *config; /* path, or NULL */
	const char *data;   /* folder */
	bool tried; /* it belongs to `posthorn try`: no users of its own, names of tests */
	struct arena *arena; /* holds the settings */
	struct config_tree tree;
	struct settings_master own;
	struct settings_queue queue;
	struct settings_relay relay;
	struct settings_resolver resolver;
	pid_t master; /* of the running server, or 0 */
	bool json;
	void *findings; /* json_t array, with --json */
	unsigned bad;   /* findings that keep mail from working */
};

/* The classes, in the order in which they are looked at: from the simple to the complex. */
void doctor_parsing(struct doctor *d);
void doctor_paths(struct doctor *d);
void doctor_permissions(struct doctor *d);
void doctor_walls(struct doctor *d);
void doctor_dns(struct doctor *d);
void doctor_ports(struct doctor *d);
void doctor_tls(struct doctor *d);
void doctor_protocol(struct doctor *d);
void doctor_auth(struct doctor *d);
void doctor_delivery(struct doctor *d);

/* class: "paths", "ports" ... */
void doctor_good(struct doctor *d, const char *class, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* Worth knowing, no fault. */
void doctor_note(struct doctor *d, const char *class, const char *format, ...)
	PRINTF_LIKE(3, 4);
/* A fault; fix says what to do. */
void doctor_bad(struct doctor *d, const char *class, const char *fix, const char *format, ...)
	PRINTF_LIKE(4, 5);

/* A service's port and whether the configuration wants it. */
struct doctor_port {
	const char *name;
	uint16_t port; /* port-base counted in */
	bool on, tls;  /* tls: from the start */
};
enum {
	DOCTOR_PORTS = 5,
};
void doctor_list_ports(const struct doctor *d, struct doctor_port ret[DOCTOR_PORTS]);

/* The name of a process (its first word), or "?". */
void doctor_process_name(pid_t pid, char *ret, size_t size);
