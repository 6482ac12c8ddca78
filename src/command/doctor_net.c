/* SPDX-License-Identifier: ISC */
/* doctor: dns, ports, protocol. */
#include "base/encode.h"
#include "command/doctor.h"
#include "os/conn.h"
#include "os/file.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DNS_WAIT = 2000,      /* ms */
	GREETING_WAIT = 5000, /* ms */
	GREETING_MAX = 1000,  /* octets */
	PROC_NET_MAX = 16 * 1024 * 1024,
	TCP_LISTEN_STATE = 0x0A, /* Linux, net/tcp_states.h */
	HOLDERS_MAX = 16,
};

#define ROOT_SERVER "198.41.0.4" /* a.root-servers.net */

/* Asks for the name servers of the root; any answer will do. */
static bool
answers(Str address, uint16_t port)
{
	static const char question[] = "\x50\x48\x01\0\0\1\0\0\0\0\0\0\0\0\2\0\1";
	struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = htons(port) };
	struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = htons(port) };
	bool is_six = str_has(address, ':');
	struct sockaddr *to = is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four;
	AUTO_FD fd = socket(to->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	char text[INET6_ADDRSTRLEN], reply[512];
	struct pollfd wait = { .fd = fd, .events = POLLIN };

	if (fd < 0 || failed(str_c(address, text, sizeof(text))) ||
		inet_pton(to->sa_family, text,
			is_six ? (void *)&six.sin6_addr : (void *)&four.sin_addr) != 1 ||
		connect(fd, to, is_six ? sizeof(six) : sizeof(four)) != 0 ||
		send(fd, question, sizeof(question) - 1, 0) < 0)
		return false;
	return poll(&wait, 1, DNS_WAIT) == 1 && recv(fd, reply, sizeof(reply), 0) >= 12;
}

static void
check_name_server(struct doctor *d, Str text, const char *fix)
{
	SettingAddress address;

	if (failed(settings_address_parse(text, &address)))
		return; /* told by parsing, or a name that is none of ours */
	if (answers(address.host, address.port == 0 ? 53 : address.port))
		doctor_good(d, "dns", "the name server %.*s answers", STR_ARG(text));
	else
		doctor_bad(d, "dns", fix, "the name server %.*s does not answer within 2 s",
			STR_ARG(text));
}

static void
check_hostname(struct doctor *d)
{
	if (str_has(d->own.hostname, '.'))
		doctor_good(d, "dns", "this server calls itself %.*s",
			STR_ARG(d->own.hostname));
	else if (d->tried)
		doctor_note(d, "dns", "this server calls itself %.*s",
			STR_ARG(d->own.hostname));
	else
		doctor_bad(d, "dns", "hostname mail.your-domain.example in the configuration",
			"this server calls itself %.*s; others want a name with a domain",
			STR_ARG(d->own.hostname));
}

void
doctor_dns(struct doctor *d)
{
	const SettingList *servers = &d->resolver.forwarders;
	const char *fix = "correct dns.forwarder, or see that the name server runs";

	check_hostname(d);
	if (servers->n == 0) {
		servers = &d->resolver.roots;
		fix = "correct dns.root, or see that the name server runs";
	}
	for (uint32_t i = 0; i < servers->n; i++)
		check_name_server(d, servers->items[i], fix);
	if (servers->n > 0)
		return;
	if (d->tried)
		doctor_note(d, "dns", "names are resolved from the public root");
	else
		check_name_server(d, S(ROOT_SERVER),
			"let port 53 out, or name a server: dns { forwarder ADDRESS }");
}

/* ---- Ports ---- */

/* A listening socket of this machine. */
struct listener {
	char address[INET6_ADDRSTRLEN];
	bool any; /* of every address */
	uint16_t port;
	uint64_t inode;
};

struct listeners {
	struct listener *list;
	size_t n;
};

/* Hexadecimal words of 32 bits in host order, as /proc/net/tcp has them. */
static bool
parse_address(Str hex, struct listener *ret)
{
	AUTO_BUF octets = BUF_INIT(16);
	char swapped[16];

	if (failed(decode_hex(hex, &octets)) || (octets.n != 4 && octets.n != 16))
		return false;
	ret->any = true;
	for (size_t i = 0; i < octets.n; i++) {
		swapped[i] = (char)str_at(buf_view(&octets), (i & ~(size_t)3) | (3 - (i & 3)));
		ret->any = ret->any && swapped[i] == 0;
	}
	return inet_ntop(octets.n == 4 ? AF_INET : AF_INET6, swapped, ret->address,
		       sizeof(ret->address)) != NULL;
}

static Str
next_word(struct cursor *c)
{
	while (cursor_take_char(c, ' '))
		;
	return cursor_until(c, ' ');
}

/* "  0: 0100007F:2729 00000000:0000 0A 0:0 0:0 0  0  0  INODE ..." */
static bool
parse_row(Str row, struct listener *ret)
{
	struct cursor c = cursor_of(row);
	AUTO_BUF number = BUF_INIT(2);
	Str local, address, port;

	next_word(&c);
	local = next_word(&c);
	next_word(&c);
	if (!str_eq(next_word(&c), S("0A")) || !str_split(local, ':', &address, &port) ||
		!parse_address(address, ret) || failed(decode_hex(port, &number)) ||
		number.n != 2)
		return false;
	ret->port =
		(uint16_t)(str_at(buf_view(&number), 0) << 8 | str_at(buf_view(&number), 1));
	for (int i = 0; i < 5; i++)
		next_word(&c);
	return str_to_u64(next_word(&c), UINT64_MAX, &ret->inode);
}

static void
read_table(const char *path, struct arena *a, struct listeners *l)
{
	AUTO_BUF table = BUF_INIT(PROC_NET_MAX);
	struct cursor c;
	size_t rows = 0, n = l->n;
	struct listener *list;

	if (failed(file_read(AT_FDCWD, path, &table)))
		return;
	for (c = cursor_of(buf_view(&table)); !cursor_done(&c); rows++)
		cursor_line(&c);
	list = arena_try_array(a, n + rows, sizeof(*list));
	if (list == NULL)
		return;
	for (size_t i = 0; i < n; i++)
		list[i] = l->list[i];
	for (c = cursor_of(buf_view(&table)); !cursor_done(&c);)
		if (parse_row(cursor_line(&c), &list[n]))
			n++;
	*l = (struct listeners){ list, n };
}

/* Does this process hold the socket? */
static bool
holds(const char *pid, uint64_t inode)
{
	char path[NAME_MAX + 16], want[32], link[64];
	DIR *fds;
	struct dirent *entry;
	bool found = false;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	snprintf(want, sizeof(want), "socket:[%llu]", (unsigned long long)inode);
	fds = opendir(path);
	while (fds != NULL && !found && (entry = readdir(fds)) != NULL) {
		ssize_t n = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);

		found = n > 0 && str_eq((Str){ link, (size_t)n }, str_from(want));
	}
	if (fds != NULL)
		closedir(fds);
	return found;
}

/* Whoever holds the socket: master for ours, because it keeps a copy. 0 when it cannot be seen. */
static pid_t
find_holder(struct doctor *d, uint64_t inode)
{
	DIR *proc;
	struct dirent *entry;
	pid_t found = 0;
	char master[16];

	snprintf(master, sizeof(master), "%d", (int)d->master);
	if (d->master != 0 && holds(master, inode))
		return d->master;
	proc = opendir("/proc");
	while (proc != NULL && found == 0 && (entry = readdir(proc)) != NULL)
		if (char_is_digit(entry->d_name[0]) && holds(entry->d_name, inode))
			found = (pid_t)strtol(entry->d_name, NULL, 10);
	if (proc != NULL)
		closedir(proc);
	return found;
}

static bool
is_same_address(const struct listener *l, Str want)
{
	return l->any || str_eq(want, S("*")) || str_eq(str_from(l->address), want);
}

static void
tell_holder(struct doctor *d, const struct doctor_port *port, const struct listener *l)
{
	pid_t holder = find_holder(d, l->inode);
	char name[64], fix[256];

	if (d->master != 0 && holder == d->master) {
		doctor_good(d, "ports", "%s %u (%s) is served by posthorn[%d]", l->address,
			l->port, port->name, (int)holder);
		return;
	}
	doctor_process_name(holder, name, sizeof(name));
	snprintf(fix, sizeof(fix), "stop %s, or listen { %s no }", holder == 0 ? "it" : name,
		port->name);
	if (holder == 0)
		doctor_bad(d, "ports", fix,
			"%s %u (%s) is held by somebody whom only root can see", l->address,
			l->port, port->name);
	else
		doctor_bad(d, "ports", fix, "%s %u (%s) is held by %s[%d]", l->address, l->port,
			port->name, name, (int)holder);
}

static void
check_port(struct doctor *d, const struct doctor_port *port, const struct listeners *l,
	Str address)
{
	bool found = false;

	for (size_t i = 0; i < l->n && !found; i++) {
		if (l->list[i].port != port->port || !is_same_address(&l->list[i], address))
			continue;
		tell_holder(d, port, &l->list[i]);
		found = true;
	}
	if (!found && d->master != 0)
		doctor_bad(d, "ports",
			"restart the server; the configuration has changed since",
			"the server runs, but nobody listens on %.*s port %u (%s)",
			STR_ARG(address), port->port, port->name);
	else if (!found)
		doctor_good(d, "ports", "%.*s %u (%s) is free", STR_ARG(address), port->port,
			port->name);
}

void
doctor_ports(struct doctor *d)
{
	struct doctor_port ports[DOCTOR_PORTS];
	struct listeners l = { 0 };

	read_table("/proc/net/tcp", d->arena, &l);
	read_table("/proc/net/tcp6", d->arena, &l);
	doctor_list_ports(d, ports);
	for (size_t i = 0; i < DOCTOR_PORTS; i++)
		for (uint32_t k = 0; ports[i].on && k < d->own.listen_addresses.n; k++)
			check_port(d, &ports[i], &l, d->own.listen_addresses.items[k]);
}

/* ---- Protocol ---- */

static Err
greet(const struct doctor_port *port, Str address, struct tls_context *tls, struct buf *ret)
{
	AUTO(conn) c = NULL;
	Str line;

	TRY(conn_dial(address, port->port, GREETING_WAIT, &c));
	conn_set_wait(c, GREETING_WAIT, GREETING_WAIT);
	if (port->tls)
		TRY(conn_start_tls(c, tls, S(""), GREETING_WAIT));
	TRY(conn_read_line(c, GREETING_MAX, &line));
	buf_put(ret, line);
	return buf_check(ret);
}

static void
check_greeting(struct doctor *d, const struct doctor_port *port, struct tls_context *tls)
{
	AUTO_BUF line = BUF_INIT(GREETING_MAX);
	Str address = d->own.listen_addresses.n > 0 ? d->own.listen_addresses.items[0] : S("*");
	Str want = strncmp(port->name, "imap", 4) == 0 ? S("* OK") : S("220");
	Err e;

	if (str_eq(address, S("*")))
		address = S("127.0.0.1");
	e = greet(port, address, tls, &line);
	if (failed(e))
		doctor_bad(d, "protocol", "see the log for why; restart the server",
			"%s (port %u) does not greet: %s", port->name, port->port, e.what);
	else if (!str_starts(buf_view(&line), want))
		doctor_bad(d, "protocol", "see the log for why", "%s (port %u) says: %.*s",
			port->name, port->port, STR_ARG(buf_view(&line)));
	else
		doctor_good(d, "protocol", "%s (port %u) greets%s", port->name, port->port,
			port->tls ? " under TLS" : "");
}

void
doctor_protocol(struct doctor *d)
{
	struct doctor_port ports[DOCTOR_PORTS];
	AUTO(tls_context) tls = NULL;

	if (d->master == 0) {
		doctor_note(d, "protocol", "no server runs here; start it: posthorn serve");
		return;
	}
	if (failed(tls_context_new_client(&tls)))
		return;
	doctor_list_ports(d, ports);
	for (size_t i = 0; i < DOCTOR_PORTS; i++)
		if (ports[i].on)
			check_greeting(d, &ports[i], tls);
}
