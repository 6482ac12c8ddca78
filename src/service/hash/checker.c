/* SPDX-License-Identifier: ISC */
/*
 * What is remembered is not the password: it is 128 bits of keyed hash (SipHash under two keys of
 * this process) over the password and the stored hash that it fitted. A changed password has another
 * stored hash, so nothing need be told when one changes.
 */
#include "service/hash/checker.h"

#include "base/map.h"
#include "base/memory.h"
#include "os/password.h"
#include "rpc/hash.h"

#include <stdlib.h>

struct waiting {
	ReplyTo reply_to;
	size_t hash_n, password_n;
	char hash[PASSWORD_HASH_MAX];
	char password[PASSWORD_MAX];
};

struct remembered {
	uint64_t first, second;
	Moment until;
};

struct checker {
	HashKey first, second;
	struct map *remembered; /* first -> struct remembered */
	struct waiting *ring;   /* CHECKER_WAITING_MAX of them */
	size_t head, count;
};

struct checker *
checker_new(void)
{
	struct checker *k = memory_get(sizeof(*k));

	k->first = hash_key_new();
	k->second = hash_key_new();
	k->remembered = map_new();
	k->ring = memory_get_array(CHECKER_WAITING_MAX, sizeof(*k->ring));
	return k;
}

static void
forget_all(struct checker *k)
{
	size_t at = 0;

	for (struct remembered *r; (r = map_each(k->remembered, &at)) != NULL;)
		free(r);
	map_free(k->remembered);
	k->remembered = map_new();
}

void
checker_free(struct checker *k)
{
	if (k == NULL)
		return;
	forget_all(k);
	map_free(k->remembered);
	explicit_bzero(k->ring, CHECKER_WAITING_MAX * sizeof(*k->ring));
	free(k->ring);
	explicit_bzero(k, sizeof(*k));
	free(k);
}

static struct remembered
digest(const struct checker *k, const struct hash_verify *v)
{
	char room[PASSWORD_HASH_MAX + PASSWORD_MAX + 8];
	struct buf both = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct remembered r;

	buf_str(&both, v->hash);
	buf_str(&both, v->password);
	r.first = hash_sip(k->first, buf_view(&both));
	r.second = hash_sip(k->second, buf_view(&both));
	explicit_bzero(room, sizeof(room));
	return r;
}

static bool
is_remembered(struct checker *k, const struct hash_verify *v)
{
	struct remembered want = digest(k, v);
	struct remembered *r = map_get(k->remembered, want.first);

	if (r == NULL || r->second != want.second)
		return false;
	if (!moment_past(r->until))
		return true;
	free(map_remove(k->remembered, want.first));
	return false;
}

static void
remember(struct checker *k, const struct hash_verify *v)
{
	struct remembered *r;

	if (map_count(k->remembered) >= CHECKER_REMEMBERED_MAX)
		forget_all(k);
	r = memory_get(sizeof(*r));
	*r = digest(k, v);
	r->until = moment_after(CHECKER_REMEMBER);
	free(map_set(k->remembered, r->first, r));
}

static void
answer(struct server *s, ReplyTo to, Err verdict, bool right)
{
	char room[16];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	Str part;

	hash_write_verify(&b, verdict, right);
	part = buf_view(&b);
	/* An asker that is gone or does not read gets nothing. */
	(void)server_answer(s, to, &part, 1, NULL, 0).kind;
}

/* Answers at once what needs no work; the rest waits its turn. */
static void
take(struct checker *k, struct server *s, struct server_request *r)
{
	struct hash_verify v;
	struct waiting *w;
	Err e = hash_parse_verify(&r->fields, &v);
	struct buf hash, password;

	if (failed(e) || k->count == CHECKER_WAITING_MAX) {
		answer(s, r->reply_to,
			failed(e) ? e : fail(ERR_TEMP, "too many passwords to check"), false);
		return;
	}
	if (is_remembered(k, &v)) {
		answer(s, r->reply_to, OK, true);
		return;
	}
	w = &k->ring[(k->head + k->count++) % CHECKER_WAITING_MAX];
	hash = (struct buf){ .p = w->hash, .cap = sizeof(w->hash), .max = sizeof(w->hash) };
	password = (struct buf){
		.p = w->password, .cap = sizeof(w->password), .max = sizeof(w->password)
	};
	buf_put(&hash, v.hash);
	buf_put(&password, v.password);
	w->hash_n = hash.n;
	w->password_n = password.n;
	w->reply_to = r->reply_to;
	/* Not to linger in the server's buffer either, which is ours to write. */
	explicit_bzero((void *)(uintptr_t)v.password.p, v.password.n);
}

static void
check_one(struct checker *k, struct server *s)
{
	struct waiting *w = &k->ring[k->head];
	struct hash_verify v = { { w->hash, w->hash_n }, { w->password, w->password_n } };
	bool right = false;
	Err e = password_verify(v.hash, v.password, &right);

	if (!failed(e) && right)
		remember(k, &v);
	answer(s, w->reply_to, e, right);
	explicit_bzero(w, sizeof(*w));
	k->head = (k->head + 1) % CHECKER_WAITING_MAX;
	k->count--;
}

Err
checker_turn(struct checker *k, struct server *s, Moment until, void (*turn)(void *arg),
	void *arg)
{
	struct server_request *batch;
	size_t n;

	TRY(server_take(s, k->count > 0 ? moment_after(0) : until, &batch, &n));
	for (size_t i = 0; i < n; i++)
		if (batch[i].type == HASH_VERIFY)
			take(k, s, &batch[i]);
		else if (turn != NULL)
			turn(arg);
	if (k->count > 0)
		check_one(k, s);
	return OK;
}
