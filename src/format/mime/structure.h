/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * BODYSTRUCTURE, the text that IMAP sends of a message's parts (RFC 9051, 7.5.2), and BODY, which
 * is the same without what came later.
 */

#include "format/mime/message.h"

/*
 * raw: see mime_part_wire_size. The arena is for working memory.
 * ERR_LIMIT when it or b is full.
 */
MUST_USE Err mime_structure_write(struct buf *b, const struct mime_part *root, bool raw,
	struct arena *scratch);

/* BODY from the text of BODYSTRUCTURE. ERR_PEER when we did not write it. */
MUST_USE Err mime_structure_write_body(struct buf *b, Str structure);
