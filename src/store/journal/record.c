/* SPDX-License-Identifier: ISC */
#include "store/journal/record.h"

#include "base/hash.h"

#define MAGIC S("posthorn journal 1\n")

/*
 * Head of a segment: magic, CRC of what follows, serial, mark, size.
 * Head of a record: CRC of all that follows it in the record, size of the payload, mark, position,
 * batch, type, and two octets for later.
 */

static void
put_zeros(struct buf *b, size_t n)
{
	char *room = buf_room(b, n);

	if (room == NULL)
		return;
	memset(room, 0, n);
	buf_grew(b, n);
}

static void
write_one_head(struct buf *b, const struct segment_head *head)
{
	size_t start = b->n, summed;

	buf_put(b, MAGIC);
	buf_u32(b, 0);
	summed = b->n;
	buf_u64(b, head->serial);
	buf_u64(b, head->mark);
	buf_u32(b, head->size);
	if (!b->bad)
		buf_set_u32(b, summed - 4, hash_crc32c(0, str_from_at(buf_view(b), summed)));
	put_zeros(b, start + SEGMENT_HEAD - b->n);
}

void
segment_head_write(struct buf *b, const struct segment_head *head)
{
	write_one_head(b, head);
	put_zeros(b, SEGMENT_SECOND - SEGMENT_HEAD);
	write_one_head(b, head);
	put_zeros(b, SEGMENT_FIRST - SEGMENT_SECOND - SEGMENT_HEAD);
}

static bool
parse_one_head(Str bytes, struct segment_head *ret)
{
	struct cursor c = cursor_of(bytes);
	struct segment_head head;
	uint32_t sum;
	Str summed;

	if (!cursor_take_str(&c, MAGIC))
		return false;
	sum = cursor_u32(&c);
	summed = str_part(c.rest, 0, 8 + 8 + 4);
	head.serial = cursor_u64(&c);
	head.mark = cursor_u64(&c);
	head.size = cursor_u32(&c);
	if (c.bad || sum != hash_crc32c(0, summed))
		return false;
	*ret = head;
	return true;
}

bool
segment_head_parse(Str bytes, struct segment_head *ret)
{
	return parse_one_head(str_part(bytes, 0, SEGMENT_HEAD), ret) ||
	       parse_one_head(str_part(bytes, SEGMENT_SECOND, SEGMENT_HEAD), ret);
}

void
record_write(struct buf *b, const struct segment_head *head, const struct record *record,
	const Str *parts, size_t part_count)
{
	size_t start = b->n, size = 0;

	for (size_t i = 0; i < part_count; i++)
		size += parts[i].n;
	buf_u32(b, 0);
	buf_u32(b, (uint32_t)size);
	buf_u64(b, head->mark);
	buf_u64(b, record->position);
	buf_u32(b, record->batch);
	buf_u16(b, record->type);
	buf_u16(b, 0);
	for (size_t i = 0; i < part_count; i++)
		buf_put(b, parts[i]);
	if (!b->bad)
		buf_set_u32(b, start, hash_crc32c(0, str_from_at(buf_view(b), start + 4)));
	put_zeros(b, record_room(size) - RECORD_HEAD - size);
}

bool
record_parse_size(Str bytes, uint64_t position, const struct segment_head *head, size_t *ret)
{
	struct cursor c = cursor_of(bytes);
	size_t size;

	(void)cursor_u32(&c);
	size = cursor_u32(&c);
	if (cursor_u64(&c) != head->mark || cursor_u64(&c) != position || c.bad)
		return false;
	*ret = size;
	return true;
}

bool
record_parse(Str bytes, uint64_t position, const struct segment_head *head, struct record *ret)
{
	struct cursor c = cursor_of(bytes);
	struct record record;
	uint32_t sum;
	size_t size;

	if (!record_parse_size(bytes, position, head, &size))
		return false;
	sum = cursor_u32(&c);
	(void)cursor_take(&c, 4 + 8);
	record.position = cursor_u64(&c);
	record.batch = cursor_u32(&c);
	record.type = cursor_u16(&c);
	(void)cursor_u16(&c);
	record.payload = cursor_take(&c, size);
	if (c.bad || sum != hash_crc32c(0, str_part(bytes, 4, RECORD_HEAD - 4 + size)))
		return false;
	*ret = record;
	return true;
}
