/* SPDX-License-Identifier: ISC */
#include "os/tls_provider.h"

#include "base/memory.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/*
 * How OpenSSL 3 is led to us. libssl signs with EVP_DigestSign. For that EVP first tries its
 * default signature code, and asks our key management to export the key there: we export public
 * halves only, so that fails, and EVP falls back to the signature code of the key's own provider.
 * To compare certificate and key, EVP moves the certificate's key into ours (import) and calls
 * match.
 */

#define PROVIDER_NAME "posthorn"
#define PARAM_SIGNER "posthorn-signer" /* an address in this process: see tls_provider_key */

struct tls_provider {
	OSSL_PROVIDER *own, *standard;
};

/* A key of ours; without a signer a public one, made by import for a comparison. */
struct remote_key {
	bool rsa;
	EVP_PKEY *public; /* of OpenSSL's own provider */
	struct tls_signer signer;
	KeyId id;
};

struct signature {
	struct remote_key *key; /* the caller keeps it alive */
	char digest[16];
	bool pss;
};

static void *
new_ec(void *provider)
{
	(void)provider;
	return calloc(1, sizeof(struct remote_key));
}

static void *
new_rsa(void *provider)
{
	struct remote_key *k = new_ec(provider);

	if (k != NULL)
		k->rsa = true;
	return k;
}

static void
free_key(void *key)
{
	struct remote_key *k = key;

	if (k == NULL)
		return;
	EVP_PKEY_free(k->public);
	free(k);
}

static int
has(const void *key, int selection)
{
	const struct remote_key *k = key;

	if (k->public == NULL)
		return 0;
	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) == 0 || k->signer.sign != NULL;
}

static int
match(const void *a, const void *b, int selection)
{
	const struct remote_key *one = a, *other = b;

	(void)selection;
	return one->public != NULL && other->public != NULL &&
	       EVP_PKEY_eq(one->public, other->public) == 1;
}

static EVP_PKEY *
import_public(bool rsa, const OSSL_PARAM *params)
{
	EVP_PKEY_CTX *c =
		EVP_PKEY_CTX_new_from_name(NULL, rsa ? "RSA" : "EC", "provider=default");
	EVP_PKEY *made = NULL;

	if (c != NULL && EVP_PKEY_fromdata_init(c) == 1)
		EVP_PKEY_fromdata(c, &made, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params);
	EVP_PKEY_CTX_free(c);
	return made;
}

static int
import(void *key, int selection, const OSSL_PARAM *params)
{
	struct remote_key *k = key;
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, PARAM_SIGNER);
	const void *from = NULL;
	size_t n = 0;

	(void)selection;
	if (p == NULL) {
		k->public = import_public(k->rsa, params);
		return k->public != NULL;
	}
	if (OSSL_PARAM_get_octet_ptr(p, &from, &n) != 1 || n != sizeof(*k))
		return 0;
	*k = *(const struct remote_key *)from;
	return EVP_PKEY_up_ref(k->public);
}

static int export(void *key, int selection, OSSL_CALLBACK *take, void *with)
{
	const struct remote_key *k = key;

	if (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY)
		return 0;
	return EVP_PKEY_export(k->public, selection, take, with);
}

static int
get_params(void *key, OSSL_PARAM *params)
{
	const struct remote_key *k = key;

	return EVP_PKEY_get_params(k->public, params);
}

/* A superset: OpenSSL's own provider fills those that the key has. */
static const OSSL_PARAM *
gettable_params(void *provider)
{
	static const OSSL_PARAM names[] = {
		OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
		OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)provider;
	return names;
}

static const OSSL_PARAM *
transfer_types(int selection)
{
	static const OSSL_PARAM names[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
		OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
		OSSL_PARAM_octet_ptr(PARAM_SIGNER, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)selection;
	return names;
}

static const char *
ec_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

static const char *
rsa_operation(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "RSA" : NULL;
}

static void *
new_signature(void *provider, const char *properties)
{
	(void)provider;
	(void)properties;
	return calloc(1, sizeof(struct signature));
}

static void
free_signature(void *signature)
{
	free(signature);
}

static void *
copy_signature(void *signature)
{
	struct signature *s = calloc(1, sizeof(*s));

	if (s != NULL)
		*s = *(const struct signature *)signature;
	return s;
}

/* Padding comes as a number or as its name. */
static int
set_params(void *signature, const OSSL_PARAM *params)
{
	struct signature *s = signature;
	const OSSL_PARAM *p = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	const char *text = NULL;
	int number = 0;

	if (p == NULL)
		return 1;
	if (p->data_type == OSSL_PARAM_UTF8_STRING) {
		if (OSSL_PARAM_get_utf8_string_ptr(p, &text) != 1)
			return 0;
		s->pss = str_eq(str_from(text), S(OSSL_PKEY_RSA_PAD_MODE_PSS));
		return 1;
	}
	if (OSSL_PARAM_get_int(p, &number) != 1)
		return 0;
	s->pss = number == RSA_PKCS1_PSS_PADDING;
	return s->pss || number == RSA_PKCS1_PADDING;
}

/* The salt is always as long as the digest, as TLS wants it (RFC 8446, 4.2.3). */
static const OSSL_PARAM *
settable_params(void *signature, void *provider)
{
	static const OSSL_PARAM names[] = {
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
		OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0),
		OSSL_PARAM_END,
	};

	(void)signature;
	(void)provider;
	return names;
}

static int
sign_init(void *signature, const char *digest, void *key, const OSSL_PARAM *params)
{
	struct signature *s = signature;

	if (digest == NULL || failed(str_c(str_from(digest), s->digest, sizeof(s->digest))))
		return 0;
	if (key != NULL)
		s->key = key;
	return s->key != NULL && s->key->signer.sign != NULL && set_params(s, params);
}

static bool
find_scheme(const struct signature *s, enum key_scheme *ret)
{
	/* By the names that OpenSSL's own provider gives its digests. */
	static const struct {
		Str digest;
		enum key_scheme ecdsa, pss, pkcs1;
	} by_digest[] = {
		{ S("SHA2-256"), KEY_ECDSA_SHA256, KEY_RSA_PSS_SHA256, KEY_RSA_PKCS1_SHA256 },
		{ S("SHA2-384"), KEY_ECDSA_SHA384, KEY_RSA_PSS_SHA384, KEY_RSA_PKCS1_SHA384 },
		{ S("SHA2-512"), KEY_ECDSA_SHA512, KEY_RSA_PSS_SHA512, KEY_RSA_PKCS1_SHA512 },
	};

	for (size_t i = 0; i < COUNT(by_digest); i++) {
		if (!str_eq(by_digest[i].digest, str_from(s->digest)))
			continue;
		if (!s->key->rsa)
			*ret = by_digest[i].ecdsa;
		else
			*ret = s->pss ? by_digest[i].pss : by_digest[i].pkcs1;
		return true;
	}
	return false;
}

static int
sign(void *signature, unsigned char *room, size_t *n, size_t size, const unsigned char *message,
	size_t message_size)
{
	struct signature *s = signature;
	AUTO_BUF made = BUF_INIT(KEY_SIGNATURE_MAX);
	enum key_scheme scheme;

	if (room == NULL) {
		*n = (size_t)EVP_PKEY_get_size(s->key->public);
		return 1;
	}
	if (!find_scheme(s, &scheme) ||
		failed(s->key->signer.sign(s->key->signer.with, s->key->id, scheme,
			(Str){ (const char *)message, message_size }, &made)))
		return 0;
	if (made.n == 0 || made.n > size)
		return 0;
	memcpy(room, made.p, made.n);
	*n = made.n;
	return 1;
}

#define ENTRY(id, function) \
	{ \
		OSSL_FUNC_##id, (void (*)(void))(function) \
	}

#define KEY_MANAGEMENT(maker, operation) \
	{ \
		ENTRY(KEYMGMT_NEW, maker), ENTRY(KEYMGMT_FREE, free_key), \
			ENTRY(KEYMGMT_HAS, has), ENTRY(KEYMGMT_MATCH, match), \
			ENTRY(KEYMGMT_IMPORT, import), \
			ENTRY(KEYMGMT_IMPORT_TYPES, transfer_types), \
			ENTRY(KEYMGMT_EXPORT, export), \
			ENTRY(KEYMGMT_EXPORT_TYPES, transfer_types), \
			ENTRY(KEYMGMT_GET_PARAMS, get_params), \
			ENTRY(KEYMGMT_GETTABLE_PARAMS, gettable_params), \
			ENTRY(KEYMGMT_QUERY_OPERATION_NAME, operation), { 0, NULL }, \
	}

static const OSSL_DISPATCH ec_keys[] = KEY_MANAGEMENT(new_ec, ec_operation);
static const OSSL_DISPATCH rsa_keys[] = KEY_MANAGEMENT(new_rsa, rsa_operation);

static const OSSL_DISPATCH signing[] = {
	ENTRY(SIGNATURE_NEWCTX, new_signature),
	ENTRY(SIGNATURE_FREECTX, free_signature),
	ENTRY(SIGNATURE_DUPCTX, copy_signature),
	ENTRY(SIGNATURE_DIGEST_SIGN_INIT, sign_init),
	ENTRY(SIGNATURE_DIGEST_SIGN, sign),
	ENTRY(SIGNATURE_SET_CTX_PARAMS, set_params),
	ENTRY(SIGNATURE_SETTABLE_CTX_PARAMS, settable_params),
	{ 0, NULL },
};

static const OSSL_ALGORITHM *
query(void *provider, int operation, int *no_cache)
{
	static const char properties[] = "provider=" PROVIDER_NAME;
	static const OSSL_ALGORITHM keys[] = {
		{ "EC:id-ecPublicKey", properties, ec_keys, NULL },
		{ "RSA:rsaEncryption", properties, rsa_keys, NULL },
		{ NULL, NULL, NULL, NULL },
	};
	static const OSSL_ALGORITHM signatures[] = {
		{ "ECDSA", properties, signing, NULL },
		{ "RSA:rsaEncryption", properties, signing, NULL },
		{ NULL, NULL, NULL, NULL },
	};

	(void)provider;
	*no_cache = 0;
	if (operation == OSSL_OP_KEYMGMT)
		return keys;
	return operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int
init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
	void **ret_provider)
{
	static const OSSL_DISPATCH functions[] = {
		ENTRY(PROVIDER_QUERY_OPERATION, query),
		{ 0, NULL },
	};

	(void)in;
	*out = functions;
	*ret_provider = (void *)handle;
	return 1;
}

static void
register_provider(void)
{
	OSSL_PROVIDER_add_builtin(NULL, PROVIDER_NAME, init);
}

Err
tls_provider_load(struct tls_provider **ret)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	AUTO(tls_provider) p = memory_get(sizeof(*p));

	/* Naming one provider switches off the automatic loading of the standard one. */
	p->standard = OSSL_PROVIDER_load(NULL, "default");
	pthread_once(&once, register_provider);
	if (p->standard == NULL || (p->own = OSSL_PROVIDER_load(NULL, PROVIDER_NAME)) == NULL ||
		/* Ephemeral keys and all else: never ours. */
		EVP_set_default_properties(NULL, "?provider=default") != 1)
		return fail(ERR_PERM, "OpenSSL takes no provider");
	*ret = TAKE(p);
	return OK;
}

void
tls_provider_free(struct tls_provider *p)
{
	if (p == NULL)
		return;
	if (p->own != NULL)
		OSSL_PROVIDER_unload(p->own);
	if (p->standard != NULL)
		OSSL_PROVIDER_unload(p->standard);
	free(p);
}

static Err
find_id(EVP_PKEY *public, KeyId *ret)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(public, &der);
	bool done =
		n > 0 && EVP_Digest(der, (size_t)n, ret->octets, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return done ? OK : fail(ERR_PERM, "certificate without a public key");
}

Err
tls_provider_key(struct tls_provider *p, EVP_PKEY *public, struct tls_signer signer,
	EVP_PKEY **ret)
{
	struct remote_key k = { .public = public, .signer = signer };
	void *from = &k;
	OSSL_PARAM params[] = {
		OSSL_PARAM_octet_ptr(PARAM_SIGNER, &from, sizeof(k)),
		OSSL_PARAM_END,
	};
	EVP_PKEY_CTX *c;
	EVP_PKEY *made = NULL;

	(void)p;
	k.rsa = EVP_PKEY_is_a(public, "RSA") == 1;
	if (!k.rsa && EVP_PKEY_is_a(public, "EC") != 1)
		return fail(ERR_PERM, "certificate's key is neither EC nor RSA");
	TRY(find_id(public, &k.id));
	c = EVP_PKEY_CTX_new_from_name(NULL, k.rsa ? "RSA" : "EC", "provider=" PROVIDER_NAME);
	if (c != NULL && EVP_PKEY_fromdata_init(c) == 1)
		EVP_PKEY_fromdata(c, &made, EVP_PKEY_KEYPAIR, params);
	EVP_PKEY_CTX_free(c);
	if (made == NULL)
		return fail(ERR_PERM, "OpenSSL takes no key from us");
	*ret = made;
	return OK;
}
