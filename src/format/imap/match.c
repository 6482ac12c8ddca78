/* SPDX-License-Identifier: ISC */
/*
 * The pattern is walked as a set of positions that are possible after each octet of the name, so
 * that no pattern, however many wildcards it has, takes exponential time.
 */
#include "format/imap/match.h"

enum {
	INBOX_LENGTH = 5,
};

static bool
same(Str pattern, size_t at, Str name, size_t in_name, bool inbox)
{
	char a = (char)str_at(pattern, at), b = (char)str_at(name, in_name);

	if (inbox && in_name < INBOX_LENGTH)
		return char_lower(a) == char_lower(b);
	return a == b;
}

/* INBOX itself or something below it. */
static bool
is_inbox(Str name, char delimiter)
{
	return str_starts_icase(name, S("INBOX")) &&
	       (name.n == INBOX_LENGTH || (char)str_at(name, INBOX_LENGTH) == delimiter);
}

bool
imap_match(Str pattern, Str name, char delimiter)
{
	bool now[IMAP_PATTERN_MAX + 1] = { true }, next[IMAP_PATTERN_MAX + 1];
	bool inbox = is_inbox(name, delimiter);

	if (pattern.n > IMAP_PATTERN_MAX)
		return false;
	for (size_t i = 0; i <= name.n; i++) {
		/* A wildcard may match nothing. */
		for (size_t at = 0; at < pattern.n; at++)
			if (now[at] &&
				(str_at(pattern, at) == '*' || str_at(pattern, at) == '%'))
				now[at + 1] = true;
		if (i == name.n)
			break;
		memset(next, 0, pattern.n + 1);
		for (size_t at = 0; at < pattern.n; at++) {
			unsigned char want = str_at(pattern, at);

			if (!now[at])
				continue;
			if (want == '*' || (want == '%' && (char)str_at(name, i) != delimiter))
				next[at] = true;
			else if (want != '%' && same(pattern, at, name, i, inbox))
				next[at + 1] = true;
		}
		memcpy(now, next, pattern.n + 1);
	}
	return now[pattern.n];
}
