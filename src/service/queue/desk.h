/* SPDX-License-Identifier: ISC */
#pragma once

/* What the parts of the queue service share. One thread, so nothing is locked. */

#include "os/clock.h"
#include "rpc/queue.h"
#include "rpc/serve.h"
#include "rpc/settings.h"
#include "store/queue.h"

/* A PULL that waits for work. */
struct desk_parked {
	ReplyTo reply_to;
	struct queue_pull pull;
	char destination[256];
	Moment until;
};

/* A ROOM that waits for memory. */
struct desk_room {
	ReplyTo reply_to;
	uint64_t size;
	Moment until;
};

/* Memory that one caller was promised. */
struct desk_promise {
	ReplyTo holder;
	uint64_t size;
	Moment until;
};

/* A request of the batch that is answered once the batch is committed. */
struct desk_answer {
	ReplyTo reply_to;
	bool submission;
	Err result;
	uint64_t id;
	struct {
		Str sender; /* in the batch's arena */
		uint64_t size;
		size_t recipients;
	} said; /* for the log */
};

struct desk {
	struct queue *queue;
	struct server *server;
	struct settings_queue settings;
	int spool;
	struct arena *arena; /* for one batch, or one pull */

	struct desk_answer answers[SERVER_BATCH_MAX];
	size_t answer_count;

	struct desk_parked *parked;
	size_t parked_count, parked_cap;

	struct desk_room *rooms;
	size_t room_count, room_cap;
	struct desk_promise *promises;
	size_t promise_count, promise_cap;
	uint64_t promised;

	uint64_t checkpoint; /* asked for and not answered; 0: none */
	bool checkpoint_handed;
	Moment checkpoint_until; /* then it is asked for again */
	Moment checkpoint_due;
	bool broken; /* a sync of the mail failed: start anew */

	bool disk_low;
	Moment disk_seen;
	bool tidy; /* there is more to do */
	bool tidy_failed;
	Moment idle_from; /* unless something changes before */
	bool resting;
};

/* Answers with a verdict and nothing else. */
void desk_answer(struct desk *d, ReplyTo to, Err e);

/* request.c: what comes in. Everything that changes the queue waits for desk_finish. */
void desk_take(struct desk *d, const struct server_request *r);
/* Commits what was taken, and answers. */
void desk_finish(struct desk *d);

/* hand.c: what goes out. */
void desk_park(struct desk *d, const struct server_request *r, const struct queue_pull *pull);
void desk_hand_out(struct desk *d);
Moment desk_parked_until(const struct desk *d);

/* room.c */
void desk_ask_room(struct desk *d, const struct server_request *r, uint64_t size, bool unused);
void desk_room_used(struct desk *d, ReplyTo by);
void desk_room_gone(struct desk *d, uint16_t client);
void desk_give_rooms(struct desk *d);
Moment desk_room_until(const struct desk *d);

/* admin.c */
void desk_admin(struct desk *d, const struct server_request *r);
