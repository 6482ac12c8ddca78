/* SPDX-License-Identifier: ISC */
/*
 * log: writes what the others report.
 *
 * reads      lines with untrusted values
 * runs as    _posthorn-log; files below log/ only
 * asks       nobody
 * if it dies events wait in the sockets of those who sent them until it is back; those that do not
 *            fit are counted; no mail waits for it
 */

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "rpc/log.h"
#include "rpc/settings.h"
#include "rpc/start.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum {
	GATHER = 5,        /* ms: one wake-up and one write for what comes in it */
	EVENTS_MAX = 1000, /* sorted by time and written in one go */
	LINES_MAX = EVENTS_MAX * 2 * LOG_LINE_MAX, /* octets gathered for one write */
	FILE_MAX = 256 * 1024 * 1024, /* octets; then the file is put aside as .1 */
	DATAGRAM_MAX = LOG_LINE_MAX + 64,
};

/* One that has come and is not written yet. */
struct event {
	int64_t at_us;
	uint32_t number; /* in the order of coming, for those of the same microsecond */
	enum service_id from;
	size_t at, n; /* its bytes in `taken` */
};

struct logger {
	struct start *start;
	int folder, file;
	char name[NAME_MAX + 1], old_name[NAME_MAX + 1];
	off_t size;
	Str host;
	char buffer[CHANNEL_MANY_MAX * DATAGRAM_MAX];
	struct buf taken; /* datagrams of `events` */
	struct event events[EVENTS_MAX];
	size_t event_count;
	struct buf lines;
	uint64_t lost; /* events that could not be written down, and nobody has been told */
	struct tm day; /* of the second last rendered */
	int64_t second;
};

/* The last part of the path; master hands over the folder. */
static void
set_name(struct logger *l, Str path)
{
	size_t slash = str_find_last(path, '/');
	Str name = slash == STR_NONE ? path : str_from_at(path, slash + 1);

	if (name.n == 0 || failed(str_c(name, l->name, sizeof(l->name) - 2)))
		snprintf(l->name, sizeof(l->name), "posthorn.log");
	snprintf(l->old_name, sizeof(l->old_name), "%.*s.1", NAME_MAX - 2, l->name);
}

static Err
open_file(struct logger *l)
{
	struct stat st;
	int fd = openat(l->folder, l->name,
		O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);

	if (fd < 0 || fstat(fd, &st) != 0)
		return fail_sys(ERR_TEMP, "cannot open the log file");
	fd_drop(&l->file);
	l->file = fd;
	l->size = st.st_size;
	return OK;
}

/*
 * A full or failing disk stops the log, never the mail: what cannot be written is counted, and the
 * count is the first line when there is room again.
 */
static void
write_lines(struct logger *l, size_t events)
{
	if (l->lines.n == 0)
		return;
	if (l->file < 0)
		(void)open_file(l).kind;
	if (l->size > FILE_MAX) {
		if (failed(file_rename(l->folder, l->name, l->folder, l->old_name)) ||
			failed(open_file(l)))
			l->size = 0;
	}
	if (l->file >= 0 && !failed(file_write(l->file, buf_view(&l->lines)))) {
		l->size += (off_t)l->lines.n;
		l->lost = 0;
	} else {
		l->lost += events;
	}
	buf_reset(&l->lines);
}

/* "Nov 21 19:41:04 host ", as syslog(3) writes it. */
static void
put_date(struct logger *l, int64_t at_us)
{
	char date[32];
	int64_t second = at_us / 1000000;

	if (second != l->second) {
		time_t t = (time_t)second;

		localtime_r(&t, &l->day);
		l->second = second;
	}
	strftime(date, sizeof(date), "%b %e %H:%M:%S ", &l->day);
	buf_put_c(&l->lines, date);
	buf_put(&l->lines, l->host);
	buf_put_char(&l->lines, ' ');
}

static void
put_record(struct logger *l, struct log_record *r)
{
	if (r->lost > 0) {
		put_date(l, r->at_us);
		buf_printf(&l->lines, "posthorn/%.*s[%u]: warning: %u events were lost\n",
			STR_ARG(r->service), r->pid, r->lost);
	}
	put_date(l, r->at_us);
	log_record_write_text(r, &l->lines);
	buf_put_char(&l->lines, '\n');
}

/* Puts one event aside, to be written in its place. */
static void
keep_event(struct logger *l, enum service_id from, Str datagram)
{
	struct log_record r;
	struct event *e;

	if (failed(log_record_parse(datagram, &r)))
		return;
	e = &l->events[l->event_count];
	*e = (struct event){ r.at_us, (uint32_t)l->event_count, from, l->taken.n, datagram.n };
	buf_put(&l->taken, datagram);
	l->event_count++;
}

static int
compare_events(const void *left, const void *right)
{
	const struct event *a = left, *b = right;

	if (a->at_us != b->at_us)
		return a->at_us < b->at_us ? -1 : 1;
	return a->number < b->number ? -1 : 1;
}

/* The channel says who speaks; the name inside the event is not believed. */
static void
write_events(struct logger *l)
{
	size_t events = l->event_count;

	if (events > 0 && l->lost > 0) {
		put_date(l, l->events[0].at_us);
		buf_printf(&l->lines,
			"posthorn/log[%d]: warning: %llu events could not be written\n",
			getpid(), (unsigned long long)l->lost);
	}
	qsort(l->events, l->event_count, sizeof(*l->events), compare_events);
	for (size_t i = 0; i < l->event_count; i++) {
		const struct event *e = &l->events[i];
		struct log_record r;

		if (failed(log_record_parse(str_part(buf_view(&l->taken), e->at, e->n), &r)))
			continue;
		r.service = str_from(service_name(e->from));
		put_record(l, &r);
	}
	l->event_count = 0;
	buf_reset(&l->taken);
	write_lines(l, events);
}

static void
take_events(struct logger *l, struct start_handed *h)
{
	Str datagrams[CHANNEL_MANY_MAX];
	size_t count;

	do {
		if (failed(channel_receive_many(h->fd, l->buffer, DATAGRAM_MAX,
			    CHANNEL_MANY_MAX, datagrams, &count))) {
			fd_drop(&h->fd);
			return;
		}
		if (l->event_count + count > EVENTS_MAX)
			write_events(l);
		for (size_t i = 0; i < count; i++)
			keep_event(l, h->service, datagrams[i]);
	} while (count == CHANNEL_MANY_MAX);
}

/* What several services said in the same moment is written in the order in which it was said. */
static void
take_all(struct logger *l)
{
	for (size_t i = 0; i < l->start->handed_count; i++)
		if (l->start->handed[i].role == START_SERVE && l->start->handed[i].fd >= 0)
			take_events(l, &l->start->handed[i]);
	write_events(l);
}

/* False when it is time to stop. */
static bool
wait_for_events(struct logger *l)
{
	struct pollfd polled[START_HANDED_MAX + 1];
	size_t n = 1;

	polled[0] = (struct pollfd){ .fd = l->start->master, .events = POLLIN };
	for (size_t i = 0; i < l->start->handed_count; i++)
		if (l->start->handed[i].role == START_SERVE && l->start->handed[i].fd >= 0)
			polled[n++] = (struct pollfd){ .fd = l->start->handed[i].fd,
				.events = POLLIN };
	poll(polled, n, -1);
	/* More will come: gather for a moment, but hear master at once. */
	if (polled[0].revents == 0)
		poll(polled, 1, GATHER);
	if (polled[0].revents != 0)
		start_turn(l->start, NULL);
	return !l->start->stopping;
}

void log_serve(struct start *start);

void
log_serve(struct start *start)
{
	struct logger l = { .start = start, .file = -1, .second = -1 };
	struct settings_log settings;
	char host[256] = "localhost";
	Err e;

	start_settings(start, settings_log_table, &settings);
	gethostname(host, sizeof(host) - 1);
	host[strcspn(host, ".")] = '\0';
	l.host = str_from(host);
	set_name(&l, settings.file);
	tzset();
	l.folder = start_folder(start, "log");
	l.lines = BUF_INIT(LINES_MAX);
	l.taken = BUF_INIT(EVENTS_MAX * LOG_LINE_MAX);
	start_walls(start);
	e = open_file(&l);
	if (failed(e))
		fprintf(stderr, "posthorn/log: %s: %s\n", e.what, err_sys_text(e));
	start_ready(start);
	while (wait_for_events(&l))
		take_all(&l);
	take_all(&l);
}
