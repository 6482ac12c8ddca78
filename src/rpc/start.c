/* SPDX-License-Identifier: ISC */
#include "rpc/start.h"

#include "base/memory.h"
#include "format/config/settings.h"
#include "rpc/call.h"
#include "rpc/escape.h"
#include "rpc/log.h"

#include <assert.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sysexits.h>

enum {
	SETTINGS_MEMORY = 1024 * 1024, /* octets of settings and what is made of them */
	WAIT = 30 * 1000,              /* ms for master to say all that it has to say */
};

void
start_message_write(struct buf *b, const struct start_message *m)
{
	buf_u8(b, (uint8_t)m->role);
	buf_u8(b, (uint8_t)m->service);
	buf_u32(b, m->instance);
	buf_str(b, m->name);
	buf_str(b, m->bytes);
	buf_u32(b, m->allow);
	buf_u32(b, m->user);
	buf_u32(b, m->group);
	buf_u8(b, m->weak);
}

Err
start_message_parse(struct cursor *c, struct start_message *ret)
{
	struct start_message m;
	uint8_t role = cursor_u8(c), service = cursor_u8(c);

	m.instance = cursor_u32(c);
	m.name = cursor_str(c);
	m.bytes = cursor_str(c);
	m.allow = cursor_u32(c);
	m.user = cursor_u32(c);
	m.group = cursor_u32(c);
	m.weak = cursor_u8(c) != 0;
	if (c->bad || role > START_STOP || service >= SERVICE_COUNT ||
		m.name.n >= START_NAME_MAX)
		return fail(ERR_PEER, "message of master is cut");
	m.role = (enum start_role)role;
	m.service = (enum service_id)service;
	*ret = m;
	return OK;
}

static _Noreturn void
die(const struct start *s, const char *what, Err e)
{
	fprintf(stderr, "posthorn/%s: %s: %s %s\n", service_name(s->service), what, e.what,
		err_sys_text(e));
	exit(EX_OSERR);
}

static void
keep_handed(struct start *s, const struct start_message *m, int fd)
{
	struct start_handed *h = s->handed;

	while (h < s->handed + s->handed_count && h->fd >= 0)
		h++;
	if (h == s->handed + s->handed_count) {
		assert(s->handed_count < START_HANDED_MAX);
		s->handed_count++;
	}
	*h = (struct start_handed){
		.role = m->role, .service = m->service, .instance = m->instance, .fd = fd
	};
	if (m->name.n > 0)
		memcpy(h->name, m->name.p, m->name.n);
	if (m->role == START_LOG)
		log_open(fd, service_name(s->service));
}

static void
take_go(struct start *s, const struct start_message *m)
{
	Err e = arena_copy(s->arena, m->bytes, &s->settings);

	if (failed(e))
		die(s, "settings", e);
	s->wall.allow = m->allow;
	s->wall.user = m->user;
	s->wall.group = m->group;
	s->wall.weak = m->weak;
}

void
start_receive(struct start *s)
{
	char *buffer = memory_get(CHANNEL_MESSAGE_MAX);
	Moment until = moment_after(WAIT);
	struct start_message m;

	*s = (struct start){ .master = START_CHANNEL, .arena = arena_new(SETTINGS_MEMORY) };
	do {
		struct channel_message message;
		struct cursor c;
		Err e = channel_receive(s->master, buffer, CHANNEL_MESSAGE_MAX, until,
			&message);

		if (failed(e))
			die(s, "this is a part of posthorn that only posthorn starts", e);
		c = cursor_of(message.bytes);
		e = start_message_parse(&c, &m);
		if (failed(e))
			die(s, "start", e);
		if (m.role == START_GO) {
			s->service = m.service;
			s->instance = m.instance;
			take_go(s, &m);
		} else {
			keep_handed(s, &m, channel_take_fd(&message, 0));
		}
		channel_message_drop(&message);
	} while (m.role != START_GO);
	for (size_t i = 0; i < s->handed_count; i++)
		if (s->handed[i].role == START_LOG)
			log_open(s->handed[i].fd, service_name(s->service));
	prctl(PR_SET_NAME, service_name(s->service));
	free(buffer);
}

void
start_walls(struct start *s)
{
	Err e;

	for (size_t i = 0; i < s->handed_count; i++)
		if (s->handed[i].role == START_FOLDER)
			s->wall.folders[s->wall.folder_count++] = s->handed[i].fd;
	e = wall_raise(&s->wall);
	if (failed(e)) {
		log_failure(LOG_LEVEL_ERROR, "service.walls", e);
		die(s, "walls", e);
	}
	escape_attempt(service_name(s->service));
}

static void
say(struct start *s, enum start_role role)
{
	AUTO_BUF b = BUF_INIT(256);
	struct start_message m = {
		.role = role, .service = s->service, .instance = s->instance
	};

	start_message_write(&b, &m);
	if (failed(channel_send(s->master, (Str[]){ buf_view(&b) }, 1, NULL, 0,
		    moment_after(WAIT))))
		s->stopping = true;
}

void
start_ready(struct start *s)
{
	say(s, START_READY);
}

void
start_retire(struct start *s)
{
	say(s, START_RETIRE);
}

void
start_detach(struct start *s)
{
	say(s, START_DETACH);
}

void
start_settings(struct start *s, const struct setting *table, void *ret)
{
	Err e = settings_unpack(table, s->settings, s->arena, ret);

	if (failed(e))
		die(s, "settings", e);
}

struct peer *
start_ask(struct start *s, enum service_id service, uint32_t instance)
{
	for (size_t i = 0; i < s->handed_count; i++) {
		struct start_handed *h = &s->handed[i];

		if (h->role == START_ASK && h->service == service && h->instance == instance &&
			h->fd >= 0)
			return peer_new(service, TAKE_FD(h->fd));
	}
	return NULL;
}

static int
find_named(const struct start *s, enum start_role role, const char *name)
{
	for (size_t i = 0; i < s->handed_count; i++)
		if (s->handed[i].role == role && strcmp(s->handed[i].name, name) == 0)
			return s->handed[i].fd;
	return -1;
}

int
start_folder(const struct start *s, const char *name)
{
	return find_named(s, START_FOLDER, name);
}

int
start_file(const struct start *s, const char *name)
{
	return find_named(s, START_FILE, name);
}

bool
start_listener(const struct start *s, size_t *at, int *ret_fd, const char **ret_name)
{
	for (; *at < s->handed_count; (*at)++)
		if (s->handed[*at].role == START_LISTEN && s->handed[*at].fd >= 0) {
			*ret_fd = s->handed[*at].fd;
			*ret_name = s->handed[*at].name;
			(*at)++;
			return true;
		}
	return false;
}

void
start_serve(struct start *s, struct server *server)
{
	for (size_t i = 0; i < s->handed_count; i++)
		if (s->handed[i].role == START_SERVE && s->handed[i].fd >= 0)
			server_add_client(server, s->handed[i].service,
				TAKE_FD(s->handed[i].fd));
	server_watch(server, START_WATCH, s->master);
}

static void
take_turn(struct start *s, struct server *server, struct channel_message *message)
{
	struct cursor c = cursor_of(message->bytes);
	struct start_message m;

	if (failed(start_message_parse(&c, &m)))
		return;
	if (m.role == START_STOP)
		s->stopping = true;
	else if (m.role == START_RETIRE)
		s->retiring = true;
	else if (m.role == START_SERVE && server != NULL && message->fd_count == 1)
		server_add_client(server, m.service, channel_take_fd(message, 0));
	else if (m.role == START_SERVE && message->fd_count == 1)
		keep_handed(s, &m, channel_take_fd(message, 0));
	else if (m.role == START_DROP && s->drop != NULL && message->fd_count == 1)
		s->drop(s->drop_arg, &m, channel_take_fd(message, 0));
}

void
start_turn(struct start *s, struct server *server)
{
	char buffer[4096];
	struct channel_message message;
	Err e;

	while (!failed(e = channel_receive_now(s->master, buffer, sizeof(buffer), &message))) {
		take_turn(s, server, &message);
		channel_message_drop(&message);
	}
	if (e.kind == ERR_GONE)
		s->stopping = true;
}

int
start_accept_wait(struct start *s, const char **ret_name)
{
	struct pollfd polled[START_HANDED_MAX + 1];
	const char *names[START_HANDED_MAX + 1];
	size_t n = 1, at = 0;

	polled[0] = (struct pollfd){ .fd = s->master, .events = POLLIN };
	while (start_listener(s, &at, &polled[n].fd, &names[n]))
		polled[n++].events = POLLIN;
	while (!s->stopping) {
		if (poll(polled, n, -1) < 0)
			continue;
		if (polled[0].revents != 0)
			start_turn(s, NULL);
		for (size_t i = 1; i < n && !s->stopping; i++)
			if (polled[i].revents != 0) {
				*ret_name = names[i];
				return polled[i].fd;
			}
	}
	return -1;
}
