/* SPDX-License-Identifier: ISC */
#include "format/smtp/command.h"

#include "base/utf8.h"

static const Str verb_names[SMTP_VERBS] = {
	[SMTP_UNKNOWN] = S("UNKNOWN"),
	[SMTP_HELO] = S("HELO"),
	[SMTP_EHLO] = S("EHLO"),
	[SMTP_MAIL] = S("MAIL"),
	[SMTP_RCPT] = S("RCPT"),
	[SMTP_DATA] = S("DATA"),
	[SMTP_BDAT] = S("BDAT"),
	[SMTP_RSET] = S("RSET"),
	[SMTP_NOOP] = S("NOOP"),
	[SMTP_HELP] = S("HELP"),
	[SMTP_VRFY] = S("VRFY"),
	[SMTP_EXPN] = S("EXPN"),
	[SMTP_QUIT] = S("QUIT"),
	[SMTP_STARTTLS] = S("STARTTLS"),
	[SMTP_AUTH] = S("AUTH"),
};

static const Str body_names[] = {
	[SMTP_BODY_UNSAID] = S(""),
	[SMTP_BODY_7BIT] = S("7BIT"),
	[SMTP_BODY_8BITMIME] = S("8BITMIME"),
	[SMTP_BODY_BINARYMIME] = S("BINARYMIME"),
};

Str
smtp_command_verb_name(enum smtp_verb verb)
{
	return verb_names[verb];
}

static bool
is_blank(int c)
{
	return c == ' ' || c == '\t';
}

static bool
is_word(int c)
{
	return c > ' ' && c != 0x7f;
}

static Str
trim_end(Str s)
{
	while (s.n > 0 && is_blank(str_at(s, s.n - 1)))
		s.n--;
	return s;
}

static enum smtp_verb
verb_find(Str name)
{
	for (int v = SMTP_UNKNOWN + 1; v < SMTP_VERBS; v++)
		if (str_eq_icase(name, verb_names[v]))
			return (enum smtp_verb)v;
	return SMTP_UNKNOWN;
}

/* HELO and EHLO: one word, whatever it is. Real clients send names that no grammar allows. */
static Err
parse_greeting(struct cursor *c, struct smtp_command *cmd)
{
	cmd->argument = cursor_while(c, is_word);
	if (cmd->argument.n == 0)
		return fail(ERR_PEER, "a host name is missing");
	return cursor_done(c) ? OK : fail(ERR_PEER, "something follows the host name");
}

/* esmtp-value = 1*(%d33-60 / %d62-126 / UTF8-non-ascii) */
static bool
is_value(int c)
{
	return is_word(c) && c != '=';
}

static bool
is_keyword(int c)
{
	return char_is_alnum(c) || c == '-';
}

static Err
take_size(struct smtp_command *cmd, Str value)
{
	/* RFC 1870, 5: size-value = 1*20DIGIT */
	if (cmd->has_size || !str_to_u64(value, UINT64_MAX, &cmd->size))
		return fail(ERR_PEER, "bad SIZE");
	cmd->has_size = true;
	return OK;
}

static Err
take_body(struct smtp_command *cmd, Str value)
{
	if (cmd->body != SMTP_BODY_UNSAID)
		return fail(ERR_PEER, "bad BODY");
	for (int i = SMTP_BODY_7BIT; i <= SMTP_BODY_BINARYMIME; i++)
		if (str_eq_icase(value, body_names[i]))
			cmd->body = (enum smtp_body)i;
	return cmd->body == SMTP_BODY_UNSAID ? fail(ERR_PEER, "bad BODY") : OK;
}

static Err
take_utf8(struct smtp_command *cmd, Str value)
{
	if (cmd->utf8 || value.n > 0)
		return fail(ERR_PEER, "bad SMTPUTF8");
	cmd->utf8 = true;
	return OK;
}

static Err
take_auth(struct smtp_command *cmd, Str value)
{
	if (cmd->auth.n > 0 || value.n == 0)
		return fail(ERR_PEER, "bad AUTH");
	cmd->auth = value;
	return OK;
}

static const struct {
	Str keyword;
	Err (*take)(struct smtp_command *cmd, Str value);
} mail_parameters[] = {
	{ S("SIZE"), take_size },
	{ S("BODY"), take_body },
	{ S("SMTPUTF8"), take_utf8 },
	{ S("AUTH"), take_auth },
};

static Err
take_parameter(struct smtp_command *cmd, Str keyword, Str value)
{
	if (cmd->verb == SMTP_MAIL)
		for (size_t i = 0; i < COUNT(mail_parameters); i++)
			if (str_eq_icase(keyword, mail_parameters[i].keyword))
				return mail_parameters[i].take(cmd, value);
	if (cmd->parameter.n == 0)
		cmd->parameter = keyword;
	return OK;
}

/* *(SP esmtp-keyword ["=" esmtp-value]) */
static Err
parse_parameters(struct cursor *c, struct smtp_command *cmd)
{
	for (int count = 0; !cursor_done(c); count++) {
		Str keyword, value = S("");

		if (cursor_while(c, is_blank).n == 0)
			return fail(ERR_PEER, "something follows the address");
		if (count == SMTP_PARAMETERS_MAX)
			return fail(ERR_LIMIT, "too many parameters");
		keyword = cursor_while(c, is_keyword);
		if (keyword.n == 0)
			return fail(ERR_PEER, "bad parameter");
		if (cursor_take_char(c, '=')) {
			value = cursor_while(c, is_value);
			if (value.n == 0 || !utf8_valid(value))
				return fail(ERR_PEER, "bad parameter");
		}
		TRY(take_parameter(cmd, keyword, value));
	}
	return OK;
}

static Err
parse_address(struct cursor *c, unsigned allow, struct smtp_command *cmd)
{
	struct cursor word;
	Str text;

	if (cursor_while(c, is_blank).n > 0)
		cmd->bare = true;
	if (cursor_peek(c) == '<')
		return address_parse_path(c, allow, &cmd->path);
	cmd->bare = true;
	text = cursor_while(c, is_word);
	if ((allow & ADDRESS_POSTMASTER) != 0 && str_eq_icase(text, S("postmaster"))) {
		cmd->path = (struct address){ text, text, S(""), false, false, false };
		return OK;
	}
	word = cursor_of(text);
	return address_parse(word.rest, allow & ADDRESS_UTF8, &cmd->path);
}

/* "MAIL FROM:" Reverse-path and "RCPT TO:" Forward-path, each with its parameters */
static Err
parse_path(struct cursor *c, Str preposition, unsigned allow, struct smtp_command *cmd)
{
	Err e;

	if (!cursor_take_icase(c, preposition))
		return fail(ERR_PEER, cmd->verb == SMTP_MAIL ? "MAIL wants FROM:<address>"
							     : "RCPT wants TO:<address>");
	cursor_while(c, is_blank);
	if (!cursor_take_char(c, ':'))
		return fail(ERR_PEER, "a colon is missing");
	e = parse_address(c, allow | ADDRESS_UTF8, cmd);
	if (e.kind == ERR_LIMIT) /* RFC 5321, 4.5.3.1.10: a path too long is bad syntax */
		return fail(ERR_PEER, e.what);
	return failed(e) ? e : parse_parameters(c, cmd);
}

/* "BDAT" SP chunk-size [ SP "LAST" ] (RFC 3030, 2) */
static Err
parse_bdat(struct cursor *c, struct smtp_command *cmd)
{
	if (!str_to_u64(cursor_while(c, char_is_digit), INT64_MAX, &cmd->chunk))
		return fail(ERR_PEER, "bad chunk size");
	if (cursor_while(c, is_blank).n > 0 && cursor_take_icase(c, S("LAST")))
		cmd->last = true;
	return cursor_done(c) ? OK : fail(ERR_PEER, "BDAT wants a size, and LAST or nothing");
}

/* "AUTH" SP mechanism [ SP ( base64 / "=" ) ] (RFC 4954, 8) */
static Err
parse_auth(struct cursor *c, struct smtp_command *cmd)
{
	cmd->argument = cursor_while(c, is_word);
	if (cmd->argument.n == 0)
		return fail(ERR_PEER, "AUTH wants a mechanism");
	if (cursor_while(c, is_blank).n > 0) {
		cmd->initial = cursor_while(c, is_word);
		cmd->has_initial = true;
	}
	return cursor_done(c) ? OK : fail(ERR_PEER, "something follows the initial response");
}

static Err
parse_arguments(struct cursor *c, struct smtp_command *cmd)
{
	switch (cmd->verb) {
	case SMTP_HELO:
	case SMTP_EHLO:
		return parse_greeting(c, cmd);
	case SMTP_MAIL:
		return parse_path(c, S("FROM"), ADDRESS_NULL, cmd);
	case SMTP_RCPT:
		return parse_path(c, S("TO"), ADDRESS_POSTMASTER, cmd);
	case SMTP_BDAT:
		return parse_bdat(c, cmd);
	case SMTP_AUTH:
		return parse_auth(c, cmd);
	case SMTP_VRFY:
	case SMTP_EXPN:
		cmd->argument = c->rest;
		return cursor_done(c) ? fail(ERR_PEER, "a name is missing") : OK;
	case SMTP_NOOP:
	case SMTP_HELP:
	case SMTP_UNKNOWN:
		cmd->argument = c->rest;
		return OK;
	case SMTP_DATA:
	case SMTP_RSET:
	case SMTP_QUIT:
	case SMTP_STARTTLS:
	case SMTP_VERBS:
		break;
	}
	return cursor_done(c) ? OK : fail(ERR_PEER, "this command takes no argument");
}

Err
smtp_command_parse(Str line, struct smtp_command *ret)
{
	struct smtp_command cmd = {
		.argument = S(""), .initial = S(""), .auth = S(""), .parameter = S("")
	};
	struct cursor c = cursor_of(trim_end(line));

	if (line.n > SMTP_LINE_MAX)
		return fail(ERR_LIMIT, "the line is too long");
	cmd.verb = verb_find(cursor_while(&c, char_is_alnum));
	if (line.n > SMTP_COMMAND_MAX && cmd.verb != SMTP_AUTH)
		return fail(ERR_LIMIT, "the line is too long");
	if (!cursor_done(&c) && cursor_while(&c, is_blank).n == 0)
		cmd.verb = SMTP_UNKNOWN;
	TRY(parse_arguments(&c, &cmd));
	*ret = cmd;
	return OK;
}

static void
write_path(struct buf *b, const char *preposition, const struct smtp_command *cmd)
{
	buf_put_c(b, preposition);
	buf_put_char(b, '<');
	buf_put(b, cmd->path.text);
	buf_put_char(b, '>');
	if (cmd->has_size) {
		buf_put(b, S(" SIZE="));
		buf_put_u64(b, cmd->size);
	}
	if (cmd->body != SMTP_BODY_UNSAID) {
		buf_put(b, S(" BODY="));
		buf_put(b, body_names[cmd->body]);
	}
	if (cmd->utf8)
		buf_put(b, S(" SMTPUTF8"));
	if (cmd->auth.n > 0) {
		buf_put(b, S(" AUTH="));
		buf_put(b, cmd->auth);
	}
}

static void
write_argument(struct buf *b, Str argument)
{
	if (argument.n == 0)
		return;
	buf_put_char(b, ' ');
	buf_put(b, argument);
}

void
smtp_command_write(struct buf *b, const struct smtp_command *cmd)
{
	buf_put(b, verb_names[cmd->verb]);
	if (cmd->verb == SMTP_MAIL)
		write_path(b, " FROM:", cmd);
	else if (cmd->verb == SMTP_RCPT)
		write_path(b, " TO:", cmd);
	else if (cmd->verb == SMTP_BDAT)
		buf_printf(b, " %llu%s", (unsigned long long)cmd->chunk,
			cmd->last ? " LAST" : "");
	else
		write_argument(b, cmd->argument);
	if (cmd->has_initial)
		write_argument(b, cmd->initial);
	buf_put(b, S("\r\n"));
}
