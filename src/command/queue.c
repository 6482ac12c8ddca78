/* SPDX-License-Identifier: ISC */
/* posthorn queue: what waits, why, and what is to become of it. */
#include "rpc/queue.h"

#include "base/buf.h"
#include "command/command.h"
#include "command/data.h"
#include "command/options.h"
#include "os/clock.h"
#include "rpc/control.h"

#include <stdio.h>
#include <sysexits.h>

#include <jansson.h>

int command_queue(int argc, char **argv);

static const char usage[] =
	"posthorn queue [list] [--json] | queue show ID [--json] | queue status\n"
	"       posthorn queue cat ID | queue flush [ID]\n"
	"       posthorn queue hold|release|remove ID...|all";

enum {
	WORDS_MAX = ADMIN_WORDS_MAX,
	TIME_MAX = 32,
	ID_WIDTH = 12,
};

/* What the server says to `queue WORDS`; a failure is said on stderr. */
static int
ask(char **words, int count, struct buf *ret)
{
	Str all[WORDS_MAX] = { S("queue") };
	AUTO_FD fd = -1;
	int exit_code = EX_OK;
	size_t n = 1;
	Err e;

	for (int i = 0; i < count && n < WORDS_MAX; i++)
		all[n++] = str_from(words[i]);
	e = control_open(data_folder(), &fd);
	if (!failed(e))
		e = control_command(fd, all, n, -1, ret, &exit_code);
	if (e.kind == ERR_GONE) {
		fprintf(stderr, "posthorn queue: no server runs in %s; start it first\n",
			data_folder());
		return EX_UNAVAILABLE;
	}
	if (failed(e)) {
		fprintf(stderr, "posthorn queue: %s: %s %s\n", data_folder(), e.what,
			err_sys_text(e));
		return e.sys == EACCES ? EX_NOPERM : EX_TEMPFAIL;
	}
	if (exit_code == EX_USAGE)
		return options_usage(usage);
	if (exit_code != EX_OK)
		fprintf(stderr, "posthorn queue: %.*s", STR_ARG(buf_view(ret)));
	return exit_code;
}

static void
write_time(Time t, char text[TIME_MAX])
{
	struct civil c = time_to_civil(t);

	snprintf(text, TIME_MAX, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day,
		c.hour, c.minute, c.second);
}

/* ---- JSON ---- */

static void
set_text(json_t *object, const char *key, Str s)
{
	json_object_set_new(object, key, json_stringn_nocheck(s.p, s.n));
}

static void
set_time(json_t *object, const char *key, Time t)
{
	char text[TIME_MAX];

	write_time(t, text);
	json_object_set_new(object, key, json_string(text));
}

static json_t *
recipient_to_json(const struct queue_listed_recipient *r)
{
	static const char *const states[] = {
		[QUEUE_LISTED_WAITING] = "waiting",
		[QUEUE_LISTED_FAILED] = "failed",
		[QUEUE_LISTED_SETTLED] = "settled",
	};
	json_t *object = json_object();

	set_text(object, "address", r->address);
	json_object_set_new(object, "number", json_integer(r->number));
	json_object_set_new(object, "state", json_string(states[r->state]));
	json_object_set_new(object, "attempts", json_integer(r->attempts));
	if (r->state == QUEUE_LISTED_WAITING && r->next.us != 0)
		set_time(object, "next", r->next);
	if (r->status.n > 0)
		set_text(object, "status", r->status);
	if (r->text.n > 0)
		set_text(object, "reason", r->text);
	if (r->remote.n > 0)
		set_text(object, "remote", r->remote);
	return object;
}

static const char *
state_of(const struct queue_listed *l)
{
	return l->held ? "held" : l->active ? "active" : "waiting";
}

static json_t *
to_json(struct queue_listed *l)
{
	char room[QUEUE_ID_TEXT_MAX];
	struct buf id = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	json_t *object = json_object(), *recipients = json_array();
	struct queue_listed_recipient r;

	queue_id_write(&id, l->id);
	set_text(object, "id", buf_view(&id));
	json_object_set_new(object, "state", json_string(state_of(l)));
	json_object_set_new(object, "size", json_integer((json_int_t)l->size));
	set_time(object, "queued", l->queued);
	set_text(object, "sender", l->sender);
	set_text(object, "client", l->client);
	while (queue_listed_next(l, &r))
		json_array_append_new(recipients, recipient_to_json(&r));
	json_object_set_new(object, "recipients", recipients);
	return object;
}

static void
print_json(Str records, bool one)
{
	struct cursor c = cursor_of(records);
	json_t *array = json_array();
	struct queue_listed l;

	while (queue_listed_parse(&c, &l))
		json_array_append_new(array, to_json(&l));
	json_dumpf(one ? json_array_get(array, 0) : array, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(array);
}

/* ---- For people ---- */

static void
print_wait(Time next)
{
	int64_t seconds = time_seconds(next) - time_seconds(clock_wall());

	if (seconds <= 0)
		printf("next try as soon as possible");
	else if (seconds < 2 * MINUTE)
		printf("next try in %lld s", (long long)seconds);
	else if (seconds < 2 * HOUR)
		printf("next try in %lld min", (long long)(seconds / MINUTE));
	else
		printf("next try in %lld h", (long long)(seconds / HOUR));
}

/* Text from outside, without what would steer a terminal. */
static void
print_safe(Str s)
{
	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = str_at(s, i);

		putchar(c < 0x20 || c == 0x7f ? '?' : c);
	}
}

static void
print_recipient(const struct queue_listed_recipient *r)
{
	printf("%*s to ", ID_WIDTH, "");
	print_safe(r->address);
	if (r->state == QUEUE_LISTED_FAILED)
		printf(": failed, the sender is being told");
	else if (r->attempts > 0 || r->text.n > 0)
		printf(": %u %s, ", r->attempts, r->attempts == 1 ? "attempt" : "attempts");
	if (r->state == QUEUE_LISTED_WAITING && (r->attempts > 0 || r->text.n > 0))
		print_wait(r->next);
	putchar('\n');
	if (r->text.n == 0)
		return;
	printf("%*s    ", ID_WIDTH, "");
	if (r->remote.n > 0) {
		print_safe(r->remote);
		printf(" said: ");
	}
	print_safe(r->status);
	putchar(' ');
	print_safe(r->text);
	putchar('\n');
}

static void
print_message(struct queue_listed *l)
{
	AUTO_BUF id = BUF_INIT(QUEUE_ID_TEXT_MAX);
	struct queue_listed_recipient r;
	char queued[TIME_MAX];

	write_time(l->queued, queued);
	queue_id_write(&id, l->id);
	printf("%-*.*s %s %9llu %-8s from ", ID_WIDTH, STR_ARG(buf_view(&id)), queued,
		(unsigned long long)l->size, state_of(l));
	if (l->sender.n == 0)
		printf("<>");
	print_safe(l->sender);
	putchar('\n');
	while (queue_listed_next(l, &r))
		if (r.state != QUEUE_LISTED_SETTLED)
			print_recipient(&r);
}

static void
print_table(Str records, bool one)
{
	struct cursor c = cursor_of(records);
	unsigned long long octets = 0;
	struct queue_listed l;
	size_t count = 0;

	while (queue_listed_parse(&c, &l)) {
		octets += l.size;
		count++;
		print_message(&l);
	}
	if (!one && count == 0)
		printf("The queue is empty.\n");
	else if (!one)
		printf("%zu %s, %llu octets\n", count, count == 1 ? "message" : "messages",
			octets);
}

static bool
is_verb(Str word)
{
	static const char *const verbs[] = { "list", "show", "cat", "flush", "hold", "release",
		"remove" };

	for (size_t i = 0; i < COUNT(verbs); i++)
		if (str_eq(word, str_from(verbs[i])))
			return true;
	return false;
}

int
command_queue(int argc, char **argv)
{
	AUTO_BUF said = BUF_INIT(CONTROL_TEXT_MAX);
	struct options o;
	int exit_code;
	bool one;
	Str verb;

	if (!options_parse(argc, argv, OPTION_JSON, usage, &o))
		return EX_USAGE;
	if (o.count + 1 > WORDS_MAX)
		return options_usage(usage);
	verb = str_from(o.count > 0 ? o.words[0] : "list");
	if (!is_verb(verb))
		return options_usage(usage);
	exit_code = ask(o.words, o.count, &said);
	if (exit_code != EX_OK)
		return exit_code;
	one = str_eq(verb, S("show"));
	if (!one && !str_eq(verb, S("list")))
		return fwrite(said.p, 1, said.n, stdout) == said.n && fflush(stdout) == 0
			       ? EX_OK
			       : EX_IOERR;
	if ((o.given & OPTION_JSON) != 0)
		print_json(buf_view(&said), one);
	else
		print_table(buf_view(&said), one);
	return EX_OK;
}
