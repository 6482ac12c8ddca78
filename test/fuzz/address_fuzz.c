/* SPDX-License-Identifier: ISC */
/* Addresses: what is read lies inside the input, and what is written reads as the same address. */
#include "format/address/address.h"
#include "format/address/domain.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
need(bool is_so)
{
	if (!is_so)
		__builtin_trap();
}

static void
need_inside(Str part, Str whole)
{
	need(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void
check(Str text, const struct address *a)
{
	AUTO_BUF name = BUF_INIT(4096);
	AUTO_BUF written = BUF_INIT(4096);
	AUTO_BUF key = BUF_INIT(4096);
	AUTO_BUF back_key = BUF_INIT(4096);
	struct address back;

	need_inside(a->text, text);
	need_inside(a->local, text);
	need_inside(a->domain, text);
	if (a->domain.n == 0)
		return;
	address_put_local(&name, a);
	address_write(&written, buf_view(&name), a->domain);
	need(written.n <= a->text.n + 1); /* least quoting */
	if (failed(address_parse(buf_view(&written), ADDRESS_UTF8, &back)))
		__builtin_trap();
	need(str_eq(back.domain, a->domain));
	if (failed(address_put_key(&key, a)))
		return;
	need(!failed(address_put_key(&back_key, &back)));
	need(str_eq(buf_view(&key), buf_view(&back_key)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str text = { (const char *)data, size };
	AUTO_BUF b = BUF_INIT(8192);
	struct cursor c = cursor_of(text);
	struct address a;

	if (!failed(address_parse(text, ADDRESS_UTF8, &a)))
		check(text, &a);
	if (!failed(address_parse_path(&c, ADDRESS_UTF8 | ADDRESS_NULL | ADDRESS_POSTMASTER,
		    &a)))
		check(text, &a);
	address_domain_put_readable(&b, text);
	return 0;
}
