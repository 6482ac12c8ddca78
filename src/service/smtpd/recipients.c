/* SPDX-License-Identifier: ISC */
#include "service/smtpd/recipients.h"

#include "base/hash.h"
#include "base/memory.h"
#include "format/address/address.h"
#include "os/clock.h"

#include <pthread.h>
#include <stdlib.h>

struct place {
	char address[ADDRESS_MAX + 1];
	size_t n;
	Moment until;
	struct directory_recipient answer;
};

/*
 * Shared between threads: all of it, behind the lock. An address has one place; the last one that
 * came to it wins.
 */
struct smtpd_recipients {
	HashKey key;
	pthread_mutex_t lock;
	struct place places[SMTPD_RECIPIENTS_KEPT];
};

struct smtpd_recipients *
smtpd_recipients_new(void)
{
	struct smtpd_recipients *r = memory_get(sizeof(*r));

	r->key = hash_key_new();
	pthread_mutex_init(&r->lock, NULL);
	return r;
}

void
smtpd_recipients_free(struct smtpd_recipients *r)
{
	if (r == NULL)
		return;
	pthread_mutex_destroy(&r->lock);
	free(r);
}

static struct place *
place_of(struct smtpd_recipients *r, Str address)
{
	return &r->places[hash_sip(r->key, address) % SMTPD_RECIPIENTS_KEPT];
}

bool
smtpd_recipients_get(struct smtpd_recipients *r, Str address, struct directory_recipient *ret)
{
	struct place *p = place_of(r, address);
	bool known;

	pthread_mutex_lock(&r->lock);
	known = p->n > 0 && str_eq((Str){ p->address, p->n }, address) &&
		!moment_past(p->until);
	if (known)
		*ret = p->answer;
	pthread_mutex_unlock(&r->lock);
	return known;
}

void
smtpd_recipients_put(struct smtpd_recipients *r, Str address,
	const struct directory_recipient *answer)
{
	struct place *p = place_of(r, address);

	pthread_mutex_lock(&r->lock);
	p->n = 0;
	if (!failed(str_c(address, p->address, sizeof(p->address)))) {
		p->n = address.n;
		p->until = moment_after(SMTPD_RECIPIENTS_MS);
		p->answer = *answer;
	}
	pthread_mutex_unlock(&r->lock);
}
