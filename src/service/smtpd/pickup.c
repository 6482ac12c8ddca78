/* SPDX-License-Identifier: ISC */
#include "service/smtpd/pickup.h"

#include "base/memory.h"
#include "service/smtpd/events.h"
#include "service/smtpd/message.h"

#include <stdlib.h>
#include <unistd.h>

enum {
	PIECE = 64 * 1024,     /* octets read at once */
	HEAD_MAX = 512 * 1024, /* octets of commands before DATA */
	ADDRESS_ROOM = 512,
};

/* Reads the file in pieces; what was not used yet is in `text`. */
struct reader {
	int fd;
	off_t at;
	bool end;
	struct buf text;
};

static Err
read_more(struct reader *r)
{
	char *room = buf_room(&r->text, PIECE);
	ssize_t n;

	if (room == NULL)
		return fail(ERR_PEER, "commands of the file are too long");
	n = pread(r->fd, room, PIECE, r->at);
	if (n < 0)
		return fail_sys(ERR_TEMP, "cannot read what was dropped");
	r->end = n == 0;
	r->at += n;
	buf_grew(&r->text, (size_t)n);
	return OK;
}

/* Lines of commands end in CRLF or LF: the file is not the network. */
static Err
read_line(struct reader *r, struct buf *ret)
{
	struct cursor c;

	while (!str_has(buf_view(&r->text), '\n')) {
		if (r->end)
			return fail(ERR_PEER, "file ends before its message");
		TRY(read_more(r));
	}
	c = cursor_of(buf_view(&r->text));
	buf_reset(ret);
	buf_put(ret, cursor_line(&c));
	buf_eat(&r->text, r->text.n - c.rest.n);
	return OK;
}

struct pickup {
	const struct smtpd_drop *drop;
	struct smtpd_asker *asker;
	struct envelope envelope;
	size_t room; /* for recipients */
	struct buf id;
	struct smtpd_terms terms;
	struct smtpd_message message;
};

/*
 * A name that the program gave without a domain stands at our host name. When that is no domain
 * of ours, the one above it is meant: root@mx.example.org is root@example.org.
 */
static Err
find_recipient(struct pickup *p, const struct address *a, struct buf *b,
	struct directory_recipient *ret)
{
	struct caller *directory = p->asker->directory;
	Str above, host = p->drop->smtpd->smtp.hostname, first;

	buf_reset(b);
	buf_put(b, a->text);
	TRY(directory_call_recipient(directory, a->text, ret));
	if (ret->class != DIRECTORY_UNKNOWN_DOMAIN || !str_eq_icase(a->domain, host) ||
		!str_split(host, '.', &first, &above))
		return OK;
	buf_reset(b);
	buf_put(b, a->local);
	buf_put_char(b, '@');
	buf_put(b, above);
	TRY(buf_check(b));
	TRY(directory_call_recipient(directory, buf_view(b), ret));
	if (ret->class == DIRECTORY_UNKNOWN_DOMAIN) {
		buf_reset(b);
		buf_put(b, a->text);
	}
	return OK;
}

static Err
grow(struct pickup *p)
{
	struct envelope *e = &p->envelope;
	struct envelope_recipient *more;

	if (e->recipient_count < p->room)
		return OK;
	if (p->room == ENVELOPE_RECIPIENTS_MAX)
		return fail(ERR_PEER, "file has too many recipients");
	p->room = p->room == 0 ? 16 : p->room * 4;
	if (p->room > ENVELOPE_RECIPIENTS_MAX)
		p->room = ENVELOPE_RECIPIENTS_MAX;
	more = arena_try_array(p->asker->arena, p->room, sizeof(*more));
	if (more == NULL)
		return fail(ERR_PEER, "file has too many recipients");
	for (size_t i = 0; i < e->recipient_count; i++)
		more[i] = e->recipients[i];
	e->recipients = more;
	return OK;
}

static Err
add_recipient(struct pickup *p, const struct smtp_command *cmd)
{
	char room[ADDRESS_ROOM];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct envelope *e = &p->envelope;
	struct directory_recipient found;
	struct envelope_recipient *r;

	TRY(grow(p));
	TRY(find_recipient(p, &cmd->path, &b, &found));
	for (size_t i = 0; i < e->recipient_count; i++)
		if (str_eq(e->recipients[i].address, buf_view(&b)))
			return OK;
	r = &e->recipients[e->recipient_count];
	TRY(arena_copy(p->asker->arena, buf_view(&b), &r->address));
	/* an unknown user is local, too: deliver tells the sender */
	r->class = found.class == DIRECTORY_UNKNOWN_DOMAIN ? ENVELOPE_REMOTE : ENVELOPE_LOCAL;
	r->number = (uint32_t)e->recipient_count++;
	return OK;
}

/* Who is not trusted sends as nobody else (SD-120). */
static Err
take_sender(struct pickup *p, const struct smtp_command *cmd)
{
	const struct smtpd_drop *drop = p->drop;
	char room[ADDRESS_ROOM], found_room[ADDRESS_ROOM];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	struct buf found = {
		.p = found_room, .cap = sizeof(found_room), .max = sizeof(found_room)
	};
	struct directory_recipient ignored;
	struct address a = cmd->path;

	if (drop->login.n > 0 && a.text.n > 0) {
		address_write(&b, drop->login, drop->smtpd->smtp.hostname);
		TRY(buf_check(&b));
		TRY(address_parse(buf_view(&b), 0, &a));
	}
	if (a.text.n > 0)
		TRY(find_recipient(p, &a, &found, &ignored));
	p->envelope.flags |= ENVELOPE_SUBMITTED | (cmd->utf8 ? ENVELOPE_UTF8 : 0);
	return arena_copy(p->asker->arena, buf_view(&found), &p->envelope.sender);
}

/* Everything before the message. */
static Err
read_envelope(struct pickup *p, struct reader *r)
{
	AUTO_BUF line = BUF_INIT(SMTP_COMMAND_MAX);
	bool sender = false;

	for (;;) {
		struct smtp_command cmd;
		Err e;

		TRY(read_line(r, &line));
		TRY(buf_check(&line));
		e = smtp_command_parse(buf_view(&line), &cmd);
		if (failed(e))
			return fail(ERR_PEER, e.what);
		if (cmd.verb == SMTP_MAIL && !sender) {
			TRY(take_sender(p, &cmd));
			sender = true;
		} else if (cmd.verb == SMTP_RCPT && sender) {
			TRY(add_recipient(p, &cmd));
		} else if (cmd.verb == SMTP_DATA && p->envelope.recipient_count > 0) {
			return OK;
		} else {
			return fail(ERR_PEER, "file is not a transaction");
		}
	}
}

static void
begin_message(struct pickup *p)
{
	struct smtpd *d = p->drop->smtpd;

	smtpd_put_session_id(&p->id);
	p->envelope.session = buf_view(&p->id);
	p->envelope.began = clock_wall();
	p->terms = (struct smtpd_terms){
		.received = {
			.by = d->smtp.hostname,
			.id = buf_view(&p->id),
			.user = p->drop->user,
			.when = { .when = p->envelope.began },
		},
		.submission = true,
		.bare = d->bare,
		.size_max = d->smtp.message_max,
		.queue = p->asker->queue,
	};
	smtpd_message_begin(&p->message, &p->terms, true, 0);
}

static Err
read_message(struct pickup *p, struct reader *r)
{
	for (;;) {
		struct cursor c = cursor_of(buf_view(&r->text));

		if (smtpd_message_read(&p->message, &c))
			return OK;
		buf_reset(&r->text);
		if (r->end)
			return fail(ERR_PEER, "message has no end");
		TRY(read_more(r));
	}
}

static Err
hand_over(struct pickup *p)
{
	struct queue_body body;
	uint64_t id;

	TRY(smtpd_message_end(&p->message, &body));
	p->envelope.size = body.size;
	p->envelope.client = S("local");
	if (p->message.data.eight_bit)
		p->envelope.flags |= ENVELOPE_8BIT;
	TRY(queue_call_submit(p->asker->queue, &p->envelope, &body, NULL, &id));
	smtpd_log_picked_up(id, p->drop->user, p->envelope.sender, buf_view(&p->message.id));
	return OK;
}

static Err
pick_up(const struct smtpd_drop *drop, struct smtpd_asker *asker)
{
	struct pickup p = { .drop = drop, .asker = asker, .id = BUF_INIT(64) };
	struct reader r = { .fd = drop->fd, .text = BUF_INIT(HEAD_MAX) };
	Err e = read_envelope(&p, &r);

	if (!failed(e)) {
		begin_message(&p);
		e = read_message(&p, &r);
		if (!failed(e))
			e = hand_over(&p);
		smtpd_message_done(&p.message, !failed(e));
	}
	buf_done(&r.text);
	buf_done(&p.id);
	return e;
}

static void
answer(const struct smtpd_drop *drop, enum start_dropped outcome)
{
	AUTO_BUF b = BUF_INIT(1024);
	struct start_message m = {
		.role = START_DROPPED,
		.service = SERVICE_SUBMIT,
		.bytes = drop->file,
		.allow = outcome,
	};

	start_message_write(&b, &m);
	/* unheard, master offers the file again */
	(void)channel_send(drop->master, (Str[]){ buf_view(&b) }, 1, NULL, 0,
		moment_after(1000))
		.kind;
}

static void
free_drop(struct smtpd_drop *drop)
{
	fd_drop(&drop->fd);
	memory_free_str(&drop->login);
	memory_free_str(&drop->file);
	free(drop);
}

void
smtpd_pickup(void *arg)
{
	struct smtpd_drop *drop = arg;
	struct smtpd_asker *asker = smtpd_askers_take(drop->smtpd->askers);
	Err e = pick_up(drop, asker);

	if (!failed(e)) {
		answer(drop, START_DROPPED_TAKEN);
	} else {
		log_event(LOG_LEVEL_WARNING, "smtp.pickup", F_WORDS("what", str_from(e.what)),
			F_STR("file", drop->file), F_INT("uid", drop->user));
		answer(drop, e.kind == ERR_PEER || e.kind == ERR_LIMIT ? START_DROPPED_REFUSED
								       : START_DROPPED_LATER);
	}
	smtpd_askers_give_back(drop->smtpd->askers, asker);
	free_drop(drop);
}

struct smtpd_drop *
smtpd_drop_new(struct smtpd *d, int master, const struct start_message *m, int fd)
{
	struct smtpd_drop *drop = memory_get(sizeof(*drop));

	*drop = (struct smtpd_drop){
		.smtpd = d,
		.master = master,
		.fd = fd,
		.user = m->user,
		.login = memory_copy(m->name),
		.file = memory_copy(m->bytes),
	};
	return drop;
}

void
smtpd_drop_put_off(struct smtpd_drop *drop)
{
	answer(drop, START_DROPPED_LATER);
	free_drop(drop);
}
