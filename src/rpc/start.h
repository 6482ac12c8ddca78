/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * How a service begins, and what it hears from `master` afterwards. Descriptor 3 is the channel to
 * `master`, which hands over everything the table grants: request sockets, listening sockets,
 * folders, settings. Then the walls go up, then `serve` runs. Later the channel brings new clients
 * (a service that asks us was restarted) and STOP.
 */

#include "base/arena.h"
#include "os/wall.h"
#include "rpc/serve.h"

enum start_role {
	START_ASK,    /* our end towards a service that we may ask */
	START_SERVE,  /* our end of a channel on which a service asks us */
	START_LOG,    /* where events go */
	START_LISTEN, /* a listening socket; name says what is spoken on it */
	START_FOLDER, /* a directory; name: "spool", "mail", "keys", "directory", "log", "drop" */
	START_FILE,   /* a file, read only; name: "certificate", "key", "tickets" */
	START_GO,     /* last: settings */
	START_READY,  /* from the service: it serves */
	START_RETIRE, /* from the service: it takes no new work; to it: it shall not */
	START_DETACH, /* from the service: it asks nobody any more, and lives on for what it has */
	START_DROP,    /* to submit: a file left by a local program; the service says DROPPED */
	START_DROPPED, /* from submit: what became of it */
	START_STOP,
};

/* START_DROPPED: the file may go, must wait, or is no message. In the field `allow`. */
enum start_dropped {
	START_DROPPED_TAKEN,
	START_DROPPED_LATER,
	START_DROPPED_REFUSED,
};

/* One datagram on the channel to `master`, either way. */
struct start_message {
	enum start_role role;
	enum service_id service;
	uint32_t instance;
	Str name;
	Str bytes;            /* GO: settings; DROP, DROPPED: name of the file */
	uint32_t allow;       /* GO: what the walls let through; DROPPED: enum start_dropped */
	uint32_t user, group; /* DROP: user is the owner of the file, name that of the user */
	bool weak;
};
void start_message_write(struct buf *b, const struct start_message *m);
MUST_USE Err start_message_parse(struct cursor *c, struct start_message *ret);

enum {
	START_CHANNEL = 3, /* descriptor number */
	START_HANDED_MAX = 64,
	START_NAME_MAX = 32,
	START_WATCH = 0xfffffff0, /* watch id that start_watch uses */
};

struct start_handed {
	enum start_role role;
	enum service_id service;   /* ASK, SERVE */
	uint32_t instance;         /* ASK: which of several processes */
	char name[START_NAME_MAX]; /* LISTEN, FOLDER, FILE */
	int fd;
};

struct start {
	enum service_id service;
	uint32_t instance;
	int master; /* the channel */
	struct start_handed handed[START_HANDED_MAX];
	size_t handed_count;
	struct arena *arena; /* lives as long as the process: settings are kept in it */
	Str settings;        /* packed */
	struct wall wall;    /* what the table says; folders are filled in by start_walls */
	bool stopping;
	bool retiring; /* take no new work, finish what there is */
	/* `submit` alone: takes a file that a local program left. The fd is its own. */
	void (*drop)(void *drop_arg, const struct start_message *m, int fd);
	void *drop_arg;
};

/* Takes everything up to GO. Exits with a message when master is not there. */
void start_receive(struct start *s);

/*
 * Raises the walls. Call it before the first thread and the first hostile byte, after opening what
 * cannot be opened behind them. Exits when they cannot be raised.
 */
void start_walls(struct start *s);

/* Tells master that we serve. */
void start_ready(struct start *s);

/*
 * For a process that does not live for ever: start_retire has master start its successor beside
 * it; start_detach, when the sockets of start_ask are closed, has master forget it until it ends.
 */
void start_retire(struct start *s);
void start_detach(struct start *s);

/* Our own settings from the packed ones; exits when they do not fit. */
struct setting;
void start_settings(struct start *s, const struct setting *table, void *ret);

/* A new peer over the handed channel, or NULL when we were given none. Call once for each. */
struct peer *start_ask(struct start *s, enum service_id service, uint32_t instance);

/* The handed descriptor, or -1; it stays the start's unless taken. */
int start_folder(const struct start *s, const char *name);
int start_file(const struct start *s, const char *name);
/* The next listening socket at or after *at; false when there is none. */
bool start_listener(const struct start *s, size_t *at, int *ret_fd, const char **ret_name);

/* Gives every client that we were handed to the server, and watches the channel to master. */
void start_serve(struct start *s, struct server *server);

/*
 * To be called when SERVER_WATCH START_WATCH comes up (or the channel is readable): takes what
 * master says; new clients go to the server (NULL: they are kept in s->handed). Sets s->stopping on
 * STOP or when master is gone.
 */
void start_turn(struct start *s, struct server *server);

/*
 * For services that only ask and accept: waits until the channel, or one of the listeners handed
 * over, is readable. Returns the listener's descriptor with its name, or -1 when it is time to stop.
 */
int start_accept_wait(struct start *s, const char **ret_name);
