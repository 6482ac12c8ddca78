/* SPDX-License-Identifier: ISC */
#include "service/master/drop.h"

#include "base/memory.h"
#include "os/file.h"
#include "rpc/log.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	IN_HAND_MAX = 16,       /* files that `submit` works on at one time */
	LOOK_MS = 60 * 1000,    /* between looks when nothing is heard of the folder */
	EVENTS_MAX = 16 * 1024, /* octets of inotify's news, which nobody reads closely */
};

struct drop {
	int folder, watch;
	Moment next;
	char in_hand[IN_HAND_MAX][NAME_MAX + 1]; /* "" is free */
};

struct drop *
drop_new(int data)
{
	AUTO(drop) d = memory_get(sizeof(*d));
	char path[64];
	Err e;

	d->watch = -1;
	e = file_open_folder(data, "drop", &d->folder);
	if (!failed(e)) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", d->folder);
		d->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (d->watch < 0 || inotify_add_watch(d->watch, path, IN_MOVED_TO) < 0)
			e = fail_sys(ERR_TEMP, "cannot watch the drop folder");
	}
	if (failed(e)) {
		log_failure(LOG_LEVEL_ERROR, "drop.unwatched", e);
		return NULL;
	}
	return TAKE(d);
}

void
drop_free(struct drop *d)
{
	if (d == NULL)
		return;
	fd_drop(&d->folder);
	fd_drop(&d->watch);
	free(d);
}

int
drop_fd(const struct drop *d)
{
	return d->watch;
}

Moment
drop_next(const struct drop *d)
{
	return d->next;
}

static char *
place_of(struct drop *d, const char *name)
{
	for (size_t i = 0; i < IN_HAND_MAX; i++)
		if (strcmp(d->in_hand[i], name) == 0)
			return d->in_hand[i];
	return NULL;
}

/* Out of the way, but kept: somebody may want to know what it was. */
static void
put_aside(struct drop *d, const char *name)
{
	char aside[NAME_MAX + 16];

	snprintf(aside, sizeof(aside), ".refused-%s", name);
	log_event(LOG_LEVEL_WARNING, "drop.refused",
		F_WORDS("what", S("not a message, put aside in the drop folder:")),
		F_STR("file", str_from(aside)));
	if (failed(file_rename(d->folder, name, d->folder, aside)))
		(void)file_remove(d->folder, name).kind;
}

/* Only a plain file with one name: a link to somebody else's file is no message of theirs. */
static Err
open_message(struct drop *d, const char *name, uid_t *ret_owner, int *ret)
{
	AUTO_FD fd = openat(d->folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) != 0)
		return fail_sys(ERR_PEER, "cannot open what was dropped");
	if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
		return fail(ERR_PEER, "not a plain file");
	*ret_owner = st.st_uid;
	*ret = TAKE_FD(fd);
	return OK;
}

static void
hand_over(struct drop *d, const char *name, char *place, int channel)
{
	AUTO_BUF b = BUF_INIT(2 * NAME_MAX);
	AUTO_FD fd = -1;
	struct start_message m = {
		.role = START_DROP, .service = SERVICE_SUBMIT, .bytes = str_from(name)
	};
	struct passwd *user;
	uid_t owner;

	if (failed(open_message(d, name, &owner, &fd))) {
		put_aside(d, name);
		return;
	}
	m.user = owner;
	/* root, and whoever runs `posthorn try`, may send as anybody: no name to hold them to */
	user = owner == 0 || owner == geteuid() ? NULL : getpwuid(owner);
	if (user != NULL)
		m.name = str_part(str_from(user->pw_name), 0, START_NAME_MAX - 1);
	else if (owner != 0 && owner != geteuid())
		m.name = S("nobody");
	start_message_write(&b, &m);
	if (!failed(channel_send_now(channel, (Str[]){ buf_view(&b) }, 1, &fd, 1)))
		snprintf(place, NAME_MAX + 1, "%s", name);
}

void
drop_look(struct drop *d, int channel)
{
	char news[EVENTS_MAX];
	struct dirent *entry;
	DIR *folder;
	char *place;
	int fd;

	while (read(d->watch, news, sizeof(news)) > 0)
		;
	d->next = moment_after(LOOK_MS);
	if (channel < 0 || failed(file_open_folder(d->folder, ".", &fd)))
		return;
	folder = fdopendir(fd);
	if (folder == NULL) {
		close(fd);
		return;
	}
	while ((place = place_of(d, "")) != NULL && (entry = readdir(folder)) != NULL)
		if (entry->d_name[0] != '.' && place_of(d, entry->d_name) == NULL)
			hand_over(d, entry->d_name, place, channel);
	closedir(folder);
}

void
drop_answer(struct drop *d, Str file, enum start_dropped outcome)
{
	char name[NAME_MAX + 1];
	char *place;

	if (failed(str_c(file, name, sizeof(name))) || name[0] == '\0')
		return;
	place = place_of(d, name);
	if (place == NULL) /* never given: nothing that this name leads to is touched */
		return;
	place[0] = '\0';
	if (outcome == START_DROPPED_TAKEN)
		(void)file_remove(d->folder, name).kind;
	else if (outcome == START_DROPPED_REFUSED)
		put_aside(d, name);
	/* others may have waited for the place */
	if (outcome != START_DROPPED_LATER)
		d->next = clock_moment();
}

void
drop_forget(struct drop *d)
{
	memset(d->in_hand, 0, sizeof(d->in_hand));
	d->next = clock_moment();
}
