/* SPDX-License-Identifier: ISC */
/*
 * control: takes administrators' commands from the admin socket to the service they are for.
 *
 * reads      admins' commands
 * runs as    _posthorn-control; no files, no network
 * asks       directory, queue
 * if it dies commands fail until it is back; mail goes on
 */

#include "base/memory.h"
#include "os/listen.h"
#include "os/thread.h"
#include "rpc/control.h"
#include "rpc/directory.h"
#include "rpc/log.h"
#include "rpc/queue.h"
#include "rpc/start.h"

#include <stdlib.h>
#include <sysexits.h>

enum {
	COMMANDS_MAX = 16, /* at once */
	COMMAND_WAIT = 60 * 1000,
	SCRATCH = 256 * 1024,
};

/* What commands share; set before the first thread. */
struct control {
	struct peer *directory, *queue;
};

struct command {
	const struct control *control;
	int fd;
};

/* Which service a command is for, by its first word. */
static const struct {
	const char *word;
	enum service_id service;
} verbs[] = {
	{ "domain", SERVICE_DIRECTORY },
	{ "account", SERVICE_DIRECTORY },
	{ "alias", SERVICE_DIRECTORY },
	{ "dump", SERVICE_DIRECTORY },
	{ "apply", SERVICE_DIRECTORY },
	{ "queue", SERVICE_QUEUE },
};

static enum service_id
find_service(Str word)
{
	for (size_t i = 0; i < COUNT(verbs); i++)
		if (str_eq(word, str_from(verbs[i].word)))
			return verbs[i].service;
	return SERVICE_COUNT;
}

static Err
pass_on(const struct control *control, Str *words, size_t count, int input, struct buf *ret,
	int *ret_exit)
{
	enum service_id service = count == 0 ? SERVICE_COUNT : find_service(words[0]);
	AUTO(caller) c = NULL;

	if (service == SERVICE_COUNT) {
		buf_put_c(ret, "not a command of the server\n");
		*ret_exit = EX_USAGE;
		return OK;
	}
	c = caller_new(service == SERVICE_QUEUE ? control->queue : control->directory);
	if (service == SERVICE_QUEUE)
		return queue_call_admin(c, words, count, input, ret, ret_exit);
	return directory_call_admin(c, words, count, input, ret, ret_exit);
}

static void
answer(const struct command *command, struct channel_message *m)
{
	AUTO_BUF text = BUF_INIT(CONTROL_TEXT_MAX);
	AUTO(arena) scratch = arena_new(SCRATCH);
	struct cursor c = cursor_of(m->bytes);
	int exit_code = EX_TEMPFAIL;
	Str *words;
	size_t count;
	Err e = admin_parse(&c, scratch, &words, &count);

	if (!failed(e))
		e = pass_on(command->control, words, count, m->fd_count > 0 ? m->fds[0] : -1,
			&text, &exit_code);
	if (failed(e)) {
		buf_reset(&text);
		buf_printf(&text, "%s\n", e.what);
		exit_code = e.kind == ERR_TEMP ? EX_TEMPFAIL : EX_SOFTWARE;
	}
	control_answer(command->fd, buf_view(&text), exit_code);
}

static void
run_command(void *arg)
{
	struct command *command = arg;
	char *buffer = memory_get(CHANNEL_MESSAGE_MAX);
	struct channel_message m;

	if (!failed(control_receive(command->fd, buffer, CHANNEL_MESSAGE_MAX,
		    moment_after(COMMAND_WAIT), &m))) {
		answer(command, &m);
		channel_message_drop(&m);
	}
	fd_drop(&command->fd);
	free(buffer);
	free(command);
}

static void
accept_command(const struct control *control, struct thread_pool *pool, int listener)
{
	struct command *command;
	int fd;

	if (failed(listen_accept(listener, &fd)))
		return;
	command = memory_get(sizeof(*command));
	*command = (struct command){ control, fd };
	if (failed(thread_pool_run(pool, command))) {
		control_answer(fd, S("too many commands at once\n"), EX_TEMPFAIL);
		fd_drop(&fd);
		free(command);
	}
}

void control_serve(struct start *start);

void
control_serve(struct start *start)
{
	struct control control = {
		.directory = start_ask(start, SERVICE_DIRECTORY, 0),
		.queue = start_ask(start, SERVICE_QUEUE, 0),
	};
	struct thread_pool *pool;
	const char *name;
	int listener;

	start_walls(start);
	pool = thread_pool_new(COMMANDS_MAX, THREAD_STACK, run_command, "command");
	start_ready(start);
	while ((listener = start_accept_wait(start, &name)) >= 0)
		accept_command(&control, pool, listener);
}
