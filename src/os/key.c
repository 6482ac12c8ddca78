/* SPDX-License-Identifier: ISC */
#include "os/key.h"

#include "base/memory.h"

#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

enum {
	SELF_SIGNED_DAYS = 3650,
	NAMES_MAX = 4096, /* octets of all names of a certificate */
};

struct key {
	EVP_PKEY *private;
	KeyId id;
	bool rsa;
};

static const struct scheme {
	enum key_scheme scheme;
	const char *digest;
	bool rsa, pss;
} schemes[] = {
	{ KEY_ECDSA_SHA256, "SHA256", false, false },
	{ KEY_RSA_PSS_SHA256, "SHA256", true, true },
	{ KEY_ECDSA_SHA384, "SHA384", false, false },
	{ KEY_ECDSA_SHA512, "SHA512", false, false },
	{ KEY_RSA_PSS_SHA384, "SHA384", true, true },
	{ KEY_RSA_PSS_SHA512, "SHA512", true, true },
	{ KEY_RSA_PKCS1_SHA256, "SHA256", true, false },
	{ KEY_RSA_PKCS1_SHA384, "SHA384", true, false },
	{ KEY_RSA_PKCS1_SHA512, "SHA512", true, false },
};

/* OpenSSL's objects as owners. */
static void
drop_bio(BIO **b)
{
	BIO_free_all(*b);
}

static void
drop_pkey(EVP_PKEY **p)
{
	EVP_PKEY_free(*p);
}

static void
drop_md(EVP_MD_CTX **m)
{
	EVP_MD_CTX_free(*m);
}

static void
drop_x509(X509 **x)
{
	X509_free(*x);
}

#define OWN(drop) __attribute__((cleanup(drop)))

static Err
find_id(EVP_PKEY *pkey, KeyId *ret)
{
	unsigned char *der = NULL;
	int n = i2d_PUBKEY(pkey, &der);
	bool done =
		n > 0 && EVP_Digest(der, (size_t)n, ret->octets, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	return done ? OK : fail(ERR_PERM, "key without a public half");
}

static Err
check_kind(const struct key *k)
{
	char group[32] = "";
	int bits = EVP_PKEY_get_bits(k->private);

	if (k->rsa)
		return bits >= KEY_RSA_BITS_MIN && bits <= KEY_RSA_BITS_MAX
			       ? OK
			       : fail(ERR_PERM,
					 "RSA key has less than 2048 or more than 8192 bits");
	if (!EVP_PKEY_is_a(k->private, "EC") ||
		EVP_PKEY_get_group_name(k->private, group, sizeof(group), NULL) != 1 ||
		!str_eq(str_from(group), S("prime256v1")))
		return fail(ERR_PERM, "key is neither RSA nor EC on P-256");
	return OK;
}

/* Nobody types a password here: an encrypted key is an error, not a question. */
static int /* NOLINTNEXTLINE(readability-non-const-parameter): OpenSSL's type */
no_password(char *p, int size, int writing, void *with)
{
	(void)p;
	(void)size;
	(void)writing;
	(void)with;
	return -1;
}

Err
key_read(Str pem, struct key **ret)
{
	AUTO(key) k = memory_get(sizeof(*k));
	OWN(drop_bio) BIO *b = NULL;

	if (pem.n > INT32_MAX || OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return fail(ERR_PERM, "OpenSSL does not start");
	b = BIO_new_mem_buf(pem.p, (int)pem.n);
	if (b == NULL)
		return fail(ERR_TEMP, "no memory for a key");
	k->private = PEM_read_bio_PrivateKey(b, NULL, no_password, NULL);
	if (k->private == NULL)
		return fail(ERR_PERM, "not an unencrypted private key in PEM");
	k->rsa = EVP_PKEY_is_a(k->private, "RSA") == 1;
	TRY(check_kind(k));
	TRY(find_id(k->private, &k->id));
	*ret = TAKE(k);
	return OK;
}

void
key_free(struct key *k)
{
	if (k == NULL)
		return;
	EVP_PKEY_free(k->private);
	free(k);
}

KeyId
key_id(const struct key *k)
{
	return k->id;
}

Err
key_sign(const struct key *k, enum key_scheme scheme, Str message, struct buf *ret)
{
	OWN(drop_md) EVP_MD_CTX *m = EVP_MD_CTX_new();
	EVP_PKEY_CTX *options; /* m's */
	const struct scheme *s = schemes;
	size_t n = KEY_SIGNATURE_MAX;
	char *room;

	while (s < schemes + COUNT(schemes) && s->scheme != scheme)
		s++;
	if (s == schemes + COUNT(schemes) || s->rsa != k->rsa)
		return fail(ERR_PEER, "this key does not sign like that");
	room = buf_room(ret, KEY_SIGNATURE_MAX);
	if (m == NULL || room == NULL)
		return fail(ERR_TEMP, "no memory for a signature");
	if (EVP_DigestSignInit_ex(m, &options, s->digest, NULL, NULL, k->private, NULL) != 1 ||
		(s->pss && (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
				   EVP_PKEY_CTX_set_rsa_pss_saltlen(options,
					   RSA_PSS_SALTLEN_DIGEST) != 1)) ||
		EVP_DigestSign(m, (unsigned char *)room, &n, (const unsigned char *)message.p,
			message.n) != 1)
		return fail(ERR_TEMP, "signing failed");
	buf_grew(ret, n);
	return OK;
}

/* subjectAltName (RFC 5280, 4.2.1.6), "DNS:a, DNS:b". */
static Err
add_names(X509 *x, const Str *names, size_t count)
{
	AUTO_BUF text = BUF_INIT(NAMES_MAX);
	X509_EXTENSION *extension;
	bool added;

	for (size_t i = 0; i < count; i++) {
		if (str_has(names[i], ',') || str_has(names[i], '\0'))
			return fail(ERR_PERM, "not a host name");
		buf_printf(&text, "%sDNS:%.*s", i == 0 ? "" : ", ", STR_ARG(names[i]));
	}
	buf_put_char(&text, '\0');
	TRY(buf_check(&text));
	extension = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, text.p);
	added = extension != NULL && X509_add_ext(x, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return added ? OK : fail(ERR_PERM, "not host names for a certificate");
}

static Err
fill_certificate(X509 *x, EVP_PKEY *pkey, const Str *names, size_t count, Time now)
{
	X509_NAME *subject = X509_get_subject_name(x); /* x's */
	uint64_t serial;

	if (RAND_bytes((unsigned char *)&serial, sizeof(serial)) != 1)
		return fail(ERR_TEMP, "no random numbers");
	if (X509_set_version(x, X509_VERSION_3) != 1 ||
		ASN1_INTEGER_set_uint64(X509_get_serialNumber(x), serial >> 1) != 1 ||
		ASN1_TIME_set(X509_getm_notBefore(x), time_seconds(now) - DAY) == NULL ||
		ASN1_TIME_set(X509_getm_notAfter(x),
			time_seconds(now) + (int64_t)SELF_SIGNED_DAYS * DAY) == NULL ||
		X509_set_pubkey(x, pkey) != 1 ||
		X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
			(const unsigned char *)names[0].p, (int)names[0].n, -1, 0) != 1 ||
		X509_set_issuer_name(x, subject) != 1)
		return fail(ERR_PERM, "cannot make a certificate");
	TRY(add_names(x, names, count));
	if (X509_sign(x, pkey, EVP_sha256()) == 0)
		return fail(ERR_PERM, "cannot sign a certificate");
	return OK;
}

static Err
take_pem(BIO *b, int written, struct buf *ret)
{
	char *p;
	long n = BIO_get_mem_data(b, &p);

	if (written != 1 || n <= 0)
		return fail(ERR_TEMP, "no memory for PEM");
	buf_put(ret, (Str){ p, (size_t)n });
	return buf_check(ret);
}

Err
key_make_self_signed(const Str *names, size_t count, Time now, struct buf *ret_key,
	struct buf *ret_certificate)
{
	OWN(drop_pkey) EVP_PKEY *pkey = NULL;
	OWN(drop_x509) X509 *x = NULL;
	OWN(drop_bio) BIO *key_pem = NULL;
	OWN(drop_bio) BIO *certificate_pem = NULL;

	if (OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL) != 1)
		return fail(ERR_PERM, "OpenSSL does not start");
	pkey = EVP_EC_gen("P-256");
	x = X509_new();
	key_pem = BIO_new(BIO_s_secmem());
	certificate_pem = BIO_new(BIO_s_mem());
	if (pkey == NULL || x == NULL || key_pem == NULL || certificate_pem == NULL)
		return fail(ERR_TEMP, "no memory for a new key");
	if (count == 0 || names[0].n == 0)
		return fail(ERR_PERM, "certificate without a name");
	TRY(fill_certificate(x, pkey, names, count, now));
	TRY(take_pem(key_pem,
		PEM_write_bio_PrivateKey(key_pem, pkey, NULL, NULL, 0, NULL, NULL), ret_key));
	return take_pem(certificate_pem, PEM_write_bio_X509(certificate_pem, x),
		ret_certificate);
}
