/* SPDX-License-Identifier: ISC */
#pragma once

/* What the files of the IMAP session share. */

#include "format/imap/command.h"
#include "format/imap/reader.h"
#include "format/imap/write.h"
#include "os/conn.h"
#include "service/mailbox/imap.h"

enum {
	SESSION_IDLE_MS = 30 * MINUTE * 1000, /* RFC 9051, 5.4 */
	SESSION_WRITE_MS = 5 * MINUTE * 1000,
	SESSION_BAD_MAX = 100, /* refused commands in a row: whoever that is, it is no client */

	SESSION_ARENA_MAX = 64 << 20, /* one command: UIDs of a folder, names of all folders */
	SESSION_BATCH = 500,          /* messages asked of the store at once */
	SESSION_BATCH_MAX = 32 << 20, /* octets of their columns */
	SESSION_OUT = 64 << 10,       /* gathered before it is sent */
	SESSION_OUT_MAX = 1 << 20,    /* a response is built in pieces smaller than this */
	SESSION_KEEP = 8 << 10,       /* output buffer kept between commands */

	SESSION_APPEND_MAX = 64 << 20,
	SESSION_APPEND_INLINE = 64 << 10, /* a larger one goes into a memfd */
	SESSION_PARSE_MAX = 128 << 20,    /* a message whose parts are looked at */
};

static const char session_delimiter = '/';

enum session_status { SESSION_OK, SESSION_NO, SESSION_BAD };

/* A message on its way into APPEND. */
struct session_spool {
	struct buf bytes; /* up to SESSION_APPEND_INLINE */
	int fd;           /* a sealed memfd, or -1 */
	uint64_t size;
	bool nul; /* it holds one */
};

/* Sorted UIDs; owned. */
struct session_uids {
	uint32_t *at;
	size_t count;
};

/* A large value that a client fetches piece by piece (imap_body.c). */
struct session_resume {
	uint32_t folder, uid; /* uid 0: none */
	char name[64];        /* "BODY[2]" */
	size_t name_n;
	uint64_t at, size;    /* where the value lies in the message as kept */
	uint64_t sent_size;   /* octets of it as sent */
	uint64_t block_at;    /* the last block that was read for it */
	uint64_t block_skips; /* octets as sent that come before that block */
};

struct imap_session {
	struct mailbox *mailbox;
	struct conn *conn;
	const struct mailbox_open *open;
	struct imap_reader reader;
	struct session_spool spool;
	struct arena *arena; /* of the command being served */
	struct buf out;      /* responses not given to conn yet */
	uint64_t sent;       /* octets given to conn */

	struct mailbox_view *view; /* the selected folder, or NULL */
	bool read_only;
	struct session_uids saved; /* "$" (RFC 9051, 6.4.4.1) */
	struct session_resume resume;

	bool rev2;      /* enabled: UTF-8 names, ESEARCH answers */
	bool condstore; /* enabled: FETCH responses carry MODSEQ */
	bool done;
	unsigned bad_in_a_row;

	/* The tagged answer of the command being served; OK unless said otherwise. */
	enum session_status status;
	const char *text; /* NULL: "NAME completed" */
	struct buf code;  /* "[...]" without its brackets */

	bool refused; /* the answer was found while the command was still being read */
};

/* ---- imap_answer.c: what is written ---- */

/* The answer will be this; code may be NULL. */
void session_answer(struct imap_session *s, enum session_status status, const char *code,
	const char *text);

/* After a call of the store that failed: turns its kind into an answer. Fails when all is lost. */
MUST_USE Err session_answer_failure(struct imap_session *s, Err e, const char *code,
	const char *text);

/* Sends s->out when it is full enough. */
MUST_USE Err session_push(struct imap_session *s);
MUST_USE Err session_flush(struct imap_session *s);
/* Puts a long text without copying it into s->out. */
MUST_USE Err session_put(struct imap_session *s, Str text);

/* "(\Seen $keyword)" */
void session_write_flags(struct imap_session *s, struct buf *b, uint64_t flags);
/* "* n FETCH (FLAGS (...) UID n MODSEQ (n))" */
MUST_USE Err session_write_fetch_flags(struct imap_session *s, size_t place);
/* "* FLAGS (...)" and PERMANENTFLAGS */
void session_write_folder_flags(struct imap_session *s);

/* ---- imap_update.c: what others did ---- */

/* Own changes that the client knows already: not told again. */
struct session_own {
	uint64_t modseq; /* of the change; 0: none */
	const uint32_t
		*places; /* ascending places in view->messages; NULL: every change of modseq */
	size_t count;
};

/*
 * Brings the view up to date and tells the client. Only when RFC 9051, 7.5.1 allows EXPUNGE may
 * `how` be MAILBOX_REFRESH_ALL.
 */
MUST_USE Err session_update(struct imap_session *s, enum mailbox_refresh how,
	const struct session_own *own);

MUST_USE Err session_idle(struct imap_session *s, const struct imap_command *cmd);

/* ---- imap_read.c: what is read ---- */

/* The next whole command; its text dies at the next call. Literals are asked for on the way. */
MUST_USE Err session_read(struct imap_session *s, Str *ret);
void session_spool_done(struct session_spool *spool);

/* ---- imap_names.c: names and sets ---- */

/*
 * A mailbox name as the client wrote it becomes UTF-8 in the arena, INBOX in capitals. Answers NO
 * and gives false when it is no name.
 */
bool session_name(struct imap_session *s, Str wire, Str *ret);

/* Finds a folder that exists; answers NO [code] and gives false otherwise. */
MUST_USE Err session_find(struct imap_session *s, Str wire, const char *code,
	struct mailbox_folder *ret, bool *ret_found);

/*
 * Ascending places in view->messages that a set names, in the arena. Sequence numbers that no
 * message has are BAD (false); UIDs that no message has are passed over.
 */
MUST_USE Err session_places(struct imap_session *s, struct imap_set *set, bool uid,
	uint32_t **ret, size_t *ret_count, bool *ret_ok);

/* The UIDs at these places, in the arena. */
MUST_USE Err session_uids(struct imap_session *s, const uint32_t *places, size_t count,
	uint32_t **ret);

/* Flags of a command as bits of a folder; answers and gives false when a name is refused. */
MUST_USE Err session_flag_bits(struct imap_session *s, uint32_t folder,
	const struct imap_flags *flags, bool create, uint64_t *ret, bool *ret_ok);

/* ---- imap_body.c: one message's bytes, for FETCH and SEARCH ---- */

struct session_body {
	struct imap_session *s;
	uint32_t uid;
	struct mailbox_bytes bytes; /* fd -1: not opened */
	struct buf data;            /* the beginning of the message, or all of it */
	bool whole;
	struct arena *arena; /* of the parts */
	struct mime_part *root;
};

void session_body_init(struct session_body *b, struct imap_session *s);
void session_body_done(struct session_body *b);
/* Turns to another message. */
void session_body_set(struct session_body *b, uint32_t uid);

/* The header with its empty line; dies at the next call. ERR_PEER: expunged meanwhile. */
MUST_USE Err session_body_header(struct session_body *b, Str *ret);
/* The message and its parts. ERR_LIMIT: larger than SESSION_PARSE_MAX. */
MUST_USE Err session_body_parse(struct session_body *b);

/* Writes the value of BODY[...]: a literal, or NIL. */
MUST_USE Err session_body_write(struct session_body *b, const struct imap_fetch_item *item);
/* The value of BINARY[...] or BINARY.SIZE[...]. */
MUST_USE Err session_body_write_binary(struct session_body *b,
	const struct imap_fetch_item *item);

/* ---- commands ---- */

MUST_USE Err session_select(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_close(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_unselect(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_create(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_delete(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_rename(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_subscribe(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_list(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_lsub(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_status(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_namespace(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_append(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_expunge(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_search(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_fetch(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_store(struct imap_session *s, const struct imap_command *cmd);
MUST_USE Err session_copy(struct imap_session *s, const struct imap_command *cmd);

/* Closes the view without a word. */
void session_leave_folder(struct imap_session *s);
