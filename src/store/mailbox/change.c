/* SPDX-License-Identifier: ISC */
/*
 * Several threads, one sync. The first thread to change something opens a transaction of the
 * driver; whoever gets the lock before it is committed adds to it. A thread that is done waits
 * until nobody else stands at the lock wanting to change something; the last one commits for all.
 * While it syncs, it holds the lock, so the next ones gather behind it and share the next sync.
 *
 * A change that fails inside a shared transaction is taken back alone (mark, unmark). A commit that
 * fails takes back all, and the arrays are read again.
 */
#include "store/mailbox/change.h"

#include "base/memory.h"
#include "store/mailbox/model.h"

#include <stdlib.h>

static Err
begin(struct mailbox *m)
{
	if (m->transaction != NULL) {
		TRY(m->driver->mark(m));
		m->transaction->members++;
		return OK;
	}
	TRY(m->driver->begin(m));
	m->transaction = memory_get(sizeof(*m->transaction));
	m->transaction->members = 1;
	m->change++;
	return OK;
}

static void
finish(struct mailbox *m, Err e)
{
	m->transaction->done = true;
	m->transaction->outcome = e;
	m->transaction = NULL;
	m->change_done = m->change;
	pthread_cond_broadcast(&m->committed);
}

/* Folders whose counts changed are kept once for the whole transaction. */
static Err
put_folders(struct mailbox *m)
{
	list_each (at, &m->dirty)
		TRY(m->driver->put_folder(m, LINK_OWNER(at, struct folder, dirty)));
	return OK;
}

/* Sessions that wait hear of it now: a wake-up before the commit would only find the lock taken. */
static void
wake_sessions(struct mailbox *m)
{
	list_each (at, &m->dirty) {
		struct folder *f = LINK_OWNER(at, struct folder, dirty);

		link_remove(&f->dirty);
		model_wake(f);
	}
}

static void
commit(struct mailbox *m)
{
	Err e = put_folders(m);

	if (!failed(e))
		e = m->driver->commit(m, m->transaction->durable);
	if (failed(e)) {
		m->driver->abort(m);
		model_reload(m);
	} else {
		wake_sessions(m);
	}
	finish(m, e);
}

static void
take_back(struct mailbox *m, Err e)
{
	struct transaction *t = m->transaction;

	if (t->members > 1) {
		t->members--;
		m->driver->unmark(m);
		pthread_cond_broadcast(&m->committed); /* somebody may be the last now */
		return;
	}
	m->driver->abort(m);
	finish(m, e);
	free(t);
}

static Err
wait_for_commit(struct mailbox *m)
{
	struct transaction *t = m->transaction;
	Err e;

	while (!t->done) {
		if (atomic_load(&m->entering) == 0)
			commit(m);
		else
			pthread_cond_wait(&m->committed, &m->lock);
	}
	e = t->outcome;
	if (--t->members == 0)
		free(t);
	return e;
}

Err
change_begin_locked(struct mailbox *m)
{
	return begin(m);
}

Err
change_end_locked(struct mailbox *m, Err e, enum mailbox_durability how)
{
	if (failed(e)) {
		take_back(m, e);
		return e;
	}
	if (how == MAILBOX_DURABLE)
		m->transaction->durable = true;
	return wait_for_commit(m);
}

Err
change_begin(struct mailbox *m)
{
	Err e;

	atomic_fetch_add(&m->entering, 1);
	pthread_mutex_lock(&m->lock);
	atomic_fetch_sub(&m->entering, 1);
	e = begin(m);
	if (failed(e)) {
		pthread_cond_broadcast(&m->committed);
		pthread_mutex_unlock(&m->lock);
	}
	return e;
}

Err
change_end(struct mailbox *m, Err e, enum mailbox_durability how)
{
	e = change_end_locked(m, e, how);
	pthread_mutex_unlock(&m->lock);
	return e;
}
