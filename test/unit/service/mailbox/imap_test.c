/* SPDX-License-Identifier: ISC */
/*
 * Dialogues with IMAP sessions over socket pairs, on the driver in memory. A script is lines:
 *
 *   > text     sent, with CRLF
 *   < text     the next line that must come; "..." at its end matches anything
 *   2> 2<      the same for a second session of the same account, opened when first named
 *   ! name     something else happens: see `events`
 *
 * Nothing may come that the script does not name.
 */
#include "rpc/log.h"
#include "service/mailbox/imap.h"
#include "test.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
	CLIENTS = 2,
	PATIENCE_MS = 5000,
	QUIET_MS = 20,
	LINE_MAX_TEST = 70000,
};

struct client {
	int fd; /* -1: not opened */
	pthread_t thread;
	struct buf in;
};

struct stage {
	const char *why;
	struct mailbox *mailbox;
	struct client clients[CLIENTS];
};

struct served {
	struct mailbox *mailbox;
	int fd;
};

static void *
serve_thread(void *with)
{
	static const struct mailbox_open open = {
		.address = S("ann@example.org"),
		.user = S("ann"),
		.peer = S("192.0.2.1"),
		.session = S("s1"),
		.tag = S("l1"),
	};
	struct served *served = with;

	imap_session_serve(served->mailbox, served->fd, &open);
	free(served);
	return NULL;
}

static const Str messages[] = {
	S("From: Alice Ace <alice@example.org>\n"
	  "To: bob@example.org, \"C. D.\" <cd@example.net>\n"
	  "Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?= one\n"
	  "Date: Thu, 1 Jan 2026 10:00:00 +0100\n"
	  "Message-ID: <m0@example.org>\n"
	  "\n"
	  "Hello\n"
	  "World\n"),
	S("From: bob@example.org\n"
	  "Subject: two parts\n"
	  "Date: Fri, 2 Jan 2026 23:30:00 -0500\n"
	  "Mime-Version: 1.0\n"
	  "Content-Type: multipart/mixed; boundary=xx\n"
	  "\n"
	  "preamble\n"
	  "--xx\n"
	  "Content-Type: text/plain; charset=utf-8\n"
	  "Content-Transfer-Encoding: quoted-printable\n"
	  "\n"
	  "caf=C3=A9 soft=\n"
	  "break\n"
	  "--xx\n"
	  "Content-Type: message/rfc822\n"
	  "\n"
	  "Subject: inner\n"
	  "\n"
	  "inside\n"
	  "--xx\n"
	  "Content-Type: application/octet-stream\n"
	  "Content-Transfer-Encoding: base64\n"
	  "\n"
	  "AAECAw==\n"
	  "--xx--\n"),
	S("Subject: nothing\n\n"),
};

static void
deliver(struct stage *t, Str message)
{
	static uint64_t id;
	struct mailbox_delivery delivery = {
		.queue_id = ++id,
		.recipient = 1,
		.accepted = time_from_seconds(1767261600), /* 1 Jan 2026 10:00 UTC */
		.message = { .bytes = message, .fd = -1 },
	};
	struct mailbox_delivered delivered;

	assert_ok(mailbox_deliver(t->mailbox, &delivery, 1, &delivered));
}

static void
open_client(struct stage *t, struct client *c)
{
	struct served *served = calloc(1, sizeof(*served));
	int pair[2];

	assert_int_equal(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	*served = (struct served){ t->mailbox, pair[0] };
	assert_int_equal(0, pthread_create(&c->thread, NULL, serve_thread, served));
	c->fd = pair[1];
	c->in = BUF_INIT(1 << 20);
}

static void
close_client(struct client *c)
{
	if (c->fd < 0)
		return;
	close(c->fd);
	pthread_join(c->thread, NULL);
	buf_done(&c->in);
	c->fd = -1;
}

/* More octets within ms; false when none came. */
static bool
hear(struct client *c, int ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	char *room;
	ssize_t got;

	if (poll(&p, 1, ms) <= 0)
		return false;
	room = buf_room(&c->in, 4096);
	assert_non_null(room);
	got = read(c->fd, room, 4096);
	if (got <= 0)
		return false;
	buf_grew(&c->in, (size_t)got);
	return true;
}

static void
expect(struct stage *t, struct client *c, Str want)
{
	size_t end;
	Str line;
	bool prefix = str_ends(want, S("..."));

	while ((end = str_find(buf_view(&c->in), '\n')) == STR_NONE)
		if (!hear(c, PATIENCE_MS))
			fail_msg("%s: wanted \"%.*s\", nothing came", t->why, STR_ARG(want));
	line = str_part(buf_view(&c->in), 0, end);
	if (str_ends(line, S("\r")))
		line.n--;
	if (prefix)
		want.n -= 3;
	if (prefix ? !str_starts(line, want) : !str_eq(line, want))
		fail_msg("%s: wanted \"%.*s\", got \"%.*s\"", t->why, STR_ARG(want),
			STR_ARG(line));
	buf_eat(&c->in, end + 1);
}

static void
say(struct client *c, Str line)
{
	assert_int_equal(line.n, write(c->fd, line.p, line.n));
	assert_int_equal(2, write(c->fd, "\r\n", 2));
}

static struct client *
client_of(struct stage *t, size_t i)
{
	if (t->clients[i].fd < 0) {
		open_client(t, &t->clients[i]);
		expect(t, &t->clients[i], S("l1 OK [CAPABILITY ..."));
	}
	return &t->clients[i];
}

static void
happen(struct stage *t, Str event)
{
	if (str_eq(event, S("mail")))
		deliver(t, messages[0]);
	else if (str_eq(event, S("parts")))
		deliver(t, messages[1]);
	else if (str_eq(event, S("empty")))
		deliver(t, messages[2]);
	else
		fail_msg("%s: no event %.*s", t->why, STR_ARG(event));
}

static void
play_line(struct stage *t, Str line)
{
	size_t who = 0;

	if (str_starts(line, S("! "))) {
		happen(t, str_from_at(line, 2));
		return;
	}
	if (str_starts(line, S("2"))) {
		who = 1;
		line = str_from_at(line, 1);
	}
	if (str_starts(line, S("> ")))
		say(client_of(t, who), str_from_at(line, 2));
	else if (str_starts(line, S("< ")))
		expect(t, client_of(t, who), str_from_at(line, 2));
	else
		fail_msg("%s: bad script line \"%.*s\"", t->why, STR_ARG(line));
}

static void
play(const char *why, const char *script)
{
	struct mailbox_settings settings = { .host = S("mail.example.org"), .folder = -1 };
	struct stage t = { .why = why, .clients = { { .fd = -1 }, { .fd = -1 } } };
	struct cursor c = cursor_of(str_from(script));

	assert_ok(mailbox_open_ram(&settings, &t.mailbox));
	while (!cursor_done(&c))
		play_line(&t, cursor_line(&c));
	for (size_t i = 0; i < CLIENTS; i++) {
		struct client *client = &t.clients[i];

		if (client->fd >= 0 && (hear(client, QUIET_MS) || client->in.n > 0))
			fail_msg("%s: unexpected \"%.*s\"", why,
				STR_ARG(buf_view(&client->in)));
		close_client(client);
	}
	mailbox_close(t.mailbox);
}

#define SELECTED(n) \
	"> s SELECT INBOX\n" \
	"< * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft)\n" \
	"< * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*)] Flags are kept\n" \
	"< * " #n " EXISTS\n" \
	"< * 0 RECENT\n" \
	"< * OK [UNSEEN 1] First unseen\n" \
	"< * OK [UIDVALIDITY ...\n" \
	"< * OK [UIDNEXT ...\n" \
	"< * OK [HIGHESTMODSEQ ...\n" \
	"< s OK [READ-WRITE] SELECT completed\n"

struct dialogue {
	const char *why;
	const char *script;
};

static void
play_all(const struct dialogue *dialogues, size_t count)
{
	for (size_t i = 0; i < count; i++)
		play(dialogues[i].why, dialogues[i].script);
}

static void
test_any_state(void **state)
{
	static const struct dialogue dialogues[] = {
		{ "capability and logout", "> a CAPABILITY\n"
					   "< * CAPABILITY IMAP4rev2 IMAP4rev1 ...\n"
					   "< a OK CAPABILITY completed\n"
					   "> b LOGOUT\n"
					   "< * BYE Logging out\n"
					   "< b OK LOGOUT completed\n" },
		{ "id, noop, namespace", "> a ID (\"name\" \"x\")\n"
					 "< * ID (\"name\" \"Posthorn\")\n"
					 "< a OK ID completed\n"
					 "> b NOOP\n"
					 "< b OK NOOP completed\n"
					 "> c NAMESPACE\n"
					 "< * NAMESPACE ((\"\" \"/\")) NIL NIL\n"
					 "< c OK NAMESPACE completed\n" },
		{ "what is not understood",
			"> a FROB x\n"
			"< a BAD Unknown command\n"
			"> b NOOP x\n"
			"< b BAD too many arguments, or no CRLF at the end\n"
			"> \n"
			"< * BAD tag expected\n"
			"> c FETCH 1 FLAGS\n"
			"< c BAD No mailbox is selected\n"
			"> d LOGIN x y\n"
			"< d BAD Logged in already\n" },
		{ "pipelined commands are answered in order", "> a NOOP\n"
							      "> b NOOP\n"
							      "> c NOOP\n"
							      "< a OK NOOP completed\n"
							      "< b OK NOOP completed\n"
							      "< c OK NOOP completed\n" },
		{ "literal as an argument", "> a STATUS {5}\n"
					    "< + OK\n"
					    "> INBOX (MESSAGES)\n"
					    "< * STATUS INBOX (MESSAGES 0)\n"
					    "< a OK STATUS completed\n"
					    "> b STATUS {5+}\n"
					    "> INBOX (MESSAGES)\n"
					    "< * STATUS INBOX (MESSAGES 0)\n"
					    "< b OK STATUS completed\n" },
		{ "literals too large", "> a STATUS {9223372036854775808}\n"
					"< a BAD [TOOBIG] Literal is too large\n"
					"> b STATUS {70000}\n"
					"< b BAD [TOOBIG] Literal is too large\n"
					"> c APPEND INBOX {9223372036854775808}\n"
					"< c BAD [TOOBIG] Literal is too large\n"
					"> d APPEND INBOX {9223372036854775807}\n"
					"< d NO [TOOBIG] Message is too large\n"
					"> e STATUS {9223372036854775808+}\n"
					"< * BYE [TOOBIG] No end of this command in sight\n" },
		{ "enable", "> a ENABLE CONDSTORE FROB IMAP4rev2\n"
			    "< * ENABLED CONDSTORE IMAP4rev2\n"
			    "< a OK ENABLE completed\n"
			    "> b ENABLE CONDSTORE\n"
			    "< * ENABLED\n"
			    "< b OK ENABLE completed\n" },
	};

	(void)state;
	play_all(dialogues, COUNT(dialogues));
}

static void
test_folders(void **state)
{
	static const struct dialogue dialogues[] = {
		{ "list", "> a LIST \"\" *\n"
			  "< * LIST (\\HasNoChildren) \"/\" INBOX\n"
			  "< * LIST (\\HasNoChildren \\Archive) \"/\" Archive\n"
			  "< * LIST (\\HasNoChildren \\Drafts) \"/\" Drafts\n"
			  "< * LIST (\\HasNoChildren \\Sent) \"/\" Sent\n"
			  "< * LIST (\\HasNoChildren \\Junk) \"/\" Spam\n"
			  "< * LIST (\\HasNoChildren \\Trash) \"/\" Trash\n"
			  "< a OK LIST completed\n"
			  "> b LIST \"\" \"\"\n"
			  "< * LIST (\\Noselect) \"/\" \"\"\n"
			  "< b OK LIST completed\n"
			  "> c LIST \"\" inbox\n"
			  "< * LIST (\\HasNoChildren) \"/\" INBOX\n"
			  "< c OK LIST completed\n"
			  "> d LIST (SPECIAL-USE) \"\" (S% T%)\n"
			  "< * LIST (\\HasNoChildren \\Sent) \"/\" Sent\n"
			  "< * LIST (\\HasNoChildren \\Junk) \"/\" Spam\n"
			  "< * LIST (\\HasNoChildren \\Trash) \"/\" Trash\n"
			  "< d OK LIST completed\n" },
		{ "create, rename, delete",
			"> a CREATE a/b/\n"
			"< a OK CREATE completed\n"
			"> b CREATE a/b\n"
			"< b NO [ALREADYEXISTS] Mailbox exists already\n"
			"> c LIST \"\" a*\n"
			"< * LIST (\\HasChildren) \"/\" a\n"
			"< * LIST (\\HasNoChildren) \"/\" a/b\n"
			"< c OK LIST completed\n"
			"> d RENAME a z\n"
			"< d OK RENAME completed\n"
			"> e LIST z %/%\n"
			"< * LIST (\\HasNoChildren) \"/\" z/b\n"
			"< e OK LIST completed\n"
			"> f DELETE z/b\n"
			"< f OK DELETE completed\n"
			"> g DELETE z/b\n"
			"< g NO [NONEXISTENT] No such mailbox\n"
			"> h DELETE INBOX\n"
			"< h NO [CANNOT] This mailbox cannot be deleted\n"
			"> i RENAME nowhere x\n"
			"< i NO [CANNOT] No such mailbox, or its new name is not allowed\n"
			"> j RENAME z Sent\n"
			"< j NO [ALREADYEXISTS] Mailbox exists already\n" },
		{ "names in modified UTF-7 and in UTF-8",
			"> a CREATE \"R&-D &AOk-\"\n"
			"< a OK CREATE completed\n"
			"> b CREATE \"R&D\"\n"
			"< b NO [CANNOT] mailbox name is not modified UTF-7\n"
			"> c LIST \"\" R*\n"
			"< * LIST (\\HasNoChildren) \"/\" \"R&-D &AOk-\"\n"
			"< c OK LIST completed\n"
			"> d ENABLE IMAP4rev2\n"
			"< * ENABLED IMAP4rev2\n"
			"< d OK ENABLE completed\n"
			"> e LIST \"\" R*\n"
			"< * LIST (\\HasNoChildren) \"/\" \"R&D \xc3\xa9\"\n"
			"< e OK LIST completed\n" },
		{ "names that are none", "> a CREATE a//b\n"
					 "< a NO [CANNOT] Mailbox name is not allowed\n"
					 "> b CREATE ../x\n"
					 "< b NO [CANNOT] Mailbox name is not allowed\n"
					 "> c CREATE /x\n"
					 "< c NO [CANNOT] Mailbox name is not allowed\n"
					 "> d CREATE &AAA-\n"
					 "< d NO [CANNOT] Mailbox name is not allowed\n"
					 "> e SELECT \"\"\n"
					 "< e NO [NONEXISTENT] No such mailbox\n" },
		{ "INBOX keeps its name and gives its mail away",
			"! mail\n"
			"> a RENAME INBOX Old\n"
			"< a OK RENAME completed\n"
			"> b STATUS Old (MESSAGES)\n"
			"< * STATUS Old (MESSAGES 1)\n"
			"< b OK STATUS completed\n"
			"> c STATUS inbox (MESSAGES)\n"
			"< * STATUS INBOX (MESSAGES 0)\n"
			"< c OK STATUS completed\n" },
		{ "special use", "> a CREATE Mine (USE (\\Sent))\n"
				 "< a OK CREATE completed\n"
				 "> b CREATE Mine2 (USE (\\Frob))\n"
				 "< b NO [USEATTR] A mailbox cannot be used for that\n" },
		{ "subscriptions",
			"> a SUBSCRIBE a/b\n"
			"< a OK SUBSCRIBE completed\n"
			"> b LSUB \"\" a*\n"
			"< * LSUB (\\Noselect) \"/\" a/b\n"
			"< b OK LSUB completed\n"
			"> c LSUB \"\" %\n"
			"< * LSUB () ...\n"
			"< * LSUB () ...\n"
			"< * LSUB () ...\n"
			"< * LSUB () ...\n"
			"< * LSUB () ...\n"
			"< * LSUB () ...\n"
			"< * LSUB (\\Noselect) \"/\" a\n"
			"< c OK LSUB completed\n"
			"> d LIST (SUBSCRIBED) \"\" a/*\n"
			"< * LIST (\\NonExistent \\Noselect \\HasNoChildren \\Subscribed) \"/\" a/b\n"
			"< d OK LIST completed\n"
			"> k CREATE a\n"
			"< k OK CREATE completed\n"
			"> e LIST (SUBSCRIBED RECURSIVEMATCH) \"\" a\n"
			"< * LIST (\\HasNoChildren) \"/\" a (\"CHILDINFO\" (\"SUBSCRIBED\"))\n"
			"< e OK LIST completed\n"
			"> f UNSUBSCRIBE a/b\n"
			"< f OK UNSUBSCRIBE completed\n"
			"> g LSUB \"\" a*\n"
			"< g OK LSUB completed\n" },
		{ "status",
			"! mail\n"
			"> a STATUS INBOX (MESSAGES UNSEEN UIDNEXT SIZE DELETED RECENT)\n"
			"< * STATUS INBOX (MESSAGES 1 RECENT 0 UIDNEXT 2 UNSEEN 1 DELETED 0 SIZE 210)\n"
			"< a OK STATUS completed\n"
			"> b STATUS nowhere (MESSAGES)\n"
			"< b NO [NONEXISTENT] No such mailbox\n"
			"> c LIST \"\" INBOX RETURN (STATUS (MESSAGES) CHILDREN)\n"
			"< * LIST (\\HasNoChildren) \"/\" INBOX\n"
			"< * STATUS INBOX (MESSAGES 1)\n"
			"< c OK LIST completed\n" },
		{ "select and leave",
			"! mail\n" SELECTED(
				1) "> a SELECT nowhere\n"
				   "< a NO [NONEXISTENT] No such mailbox\n"
				   "> b CHECK\n"
				   "< b BAD No mailbox is selected\n"
				   "> c EXAMINE INBOX\n"
				   "< * FLAGS ...\n"
				   "< * OK [PERMANENTFLAGS ()] Read-only\n"
				   "< * 1 EXISTS\n"
				   "< * 0 RECENT\n"
				   "< * OK [UNSEEN 1] First unseen\n"
				   "< * OK [UIDVALIDITY ...\n"
				   "< * OK [UIDNEXT 2] Next UID\n"
				   "< * OK [HIGHESTMODSEQ ...\n"
				   "< c OK [READ-ONLY] EXAMINE completed\n"
				   "> d STORE 1 +FLAGS (\\Seen)\n"
				   "< d NO [READ-ONLY] Mailbox is open for reading only\n"
				   "> e UNSELECT\n"
				   "< e OK UNSELECT completed\n" },
		{ "select as IMAP4rev2 has it", "> a ENABLE IMAP4rev2\n"
						"< * ENABLED IMAP4rev2\n"
						"< a OK ENABLE completed\n"
						"> b SELECT inbox\n"
						"< * FLAGS ...\n"
						"< * OK [PERMANENTFLAGS ...\n"
						"< * 0 EXISTS\n"
						"< * OK [UIDVALIDITY ...\n"
						"< * OK [UIDNEXT 1] Next UID\n"
						"< * OK [HIGHESTMODSEQ ...\n"
						"< * LIST () \"/\" INBOX\n"
						"< b OK [READ-WRITE] SELECT completed\n"
						"> c SELECT nowhere\n"
						"< * OK [CLOSED] Previous mailbox is closed\n"
						"< c NO [NONEXISTENT] No such mailbox\n" },
	};

	(void)state;
	play_all(dialogues, COUNT(dialogues));
}

static void
test_fetch(void **state)
{
	static const struct dialogue dialogues[] = {
		{ "from memory",
			"! mail\n" SELECTED(
				1) "> a FETCH 1 (FLAGS UID INTERNALDATE RFC822.SIZE)\n"
				   "< * 1 FETCH (FLAGS () UID 1 INTERNALDATE \"01-Jan-2026 10:00:00 +0000\" "
				   "RFC822.SIZE 210)\n"
				   "< a OK FETCH completed\n"
				   "> b UID FETCH 1:* FLAGS\n"
				   "< * 1 FETCH (FLAGS () UID 1)\n"
				   "< b OK FETCH completed\n"
				   "> c FETCH 2 FLAGS\n"
				   "< c BAD No message has that number\n"
				   "> d UID FETCH 7 FLAGS\n"
				   "< d OK FETCH completed\n"
				   "> e FETCH 1 FAST\n"
				   "< * 1 FETCH (FLAGS () INTERNALDATE \"01-Jan-2026 10:00:00 +0000\" "
				   "RFC822.SIZE 210)\n"
				   "< e OK FETCH completed\n" },
		{ "columns",
			"! mail\n"
			"! parts\n" SELECTED(
				2) "> a FETCH 1 (ENVELOPE BODYSTRUCTURE)\n"
				   "< * 1 FETCH (ENVELOPE (\"Thu, 1 Jan 2026 10:00:00 +0100\" "
				   "\"=?utf-8?q?Gr=C3=BC=C3=9Fe?= one\" "
				   "((\"Alice Ace\" NIL \"alice\" \"example.org\")) "
				   "((\"Alice Ace\" NIL \"alice\" \"example.org\")) "
				   "((\"Alice Ace\" NIL \"alice\" \"example.org\")) "
				   "((NIL NIL \"bob\" \"example.org\")(\"C. D.\" NIL \"cd\" \"example.net\")) "
				   "NIL NIL NIL \"<m0@example.org>\") "
				   "BODYSTRUCTURE (\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" "
				   "14 2 NIL NIL NIL NIL))\n"
				   "< a OK FETCH completed\n"
				   "> b FETCH 2 BODY\n"
				   "< * 2 FETCH (BODY (..."
				   "\n"
				   "< b OK FETCH completed\n" },
		{ "SD_059: an empty body is \"\"",
			"! empty\n" SELECTED(
				1) "> a FETCH 1 (RFC822.SIZE BODY.PEEK[TEXT] BODY.PEEK[])\n"
				   "< * 1 FETCH (RFC822.SIZE 20 BODY[TEXT] \"\" BODY[] {20}\n"
				   "< Subject: nothing\n"
				   "< \n"
				   "< )\n"
				   "< a OK FETCH completed\n" },
		{ "bytes, and \\Seen set by reading",
			"! mail\n" SELECTED(
				1) "> a FETCH 1 BODY.PEEK[TEXT]\n"
				   "< * 1 FETCH (BODY[TEXT] {14}\n"
				   "< Hello\n"
				   "< World\n"
				   "< )\n"
				   "< a OK FETCH completed\n"
				   "> b FETCH 1 BODY[TEXT]<3.6>\n"
				   "< * 1 FETCH (BODY[TEXT]<3> {6}\n"
				   "< lo\n"
				   "< Wo FLAGS (\\Seen))\n"
				   "< b OK FETCH completed\n"
				   "> c FETCH 1 (BODY[TEXT]<99.6> FLAGS)\n"
				   "< * 1 FETCH (BODY[TEXT]<99> \"\" FLAGS (\\Seen))\n"
				   "< c OK FETCH completed\n" },
		{ "header fields",
			"! mail\n" SELECTED(
				1) "> a FETCH 1 BODY.PEEK[HEADER.FIELDS (date FROM x-none)]\n"
				   "< * 1 FETCH (BODY[HEADER.FIELDS (date FROM x-none)] {77}\n"
				   "< From: Alice Ace <alice@example.org>\n"
				   "< Date: Thu, 1 Jan 2026 10:00:00 +0100\n"
				   "< \n"
				   "< )\n"
				   "< a OK FETCH completed\n"
				   "> b FETCH 1 BODY.PEEK[HEADER.FIELDS.NOT (date FROM to subject)]\n"
				   "< * 1 FETCH (BODY[HEADER.FIELDS.NOT (date FROM to subject)] {32}\n"
				   "< Message-ID: <m0@example.org>\n"
				   "< \n"
				   "< )\n"
				   "< b OK FETCH completed\n" },
		{ "parts",
			"! parts\n" SELECTED(
				1) "> a FETCH 1 (BODY.PEEK[1] BODY.PEEK[2.HEADER] BODY.PEEK[2.TEXT] "
				   "BODY.PEEK[3.MIME] BODY.PEEK[4])\n"
				   "< * 1 FETCH (BODY[1] {22}\n"
				   "< caf=C3=A9 soft=\n"
				   "< break BODY[2.HEADER] {18}\n"
				   "< Subject: inner\n"
				   "< \n"
				   "<  BODY[2.TEXT] {6}\n"
				   "< inside BODY[3.MIME] {77}\n"
				   "< Content-Type: application/octet-stream\n"
				   "< Content-Transfer-Encoding: base64\n"
				   "< \n"
				   "<  BODY[4] NIL)\n"
				   "< a OK FETCH completed\n" },
		{ "without transfer encodings",
			"! parts\n" SELECTED(
				1) "> a FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.SIZE[3])\n"
				   "< * 1 FETCH (BINARY.SIZE[1] 15 BINARY[1] {15}\n"
				   "< caf\xc3\xa9 softbreak BINARY.SIZE[3] 4)\n"
				   "< a OK FETCH completed\n" },
		{ "changed since",
			"! mail\n"
			"! mail\n" SELECTED(2) "> a STORE 2 +FLAGS.SILENT (\\Seen)\n"
					       "< a OK STORE completed\n"
					       "> b FETCH 1:* (FLAGS) (CHANGEDSINCE 0)\n"
					       "< * 1 FETCH (FLAGS () MODSEQ (...\n"
					       "< * 2 FETCH (FLAGS (\\Seen) MODSEQ (...\n"
					       "< b OK FETCH completed\n" },
	};

	(void)state;
	play_all(dialogues, COUNT(dialogues));
}

static void
test_change(void **state)
{
	static const struct dialogue dialogues[] = {
		{ "store",
			"! mail\n"
			"! mail\n" SELECTED(
				2) "> a STORE 1 FLAGS (\\Seen \\Flagged)\n"
				   "< * 1 FETCH (FLAGS (\\Seen \\Flagged) UID 1)\n"
				   "< a OK STORE completed\n"
				   "> b STORE 1 -FLAGS (\\Seen)\n"
				   "< * 1 FETCH (FLAGS (\\Flagged) UID 1)\n"
				   "< b OK STORE completed\n"
				   "> c STORE 1:2 +FLAGS.SILENT (\\Draft)\n"
				   "< c OK STORE completed\n"
				   "> d STORE 2 +FLAGS (Work)\n"
				   "< * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft Work)\n"
				   "< * OK [PERMANENTFLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft Work "
				   "\\*)] Flags are kept\n"
				   "< * 2 FETCH (FLAGS (\\Draft Work) UID 2)\n"
				   "< d OK STORE completed\n"
				   "> e STORE 1 +FLAGS (\\Frob)\n"
				   "< e BAD No such flag\n"
				   "> f UID SEARCH KEYWORD work\n"
				   "< * SEARCH 2\n"
				   "< f OK SEARCH completed\n" },
		{ "store if unchanged",
			"! mail\n"
			"! mail\n" SELECTED(
				2) "> a UID STORE 1 (UNCHANGEDSINCE 0) +FLAGS.SILENT (\\Seen)\n"
				   "< a OK [MODIFIED 1] Some had changed since\n" },
		{ "expunge", "! mail\n"
			     "! mail\n"
			     "! mail\n" SELECTED(3) "> a STORE 1,3 +FLAGS.SILENT (\\Deleted)\n"
						    "< a OK STORE completed\n"
						    "> b UID EXPUNGE 3\n"
						    "< * 3 EXPUNGE\n"
						    "< b OK EXPUNGE completed\n"
						    "> c EXPUNGE\n"
						    "< * 1 EXPUNGE\n"
						    "< c OK EXPUNGE completed\n"
						    "> d UID FETCH 1:* UID\n"
						    "< * 1 FETCH (UID 2)\n"
						    "< d OK FETCH completed\n" },
		{ "close expunges in silence",
			"! mail\n" SELECTED(1) "> a STORE 1 +FLAGS.SILENT (\\Deleted)\n"
					       "< a OK STORE completed\n"
					       "> b CLOSE\n"
					       "< b OK CLOSE completed\n"
					       "> c STATUS INBOX (MESSAGES)\n"
					       "< * STATUS INBOX (MESSAGES 0)\n"
					       "< c OK STATUS completed\n" },
		{ "copy and move",
			"! mail\n"
			"! mail\n" SELECTED(2) "> a COPY 1:2 nowhere\n"
					       "< a NO [TRYCREATE] No such mailbox\n"
					       "> b COPY 1:2 Archive\n"
					       "< b OK [COPYUID ...\n"
					       "> c UID MOVE 1 Archive\n"
					       "< * OK [COPYUID ...\n"
					       "< * 1 EXPUNGE\n"
					       "< c OK MOVE completed\n"
					       "> d STATUS Archive (MESSAGES UIDNEXT)\n"
					       "< * STATUS Archive (MESSAGES 3 UIDNEXT 4)\n"
					       "< d OK STATUS completed\n"
					       "> e UID COPY 99 Archive\n"
					       "< e OK COPY completed\n" },
		{ "append",
			"> a APPEND Sent (\\Seen $Label) \" 7-Feb-1994 21:52:25 -0800\" {21}\n"
			"< + OK\n"
			"> Subject: x\n"
			"> \n"
			"> b\xc3\xb6"
			"dy\n"
			"> \n"
			"< a OK [APPENDUID ...\n"
			"> b APPEND nowhere {21}\n"
			"< b NO [TRYCREATE] No such mailbox\n"
			"> c APPEND nowhere {5+}\n"
			"> abc\n"
			"> \n"
			"< c NO [TRYCREATE] No such mailbox\n"
			"> d SELECT Sent\n"
			"< * FLAGS (\\Seen \\Answered \\Flagged \\Deleted \\Draft $Label)\n"
			"< * OK [PERMANENTFLAGS ...\n"
			"< * 1 EXISTS\n"
			"< * 0 RECENT\n"
			"< * OK [UIDVALIDITY ...\n"
			"< * OK [UIDNEXT 2] Next UID\n"
			"< * OK [HIGHESTMODSEQ ...\n"
			"< d OK [READ-WRITE] SELECT completed\n"
			"> e FETCH 1 (FLAGS INTERNALDATE BODY.PEEK[])\n"
			"< * 1 FETCH (FLAGS (\\Seen $Label) INTERNALDATE \"08-Feb-1994 05:52:25 +0000\" "
			"BODY[] {21}\n"
			"< Subject: x\n"
			"< \n"
			"< b\xc3\xb6"
			"dy\n"
			"< )\n"
			"< e OK FETCH completed\n"
			"> f APPEND Sent {0}\n"
			"< + OK\n"
			"> \n"
			"< f NO An empty message is none\n"
			"> g APPEND {4}\n"
			"< + OK\n"
			"> Sent {12+}\n"
			"> Subject: y\n"
			"> \n"
			"< * 2 EXISTS\n"
			"< g OK [APPENDUID ...\n" },
	};

	(void)state;
	play_all(dialogues, COUNT(dialogues));
}

static void
test_search(void **state)
{
	static const struct dialogue dialogues[] = {
		{ "keys",
			"! mail\n"
			"! parts\n"
			"! empty\n" SELECTED(
				3) "> a SEARCH ALL\n"
				   "< * SEARCH 1 2 3\n"
				   "< a OK SEARCH completed\n"
				   "> b SEARCH FROM alice\n"
				   "< * SEARCH 1\n"
				   "< b OK SEARCH completed\n"
				   "> c SEARCH CHARSET UTF-8 SUBJECT {6+}\n"
				   "> GR\xc3\x9c\xc3\x9f\n"
				   "< * SEARCH 1\n"
				   "< c OK SEARCH completed\n"
				   "> d SEARCH CHARSET UTF-8 BODY {5+}\n"
				   "> CAF\xc3\x89\n"
				   "< * SEARCH 2\n"
				   "< d OK SEARCH completed\n"
				   "> e SEARCH BODY \"soft break\"\n"
				   "< * SEARCH\n"
				   "< e OK SEARCH completed\n"
				   "> f SEARCH BODY softbreak\n"
				   "< * SEARCH 2\n"
				   "< f OK SEARCH completed\n"
				   "> g SEARCH TEXT two\n"
				   "< * SEARCH 2\n"
				   "< g OK SEARCH completed\n"
				   "> h SEARCH BODY two\n"
				   "< * SEARCH\n"
				   "< h OK SEARCH completed\n"
				   "> i SEARCH SENTON 2-Jan-2026\n"
				   "< * SEARCH 2\n"
				   "< i OK SEARCH completed\n"
				   "> j SEARCH OR SUBJECT nothing NOT 2:3\n"
				   "< * SEARCH 1 3\n"
				   "< j OK SEARCH completed\n"
				   "> k SEARCH HEADER Message-ID \"\"\n"
				   "< * SEARCH 1\n"
				   "< k OK SEARCH completed\n"
				   "> l SEARCH LARGER 30 UNSEEN ON 1-Jan-2026\n"
				   "< * SEARCH 1 2\n"
				   "< l OK SEARCH completed\n"
				   "> m SEARCH CHARSET KLINGON ALL\n"
				   "< m NO [BADCHARSET (US-ASCII UTF-8 ISO-8859-1 ISO-8859-15 WINDOWS-1252)] "
				   "Charset is not known\n" },
		{ "extended answers",
			"! mail\n"
			"! parts\n"
			"! empty\n" SELECTED(
				3) "> a SEARCH RETURN (MIN MAX COUNT ALL) NOT 2\n"
				   "< * ESEARCH (TAG \"a\") MIN 1 MAX 3 ALL 1,3 COUNT 2\n"
				   "< a OK SEARCH completed\n"
				   "> b UID SEARCH RETURN (COUNT) SUBJECT absent\n"
				   "< * ESEARCH (TAG \"b\") UID COUNT 0\n"
				   "< b OK SEARCH completed\n"
				   "> c UID SEARCH RETURN (SAVE) 2:3\n"
				   "< c OK SEARCH completed\n"
				   "> d UID FETCH $ UID\n"
				   "< * 2 FETCH (UID 2)\n"
				   "< * 3 FETCH (UID 3)\n"
				   "< d OK FETCH completed\n"
				   "> e SEARCH $ FROM bob\n"
				   "< * SEARCH 2\n"
				   "< e OK SEARCH completed\n"
				   "> f ENABLE IMAP4rev2\n"
				   "< * ENABLED IMAP4rev2\n"
				   "< f OK ENABLE completed\n"
				   "> g UID SEARCH ALL\n"
				   "< * ESEARCH (TAG \"g\") UID ALL 1:3\n"
				   "< g OK SEARCH completed\n" },
		{ "mod-sequences", "! mail\n" SELECTED(1) "> a SEARCH MODSEQ 1\n"
							  "< * SEARCH 1 (MODSEQ ...\n"
							  "< a OK SEARCH completed\n" },
	};

	(void)state;
	play_all(dialogues, COUNT(dialogues));
}

static void
test_sessions_see_each_other(void **state)
{
	static const struct dialogue dialogues[] = {
		{ "new mail while idling", "! mail\n" SELECTED(1) "> a IDLE\n"
								  "< + idling\n"
								  "! mail\n"
								  "< * 2 EXISTS\n"
								  "! mail\n"
								  "< * 3 EXISTS\n"
								  "> DONE\n"
								  "< a OK IDLE completed\n" },
		{ "idle ends with DONE only", "> a IDLE\n"
					      "< + idling\n"
					      "> b NOOP\n"
					      "< a BAD DONE expected\n"
					      "> c NOOP\n"
					      "< c OK NOOP completed\n" },
		{ "flags of another session",
			"! mail\n" SELECTED(1) "2> x EXAMINE INBOX\n"
					       "2< * FLAGS ...\n"
					       "2< * OK [PERMANENTFLAGS ...\n"
					       "2< * 1 EXISTS\n"
					       "2< * 0 RECENT\n"
					       "2< * OK [UNSEEN 1] First unseen\n"
					       "2< * OK [UIDVALIDITY ...\n"
					       "2< * OK [UIDNEXT ...\n"
					       "2< * OK [HIGHESTMODSEQ ...\n"
					       "2< x OK [READ-ONLY] EXAMINE completed\n"
					       "> a STORE 1 +FLAGS.SILENT (\\Flagged)\n"
					       "< a OK STORE completed\n"
					       "2> y NOOP\n"
					       "2< * 1 FETCH (FLAGS (\\Flagged) UID 1)\n"
					       "2< y OK NOOP completed\n" },
		{ "no EXPUNGE during FETCH, STORE and SEARCH",
			"! mail\n"
			"! mail\n" SELECTED(
				2) "2> x SELECT INBOX\n"
				   "2< * FLAGS ...\n"
				   "2< * OK [PERMANENTFLAGS ...\n"
				   "2< * 2 EXISTS\n"
				   "2< * 0 RECENT\n"
				   "2< * OK [UNSEEN 1] First unseen\n"
				   "2< * OK [UIDVALIDITY ...\n"
				   "2< * OK [UIDNEXT ...\n"
				   "2< * OK [HIGHESTMODSEQ ...\n"
				   "2< x OK [READ-WRITE] SELECT completed\n"
				   "> a STORE 1 +FLAGS.SILENT (\\Deleted)\n"
				   "< a OK STORE completed\n"
				   "> b EXPUNGE\n"
				   "< * 1 EXPUNGE\n"
				   "< b OK EXPUNGE completed\n"
				   "2> y FETCH 2 UID\n"
				   "2< * 2 FETCH (UID 2)\n"
				   "2< y OK FETCH completed\n"
				   "2> z SEARCH UID 2\n"
				   "2< * SEARCH 2\n"
				   "2< z OK SEARCH completed\n"
				   "2> w FETCH 1 BODY.PEEK[TEXT]\n"
				   "2< w NO [EXPUNGEISSUED] Some messages are gone\n"
				   "2> v NOOP\n"
				   "2< * 1 EXPUNGE\n"
				   "2< v OK NOOP completed\n" },
		{ "the selected folder is deleted", "> a CREATE x\n"
						    "< a OK CREATE completed\n"
						    "> s SELECT x\n"
						    "< * FLAGS ...\n"
						    "< * OK [PERMANENTFLAGS ...\n"
						    "< * 0 EXISTS\n"
						    "< * 0 RECENT\n"
						    "< * OK [UIDVALIDITY ...\n"
						    "< * OK [UIDNEXT ...\n"
						    "< * OK [HIGHESTMODSEQ ...\n"
						    "< s OK [READ-WRITE] SELECT completed\n"
						    "2> b DELETE x\n"
						    "2< b OK DELETE completed\n"
						    "> c NOOP\n"
						    "< * BYE The selected folder is gone\n"
						    "< c OK NOOP completed\n" },
	};

	(void)state;
	play_all(dialogues, COUNT(dialogues));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_state),
		cmocka_unit_test(test_folders),
		cmocka_unit_test(test_fetch),
		cmocka_unit_test(test_change),
		cmocka_unit_test(test_search),
		cmocka_unit_test(test_sessions_see_each_other),
	};

	log_set_level(LOG_LEVEL_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
