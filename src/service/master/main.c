/* SPDX-License-Identifier: ISC */
/*
 * master: starts, watches and restarts the others, and hands out sockets.
 *
 * reads      the configuration, nothing else
 * runs as    root (or whoever runs `posthorn try`)
 * asks       nobody
 * if it dies the kernel ends all services with it; what was acknowledged is on disk
 */

#include "base/memory.h"
#include "os/spawn.h"
#include "rpc/log.h"
#include "service/master/drop.h"
#include "service/master/place.h"
#include "service/master/table.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>

/*
 * Every process has a channel to us, and for each service that it asks a pair of sockets of its
 * own. We keep a copy of the serving end: a server that is started anew gets it again and serves
 * the same clients; a client that is started anew gets a new pair, and its servers a new end.
 */

enum {
	PROCESSES_MAX = 64, /* the retired among them; more wait for their successors */
	WIRES_MAX = 512,
	BACK_OFF_FIRST = 100,      /* ms before the second start of what ends at once */
	BACK_OFF_MOST = 10 * 1000, /* ms */
	LIVED_WELL = 5 * 1000,     /* ms after which a process counts as having started */
	STOP_WAIT = 15 * 1000,     /* ms that a stage has to end */
	SETTINGS_MAX = 32 * 1024,  /* octets, packed */
	OPEN_FILES = 65536,
};

struct process {
	enum service_id service;
	uint32_t instance;
	pid_t pid;   /* 0: not running */
	int channel; /* -1: not running */
	bool ready;
	bool retiring; /* takes no new work; its place is its successor's when there is room */
	bool retired;  /* has a successor; when it ends, its entry is free */
	Moment started;
	Moment start_at; /* when it is to be started again */
	int back_off;    /* ms */
};

/* A retired process that asks nobody any more: it ends by itself, or when its channel closes. */
struct detached {
	pid_t pid;
	int channel;
};

struct wire {
	struct process *client, *server;
	int server_end; /* our copy; -1: free */
};

struct master {
	const struct master_options *options;
	struct master_config config;
	struct place place;
	int self;    /* our executable */
	int signals; /* signalfd */
	struct process processes[PROCESSES_MAX];
	size_t process_count;
	struct wire wires[WIRES_MAX];
	struct process client_of_log; /* ourselves */
	struct drop *drop;            /* NULL: nobody watches the drop folder */
	struct detached *detached;
	size_t detached_count;
	bool told_ready;
	bool stopping;
};

static Err
send_message(const struct process *p, const struct start_message *m, int fd)
{
	AUTO_BUF b = BUF_INIT(SETTINGS_MAX + 1024);

	start_message_write(&b, m);
	TRY(buf_check(&b));
	return channel_send(p->channel, (Str[]){ buf_view(&b) }, 1, &fd, fd >= 0,
		moment_after(STOP_WAIT));
}

static Err
hand(const struct process *p, enum start_role role, const char *name, int fd)
{
	struct start_message m = {
		.role = role, .service = p->service, .name = str_from(name)
	};

	return send_message(p, &m, fd);
}

/* The serving end: from whom the questions come. */
static Err
hand_server_end(const struct wire *w)
{
	struct start_message m = {
		.role = START_SERVE,
		.service = w->client->service,
		.instance = w->client->instance,
	};

	return send_message(w->server, &m, w->server_end);
}

static struct wire *
free_wire(struct master *m)
{
	for (size_t i = 0; i < WIRES_MAX; i++)
		if (m->wires[i].server_end < 0)
			return &m->wires[i];
	fprintf(stderr, "posthorn: too many connections between services\n");
	abort();
}

/* A new pair between p and a service that it asks. */
static Err
connect_to(struct master *m, struct process *p, struct process *server)
{
	struct start_message ask = {
		.role = server->service == SERVICE_LOG ? START_LOG : START_ASK,
		.service = server->service,
		.instance = server->instance,
	};
	struct wire *w = free_wire(m);
	AUTO_FD ours = -1;
	int pair[2];

	TRY(channel_pair(pair));
	ours = pair[0];
	channel_widen(ours);
	*w = (struct wire){ p, server, pair[1] };
	if (server->channel >= 0 && failed(hand_server_end(w)))
		server->ready = false; /* it is dying; its successor gets the end */
	return send_message(p, &ask, ours);
}

static Err
connect_all(struct master *m, struct process *p)
{
	uint32_t asks = service_table[p->service].asks;

	for (size_t i = 0; i < m->process_count; i++) {
		struct process *server = &m->processes[i];

		if ((asks & BIT(server->service)) != 0 ||
			(server->service == SERVICE_LOG && p->service != SERVICE_LOG))
			TRY(connect_to(m, p, server));
	}
	for (size_t i = 0; i < WIRES_MAX; i++)
		if (m->wires[i].server_end >= 0 && m->wires[i].server == p)
			TRY(hand_server_end(&m->wires[i]));
	return OK;
}

static Err
hand_places(struct master *m, const struct process *p)
{
	const struct service_entry *entry = &service_table[p->service];

	if (entry->folder != NULL)
		TRY(hand(p, START_FOLDER, entry->folder,
			place_folder(&m->place, entry->folder)));
	if (entry->file != NULL && place_file(&m->place, entry->file) >= 0)
		TRY(hand(p, START_FILE, entry->file, place_file(&m->place, entry->file)));
	if (entry->file != NULL && strcmp(entry->file, "certificate") == 0) {
		TRY(place_renew_tickets(&m->place));
		TRY(hand(p, START_FILE, "tickets", place_file(&m->place, "tickets")));
	}
	for (size_t k = 0; k < TABLE_LISTENS_MAX && entry->listens[k] != NULL; k++)
		for (size_t i = 0; i < m->place.listener_count; i++) {
			const struct place_listener *l = &m->place.listeners[i];

			if (strcmp(l->name, entry->listens[k]) == 0)
				TRY(hand(p, START_LISTEN, l->name, l->fd));
		}
	return OK;
}

static Err
hand_settings(const struct master *m, const struct process *p)
{
	const struct service_entry *entry = &service_table[p->service];
	AUTO_BUF settings = BUF_INIT(SETTINGS_MAX);
	struct start_message go = {
		.role = START_GO,
		.service = p->service,
		.instance = p->instance,
		.allow = entry->allow,
		.weak = m->config.own.weak_walls,
	};

	if (entry->settings != NULL)
		TRY(master_config_pack(&m->config, entry->settings, &settings));
	go.bytes = buf_view(&settings);
	if (m->options->drop_users)
		TRY(place_user(entry->user, &go.user, &go.group));
	return send_message(p, &go, -1);
}

static Err
start_process(struct master *m, struct process *p)
{
	char title[64];
	char *argv[] = { title, NULL };
	AUTO_FD theirs = -1;
	int pair[2];

	snprintf(title, sizeof(title), "posthorn: %s", service_name(p->service));
	TRY(channel_pair(pair));
	theirs = pair[1];
	p->channel = pair[0];
	p->ready = false;
	p->started = clock_moment();
	TRY(spawn_run(m->self, argv, theirs, &p->pid));
	/* The log first, so that whatever goes wrong later is heard. */
	TRY(connect_all(m, p));
	TRY(hand_places(m, p));
	return hand_settings(m, p);
}

static void
forget_wires_of_client(struct master *m, const struct process *p)
{
	for (size_t i = 0; i < WIRES_MAX; i++)
		if (m->wires[i].client == p)
			fd_drop(&m->wires[i].server_end);
}

static void
plan_restart(struct process *p)
{
	if (clock_moment().ms - p->started.ms > LIVED_WELL)
		p->back_off = 0;
	p->start_at = moment_after(p->back_off);
	p->back_off = p->back_off == 0 ? BACK_OFF_FIRST : p->back_off * 2;
	if (p->back_off > BACK_OFF_MOST)
		p->back_off = BACK_OFF_MOST;
}

static void
tell_end(const struct process *p, int status)
{
	log_event(LOG_LEVEL_ERROR, "service.ended", F_WORDS("what", S("a service ended")),
		F_STR("service", str_from(service_name(p->service))), F_INT("pid", p->pid),
		F_INT("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		F_INT("status", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
}

static void
forget_detached(struct master *m, pid_t pid)
{
	for (size_t i = 0; i < m->detached_count; i++)
		if (m->detached[i].pid == pid) {
			fd_drop(&m->detached[i].channel);
			m->detached[i] = m->detached[--m->detached_count];
			return;
		}
}

static void
bury(struct master *m)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		forget_detached(m, pid);
		for (size_t i = 0; i < m->process_count; i++) {
			struct process *p = &m->processes[i];

			if (p->pid != pid)
				continue;
			if (!m->stopping && (!(p->retired || p->retiring) || status != 0))
				tell_end(p, status);
			if (p->service == SERVICE_SUBMIT && m->drop != NULL)
				drop_forget(m->drop);
			p->pid = 0;
			p->ready = false;
			fd_drop(&p->channel);
			forget_wires_of_client(m, p);
			if (p->retiring)
				p->start_at = clock_moment();
			else if (!p->retired)
				plan_restart(p);
			p->retiring = false;
		}
	}
}

/* An entry that nobody has, or NULL. */
static struct process *
free_process(struct master *m)
{
	for (size_t i = 0; i < m->process_count; i++)
		if (m->processes[i].retired && m->processes[i].pid == 0)
			return &m->processes[i];
	return m->process_count < PROCESSES_MAX ? &m->processes[m->process_count++] : NULL;
}

/* Moves what retires to an entry at the end; its own entry is its successor's at once. */
static void
make_room_for_successors(struct master *m)
{
	for (size_t i = 0; i < m->process_count; i++) {
		struct process *p = &m->processes[i], *aside;

		if (!p->retiring || p->retired || (aside = free_process(m)) == NULL)
			continue;
		*aside = *p;
		aside->retired = true;
		for (size_t k = 0; k < WIRES_MAX; k++)
			if (m->wires[k].client == p)
				m->wires[k].client = aside;
		*p = (struct process){
			.service = aside->service, .instance = aside->instance, .channel = -1
		};
	}
}

static void
start_due(struct master *m)
{
	make_room_for_successors(m);
	for (size_t i = 0; i < m->process_count; i++) {
		struct process *p = &m->processes[i];
		Err e;

		if (m->stopping || p->pid != 0 || p->retired || !moment_past(p->start_at))
			continue;
		e = start_process(m, p);
		if (!failed(e))
			continue;
		log_failure(LOG_LEVEL_ERROR, "service.start.failed", e);
		if (p->pid != 0)
			kill(p->pid, SIGKILL); /* half started; buried like any other */
		else
			plan_restart(p);
	}
}

static Moment
next_start(const struct master *m)
{
	Moment next = MOMENT_NEVER;

	for (size_t i = 0; i < m->process_count; i++)
		if (m->processes[i].pid == 0 && !m->processes[i].retired &&
			m->processes[i].start_at.ms < next.ms)
			next = m->processes[i].start_at;
	return next;
}

static Moment
next_wake(const struct master *m)
{
	Moment start = next_start(m);

	return m->drop != NULL && drop_next(m->drop).ms < start.ms ? drop_next(m->drop) : start;
}

static void
tell_ready(struct master *m)
{
	for (size_t i = 0; i < m->process_count; i++)
		if (!m->processes[i].ready && !m->processes[i].retired)
			return;
	if (m->told_ready)
		return;
	m->told_ready = true;
	log_event(LOG_LEVEL_INFO, "master.ready", F_WORDS("what", S("ready")),
		F_INT("services", m->process_count));
	if (m->options->ready != NULL)
		m->options->ready(m->options->ready_arg);
	if (m->options->ready_fd >= 0 && write(m->options->ready_fd, "", 1) != 1)
		log_event(LOG_LEVEL_WARNING, "master.ready.unheard",
			F_WORDS("what", S("nobody reads --ready-fd")));
}

static void
detach(struct master *m, struct process *p)
{
	forget_wires_of_client(m, p);
	m->detached = memory_resize(m->detached, m->detached_count + 1, sizeof(*m->detached));
	m->detached[m->detached_count++] = (struct detached){ p->pid, TAKE_FD(p->channel) };
	p->pid = 0;
	if (p->retiring && !p->retired)
		p->start_at = clock_moment();
	p->retiring = false;
}

/* All that a service ever says to us is that it is ready, or has had its share of the work. */
static void
hear(struct master *m, struct process *p)
{
	char buffer[512];
	struct channel_message message;
	struct start_message said;
	struct cursor c;
	Err e = channel_receive_now(p->channel, buffer, sizeof(buffer), &message);

	if (e.kind == ERR_GONE)
		fd_drop(&p->channel); /* it is ending; SIGCHLD follows */
	if (failed(e))
		return;
	channel_message_drop(&message);
	c = cursor_of(message.bytes);
	if (failed(start_message_parse(&c, &said)))
		return;
	if (said.role == START_READY) {
		p->ready = true;
		if (p->service == SERVICE_SUBMIT && m->drop != NULL)
			drop_forget(m->drop);
		tell_ready(m);
	} else if (said.role == START_RETIRE) {
		p->retiring = true;
	} else if (said.role == START_DETACH && (p->retiring || p->retired)) {
		detach(m, p);
	} else if (said.role == START_DROPPED && p->service == SERVICE_SUBMIT &&
		   m->drop != NULL) {
		drop_answer(m->drop, said.bytes, (enum start_dropped)said.allow);
	}
}

/* What a service was told at its start: is it the same in both? */
static bool
same_settings(const struct master_config *a, const struct master_config *b,
	const struct setting *table)
{
	AUTO_BUF one = BUF_INIT(SETTINGS_MAX);
	AUTO_BUF other = BUF_INIT(SETTINGS_MAX);

	if (table == NULL)
		return true;
	return !failed(master_config_pack(a, table, &one)) &&
	       !failed(master_config_pack(b, table, &other)) &&
	       str_eq(buf_view(&one), buf_view(&other));
}

/* By starting anew, or beside what it still has to do. */
static void
renew(const struct process *p)
{
	bool retires = service_table[p->service].retires;

	if (p->channel >= 0 && !p->retired &&
		failed(hand(p, retires ? START_RETIRE : START_STOP, NULL, -1)))
		kill(p->pid, SIGTERM);
}

/*
 * A bad configuration changes nothing. A good one reaches those whose settings or certificate it
 * changes, and nobody else: a renewed certificate ends no session.
 */
static void
reload(struct master *m)
{
	struct master_config new;
	bool good = !failed(master_config_read(m->options, &new)), certificate = false;

	if (good && failed(place_open_certificate(&m->place, &new.own, &certificate))) {
		master_config_free(&new);
		good = false;
	}
	if (!good) {
		log_event(LOG_LEVEL_ERROR, "master.reload.refused",
			F_WORDS("what", S("the configuration has errors; the old one stays")));
		return;
	}
	log_event(LOG_LEVEL_INFO, "master.reload", F_WORDS("what", S("new configuration")));
	for (size_t i = 0; i < m->process_count; i++) {
		const struct service_entry *entry = &service_table[m->processes[i].service];

		if (!same_settings(&m->config, &new, entry->settings) ||
			(certificate && entry->file != NULL))
			renew(&m->processes[i]);
	}
	master_config_free(&m->config);
	m->config = new;
}

static void
hear_signals(struct master *m)
{
	struct signalfd_siginfo info;

	while (read(m->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo == SIGHUP)
			reload(m);
		else if (info.ssi_signo != SIGCHLD)
			m->stopping = true;
	}
	bury(m);
}

/* Local programs' messages go to `submit`; while it is not there they wait. */
static void
look_for_drops(struct master *m)
{
	int channel = -1;

	for (size_t i = 0; i < m->process_count; i++)
		if (m->processes[i].service == SERVICE_SUBMIT && m->processes[i].ready)
			channel = m->processes[i].channel;
	drop_look(m->drop, channel);
}

/* Waits for something to happen, at most until the time given. */
static void
turn(struct master *m, Moment until)
{
	struct pollfd polled[PROCESSES_MAX + 2];

	for (size_t i = 0; i < m->process_count; i++)
		polled[i] = (struct pollfd){ .fd = m->processes[i].channel, .events = POLLIN };
	polled[m->process_count] = (struct pollfd){ .fd = m->signals, .events = POLLIN };
	polled[m->process_count + 1] =
		(struct pollfd){ .fd = m->drop == NULL ? -1 : drop_fd(m->drop),
			.events = POLLIN };
	if (poll(polled, m->process_count + 2, moment_left(until)) <= 0)
		return;
	for (size_t i = 0; i < m->process_count; i++)
		if (polled[i].revents != 0)
			hear(m, &m->processes[i]);
	if (polled[m->process_count].revents != 0)
		hear_signals(m);
	if (polled[m->process_count + 1].revents != 0)
		look_for_drops(m);
}

static bool
any_running(const struct master *m, uint32_t services)
{
	for (size_t i = 0; i < m->process_count; i++)
		if ((services & BIT(m->processes[i].service)) != 0 && m->processes[i].pid != 0)
			return true;
	return false;
}

/* Those who bring work end first, those who keep it after them, the log last. */
static const uint32_t stop_stages[] = {
	BIT(SERVICE_SMTPD) | BIT(SERVICE_SUBMIT) | BIT(SERVICE_LOGIN) | BIT(SERVICE_CONTROL),
	BIT(SERVICE_DELIVER) | BIT(SERVICE_RELAY),
	BIT(SERVICE_MAILBOX),
	BIT(SERVICE_QUEUE) | BIT(SERVICE_DIRECTORY) | BIT(SERVICE_RESOLVER) |
		BIT(SERVICE_HASH) | BIT(SERVICE_KEYS),
	BIT(SERVICE_LOG),
};

static void
stop_stage(struct master *m, uint32_t services)
{
	Moment until = moment_after(STOP_WAIT);

	for (size_t i = 0; i < m->process_count; i++) {
		struct process *p = &m->processes[i];

		if ((services & BIT(p->service)) != 0 && p->channel >= 0 &&
			failed(hand(p, START_STOP, NULL, -1)) && p->pid != 0)
			kill(p->pid, SIGKILL);
	}
	while (any_running(m, services) && !moment_past(until))
		turn(m, until);
	for (size_t i = 0; i < m->process_count; i++)
		if ((services & BIT(m->processes[i].service)) != 0 &&
			m->processes[i].pid != 0) {
			kill(m->processes[i].pid, SIGKILL);
			waitpid(m->processes[i].pid, NULL, 0);
			m->processes[i].pid = 0;
		}
}

static void
list_processes(struct master *m)
{
	for (size_t id = 0; id < SERVICE_COUNT; id++)
		for (uint32_t i = 0; i < service_table[id].instances && service_table[id].serve;
			i++)
			m->processes[m->process_count++] = (struct process){
				.service = (enum service_id)id, .instance = i, .channel = -1
			};
	for (size_t i = 0; i < WIRES_MAX; i++)
		m->wires[i].server_end = -1;
}

static Err
take_signals(int *ret)
{
	sigset_t ours;
	int fd;

	sigemptyset(&ours);
	sigaddset(&ours, SIGCHLD);
	sigaddset(&ours, SIGTERM);
	sigaddset(&ours, SIGINT);
	sigaddset(&ours, SIGHUP);
	sigprocmask(SIG_BLOCK, &ours, NULL);
	signal(SIGPIPE, SIG_IGN);
	fd = signalfd(-1, &ours, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return fail_sys(ERR_PERM, "cannot take signals");
	*ret = fd;
	return OK;
}

/* Many connections want many descriptors; each service inherits the limit. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return;
	limit.rlim_cur = limit.rlim_max < OPEN_FILES ? limit.rlim_max : OPEN_FILES;
	setrlimit(RLIMIT_NOFILE, &limit);
}

/* Our own events go the way of everybody's: the log sees us as a client. */
static void
open_own_log(struct master *m)
{
	struct process *log = &m->processes[0], *self = &m->client_of_log;
	struct wire *w = free_wire(m);
	int pair[2];

	if (failed(channel_pair(pair)))
		return;
	self->service = SERVICE_MASTER;
	*w = (struct wire){ self, log, pair[1] };
	log_open(pair[0], "master");
}

static void
run(struct master *m)
{
	list_processes(m);
	open_own_log(m);
	start_due(m);
	m->drop = drop_new(m->place.data);
	while (!m->stopping) {
		turn(m, next_wake(m));
		start_due(m);
		if (m->drop != NULL && moment_past(drop_next(m->drop)))
			look_for_drops(m);
	}
	drop_free(TAKE(m->drop));
	log_event(LOG_LEVEL_INFO, "master.stopping", F_WORDS("what", S("stopping")));
	while (m->detached_count > 0)
		forget_detached(m, m->detached[0].pid);
	for (size_t i = 0; i < COUNT(stop_stages); i++)
		stop_stage(m, stop_stages[i]);
	while (m->detached_count > 0) /* some let go while they stopped */
		forget_detached(m, m->detached[0].pid);
	free(m->detached);
}

/* Everything that may fail before the first service starts; the reason goes to stderr. */
static int
prepare_and_run(struct master *m)
{
	Err e = place_open(&m->config, m->options->drop_users, &m->place);

	if (failed(e))
		return EX_OSERR;
	e = spawn_open_self(&m->self);
	if (!failed(e))
		e = take_signals(&m->signals);
	if (failed(e))
		fprintf(stderr, "posthorn: %s: %s\n", e.what, err_sys_text(e));
	else
		run(m);
	place_close(&m->place);
	return failed(e) ? EX_OSERR : EX_OK;
}

int
master_run(const struct master_options *options)
{
	struct master m = { .options = options, .self = -1, .signals = -1 };
	int code;

	if (failed(master_config_read(options, &m.config)))
		return EX_CONFIG;
	umask(077);
	raise_file_limit();
	code = prepare_and_run(&m);
	master_config_free(&m.config);
	return code;
}
