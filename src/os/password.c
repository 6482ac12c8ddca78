/* SPDX-License-Identifier: ISC */
#include "os/password.h"

#include "base/encode.h"
#include "base/memory.h"

#include <argon2.h>
#include <crypt.h>
#include <stdlib.h>
#include <sys/random.h>

enum {
	SALT = 16,                 /* octets */
	TAG = 32,                  /* octets */
	TAG_MAX = 128,             /* octets of an imported one */
	MEMORY_MOST = 1024 * 1024, /* KiB that an imported hash may ask for */
	PASSES_MOST = 100,
	LANES_MOST = 64,
};

static const char *const crypt_prefixes[] = { "$y$", "$6$", "$5$", "$2b$", "$2y$", "$2a$",
	"$1$" };

/* Base64 without padding, as libargon2 writes it. */
static void
put_bare_base64(struct buf *b, Str s)
{
	encode_base64(b, s);
	while (b->n > 0 && str_ends(buf_view(b), S("=")))
		buf_cut(b, b->n - 1);
}

static Err
decode_bare_base64(Str s, struct buf *ret)
{
	AUTO_BUF padded = BUF_INIT(PASSWORD_HASH_MAX);

	buf_put(&padded, s);
	while (padded.n % 4 != 0 && !padded.bad)
		buf_put_char(&padded, '=');
	TRY(buf_check(&padded));
	return decode_base64(buf_view(&padded), ret);
}

static Err
argon_failure(int code)
{
	if (code == ARGON2_MEMORY_ALLOCATION_ERROR)
		return fail(ERR_TEMP, "no memory to hash a password");
	return fail(ERR_PERM, "argon2 refuses its parameters");
}

Err
password_hash(Str password, struct buf *ret)
{
	char salt[SALT], tag[TAG];
	int code;

	if (password.n > PASSWORD_MAX)
		return fail(ERR_LIMIT, "password is too long");
	if (getrandom(salt, sizeof(salt), 0) != (ssize_t)sizeof(salt))
		return fail_sys(ERR_TEMP, "no random numbers");
	code = argon2id_hash_raw(PASSWORD_PASSES, PASSWORD_MEMORY, 1, password.p, password.n,
		salt, sizeof(salt), tag, sizeof(tag));
	if (code != ARGON2_OK)
		return argon_failure(code);
	buf_printf(ret, "$argon2id$v=19$m=%d,t=%d,p=1$", PASSWORD_MEMORY, PASSWORD_PASSES);
	put_bare_base64(ret, (Str){ salt, sizeof(salt) });
	buf_put_char(ret, '$');
	put_bare_base64(ret, (Str){ tag, sizeof(tag) });
	return buf_check(ret);
}

bool
password_hash_known(Str hash)
{
	if (hash.n > PASSWORD_HASH_MAX)
		return false;
	for (size_t i = 0; i < COUNT(crypt_prefixes); i++)
		if (str_starts(hash, str_from(crypt_prefixes[i])))
			return true;
	return str_starts(hash, S("$argon2id$v=19$"));
}

/* Without a difference in time that tells where they differ. */
static bool
same(Str a, Str b)
{
	unsigned char difference = 0;

	if (a.n != b.n)
		return false;
	for (size_t i = 0; i < a.n; i++)
		difference |= (unsigned char)(str_at(a, i) ^ str_at(b, i));
	return difference == 0;
}

static bool
take_number(struct cursor *c, Str name, uint64_t most, uint32_t *ret)
{
	uint64_t value;

	if (!cursor_take_str(c, name) ||
		!str_to_u64(cursor_while(c, char_is_digit), most, &value))
		return false;
	*ret = (uint32_t)value;
	return true;
}

/*
 * $argon2id$v=19$m=KIB,t=PASSES,p=LANES$SALT$TAG. Read here because argon2_verify would start a
 * thread for each lane, behind walls.
 */
static Err
verify_argon(Str hash, Str password, bool *ret)
{
	struct cursor c = cursor_of(hash);
	AUTO_BUF salt = BUF_INIT(PASSWORD_HASH_MAX);
	AUTO_BUF tag = BUF_INIT(PASSWORD_HASH_MAX);
	uint8_t got[TAG_MAX];
	argon2_context context = { .out = got, .version = ARGON2_VERSION_13, .threads = 1 };
	int code;

	if (!cursor_take_str(&c, S("$argon2id$v=19$")) ||
		!take_number(&c, S("m="), MEMORY_MOST, &context.m_cost) ||
		!take_number(&c, S(",t="), PASSES_MOST, &context.t_cost) ||
		!take_number(&c, S(",p="), LANES_MOST, &context.lanes) ||
		!cursor_take_char(&c, '$') ||
		failed(decode_bare_base64(cursor_until(&c, '$'), &salt)) ||
		!cursor_take_char(&c, '$') || failed(decode_bare_base64(c.rest, &tag)) ||
		tag.n > TAG_MAX)
		return fail(ERR_PERM, "not a hash of argon2id");
	context.outlen = (uint32_t)tag.n;
	context.salt = (uint8_t *)salt.p;
	context.saltlen = (uint32_t)salt.n;
	context.pwd = (uint8_t *)(uintptr_t)password.p;
	context.pwdlen = (uint32_t)password.n;
	code = argon2_ctx(&context, Argon2_id);
	if (code != ARGON2_OK)
		return argon_failure(code);
	*ret = same((Str){ (const char *)got, tag.n }, buf_view(&tag));
	return OK;
}

static Err
verify_crypt(Str hash, Str password, bool *ret)
{
	char setting[PASSWORD_HASH_MAX + 1], phrase[PASSWORD_MAX + 1];
	struct crypt_data *data;
	const char *got;

	*ret = false;
	if (failed(str_c(hash, setting, sizeof(setting))))
		return fail(ERR_PERM, "not a hash of crypt(3)");
	if (failed(str_c(password, phrase, sizeof(phrase))))
		return OK; /* crypt(3) cannot have hashed a NUL */
	data = memory_get(sizeof(*data));
	got = crypt_rn(phrase, setting, data, (int)sizeof(*data));
	*ret = got != NULL && same(str_from(got), hash);
	explicit_bzero(phrase, sizeof(phrase));
	explicit_bzero(data, sizeof(*data));
	free(data);
	return OK;
}

Err
password_verify(Str hash, Str password, bool *ret)
{
	if (hash.n == 0 || password.n > PASSWORD_MAX) {
		*ret = false;
		return OK;
	}
	if (!password_hash_known(hash))
		return fail(ERR_PERM, "not a password's hash");
	if (str_starts(hash, S("$argon2id$")))
		return verify_argon(hash, password, ret);
	return verify_crypt(hash, password, ret);
}
