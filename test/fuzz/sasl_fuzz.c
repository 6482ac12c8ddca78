/* SPDX-License-Identifier: ISC */
/* Responses of a SASL client, one per line; the first line is the mechanism's name. */
#include "format/sasl/sasl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
need(bool is_so)
{
	if (!is_so)
		__builtin_trap();
}

static void
check_credentials(const struct sasl *s)
{
	Str user = sasl_user(s), password = sasl_password(s);
	AUTO_BUF again = BUF_INIT(SASL_LINE_MAX);
	struct sasl back;
	bool done = false;

	need(user.n > 0 && user.n <= SASL_USER_MAX && !str_has(user, '\0'));
	need(password.n > 0 && password.n <= SASL_PASSWORD_MAX && !str_has(password, '\0'));
	need(user.p >= s->text && user.p + user.n <= s->text + s->used);
	need(password.p >= s->text && password.p + password.n <= s->text + s->used);
	/* What is written reads as the same. */
	need(!failed(sasl_write_plain(&again, user, password)));
	sasl_init(&back, SASL_PLAIN);
	need(!failed(sasl_respond(&back, buf_view(&again), &done)) && done);
	need(str_eq(sasl_user(&back), user) && str_eq(sasl_password(&back), password));
	sasl_done(&back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cursor c = cursor_of((Str){ (const char *)data, size });
	enum sasl_mechanism mechanism;
	struct sasl s;
	bool done = false;

	if (!sasl_mechanism_find(cursor_line(&c), &mechanism))
		return 0;
	sasl_init(&s, mechanism);
	while (!done && !cursor_done(&c))
		if (failed(sasl_respond(&s, cursor_line(&c), &done)))
			break;
	if (done)
		check_credentials(&s);
	sasl_done(&s);
	return 0;
}
