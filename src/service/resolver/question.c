/* SPDX-License-Identifier: ISC */
#include "service/resolver/question.h"

#include "format/dns/record.h"

static struct resolver_status *
status_of(struct question *q)
{
	switch (q->request) {
	case RESOLVER_ASK_MX:
		return &q->answer.mx.status;
	case RESOLVER_ASK_ADDRESSES:
		return &q->answer.addresses.status;
	case RESOLVER_ASK_NAME:
		return &q->answer.name.status;
	case RESOLVER_ASK_TEXTS:
		break;
	}
	return &q->answer.texts.status;
}

static void
add_ask(struct question *q, Str name, uint16_t type)
{
	if (q->ask_count < QUESTION_ASKS_MAX)
		q->asks[q->ask_count++] = (struct question_ask){ name, type };
}

static Err
init_reverse(struct question *q, Str address)
{
	AUTO_BUF reverse = BUF_INIT(IP_REVERSE_MAX);
	Str name;

	TRY(ip_parse(address, &q->ip));
	ip_write_reverse(q->ip, &reverse);
	TRY(buf_check(&reverse));
	TRY(arena_copy(q->arena, buf_view(&reverse), &name));
	add_ask(q, name, DNS_TYPE_PTR);
	return OK;
}

Err
question_init(struct question *q, enum resolver_request request, Str name, struct arena *arena)
{
	*q = (struct question){ .request = request, .arena = arena };
	*status_of(q) = (struct resolver_status){
		.outcome = RESOLVER_NO_NAME, .security = RESOLVER_SECURE, .ttl = UINT32_MAX
	};
	if (request == RESOLVER_ASK_NAME)
		return init_reverse(q, name);
	if (!dns_record_name_valid(name))
		return fail(ERR_PEER, "not a name the DNS can have");
	TRY(arena_copy(arena, name, &name));
	switch (request) {
	case RESOLVER_ASK_MX:
		add_ask(q, name, DNS_TYPE_MX);
		break;
	case RESOLVER_ASK_ADDRESSES:
		add_ask(q, name, DNS_TYPE_AAAA);
		add_ask(q, name, DNS_TYPE_A);
		break;
	case RESOLVER_ASK_TEXTS:
		add_ask(q, name, DNS_TYPE_TXT);
		break;
	case RESOLVER_ASK_NAME:
		break;
	}
	return OK;
}

bool
question_next(struct question *q, struct question_ask *ret, size_t *ret_number)
{
	if (q->asked == q->ask_count)
		return false;
	*ret = q->asks[q->asked];
	*ret_number = q->asked++;
	return true;
}

/* How much an outcome tells: of two answers about one name the better one counts. */
static int
rank(enum resolver_outcome outcome)
{
	static const int ranks[] = {
		[RESOLVER_FOUND] = 3,
		[RESOLVER_LATER] = 2,
		[RESOLVER_NO_DATA] = 1,
		[RESOLVER_NO_NAME] = 0,
	};

	return ranks[outcome];
}

static void
merge_status(struct resolver_status *s, const struct lookup_answer *a)
{
	static const int weakness[] = {
		[RESOLVER_SECURE] = 0,
		[RESOLVER_INSECURE] = 1,
		[RESOLVER_BOGUS] = 2,
	};

	if (rank(a->outcome) > rank(s->outcome))
		s->outcome = a->outcome;
	if (weakness[a->security] > weakness[s->security])
		s->security = a->security;
	if (a->ttl < s->ttl)
		s->ttl = a->ttl;
	s->alias |= a->alias;
}

/* Appends in the order of preference; equals stay in the order of the answer. */
static void
insert_exchanger(struct resolver_mx *mx, struct resolver_exchanger x)
{
	size_t at = mx->count;

	if (at == RESOLVER_EXCHANGERS_MAX) {
		if (mx->list[at - 1].preference <= x.preference)
			return;
		at--;
	} else {
		mx->count++;
	}
	for (; at > 0 && mx->list[at - 1].preference > x.preference; at--)
		mx->list[at] = mx->list[at - 1];
	mx->list[at] = x;
}

/* A record that is no MX, or names what no host can be called, is as if it were not there. */
static void
feed_mx(struct question *q, const struct lookup_answer *a)
{
	struct resolver_mx *mx = &q->answer.mx;

	for (size_t i = 0; i < a->count; i++) {
		AUTO_BUF host = BUF_INIT(DNS_NAME_MAX + 1);
		struct resolver_exchanger x;

		if (failed(dns_record_parse_mx(a->records[i], &x.preference, &host)) ||
			failed(arena_copy(q->arena, buf_view(&host), &x.host)))
			continue;
		insert_exchanger(mx, x);
	}
	if (a->count > 0 && mx->count == 0)
		mx->status.outcome =
			RESOLVER_LATER; /* all of them broken: somebody must repair it */
}

static void
feed_addresses(struct question *q, const struct lookup_answer *a)
{
	struct resolver_addresses *all = &q->answer.addresses;
	size_t room = RESOLVER_ADDRESSES_MAX / 2;

	for (size_t i = 0; i < a->count && room > 0 && all->count < RESOLVER_ADDRESSES_MAX;
		i++) {
		Ip ip;

		if (!ip_from_octets(a->records[i], &ip))
			continue;
		all->list[all->count++] = ip;
		room--;
	}
}

static void
feed_pointers(struct question *q, const struct lookup_answer *a)
{
	for (size_t i = 0; i < a->count && q->ask_count + 2 <= QUESTION_ASKS_MAX; i++) {
		AUTO_BUF host = BUF_INIT(DNS_NAME_MAX + 1);
		struct cursor c = cursor_of(a->records[i]);
		Str name;

		if (failed(dns_record_parse_name(&c, &host)) || host.n == 0 ||
			failed(arena_copy(q->arena, buf_view(&host), &name)))
			continue;
		add_ask(q, name, DNS_TYPE_AAAA);
		add_ask(q, name, DNS_TYPE_A);
	}
}

static void
feed_forward(struct question *q, size_t number, const struct lookup_answer *a)
{
	for (size_t i = 0; i < a->count; i++) {
		Ip ip;

		if (ip_from_octets(a->records[i], &ip) && ip_eq(ip, q->ip))
			q->verified[(number - 1) / 2] = true;
	}
}

static void
feed_texts(struct question *q, const struct lookup_answer *a)
{
	struct resolver_texts *texts = &q->answer.texts;

	for (size_t i = 0; i < a->count && texts->count < RESOLVER_TEXTS_MAX; i++) {
		AUTO_BUF text = BUF_INIT(RESOLVER_TEXT_MAX);
		Str copy;

		if (!failed(dns_record_parse_txt(a->records[i], &text)) &&
			!failed(arena_copy(q->arena, buf_view(&text), &copy)))
			texts->list[texts->count++] = copy;
	}
}

/* The PTR question is over: the first name that leads back counts. */
static void
finish_name(struct question *q)
{
	struct resolver_name *n = &q->answer.name;

	if (q->ask_count == 1 && n->status.outcome == RESOLVER_FOUND)
		n->status.outcome = RESOLVER_NO_DATA; /* its names are no host names */
	if (q->ask_count == 1)
		return;
	n->status.outcome = q->later ? RESOLVER_LATER : RESOLVER_NO_DATA;
	for (size_t i = 0; 1 + 2 * i < q->ask_count; i++) {
		if (!q->verified[i])
			continue;
		n->status.outcome = RESOLVER_FOUND;
		n->name = q->asks[1 + 2 * i].name;
		break;
	}
}

void
question_feed(struct question *q, size_t number, const struct lookup_answer *a)
{
	merge_status(status_of(q), a);
	q->later |= a->outcome == RESOLVER_LATER;
	switch (q->request) {
	case RESOLVER_ASK_MX:
		feed_mx(q, a);
		break;
	case RESOLVER_ASK_ADDRESSES:
		feed_addresses(q, a);
		break;
	case RESOLVER_ASK_NAME:
		if (number == 0)
			feed_pointers(q, a);
		else
			feed_forward(q, number, a);
		break;
	case RESOLVER_ASK_TEXTS:
		feed_texts(q, a);
		break;
	}
	q->answered++;
	if (question_done(q) && q->request == RESOLVER_ASK_NAME)
		finish_name(q);
}

bool
question_done(const struct question *q)
{
	return q->answered == q->ask_count;
}
