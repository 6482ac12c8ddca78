/* SPDX-License-Identifier: ISC */
/* From the tree to values: which words are known, and what stands behind them. */
#include "format/config/config.h"

enum {
	PATH_MAX_OCTETS = 256,
};

/* The path of a word below a block: "listen" and "imap" are "listen.imap". */
static void
path_push(struct buf *path, Str word)
{
	if (path->n > 0)
		buf_put_char(path, '.');
	buf_put(path, word);
}

static bool
is_block_of(const char *setting_path, Str path)
{
	Str s = str_from(setting_path);

	return s.n > path.n && str_starts(s, path) && (path.n == 0 || str_at(s, path.n) == '.');
}

static const struct setting *
find(const struct setting *const *tables, Str path)
{
	for (; *tables != NULL; tables++) {
		const struct setting *s = settings_find(*tables, path);

		if (s != NULL)
			return s;
	}
	return NULL;
}

static bool
is_block(const struct setting *const *tables, Str path)
{
	for (; *tables != NULL; tables++)
		for (const struct setting *s = *tables; s->path != NULL; s++)
			if (is_block_of(s->path, path))
				return true;
	return false;
}

/* The word right below `parent` that is nearest to `word`; empty when none is near. */
static Str
nearest_below(const struct setting *const *tables, Str parent, Str word)
{
	size_t best = str_near(word) + 1;
	Str nearest = S("");

	for (; *tables != NULL; tables++)
		for (const struct setting *s = *tables; s->path != NULL; s++) {
			struct cursor c = cursor_of(str_from_at(str_from(s->path),
				parent.n > 0 ? parent.n + 1 : 0));
			Str candidate = cursor_until(&c, '.');
			size_t d = str_distance(word, candidate);

			if (!is_block_of(s->path, parent) || d >= best || d >= word.n)
				continue;
			best = d;
			nearest = candidate;
		}
	return nearest;
}

static Str
last_word(const char *path)
{
	Str s = str_from(path);
	size_t dot = str_find_last(s, '.');

	return dot == STR_NONE ? s : str_from_at(s, dot + 1);
}

Str
config_nearest(const struct setting *const *tables, Str word)
{
	size_t best = str_near(word) + 1;
	Str nearest = S("");

	for (; *tables != NULL; tables++)
		for (const struct setting *s = *tables; s->path != NULL; s++) {
			struct cursor c = cursor_of(str_from(s->path));
			const Str ways[] = { str_from(s->path), last_word(s->path),
				cursor_until(&c, '.') };

			for (size_t i = 0; i < COUNT(ways); i++) {
				size_t d = str_distance(word, ways[i]);

				if (d >= best || d >= word.n)
					continue;
				best = d;
				nearest = ways[i];
			}
		}
	return nearest;
}

/* A setting whose last word is this one, in some block. */
static const struct setting *
find_elsewhere(const struct setting *const *tables, Str word)
{
	for (; *tables != NULL; tables++)
		for (const struct setting *s = *tables; s->path != NULL; s++)
			if (str_eq(last_word(s->path), word))
				return s;
	return NULL;
}

static void
report_unknown(const struct setting *const *tables, Str parent, const struct config_word *word,
	struct config_errors *errors)
{
	Str near = nearest_below(tables, parent, word->text);
	const struct setting *elsewhere;

	if (near.n > 0) {
		config_errors_add(errors, word->line, word->column,
			"unknown word \"%.*s\"; did you mean \"%.*s\"?", STR_ARG(word->text),
			STR_ARG(near));
		return;
	}
	elsewhere = find_elsewhere(tables, word->text);
	if (elsewhere != NULL)
		config_errors_add(errors, word->line, word->column,
			"unknown word \"%.*s\" here; its place is %s", STR_ARG(word->text),
			elsewhere->path);
	else
		config_errors_add(errors, word->line, word->column,
			"unknown word \"%.*s\"; `posthorn config show -d` lists all",
			STR_ARG(word->text));
}

/* The first statement of that name in a block. */
static const struct config_entry *
find_entry(const struct config_entry *entry, Str name)
{
	while (entry != NULL && !str_eq(entry->name.text, name))
		entry = entry->next;
	return entry;
}

static void
check_entry(const struct setting *const *tables, const struct config_entry *first,
	const struct config_entry *entry, Str path, struct config_errors *errors)
{
	const struct config_entry *same = find_entry(first, entry->name.text);
	const struct config_word *name = &entry->name;

	if (same != entry)
		config_errors_add(errors, name->line, name->column,
			"\"%.*s\" is given twice (first in line %u)", STR_ARG(name->text),
			same->name.line);
	else if (entry->block && !is_block(tables, path))
		config_errors_add(errors, name->line, name->column, "\"%.*s\" has no block",
			STR_ARG(path));
	else if (find(tables, path) == NULL && !entry->block)
		config_errors_add(errors, name->line, name->column,
			"\"%.*s\" wants a block: %.*s { ... }", STR_ARG(name->text),
			STR_ARG(name->text));
	else if (find(tables, path) == NULL && entry->args != NULL)
		config_errors_add(errors, entry->args->line, entry->args->column,
			"\"%.*s\" takes no value, only a block", STR_ARG(path));
}

static void /* NOLINTNEXTLINE(misc-no-recursion): at most CONFIG_DEPTH_MAX */
check_block(const struct setting *const *tables, const struct config_entry *first,
	struct buf *path, struct config_errors *errors)
{
	size_t parent = path->n;

	for (const struct config_entry *entry = first; entry != NULL; entry = entry->next) {
		bool version = parent == 0 && str_eq(entry->name.text, S("config-version"));

		if (version && entry == first)
			continue; /* config_parse has seen to it */
		path_push(path, entry->name.text);
		if (path->bad || (find(tables, buf_view(path)) == NULL &&
					 !is_block(tables, buf_view(path)))) {
			report_unknown(tables, str_part(buf_view(path), 0, parent),
				&entry->name, errors);
		} else {
			check_entry(tables, first, entry, buf_view(path), errors);
			check_block(tables, entry->first, path, errors);
		}
		buf_cut(path, parent);
		path->bad = false;
	}
}

Err
config_check(const struct config_tree *tree, const struct setting *const *tables,
	struct config_errors *errors)
{
	AUTO_BUF path = BUF_INIT(PATH_MAX_OCTETS);
	uint32_t before = errors->n;

	check_block(tables, tree->first, &path, errors);
	return errors->n == before ? OK : fail(ERR_PEER, "configuration has errors");
}

const struct config_entry *
config_find(const struct config_tree *tree, const char *path)
{
	struct cursor c = cursor_of(str_from(path));
	const struct config_entry *entry = NULL;
	const struct config_entry *below = tree->first;

	while (!cursor_done(&c)) {
		entry = find_entry(below, cursor_until(&c, '.'));
		cursor_take_char(&c, '.');
		if (entry == NULL)
			return NULL;
		below = entry->first;
	}
	return entry;
}

static Err
read_number(Str s, uint32_t *ret)
{
	uint64_t value;

	if (!str_to_u64(s, UINT32_MAX, &value))
		return fail(ERR_PEER, "a number");
	*ret = (uint32_t)value;
	return OK;
}

/* One value out of one word; lists are read by read_list. */
static Err
read_value(const struct setting *setting, Str s, void *at)
{
	switch (setting->type) {
	case SETTING_TEXT:
		*(Str *)at = s;
		return OK;
	case SETTING_SIZE:
		return settings_size_parse(s, at);
	case SETTING_SECONDS:
		return settings_seconds_parse(s, at);
	case SETTING_NUMBER:
		return read_number(s, at);
	case SETTING_YES_NO:
		return settings_yes_no_parse(s, at);
	case SETTING_ADDRESS:
		return settings_address_parse(s, at);
	case SETTING_CHOICE:
		return settings_choice_parse(setting->choices, s, at);
	case SETTING_LIST:
	case SETTING_TIMES:
		break;
	}
	return fail(ERR_PERM, "not a single value");
}

static size_t
value_size(enum setting_type type)
{
	switch (type) {
	case SETTING_TEXT:
		return sizeof(Str);
	case SETTING_SIZE:
		return sizeof(uint64_t);
	case SETTING_SECONDS:
	case SETTING_NUMBER:
	case SETTING_CHOICE:
		return sizeof(uint32_t);
	case SETTING_YES_NO:
		return sizeof(bool);
	case SETTING_ADDRESS:
		return sizeof(SettingAddress);
	case SETTING_LIST:
	case SETTING_TIMES:
		break;
	}
	return sizeof(SettingList);
}

/* What a value amounts to for min and max; 0 for types that have no such thing. */
static uint64_t
amount(const struct setting *setting, const void *at)
{
	if (setting->type == SETTING_SIZE)
		return *(const uint64_t *)at;
	if (setting->type == SETTING_SECONDS || setting->type == SETTING_NUMBER)
		return *(const uint32_t *)at;
	return 0;
}

static void
write_limits(const struct setting *setting, struct buf *b)
{
	const uint64_t limits[] = { setting->min, setting->max };
	static const char *const words[] = { "at least ", "at most " };

	for (size_t i = 0; i < COUNT(limits); i++) {
		if (limits[i] == 0)
			continue;
		if (b->n > 0)
			buf_put(b, S(" and "));
		buf_put_c(b, words[i]);
		if (setting->type == SETTING_SIZE)
			settings_size_write(limits[i], b);
		else if (setting->type == SETTING_SECONDS)
			settings_seconds_write((uint32_t)limits[i], b);
		else
			buf_put_u64(b, limits[i]);
	}
}

static void
read_single(const struct setting *setting, const struct config_word *word, void *at,
	struct config_errors *errors)
{
	union {
		Str text;
		uint64_t size;
		uint32_t number;
		SettingAddress address;
		bool yes;
	} value = { 0 };
	Err e = read_value(setting, word->text, &value);
	AUTO_BUF limits = BUF_INIT(PATH_MAX_OCTETS);

	if (failed(e)) {
		config_errors_add(errors, word->line, word->column,
			"%s wants %s%s, not \"%.*s\"", setting->path,
			setting->type == SETTING_CHOICE ? "one of: " : "", e.what,
			STR_ARG(word->text));
		return;
	}
	if (amount(setting, &value) < setting->min ||
		(setting->max > 0 && amount(setting, &value) > setting->max)) {
		write_limits(setting, &limits);
		config_errors_add(errors, word->line, word->column, "%s must be %.*s",
			setting->path, STR_ARG(buf_view(&limits)));
		return;
	}
	memcpy(at, &value, value_size(setting->type));
}

static Err
read_list(const struct setting *setting, const struct config_word *args, struct arena *a,
	void *at, struct config_errors *errors)
{
	SettingList list = { 0 };
	uint32_t seconds, n = 0;

	for (const struct config_word *w = args; w != NULL; w = w->next, n++)
		if (setting->type == SETTING_TIMES &&
			failed(settings_seconds_parse(w->text, &seconds)))
			config_errors_add(errors, w->line, w->column,
				"%s wants times such as 5m 1h30m, not \"%.*s\"", setting->path,
				STR_ARG(w->text));
	if (n > SETTINGS_LIST_MAX) {
		config_errors_add(errors, args->line, args->column, "%s takes at most %d words",
			setting->path, SETTINGS_LIST_MAX);
		return OK;
	}
	list.items = arena_try_array(a, n, sizeof(*list.items));
	if (list.items == NULL && n > 0)
		return fail(ERR_LIMIT, "configuration is too large");
	for (const struct config_word *w = args; w != NULL; w = w->next)
		list.items[list.n++] = w->text;
	*(SettingList *)at = list;
	return OK;
}

Err
config_apply(const struct config_tree *tree, const struct setting *table, struct arena *a,
	void *values, struct config_errors *errors)
{
	uint32_t before = errors->n;

	for (; table->path != NULL; table++) {
		const struct config_entry *entry = config_find(tree, table->path);
		void *at = (char *)values + table->offset;

		if (entry == NULL || (entry->args == NULL && entry->block))
			continue;
		if (entry->args == NULL)
			config_errors_add(errors, entry->name.line, entry->name.column,
				"%s wants a value", table->path);
		else if (table->type == SETTING_LIST || table->type == SETTING_TIMES)
			TRY(read_list(table, entry->args, a, at, errors));
		else if (entry->args->next != NULL)
			config_errors_add(errors, entry->args->next->line,
				entry->args->next->column,
				"%s takes one value; quote a text with blanks", table->path);
		else
			read_single(table, entry->args, at, errors);
	}
	return errors->n == before ? OK : fail(ERR_PEER, "configuration has errors");
}
