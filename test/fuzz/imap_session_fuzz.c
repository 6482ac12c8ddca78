/* SPDX-License-Identifier: ISC */
/*
 * What a client sends after its login, on an account in memory with three messages. Whatever it
 * is, the session ends when the client hangs up, and every line it says ends in CRLF.
 */
#include "base/buf.h"
#include "rpc/log.h"
#include "service/mailbox/imap.h"

#include <pthread.h>
#include <sys/socket.h>

enum {
	INPUT_MAX = 60000, /* what a socket takes without anybody reading */
};

static const Str messages[] = {
	S("From: Alice <a@b.example>\nTo: c@d.example\nSubject: =?utf-8?q?=C3=A9?=\n"
	  "Date: Thu, 1 Jan 2026 10:00:00 +0100\n\nHello\nWorld\n"),
	S("Mime-Version: 1.0\nContent-Type: multipart/mixed; boundary=xx\n\n--xx\n"
	  "Content-Type: text/plain; charset=utf-8\n"
	  "Content-Transfer-Encoding: quoted-printable\n\ncaf=C3=A9\n--xx\n"
	  "Content-Type: message/rfc822\n\nSubject: inner\n\ninside\n--xx\n"
	  "Content-Transfer-Encoding: base64\n\nAAEC\n--xx--\n"),
	S("\n"),
};

static void
deliver(struct mailbox *m)
{
	static uint64_t id;

	for (size_t i = 0; i < COUNT(messages); i++) {
		struct mailbox_delivery delivery = {
			.queue_id = ++id,
			.recipient = 1,
			.accepted = time_from_seconds(1767261600),
			.message = { .bytes = messages[i], .fd = -1 },
		};
		struct mailbox_delivered delivered;

		if (failed(mailbox_deliver(m, &delivery, 1, &delivered)))
			__builtin_trap();
	}
}

/* Reads all that the session says. */
static void *
listen_to(void *with)
{
	int fd = *(int *)with;
	char piece[16384], last[2] = { 0 };
	ssize_t n;

	while ((n = read(fd, piece, sizeof(piece))) > 0) {
		last[0] = n > 1 ? piece[n - 2] : last[1];
		last[1] = piece[n - 1];
	}
	if (last[0] != '\r' || last[1] != '\n')
		__builtin_trap();
	return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct mailbox_open open = {
		.address = S("ann@example.org"), .tag = S("l"), .peer = S("192.0.2.1")
	};
	struct mailbox_settings settings = { .host = S("mail.example"), .folder = -1 };
	Str select = S("s SELECT INBOX\r\n");
	struct mailbox *m;
	pthread_t thread;
	int pair[2];

	log_set_level(LOG_LEVEL_ERROR);
	if (size > INPUT_MAX)
		return 0;
	if (failed(mailbox_open_ram(&settings, &m)) ||
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		__builtin_trap();
	deliver(m);
	if (write(pair[1], select.p, select.n) != (ssize_t)select.n ||
		write(pair[1], data, size) != (ssize_t)size ||
		shutdown(pair[1], SHUT_WR) != 0 ||
		pthread_create(&thread, NULL, listen_to, &pair[1]) != 0)
		__builtin_trap();
	imap_session_serve(m, pair[0], &open);
	pthread_join(thread, NULL);
	close(pair[1]);
	mailbox_close(m);
	return 0;
}
