/* SPDX-License-Identifier: ISC */
#include "rpc/serve.h"

#include "base/memory.h"
#include "rpc/call.h"

#include <assert.h>
#include <poll.h>
#include <stdlib.h>

enum {
	BATCH_BYTES = 2 * 1024 * 1024,
	WATCHES_MAX = 64,
};

/* The far end of one caller's reply channel. */
struct slot {
	int fd;
	uint32_t registration; /* an old ReplyTo finds nobody */
};

struct client {
	enum service_id from;
	int fd;    /* -1 once it is gone: its place is free for a successor */
	bool gone; /* and server_gone has not said so yet */
	struct slot *slots;
	uint32_t slot_count;
};

struct watch {
	uint32_t id;
	int fd;
};

struct server {
	const struct rpc_rule *rules;
	struct client *clients;
	size_t client_count;
	struct watch watches[WATCHES_MAX];
	size_t watch_count;
	struct pollfd *polled; /* clients, then watches */
	struct server_request batch[SERVER_BATCH_MAX];
	size_t batch_count;
	char *bytes;
	size_t bytes_used;
	size_t first;           /* client whose turn it is, so that none starves */
	uint32_t registrations; /* so far, of all clients: none is ever given twice */
	bool offended;
	enum service_id offender;
};

struct server *
server_new(const struct rpc_rule *rules)
{
	struct server *s = memory_get(sizeof(*s));

	s->rules = rules;
	s->bytes = memory_try(BATCH_BYTES);
	if (s->bytes == NULL)
		abort();
	s->polled = memory_get_array(WATCHES_MAX, sizeof(*s->polled));
	return s;
}

static void
drop_requests(struct server *s)
{
	for (size_t i = 0; i < s->batch_count; i++)
		channel_message_drop(&s->batch[i].message);
	s->batch_count = 0;
	s->bytes_used = 0;
}

static void
cut_off(struct client *c)
{
	fd_drop(&c->fd);
	c->gone = true;
	for (uint32_t i = 0; i < c->slot_count; i++)
		fd_drop(&c->slots[i].fd);
}

void
server_free(struct server *s)
{
	if (s == NULL)
		return;
	drop_requests(s);
	for (size_t i = 0; i < s->client_count; i++) {
		cut_off(&s->clients[i]);
		free(s->clients[i].slots);
	}
	free(s->clients);
	free(s->polled);
	free(s->bytes);
	free(s);
}

void
server_add_client(struct server *s, enum service_id from, int fd)
{
	for (size_t i = 0; i < s->client_count; i++)
		if (s->clients[i].fd < 0) {
			s->clients[i].from = from;
			s->clients[i].fd = fd;
			return;
		}
	s->clients = memory_resize(s->clients, s->client_count + 1, sizeof(*s->clients));
	s->clients[s->client_count++] = (struct client){ .from = from, .fd = fd };
	assert(s->client_count <= UINT16_MAX);
	s->polled = memory_resize(s->polled, s->client_count + WATCHES_MAX, sizeof(*s->polled));
}

void
server_watch(struct server *s, uint32_t id, int fd)
{
	size_t at = 0;

	while (at < s->watch_count && s->watches[at].id != id)
		at++;
	if (fd < 0) {
		if (at < s->watch_count)
			s->watches[at] = s->watches[--s->watch_count];
		return;
	}
	if (at == s->watch_count) {
		assert(s->watch_count < WATCHES_MAX);
		s->watch_count++;
	}
	s->watches[at] = (struct watch){ id, fd };
}

static bool
may_ask(const struct server *s, enum service_id from, uint16_t type)
{
	for (const struct rpc_rule *r = s->rules; r->from != 0; r++)
		if (r->type == type)
			return (r->from & BIT(from)) != 0;
	return false;
}

static struct slot *
find_slot(struct client *c, uint32_t at)
{
	uint32_t before = c->slot_count;

	if (at >= before) {
		c->slot_count = at + 1;
		c->slots = memory_resize(c->slots, c->slot_count, sizeof(*c->slots));
		for (uint32_t i = before; i < c->slot_count; i++)
			c->slots[i] = (struct slot){ .fd = -1 };
	}
	return &c->slots[at];
}

/* Reads the header of the datagram in r; false when the asker broke the rules. */
static bool
accept_request(struct server *s, struct client *c, struct server_request *r)
{
	bool registers;
	uint32_t at;
	struct slot *slot;

	r->fields = cursor_of(r->message.bytes);
	r->type = cursor_u16(&r->fields);
	registers = cursor_u16(&r->fields) != 0;
	at = cursor_u32(&r->fields);
	r->from = c->from;
	r->reply_to = (ReplyTo){ .client = (uint16_t)(c - s->clients), .slot = at };
	r->reply_to.serial = cursor_u32(&r->fields);
	if (r->fields.bad || at >= RPC_SLOTS_MAX || !may_ask(s, c->from, r->type))
		return false;
	slot = find_slot(c, at);
	if (registers) {
		if (r->message.fd_count == 0)
			return false;
		fd_drop(&slot->fd);
		slot->fd = r->message.fds[0];
		slot->registration = ++s->registrations;
		r->message.fd_count--;
		memmove(r->message.fds, r->message.fds + 1,
			r->message.fd_count * sizeof(r->message.fds[0]));
	}
	r->reply_to.registration = slot->registration;
	return true;
}

/* Takes one datagram of this client; false when there is none, or no room for one. */
static bool
take_one(struct server *s, struct client *c)
{
	struct server_request *r = &s->batch[s->batch_count];
	Err e;

	if (s->batch_count == SERVER_BATCH_MAX ||
		s->bytes_used + CHANNEL_MESSAGE_MAX > BATCH_BYTES)
		return false;
	e = channel_receive_now(c->fd, s->bytes + s->bytes_used, CHANNEL_MESSAGE_MAX,
		&r->message);
	if (e.kind == ERR_GONE) {
		cut_off(c);
		return false;
	}
	if (failed(e))
		return e.sys != EAGAIN; /* a cut message: the next may be whole */
	if (!accept_request(s, c, r)) {
		channel_message_drop(&r->message);
		cut_off(c);
		s->offended = true;
		s->offender = c->from;
		return false;
	}
	s->bytes_used += (r->message.bytes.n + 15) & ~(size_t)15;
	/* A request whose slot nobody registered was meant for our predecessor. */
	if (c->slots[r->reply_to.slot].fd < 0)
		channel_message_drop(&r->message);
	else
		s->batch_count++;
	return true;
}

static size_t
fill_polled(struct server *s)
{
	size_t n = 0;

	for (; n < s->client_count; n++)
		s->polled[n] = (struct pollfd){ .fd = s->clients[n].fd, .events = POLLIN };
	for (size_t i = 0; i < s->watch_count; i++)
		s->polled[n++] = (struct pollfd){ .fd = s->watches[i].fd, .events = POLLIN };
	return n;
}

static void
take_watches(struct server *s)
{
	for (size_t i = 0; i < s->watch_count; i++) {
		if (s->polled[s->client_count + i].revents == 0)
			continue;
		if (s->batch_count == SERVER_BATCH_MAX)
			return;
		s->batch[s->batch_count++] = (struct server_request){ .type = SERVER_WATCH,
			.watch = s->watches[i].id };
	}
}

Err
server_take(struct server *s, Moment until, struct server_request **ret_batch,
	size_t *ret_count)
{
	int n;

	drop_requests(s);
	n = poll(s->polled, fill_polled(s), moment_left(until));
	if (n < 0 && errno != EINTR)
		return fail_sys(ERR_TEMP, "cannot wait for requests");
	if (n > 0) {
		take_watches(s);
		for (size_t i = 0; i < s->client_count; i++) {
			size_t at = (s->first + i) % s->client_count;

			if (s->polled[at].revents != 0)
				while (take_one(s, &s->clients[at]))
					;
		}
		if (s->client_count > 0)
			s->first = (s->first + 1) % s->client_count;
	}
	*ret_batch = s->batch;
	*ret_count = s->batch_count;
	return OK;
}

Err
server_answer(struct server *s, ReplyTo to, const Str *parts, size_t part_count, const int *fds,
	size_t fd_count)
{
	Str all[CHANNEL_PARTS_MAX];
	const struct client *c;
	uint8_t serial[4];

	assert(part_count < CHANNEL_PARTS_MAX);
	if (to.client >= s->client_count)
		return fail(ERR_GONE, "asker is not there");
	c = &s->clients[to.client];
	if (to.slot >= c->slot_count || c->slots[to.slot].registration != to.registration ||
		c->slots[to.slot].fd < 0)
		return fail(ERR_GONE, "asker is not there");
	for (size_t i = 0; i < sizeof(serial); i++)
		serial[i] = (uint8_t)(to.serial >> (8 * i));
	all[0] = (Str){ (const char *)serial, sizeof(serial) };
	for (size_t i = 0; i < part_count; i++)
		all[i + 1] = parts[i];
	return channel_send_now(c->slots[to.slot].fd, all, part_count + 1, fds, fd_count);
}

bool
server_gone(struct server *s, uint16_t *ret)
{
	for (size_t i = 0; i < s->client_count; i++) {
		if (!s->clients[i].gone)
			continue;
		s->clients[i].gone = false;
		*ret = (uint16_t)i;
		return true;
	}
	return false;
}

bool
server_offender(struct server *s, enum service_id *ret)
{
	if (!s->offended)
		return false;
	s->offended = false;
	*ret = s->offender;
	return true;
}
