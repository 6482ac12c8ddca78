/* SPDX-License-Identifier: ISC */
#include "store/queue/message.h"

#include "base/memory.h"
#include "store/queue/schedule.h"

#include <stdlib.h>

/* Copies a string into the room at *at. */
static Str
put_text(char **at, Str s)
{
	Str copy = { *at, s.n };

	if (s.n > 0)
		memcpy(*at, s.p, s.n);
	*at += s.n;
	return copy;
}

static char *
add_text(struct message *m, size_t size)
{
	struct text *t = memory_get(sizeof(*t) + size);

	t->next = m->texts;
	m->texts = t;
	return t->bytes;
}

struct message *
message_new(uint64_t id, const struct envelope *e)
{
	struct message *m = memory_get(sizeof(*m));
	char *at;

	m->id = m->position = id;
	m->size = e->size;
	m->account = e->account;
	m->began = e->began;
	m->queued = e->queued;
	m->flags = e->flags;
	m->body_fd = -1;
	m->next_number = 1;
	link_init(&m->order);
	list_init(&m->parts);
	at = add_text(m, e->sender.n + e->client.n + e->session.n);
	m->sender = put_text(&at, e->sender);
	m->client = put_text(&at, e->client);
	m->session = put_text(&at, e->session);
	message_add_recipients(m, e->recipients, e->recipient_count);
	return m;
}

void
message_add_recipients(struct message *m, const struct envelope_recipient *r, size_t count)
{
	size_t size = 0;
	char *at;

	if (count == 0)
		return;
	if (m->count + count > m->cap) {
		m->cap = (uint32_t)(m->count + count);
		m->recipients = memory_resize(m->recipients, m->cap, sizeof(*m->recipients));
	}
	for (size_t i = 0; i < count; i++)
		size += r[i].address.n;
	at = add_text(m, size);
	for (size_t i = 0; i < count; i++) {
		m->recipients[m->count++] = (struct recipient){
			.address = put_text(&at, r[i].address),
			.number = r[i].number,
			.class = (uint8_t)r[i].class,
			.cursor = r[i].cursor,
			.state = QUEUE_WAITING,
		};
		if (r[i].number >= m->next_number)
			m->next_number = r[i].number + 1;
	}
	m->open += (uint32_t)count;
}

struct recipient *
message_find(struct message *m, uint32_t number)
{
	size_t low = 0, high = m->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (m->recipients[middle].number == number)
			return &m->recipients[middle];
		if (m->recipients[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

void
message_drop_body(struct queue *q, struct message *m)
{
	if (m->body == NULL && m->body_fd < 0)
		return;
	free(m->body);
	m->body = NULL;
	fd_drop(&m->body_fd);
	q->figures.memory -= m->size;
}

void
message_free(struct queue *q, struct message *m)
{
	while (!list_empty(&m->parts))
		schedule_part_freed(q,
			LINK_OWNER(list_first(&m->parts), struct part, in_message));
	message_drop_body(q, m);
	link_remove(&m->order);
	for (uint32_t i = 0; i < m->count; i++)
		free(m->recipients[i].reason);
	free(m->recipients);
	while (m->texts != NULL) {
		struct text *t = m->texts;

		m->texts = t->next;
		free(t);
	}
	free(m);
}

void
message_fill_envelope(const struct message *m, struct envelope *ret)
{
	*ret = (struct envelope){ .sender = m->sender,
		.client = m->client,
		.session = m->session,
		.account = m->account,
		.flags = m->flags,
		.size = m->size,
		.began = m->began,
		.queued = m->queued };
}

void
recipient_set_reason(struct recipient *r, Str status, Str text, Str remote)
{
	struct queue_reason *reason;
	char *at;

	status = str_part(status, 0, 16);
	text = str_part(text, 0, QUEUE_RESULT_TEXT_MAX);
	remote = str_part(remote, 0, QUEUE_RESULT_TEXT_MAX);
	free(r->reason);
	r->reason = NULL;
	if (status.n + text.n + remote.n == 0)
		return;
	reason = memory_get(sizeof(*reason) + status.n + text.n + remote.n);
	at = (char *)(reason + 1);
	reason->status = put_text(&at, status);
	reason->text = put_text(&at, text);
	reason->remote = put_text(&at, remote);
	r->reason = reason;
}
