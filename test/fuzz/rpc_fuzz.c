/* SPDX-License-Identifier: ISC */
/* What a taken-over service could send another: the first octet chooses the reader. */
#include "rpc/admin.h"
#include "rpc/directory.h"
#include "rpc/log.h"
#include "rpc/mailbox.h"
#include "rpc/queue.h"
#include "rpc/start.h"

enum {
	SCRATCH = 4 * 1024 * 1024,
	LINE = 64 * 1024,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_inside(Str all, Str part)
{
	if (part.n > 0 && (part.p < all.p || part.p + part.n > all.p + all.n))
		__builtin_trap();
}

static void
read_submit(Str in, struct arena *a)
{
	struct channel_message none = { .fd_count = 0 };
	struct cursor c = cursor_of(in);
	struct queue_submit s;

	if (failed(queue_parse_submit(&c, &none, a, &s)))
		return;
	check_inside(in, s.envelope.sender);
	check_inside(in, s.body.bytes);
	for (size_t i = 0; i < s.envelope.recipient_count; i++)
		check_inside(in, s.envelope.recipients[i].address);
}

static void
read_outcomes(Str in, struct arena *a)
{
	struct cursor c = cursor_of(in);
	struct queue_outcome *outcomes;
	size_t count;

	if (failed(queue_parse_outcomes(&c, a, &outcomes, &count)))
		return;
	for (size_t i = 0; i < count; i++)
		check_inside(in, outcomes[i].text);
}

static void
read_expand(Str in, struct arena *a)
{
	struct cursor c = cursor_of(in);
	struct queue_expand e;

	if (failed(queue_parse_expand(&c, a, &e)))
		return;
	for (size_t i = 0; i < e.count; i++)
		check_inside(in, e.members[i].address);
}

static void
read_pull(Str in, struct arena *a)
{
	struct cursor c = cursor_of(in);
	struct queue_pull p;

	(void)a;
	if (!failed(queue_parse_pull(&c, &p)))
		check_inside(in, p.destination);
}

static void
read_login(Str in, struct arena *a)
{
	struct cursor c = cursor_of(in);
	struct directory_login l;

	(void)a;
	if (!failed(directory_parse_login(&c, &l)))
		check_inside(in, l.password);
}

static void
read_open(Str in, struct arena *a)
{
	AUTO_BUF again = BUF_INIT(LINE * 64);
	struct cursor c = cursor_of(in);
	struct mailbox_open o, same;

	(void)a;
	if (failed(mailbox_open_parse(&c, &o)))
		return;
	mailbox_open_write(&again, &o);
	c = cursor_of(buf_view(&again));
	if (failed(mailbox_open_parse(&c, &same)) || !str_eq(o.folder, same.folder))
		__builtin_trap();
}

static void
read_words(Str in, struct arena *a)
{
	struct cursor c = cursor_of(in);
	size_t count;
	Str *words;

	if (failed(admin_parse(&c, a, &words, &count)))
		return;
	for (size_t i = 0; i < count; i++)
		check_inside(in, words[i]);
}

/* Whatever the event holds, it becomes one line of printable characters. */
static void
read_event(Str in, struct arena *a)
{
	AUTO_BUF line = BUF_INIT(8 * 1024 * 1024);
	struct log_record r;

	(void)a;
	if (failed(log_record_parse(in, &r)))
		return;
	log_record_write_text(&r, &line);
	for (size_t i = 0; i < line.n; i++)
		if (str_at(buf_view(&line), i) < ' ')
			__builtin_trap();
}

static void
read_start(Str in, struct arena *a)
{
	struct cursor c = cursor_of(in);
	struct start_message m;

	(void)a;
	if (!failed(start_message_parse(&c, &m)))
		check_inside(in, m.bytes);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const readers[])(Str in, struct arena * a) = { read_submit, read_outcomes,
		read_expand, read_pull, read_login, read_open, read_words, read_event,
		read_start };
	AUTO(arena) a = arena_new(SCRATCH);
	Str all = { (const char *)data, size };

	if (size > 0)
		readers[data[0] % COUNT(readers)](str_from_at(all, 1), a);
	return 0;
}
