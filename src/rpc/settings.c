/* SPDX-License-Identifier: ISC */
#include "rpc/settings.h"

/* Words that more than one service is told. */
#define HOSTNAME(at) \
	{ \
		"hostname", SETTING_TEXT, at, "@hostname@", \
			"Name of this server: in greetings, Received lines and Message-IDs. " \
			"Found out from the system when not given." \
	}
#define MESSAGE_SIZE_MAX(at) \
	{ \
		"message-size-max", SETTING_SIZE, at, "50M", \
			"Largest message taken, as SMTP announces it and IMAP APPEND allows it.", \
			.min = 64 * 1024, .max = 2147483648 \
	}
#define PLAIN_AUTH_ON_LOOPBACK(at) \
	{ \
		"plain-auth-on-loopback", SETTING_YES_NO, at, "no", \
			"Let programs on this machine log in without TLS." \
	}
#define POSTMASTER(at) \
	{ \
		"postmaster", SETTING_TEXT, at, "", \
			"Address that gets mail for postmaster of every local domain. " \
			"The first account when not given." \
	}
#define LOG_FILE(at) \
	{ \
		"log-file", SETTING_TEXT, at, "", \
			"File that the log is written to; log/posthorn.log below the data folder " \
			"when not given." \
	}

#define AT(member) offsetof(struct settings_master, member)
const struct setting settings_master_table[] = {
	HOSTNAME(AT(hostname)),
	{ "data", SETTING_TEXT, AT(data), "/var/lib/posthorn",
		"Folder that holds everything Posthorn keeps: mail, queue, directory, keys." },
	{ "listen.address", SETTING_LIST, AT(listen_addresses), "*",
		"Addresses to listen on; * is every address of this machine." },
	{ "listen.port-base", SETTING_NUMBER, AT(listen_port_base), "0",
		"Added to every port; 10000 makes SMTP 10025. For tests and for running without root.",
		.max = 60000 },
	{ "listen.smtp", SETTING_YES_NO, AT(listen_smtp), "yes",
		"Take mail from other servers on port 25." },
	{ "listen.submission", SETTING_YES_NO, AT(listen_submission), "yes",
		"Take mail from users on port 587 (STARTTLS)." },
	{ "listen.submissions", SETTING_YES_NO, AT(listen_submissions), "yes",
		"Take mail from users on port 465 (TLS from the start)." },
	{ "listen.imap", SETTING_YES_NO, AT(listen_imap), "yes",
		"Serve IMAP on port 143 (STARTTLS)." },
	{ "listen.imaps", SETTING_YES_NO, AT(listen_imaps), "yes",
		"Serve IMAP on port 993 (TLS from the start)." },
	LOG_FILE(AT(log_file)),
	{ "tls.certificate", SETTING_TEXT, AT(tls_certificate), "",
		"File with the certificate and its chain (PEM). "
		"When not given, a self-signed one is made in keys/ below the data folder." },
	{ "tls.key", SETTING_TEXT, AT(tls_key), "",
		"File with the private key of tls.certificate (PEM)." },
	{ "relay-host.login-file", SETTING_TEXT, AT(relay_login_file), "",
		"File, readable by root alone, whose first line is USER:PASSWORD for the smart host." },
	{ "weak-walls", SETTING_YES_NO, AT(weak_walls), "no",
		"Start even on a kernel that cannot confine the services (Landlock is missing)." },
	{ 0 },
};
#undef AT

#define AT(member) offsetof(struct settings_smtpd, member)
const struct setting settings_smtpd_table[] = {
	HOSTNAME(AT(hostname)),
	MESSAGE_SIZE_MAX(AT(message_size_max)),
	{ "bare-line-feed", SETTING_CHOICE, AT(bare_line_feed), "refuse",
		"What to do with message lines that end in LF or CR alone: refuse the message, or "
		"convert them to CRLF. Neither ever ends a message.",
		.choices = "refuse convert" },
	{ "bare-addresses", SETTING_YES_NO, AT(bare_addresses), "yes",
		"Take MAIL and RCPT with an address that lacks its angle brackets, as people type it." },
	PLAIN_AUTH_ON_LOOPBACK(AT(plain_auth_on_loopback)),
	{ 0 },
};
#undef AT

#define AT(member) offsetof(struct settings_login, member)
const struct setting settings_login_table[] = {
	HOSTNAME(AT(hostname)),
	{ "login-batch", SETTING_NUMBER, AT(batch), "64",
		"How many connections share one login process; 1 gives each its own.", .min = 1,
		.max = 10000 },
	PLAIN_AUTH_ON_LOOPBACK(AT(plain_auth_on_loopback)),
	{ 0 },
};
#undef AT

#define AT(member) offsetof(struct settings_directory, member)
const struct setting settings_directory_table[] = {
	HOSTNAME(AT(hostname)),
	{ "subaddress-delimiter", SETTING_TEXT, AT(subaddress_delimiter), "+",
		"Character between user and tag: user+tag@domain is delivered to user@domain. "
		"\"\" for none." },
	POSTMASTER(AT(postmaster)),
	MESSAGE_SIZE_MAX(AT(message_size_max)),
	{ 0 },
};
#undef AT

#define AT(member) offsetof(struct settings_mailbox, member)
const struct setting settings_mailbox_table[] = {
	HOSTNAME(AT(hostname)),
	{ "mailbox-linger", SETTING_SECONDS, AT(linger), "1m",
		"How long the process of an account that nobody uses stays." },
	{ "mailbox-processes", SETTING_NUMBER, AT(processes), "2000",
		"How many accounts may be in use at once; the one idle longest gives way.",
		.min = 1, .max = 100000 },
	MESSAGE_SIZE_MAX(AT(message_size_max)),
	{ 0 },
};
#undef AT

#define AT(member) offsetof(struct settings_queue, member)
const struct setting settings_queue_table[] = {
	{ "queue-retry", SETTING_TIMES, AT(retry), "5m 10m 20m 30m 1h 2h 4h",
		"Waits between attempts to deliver; the last one repeats." },
	{ "queue-age-max", SETTING_SECONDS, AT(age_max), "5d",
		"A message older than this goes back to its sender (RFC 5321, 4.5.4.1: 4 to 5 days).",
		.min = 1 },
	{ "free-min", SETTING_SIZE, AT(free_min), "512M",
		"Take no mail when a file system in use has less room than this." },
	{ "queue-memory", SETTING_SIZE, AT(memory), "256M",
		"Memory for messages on their way; beyond it they are read from the disk.",
		.min = 8 * 1024 * 1024 },
	{ "queue-segment", SETTING_SIZE, AT(segment), "64M",
		"Size of a journal segment; three are always kept ready. Small ones are for tests.",
		.min = 2 * 1024 * 1024, .max = 64 * 1024 * 1024 },
	MESSAGE_SIZE_MAX(AT(message_size_max)),
	{ 0 },
};
#undef AT

#define AT(member) offsetof(struct settings_deliver, member)
const struct setting settings_deliver_table[] = {
	HOSTNAME(AT(hostname)),
	POSTMASTER(AT(postmaster)),
	{ 0 },
};
#undef AT

#define AT(member) offsetof(struct settings_relay, member)
const struct setting settings_relay_table[] = {
	HOSTNAME(AT(hostname)),
	{ "relay-host", SETTING_ADDRESS, AT(host), "",
		"Server that all outgoing mail is handed to (a smart host), as HOST or HOST:PORT; "
		"port 587 when not given; [HOST] asks for no MX records. Without it mail goes to the "
		"servers that DNS names." },
	{ "relay-host.tls", SETTING_CHOICE, AT(tls), "require",
		"TLS to the smart host: require (with a certificate that names it), try, or off.",
		.choices = "require try off" },
	{ "relay-host.login-file", SETTING_TEXT, AT(login), "",
		"File, readable by root alone, whose first line is USER:PASSWORD for the smart host." },
	{ "relay.port", SETTING_NUMBER, AT(port), "25",
		"Port of the servers that DNS names. For tests.", .min = 1, .max = 65535 },
	{ "relay.to-private", SETTING_YES_NO, AT(to_private), "no",
		"Also connect to loopback and private addresses that DNS names." },
	{ 0 },
};
#undef AT

#define AT(member) offsetof(struct settings_resolver, member)
const struct setting settings_resolver_table[] = {
	{ "dns.forwarder", SETTING_LIST, AT(forwarders), "",
		"Name servers to ask, as ADDRESS or ADDRESS:PORT. Without it Posthorn resolves names "
		"itself, from the root." },
	{ "dns.root", SETTING_LIST, AT(roots), "",
		"Servers to take for the root, instead of the public ones. For tests and closed nets." },
	{ "dns.trust-anchor", SETTING_TEXT, AT(trust_anchor), "",
		"DS or DNSKEY record that DNSSEC starts from, instead of that of the public root; none "
		"switches validation off." },
	{ 0 },
};
#undef AT

#define AT(member) offsetof(struct settings_log, member)
const struct setting settings_log_table[] = {
	LOG_FILE(AT(file)),
	{ 0 },
};
#undef AT

const struct setting *const settings_tables[] = {
	settings_master_table,
	settings_smtpd_table,
	settings_login_table,
	settings_directory_table,
	settings_mailbox_table,
	settings_queue_table,
	settings_deliver_table,
	settings_relay_table,
	settings_resolver_table,
	settings_log_table,
	NULL,
};
