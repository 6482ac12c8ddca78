/* SPDX-License-Identifier: ISC */
/* posthorn config: is the configuration right, what does it say, and what does a word mean? */
#include "base/memory.h"
#include "command/command.h"
#include "command/data.h"
#include "command/options.h"
#include "service/master/settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include <jansson.h>

int command_config(int argc, char **argv);

enum {
	VALUES_MAX = 4096, /* octets of the largest settings struct */
	TEXT_MAX = 256 * 1024,
};

static const char usage[] =
	"posthorn config check [FILE]\n"
	"       posthorn config show [-d] [--json]    -d: also what is not set\n"
	"       posthorn config explain [WORD]";

/* A setting, with the table and the values that it was found in. */
struct shown {
	const struct setting *setting;
	const void *values;
	bool set; /* by the file */
};

struct view {
	struct master_config config;
	struct shown *shown;
	size_t count;
	void **values; /* one block for each table */
};

static bool
is_shown(const struct view *v, const char *path)
{
	for (size_t i = 0; i < v->count; i++)
		if (strcmp(v->shown[i].setting->path, path) == 0)
			return true;
	return false;
}

static void
add_table(struct view *v, const struct setting *table, const void *values)
{
	for (const struct setting *s = table; s->path != NULL; s++) {
		const struct config_entry *entry;

		if (is_shown(v, s->path))
			continue;
		v->shown = memory_resize(v->shown, v->count + 1, sizeof(*v->shown));
		entry = config_find(&v->config.tree, s->path);
		v->shown[v->count++] =
			(struct shown){ s, values, entry != NULL && entry->args != NULL };
	}
}

/* All settings, each once, with what the file says. Errors are on stderr. */
static int
open_view(struct view *ret)
{
	struct master_options options = { .config = data_config() };
	struct view v = { 0 };
	size_t tables = 0;

	if (failed(master_config_read(&options, &v.config)))
		return EX_CONFIG;
	while (settings_tables[tables] != NULL)
		tables++;
	v.values = memory_get_array(tables + 1, sizeof(*v.values));
	for (size_t i = 0; i < tables; i++) {
		v.values[i] = memory_get(VALUES_MAX);
		if (!failed(master_config_fill(&v.config, settings_tables[i], v.values[i])))
			add_table(&v, settings_tables[i], v.values[i]);
	}
	*ret = v;
	return EX_OK;
}

static void
close_view(struct view *v)
{
	for (size_t i = 0; v->values[i] != NULL; i++)
		free(v->values[i]);
	free(v->values);
	free(v->shown);
	master_config_free(&v->config);
}

static int
check(const char *file)
{
	struct master_options options = { .config = file };
	struct master_config config;

	if (file == NULL) {
		printf("there is no configuration; every setting has its default\n");
		return EX_OK;
	}
	if (failed(master_config_read(&options, &config)))
		return EX_CONFIG;
	master_config_free(&config);
	printf("%s: no errors\n", file);
	return EX_OK;
}

/* "listen" of "listen.imap". */
static Str
first_word(const char *path)
{
	struct cursor c = cursor_of(str_from(path));

	return cursor_until(&c, '.');
}

static bool
is_top(const struct shown *s)
{
	return first_word(s->setting->path).n == strlen(s->setting->path);
}

static void
put_statement(const struct shown *s, const char *indent, bool all, struct buf *b)
{
	size_t dot = str_find_last(str_from(s->setting->path), '.');

	if (!s->set && !all)
		return;
	if (all)
		buf_printf(b, "%s# %s\n", indent, s->setting->text);
	buf_printf(b, "%s%s%s ", indent, s->set ? "" : "#",
		s->setting->path + (dot == STR_NONE ? 0 : dot + 1));
	settings_value_write(s->setting, s->values, b);
}

/* `word value { block }`, as much of it as there is. */
static void
put_group(const struct view *v, size_t first, bool all, struct buf *b)
{
	Str top = first_word(v->shown[first].setting->path);
	const struct shown *own = NULL;
	size_t below = 0, start = b->n;

	for (size_t i = first; i < v->count; i++) {
		if (!str_eq(first_word(v->shown[i].setting->path), top))
			continue;
		if (is_top(&v->shown[i]))
			own = &v->shown[i];
		else
			below += all || v->shown[i].set;
	}
	if (own != NULL)
		put_statement(own, "", all, b);
	if (below > 0 && (own == NULL || !own->set))
		buf_printf(b, "%s%.*s", b->n > start ? "\n" : "", STR_ARG(top));
	if (below > 0) {
		buf_put(b, S(" {\n"));
		for (size_t i = first; i < v->count; i++)
			if (str_eq(first_word(v->shown[i].setting->path), top) &&
				!is_top(&v->shown[i]) && (all || v->shown[i].set)) {
				put_statement(&v->shown[i], "\t", all, b);
				buf_put_char(b, '\n');
			}
		buf_put_char(b, '}');
	}
	if (b->n > start)
		buf_put(b, all ? S("\n\n") : S("\n"));
}

static bool
is_first_of_group(const struct view *v, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (str_eq(first_word(v->shown[i].setting->path),
			    first_word(v->shown[at].setting->path)))
			return false;
	return true;
}

static void
print_text(const struct view *v, bool all)
{
	AUTO_BUF b = BUF_INIT(TEXT_MAX);

	buf_printf(&b, "config-version %d\n%s", CONFIG_VERSION, all ? "\n" : "");
	for (size_t i = 0; i < v->count; i++)
		if (is_first_of_group(v, i))
			put_group(v, i, all, &b);
	printf("%.*s", STR_ARG(buf_view(&b)));
}

static void
print_json(const struct view *v, bool all)
{
	json_t *object = json_object();

	for (size_t i = 0; i < v->count; i++) {
		AUTO_BUF value = BUF_INIT(TEXT_MAX);
		json_t *entry;

		if (!all && !v->shown[i].set)
			continue;
		settings_value_write(v->shown[i].setting, v->shown[i].values, &value);
		entry = json_object();
		json_object_set_new(entry, "value",
			json_stringn_nocheck(buf_view(&value).p, buf_view(&value).n));
		json_object_set_new(entry, "set", json_boolean(v->shown[i].set));
		json_object_set_new(entry, "text", json_string(v->shown[i].setting->text));
		json_object_set_new(object, v->shown[i].setting->path, entry);
	}
	json_dumpf(object, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(object);
}

static int
show(const struct options *o)
{
	bool all = (o->given & OPTION_STANDARD) != 0;
	struct view v;
	int exit_code = open_view(&v);

	if (exit_code != EX_OK)
		return exit_code;
	if ((o->given & OPTION_JSON) != 0)
		print_json(&v, all);
	else
		print_text(&v, all);
	close_view(&v);
	return EX_OK;
}

static const char *
value_name(const struct setting *s)
{
	static const char *const names[] = {
		[SETTING_TEXT] = "TEXT",
		[SETTING_SIZE] = "SIZE",
		[SETTING_SECONDS] = "TIME",
		[SETTING_NUMBER] = "NUMBER",
		[SETTING_YES_NO] = "yes|no",
		[SETTING_ADDRESS] = "HOST[:PORT]",
		[SETTING_LIST] = "WORD...",
		[SETTING_TIMES] = "TIME...",
	};

	return s->type == SETTING_CHOICE ? "one of" : names[s->type];
}

static void
put_limit(const struct setting *s, const char *words, uint64_t limit, struct buf *b)
{
	if (limit == 0)
		return;
	buf_printf(b, " %s ", words);
	if (s->type == SETTING_SIZE)
		settings_size_write(limit, b);
	else if (s->type == SETTING_SECONDS)
		settings_seconds_write((uint32_t)limit, b);
	else
		buf_put_u64(b, limit);
	buf_put_char(b, '.');
}

static void
explain_one(const struct setting *s)
{
	AUTO_BUF b = BUF_INIT(TEXT_MAX);

	buf_printf(&b, "%s %s", s->path, value_name(s));
	if (s->type == SETTING_CHOICE)
		buf_printf(&b, ": %s", s->choices);
	buf_printf(&b, "\n\t%s\n\t", s->text);
	if (s->standard[0] == '\0')
		buf_put(&b, S("No default."));
	else if (s->standard[0] == '@')
		buf_put(&b, S("The default is found out at the start."));
	else
		buf_printf(&b, "Default: %s.", s->standard);
	put_limit(s, "At least", s->min, &b);
	put_limit(s, "At most", s->max, &b);
	printf("%.*s\n", STR_ARG(buf_view(&b)));
}

/* Is this the word, its last part, or the block that it is in? */
static bool
is_meant(const struct setting *s, Str word)
{
	Str path = str_from(s->path);
	size_t dot = str_find_last(path, '.');

	if (word.n == 0 || str_eq(path, word))
		return true;
	return dot != STR_NONE &&
	       (str_eq(str_from_at(path, dot + 1), word) || str_eq(first_word(s->path), word));
}

static int
explain(Str word)
{
	size_t found = 0;
	Str near;

	for (size_t i = 0; settings_tables[i] != NULL; i++)
		for (const struct setting *s = settings_tables[i]; s->path != NULL; s++) {
			bool before = false;

			for (size_t k = 0; k < i && !before; k++)
				before = settings_find(settings_tables[k], str_from(s->path)) !=
					 NULL;
			if (before || !is_meant(s, word))
				continue;
			explain_one(s);
			found++;
		}
	if (found > 0)
		return EX_OK;
	near = config_nearest(settings_tables, word);
	fprintf(stderr, "posthorn config explain: there is no \"%.*s\"", STR_ARG(word));
	if (near.n > 0)
		fprintf(stderr, "; did you mean \"%.*s\"?", STR_ARG(near));
	fprintf(stderr, "\n");
	return EX_DATAERR;
}

int
command_config(int argc, char **argv)
{
	struct options o;
	Str verb;

	if (!options_parse(argc, argv, OPTION_JSON | OPTION_STANDARD, usage, &o))
		return EX_USAGE;
	verb = str_from(o.count > 0 ? o.words[0] : "");
	if (str_eq(verb, S("check")) && o.count <= 2)
		return check(o.count == 2 ? o.words[1] : data_config());
	if (str_eq(verb, S("show")) && o.count == 1)
		return show(&o);
	if (str_eq(verb, S("explain")) && o.count <= 2)
		return explain(str_from(o.count == 2 ? o.words[1] : ""));
	return options_usage(usage);
}
