/* SPDX-License-Identifier: ISC */
#pragma once

/* The requests that `directory` answers at once. */

#include "rpc/directory.h"
#include "rpc/serve.h"
#include "store/directory.h"

struct office {
	struct directory *directory;
	struct server *server;
	struct caller *mailbox;
	struct arena *scratch; /* of one request */
};

/* RECIPIENT, SENDER, EXPAND, OPEN or ADMIN. */
void answer_request(struct office *o, struct server_request *r);
