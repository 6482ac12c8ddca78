/* SPDX-License-Identifier: ISC */
/* posthorn doctor: what is wrong, and what to do about it. */
#include "command/doctor.h"

#include "command/command.h"
#include "command/data.h"
#include "command/options.h"
#include "os/file.h"
#include "rpc/control.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include <jansson.h>

int command_doctor(int argc, char **argv);

enum {
	MEMORY = 16 * 1024 * 1024, /* octets */
	FINDING_MAX = 2048,        /* octets of one line */
};

static void
tell(struct doctor *d, const char *verdict, const char *class, const char *fix,
	const char *format, va_list args)
{
	char text[FINDING_MAX];
	json_t *finding;

	vsnprintf(text, sizeof(text), format, args);
	if (!d->json) {
		printf("%-4s  %-11s  %s%s%s\n", verdict, class, text,
			fix == NULL ? "" : "; fix: ", fix == NULL ? "" : fix);
		return;
	}
	finding = json_object();
	json_object_set_new(finding, "class", json_string(class));
	json_object_set_new(finding, "verdict", json_string(verdict));
	json_object_set_new(finding, "text", json_string(text));
	if (fix != NULL)
		json_object_set_new(finding, "fix", json_string(fix));
	json_array_append_new(d->findings, finding);
}

void
doctor_good(struct doctor *d, const char *class, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(d, "ok", class, NULL, format, args);
	va_end(args);
}

void
doctor_note(struct doctor *d, const char *class, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	tell(d, "note", class, NULL, format, args);
	va_end(args);
}

void
doctor_bad(struct doctor *d, const char *class, const char *fix, const char *format, ...)
{
	va_list args;

	d->bad++;
	va_start(args, format);
	tell(d, "BAD", class, fix, format, args);
	va_end(args);
}

void
doctor_list_ports(const struct doctor *d, struct doctor_port ret[DOCTOR_PORTS])
{
	const struct settings_master *own = &d->own;
	const struct doctor_port ports[DOCTOR_PORTS] = {
		{ "smtp", 25, own->listen_smtp, false },
		{ "submission", 587, own->listen_submission, false },
		{ "submissions", 465, own->listen_submissions, true },
		{ "imap", 143, own->listen_imap, false },
		{ "imaps", 993, own->listen_imaps, true },
	};

	for (size_t i = 0; i < DOCTOR_PORTS; i++) {
		ret[i] = ports[i];
		ret[i].port = (uint16_t)(ret[i].port + own->listen_port_base);
	}
}

void
doctor_process_name(pid_t pid, char *ret, size_t size)
{
	AUTO_BUF text = BUF_INIT(4096);
	char path[64];
	Str name;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	if (failed(file_read(AT_FDCWD, path, &text)))
		buf_put(&text, S("?"));
	name = str_trim(buf_view(&text));
	snprintf(ret, size, "%.*s", STR_ARG(name));
}

static Err
read_config(struct doctor *d, Str *ret)
{
	AUTO_BUF text = BUF_INIT(CONFIG_TEXT_MAX);
	AUTO_FD fd = open(d->config, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return fail_sys(ERR_PERM, "cannot open it");
	TRY(file_read_fd(fd, &text));
	return arena_copy(d->arena, buf_view(&text), ret);
}

/* Whatever of the configuration can be understood, over the defaults. */
static void
read_values(struct doctor *d, struct config_errors *errors)
{
	char host[256] = "localhost";
	struct setting_fact facts[] = { { "@hostname@", S("") }, { 0 } };
	const struct {
		const struct setting *table;
		void *values;
	} sets[] = {
		{ settings_master_table, &d->own },
		{ settings_queue_table, &d->queue },
		{ settings_relay_table, &d->relay },
		{ settings_resolver_table, &d->resolver },
	};

	gethostname(host, sizeof(host) - 1);
	if (failed(arena_copy(d->arena, str_from(host), &facts[0].value)))
		return;
	for (size_t i = 0; i < COUNT(sets); i++)
		if (failed(settings_set_standard(sets[i].table, facts, d->arena,
			    sets[i].values)) ||
			failed(config_apply(&d->tree, sets[i].table, d->arena, sets[i].values,
				errors)))
			continue;
}

/* Tables that nobody here reads values of still have to understand theirs. */
static void
check_values(struct doctor *d, struct config_errors *errors)
{
	for (size_t i = 0; settings_tables[i] != NULL; i++) {
		uint64_t values[512];

		if (failed(settings_set_standard(settings_tables[i], NULL, d->arena, values)) ||
			failed(config_apply(&d->tree, settings_tables[i], d->arena, values,
				errors)))
			continue;
	}
}

void
doctor_parsing(struct doctor *d)
{
	struct config_errors errors = { .arena = d->arena };
	Str text = S("");
	Err e = OK;

	if (d->config != NULL)
		e = read_config(d, &text);
	if (failed(e))
		doctor_bad(d, "parsing", "name another with --config, or mend its permissions",
			"%s: %s: %s", d->config, e.what, err_sys_text(e));
	/* The findings below are told one by one; what the calls return says no more. */
	(void)config_parse(text, d->arena, &d->tree, &errors).kind;
	(void)config_check(&d->tree, settings_tables, &errors).kind;
	read_values(d, &errors);
	check_values(d, &errors);
	for (const struct config_error *f = errors.first; f != NULL; f = f->next)
		doctor_bad(d, "parsing",
			"correct it; `posthorn config explain` knows every word",
			"%s:%u:%u: %.*s", d->config, f->line, f->column, STR_ARG(f->text));
	if (d->config == NULL)
		doctor_note(d, "parsing", "no configuration; every setting has its default");
	else if (errors.n == 0 && !failed(e))
		doctor_good(d, "parsing", "%s", d->config);
}

/* The data folder: --dir, or what the configuration says, right or wrong. */
static void
find_data(struct doctor *d)
{
	static char path[4096];

	d->data = data_chosen();
	if (d->data == NULL && !failed(str_c(d->own.data, path, sizeof(path))))
		d->data = path;
	if (d->data == NULL)
		d->data = "";
	d->tried = d->config != NULL && str_starts(str_from(d->config), str_from(d->data)) &&
		   str_ends(str_from(d->config), S("/posthorn.conf"));
}

static void
find_server(struct doctor *d)
{
	AUTO_FD fd = -1;
	struct ucred peer;
	socklen_t size = sizeof(peer);

	if (failed(control_open(d->data, &fd)) ||
		getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return;
	d->master = peer.pid;
}

static void
finish(struct doctor *d)
{
	if (d->json) {
		json_dumpf(d->findings, stdout, JSON_INDENT(2));
		putchar('\n');
		json_decref(d->findings);
	} else if (d->bad == 0) {
		printf("\nNothing is wrong.\n");
	} else {
		printf("\n%u to mend; begin with the first, and look again.\n", d->bad);
	}
}

int
command_doctor(int argc, char **argv)
{
	static void (*const looks[])(struct doctor *) = { doctor_paths, doctor_permissions,
		doctor_walls, doctor_dns, doctor_ports, doctor_tls, doctor_protocol,
		doctor_auth, doctor_delivery };
	static const char usage[] = "posthorn doctor [--json]";
	AUTO(arena) arena = arena_new(MEMORY);
	struct doctor d = { .arena = arena };
	struct options o;

	if (!options_parse(argc, argv, OPTION_JSON, usage, &o))
		return EX_USAGE;
	if (o.count != 0)
		return options_usage(usage);
	d.json = (o.given & OPTION_JSON) != 0;
	if (d.json)
		d.findings = json_array();
	d.config = data_config();
	doctor_parsing(&d);
	find_data(&d);
	find_server(&d);
	for (size_t i = 0; i < COUNT(looks); i++)
		looks[i](&d);
	finish(&d);
	return d.bad == 0 ? EX_OK : EX_CONFIG;
}
