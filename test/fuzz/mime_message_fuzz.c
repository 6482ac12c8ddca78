/* SPDX-License-Identifier: ISC */
/* Any bytes have a structure inside them, and the texts that we write of it can be read. */
#include "format/mime/decode.h"
#include "format/mime/envelope.h"
#include "format/mime/message.h"
#include "format/mime/structure.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	TEXT_MAX = 64 * 1024 * 1024,
};

static void
must(bool holds)
{
	if (!holds)
		__builtin_trap();
}

static void
check_part(const struct mime_part *part, Str message)
{
	must(part->header_at + part->header_size == part->body_at);
	must(part->body_at + part->body_size <= message.n);
	must(part->body_lines <= part->body_size);
	for (const struct mime_part *at = part->child; at != NULL; at = at->next) {
		must(at->parent == part);
		must(at->header_at >= part->body_at);
		must(at->body_at + at->body_size <= part->body_at + part->body_size);
		check_part(at, message);
	}
}

static void
check_envelope(const struct mime_header *header)
{
	struct arena *arena = arena_new(MIME_ARENA_MAX);
	AUTO_BUF b = BUF_INIT(TEXT_MAX);
	struct mime_envelope e;

	must(!failed(mime_envelope_write(&b, header, arena)));
	must(!failed(mime_envelope_parse(buf_view(&b), arena, &e)));
	arena_free(arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str message = { (const char *)data, size };
	struct arena *arena = arena_new(16 * MIME_ARENA_MAX);
	AUTO_BUF text = BUF_INIT(TEXT_MAX);
	AUTO_BUF body = BUF_INIT(TEXT_MAX);
	struct mime_part *root;
	const struct mime_param *params;
	Str word;

	must(!failed(mime_message_parse(message, arena, &root)));
	check_part(root, message);
	must(!failed(mime_structure_write(&text, root, false, arena)));
	must(!failed(mime_structure_write_body(&body, buf_view(&text))));
	must(body.n <= text.n);
	must(mime_header_size(message) == root->header_size);
	check_envelope(&root->header);
	(void)failed(mime_param_parse(message, arena, &word, &params));
	buf_reset(&text);
	mime_decode_words(&text, message);
	must(mime_decode_is_utf8(buf_view(&text)));
	arena_free(arena);
	return 0;
}
