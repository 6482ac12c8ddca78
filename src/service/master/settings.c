/* SPDX-License-Identifier: ISC */
#include "service/master/settings.h"

#include "base/memory.h"
#include "os/file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
	MEMORY = 8 * 1024 * 1024,
	LOGIN_FILE_MAX = 4096, /* octets */
	VALUES_MAX = 4096,     /* octets of the largest settings struct */
};

static struct setting_fact *
find_facts(struct arena *a)
{
	struct setting_fact *facts = arena_try_array(a, 2, sizeof(*facts));
	char host[256] = "localhost";
	Str name;

	gethostname(host, sizeof(host) - 1);
	if (facts == NULL || failed(arena_copy(a, str_from(host), &name)))
		abort();
	facts[0] = (struct setting_fact){ "@hostname@", name };
	return facts;
}

static Err
read_text(const struct master_options *options, struct arena *a, Str *ret)
{
	AUTO_BUF text = BUF_INIT(CONFIG_TEXT_MAX);
	AUTO_FD fd = -1;
	Err e;

	if (options->config == NULL)
		return arena_copy(a, options->text, ret);
	fd = open(options->config, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		e = fail_sys(ERR_PERM, "cannot open");
	else
		e = file_read_fd(fd, &text);
	if (failed(e)) {
		fprintf(stderr, "posthorn: %s: %s: %s\n", options->config, e.what,
			err_sys_text(e));
		return fail(ERR_PERM, "no configuration");
	}
	return arena_copy(a, buf_view(&text), ret);
}

static Err
fill_values(const struct master_config *c, const struct setting *table,
	struct config_errors *errors, void *values)
{
	TRY(settings_set_standard(table, find_facts(c->arena), c->arena, values));
	return config_apply(&c->tree, table, c->arena, values, errors);
}

/* Every table takes its values, so that every error is reported at once. */
static Err
check_all(struct master_config *c, struct config_errors *errors)
{
	Err first = config_check(&c->tree, settings_tables, errors);

	for (size_t i = 0; settings_tables[i] != NULL; i++) {
		char *values = memory_get(VALUES_MAX);
		Err e = fill_values(c, settings_tables[i], errors, values);

		free(values);
		if (failed(e) && !failed(first))
			first = e;
	}
	return first;
}

Err
master_config_read(const struct master_options *options, struct master_config *ret)
{
	struct master_config c = { .arena = arena_new(MEMORY) };
	struct config_errors errors = { .arena = c.arena };
	Str text = S(""), file = str_from(options->config);
	Err e = read_text(options, c.arena, &text);

	if (!failed(e) && text.n > 0)
		e = config_parse(text, c.arena, &c.tree, &errors);
	if (!failed(e) || e.kind == ERR_PEER) {
		Err checked = check_all(&c, &errors);

		e = failed(e) ? e : checked;
	}
	if (!failed(e))
		e = fill_values(&c, settings_master_table, &errors, &c.own);
	if (errors.n > 0) {
		AUTO_BUF lines = BUF_INIT(1024 * 1024);

		config_errors_write(&errors, file.n > 0 ? file : S("configuration"), &lines);
		fprintf(stderr, "%.*s", STR_ARG(buf_view(&lines)));
	}
	if (failed(e)) {
		arena_free(c.arena);
		return fail(ERR_PERM, "the configuration has errors");
	}
	if (options->data != NULL)
		c.own.data = str_from(options->data);
	*ret = c;
	return OK;
}

Err
master_config_fill(const struct master_config *c, const struct setting *table, void *values)
{
	struct config_errors errors = { .arena = c->arena };

	return fill_values(c, table, &errors, values);
}

void
master_config_free(struct master_config *c)
{
	arena_free(c->arena);
	c->arena = NULL;
}

/* The file with USER:PASSWORD for the smart host; no service could open it. */
static Err
read_relay_login(struct settings_relay *relay, struct arena *a)
{
	AUTO_BUF text = BUF_INIT(LOGIN_FILE_MAX);
	char path[4096];

	if (relay->login.n == 0)
		return OK;
	TRY(str_c(relay->login, path, sizeof(path)));
	TRY(file_read(AT_FDCWD, path, &text));
	TRY(arena_copy(a, str_trim(buf_view(&text)), &relay->login));
	return OK;
}

Err
master_config_pack(const struct master_config *c, const struct setting *table, struct buf *ret)
{
	struct config_errors errors = { .arena = c->arena };
	char *values = memory_get(VALUES_MAX);
	Err e = fill_values(c, table, &errors, values);

	if (!failed(e) && table == settings_relay_table)
		e = read_relay_login((struct settings_relay *)(void *)values, c->arena);
	if (!failed(e)) {
		settings_pack(table, values, ret);
		e = buf_check(ret);
	}
	free(values);
	return e;
}
