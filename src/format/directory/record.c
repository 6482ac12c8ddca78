/* SPDX-License-Identifier: ISC */
#include "format/directory/record.h"

void
directory_record_write(const struct directory_record *record, struct buf *b)
{
	buf_u8(b, (uint8_t)record->kind);
	buf_str(b, record->name);
	switch (record->kind) {
	case DIRECTORY_RECORD_DOMAIN:
		break;
	case DIRECTORY_RECORD_ACCOUNT:
		buf_u64(b, record->id);
		buf_str(b, record->password);
		buf_str(b, record->folder);
		buf_u8(b, record->disabled);
		buf_u64(b, (uint64_t)record->created.us);
		break;
	case DIRECTORY_RECORD_ALIAS:
		buf_u32(b, record->member_count);
		for (uint32_t i = 0; i < record->member_count; i++)
			buf_str(b, record->members[i]);
		break;
	}
}

static Err
parse_members(struct cursor *c, struct arena *a, struct directory_record *record)
{
	record->member_count = cursor_u32(c);
	if (record->member_count > DIRECTORY_RECORD_MEMBERS_MAX)
		return fail(ERR_LIMIT, "alias has too many members");
	record->members = arena_try_array(a, record->member_count, sizeof(Str));
	if (record->members == NULL && record->member_count > 0)
		return fail(ERR_LIMIT, "directory records are too large");
	for (uint32_t i = 0; i < record->member_count; i++)
		record->members[i] = cursor_str(c);
	return OK;
}

Err
directory_record_parse(struct cursor *c, struct arena *a, struct directory_record *ret)
{
	struct directory_record record = { .kind = cursor_u8(c) };

	record.name = cursor_str(c);
	switch (record.kind) {
	case DIRECTORY_RECORD_DOMAIN:
		break;
	case DIRECTORY_RECORD_ACCOUNT:
		record.id = cursor_u64(c);
		record.password = cursor_str(c);
		record.folder = cursor_str(c);
		record.disabled = cursor_u8(c) != 0;
		record.created.us = (int64_t)cursor_u64(c);
		break;
	case DIRECTORY_RECORD_ALIAS:
		TRY(parse_members(c, a, &record));
		break;
	default:
		return fail(ERR_PEER, "not a directory record");
	}
	if (c->bad)
		return fail(ERR_PEER, "not a directory record");
	*ret = record;
	return OK;
}
