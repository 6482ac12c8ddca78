/* SPDX-License-Identifier: ISC */
/*
 * Fills a Maildir with messages as other programs would have left them, for the IMAP part of the
 * benchmark: fill_maildir FOLDER COUNT OCTETS. Every third message has two parts and an
 * attachment, half of them are read. Nothing is synced.
 */
#include "base/buf.h"
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	MESSAGE_MAX = 1 << 24, /* octets */
	STARTED = 1790000000,  /* the first message came then */
};

static void
put_text(struct buf *b, size_t until)
{
	while (b->n < until)
		buf_printf(b, "line %zu: the quick brown fox jumps over the lazy dog\n", b->n);
}

static void
write_header(struct buf *b, unsigned i)
{
	buf_printf(b,
		"Return-Path: <sender%u@client.example>\nReceived: from client.example "
		"(client.example [192.0.2.%u])\n\tby mx.example.org with ESMTPS id %08X\n"
		"\tfor <user0@example.org>; Sat, 21 Nov 2026 12:%02u:%02u +0000\n"
		"From: \"Sender Number %u\" <sender%u@client.example>\n"
		"To: A User <user0@example.org>, Somebody Else <else%u@example.net>\n"
		"Cc: copy@example.org\nSubject: message %u about =?utf-8?q?caf=C3=A9?= and %u\n"
		"Date: Sat, 21 Nov 2026 12:%02u:%02u +0000\nMessage-ID: <%u@client.example>\n"
		"In-Reply-To: <%u@client.example>\nMIME-Version: 1.0\n",
		i % 50, i % 250, i, i / 60 % 60, i % 60, i % 50, i % 50, i % 99, i, i % 7,
		i / 60 % 60, i % 60, i, i / 2);
}

static void
write_message(struct buf *b, unsigned i, size_t size)
{
	write_header(b, i);
	if (i % 3 != 0) {
		buf_put_c(b, "Content-Type: text/plain; charset=utf-8\n\n");
		put_text(b, size);
		return;
	}
	buf_put_c(b, "Content-Type: multipart/mixed; boundary=\"outer\"\n\n--outer\n"
		     "Content-Type: multipart/alternative; boundary=\"inner\"\n\n--inner\n"
		     "Content-Type: text/plain; charset=utf-8\n\n");
	put_text(b, size / 2);
	buf_put_c(b, "\n--inner\nContent-Type: text/html; charset=utf-8\n\n<p>the fox</p>\n"
		     "\n--inner--\n\n--outer\nContent-Type: application/pdf; name=\"a.pdf\"\n"
		     "Content-Disposition: attachment; filename=\"a.pdf\"\n"
		     "Content-Transfer-Encoding: base64\n\n");
	while (b->n + 80 < size)
		buf_put_c(b,
			"JVBERi0xLjQKJcOkw7zDtsOfCjIgMCBvYmoKPDwvTGVuZ3RoIDMgMCBSL0ZpbHRlci9GbGF0\n");
	buf_put_c(b, "\n--outer--\n");
}

static void
store(int folder, unsigned i, Str message)
{
	char name[128];
	int fd;

	snprintf(name, sizeof(name), "cur/%u.M%uP1.bench,S=%zu:2,%s", STARTED + i, i, message.n,
		i % 2 == 0 ? "S" : "");
	fd = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, message.p, message.n) != (ssize_t)message.n || close(fd) < 0)
		load_die(name);
}

int
main(int argc, char **argv)
{
	AUTO_BUF message = BUF_INIT(MESSAGE_MAX);
	AUTO_FD folder = -1;
	unsigned count, size;

	if (argc != 4) {
		fprintf(stderr, "usage: fill_maildir FOLDER COUNT OCTETS\n");
		return 64;
	}
	count = load_number(argv[2], 10000000);
	size = load_number(argv[3], MESSAGE_MAX / 2);
	if (mkdir(argv[1], 0700) < 0 && errno != EEXIST)
		load_die(argv[1]);
	folder = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		load_die(argv[1]);
	for (size_t i = 0; i < 3; i++) {
		static const char *const parts[] = { "cur", "new", "tmp" };

		if (mkdirat(folder, parts[i], 0700) < 0 && errno != EEXIST)
			load_die(parts[i]);
	}
	for (unsigned i = 0; i < count; i++) {
		buf_reset(&message);
		write_message(&message, i, size);
		store(folder, i, buf_view(&message));
	}
	return 0;
}
