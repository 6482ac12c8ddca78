/* SPDX-License-Identifier: ISC */
/* The configuration: words lie inside the input, and what is written parses to the same. */
#include "format/config/config.h"

#include <stdlib.h>

enum {
	SCRATCH = 64 * 1024 * 1024,
};

static const struct setting table[] = {
	{ "hostname", SETTING_TEXT, 0, "", "" },
	{ "listen.imap", SETTING_YES_NO, 0, "yes", "" },
	{ "relay-host", SETTING_ADDRESS, 0, "", "" },
	{ "relay-host.tls", SETTING_CHOICE, 0, "a", "", .choices = "a b" },
	{ "queue-retry", SETTING_TIMES, 0, "", "" },
	{ "message-size-max", SETTING_SIZE, 0, "1M", "", .min = 1024, .max = 1 << 30 },
	{ "wait", SETTING_SECONDS, 0, "1m", "", .max = 60 },
	{ 0 },
};
static const struct setting *const tables[] = { table, NULL };

static void
check_inside(const struct config_entry *entry, Str text)
{
	for (; entry != NULL; entry = entry->next) {
		for (const struct config_word *w = &entry->name; w != NULL;
			w = w == &entry->name ? entry->args : w->next) {
			bool inside = w->text.n == 0 ||
				      (w->text.p >= text.p &&
					      w->text.p + w->text.n <= text.p + text.n);

			if ((!inside && !w->quoted) || w->line == 0 || w->column == 0)
				abort();
		}
		check_inside(entry->first, text);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str text = { (const char *)data, size };
	AUTO(arena) a = arena_new(SCRATCH);
	AUTO_BUF once = BUF_INIT(SCRATCH);
	AUTO_BUF twice = BUF_INIT(SCRATCH);
	struct config_errors errors = { .arena = a };
	struct config_tree tree, again;
	SettingList values[4]; /* one place for every type */
	Err parsed = config_parse(text, a, &tree, &errors);

	check_inside(tree.first, text);
	(void)config_check(&tree, tables, &errors).kind;
	(void)config_apply(&tree, table, a, values, &errors).kind;
	if (failed(parsed))
		return 0;
	config_write(&tree, &once);
	if (failed(config_parse(buf_view(&once), a, &again, &errors)))
		abort();
	config_write(&again, &twice);
	if (!str_eq(buf_view(&once), buf_view(&twice)))
		abort();
	return 0;
}
