/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What a driver of the queue keeps: records in order, and bodies too long for a record. The
 * contracts are those of store/journal.h; the functions are the driver's own.
 */

#include "store/journal.h"
#include "store/queue.h"

struct driver;

struct driver_ops {
	void (*free)(struct driver *d);
	Err (*replay)(struct driver *d, const struct journal_reader *reader, void *self);
	size_t (*payload_max)(const struct driver *d);
	bool (*fits)(const struct driver *d, size_t size);
	bool (*has_room)(struct driver *d, size_t size);
	/* The position that the next record will have, if its size is this. */
	Err (*next)(struct driver *d, size_t size, uint64_t *ret);
	Err (*add)(struct driver *d, uint16_t type, const Str *parts, size_t part_count,
		uint64_t *ret);
	Err (*write)(struct driver *d);
	Err (*commit)(struct driver *d);
	Err (*read)(struct driver *d, uint64_t position, uint16_t *ret_type, struct buf *ret);
	uint64_t (*end)(const struct driver *d);
	uint64_t (*floor)(const struct driver *d);
	Err (*set_floor)(struct driver *d, uint64_t floor);
	bool (*oldest)(const struct driver *d, uint64_t *ret_behind, size_t *ret_closed);
	Err (*prepare)(struct driver *d, bool *ret_more);
	void (*rest)(struct driver *d);
	struct journal_figures (*figures)(const struct driver *d);

	/* Bodies by id. save: from bytes or (fd >= 0) a memfd; durable only after sync_bodies. */
	Err (*save_body)(struct driver *d, uint64_t id, Str bytes, int fd, uint64_t size,
		uint32_t *ret_sum);
	Err (*sync_bodies)(struct driver *d);
	Err (*load_body)(struct driver *d, uint64_t id, uint64_t size, struct buf *ret);
	void (*remove_body)(struct driver *d, uint64_t id);
	/* Removes all bodies that nobody wants. */
	void (*sweep_bodies)(struct driver *d, bool (*wanted)(void *self, uint64_t id),
		void *self);
};

struct driver {
	const struct driver_ops *ops;
};

MUST_USE Err driver_local_open(int spool, const struct queue_limits *limits,
	struct driver **ret);
struct driver *driver_ram_new(void);
/* What was committed stays, as after a crash. */
void driver_ram_crash(struct driver *d);
