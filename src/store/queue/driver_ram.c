/* SPDX-License-Identifier: ISC */
#include "base/hash.h"
#include "base/map.h"
#include "base/memory.h"
#include "os/memfd.h"
#include "store/queue/driver.h"

#include <assert.h>
#include <stdlib.h>

enum {
	FIRST = 1 << 22, /* positions that look like the journal's */
	PAYLOAD_MAX = 4 * 1024 * 1024,
};

struct kept {
	uint64_t position;
	uint16_t type;
	Str payload;
};

struct body {
	uint64_t id;
	Str bytes;
	struct body *next;
};

struct ram {
	struct driver driver;
	struct kept *records;
	size_t count, cap;
	size_t committed; /* records before this one outlive a crash of the process */
	uint64_t next, floor, new_floor;
	struct body *bodies;
	uint64_t batches;
};

static struct ram *
ram_of(const struct driver *d)
{
	return (struct ram *)d;
}

static void
drop_from(struct ram *r, size_t at)
{
	for (size_t i = at; i < r->count; i++)
		memory_free_str(&r->records[i].payload);
	r->count = at;
}

static void
ram_free(struct driver *d)
{
	struct ram *r = ram_of(d);

	drop_from(r, 0);
	free(r->records);
	while (r->bodies != NULL) {
		struct body *body = r->bodies;

		r->bodies = body->next;
		memory_free_str(&body->bytes);
		free(body);
	}
	free(r);
}

static Err
ram_replay(struct driver *d, const struct journal_reader *reader, void *self)
{
	struct ram *r = ram_of(d);

	for (size_t i = 0; i < r->count; i++)
		if (r->records[i].position >= r->floor)
			TRY(reader->record(self,
				&(struct journal_record){ r->records[i].position,
					r->records[i].type, r->records[i].payload }));
	return OK;
}

static size_t
ram_payload_max(const struct driver *d)
{
	(void)d;
	return PAYLOAD_MAX;
}

static bool
ram_fits(const struct driver *d, size_t size)
{
	(void)d;
	return size <= PAYLOAD_MAX;
}

static bool
ram_has_room(struct driver *d, size_t size)
{
	return ram_fits(d, size);
}

static Err
ram_next(struct driver *d, size_t size, uint64_t *ret)
{
	(void)size;
	*ret = ram_of(d)->next;
	return OK;
}

static Err
ram_add(struct driver *d, uint16_t type, const Str *parts, size_t part_count, uint64_t *ret)
{
	struct ram *r = ram_of(d);
	AUTO_BUF payload = BUF_INIT(PAYLOAD_MAX);

	for (size_t i = 0; i < part_count; i++)
		buf_put(&payload, parts[i]);
	TRY(buf_check(&payload));
	if (r->count == r->cap) {
		r->cap = r->cap == 0 ? 64 : r->cap * 2;
		r->records = memory_resize(r->records, r->cap, sizeof(*r->records));
	}
	*ret = r->next;
	r->records[r->count++] =
		(struct kept){ r->next, type, memory_copy(buf_view(&payload)) };
	r->next += 1 + payload.n / 16;
	return OK;
}

static Err
ram_write(struct driver *d)
{
	ram_of(d)->committed = ram_of(d)->count;
	return OK;
}

static Err
ram_commit(struct driver *d)
{
	struct ram *r = ram_of(d);
	size_t below = 0;

	r->committed = r->count;
	r->floor = r->new_floor;
	r->batches++;
	while (below < r->count && r->records[below].position < r->floor)
		memory_free_str(&r->records[below++].payload);
	r->count -= below;
	r->committed -= below;
	if (below > 0)
		memmove(r->records, r->records + below, r->count * sizeof(*r->records));
	return OK;
}

static Err
ram_read(struct driver *d, uint64_t position, uint16_t *ret_type, struct buf *ret)
{
	struct ram *r = ram_of(d);

	buf_reset(ret);
	for (size_t i = 0; i < r->count; i++) {
		if (r->records[i].position != position)
			continue;
		*ret_type = r->records[i].type;
		buf_put(ret, r->records[i].payload);
		return buf_check(ret);
	}
	return fail(ERR_PERM, "no such record");
}

static uint64_t
ram_end(const struct driver *d)
{
	return ram_of(d)->next;
}

static uint64_t
ram_floor(const struct driver *d)
{
	return ram_of(d)->floor;
}

static Err
ram_set_floor(struct driver *d, uint64_t floor)
{
	if (floor > ram_of(d)->new_floor)
		ram_of(d)->new_floor = floor;
	return OK;
}

/* Everything is one segment that is never closed: nothing has to be moved out of the way. */
static bool
ram_oldest(const struct driver *d, uint64_t *ret_behind, size_t *ret_closed)
{
	(void)d;
	(void)ret_behind;
	(void)ret_closed;
	return false;
}

static Err
ram_prepare(struct driver *d, bool *ret_more)
{
	(void)d;
	*ret_more = false;
	return OK;
}

static void
ram_rest(struct driver *d)
{
	(void)d;
}

static struct journal_figures
ram_figures(const struct driver *d)
{
	return (struct journal_figures){ .batches = ram_of(d)->batches,
		.records = ram_of(d)->count };
}

static Err
ram_save_body(struct driver *d, uint64_t id, Str bytes, int fd, uint64_t size,
	uint32_t *ret_sum)
{
	struct ram *r = ram_of(d);
	struct body *body = memory_get(sizeof(*body));

	body->id = id;
	if (fd < 0) {
		body->bytes = memory_copy(bytes);
	} else {
		char *copy = memory_get(size + 1);

		body->bytes = (Str){ copy, size };
		assert(!failed(memfd_read(fd, 0, copy, size)));
	}
	body->next = r->bodies;
	r->bodies = body;
	*ret_sum = hash_crc32c(0, body->bytes);
	return OK;
}

static Err
ram_sync_bodies(struct driver *d)
{
	(void)d;
	return OK;
}

static Err
ram_load_body(struct driver *d, uint64_t id, uint64_t size, struct buf *ret)
{
	for (struct body *body = ram_of(d)->bodies; body != NULL; body = body->next) {
		if (body->id != id)
			continue;
		if (body->bytes.n != size)
			return fail(ERR_TEMP, "body is of another size");
		buf_put(ret, body->bytes);
		return buf_check(ret);
	}
	return fail(ERR_TEMP, "no such body");
}

static void
ram_remove_body(struct driver *d, uint64_t id)
{
	struct body **at = &ram_of(d)->bodies;

	while (*at != NULL) {
		struct body *body = *at;

		if (body->id != id) {
			at = &body->next;
			continue;
		}
		*at = body->next;
		memory_free_str(&body->bytes);
		free(body);
		return;
	}
}

static void
ram_sweep_bodies(struct driver *d, bool (*wanted)(void *self, uint64_t id), void *self)
{
	struct body *next;

	for (struct body *body = ram_of(d)->bodies; body != NULL; body = next) {
		next = body->next;
		if (!wanted(self, body->id))
			ram_remove_body(d, body->id);
	}
}

static const struct driver_ops ram_ops = {
	.free = ram_free,
	.replay = ram_replay,
	.payload_max = ram_payload_max,
	.fits = ram_fits,
	.has_room = ram_has_room,
	.next = ram_next,
	.add = ram_add,
	.write = ram_write,
	.commit = ram_commit,
	.read = ram_read,
	.end = ram_end,
	.floor = ram_floor,
	.set_floor = ram_set_floor,
	.oldest = ram_oldest,
	.prepare = ram_prepare,
	.rest = ram_rest,
	.figures = ram_figures,
	.save_body = ram_save_body,
	.sync_bodies = ram_sync_bodies,
	.load_body = ram_load_body,
	.remove_body = ram_remove_body,
	.sweep_bodies = ram_sweep_bodies,
};

struct driver *
driver_ram_new(void)
{
	struct ram *r = memory_get(sizeof(*r));

	r->driver.ops = &ram_ops;
	r->next = FIRST;
	r->floor = r->new_floor = FIRST;
	return &r->driver;
}

void
driver_ram_crash(struct driver *d)
{
	struct ram *r = ram_of(d);

	drop_from(r, r->committed);
	r->new_floor = r->floor;
}
