/* SPDX-License-Identifier: ISC */
#pragma once

/* Enhanced status codes (RFC 3463 and its registry) in words for people. */

#include "base/str.h"

/* What "x.y.z" means, as half a sentence; for codes unknown here, what its subject means. */
Str dsn_status_words(Str status);
