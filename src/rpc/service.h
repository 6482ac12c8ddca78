/* SPDX-License-Identifier: ISC */
#pragma once

/* The names of the services. What each may do stands in service/master/table.c. */

#include "base/str.h"

enum service_id {
	SERVICE_MASTER,
	SERVICE_LOG,
	SERVICE_KEYS,
	SERVICE_HASH,
	SERVICE_RESOLVER,
	SERVICE_DIRECTORY,
	SERVICE_QUEUE,
	SERVICE_MAILBOX,
	SERVICE_DELIVER,
	SERVICE_RELAY,
	SERVICE_SMTPD,  /* port 25: knows no AUTH */
	SERVICE_SUBMIT, /* the same program on 587 and 465 */
	SERVICE_LOGIN,
	SERVICE_CONTROL,
	SERVICE_COUNT,
};

#define BIT(id) (1U << (id))

/* One request of a serving process, and who may ask it. Tables end with { 0 }. */
struct rpc_rule {
	uint16_t type;
	uint32_t from; /* BIT(SERVICE_...) of those who may ask it */
};

const char *service_name(enum service_id id);
