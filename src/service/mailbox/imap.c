/* SPDX-License-Identifier: ISC */
#include "service/mailbox/imap.h"

#include "base/memory.h"
#include "rpc/log.h"
#include "service/mailbox/session_internal.h"

#include <stdlib.h>

const char imap_session_capabilities[] =
	"IMAP4rev2 IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE NAMESPACE UNSELECT UIDPLUS CHILDREN LIST-EXTENDED "
	"LIST-STATUS SPECIAL-USE CREATE-SPECIAL-USE MOVE ESEARCH SEARCHRES WITHIN CONDSTORE "
	"STATUS=SIZE BINARY";

static Err
session_capability(struct imap_session *s, const struct imap_command *cmd)
{
	(void)cmd;
	buf_put(&s->out, S("* CAPABILITY "));
	buf_put_c(&s->out, imap_session_capabilities);
	buf_put(&s->out, S("\r\n"));
	return OK;
}

/* NOOP and CHECK: what is new is told after every command anyway. */
static Err
session_noop(struct imap_session *s, const struct imap_command *cmd)
{
	(void)s;
	(void)cmd;
	return OK;
}

static Err
session_logout(struct imap_session *s, const struct imap_command *cmd)
{
	(void)cmd;
	buf_put(&s->out, S("* BYE Logging out\r\n"));
	s->done = true;
	return OK;
}

/* RFC 2971: what a client says of itself is not needed. */
static Err
session_id(struct imap_session *s, const struct imap_command *cmd)
{
	(void)cmd;
	buf_put(&s->out, S("* ID (\"name\" \"Posthorn\")\r\n"));
	return OK;
}

static bool
enable(struct imap_session *s, Str name)
{
	bool *which = str_eq_icase(name, S("CONDSTORE"))   ? &s->condstore
		      : str_eq_icase(name, S("IMAP4rev2")) ? &s->rev2
							   : NULL;

	if (which == NULL || *which)
		return false;
	*which = true;
	return true;
}

/* RFC 5161: says what was enabled now; what is unknown is passed over. */
static Err
session_enable(struct imap_session *s, const struct imap_command *cmd)
{
	buf_put(&s->out, S("* ENABLED"));
	for (size_t i = 0; i < cmd->strings.count; i++) {
		if (!enable(s, cmd->strings.at[i]))
			continue;
		buf_put_char(&s->out, ' ');
		buf_put(&s->out, cmd->strings.at[i]);
	}
	buf_put(&s->out, S("\r\n"));
	return OK;
}

static Err
session_late(struct imap_session *s, const struct imap_command *cmd)
{
	(void)cmd;
	session_answer(s, SESSION_BAD, NULL, "Logged in already");
	return OK;
}

/* What serves a command, and what must be told when it has been served. */
static const struct {
	Err (*serve)(struct imap_session *s, const struct imap_command *cmd);
	bool selected; /* needs a selected folder */
	bool keep;     /* expunges may not be told during its plain form (RFC 9051, 7.5.1) */
} commands[] = {
	[IMAP_CAPABILITY] = { session_capability },
	[IMAP_NOOP] = { session_noop },
	[IMAP_LOGOUT] = { session_logout },
	[IMAP_ID] = { session_id },
	[IMAP_STARTTLS] = { session_late },
	[IMAP_LOGIN] = { session_late },
	[IMAP_AUTHENTICATE] = { session_late },
	[IMAP_ENABLE] = { session_enable },
	[IMAP_SELECT] = { session_select },
	[IMAP_EXAMINE] = { session_select },
	[IMAP_CREATE] = { session_create },
	[IMAP_DELETE] = { session_delete },
	[IMAP_RENAME] = { session_rename },
	[IMAP_SUBSCRIBE] = { session_subscribe },
	[IMAP_UNSUBSCRIBE] = { session_subscribe },
	[IMAP_LIST] = { session_list },
	[IMAP_LSUB] = { session_lsub },
	[IMAP_NAMESPACE] = { session_namespace },
	[IMAP_STATUS] = { session_status },
	[IMAP_APPEND] = { session_append },
	[IMAP_IDLE] = { session_idle },
	[IMAP_CHECK] = { session_noop, .selected = true },
	[IMAP_CLOSE] = { session_close, .selected = true },
	[IMAP_UNSELECT] = { session_unselect, .selected = true },
	[IMAP_EXPUNGE] = { session_expunge, .selected = true },
	[IMAP_SEARCH] = { session_search, .selected = true, .keep = true },
	[IMAP_FETCH] = { session_fetch, .selected = true, .keep = true },
	[IMAP_STORE] = { session_store, .selected = true, .keep = true },
	[IMAP_COPY] = { session_copy, .selected = true },
	[IMAP_MOVE] = { session_copy, .selected = true },
};

static Err
serve_command(struct imap_session *s, const struct imap_command *cmd)
{
	bool keep = commands[cmd->verb].keep && !cmd->uid;

	if (cmd->verb == IMAP_UNKNOWN) {
		session_answer(s, SESSION_BAD, NULL, "Unknown command");
		return OK;
	}
	if (commands[cmd->verb].selected && s->view == NULL) {
		session_answer(s, SESSION_BAD, NULL, "No mailbox is selected");
		return OK;
	}
	TRY(commands[cmd->verb].serve(s, cmd));
	if (s->done)
		return OK;
	return session_update(s, keep ? MAILBOX_REFRESH_KEEP : MAILBOX_REFRESH_ALL, NULL);
}

/* "tag OK [code] text" */
static void
write_answer(struct imap_session *s, Str tag, const struct imap_command *cmd)
{
	static const char *const words[] = {
		[SESSION_OK] = " OK ",
		[SESSION_NO] = " NO ",
		[SESSION_BAD] = " BAD ",
	};

	buf_put(&s->out, tag);
	buf_put_c(&s->out, words[s->status]);
	/* A code that has grown too long is left out: none of those is required. */
	if (!s->code.bad && s->code.n > 0 && s->code.n < SESSION_OUT_MAX / 2) {
		buf_put_char(&s->out, '[');
		buf_put(&s->out, buf_view(&s->code));
		buf_put(&s->out, S("] "));
	}
	if (s->text != NULL)
		buf_put_c(&s->out, s->text);
	else
		buf_printf(&s->out, "%s completed", imap_verb_name(cmd->verb));
	buf_put(&s->out, S("\r\n"));
}

/* Gives back what a large command has needed: most sessions are silent for hours. */
static void
tidy(struct imap_session *s)
{
	if (arena_used(s->arena) > SESSION_KEEP) {
		arena_free(s->arena);
		s->arena = arena_new(SESSION_ARENA_MAX);
	}
	arena_reset(s->arena);
	imap_reader_next(&s->reader);
	session_spool_done(&s->spool);
	if (s->out.cap > SESSION_KEEP)
		buf_done(&s->out);
	if (s->code.cap > SESSION_KEEP)
		buf_done(&s->code);
	buf_reset(&s->out);
}

/* One command, from its first octet to its tagged answer. */
static Err
serve_one(struct imap_session *s)
{
	struct imap_command cmd = { 0 };
	Str text, tag;
	Err e = OK;

	session_answer(s, SESSION_OK, NULL, NULL);
	TRY(session_read(s, &text));
	/* IDLE reads on, and its text dies; the tag must not. */
	TRY(arena_copy(s->arena, imap_command_tag(text), &tag));
	if (!s->refused)
		e = imap_command_parse(text, s->arena, &cmd);
	if (failed(e))
		session_answer(s, SESSION_BAD, NULL, e.what);
	else if (!s->refused)
		TRY(serve_command(s, &cmd));
	write_answer(s, tag, &cmd);
	TRY(session_flush(s));
	s->bad_in_a_row = s->status == SESSION_BAD ? s->bad_in_a_row + 1 : 0;
	if (s->bad_in_a_row > SESSION_BAD_MAX) {
		buf_put(&s->out, S("* BYE Too many errors\r\n"));
		s->done = true;
	}
	return OK;
}

static Err
greet(struct imap_session *s)
{
	buf_put(&s->out, s->open->tag);
	buf_put(&s->out, S(" OK [CAPABILITY "));
	buf_put_c(&s->out, imap_session_capabilities);
	buf_put(&s->out, S("] Logged in\r\n"));
	return session_flush(s);
}

static Err
converse(struct imap_session *s)
{
	TRY(greet(s));
	while (!s->done) {
		TRY(serve_one(s));
		if (!s->done)
			tidy(s);
	}
	return OK;
}

/* Last words; nobody may be there to hear them. */
static void
part(struct imap_session *s, Err e)
{
	if (e.kind == ERR_GONE && e.sys == ETIMEDOUT)
		buf_put(&s->out, S("* BYE Autologout; idle for too long\r\n"));
	else if (failed(e) && e.kind != ERR_GONE)
		buf_put(&s->out, S("* BYE Something failed here; connect again\r\n"));
	e = session_flush(s);
	if (!failed(e))
		e = conn_flush(s->conn);
	(void)e.kind;
	log_event(LOG_LEVEL_INFO, "imap.disconnect", F_WORDS("words", S("disconnect")),
		F_ADDR("user", s->open->address), F_STR("client", s->open->peer),
		F_SESSION(s->open->session));
}

void
imap_session_serve(struct mailbox *mailbox, int fd, const struct mailbox_open *open)
{
	struct imap_session s = {
		.mailbox = mailbox,
		.conn = conn_new(fd, 0),
		.open = open,
		.spool = { .fd = -1 },
		.arena = arena_new(SESSION_ARENA_MAX),
		.out = BUF_INIT(SESSION_OUT_MAX),
		.code = BUF_INIT(SESSION_OUT_MAX),
	};
	Err e;

	conn_set_wait(s.conn, SESSION_IDLE_MS, SESSION_WRITE_MS);
	imap_reader_init(&s.reader, IMAP_LINE_MAX, IMAP_LITERAL_MAX);
	e = converse(&s);
	part(&s, e);
	session_leave_folder(&s);
	session_spool_done(&s.spool);
	imap_reader_done(&s.reader);
	buf_done(&s.out);
	buf_done(&s.code);
	arena_free(s.arena);
	conn_free(s.conn);
}
