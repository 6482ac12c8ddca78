/* SPDX-License-Identifier: ISC */
#include "rpc/call.h"

#include "base/memory.h"

#include <assert.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

/*
 * Shared between threads: only the slots of a peer, behind its mutex. Datagrams of different
 * threads never mix, so the socket needs no lock.
 */
struct peer {
	enum service_id id;
	int fd;
	pthread_mutex_t lock;
	uint32_t slots_made;  /* guarded by lock */
	uint32_t *free_slots; /* guarded by lock; room for slots_made */
	size_t free_count;    /* guarded by lock */
};

struct caller {
	struct peer *peer;
	uint32_t slot;
	uint32_t serial;
	int fd; /* our end of the reply channel, or -1 */
	char *buffer;
};

struct peer *
peer_new(enum service_id id, int fd)
{
	struct peer *p = memory_get(sizeof(*p));

	p->id = id;
	p->fd = fd;
	pthread_mutex_init(&p->lock, NULL);
	return p;
}

void
peer_free(struct peer *p)
{
	if (p == NULL)
		return;
	fd_drop(&p->fd);
	pthread_mutex_destroy(&p->lock);
	free(p->free_slots);
	free(p);
}

static uint32_t
slot_get(struct peer *p)
{
	uint32_t slot;

	pthread_mutex_lock(&p->lock);
	if (p->free_count > 0) {
		slot = p->free_slots[--p->free_count];
	} else {
		slot = p->slots_made++;
		assert(slot < RPC_SLOTS_MAX);
		p->free_slots =
			memory_resize(p->free_slots, p->slots_made, sizeof(*p->free_slots));
	}
	pthread_mutex_unlock(&p->lock);
	return slot;
}

static void
slot_give_back(struct peer *p, uint32_t slot)
{
	pthread_mutex_lock(&p->lock);
	p->free_slots[p->free_count++] = slot;
	pthread_mutex_unlock(&p->lock);
}

struct caller *
caller_new(struct peer *p)
{
	struct caller *c = memory_get(sizeof(*c));

	c->peer = p;
	c->fd = -1;
	if (p != NULL)
		c->slot = slot_get(p);
	return c;
}

void
caller_free(struct caller *c)
{
	if (c == NULL)
		return;
	fd_drop(&c->fd);
	if (c->peer != NULL)
		slot_give_back(c->peer, c->slot);
	free(c->buffer);
	free(c);
}

static void
write_header(struct buf *head, const struct request *r, const struct caller *c, bool registers)
{
	buf_u16(head, r->type);
	buf_u16(head, registers);
	buf_u32(head, c->slot);
	buf_u32(head, c->serial);
}

/* A new reply channel: *ret_far goes to the server. */
static Err
register_anew(struct caller *c, int *ret_far)
{
	int pair[2];

	TRY(channel_pair(pair));
	c->fd = pair[0];
	*ret_far = pair[1];
	return OK;
}

/* Whoever only tells never reads, so it would not learn otherwise that the server has died. */
static void
notice_death(struct caller *c)
{
	struct pollfd p = { .fd = c->fd, .events = 0 };

	if (c->fd >= 0 && poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR)) != 0)
		fd_drop(&c->fd);
}

static Err
send_request(struct caller *c, const struct request *r)
{
	char room[RPC_HEADER];
	struct buf head = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	int fds[CHANNEL_FDS_MAX];
	size_t fd_count = 0;
	AUTO_FD far = -1;
	bool registers;
	Err e;

	notice_death(c);
	registers = c->fd < 0;
	assert(r->fd_count <= RPC_FDS_MAX);
	if (c->peer == NULL)
		return fail(ERR_TEMP, "service is not there");
	if (registers) {
		TRY(register_anew(c, &far));
		fds[fd_count++] = far;
	}
	for (size_t i = 0; i < r->fd_count; i++)
		fds[fd_count++] = r->fds[i];
	c->serial++;
	write_header(&head, r, c, registers);
	e = channel_send(c->peer->fd, (Str[]){ buf_view(&head), r->fields, r->body }, 3, fds,
		fd_count, moment_after(r->timeout));
	if (failed(e) && registers)
		fd_drop(&c->fd);
	return e.kind == ERR_GONE ? (Err){ ERR_TEMP, e.sys, e.what } : e;
}

/* The server died, or is too late to be believed: begin afresh with the next request. */
static Err
give_up(struct caller *c, Err e)
{
	fd_drop(&c->fd);
	return (Err){ ERR_TEMP, e.sys, e.what };
}

static Err
take_message(struct caller *c,
	Err (*receive)(struct caller *c, Moment until, struct channel_message *m), Moment until,
	struct reply *ret, uint32_t *ret_serial)
{
	if (c->fd < 0)
		return fail(ERR_TEMP, "nothing was asked");
	if (c->buffer == NULL)
		c->buffer = memory_get(CHANNEL_MESSAGE_MAX);
	TRY(receive(c, until, &ret->message));
	ret->fields = cursor_of(ret->message.bytes);
	*ret_serial = cursor_u32(&ret->fields);
	return OK;
}

static Err
receive_until(struct caller *c, Moment until, struct channel_message *m)
{
	Err e = channel_receive(c->fd, c->buffer, CHANNEL_MESSAGE_MAX, until, m);

	return failed(e) ? give_up(c, e) : OK;
}

static Err
receive_now(struct caller *c, Moment until, struct channel_message *m)
{
	Err e = channel_receive_now(c->fd, c->buffer, CHANNEL_MESSAGE_MAX, m);

	(void)until;
	return failed(e) && e.sys != EAGAIN ? give_up(c, e) : e;
}

Err
caller_next(struct caller *c, int timeout, struct reply *ret)
{
	Moment until = moment_after(timeout);
	uint32_t serial;

	for (;;) {
		TRY(take_message(c, receive_until, until, ret, &serial));
		if (serial == c->serial)
			return OK;
		channel_message_drop(&ret->message);
	}
}

Err
caller_ask(struct caller *c, const struct request *r, struct reply *ret)
{
	TRY(send_request(c, r));
	return caller_next(c, r->timeout, ret);
}

Err
caller_tell(struct caller *c, const struct request *r)
{
	return send_request(c, r);
}

Err
caller_send(struct caller *c, const struct request *r, uint32_t *ret_serial)
{
	TRY(send_request(c, r));
	*ret_serial = c->serial;
	return OK;
}

int
caller_fd(const struct caller *c)
{
	return c->fd;
}

Err
caller_receive(struct caller *c, struct reply *ret, uint32_t *ret_serial)
{
	return take_message(c, receive_now, MOMENT_NEVER, ret, ret_serial);
}
