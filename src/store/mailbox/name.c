/* SPDX-License-Identifier: ISC */
#include "store/mailbox/name.h"

#include "format/imap/mutf7.h"
#include "format/mime/decode.h"
#include "store/mailbox.h"

#define DOT S("&AC4-")

static Err
check_level(Str level)
{
	if (level.n == 0)
		return fail(ERR_PEER, "empty level in a folder's name");
	for (size_t i = 0; i < level.n; i++) {
		unsigned char ch = str_at(level, i);

		if (ch < ' ' || ch == 127 || ch == '*' || ch == '%')
			return fail(ERR_PEER, "character not allowed in a folder's name");
	}
	return OK;
}

Err
name_normalise(Str name, struct buf *ret)
{
	AUTO_BUF disk = BUF_INIT(NAME_DISK_MAX);
	struct cursor c;
	size_t depth = 0;

	if (str_ends(name, S("/")))
		name.n--;
	if (name.n > MAILBOX_NAME_MAX)
		return fail(ERR_LIMIT, "folder's name is too long");
	if (!mime_decode_is_utf8(name))
		return fail(ERR_PEER, "folder's name is not UTF-8");
	c = cursor_of(name);
	do {
		Str level = cursor_until(&c, '/');

		TRY(check_level(level));
		if (depth > 0)
			buf_put_char(ret, '/');
		buf_put(ret,
			depth == 0 && str_eq_icase(level, S("INBOX")) ? S("INBOX") : level);
		if (++depth > MAILBOX_DEPTH_MAX)
			return fail(ERR_LIMIT, "folder's name is too deep");
	} while (cursor_take_char(&c, '/'));
	TRY(buf_check(ret));
	return name_to_disk(buf_view(ret), &disk);
}

static Err
put_level(struct buf *ret, Str level)
{
	struct cursor c = cursor_of(level);

	do {
		TRY(imap_mutf7_write(ret, cursor_until(&c, '.')));
		if (cursor_peek(&c) == '.')
			buf_put(ret, DOT);
	} while (cursor_take_char(&c, '.'));
	return OK;
}

Err
name_to_disk(Str name, struct buf *ret)
{
	struct cursor c = cursor_of(name);

	if (str_eq(name, S("INBOX")))
		return OK;
	do {
		buf_put_char(ret, '.');
		TRY(put_level(ret, cursor_until(&c, '/')));
	} while (cursor_take_char(&c, '/'));
	return buf_check(ret);
}

static Err
take_level(Str level, struct buf *ret)
{
	for (;;) {
		size_t at = str_find_str(level, DOT);

		TRY(imap_mutf7_parse(str_part(level, 0, at), ret));
		if (at == STR_NONE)
			return OK;
		buf_put_char(ret, '.');
		level = str_from_at(level, at + DOT.n);
	}
}

Err
name_from_disk(Str disk, struct buf *ret)
{
	struct cursor c = cursor_of(disk);
	AUTO_BUF name = BUF_INIT(NAME_DISK_MAX);

	if (disk.n < 2 || !cursor_take_char(&c, '.'))
		return fail(ERR_PEER, "not a folder's name");
	do {
		if (name.n > 0)
			buf_put_char(&name, '/');
		TRY(take_level(cursor_until(&c, '.'), &name));
	} while (cursor_take_char(&c, '.'));
	TRY(buf_check(&name));
	return name_normalise(buf_view(&name), ret);
}

bool
name_is_below(Str name, Str parent)
{
	return name.n > parent.n && str_starts(name, parent) && str_at(name, parent.n) == '/';
}
