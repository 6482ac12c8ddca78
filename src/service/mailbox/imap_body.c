/* SPDX-License-Identifier: ISC */
/*
 * The bytes of one message, as FETCH sends them and SEARCH reads them. They are kept with LF and
 * sent with CRLF, so a literal's size is known only after counting lines. A message up to
 * WHOLE_MAX is read at once; a larger one goes by in blocks, twice: to count, then to send.
 */
#include "format/mime/decode.h"
#include "format/mime/message.h"
#include "service/mailbox/session_internal.h"

#include <errno.h>

enum {
	WHOLE_MAX = 256 << 10,
	HEADER_FIRST = 8 << 10, /* octets read in the hope that the header ends there */
	BLOCK = 64 << 10,
	NUL_STAND_IN = 0x80, /* no literal may hold a NUL (RFC 9051, 4.3) */
};

void
session_body_init(struct session_body *b, struct imap_session *s)
{
	*b = (struct session_body){
		.s = s, .bytes = { .fd = -1 }, .data = BUF_INIT(SESSION_PARSE_MAX)
	};
}

void
session_body_done(struct session_body *b)
{
	fd_drop(&b->bytes.fd);
	buf_done(&b->data);
	arena_free(b->arena);
	b->arena = NULL;
}

void
session_body_set(struct session_body *b, uint32_t uid)
{
	fd_drop(&b->bytes.fd);
	if (b->data.cap > WHOLE_MAX)
		buf_done(&b->data);
	buf_reset(&b->data);
	b->whole = false;
	b->root = NULL;
	b->uid = uid;
	if (b->arena != NULL)
		arena_reset(b->arena);
}

static Err
open_bytes(struct session_body *b)
{
	if (b->bytes.fd >= 0)
		return OK;
	return mailbox_bytes_open(b->s->mailbox, b->s->view->folder, b->uid, &b->bytes);
}

static void
replace_nul(char *p, size_t n)
{
	char *end = p + n;

	while ((p = memchr(p, 0, (size_t)(end - p))) != NULL)
		*p = (char)NUL_STAND_IN;
}

/* Reads n octets at `at`; a file that got shorter meanwhile is a failure. */
static Err
read_at(struct session_body *b, uint64_t at, char *p, size_t n)
{
	size_t done = 0;

	while (done < n) {
		ssize_t got = pread(b->bytes.fd, p + done, n - done, (off_t)(at + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return fail_sys(ERR_TEMP, "cannot read a message");
		done += (size_t)got;
	}
	replace_nul(p, n);
	return OK;
}

/* Makes the first `want` octets (all, when there are fewer) stand in data. */
static Err
load(struct session_body *b, uint64_t want)
{
	size_t n;
	char *room;

	TRY(open_bytes(b));
	if (want > b->bytes.size)
		want = b->bytes.size;
	if (want > SESSION_PARSE_MAX)
		return fail(ERR_LIMIT, "message is too large to be taken apart");
	if (b->data.n < want) {
		n = (size_t)want - b->data.n;
		room = buf_room(&b->data, n);
		if (room == NULL) {
			b->data.bad = false;
			return fail(ERR_TEMP, "no memory for a message");
		}
		TRY(read_at(b, b->data.n, room, n));
		buf_grew(&b->data, n);
	}
	b->whole = b->data.n == b->bytes.size;
	return OK;
}

Err
session_body_header(struct session_body *b, Str *ret)
{
	TRY(load(b, HEADER_FIRST));
	for (;;) {
		size_t n = mime_header_size(buf_view(&b->data));

		/* Without an empty line all that is read looks like header. */
		if (b->whole || n < b->data.n) {
			*ret = str_part(buf_view(&b->data), 0, n);
			return OK;
		}
		TRY(load(b, 4 * (uint64_t)b->data.n));
	}
}

Err
session_body_parse(struct session_body *b)
{
	if (b->root != NULL)
		return OK;
	TRY(load(b, UINT64_MAX));
	if (b->arena == NULL)
		b->arena = arena_new(MIME_ARENA_MAX);
	return mime_message_parse(buf_view(&b->data), b->arena, &b->root);
}

/* What of a value is to be sent, in octets as sent. */
struct window {
	uint64_t skip, left;
};

/* Writes the literal's announcement; an empty value is a quoted string. */
static void
open_literal(struct imap_session *s, const struct imap_fetch_item *item, uint64_t size,
	struct window *ret)
{
	ret->skip = item->partial ? item->from : 0;
	ret->left = size > ret->skip ? size - ret->skip : 0;
	if (item->partial && ret->left > item->length)
		ret->left = item->length;
	if (ret->left == 0) {
		buf_put(&s->out, S("\"\""));
		return;
	}
	buf_put_char(&s->out, '{');
	buf_put_u64(&s->out, ret->left);
	buf_put(&s->out, S("}\r\n"));
}

/* Up to BLOCK octets of a value, as kept. */
static Err
send_block(struct imap_session *s, Str block, bool raw, struct window *w)
{
	uint64_t size = block.n + (raw ? 0 : str_count(block, '\n'));
	size_t before = s->out.n;

	if (w->skip >= size) {
		w->skip -= size;
		return OK;
	}
	if (raw)
		buf_put(&s->out, block);
	else
		buf_put_crlf(&s->out, block);
	TRY(buf_check(&s->out));
	if (w->skip > 0) {
		/* The beginning of the window lies in this block. */
		Str kept = str_from_at(buf_view(&s->out), before + (size_t)w->skip);

		memmove(s->out.p + before, kept.p, kept.n);
		buf_cut(&s->out, before + kept.n);
		size -= w->skip;
		w->skip = 0;
	}
	if (size > w->left) {
		buf_cut(&s->out, before + (size_t)w->left);
		size = w->left;
	}
	w->left -= size;
	return session_push(s);
}

static Err
write_slice(struct session_body *b, const struct imap_fetch_item *item, Str slice)
{
	bool raw = b->bytes.raw;
	struct window w;

	open_literal(b->s, item, slice.n + (raw ? 0 : str_count(slice, '\n')), &w);
	while (w.left > 0) {
		Str block = str_part(slice, 0, BLOCK);

		TRY(send_block(b->s, block, raw, &w));
		slice = str_from_at(slice, block.n);
	}
	return OK;
}

/* Octets of the message as kept that make up a value. */
struct range {
	uint64_t at, size;
};

static size_t
block_at(const struct range *r, uint64_t at)
{
	uint64_t left = r->at + r->size - at;

	return left > BLOCK ? BLOCK : (size_t)left;
}

/* The size of a range as sent. */
static Err
measure(struct session_body *b, const struct range *r, char *block, uint64_t *ret)
{
	uint64_t size = r->size, at = r->at;
	size_t n;

	for (; !b->bytes.raw && (n = block_at(r, at)) > 0; at += n) {
		TRY(read_at(b, at, block, n));
		size += str_count((Str){ block, n }, '\n');
	}
	*ret = size;
	return OK;
}

/*
 * What was found out about a large value that is fetched piece by piece: where it lies, and how
 * far the last piece came. Without it each piece would read the message from its beginning.
 */
static bool
resumes(const struct session_body *b, const struct imap_fetch_item *item)
{
	const struct session_resume *r = &b->s->resume;

	return item->partial && r->uid == b->uid && r->folder == b->s->view->folder &&
	       str_eq(cursor_until(&(struct cursor){ .rest = item->name }, '<'),
		       (Str){ r->name, r->name_n });
}

static void
remember(struct session_body *b, const struct imap_fetch_item *item, const struct range *range,
	uint64_t size)
{
	struct session_resume *r = &b->s->resume;
	Str name = cursor_until(&(struct cursor){ .rest = item->name }, '<');

	*r = (struct session_resume){ 0 };
	if (!item->partial || name.n > sizeof(r->name))
		return;
	memcpy(r->name, name.p, name.n);
	r->name_n = name.n;
	r->uid = b->uid;
	r->folder = b->s->view->folder;
	r->at = range->at;
	r->size = range->size;
	r->sent_size = size;
	r->block_at = range->at;
}

/* A value that is too large to be held. */
static Err
write_stream(struct session_body *b, const struct imap_fetch_item *item,
	const struct range *range)
{
	AUTO_BUF space = BUF_INIT(BLOCK);
	char *block = buf_room(&space, BLOCK);
	struct session_resume *r = &b->s->resume;
	uint64_t size, at = range->at, passed = 0;
	struct window w;

	if (block == NULL)
		return fail(ERR_TEMP, "no memory for a message");
	if (!resumes(b, item)) {
		TRY(measure(b, range, block, &size));
		remember(b, item, range, size);
	} else {
		size = r->sent_size;
	}
	open_literal(b->s, item, size, &w);
	if (resumes(b, item) && w.skip >= r->block_skips) {
		at = r->block_at;
		passed = r->block_skips;
		w.skip -= passed;
	}
	while (w.left > 0) {
		size_t n = block_at(range, at);
		uint64_t before = w.left + w.skip;

		/* Too late to say NO: the client waits for these octets. */
		if (n == 0 || failed(read_at(b, at, block, n)))
			return fail(ERR_GONE, "message became shorter while it was sent");
		if (resumes(b, item)) {
			r->block_at = at;
			r->block_skips = passed;
		}
		TRY(send_block(b->s, (Str){ block, n }, b->bytes.raw, &w));
		passed += before - (w.left + w.skip);
		at += n;
	}
	return OK;
}

static Err
write_range(struct session_body *b, const struct imap_fetch_item *item,
	const struct range *range)
{
	if (range->at + range->size > b->data.n) {
		if (b->bytes.size > WHOLE_MAX)
			return write_stream(b, item, range);
		TRY(load(b, UINT64_MAX));
	}
	return write_slice(b, item,
		str_part(buf_view(&b->data), (size_t)range->at, (size_t)range->size));
}

static bool
is_listed(const struct imap_strings *names, Str name)
{
	for (size_t i = 0; i < names->count; i++)
		if (str_eq_icase(names->at[i], name))
			return true;
	return false;
}

/* HEADER.FIELDS and HEADER.FIELDS.NOT, with an empty line at the end (RFC 9051, 6.4.5) */
static Err
write_fields(struct session_body *b, const struct imap_fetch_item *item,
	const struct range *range)
{
	Str header = str_part(buf_view(&b->data), (size_t)range->at, (size_t)range->size);
	bool wanted = item->section->part == IMAP_SECTION_FIELDS;
	AUTO_BUF fields = BUF_INIT(header.n + 2);
	struct cursor c = cursor_of(header);
	struct mime_field f;

	while (mime_field_next(&c, &f))
		if (f.name.n > 0 && is_listed(&item->section->fields, f.name) == wanted)
			buf_put(&fields, f.whole);
	buf_put(&fields, b->bytes.raw ? S("\r\n") : S("\n"));
	return write_slice(b, item, buf_view(&fields));
}

/* A section of the whole message: nothing but its header is looked at. */
static Err
find_top(struct session_body *b, enum imap_section_part part, struct range *ret)
{
	Str header;

	if (part == IMAP_SECTION_ALL) {
		TRY(open_bytes(b));
		*ret = (struct range){ 0, b->bytes.size };
		return OK;
	}
	TRY(session_body_header(b, &header));
	*ret = part == IMAP_SECTION_TEXT ? (struct range){ header.n, b->bytes.size - header.n }
					 : (struct range){ 0, header.n };
	return OK;
}

/* A section of one part (RFC 9051, 6.4.5.1); false when there is no such thing. */
static Err
find_part(struct session_body *b, const struct imap_section *section, struct range *ret,
	bool *ret_found)
{
	const struct mime_part *part;
	bool header = section->part != IMAP_SECTION_ALL && section->part != IMAP_SECTION_TEXT;

	TRY(session_body_parse(b));
	part = mime_part_find(b->root, section->path, section->depth);
	/* HEADER and TEXT belong to a message inside. */
	if (part != NULL && section->part != IMAP_SECTION_ALL &&
		section->part != IMAP_SECTION_MIME)
		part = part->kind == MIME_MESSAGE ? part->child : NULL;
	*ret_found = part != NULL;
	if (part != NULL)
		*ret = header ? (struct range){ part->header_at, part->header_size }
			      : (struct range){ part->body_at, part->body_size };
	return OK;
}

Err
session_body_write(struct session_body *b, const struct imap_fetch_item *item)
{
	const struct imap_section *section = item->section;
	bool found = true;
	struct range range;

	if (resumes(b, item)) {
		TRY(open_bytes(b));
		range = (struct range){ b->s->resume.at, b->s->resume.size };
	} else if (section->depth == 0) {
		TRY(find_top(b, section->part, &range));
	} else {
		TRY(find_part(b, section, &range, &found));
	}
	if (!found) {
		buf_put(&b->s->out, S("NIL"));
		return OK;
	}
	if (section->part == IMAP_SECTION_FIELDS || section->part == IMAP_SECTION_FIELDS_NOT)
		return write_fields(b, item, &range);
	return write_range(b, item, &range);
}

/* The octets of a part as they were before they were encoded, line ends of text as CRLF. */
static Err
decode_part(struct session_body *b, const struct mime_part *part, struct buf *ret)
{
	enum mime_encoding encoding =
		mime_decode_encoding(part->header.fields[MIME_CONTENT_ENCODING]);
	AUTO_BUF decoded = BUF_INIT(SESSION_PARSE_MAX);
	Str body = str_part(buf_view(&b->data), part->body_at, part->body_size);

	if (encoding == MIME_ENCODING_BASE64) {
		mime_decode_transfer(ret, encoding, body);
		return buf_check(ret);
	}
	mime_decode_transfer(&decoded, encoding, body);
	if (b->bytes.raw)
		buf_put(ret, buf_view(&decoded));
	else
		buf_put_crlf(ret, buf_view(&decoded));
	TRY(buf_check(&decoded));
	return buf_check(ret);
}

static Err
put_decoded(struct session_body *b, const struct imap_fetch_item *item, Str data)
{
	uint64_t from = item->partial ? item->from : 0;
	uint64_t length = item->partial ? item->length : data.n;

	if (item->kind == IMAP_FETCH_BINARY_SIZE) {
		buf_put_u64(&b->s->out, data.n);
		return OK;
	}
	data = str_part(data, from < data.n ? (size_t)from : data.n,
		length < data.n ? (size_t)length : data.n);
	if (data.n == 0) {
		buf_put(&b->s->out, S("\"\""));
		return OK;
	}
	/* Only a literal8 may hold NULs (RFC 9051, 4.3.1). */
	buf_put(&b->s->out, str_has(data, 0) ? S("~{") : S("{"));
	buf_put_u64(&b->s->out, data.n);
	buf_put(&b->s->out, S("}\r\n"));
	return session_put(b->s, data);
}

Err
session_body_write_binary(struct session_body *b, const struct imap_fetch_item *item)
{
	AUTO_BUF data = BUF_INIT(2 * (size_t)SESSION_PARSE_MAX);
	const struct imap_section *section = item->section;
	const struct mime_part *part;

	TRY(session_body_parse(b));
	part = mime_part_find(b->root, section->path, section->depth);
	if (section->depth == 0) {
		/* The message itself is in no encoding. */
		if (b->bytes.raw)
			buf_put(&data, buf_view(&b->data));
		else
			buf_put_crlf(&data, buf_view(&b->data));
		TRY(buf_check(&data));
	} else if (part == NULL) {
		buf_put(&b->s->out, item->kind == IMAP_FETCH_BINARY ? S("NIL") : S("0"));
		return OK;
	} else {
		TRY(decode_part(b, part, &data));
	}
	return put_decoded(b, item, buf_view(&data));
}
