/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * One IMAP command as a struct (RFC 9051, section 9, and RFC 3501 where an IMAP4rev1 client still
 * needs it). Reads what a client sent, as imap_reader gathered it: lines with their literals.
 */

#include "base/arena.h"
#include "base/time.h"
#include "format/imap/set.h"

enum {
	IMAP_SEARCH_DEPTH_MAX = 100, /* of parentheses, NOT and OR */
	IMAP_PART_DEPTH_MAX = 32,    /* numbers in a section, "1.2.3" */
	IMAP_FETCH_ITEMS_MAX = 100,
	IMAP_SECTION_NAME_MAX = 64 * 1024, /* octets: BODY[HEADER.FIELDS (...)] */
};

enum imap_verb {
	IMAP_UNKNOWN = 0, /* a well-formed tag and a name that we do not know: answer BAD */
	IMAP_CAPABILITY,
	IMAP_NOOP,
	IMAP_LOGOUT,
	IMAP_ID,
	IMAP_STARTTLS,
	IMAP_LOGIN,
	IMAP_AUTHENTICATE,
	IMAP_ENABLE,
	IMAP_SELECT,
	IMAP_EXAMINE,
	IMAP_CREATE,
	IMAP_DELETE,
	IMAP_RENAME,
	IMAP_SUBSCRIBE,
	IMAP_UNSUBSCRIBE,
	IMAP_LIST,
	IMAP_LSUB,
	IMAP_NAMESPACE,
	IMAP_STATUS,
	IMAP_APPEND,
	IMAP_IDLE,
	IMAP_CHECK,
	IMAP_CLOSE,
	IMAP_UNSELECT,
	IMAP_EXPUNGE,
	IMAP_SEARCH,
	IMAP_FETCH,
	IMAP_STORE,
	IMAP_COPY,
	IMAP_MOVE,
};

struct imap_strings {
	Str *at;
	size_t count, capacity;
};

/* \Seen and its like as bits (write.h), all others as words. \Recent is read and forgotten. */
struct imap_flags {
	unsigned system;              /* enum imap_flag */
	struct imap_strings keywords; /* as written; unknown \flags too, with their backslash */
};

struct imap_login {
	Str user, password;
};

struct imap_authenticate {
	Str mechanism;
	bool has_initial;
	Str initial; /* base64, not decoded; "=" has become "" (RFC 4959) */
};

/* SELECT and EXAMINE. */
struct imap_select {
	Str mailbox;
	bool condstore; /* RFC 7162 */
	bool qresync;
	uint32_t uid_validity;
	uint64_t modseq;
	struct imap_set known_uids; /* empty when not given */
	struct imap_set match_seqs, match_uids;
};

struct imap_create {
	Str mailbox;
	struct imap_strings use; /* RFC 6154: USE (\Drafts ...) */
};

struct imap_rename {
	Str from, to;
};

enum imap_list_option {
	IMAP_LIST_SUBSCRIBED = 1 << 0, /* select: only those; return: say which */
	IMAP_LIST_REMOTE = 1 << 1,
	IMAP_LIST_RECURSIVEMATCH = 1 << 2,
	IMAP_LIST_SPECIAL_USE = 1 << 3,
	IMAP_LIST_CHILDREN = 1 << 4,
	IMAP_LIST_STATUS = 1 << 5, /* RFC 5819; items in struct imap_list */
};

/* LIST and LSUB. */
struct imap_list {
	bool extended;         /* options or several patterns: answers follow RFC 5258 */
	unsigned select, give; /* enum imap_list_option */
	unsigned status;       /* enum imap_status_item */
	Str reference;
	struct imap_strings patterns;
};

enum imap_status_item {
	IMAP_STATUS_MESSAGES = 1 << 0,
	IMAP_STATUS_RECENT = 1 << 1,
	IMAP_STATUS_UIDNEXT = 1 << 2,
	IMAP_STATUS_UIDVALIDITY = 1 << 3,
	IMAP_STATUS_UNSEEN = 1 << 4,
	IMAP_STATUS_DELETED = 1 << 5,
	IMAP_STATUS_SIZE = 1 << 6,
	IMAP_STATUS_HIGHESTMODSEQ = 1 << 7,
};

struct imap_status {
	Str mailbox;
	unsigned items;
};

struct imap_append {
	Str mailbox;
	struct imap_flags flags;
	bool has_date;
	Time date;
	bool binary;   /* literal8 */
	uint64_t size; /* of the message, which is not in the text */
};

enum imap_section_part {
	IMAP_SECTION_ALL, /* BODY[] or BODY[1.2] */
	IMAP_SECTION_HEADER,
	IMAP_SECTION_FIELDS,
	IMAP_SECTION_FIELDS_NOT,
	IMAP_SECTION_TEXT,
	IMAP_SECTION_MIME,
};

struct imap_section {
	uint32_t path[IMAP_PART_DEPTH_MAX];
	size_t depth;
	enum imap_section_part part;
	struct imap_strings fields;
};

enum imap_fetch_kind {
	IMAP_FETCH_FLAGS,
	IMAP_FETCH_UID,
	IMAP_FETCH_INTERNALDATE,
	IMAP_FETCH_SIZE,
	IMAP_FETCH_ENVELOPE,
	IMAP_FETCH_BODY, /* BODYSTRUCTURE without its extension data */
	IMAP_FETCH_BODYSTRUCTURE,
	IMAP_FETCH_MODSEQ,
	IMAP_FETCH_SECTION,     /* BODY[...], RFC822 and its like */
	IMAP_FETCH_BINARY,      /* BINARY[...]: without its transfer encoding */
	IMAP_FETCH_BINARY_SIZE, /* BINARY.SIZE[...] */
};

struct imap_fetch_item {
	enum imap_fetch_kind kind;
	Str name;                     /* how the answer names it: "FLAGS", "BODY[1.MIME]" ... */
	bool peek;                    /* SECTION, BINARY: leaves \Seen alone */
	struct imap_section *section; /* these and BINARY.SIZE only */
	bool partial;
	uint64_t from, length; /* of the partial */
};

struct imap_fetch {
	struct imap_set set;
	struct imap_fetch_item *items;
	size_t count;
	bool changed_since; /* RFC 7162 */
	uint64_t modseq;
	bool vanished;
};

enum imap_store_mode { IMAP_STORE_SET, IMAP_STORE_ADD, IMAP_STORE_REMOVE };

struct imap_store {
	struct imap_set set;
	enum imap_store_mode mode;
	bool silent;
	bool unchanged_since; /* RFC 7162 */
	uint64_t modseq;
	struct imap_flags flags;
};

struct imap_copy { /* and MOVE */
	struct imap_set set;
	Str mailbox;
};

enum imap_search_kind {
	IMAP_SEARCH_ALL,
	IMAP_SEARCH_AND, /* all of the list `inner` */
	IMAP_SEARCH_OR,  /* `inner` or `other` */
	IMAP_SEARCH_NOT, /* not `inner` */
	IMAP_SEARCH_SEQ, /* set */
	IMAP_SEARCH_UID, /* set */
	IMAP_SEARCH_FLAG,
	IMAP_SEARCH_KEYWORD, /* text */
	IMAP_SEARCH_NONE,    /* matches nothing: RECENT and NEW, which rev2 has not */
	IMAP_SEARCH_BEFORE,  /* internal date; `day` */
	IMAP_SEARCH_ON,
	IMAP_SEARCH_SINCE,
	IMAP_SEARCH_SENTBEFORE, /* Date field */
	IMAP_SEARCH_SENTON,
	IMAP_SEARCH_SENTSINCE,
	IMAP_SEARCH_OLDER, /* number: seconds (RFC 5032) */
	IMAP_SEARCH_YOUNGER,
	IMAP_SEARCH_LARGER, /* number: octets */
	IMAP_SEARCH_SMALLER,
	IMAP_SEARCH_MODSEQ, /* number: at least */
	IMAP_SEARCH_HEADER, /* name, text; BCC CC FROM SUBJECT TO too */
	IMAP_SEARCH_BODY,
	IMAP_SEARCH_TEXT,
};

struct imap_search_key {
	enum imap_search_kind kind;
	struct imap_search_key *next; /* the next of the same AND */
	struct imap_search_key *inner, *other;
	unsigned flag; /* enum imap_flag */
	uint64_t number;
	Time day;
	Str name, text; /* text in the command's charset */
	struct imap_set set;
};

enum imap_search_return {
	IMAP_RETURN_MIN = 1 << 0,
	IMAP_RETURN_MAX = 1 << 1,
	IMAP_RETURN_ALL = 1 << 2,
	IMAP_RETURN_COUNT = 1 << 3,
	IMAP_RETURN_SAVE = 1 << 4,
};

struct imap_search {
	bool extended;                /* RETURN was given: answer ESEARCH */
	unsigned give;                /* enum imap_search_return; ALL when the list was empty */
	Str charset;                  /* "" when not given */
	bool uses_modseq;             /* a MODSEQ key somewhere */
	struct imap_search_key *keys; /* a list: all of them */
};

struct imap_command {
	Str tag;
	Str name; /* as written, without "UID " */
	enum imap_verb verb;
	bool uid; /* the UID form */
	union {
		struct imap_login login;
		struct imap_authenticate authenticate;
		struct imap_select select; /* SELECT, EXAMINE */
		struct imap_create create;
		struct imap_rename rename;
		Str mailbox;           /* DELETE, SUBSCRIBE, UNSUBSCRIBE */
		struct imap_list list; /* LIST, LSUB */
		struct imap_status status;
		struct imap_append append;
		struct imap_search search;
		struct imap_fetch fetch;
		struct imap_store store;
		struct imap_copy copy;       /* COPY, MOVE */
		struct imap_set expunge;     /* UID EXPUNGE */
		struct imap_strings strings; /* ENABLE: names; ID: name, value, name, value */
	};
};

/*
 * Parses one command. Mailbox names stay as the client wrote them (see imap_mutf7_parse).
 *
 * text  whole, CRLF included; the Strs in *ret point into it or into the arena.
 * a     holds what is unfolded: sets, lists, unquoted strings.
 *
 * An unknown name is no failure: verb is IMAP_UNKNOWN.
 *
 * ERR_PEER   bad syntax: answer BAD; imap_command_tag finds the tag
 * ERR_LIMIT  nested too deep, or more than the arena takes: answer BAD
 */
MUST_USE Err imap_command_parse(Str text, struct arena *a, struct imap_command *ret);

/*
 * The beginning of an APPEND, up to the CRLF that announces its message: asked while the reader
 * says LITERAL. *ret_message is false when that literal is something else, for example the
 * mailbox name: the reader then takes it. Fails as imap_command_parse does.
 */
MUST_USE Err imap_append_parse(Str text, struct arena *a, struct imap_command *ret,
	bool *ret_message);

/* The tag to answer with, whatever follows it; "*" when there is none. */
Str imap_command_tag(Str text);

/* True when the text begins with a tag and APPEND. */
bool imap_command_is_append(Str text);

const char *imap_verb_name(enum imap_verb verb);
