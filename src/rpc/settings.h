/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * What each service is told at its start: one struct and one table per service. `master` reads the
 * configuration, fills them all and sends each service its own, packed by settings_pack; no service
 * sees the file or another's settings. A word that several services need stands in several tables
 * with the same path, type and default.
 */

#include "format/config/settings.h"

/* Places in the choices of `bare-line-feed`. */
enum {
	BARE_LINE_FEED_REFUSE,
	BARE_LINE_FEED_CONVERT,
};

/* Places in the choices of `relay-host { tls }`. */
enum {
	RELAY_TLS_REQUIRE, /* no mail without TLS and a certificate that names the host */
	RELAY_TLS_TRY,
	RELAY_TLS_OFF,
};

struct settings_master {
	Str hostname;
	Str data; /* folder */
	SettingList listen_addresses;
	uint32_t listen_port_base; /* added to every port */
	bool listen_smtp, listen_submission, listen_submissions, listen_imap, listen_imaps;
	Str log_file;                 /* "" is data/log/posthorn.log */
	Str tls_certificate, tls_key; /* files; "" is a self-signed one in data/keys */
	Str relay_login_file;         /* see struct settings_relay */
	bool weak_walls;
};

struct settings_smtpd {
	Str hostname;
	uint64_t message_size_max; /* octets */
	uint32_t bare_line_feed;   /* BARE_LINE_FEED_ */
	bool bare_addresses;
	bool plain_auth_on_loopback;
};

struct settings_login {
	Str hostname;
	uint32_t batch; /* connections that share one process */
	bool plain_auth_on_loopback;
};

struct settings_directory {
	Str hostname;
	Str subaddress_delimiter;  /* one character, or "" */
	Str postmaster;            /* an address, or "" for the first account */
	uint64_t message_size_max; /* octets */
};

struct settings_mailbox {
	Str hostname;
	uint32_t linger;           /* seconds */
	uint32_t processes;        /* at most */
	uint64_t message_size_max; /* octets */
};

struct settings_queue {
	SettingList retry;         /* waits between attempts; the last one repeats */
	uint32_t age_max;          /* seconds */
	uint64_t free_min;         /* octets */
	uint64_t memory;           /* octets */
	uint64_t segment;          /* octets, of the journal */
	uint64_t message_size_max; /* octets */
};

struct settings_deliver {
	Str hostname;
	Str postmaster;
};

struct settings_relay {
	Str hostname;
	SettingAddress host; /* the smart host; host.host is "" when there is none */
	uint32_t tls;        /* RELAY_TLS_, to the smart host */
	Str login; /* "USER:PASSWORD"; in the configuration it is the name of a file that `master` reads */
	uint32_t port;   /* of the servers that MX records name */
	bool to_private; /* loopback and private addresses too */
};

struct settings_resolver {
	SettingList
		forwarders; /* ADDRESS or ADDRESS:PORT; none: asks the root servers itself */
	SettingList roots;  /* the same, instead of the public root servers */
	Str trust_anchor;   /* a DS or DNSKEY record; "" is that of the public root */
};

struct settings_log {
	Str file; /* as settings_master.log_file */
};

extern const struct setting settings_master_table[];
extern const struct setting settings_smtpd_table[];
extern const struct setting settings_login_table[];
extern const struct setting settings_directory_table[];
extern const struct setting settings_mailbox_table[];
extern const struct setting settings_queue_table[];
extern const struct setting settings_deliver_table[];
extern const struct setting settings_relay_table[];
extern const struct setting settings_resolver_table[];
extern const struct setting settings_log_table[];

/* All of them, ended by NULL: every word that a configuration may hold. */
extern const struct setting *const settings_tables[];
