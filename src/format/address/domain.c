/* SPDX-License-Identifier: ISC */
#include "format/address/domain.h"

#include "base/utf8.h"
#include "format/address/address.h"

#include <idn2.h>

static Err
put_from_idn(struct buf *b, Str domain)
{
	char text[4 * ADDRESS_DOMAIN_MAX];
	char *ascii = NULL;
	int rc;

	TRY(str_c(domain, text, sizeof(text)));
	rc = idn2_to_ascii_8z(text, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT);
	if (rc != IDN2_OK)
		return fail(ERR_PEER, "domain has no A-label form");
	buf_put_c(b, ascii);
	idn2_free(ascii);
	return OK;
}

Err
address_domain_put_key(struct buf *b, Str domain)
{
	size_t start = b->n;

	if (str_starts(domain, S("["))) {
		buf_put(b, domain);
		buf_lower_from(b, start);
		return buf_check(b);
	}
	if (str_ends(domain, S(".")))
		domain.n--;
	if (domain.n == 0 || str_starts(domain, S(".")) ||
		str_find_str(domain, S("..")) != STR_NONE)
		return fail(ERR_PEER, "domain has an empty label");
	if (utf8_is_ascii(domain))
		buf_put(b, domain);
	else
		TRY(put_from_idn(b, domain));
	if (b->n - start > ADDRESS_DOMAIN_MAX)
		return fail(ERR_LIMIT, "domain is too long");
	buf_lower_from(b, start);
	return buf_check(b);
}

void
address_domain_put_readable(struct buf *b, Str domain)
{
	char text[4 * ADDRESS_DOMAIN_MAX];
	char *readable = NULL;

	if (str_find_icase(domain, S("xn--")) == STR_NONE ||
		failed(str_c(domain, text, sizeof(text))) ||
		idn2_to_unicode_8z8z(text, &readable, IDN2_NONTRANSITIONAL) != IDN2_OK) {
		buf_put(b, domain);
		return;
	}
	buf_put_c(b, readable);
	idn2_free(readable);
}
