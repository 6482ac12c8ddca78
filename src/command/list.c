/* SPDX-License-Identifier: ISC */
#include "command/list.h"

#include "command/ask.h"

#include <stdio.h>
#include <sysexits.h>

#include <jansson.h>

enum {
	MEMORY = 256 * 1024 * 1024, /* octets */
};

static json_t *
json_text(Str s)
{
	return json_stringn_nocheck(s.p, s.n);
}

static void
write_time(Time t, char *text, size_t size)
{
	struct civil c = time_to_civil(t);

	snprintf(text, size, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year, c.month, c.day, c.hour,
		c.minute, c.second);
}

static json_t *
to_json(const struct directory_record *r)
{
	json_t *object = json_object();
	char created[32];

	switch (r->kind) {
	case DIRECTORY_RECORD_DOMAIN:
		json_object_set_new(object, "domain", json_text(r->name));
		break;
	case DIRECTORY_RECORD_ACCOUNT:
		write_time(r->created, created, sizeof(created));
		json_object_set_new(object, "address", json_text(r->name));
		json_object_set_new(object, "id", json_integer((json_int_t)r->id));
		json_object_set_new(object, "enabled", json_boolean(!r->disabled));
		json_object_set_new(object, "password", json_boolean(r->password.n > 0));
		json_object_set_new(object, "folder", json_text(r->folder));
		json_object_set_new(object, "created", json_string(created));
		break;
	case DIRECTORY_RECORD_ALIAS:
		json_object_set_new(object, "alias", json_text(r->name));
		json_object_set_new(object, "members", json_array());
		for (uint32_t i = 0; i < r->member_count; i++)
			json_array_append_new(json_object_get(object, "members"),
				json_text(r->members[i]));
		break;
	}
	return object;
}

static void
print_json(const struct directory_record *records, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, to_json(&records[i]));
	json_dumpf(array, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(array);
}

static const char *
state(const struct directory_record *r)
{
	if (r->disabled)
		return "disabled";
	return r->password.n > 0 ? "enabled" : "no password";
}

static void
print_table(const struct directory_record *records, size_t count)
{
	int width = 0;

	for (size_t i = 0; i < count; i++)
		width = (int)records[i].name.n > width ? (int)records[i].name.n : width;
	for (size_t i = 0; i < count; i++) {
		const struct directory_record *r = &records[i];

		if (r->kind == DIRECTORY_RECORD_DOMAIN)
			printf("%.*s", STR_ARG(r->name));
		else
			printf("%-*.*s ", width, STR_ARG(r->name));
		if (r->kind == DIRECTORY_RECORD_ACCOUNT)
			printf(" %s", state(r));
		for (uint32_t m = 0; m < r->member_count; m++)
			printf(" %.*s", STR_ARG(r->members[m]));
		putchar('\n');
	}
}

int
list_records(Str noun, bool json)
{
	AUTO(arena) a = arena_new(MEMORY);
	AUTO_BUF packed = BUF_INIT(DIRECTORY_RECORD_PACKED_MAX);
	struct directory_record *records;
	size_t count;
	int exit_code = ask_records(noun, a, &packed, &records, &count);

	if (exit_code != EX_OK)
		return exit_code;
	if (json)
		print_json(records, count);
	else
		print_table(records, count);
	return EX_OK;
}
