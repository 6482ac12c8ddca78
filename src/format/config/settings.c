/* SPDX-License-Identifier: ISC */
#include "base/time.h"
#include "format/config/config.h"

#include <assert.h>

static const struct {
	char letter;
	uint32_t seconds;
} units[] = {
	{ 'w', 7 * DAY },
	{ 'd', DAY },
	{ 'h', HOUR },
	{ 'm', MINUTE },
	{ 's', 1 },
};

const struct setting *
settings_find(const struct setting *table, Str path)
{
	for (; table->path != NULL; table++)
		if (str_eq(path, str_from(table->path)))
			return table;
	return NULL;
}

Err
settings_size_parse(Str s, uint64_t *ret)
{
	static const char letters[] = "KMGT";
	const char *hit =
		s.n == 0 ? NULL : strchr(letters, char_upper((char)str_at(s, s.n - 1)));
	unsigned shift = 0;
	uint64_t value;

	if (hit != NULL && *hit != '\0') {
		shift = 10 * (unsigned)(hit - letters + 1);
		s.n--;
	}
	if (!str_to_u64(s, UINT64_MAX >> shift, &value))
		return fail(ERR_PEER, "a size such as 512K, 50M or 2G");
	*ret = value << shift;
	return OK;
}

static uint32_t
unit_seconds(int letter)
{
	for (size_t i = 0; i < COUNT(units); i++)
		if (units[i].letter == letter)
			return units[i].seconds;
	return 0;
}

Err
settings_seconds_parse(Str s, uint32_t *ret)
{
	static const char want[] = "a time such as 30s, 5m, 1h30m or 2d";
	struct cursor c = cursor_of(s);
	uint64_t sum = 0, value;

	if (str_eq(s, S("0"))) {
		*ret = 0;
		return OK;
	}
	if (s.n == 0)
		return fail(ERR_PEER, want);
	while (!cursor_done(&c)) {
		uint32_t unit;

		if (!str_to_u64(cursor_while(&c, char_is_digit), SETTINGS_DURATION_MAX, &value))
			return fail(ERR_PEER, want);
		unit = unit_seconds(cursor_next(&c));
		sum += value * unit;
		if (unit == 0 || sum > SETTINGS_DURATION_MAX)
			return fail(ERR_PEER, want);
	}
	*ret = (uint32_t)sum;
	return OK;
}

Err
settings_yes_no_parse(Str s, bool *ret)
{
	if (!str_eq(s, S("yes")) && !str_eq(s, S("no")))
		return fail(ERR_PEER, "yes or no");
	*ret = str_eq(s, S("yes"));
	return OK;
}

/* host [":" port] / "[" IPv6 "]" [":" port] / IPv6 */
Err
settings_address_parse(Str s, SettingAddress *ret)
{
	static const char want[] = "HOST, HOST:PORT or [IPV6]:PORT";
	SettingAddress address = { .host = s };
	uint64_t port = 0;
	Str rest;

	if (str_starts(s, S("["))) {
		address.brackets = true;
		if (!str_split(str_from_at(s, 1), ']', &address.host, &rest))
			return fail(ERR_PEER, want);
		if (rest.n > 0 &&
			(str_at(rest, 0) != ':' ||
				!str_to_u64(str_from_at(rest, 1), UINT16_MAX, &port) ||
				port == 0))
			return fail(ERR_PEER, want);
	} else if (str_split(s, ':', &address.host, &rest)) {
		if (str_has(rest, ':'))
			address.host = s; /* bare IPv6 */
		else if (!str_to_u64(rest, UINT16_MAX, &port) || port == 0)
			return fail(ERR_PEER, want);
	}
	if (address.host.n == 0)
		return fail(ERR_PEER, want);
	address.port = (uint16_t)port;
	*ret = address;
	return OK;
}

/* The next word of a list with blanks between; empty at its end. */
static Str
next_word(struct cursor *c)
{
	while (cursor_take_char(c, ' '))
		;
	return cursor_until(c, ' ');
}

Err
settings_choice_parse(const char *choices, Str s, uint32_t *ret)
{
	struct cursor c = cursor_of(str_from(choices));
	uint32_t at = 0;

	for (Str word = next_word(&c); word.n > 0; word = next_word(&c), at++) {
		if (!str_eq(word, s))
			continue;
		*ret = at;
		return OK;
	}
	return fail(ERR_PEER, choices);
}

void
settings_size_write(uint64_t size, struct buf *b)
{
	static const char letters[] = "KMGT";
	size_t unit = 0;

	while (size > 0 && size % 1024 == 0 && unit < sizeof(letters) - 1) {
		size /= 1024;
		unit++;
	}
	buf_put_u64(b, size);
	if (unit > 0)
		buf_put_char(b, letters[unit - 1]);
}

void
settings_seconds_write(uint32_t seconds, struct buf *b)
{
	if (seconds == 0)
		buf_put(b, S("0"));
	for (size_t i = 0; i < COUNT(units); i++) {
		uint32_t n = seconds / units[i].seconds;

		if (n > 0)
			buf_printf(b, "%u%c", n, units[i].letter);
		seconds %= units[i].seconds;
	}
}

static void
write_address(const SettingAddress *address, struct buf *b)
{
	bool brackets = address->brackets || (str_has(address->host, ':') && address->port > 0);

	buf_printf(b, brackets ? "[%.*s]" : "%.*s", STR_ARG(address->host));
	if (address->port > 0)
		buf_printf(b, ":%u", address->port);
}

static void
write_choice(const char *choices, uint32_t at, struct buf *b)
{
	struct cursor c = cursor_of(str_from(choices));

	for (; at > 0; at--)
		next_word(&c);
	buf_put(b, next_word(&c));
}

static void
write_list(const SettingList *list, struct buf *b)
{
	for (uint32_t i = 0; i < list->n; i++) {
		if (i > 0)
			buf_put_char(b, ' ');
		config_write_word(list->items[i], b);
	}
}

/* The member of the struct that a setting is for. */
static const void *
member(const struct setting *setting, const void *values)
{
	return (const char *)values + setting->offset;
}

void
settings_value_write(const struct setting *setting, const void *values, struct buf *b)
{
	const void *at = member(setting, values);

	switch (setting->type) {
	case SETTING_TEXT:
		config_write_word(*(const Str *)at, b);
		break;
	case SETTING_SIZE:
		settings_size_write(*(const uint64_t *)at, b);
		break;
	case SETTING_SECONDS:
		settings_seconds_write(*(const uint32_t *)at, b);
		break;
	case SETTING_NUMBER:
		buf_put_u64(b, *(const uint32_t *)at);
		break;
	case SETTING_YES_NO:
		buf_put_c(b, *(const bool *)at ? "yes" : "no");
		break;
	case SETTING_ADDRESS:
		write_address(at, b);
		break;
	case SETTING_CHOICE:
		write_choice(setting->choices, *(const uint32_t *)at, b);
		break;
	case SETTING_LIST:
	case SETTING_TIMES:
		write_list(at, b);
		break;
	}
}

static Err
list_of(Str words, struct arena *a, SettingList *ret)
{
	struct cursor c = cursor_of(words);
	SettingList list = { 0 };

	for (Str word = next_word(&c); word.n > 0; word = next_word(&c))
		list.n++;
	list.items = arena_try_array(a, list.n, sizeof(*list.items));
	if (list.items == NULL && list.n > 0)
		return fail(ERR_LIMIT, "settings are too large");
	c = cursor_of(words);
	for (uint32_t i = 0; i < list.n; i++)
		list.items[i] = next_word(&c);
	*ret = list;
	return OK;
}

static Str
look_up(const struct setting_fact *facts, Str text)
{
	if (!str_starts(text, S("@")) || facts == NULL)
		return text;
	for (; facts->name != NULL; facts++)
		if (str_eq(text, str_from(facts->name)))
			return facts->value;
	return text;
}

Err
settings_set_standard(const struct setting *table, const struct setting_fact *facts,
	struct arena *a, void *values)
{
	for (; table->path != NULL; table++) {
		Str text = look_up(facts, str_from(table->standard));
		void *at = (char *)values + table->offset;

		switch (table->type) {
		case SETTING_TEXT:
			*(Str *)at = text;
			break;
		case SETTING_SIZE:
			TRY(settings_size_parse(text, at));
			break;
		case SETTING_SECONDS:
			TRY(settings_seconds_parse(text, at));
			break;
		case SETTING_NUMBER: {
			uint64_t number;

			if (!str_to_u64(text, UINT32_MAX, &number))
				return fail(ERR_PERM, "a default in the table is no number");
			*(uint32_t *)at = (uint32_t)number;
			break;
		}
		case SETTING_YES_NO:
			TRY(settings_yes_no_parse(text, at));
			break;
		case SETTING_ADDRESS:
			*(SettingAddress *)at = (SettingAddress){ .host = S("") };
			if (text.n > 0)
				TRY(settings_address_parse(text, at));
			break;
		case SETTING_CHOICE:
			TRY(settings_choice_parse(table->choices, text, at));
			break;
		case SETTING_LIST:
		case SETTING_TIMES:
			TRY(list_of(text, a, at));
			break;
		}
	}
	return OK;
}

void
settings_pack(const struct setting *table, const void *values, struct buf *b)
{
	for (; table->path != NULL; table++) {
		const void *at = member(table, values);

		switch (table->type) {
		case SETTING_TEXT:
			buf_str(b, *(const Str *)at);
			break;
		case SETTING_SIZE:
			buf_u64(b, *(const uint64_t *)at);
			break;
		case SETTING_SECONDS:
		case SETTING_NUMBER:
		case SETTING_CHOICE:
			buf_u32(b, *(const uint32_t *)at);
			break;
		case SETTING_YES_NO:
			buf_u8(b, *(const bool *)at);
			break;
		case SETTING_ADDRESS:
			buf_str(b, ((const SettingAddress *)at)->host);
			buf_u16(b, ((const SettingAddress *)at)->port);
			buf_u8(b, ((const SettingAddress *)at)->brackets);
			break;
		case SETTING_LIST:
		case SETTING_TIMES: {
			const SettingList *list = at;

			buf_u32(b, list->n);
			for (uint32_t i = 0; i < list->n; i++)
				buf_str(b, list->items[i]);
			break;
		}
		}
	}
}

static Err
unpack_list(struct cursor *c, struct arena *a, SettingList *ret)
{
	SettingList list = { .n = cursor_u32(c) };

	if (list.n > SETTINGS_LIST_MAX)
		return fail(ERR_PEER, "packed settings hold too long a list");
	list.items = arena_try_array(a, list.n, sizeof(*list.items));
	if (list.items == NULL && list.n > 0)
		return fail(ERR_LIMIT, "settings are too large");
	for (uint32_t i = 0; i < list.n; i++)
		list.items[i] = cursor_str(c);
	*ret = list;
	return OK;
}

Err
settings_unpack(const struct setting *table, Str packed, struct arena *a, void *ret)
{
	struct cursor c = cursor_of(packed);

	for (; table->path != NULL; table++) {
		void *at = (char *)ret + table->offset;

		switch (table->type) {
		case SETTING_TEXT:
			*(Str *)at = cursor_str(&c);
			break;
		case SETTING_SIZE:
			*(uint64_t *)at = cursor_u64(&c);
			break;
		case SETTING_SECONDS:
		case SETTING_NUMBER:
		case SETTING_CHOICE:
			*(uint32_t *)at = cursor_u32(&c);
			break;
		case SETTING_YES_NO:
			*(bool *)at = cursor_u8(&c) != 0;
			break;
		case SETTING_ADDRESS:
			((SettingAddress *)at)->host = cursor_str(&c);
			((SettingAddress *)at)->port = cursor_u16(&c);
			((SettingAddress *)at)->brackets = cursor_u8(&c) != 0;
			break;
		case SETTING_LIST:
		case SETTING_TIMES:
			TRY(unpack_list(&c, a, at));
			break;
		}
	}
	if (c.bad || c.rest.n > 0)
		return fail(ERR_PEER, "packed settings do not fit their table");
	return OK;
}
