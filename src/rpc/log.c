/* SPDX-License-Identifier: ISC */
#include "rpc/log.h"

#include "format/envelope/envelope.h"
#include "os/channel.h"

#include <stdatomic.h>
#include <stdio.h>

/*
 * The log handle: set once before the first thread. Shared between threads: the count of lost
 * events and the level, both atomic.
 */
static struct {
	int fd;
	const char *service;
	pid_t pid; /* of this process; 0: not known yet */
	atomic_uint lost;
	atomic_int level;
} handle = { .fd = -1, .service = "posthorn", .level = LOG_LEVEL_INFO };

enum {
	TEXT_MAX = 1024, /* octets of one value */
};

void
log_open(int fd, const char *service)
{
	handle.fd = fd;
	handle.service = service;
	handle.pid = getpid();
}

void
log_forked(void)
{
	handle.pid = getpid();
}

void
log_set_level(enum log_level level)
{
	atomic_store(&handle.level, (int)level);
}

static void
write_field(struct buf *b, const struct log_field *f)
{
	buf_u8(b, (uint8_t)f->kind);
	buf_str(b, str_from(f->key));
	buf_u64(b, (uint64_t)f->number);
	buf_str(b, str_part(f->text, 0, TEXT_MAX));
}

/* Fields behind one that does not fit are left out. */
static void
write_record(struct buf *b, enum log_level level, const char *name,
	const struct log_field *fields, size_t count, unsigned lost)
{
	buf_u8(b, (uint8_t)level);
	buf_u64(b, (uint64_t)clock_wall().us);
	buf_u32(b, (uint32_t)(handle.pid != 0 ? handle.pid : getpid()));
	buf_u32(b, lost);
	buf_str(b, str_from(handle.service));
	buf_str(b, str_from(name));
	for (size_t i = 0; i < count; i++) {
		size_t before = b->n;

		write_field(b, &fields[i]);
		if (b->bad) {
			b->bad = false;
			buf_cut(b, before);
			return;
		}
	}
}

/* Without a log (tests, the command line) events go to stderr. */
static void
print_record(Str record)
{
	AUTO_BUF line = BUF_INIT(2 * LOG_LINE_MAX);
	struct log_record r;

	if (failed(log_record_parse(record, &r)))
		return;
	log_record_write_text(&r, &line);
	fprintf(stderr, "%.*s\n", STR_ARG(buf_view(&line)));
}

void
log_send(enum log_level level, const char *name, const struct log_field *fields, size_t count)
{
	char room[LOG_LINE_MAX];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	unsigned lost;

	if ((int)level < atomic_load_explicit(&handle.level, memory_order_relaxed))
		return;
	lost = atomic_exchange_explicit(&handle.lost, 0, memory_order_relaxed);
	write_record(&b, level, name, fields, count, lost);
	if (handle.fd < 0)
		print_record(buf_view(&b));
	else if (failed(channel_send_now(handle.fd, (Str[]){ buf_view(&b) }, 1, NULL, 0)))
		atomic_fetch_add_explicit(&handle.lost, lost + 1, memory_order_relaxed);
}

void
log_failure(enum log_level level, const char *name, Err e)
{
	log_event(level, name, F_WORDS("what", str_from(e.what)),
		F_STR("kind", str_from(err_kind_name(e.kind))),
		F_STR("error", str_from(err_sys_text(e))));
}

Err
log_record_parse(Str datagram, struct log_record *ret)
{
	struct cursor c = cursor_of(datagram);
	struct log_record r;
	uint8_t level;

	level = cursor_u8(&c);
	r.at_us = (int64_t)cursor_u64(&c);
	r.pid = cursor_u32(&c);
	r.lost = cursor_u32(&c);
	r.service = cursor_str(&c);
	r.name = cursor_str(&c);
	r.fields = c;
	if (c.bad || level > LOG_LEVEL_ERROR)
		return fail(ERR_PEER, "log event is cut");
	r.level = (enum log_level)level;
	*ret = r;
	return OK;
}

bool
log_record_field(struct log_record *r, enum log_field_kind *ret_kind, Str *ret_key,
	Str *ret_text, int64_t *ret_number)
{
	uint8_t kind;

	if (cursor_done(&r->fields))
		return false;
	kind = cursor_u8(&r->fields);
	*ret_key = cursor_str(&r->fields);
	*ret_number = (int64_t)cursor_u64(&r->fields);
	*ret_text = cursor_str(&r->fields);
	if (r->fields.bad || kind > LOG_FIELD_SECONDS)
		return false;
	*ret_kind = (enum log_field_kind)kind;
	return true;
}

void
log_put_seconds(struct buf *b, int64_t us)
{
	double seconds = us < 0 ? 0 : (double)us / 1000000;

	if (seconds >= 10)
		buf_printf(b, "%.0f", seconds);
	else if (seconds >= 1)
		buf_printf(b, "%.1f", seconds);
	else
		buf_printf(b, "%.2g", seconds < 0.001 ? 0 : seconds);
}

/* Whatever the value, one line stays one line that a terminal can show. */
static void
put_escaped(struct buf *b, Str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = str_at(s, i);

		if (c < ' ' || c == 0x7f)
			buf_printf(b, "\\%03o", c);
		else
			buf_put_char(b, (char)c);
	}
}

int64_t
log_put_delays(struct buf *b, const int64_t parts[4])
{
	int64_t sum = 0;

	for (size_t i = 0; i < 4; i++) {
		int64_t part = parts[i] < 0 ? 0 : parts[i];

		if (i > 0)
			buf_put_char(b, '/');
		log_put_seconds(b, part);
		sum += part;
	}
	return sum;
}

static void
put_value(struct buf *b, enum log_field_kind kind, Str text, int64_t number)
{
	switch (kind) {
	case LOG_FIELD_ADDRESS:
		buf_put_char(b, '<');
		put_escaped(b, text);
		buf_put_char(b, '>');
		return;
	case LOG_FIELD_NUMBER:
		buf_printf(b, "%lld", (long long)number);
		return;
	case LOG_FIELD_SECONDS:
		log_put_seconds(b, number);
		return;
	case LOG_FIELD_QUEUE:
		queue_id_write(b, (uint64_t)number);
		return;
	case LOG_FIELD_TEXT:
	case LOG_FIELD_SESSION:
	case LOG_FIELD_WORDS:
	case LOG_FIELD_BEHIND:
		put_escaped(b, text);
		return;
	}
}

/* Tools for Postfix logs tell by the program what a line is about. */
static Str
program_of(const struct log_record *r)
{
	if (str_eq(r->name, S("smtp.local")))
		return S("pickup");
	return str_eq(r->service, S("submit")) ? S("submission/smtpd") : r->service;
}

void
log_record_write_text(struct log_record *r, struct buf *b)
{
	static const char *const levels[] = { "debug: ", "", "warning: ", "error: " };
	enum log_field_kind kind;
	const char *between = "";
	int64_t number;
	Str key, text;

	buf_put_c(b, "posthorn/");
	put_escaped(b, program_of(r));
	buf_printf(b, "[%u]: ", r->pid);
	buf_put_c(b, levels[r->level]);
	while (log_record_field(r, &kind, &key, &text, &number)) {
		if (kind == LOG_FIELD_SESSION || (kind == LOG_FIELD_TEXT && text.n == 0))
			continue;
		if (kind == LOG_FIELD_QUEUE) {
			put_value(b, kind, text, number);
			buf_put_c(b, ": ");
			continue;
		}
		if (kind == LOG_FIELD_BEHIND) {
			buf_put_c(b, " (");
			put_value(b, kind, text, number);
			buf_put_char(b, ')');
			continue;
		}
		buf_put_c(b, between);
		if (kind != LOG_FIELD_WORDS) {
			put_escaped(b, key);
			buf_put_char(b, '=');
		}
		put_value(b, kind, text, number);
		between = kind == LOG_FIELD_WORDS ? " " : ", ";
	}
}
