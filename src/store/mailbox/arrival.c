/* SPDX-License-Identifier: ISC */
#include "store/mailbox/arrival.h"

#include "format/mime/envelope.h"
#include "format/mime/structure.h"

#include <sys/mman.h>

enum {
	TEXT_MAX = 16 * 1024 * 1024, /* octets of ENVELOPE and BODYSTRUCTURE together */
	SCRATCH_MAX = MIME_ARENA_MAX + TEXT_MAX,
};

/* True when every LF has its CR: then the LF form loses nothing. */
static bool
is_crlf(Str s)
{
	struct cursor c = cursor_of(s);

	while (!cursor_done(&c)) {
		Str line = cursor_until(&c, '\n');

		if (cursor_take_char(&c, '\n') && !str_ends(line, S("\r")))
			return false;
	}
	return true;
}

/* Only CRLF becomes LF; a CR alone stays. */
static void
put_lf(struct buf *b, Str s)
{
	struct cursor c = cursor_of(s);

	while (!cursor_done(&c)) {
		Str line = cursor_until(&c, '\n');

		if (!cursor_take_char(&c, '\n')) {
			buf_put(b, line);
			return;
		}
		buf_put(b, str_part(line, 0, line.n - 1));
		buf_put_char(b, '\n');
	}
}

static Err
map_source(struct arrival *a, const struct mailbox_source *source)
{
	if (source->size == 0) {
		a->bytes = S("");
		return OK;
	}
	a->map = mmap(NULL, source->size, PROT_READ, MAP_PRIVATE, source->fd, 0);
	if (a->map == MAP_FAILED) {
		a->map = NULL;
		return fail_sys(ERR_TEMP, "cannot map message");
	}
	a->map_size = source->size;
	a->bytes = (Str){ a->map, source->size };
	return OK;
}

static size_t
count_lines(Str s)
{
	struct cursor c = cursor_of(s);
	size_t lines = 0;

	while (!cursor_done(&c)) {
		cursor_until(&c, '\n');
		lines += cursor_take_char(&c, '\n');
	}
	return lines;
}

static Err
write_texts(struct arrival *a, struct arena *scratch)
{
	struct mime_part *root;

	TRY(mime_message_parse(a->bytes, scratch, &root));
	TRY(mime_envelope_write(&a->text, &root->header, scratch));
	a->envelope_size = a->text.n;
	a->header_size = (uint32_t)root->header_size;
	return mime_structure_write(&a->text, root, a->raw, scratch);
}

/* For a message that nobody could take apart: it is there, and nothing is known of it. */
static void
write_unparsed(struct arrival *a)
{
	buf_reset(&a->text);
	buf_put(&a->text, S("(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"));
	a->envelope_size = a->text.n;
	a->header_size = 0;
	buf_put(&a->text, S("(\"application\" \"octet-stream\" NIL NIL NIL \"binary\" "));
	buf_put_u64(&a->text, a->size);
	buf_put(&a->text, S(" NIL NIL NIL NIL)"));
}

Err
arrival_parse(struct arrival *a, bool unparsed)
{
	AUTO(arena) scratch = arena_new(SCRATCH_MAX);
	uint64_t size = mime_part_wire_size(a->bytes.n, count_lines(a->bytes), a->raw);

	if (size > UINT32_MAX)
		return fail(ERR_LIMIT, "message is too large");
	a->size = (uint32_t)size;
	a->text = BUF_INIT(TEXT_MAX);
	if (unparsed || failed(write_texts(a, scratch)))
		write_unparsed(a);
	return buf_check(&a->text);
}

Err
arrival_make(struct arrival *a, const struct mailbox_source *source, bool unparsed)
{
	a->fd = -1;
	a->raw = source->raw;
	a->bytes = source->bytes;
	if (source->fd >= 0)
		TRY(map_source(a, source));
	if (source->crlf) {
		a->raw = !is_crlf(a->bytes);
		if (!a->raw) {
			a->owned = BUF_INIT(a->bytes.n);
			if (a->bytes.n > 0 && buf_room(&a->owned, a->bytes.n) == NULL)
				return fail(ERR_TEMP, "no memory for message");
			put_lf(&a->owned, a->bytes);
			a->bytes = buf_view(&a->owned);
		}
	}
	return arrival_parse(a, unparsed);
}

void
arrival_done(struct arrival *a)
{
	buf_done(&a->owned);
	buf_done(&a->text);
	fd_drop(&a->fd);
	if (a->map != NULL)
		munmap(a->map, a->map_size);
	a->map = NULL;
}
