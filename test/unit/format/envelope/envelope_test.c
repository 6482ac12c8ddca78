/* SPDX-License-Identifier: ISC */
#include "format/envelope/envelope.h"
#include "test.h"

static struct envelope_recipient recipients[] = {
	{ S("jane@example.org"), ENVELOPE_LOCAL, 0, 0 },
	{ S("\xc3\xbc@example.net"), ENVELOPE_REMOTE, 7, 500 },
};

static const struct envelope sample = {
	.sender = S("john@example.com"),
	.client = S("mx.example.com[192.0.2.1]"),
	.session = S("s1"),
	.account = 3,
	.flags = ENVELOPE_8BIT | ENVELOPE_UTF8,
	.size = 12345,
	.began = { 1 },
	.queued = { 2 },
	.recipients = recipients,
	.recipient_count = COUNT(recipients),
};

static void
test_round_trip(void **state)
{
	AUTO_BUF written = BUF_INIT(4096);
	AUTO_BUF again = BUF_INIT(4096);
	AUTO(arena) a = arena_new(4096);
	struct envelope e;
	struct cursor c;

	(void)state;
	envelope_write(&written, &sample);
	c = cursor_of(exact(buf_view(&written)));
	assert_ok(envelope_parse(&c, a, &e));
	assert_int_equal(0, c.rest.n);
	envelope_write(&again, &e);
	assert_str(buf_view(&written), buf_view(&again));
	assert_int_equal(500, e.recipients[1].cursor);
}

static void
test_every_cut_is_refused(void **state)
{
	AUTO_BUF written = BUF_INIT(4096);

	(void)state;
	envelope_write(&written, &sample);
	for (size_t n = 0; n < written.n; n++) {
		AUTO(arena) a = arena_new(4096);
		struct cursor c = cursor_of(exact(str_part(buf_view(&written), 0, n)));
		struct envelope e;

		assert_err(ERR_PEER, envelope_parse(&c, a, &e));
	}
}

static const struct {
	const char *why;
	Str text;
	bool good;
	uint64_t id;
} ids[] = {
	{ "padded", S("000000002A"), true, 42 },
	{ "lower case is read", S("2ad596513b"), true, 0x2ad596513b },
	{ "largest", S("FFFFFFFFFFFFFFFF"), true, UINT64_MAX },
	{ "too long", S("00000000000000001"), false, 0 },
	{ "not a digit", S("2AD596513G"), false, 0 },
	{ "empty", S(""), false, 0 },
};

static void
test_queue_ids(void **state)
{
	AUTO_BUF b = BUF_INIT(QUEUE_ID_TEXT_MAX);

	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++) {
		uint64_t id = 0;

		if (failed(queue_id_parse(exact(ids[i].text), &id)) == ids[i].good ||
			id != ids[i].id)
			fail_msg("%s", ids[i].why);
	}
	queue_id_write(&b, 42);
	assert_str(S("000000002A"), buf_view(&b));
	buf_reset(&b);
	queue_id_write(&b, UINT64_MAX);
	assert_str(S("FFFFFFFFFFFFFFFF"), buf_view(&b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_cut_is_refused),
		cmocka_unit_test(test_queue_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
