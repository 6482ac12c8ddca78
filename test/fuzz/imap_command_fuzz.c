/* SPDX-License-Identifier: ISC */
/* Any text: what the parser hands out lies inside the text or its arena, and the tag agrees. */
#include "base/arena.h"
#include "format/imap/command.h"
#include "format/imap/match.h"

enum { SCRATCH = 128 * 1024 };

static size_t touched;

/* Reads every octet, so that the sanitizer sees a slice that reaches outside. */
static void
touch(Str s)
{
	for (size_t i = 0; i < s.n; i++)
		touched += str_at(s, i);
}

static void
touch_strings(const struct imap_strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		touch(strings->at[i]);
}

static void
touch_set(struct imap_set *set)
{
	for (size_t i = 0; i < set->count; i++)
		touched += set->ranges[i].first + set->ranges[i].last;
	imap_set_settle(set, 1000);
	for (size_t i = 0; i < set->count; i++) {
		struct imap_range r = set->ranges[i];

		if (r.first > r.last || r.first == 0 ||
			(i > 0 && r.first <= set->ranges[i - 1].last))
			__builtin_trap();
		if (!imap_set_has(set, r.first) || !imap_set_has(set, r.last))
			__builtin_trap();
	}
}

static void
touch_keys(struct imap_search_key *key, int depth)
{
	if (depth > 2 * IMAP_SEARCH_DEPTH_MAX)
		__builtin_trap();
	for (; key != NULL; key = key->next) {
		touch(key->name);
		touch(key->text);
		touch_set(&key->set);
		touch_keys(key->inner, depth + 1);
		touch_keys(key->other, depth + 1);
	}
}

static void
touch_fetch(struct imap_fetch *f)
{
	touch_set(&f->set);
	for (size_t i = 0; i < f->count; i++) {
		touch(f->items[i].name);
		if ((f->items[i].section != NULL) != (f->items[i].kind >= IMAP_FETCH_SECTION))
			__builtin_trap();
		if (f->items[i].section != NULL)
			touch_strings(&f->items[i].section->fields);
	}
}

static void
touch_list(const struct imap_list *list)
{
	touch(list->reference);
	touch_strings(&list->patterns);
	for (size_t i = 0; i < list->patterns.count; i++)
		touched += imap_match(list->patterns.at[i], S("INBOX/Some/Folder"), '/');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str text = { (const char *)data, size };
	AUTO(arena) a = arena_new(SCRATCH);
	struct imap_command cmd;
	bool message;

	(void)imap_append_parse(text, a, &cmd, &message).kind;
	arena_reset(a);
	if (failed(imap_command_parse(text, a, &cmd)))
		return 0;
	if (!str_eq(imap_command_tag(text), cmd.tag))
		__builtin_trap();
	touch(cmd.name);
	if (cmd.verb == IMAP_FETCH)
		touch_fetch(&cmd.fetch);
	else if (cmd.verb == IMAP_SEARCH)
		touch_keys(cmd.search.keys, 0);
	else if (cmd.verb == IMAP_STORE)
		touch_strings(&cmd.store.flags.keywords);
	else if (cmd.verb == IMAP_LIST || cmd.verb == IMAP_LSUB)
		touch_list(&cmd.list);
	else if (cmd.verb == IMAP_ID || cmd.verb == IMAP_ENABLE)
		touch_strings(&cmd.strings);
	else if (cmd.verb == IMAP_LOGIN)
		touch(cmd.login.password);
	else if (cmd.verb == IMAP_SELECT)
		touch_set(&cmd.select.known_uids);
	return touched == SIZE_MAX;
}
