/* SPDX-License-Identifier: ISC */
#include "service/smtpd/roll.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>

/*
 * Shared between threads: the list, behind the lock, and two flags. Whoever rests says so and then
 * looks whether all must go; whoever closes says so and then looks who rests: one of the two sees
 * the other (both are sequentially consistent), and no command costs a lock.
 */
struct smtpd_roll {
	pthread_mutex_t lock;
	struct list entries; /* guarded by lock */
	_Atomic bool closing;
};

struct smtpd_roll *
smtpd_roll_new(void)
{
	struct smtpd_roll *r = memory_get(sizeof(*r));

	pthread_mutex_init(&r->lock, NULL);
	list_init(&r->entries);
	return r;
}

void
smtpd_roll_add(struct smtpd_roll *r, struct smtpd_roll_entry *e, int fd)
{
	e->fd = fd;
	link_init(&e->link);
	pthread_mutex_lock(&r->lock);
	list_add_last(&r->entries, &e->link);
	pthread_mutex_unlock(&r->lock);
}

void
smtpd_roll_remove(struct smtpd_roll *r, struct smtpd_roll_entry *e)
{
	pthread_mutex_lock(&r->lock);
	link_remove(&e->link);
	pthread_mutex_unlock(&r->lock);
}

bool
smtpd_roll_rest(struct smtpd_roll *r, struct smtpd_roll_entry *e)
{
	atomic_store(&e->resting, true);
	return !atomic_load(&r->closing);
}

void
smtpd_roll_work(struct smtpd_roll_entry *e)
{
	atomic_store(&e->resting, false);
}

bool
smtpd_roll_closing(const struct smtpd_roll *r)
{
	return atomic_load(&r->closing);
}

void
smtpd_roll_close(struct smtpd_roll *r)
{
	atomic_store(&r->closing, true);
	pthread_mutex_lock(&r->lock);
	list_each (at, &r->entries) {
		struct smtpd_roll_entry *e = LINK_OWNER(at, struct smtpd_roll_entry, link);

		if (atomic_load(&e->resting))
			shutdown(e->fd, SHUT_RD);
	}
	pthread_mutex_unlock(&r->lock);
}
