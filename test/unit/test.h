/* SPDX-License-Identifier: ISC */
#pragma once

/* What every unit test needs: cmocka, and input that ends where its heap block ends. */

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* A copy in a heap block of its exact size, so that ASan sees one octet too far. Freed at exit. */
Str exact(Str s);

#define assert_ok(call) \
	do { \
		Err assert_err_ = (call); \
		if (failed(assert_err_)) \
			fail_msg("%s: %s: %s %s", #call, err_kind_name(assert_err_.kind), \
				assert_err_.what, err_sys_text(assert_err_)); \
	} while (0)

#define assert_err(want, call) \
	do { \
		Err assert_err_ = (call); \
		if (assert_err_.kind != (want)) \
			fail_msg("%s: wanted %s, got %s (%s)", #call, err_kind_name(want), \
				err_kind_name(assert_err_.kind), \
				assert_err_.what == NULL ? "" : assert_err_.what); \
	} while (0)

#define assert_str(want, got) \
	do { \
		Str assert_want_ = (want), assert_got_ = (got); \
		if (!str_eq(assert_want_, assert_got_)) \
			fail_msg("wanted \"%.*s\", got \"%.*s\"", STR_ARG(assert_want_), \
				STR_ARG(assert_got_)); \
	} while (0)
