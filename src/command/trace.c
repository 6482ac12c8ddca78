/* SPDX-License-Identifier: ISC */
/*
 * posthorn trace: the life of a message, from the log. A message is followed by its queue id; what
 * was made from it (its bounce) is named in one of its lines and followed too.
 */
#include "base/arena.h"
#include "base/map.h"
#include "base/memory.h"
#include "command/command.h"
#include "command/data.h"
#include "command/options.h"
#include "format/envelope/envelope.h"
#include "service/master/settings.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include <jansson.h>

int command_trace(int argc, char **argv);

enum {
	FOLLOWED_MAX = 1000,         /* queue ids of one message */
	LIFE_MAX = 64 * 1024 * 1024, /* octets of its lines */
	QUEUE_ID_DIGITS = 10,        /* at least, as queue_id_write writes them */
};

static const char usage[] = "posthorn trace [--json] ID|MESSAGE-ID|last";

/* The log files, oldest first. */
struct logs {
	char paths[2][PATH_MAX];
};

struct followed {
	struct str_map *ids; /* queue id -> itself, owned */
	char *owned[FOLLOWED_MAX];
	size_t n;
};

static void
find_logs(struct logs *ret)
{
	struct master_options options = { .config = data_config() };
	struct master_config config;
	const char *data = data_folder();
	char file[PATH_MAX] = "", name[NAME_MAX + 1] = "posthorn.log";

	if (!failed(master_config_read(&options, &config))) {
		if (failed(str_c(config.own.log_file, file, sizeof(file))))
			file[0] = '\0';
		master_config_free(&config);
	}
	if (strchr(file, '/') == NULL) {
		if (file[0] != '\0')
			snprintf(name, sizeof(name), "%s", file);
		if (snprintf(file, sizeof(file), "%s/log/%s", data, name) >= (int)sizeof(file))
			file[0] = '\0';
	}
	snprintf(ret->paths[0], sizeof(ret->paths[0]), "%.*s.1", PATH_MAX - 3, file);
	snprintf(ret->paths[1], sizeof(ret->paths[1]), "%s", file);
}

static void
follow(struct followed *f, Str id)
{
	char *copy;

	if (f->n == FOLLOWED_MAX || str_map_get(f->ids, id) != NULL)
		return;
	copy = memory_copy_c(id);
	f->owned[f->n++] = copy;
	str_map_set(f->ids, str_from(copy), copy);
}

static void
follow_nothing(struct followed *f)
{
	while (f->n > 0)
		free(f->owned[--f->n]);
	str_map_free(f->ids);
	f->ids = str_map_new();
}

/* As the log writes it: not any short word that happens to be hexadecimal. */
static bool
is_queue_id(Str s)
{
	uint64_t id;

	return s.n >= QUEUE_ID_DIGITS && !failed(queue_id_parse(s, &id));
}

/* "Nov 21 20:36:02 host posthorn/smtpd[7944]: warning: 2A17275438: rest" */
struct line {
	Str date, service, pid, queue, text;
};

static bool
parse_line(Str s, struct line *ret)
{
	static const Str levels[] = { S("warning: "), S("error: "), S("debug: ") };
	struct cursor c = cursor_of(s);

	ret->date = cursor_take(&c, sizeof("Nov 21 20:36:02") - 1);
	cursor_need_char(&c, ' ');
	cursor_until(&c, ' ');
	cursor_need_char(&c, ' ');
	cursor_take_str(&c, S("posthorn/"));
	ret->service = cursor_until(&c, '[');
	cursor_need_char(&c, '[');
	ret->pid = cursor_until(&c, ']');
	if (!cursor_take_str(&c, S("]: ")) || c.bad)
		return false;
	ret->text = c.rest;
	for (size_t i = 0; i < COUNT(levels); i++)
		cursor_take_str(&c, levels[i]);
	ret->queue = cursor_until(&c, ':');
	if (!is_queue_id(ret->queue))
		ret->queue = S("");
	return true;
}

/* Calls for each line of all files that belongs to some message. */
static int
each_line(const struct logs *logs, void (*visit)(void *arg, Str whole, const struct line *line),
	void *arg)
{
	char *text = NULL;
	size_t size = 0;
	int exit_code = EX_OK;

	for (size_t i = 0; i < COUNT(logs->paths); i++) {
		FILE *f = fopen(logs->paths[i], "re");
		struct line line;
		ssize_t n;

		if (f == NULL && i == COUNT(logs->paths) - 1) {
			fprintf(stderr, "posthorn trace: ");
			perror(logs->paths[i]);
			exit_code = errno == EACCES ? EX_NOPERM : EX_NOINPUT;
		}
		while (f != NULL && (n = getline(&text, &size, f)) > 0) {
			Str whole = str_trim((Str){ text, (size_t)n });

			if (parse_line(whole, &line) && line.queue.n > 0)
				visit(arg, whole, &line);
		}
		if (f != NULL)
			fclose(f);
	}
	free(text);
	return exit_code;
}

struct search {
	struct followed *followed;
	Str message_id; /* without brackets; "" looks for the last message */
};

static void
visit_search(void *arg, Str whole, const struct line *line)
{
	struct search *s = arg;
	Str before, behind, value, rest;
	size_t at = str_find_str(whole, S("message-id=<"));

	if (at == STR_NONE)
		return;
	before = str_from_at(whole, at);
	if (!str_split(before, '<', &rest, &behind))
		return;
	if (str_ends(behind, S(">")))
		behind.n--;
	value = behind;
	if (s->message_id.n == 0)
		follow_nothing(s->followed);
	if (s->message_id.n == 0 || str_eq(value, s->message_id))
		follow(s->followed, line->queue);
}

/* "sender non-delivery notification: 2A17275439" */
static void
follow_made(struct followed *f, Str text)
{
	size_t at = str_find_str(text, S("notification: "));
	struct cursor c;
	Str made;

	if (at == STR_NONE)
		return;
	c = cursor_of(str_from_at(text, at + strlen("notification: ")));
	made = cursor_while(&c, char_is_alnum);
	if (is_queue_id(made))
		follow(f, made);
}

static void
visit_follow(void *arg, Str whole, const struct line *line)
{
	struct followed *f = arg;

	(void)whole;
	if (str_map_get(f->ids, line->queue) != NULL)
		follow_made(f, line->text);
}

/* A bounce's first lines may stand before the line that names it, so look until nothing is new. */
static int
follow_all(const struct logs *logs, struct followed *f)
{
	size_t before;
	int exit_code;

	do {
		before = f->n;
		exit_code = each_line(logs, visit_follow, f);
	} while (exit_code == EX_OK && f->n > before);
	return exit_code;
}

static json_t *
json_text(Str s)
{
	return json_stringn_nocheck(s.p, s.n);
}

struct step {
	Str whole;
	struct line line;
};

/* Lines of the messages followed, in the order of their life. */
struct life {
	struct followed *followed;
	struct arena *arena;
	struct step *steps;
	size_t n, room;
};

/* Where in a message's life a line belongs. */
static int
stage(const struct line *line)
{
	Str text = line->text;
	size_t at = str_find_str(text, S(": "));

	text = at == STR_NONE ? text : str_from_at(text, at + 2);
	if (str_starts(text, S("client=")) || str_starts(text, S("message-id=")))
		return 0;
	if (str_starts(text, S("from=")))
		return 1;
	return str_starts(text, S("removed")) ? 3 : 2;
}

/*
 * The log gathers the lines of several processes, so within one second they may stand in the wrong
 * order. Where the new line belongs: before the first of that second and message that comes later
 * in its life.
 */
static size_t
find_place(const struct life *l, const struct line *line)
{
	size_t place = l->n;

	for (size_t i = l->n; i > 0 && str_eq(l->steps[i - 1].line.date, line->date); i--)
		if (str_eq(l->steps[i - 1].line.queue, line->queue) &&
			stage(&l->steps[i - 1].line) > stage(line))
			place = i - 1;
	return place;
}

static void
visit_keep(void *arg, Str whole, const struct line *line)
{
	struct life *l = arg;
	struct step step;
	size_t place;

	if (str_map_get(l->followed->ids, line->queue) == NULL ||
		failed(arena_copy(l->arena, whole, &step.whole)) ||
		!parse_line(step.whole, &step.line))
		return;
	if (l->n == l->room) {
		l->room = l->room * 2 + 64;
		l->steps = memory_resize(l->steps, l->room, sizeof(*l->steps));
	}
	place = find_place(l, line);
	for (size_t i = l->n++; i > place; i--)
		l->steps[i] = l->steps[i - 1];
	l->steps[place] = step;
}

static void
print_json(const struct life *l)
{
	json_t *array = json_array();

	for (size_t i = 0; i < l->n; i++) {
		const struct line *line = &l->steps[i].line;
		json_t *entry = json_object();
		uint64_t pid = 0;

		(void)str_to_u64(line->pid, INT32_MAX, &pid);
		json_object_set_new(entry, "time", json_text(line->date));
		json_object_set_new(entry, "service", json_text(line->service));
		json_object_set_new(entry, "pid", json_integer((json_int_t)pid));
		json_object_set_new(entry, "queue", json_text(line->queue));
		json_object_set_new(entry, "text", json_text(line->text));
		json_array_append_new(array, entry);
	}
	json_dumpf(array, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(array);
}

static int
print_all(const struct logs *logs, struct followed *f, bool json)
{
	AUTO(arena) arena = arena_new(LIFE_MAX);
	struct life l = { .followed = f, .arena = arena };
	int exit_code = each_line(logs, visit_keep, &l);

	if (json)
		print_json(&l);
	for (size_t i = 0; i < l.n && !json; i++)
		printf("%.*s\n", STR_ARG(l.steps[i].whole));
	free(l.steps);
	if (exit_code != EX_OK || l.n > 0)
		return exit_code;
	fprintf(stderr, "posthorn trace: the log knows no such message (%s)\n", logs->paths[1]);
	return EX_DATAERR;
}

/* <a@b> and a@b are the same. */
static Str
without_brackets(Str s)
{
	if (str_starts(s, S("<")) && str_ends(s, S(">")) && s.n >= 2)
		return str_part(s, 1, s.n - 2);
	return s;
}

int
command_trace(int argc, char **argv)
{
	struct followed f = { .ids = str_map_new() };
	int exit_code = EX_OK;
	struct logs logs;
	struct options o;
	AUTO_BUF upper = BUF_INIT(QUEUE_ID_TEXT_MAX);
	Str word;

	if (!options_parse(argc, argv, OPTION_JSON, usage, &o))
		return EX_USAGE;
	if (o.count != 1)
		return options_usage(usage);
	find_logs(&logs);
	word = str_from(o.words[0]);
	if (is_queue_id(word)) {
		buf_put(&upper, word);
		for (size_t i = 0; i < upper.n; i++)
			upper.p[i] = char_upper(upper.p[i]);
		follow(&f, buf_view(&upper));
	} else {
		struct search s = { .followed = &f };

		if (!str_eq(word, S("last")))
			s.message_id = without_brackets(word);
		exit_code = each_line(&logs, visit_search, &s);
	}
	if (exit_code == EX_OK)
		exit_code = follow_all(&logs, &f);
	if (exit_code == EX_OK)
		exit_code = print_all(&logs, &f, (o.given & OPTION_JSON) != 0);
	follow_nothing(&f);
	str_map_free(f.ids);
	return exit_code;
}
