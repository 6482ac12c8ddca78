/* SPDX-License-Identifier: ISC */
/*
 * libunbound, tamed. Its thread resolves; answers come back through a pipe, and ub_process calls
 * `answered` on our thread, which only marks a slot. Slots never move and outlive every callback.
 */
#include "service/resolver/lookup.h"

#include "base/memory.h"
#include "format/dns/ip.h"
#include "format/dns/record.h"

#include <stdlib.h>
#include <unbound.h>

enum {
	CLASS_IN = 1,
	RCODE_NO_ERROR = 0,
	RCODE_NO_NAME = 3,
	DNS_PORT = 53,
};

struct slot {
	struct lookup *owner;
	struct slot *next; /* in the list of free or of answered slots */
	struct ub_result *result;
	uint64_t tag;
};

struct lookup {
	struct ub_ctx *unbound;
	struct slot *unused, *answered;
	struct slot slots[LOOKUP_MAX];
};

struct option {
	const char *name, *value;
};

static Err
set_options(struct ub_ctx *u, const struct option *options, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (ub_ctx_set_option(u, options[i].name, options[i].value) != 0)
			return fail(ERR_PERM, "libunbound refuses an option");
	return OK;
}

/*
 * outgoing-range: its thread waits with select(2), which sees descriptors under 1024 alone. A
 * name server that was down is tried again after a minute, not after a quarter of an hour: mail
 * is patient, but the operator who just repaired it is not.
 */
static Err
set_common(struct ub_ctx *u)
{
	static const struct option options[] = {
		{ "module-config:", "validator iterator" },
		{ "outgoing-range:", "256" },
		{ "outgoing-num-tcp:", "32" },
		{ "num-queries-per-thread:", "1024" },
		{ "edns-buffer-size:", "1232" },
		{ "qname-minimisation:", "yes" },
		{ "aggressive-nsec:", "yes" },
		{ "harden-dnssec-stripped:", "yes" },
		{ "harden-below-nxdomain:", "yes" },
		{ "harden-glue:", "yes" },
		{ "rrset-cache-size:", "16m" },
		{ "msg-cache-size:", "8m" },
		{ "key-cache-size:", "4m" },
		{ "neg-cache-size:", "1m" },
		{ "cache-max-negative-ttl:", "900" },
		{ "infra-host-ttl:", "60" },
	};

	return set_options(u, options, COUNT(options));
}

/* "ADDRESS:PORT" as libunbound wants it: ADDRESS@PORT. */
static Err
server_text(Str setting, Ip *ret_ip, char *text, size_t size)
{
	AUTO_BUF b = BUF_INIT(IP_TEXT_MAX + sizeof("@65535"));
	SettingAddress address;

	if (failed(settings_address_parse(setting, &address)) ||
		failed(ip_parse(address.host, ret_ip)))
		return fail(ERR_PERM, "a name server is not ADDRESS or ADDRESS:PORT");
	ip_write(*ret_ip, &b);
	buf_printf(&b, "@%u", address.port > 0 ? address.port : DNS_PORT);
	TRY(buf_check(&b));
	return str_c(buf_view(&b), text, size);
}

/*
 * Somebody's own name servers may live on loopback, and know private reverse zones, which
 * libunbound otherwise answers itself.
 */
static Err
set_servers(struct ub_ctx *u, const struct settings_resolver *settings)
{
	static const struct option own_network[] = {
		{ "unblock-lan-zones:", "yes" },
		{ "insecure-lan-zones:", "yes" },
	};
	const SettingList *list =
		settings->roots.n > 0 ? &settings->roots : &settings->forwarders;
	struct option loopback = { "do-not-query-localhost:", "yes" };

	for (uint32_t i = 0; i < list->n; i++) {
		char text[IP_TEXT_MAX + sizeof("@65535")];
		Ip ip;
		int e;

		TRY(server_text(list->items[i], &ip, text, sizeof(text)));
		if (ip_is_loopback(ip))
			loopback.value = "no";
		e = list == &settings->roots ? ub_ctx_set_stub(u, ".", text, false)
					     : ub_ctx_set_fwd(u, text);
		if (e != 0)
			return fail(ERR_PERM, "libunbound refuses a name server");
	}
	if (list->n > 0)
		TRY(set_options(u, own_network, COUNT(own_network)));
	return set_options(u, &loopback, 1);
}

/* The keys of the public root: IANA's KSK-2017 and KSK-2024 as DS records. */
static const char *const root_anchors[] = {
	". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
	". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

static Err
add_anchors(struct ub_ctx *u, Str anchor)
{
	char text[4096];

	if (str_eq(anchor, S("none")))
		return OK;
	if (anchor.n > 0) {
		if (failed(str_c(anchor, text, sizeof(text))) || ub_ctx_add_ta(u, text) != 0)
			return fail(ERR_PERM, "libunbound refuses the trust anchor");
		return OK;
	}
	for (size_t i = 0; i < COUNT(root_anchors); i++)
		if (ub_ctx_add_ta(u, root_anchors[i]) != 0)
			return fail(ERR_PERM, "libunbound refuses the root's trust anchor");
	return OK;
}

static Err
set_up(struct ub_ctx *u, const struct settings_resolver *settings)
{
	ub_ctx_debugout(u, NULL); /* it would write to stderr */
	if (ub_ctx_async(u, true) != 0)
		return fail(ERR_PERM, "libunbound refuses to use a thread");
	TRY(set_common(u));
	TRY(set_servers(u, settings));
	TRY(add_anchors(u, settings->trust_anchor));
	/* Settings are final from here on. libunbound would answer NXDOMAIN for .test itself. */
	if (ub_ctx_zone_remove(u, "test.") != 0)
		return fail(ERR_PERM, "libunbound refuses its settings");
	/* Somebody's own name servers may know the names of loopback, too. */
	if (settings->forwarders.n + settings->roots.n > 0 &&
		ub_ctx_zone_remove(u, "127.in-addr.arpa.") != 0)
		return fail(ERR_PERM, "libunbound refuses its settings");
	return OK;
}

Err
lookup_new(const struct settings_resolver *settings, struct lookup **ret)
{
	AUTO(lookup) l = memory_get(sizeof(*l));

	for (size_t i = 0; i < LOOKUP_MAX; i++) {
		l->slots[i].owner = l;
		l->slots[i].next = l->unused;
		l->unused = &l->slots[i];
	}
	l->unbound = ub_ctx_create();
	if (l->unbound == NULL)
		return fail_sys(ERR_TEMP, "starting libunbound");
	TRY(set_up(l->unbound, settings));
	*ret = TAKE(l);
	return OK;
}

void
lookup_free(struct lookup *l)
{
	if (l == NULL)
		return;
	if (l->unbound != NULL)
		ub_ctx_delete(l->unbound);
	for (struct slot *s = l->answered; s != NULL; s = s->next)
		if (s->result != NULL)
			ub_resolve_free(s->result);
	free(l);
}

/* Runs inside ub_process. error != 0: there is no result. */
static void
answered(void *data, int error, struct ub_result *result)
{
	struct slot *s = data;

	if (error != 0 && result != NULL) {
		ub_resolve_free(result);
		result = NULL;
	}
	s->result = result;
	s->next = s->owner->answered;
	s->owner->answered = s;
}

Err
lookup_begin(struct lookup *l, Str name, uint16_t type, uint64_t tag)
{
	struct slot *s = l->unused;
	char text[DNS_NAME_MAX + 2];

	if (s == NULL)
		return fail(ERR_LIMIT, "too many DNS questions at once");
	TRY(str_c(name, text, sizeof(text)));
	l->unused = s->next;
	s->tag = tag;
	if (ub_resolve_async(l->unbound, text, type, CLASS_IN, s, answered, NULL) == 0)
		return OK;
	s->next = l->unused;
	l->unused = s;
	return fail(ERR_TEMP, "asking libunbound");
}

int
lookup_fd(const struct lookup *l)
{
	return ub_fd(l->unbound);
}

void
lookup_collect(struct lookup *l)
{
	ub_process(
		l->unbound); /* a failure leaves answers in the pipe: the caller asks again */
}

static enum resolver_outcome
outcome_of(const struct ub_result *r)
{
	if (r == NULL || r->bogus)
		return RESOLVER_LATER;
	if (r->havedata)
		return RESOLVER_FOUND;
	if (r->nxdomain || r->rcode == RCODE_NO_NAME)
		return RESOLVER_NO_NAME;
	return r->rcode == RCODE_NO_ERROR ? RESOLVER_NO_DATA : RESOLVER_LATER;
}

static enum resolver_security
security_of(const struct ub_result *r)
{
	if (r != NULL && r->bogus)
		return RESOLVER_BOGUS;
	return r != NULL && r->secure ? RESOLVER_SECURE : RESOLVER_INSECURE;
}

bool
lookup_take(struct lookup *l, struct lookup_answer *ret)
{
	struct slot *s = l->answered;
	struct ub_result *r;

	if (s == NULL)
		return false;
	r = s->result;
	*ret = (struct lookup_answer){
		.tag = s->tag, .outcome = outcome_of(r), .security = security_of(r), .owner = r
	};
	if (ret->outcome != RESOLVER_LATER)
		ret->ttl = r->ttl < 0 ? 0 : (uint32_t)r->ttl;
	if (ret->outcome == RESOLVER_FOUND) {
		ret->alias = r->canonname != NULL;
		for (size_t i = 0; i < LOOKUP_RECORDS_MAX && r->data[i] != NULL; i++)
			ret->records[ret->count++] = (Str){ r->data[i], (size_t)r->len[i] };
	}
	l->answered = s->next;
	*s = (struct slot){ .owner = l, .next = l->unused };
	l->unused = s;
	return true;
}

void
lookup_answer_done(struct lookup_answer *a)
{
	if (a->owner != NULL)
		ub_resolve_free(a->owner);
	a->owner = NULL;
}
