/* SPDX-License-Identifier: ISC */
#include "os/certificate.h"

#include <limits.h>
#include <string.h>
#include <time.h>

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

static bool
to_time(const ASN1_TIME *asn1, Time *ret)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(asn1, &tm) != 1)
		return false;
	*ret = time_from_civil(&(struct civil){
		.year = tm.tm_year + 1900,
		.month = tm.tm_mon + 1,
		.day = tm.tm_mday,
		.hour = tm.tm_hour,
		.minute = tm.tm_min,
		.second = tm.tm_sec,
	});
	return true;
}

/* SHA-256 of the SubjectPublicKeyInfo, as key_id has it. */
static bool
to_key_id(X509 *x, KeyId *ret)
{
	unsigned char *info = NULL;
	int n = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(x), &info);
	size_t written = 0;
	bool good = n > 0 && EVP_Q_digest(NULL, "SHA256", NULL, info, (size_t)n, ret->octets,
				     &written) == 1;

	OPENSSL_free(info);
	return good && written == KEY_ID_SIZE;
}

static Err
look(X509 *x, Str host, struct certificate *ret)
{
	struct certificate c = { 0 };

	if (!to_time(X509_get0_notBefore(x), &c.begins) ||
		!to_time(X509_get0_notAfter(x), &c.ends) || !to_key_id(x, &c.key))
		return fail(ERR_PERM, "not a certificate that we understand");
	c.own_issuer = X509_NAME_cmp(X509_get_issuer_name(x), X509_get_subject_name(x)) == 0;
	c.names_host = host.n > 0 && X509_check_host(x, host.p, host.n, 0, NULL) == 1;
	*ret = c;
	return OK;
}

Err
certificate_read(Str pem, Str host, struct certificate *ret)
{
	BIO *bio = pem.n > INT_MAX ? NULL : BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *x = bio == NULL ? NULL : PEM_read_bio_X509(bio, NULL, NULL, NULL);
	Err e = x == NULL ? fail(ERR_PERM, "no certificate in it") : look(x, host, ret);

	X509_free(x);
	BIO_free(bio);
	return e;
}
