/* SPDX-License-Identifier: ISC */
#include "service/keys/keyring.h"

#include "base/memory.h"
#include "rpc/keys.h"
#include "rpc/verdict.h"
#include "service/keys/shape.h"

#include <stdlib.h>

enum {
	ANSWER_MAX = KEY_SIGNATURE_MAX + 64,
};

struct keyring {
	struct key **keys;
	size_t count;
};

struct keyring *
keyring_new(void)
{
	return memory_get(sizeof(struct keyring));
}

void
keyring_free(struct keyring *k)
{
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->count; i++)
		key_free(k->keys[i]);
	free(k->keys);
	free(k);
}

size_t
keyring_count(const struct keyring *k)
{
	return k->count;
}

static const struct key *
find(const struct keyring *k, const KeyId *id)
{
	for (size_t i = 0; i < k->count; i++) {
		KeyId have = key_id(k->keys[i]);

		if (memcmp(&have, id, sizeof(have)) == 0)
			return k->keys[i];
	}
	return NULL;
}

Err
keyring_add(struct keyring *k, Str pem)
{
	AUTO(key) key = NULL;
	KeyId id;

	TRY(key_read(pem, &key));
	id = key_id(key);
	if (find(k, &id) != NULL)
		return OK;
	k->keys = memory_resize(k->keys, k->count + 1, sizeof(struct key *));
	k->keys[k->count++] = TAKE(key);
	return OK;
}

Err
keyring_sign(struct keyring *k, const KeyId *id, enum key_scheme scheme, Str message,
	struct buf *ret)
{
	const struct key *key = find(k, id);

	if (key == NULL)
		return fail(ERR_PERM, "no such key");
	TRY(keys_shape_check(scheme, message));
	return key_sign(key, scheme, message, ret);
}

void
keyring_answer(struct keyring *k, struct server *s, struct server_request *r)
{
	char room[KEY_SIGNATURE_MAX], answer_room[ANSWER_MAX];
	struct buf signature = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct buf b = { .p = answer_room, .cap = sizeof(answer_room), .max = ANSWER_MAX };
	struct keys_sign_request asked;
	Err e = keys_parse_sign(&r->fields, &asked);
	Str part;

	if (!failed(e))
		e = keyring_sign(k, &asked.id, asked.scheme, asked.message, &signature);
	if (failed(e))
		verdict_write(&b, e);
	else
		keys_write_signature(&b, buf_view(&signature));
	part = buf_view(&b);
	/* An asker that does not read gets nothing; that is its own affair. */
	(void)server_answer(s, r->reply_to, &part, 1, NULL, 0);
}
