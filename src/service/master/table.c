/* SPDX-License-Identifier: ISC */
#include "service/master/table.h"

#include "os/wall.h"
#include "rpc/settings.h"

/* The services themselves; each is declared here alone, so that none can call another. */
void log_serve(struct start *start);
void keys_serve(struct start *start);
void hash_serve(struct start *start);
void resolver_serve(struct start *start);
void directory_serve(struct start *start);
void queue_serve(struct start *start);
void mailbox_serve(struct start *start);
void deliver_serve(struct start *start);
void relay_serve(struct start *start);
void smtpd_serve(struct start *start);
void login_serve(struct start *start);
void control_serve(struct start *start);

const struct service_entry service_table[SERVICE_COUNT] = {
	[SERVICE_LOG] = {
		.user = "_posthorn-log",
		.allow = WALL_FILES,
		.instances = 1,
		.folder = "log",
		.settings = settings_log_table,
		.serve = log_serve,
	},
	[SERVICE_KEYS] = {
		.user = "_posthorn-keys",
		.instances = 1,
		.folder = "keys",
		.file = "key",
		.serve = keys_serve,
	},
	[SERVICE_HASH] = {
		.user = "_posthorn-hash",
		.instances = 2,
		.serve = hash_serve,
	},
	[SERVICE_RESOLVER] = {
		.user = "_posthorn-resolver",
		.allow = WALL_OUTGOING,
		.instances = 1,
		.settings = settings_resolver_table,
		.serve = resolver_serve,
	},
	[SERVICE_DIRECTORY] = {
		.user = "_posthorn-directory",
		.allow = WALL_FILES,
		.asks = BIT(SERVICE_HASH) | BIT(SERVICE_MAILBOX),
		.instances = 1,
		.folder = "directory",
		.settings = settings_directory_table,
		.serve = directory_serve,
	},
	[SERVICE_QUEUE] = {
		.user = "_posthorn-queue",
		.allow = WALL_FILES,
		.instances = 1,
		.folder = "spool",
		.settings = settings_queue_table,
		.serve = queue_serve,
	},
	[SERVICE_MAILBOX] = {
		.user = "_posthorn-mail",
		.allow = WALL_FILES | WALL_FORK,
		.instances = 1,
		.folder = "mail",
		.settings = settings_mailbox_table,
		.serve = mailbox_serve,
	},
	[SERVICE_DELIVER] = {
		.user = "_posthorn-deliver",
		.allow = WALL_SYNC,
		.asks = BIT(SERVICE_DIRECTORY) | BIT(SERVICE_QUEUE),
		.instances = 1,
		.folder = "mail",
		.settings = settings_deliver_table,
		.serve = deliver_serve,
	},
	[SERVICE_RELAY] = {
		.user = "_posthorn-relay",
		.allow = WALL_OUTGOING,
		.asks = BIT(SERVICE_QUEUE) | BIT(SERVICE_RESOLVER),
		.instances = 1,
		.settings = settings_relay_table,
		.serve = relay_serve,
	},
	[SERVICE_SMTPD] = {
		.user = "_posthorn-smtpd",
		.asks = BIT(SERVICE_DIRECTORY) | BIT(SERVICE_QUEUE) | BIT(SERVICE_RESOLVER) |
			BIT(SERVICE_KEYS),
		.instances = 1,
		.file = "certificate",
		.listens = { "smtp" },
		.settings = settings_smtpd_table,
		.serve = smtpd_serve,
	},
	[SERVICE_SUBMIT] = {
		.user = "_posthorn-submit",
		.asks = BIT(SERVICE_DIRECTORY) | BIT(SERVICE_QUEUE) | BIT(SERVICE_RESOLVER) |
			BIT(SERVICE_KEYS),
		.instances = 1,
		.file = "certificate",
		.listens = { "submission", "submissions" },
		.settings = settings_smtpd_table,
		.serve = smtpd_serve,
	},
	[SERVICE_LOGIN] = {
		.user = "_posthorn-login",
		.asks = BIT(SERVICE_DIRECTORY) | BIT(SERVICE_KEYS),
		.instances = 1,
		.file = "certificate",
		.listens = { "imap", "imaps" },
		.settings = settings_login_table,
		.retires = true,
		.serve = login_serve,
	},
	[SERVICE_CONTROL] = {
		.user = "_posthorn-control",
		.asks = BIT(SERVICE_DIRECTORY) | BIT(SERVICE_QUEUE),
		.instances = 1,
		.listens = { "control" },
		.serve = control_serve,
	},
};
