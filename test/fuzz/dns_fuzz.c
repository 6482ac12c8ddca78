/* SPDX-License-Identifier: ISC */
/* DNS data: whatever parses is a name one may ask for, and written back parses to the same. */
#include "format/dns/ip.h"
#include "format/dns/record.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
write_name(Str name, struct buf *b)
{
	Str label, rest = name;

	while (rest.n > 0) {
		if (!str_split(rest, '.', &label, &rest)) {
			label = rest;
			rest = S("");
		}
		buf_u8(b, (uint8_t)label.n);
		buf_put(b, label);
	}
	buf_u8(b, 0);
}

static void
check_mx(Str data)
{
	AUTO_BUF host = BUF_INIT(1024);
	AUTO_BUF again = BUF_INIT(1024);
	AUTO_BUF wire = BUF_INIT(1024);
	uint16_t preference, second;

	if (failed(dns_record_parse_mx(data, &preference, &host)))
		return;
	if (host.n > 0 && !dns_record_name_valid(buf_view(&host)))
		__builtin_trap();
	buf_u8(&wire, (uint8_t)(preference >> 8));
	buf_u8(&wire, (uint8_t)preference);
	write_name(buf_view(&host), &wire);
	if (failed(dns_record_parse_mx(buf_view(&wire), &second, &again)) ||
		second != preference || !str_eq(buf_view(&host), buf_view(&again)))
		__builtin_trap();
}

/* A name alone takes no octet behind its root. */
static void
check_name(Str data)
{
	AUTO_BUF name = BUF_INIT(1024);
	struct cursor c = cursor_of(data);

	if (failed(dns_record_parse_name(&c, &name)))
		return;
	if (c.rest.n + name.n + (name.n > 0 ? 2 : 1) != data.n)
		__builtin_trap();
}

static void
check_ip(Str text)
{
	AUTO_BUF b = BUF_INIT(IP_TEXT_MAX);
	Ip ip, again;
	IpNetwork net;

	if (!failed(ip_network_parse(text, &net)) && !ip_network_has(net, net.ip))
		__builtin_trap();
	if (failed(ip_parse(text, &ip)))
		return;
	ip_write(ip, &b);
	if (failed(ip_parse(buf_view(&b), &again)) || !ip_eq(ip, again))
		__builtin_trap();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str s = { (const char *)data, size };
	AUTO_BUF text = BUF_INIT(4096);

	check_mx(s);
	check_name(s);
	check_ip(s);
	if (!failed(dns_record_parse_txt(s, &text)) && text.n >= size)
		__builtin_trap();
	return 0;
}
