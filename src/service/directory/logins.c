/* SPDX-License-Identifier: ISC */
#include "service/directory/logins.h"

#include "base/memory.h"
#include "rpc/hash.h"
#include "rpc/log.h"
#include "rpc/mailbox.h"
#include "rpc/verdict.h"

#include <stdlib.h>

enum {
	ACCOUNT_SCRATCH = 8 * 1024, /* octets of one account's record */
	KEPT_TEXT_MAX = 1024,       /* octets of a login's texts that are kept */
	ANSWER_MAX = 1024,
	OTHER_HASH = 8, /* so many more must wait at one `hash` before the other is asked */
};

/* Checked when there is no such user, so that the answer takes as long as for a wrong password. */
#define NOBODY_HASH \
	"$argon2id$v=19$m=19456,t=2,p=1$bm90IGEgc2FsdCBvZiBvdXJz$" \
	"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

struct login {
	bool used;
	uint32_t serial; /* of the request to hash */
	size_t hash;     /* which of them */
	uint16_t type;
	enum service_id from;
	ReplyTo reply_to;
	uint64_t account; /* 0: nobody */
	bool tls;
	int fds[2]; /* LOGIN: what its process is given; -1 when there is none */
	Str user, peer, session, tag; /* in texts */
	char texts[KEPT_TEXT_MAX];
};

struct hash {
	struct peer *peer;
	struct caller *caller;
	int watched;
	size_t waiting;
};

struct logins {
	struct directory *directory;
	struct server *server;
	struct caller *mailbox;
	struct hash hashes[LOGINS_HASHES];
	struct login *logins; /* LOGINS_MAX of them */
	struct arena *scratch;
};

struct logins *
logins_new(struct directory *d, struct server *s, struct peer *hashes[LOGINS_HASHES],
	struct caller *mailbox)
{
	struct logins *l = memory_get(sizeof(*l));

	*l = (struct logins){ .directory = d, .server = s, .mailbox = mailbox };
	for (size_t i = 0; i < LOGINS_HASHES; i++)
		l->hashes[i] = (struct hash){ hashes[i], caller_new(hashes[i]), -1, 0 };
	l->logins = memory_get_array(LOGINS_MAX, sizeof(*l->logins));
	l->scratch = arena_new(ACCOUNT_SCRATCH);
	return l;
}

void
logins_free(struct logins *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < LOGINS_MAX; i++)
		for (size_t k = 0; l->logins[i].used && k < 2; k++)
			fd_drop(&l->logins[i].fds[k]);
	for (size_t i = 0; i < LOGINS_HASHES; i++) {
		server_watch(l->server, (uint32_t)(LOGINS_WATCH + i), -1);
		caller_free(l->hashes[i].caller);
		peer_free(l->hashes[i].peer);
	}
	arena_free(l->scratch);
	free(l->logins);
	free(l);
}

static void
answer(struct logins *l, const struct login *login, Err verdict, bool right, Str address)
{
	char room[ANSWER_MAX];
	struct buf b = { .p = room, .cap = sizeof(room), .max = sizeof(room) };
	Str part;

	if (failed(verdict))
		verdict_write(&b, verdict);
	else
		directory_write_auth(&b, right ? DIRECTORY_AUTH_OK : DIRECTORY_AUTH_WRONG,
			right ? login->account : 0, address);
	part = buf_view(&b);
	/* An asker that is gone has closed its client's connection too. */
	(void)server_answer(l->server, login->reply_to, &part, 1, NULL, 0).kind;
}

static void
give_back(struct logins *l, struct login *login)
{
	for (size_t k = 0; k < 2; k++)
		fd_drop(&login->fds[k]);
	l->hashes[login->hash].waiting--;
	login->used = false;
}

static void
report(const struct login *login, enum log_level level, const char *event, const char *what)
{
	log_event(level, event, F_SESSION(login->session), F_WORDS("what", str_from(what)),
		F_STR("user", login->user), F_STR("client", login->peer),
		F_STR("tls", login->tls ? S("yes") : S("no")),
		F_STR("service", str_from(service_name(login->from))));
}

/* Has the account's process begin the session. */
static Err
open_session(struct logins *l, const struct login *login,
	const struct directory_account *account)
{
	struct mailbox_open open = {
		.account = account->id,
		.folder = account->folder,
		.right = MAILBOX_RIGHT_SESSION,
		.address = account->address,
		.user = login->user,
		.peer = login->peer,
		.session = login->session,
		.tag = login->tag,
		.tls = login->tls,
		.own_socket = login->fds[1] >= 0,
	};

	return mailbox_tell_open(l->mailbox, &open, login->fds, open.own_socket ? 2 : 1);
}

/* The password was right: but is the account still there, and may it be used? */
static void
let_in(struct logins *l, const struct login *login)
{
	struct directory_account account;
	Err e = directory_account(l->directory, login->account, l->scratch, &account);

	if (e.kind == ERR_GONE || (!failed(e) && account.disabled)) {
		report(login, LOG_LEVEL_INFO, "directory.login.refused", "login refused:");
		answer(l, login, OK, false, S(""));
		return;
	}
	if (!failed(e) && login->type == DIRECTORY_LOGIN)
		e = open_session(l, login, &account);
	if (failed(e)) {
		log_failure(LOG_LEVEL_WARNING, "directory.login.failed", e);
		answer(l, login, e, false, S(""));
		return;
	}
	report(login, LOG_LEVEL_INFO, "directory.login", "login:");
	answer(l, login, OK, true, account.address);
}

static void
decide(struct logins *l, struct login *login, Err verdict, bool right)
{
	arena_reset(l->scratch);
	if (verdict.kind == ERR_PERM) {
		/* The stored hash is none that we know: only an administrator can help. */
		report(login, LOG_LEVEL_WARNING, "directory.login.unknown_hash",
			"stored password is of an unknown kind:");
		verdict = OK;
		right = false;
	}
	if (failed(verdict)) {
		log_failure(LOG_LEVEL_WARNING, "directory.login.failed", verdict);
		answer(l, login, fail(ERR_TEMP, "passwords cannot be checked now"), false,
			S(""));
	} else if (right && login->account != 0) {
		let_in(l, login);
	} else {
		report(login, LOG_LEVEL_INFO, "directory.login.wrong",
			"wrong user or password:");
		answer(l, login, OK, false, S(""));
	}
	give_back(l, login);
}

/* hash has died: nobody will decide these any more. */
static void
fail_all(struct logins *l, size_t hash, Err e)
{
	server_watch(l->server, (uint32_t)(LOGINS_WATCH + hash), -1);
	l->hashes[hash].watched = -1;
	for (size_t i = 0; i < LOGINS_MAX; i++)
		if (l->logins[i].used && l->logins[i].hash == hash)
			decide(l, &l->logins[i], (Err){ ERR_TEMP, e.sys, e.what }, false);
}

void
logins_turn(struct logins *l, uint32_t watch)
{
	size_t hash = watch - LOGINS_WATCH;
	uint32_t serial;
	Err verdict, e;
	bool right;

	while (!failed(e = hash_receive_verify(l->hashes[hash].caller, &serial, &verdict,
			       &right)))
		for (size_t i = 0; i < LOGINS_MAX; i++) {
			struct login *login = &l->logins[i];

			if (!login->used || login->hash != hash || login->serial != serial)
				continue;
			decide(l, login, verdict, right);
			break;
		}
	if (e.sys != EAGAIN)
		fail_all(l, hash, e);
}

/*
 * An account always goes to the same one, which may remember its password, unless that has much
 * more to do: then somebody is guessing there.
 */
static size_t
choose_hash(const struct logins *l, uint64_t account)
{
	size_t usual = (size_t)(account % LOGINS_HASHES), other = (usual + 1) % LOGINS_HASHES;

	return l->hashes[usual].waiting > l->hashes[other].waiting + OTHER_HASH ? other : usual;
}

static Str
keep(struct buf *texts, Str s)
{
	size_t at = texts->n;

	buf_put(texts, s);
	return texts->bad ? S("") : str_from_at(buf_view(texts), at);
}

static struct login *
new_login(struct logins *l, struct server_request *r, const struct directory_login *asked)
{
	struct login *login = NULL;
	size_t same = 0;
	struct buf texts;

	for (size_t i = 0; i < LOGINS_MAX; i++) {
		if (!l->logins[i].used)
			login = &l->logins[i];
		else if (str_eq(l->logins[i].peer, asked->peer))
			same++;
	}
	if (login == NULL || same >= LOGINS_OF_CLIENT_MAX)
		return NULL;
	*login = (struct login){ .used = true, .type = r->type, .from = r->from };
	texts = (struct buf){
		.p = login->texts, .cap = sizeof(login->texts), .max = sizeof(login->texts)
	};
	login->reply_to = r->reply_to;
	login->tls = asked->tls;
	login->tag = keep(&texts, asked->tag);
	login->user = keep(&texts, asked->user);
	login->peer = keep(&texts, asked->peer);
	login->session = keep(&texts, asked->session);
	login->fds[0] = channel_take_fd(&r->message, 0);
	login->fds[1] = channel_take_fd(&r->message, 1);
	return login;
}

static void
watch(struct logins *l, size_t hash)
{
	int fd = caller_fd(l->hashes[hash].caller);

	if (fd == l->hashes[hash].watched)
		return;
	server_watch(l->server, (uint32_t)(LOGINS_WATCH + hash), fd);
	l->hashes[hash].watched = fd;
}

static Err
ask_hash(struct logins *l, struct login *login, Str password)
{
	struct directory_account account = { .password = S("") };
	Err e;

	login->hash = 0;
	l->hashes[0].waiting++;
	arena_reset(l->scratch);
	e = directory_user(l->directory, login->user, l->scratch, &account);
	if (failed(e) && e.kind != ERR_GONE)
		return e;
	if (!failed(e) && account.password.n > 0 && !account.disabled)
		login->account = account.id;
	l->hashes[0].waiting--;
	login->hash = choose_hash(l, account.id);
	l->hashes[login->hash].waiting++;
	TRY(hash_send_verify(l->hashes[login->hash].caller,
		login->account != 0 ? account.password : S(NOBODY_HASH), password,
		&login->serial));
	watch(l, login->hash);
	return OK;
}

void
logins_begin(struct logins *l, struct server_request *r)
{
	struct login refused = { .reply_to = r->reply_to };
	struct directory_login asked;
	struct login *login;
	Err e = directory_parse_login(&r->fields, &asked);

	if (!failed(e) && r->type == DIRECTORY_LOGIN && r->message.fd_count == 0)
		e = fail(ERR_PEER, "no descriptor for a session");
	login = failed(e) ? NULL : new_login(l, r, &asked);
	if (login == NULL) {
		answer(l, &refused, failed(e) ? e : fail(ERR_TEMP, "too many logins at once"),
			false, S(""));
		return;
	}
	e = ask_hash(l, login, asked.password);
	/* Not to linger in the server's buffer, which is ours to write. */
	explicit_bzero((void *)(uintptr_t)asked.password.p, asked.password.n);
	if (failed(e))
		decide(l, login, (Err){ ERR_TEMP, e.sys, e.what }, false);
}
