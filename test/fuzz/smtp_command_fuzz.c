/* SPDX-License-Identifier: ISC */
/* Command lines: Strs inside the line, a round trip, and a session that keeps its order. */
#include "format/smtp/session.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct smtp_settings settings[] = {
	{ .hostname = { "mx", 2 },
		.message_max = 1000,
		.recipients_max = 3,
		.bad_max = 50,
		.tls = true,
		.bare_paths = true },
	{ .hostname = { "msa", 3 },
		.message_max = 1000,
		.recipients_max = 3,
		.bad_max = 50,
		.submission = true,
		.tls = true },
};

static void
need(bool is_so)
{
	if (!is_so)
		__builtin_trap();
}

static void
need_inside(Str part, Str whole)
{
	need(part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n));
}

static void
check_round_trip(const struct smtp_command *cmd)
{
	AUTO_BUF b = BUF_INIT((size_t)4 * SMTP_LINE_MAX);
	struct smtp_command back;
	Str line;

	if (cmd->verb == SMTP_UNKNOWN || cmd->parameter.n > 0)
		return;
	smtp_command_write(&b, cmd);
	line = str_part(buf_view(&b), 0, b.n - 2);
	if (line.n > SMTP_LINE_MAX)
		return;
	if (failed(smtp_command_parse(line, &back)))
		__builtin_trap();
	need(back.verb == cmd->verb && str_eq(back.path.text, cmd->path.text));
	need(str_eq(back.argument, cmd->argument) && str_eq(back.initial, cmd->initial));
	need(back.size == cmd->size && back.body == cmd->body && back.utf8 == cmd->utf8);
	need(str_eq(back.auth, cmd->auth) && back.chunk == cmd->chunk &&
		back.last == cmd->last);
}

static void
obey(struct smtp_session *s, const struct smtp_command *cmd)
{
	Str reply;
	enum smtp_step step = smtp_session_step(s, cmd, &reply);

	need(reply.n >= 4 && !str_has(reply, '\r'));
	if (step == SMTP_STEP_CHECK_SENDER) {
		need(s->greeted && !s->sender && (!s->settings->submission || s->user));
		smtp_session_set_sender(s, cmd);
	} else if (step == SMTP_STEP_CHECK_RCPT) {
		need(s->sender && s->rcpts < s->settings->recipients_max);
		smtp_session_add_rcpt(s);
	} else if (step == SMTP_STEP_RECEIVE) {
		need(s->sender && s->rcpts > 0 && !s->chunks);
		smtp_session_end_message(s, true);
	} else if (step == SMTP_STEP_CHUNK) {
		need(s->sender && s->rcpts > 0);
		if (cmd->last)
			smtp_session_end_message(s, true);
	} else if (step == SMTP_STEP_STARTTLS) {
		need(!s->secure && !s->sender);
		smtp_session_set_secure(s);
	} else if (step == SMTP_STEP_AUTH) {
		need(s->settings->submission && s->secure && !s->sender && !s->user);
		smtp_session_set_user(s);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Str text = { (const char *)data, size };
	struct smtp_session sessions[COUNT(settings)];
	Str line, rest;

	for (size_t i = 0; i < COUNT(settings); i++)
		smtp_session_init(&sessions[i], &settings[i], false, false);
	while (text.n > 0) {
		struct smtp_command cmd;

		if (!str_split(text, '\n', &line, &rest)) {
			line = text;
			rest = S("");
		}
		text = rest;
		if (failed(smtp_command_parse(line, &cmd)))
			continue;
		need_inside(cmd.path.text, line);
		need_inside(cmd.argument, line);
		need_inside(cmd.initial, line);
		need_inside(cmd.auth, line);
		need_inside(cmd.parameter, line);
		check_round_trip(&cmd);
		for (size_t i = 0; i < COUNT(settings); i++)
			obey(&sessions[i], &cmd);
	}
	return 0;
}
