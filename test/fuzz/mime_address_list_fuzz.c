/* SPDX-License-Identifier: ISC */
/* Address lists and envelopes: what is read is written so that it reads the same again. */
#include "format/mime/envelope.h"
#include "format/mime/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	ARENA_MAX = 64 * 1024 * 1024,
};

static void
must(bool holds)
{
	if (!holds)
		__builtin_trap();
}

/* ENVELOPE carries every address through unchanged, NULs apart. */
static void
through_envelope(Str body, const struct mime_address *first, struct arena *arena)
{
	struct mime_header header = { .fields = { [MIME_TO] = body } };
	AUTO_BUF b = BUF_INIT(ARENA_MAX);
	struct mime_envelope e;
	const struct mime_address *a = first;

	must(!failed(mime_envelope_write(&b, &header, arena)));
	must(!failed(mime_envelope_parse(buf_view(&b), arena, &e)));
	for (const struct mime_address *at = e.to; at != NULL; at = at->next, a = a->next) {
		must(a != NULL && a->kind == at->kind);
		must(str_has(a->name, '\0') || str_eq(a->name, at->name));
		must(str_has(a->local, '\0') || str_eq(a->local, at->local));
		must(str_has(a->domain, '\0') || str_eq(a->domain, at->domain));
	}
	must(a == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str s = { (const char *)data, size };
	struct arena *arena = arena_new(ARENA_MAX);
	struct mime_address *first;
	struct mime_envelope e;
	AUTO_BUF b = BUF_INIT(ARENA_MAX);
	struct cursor c = cursor_of(s);
	Str text;

	must(!failed(mime_address_parse(s, arena, &first)));
	mime_address_write(&b, first);
	through_envelope(s, first, arena);
	(void)failed(mime_envelope_parse(s, arena, &e));
	(void)failed(mime_text_parse(&c, arena, &text));
	arena_free(arena);
	return 0;
}
