/* SPDX-License-Identifier: ISC */
#include "rpc/service.h"

static const char *const names[SERVICE_COUNT] = {
	[SERVICE_MASTER] = "master",
	[SERVICE_LOG] = "log",
	[SERVICE_KEYS] = "keys",
	[SERVICE_HASH] = "hash",
	[SERVICE_RESOLVER] = "resolver",
	[SERVICE_DIRECTORY] = "directory",
	[SERVICE_QUEUE] = "queue",
	[SERVICE_MAILBOX] = "mailbox",
	[SERVICE_DELIVER] = "deliver",
	[SERVICE_RELAY] = "relay",
	[SERVICE_SMTPD] = "smtpd",
	[SERVICE_SUBMIT] = "submit",
	[SERVICE_LOGIN] = "login",
	[SERVICE_CONTROL] = "control",
};

const char *
service_name(enum service_id id)
{
	return id < SERVICE_COUNT ? names[id] : "unknown";
}
