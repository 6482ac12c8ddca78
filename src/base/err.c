/* SPDX-License-Identifier: ISC */
#include "base/err.h"

#include <string.h>

const char *
err_kind_name(enum err_kind kind)
{
	switch (kind) {
	case ERR_NONE:
		return "none";
	case ERR_PEER:
		return "peer";
	case ERR_LIMIT:
		return "limit";
	case ERR_GONE:
		return "gone";
	case ERR_TEMP:
		return "temporary";
	case ERR_PERM:
		return "permanent";
	}
	return "unknown";
}

const char *
err_sys_text(Err e)
{
	return e.sys == 0 ? "" : strerrordesc_np(e.sys);
}
