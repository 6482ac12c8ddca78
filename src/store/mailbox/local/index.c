/* SPDX-License-Identifier: ISC */
#include "store/mailbox/local/index.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/mailbox/local/files.h"
#include "store/mailbox/model.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>

enum {
	VERSION = 1,         /* of the tables; stands in LOCAL_PUT_ACCOUNT too */
	PATH_MAX_KEPT = 100, /* our names are short; SQLite asks for the room */
	FILE_MODE = 0600,
	WAL_LONG = 512 *
		   1024, /* octets: opening reads it all, so a longer one is not left behind */
};

static const char schema[] =
	"CREATE TABLE account(version INTEGER NOT NULL, created INTEGER NOT NULL,"
	" modseq INTEGER NOT NULL,"
	" validity INTEGER NOT NULL, clean INTEGER NOT NULL, synced INTEGER NOT NULL,"
	" subscriptions TEXT NOT NULL) STRICT;"
	"CREATE TABLE folder(id INTEGER PRIMARY KEY, name TEXT NOT NULL, use INTEGER NOT NULL,"
	" validity INTEGER NOT NULL, next INTEGER NOT NULL, ceiling INTEGER NOT NULL,"
	" messages INTEGER NOT NULL, unseen INTEGER NOT NULL, deleted INTEGER NOT NULL,"
	" size INTEGER NOT NULL, modseq INTEGER NOT NULL, keywords TEXT NOT NULL,"
	" was TEXT NOT NULL,"
	" seen_new INTEGER NOT NULL, seen_cur INTEGER NOT NULL) STRICT;"
	"CREATE TABLE message(key INTEGER PRIMARY KEY, flags INTEGER NOT NULL,"
	" modseq INTEGER NOT NULL, size INTEGER NOT NULL, date INTEGER NOT NULL,"
	" stored INTEGER NOT NULL, raw INTEGER NOT NULL, name TEXT NOT NULL,"
	" info TEXT, pending TEXT) STRICT;"
	"CREATE TABLE columns(key INTEGER PRIMARY KEY, header INTEGER NOT NULL,"
	" envelope TEXT NOT NULL, structure TEXT NOT NULL) STRICT;"
	"CREATE TABLE delivered(queue INTEGER NOT NULL, recipient INTEGER NOT NULL,"
	" key INTEGER NOT NULL, PRIMARY KEY(queue, recipient)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE expunged(key INTEGER PRIMARY KEY, modseq INTEGER NOT NULL, name TEXT)"
	" STRICT;";

static const char *const texts[LOCAL_STATEMENTS] = {
	[LOCAL_GET_ACCOUNT] = "SELECT created, modseq, validity, clean, synced, subscriptions,"
			      " version FROM account",
	[LOCAL_PUT_ACCOUNT] =
		"REPLACE INTO account(rowid, version, created, modseq, validity,"
		" clean, synced, subscriptions) VALUES(1, 1, ?1, ?2, ?3, ?4, ?5, ?6)",
	[LOCAL_GET_FOLDERS] =
		"SELECT id, name, use, validity, next, ceiling, messages, unseen,"
		" deleted, size, modseq, keywords, seen_new, seen_cur, was FROM folder",
	[LOCAL_PUT_FOLDER] =
		"REPLACE INTO folder(id, name, use, validity, next, ceiling, messages,"
		" unseen, deleted, size, modseq, keywords, seen_new, seen_cur, was)"
		" VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)",
	[LOCAL_EXPUNGE_FOLDER] = "REPLACE INTO expunged SELECT key, modseq, name FROM message"
				 " WHERE key BETWEEN ?1 AND ?2",
	[LOCAL_DROP_FOLDER] = "DELETE FROM folder WHERE id=?1",
	[LOCAL_DROP_MESSAGES] = "DELETE FROM message WHERE key BETWEEN ?1 AND ?2",
	[LOCAL_DROP_TEXTS] = "DELETE FROM columns WHERE key BETWEEN ?1 AND ?2",
	[LOCAL_GET_MESSAGES] = "SELECT key, flags, modseq, size, date FROM message"
			       " WHERE key BETWEEN ?1 AND ?2 ORDER BY key",
	[LOCAL_ADD_MESSAGE] = "INSERT INTO message VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9,"
			      " NULL)",
	[LOCAL_ADD_TEXT] = "REPLACE INTO columns VALUES(?1, ?2, ?3, ?4)",
	[LOCAL_SET_FLAGS] = "UPDATE message SET flags=?2, modseq=?3 WHERE key=?1",
	[LOCAL_GET_FILE] = "SELECT name, info, pending, stored, raw FROM message WHERE key=?1",
	[LOCAL_GET_FILES] = "SELECT key, name, info, pending FROM message"
			    " WHERE key BETWEEN ?1 AND ?2",
	[LOCAL_SET_PENDING] = "UPDATE message SET pending=?2 WHERE key=?1",
	[LOCAL_SET_INFO] = "UPDATE message SET info=?2, pending=NULL WHERE key=?1",
	[LOCAL_REMOVE_MESSAGE] = "DELETE FROM message WHERE key=?1",
	[LOCAL_REMOVE_TEXT] = "DELETE FROM columns WHERE key=?1",
	[LOCAL_COPY_TEXT] = "INSERT INTO columns SELECT ?2, header, envelope, structure"
			    " FROM columns WHERE key=?1",
	[LOCAL_ADD_EXPUNGED] = "REPLACE INTO expunged VALUES(?1, ?2, ?3)",
	[LOCAL_GET_EXPUNGED] = "SELECT key FROM expunged WHERE key BETWEEN ?1 AND ?2"
			       " AND modseq > ?3 ORDER BY key",
	[LOCAL_GET_EXPUNGED_NAMES] = "SELECT name FROM expunged WHERE name IS NOT NULL",
	[LOCAL_CLEAR_EXPUNGED_NAMES] = "UPDATE expunged SET name=NULL WHERE name IS NOT NULL",
	[LOCAL_GET_TEXT] = "SELECT header, envelope, structure FROM columns WHERE key=?1",
	[LOCAL_GET_DELIVERED] = "SELECT key FROM delivered WHERE queue=?1 AND recipient=?2",
	[LOCAL_PUT_DELIVERED] = "REPLACE INTO delivered VALUES(?1, ?2, ?3)",
	[LOCAL_FORGET] = "DELETE FROM delivered WHERE queue < ?1",
};

/*
 * SQLite asks for the absolute path of its files, which may lead through folders that the walls
 * hide. The working directory is the account's folder: the name is the path.
 */
static int
keep_name(sqlite3_vfs *vfs, const char *name, int size, char *ret)
{
	size_t n = strlen(name);

	(void)vfs;
	if (n >= (size_t)size)
		return SQLITE_CANTOPEN;
	memcpy(ret, name, n + 1);
	return SQLITE_OK;
}

static int
give_random(sqlite3_vfs *vfs, int size, char *ret)
{
	ssize_t n = getrandom(ret, (size_t)size, 0);

	(void)vfs;
	return n < 0 ? 0 : (int)n;
}

static sqlite3_vfs here;

Err
index_statement(struct local *l, enum local_statement which, sqlite3_stmt **ret)
{
	if (l->statements[which] == NULL)
		TRY(sql_prepare(l->db, texts[which], &l->statements[which]));
	*ret = l->statements[which];
	return OK;
}

/*
 * The index of an account that has none yet: the tables, INBOX and the special-use folders, whose
 * UIDVALIDITY of 0 stands for the second in which the account was made. Made once and kept as the
 * bytes of a database, because to run all those statements costs more than a delivery.
 */
static struct {
	pthread_once_t once;
	Err e;
	unsigned char *bytes;
	sqlite3_int64 size;
} image = { .once = PTHREAD_ONCE_INIT };

enum {
	IMAGE_WRITE_VERSION = 18, /* two octets of a database's header: 2 is WAL */
};

static Err
fill_image(sqlite3 *db)
{
	struct local l = { .db = db };
	Err e = sql_run(db, schema);

	model_init(&l.m, &(struct mailbox_driver){ .put_folder = index_put_folder }, S(""));
	l.m.modseq_ceiling = MODSEQ_STEP;
	if (!failed(e))
		e = model_make_folders(&l.m);
	if (!failed(e))
		e = index_put_account(&l, true);
	for (size_t i = 0; i < COUNT(l.statements); i++)
		sqlite3_finalize(l.statements[i]);
	model_done(&l.m);
	return e;
}

static void
make_image(void)
{
	sqlite3 *db = NULL;

	/* memory that one small database does not need: a fifth of the time to open it */
	sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
	sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0);
	sqlite3_config(SQLITE_CONFIG_PAGECACHE, NULL, 0, 0);
	/* What a savepoint may have to take back stays in memory: no file outside can be made. */
	sqlite3_config(SQLITE_CONFIG_STMTJRNL_SPILL, -1);
	sqlite3_initialize();
	here = *sqlite3_vfs_find("unix");
	here.zName = "posthorn-here";
	here.mxPathname = PATH_MAX_KEPT;
	here.xFullPathname = keep_name;
	here.xRandomness = give_random;
	sqlite3_vfs_register(&here, 0);
	if (sqlite3_open(":memory:", &db) != SQLITE_OK)
		image.e = sql_failure(db, "cannot make an index");
	else
		image.e = fill_image(db);
	if (!failed(image.e))
		image.bytes = sqlite3_serialize(db, "main", &image.size, 0);
	if (!failed(image.e) && image.bytes == NULL)
		image.e = fail(ERR_TEMP, "cannot make an index");
	if (image.bytes != NULL)
		image.bytes[IMAGE_WRITE_VERSION] = image.bytes[IMAGE_WRITE_VERSION + 1] = 2;
	sql_close(db);
}

Err
index_prepare(void)
{
	pthread_once(&image.once, make_image);
	return image.e;
}

/*
 * True when there is an index. One that is shorter than it was made was cut by the power before
 * anything in it was promised to anybody (see index_commit): it is made anew. Being shorter than
 * its header says is no sign of that: it is what a power cut while the WAL is brought in leaves,
 * and the WAL has it all.
 */
static bool
is_there(const struct local *l)
{
	char first = '\0';
	AUTO_FD fd = -1;
	struct stat st;

	return !failed(file_open_read(l->folder, "index.db", &fd)) && fstat(fd, &st) == 0 &&
	       st.st_size >= image.size && pread(fd, &first, 1, 0) == 1 && first != '\0';
}

static Err
write_image(const struct local *l)
{
	AUTO_FD fd = -1;

	TRY(file_remove(l->folder, "index.db-wal"));
	TRY(file_remove(l->folder, "index.db"));
	TRY(file_create(l->folder, "index.db", FILE_MODE, &fd));
	return file_write(fd, (Str){ (const char *)image.bytes, (size_t)image.size });
}

Err
index_open(struct local *l, bool *ret_new)
{
	TRY(index_prepare());
	*ret_new = !is_there(l);
	if (*ret_new)
		TRY(write_image(l));
	if (sqlite3_open_v2("index.db", &l->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX,
		    "posthorn-here") != SQLITE_OK)
		return sql_failure(l->db, "cannot open index");
	/* what is in the WAL stays there until it is long: no sync when an account is closed */
	sqlite3_db_config(l->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	/* a new WAL would have its first page synced, which nobody needs before the first promise */
	l->fresh = *ret_new;
	return sql_run(l->db,
		l->fresh ? "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=OFF"
			 : "PRAGMA locking_mode=EXCLUSIVE; PRAGMA synchronous=NORMAL");
}

bool
index_is_damaged(const struct local *l)
{
	int code = l->db == NULL ? SQLITE_OK : sqlite3_errcode(l->db);

	return code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
}

Err
index_put_aside(int folder)
{
	Err e = file_rename(folder, "index.db-wal", folder, "index.db-wal.damaged");

	if (failed(e) && e.sys != ENOENT)
		return e;
	return file_rename(folder, "index.db", folder, "index.db.damaged");
}

void
index_close(struct local *l)
{
	for (size_t i = 0; i < COUNT(l->statements); i++)
		sqlite3_finalize(l->statements[i]);
	sql_close(l->db);
}

/* Lists of names in one column: each with a line end behind it. */
static void
put_names(struct buf *b, const Str *names, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		buf_put(b, names[i]);
		buf_put_char(b, '\n');
	}
}

static Err
read_keywords(struct local *l, struct folder *f, Str text)
{
	struct cursor c = cursor_of(text);

	while (!cursor_done(&c) && f->keyword_count < MAILBOX_KEYWORD_MAX) {
		Str name = cursor_line(&c);

		TRY(model_add_keyword(&l->m, f, name));
	}
	return OK;
}

/* One row of `folder`. A folder that is known keeps its place and its larger numbers. */
static Err
read_folder(struct local *l, sqlite3_stmt *s)
{
	uint32_t id = (uint32_t)sql_u64(s, 0);
	struct folder *f = model_folder(&l->m, id);
	uint32_t next = (uint32_t)sql_u64(s, 4);

	if (f == NULL) {
		f = model_add_folder(&l->m, id, sql_str(s, 1));
		TRY(read_keywords(l, f, sql_str(s, 11)));
	} else {
		memory_free_str(&f->name);
		f->name = memory_copy(sql_str(s, 1));
	}
	f->found = true;
	f->use = (enum mailbox_use)sql_u64(s, 2);
	f->uid_validity = sql_u64(s, 3) == 0 ? l->created : (uint32_t)sql_u64(s, 3);
	if (next > f->uid_next)
		f->uid_next = next;
	f->uid_ceiling = (uint32_t)sql_u64(s, 5);
	f->messages = (uint32_t)sql_u64(s, 6);
	f->unseen = (uint32_t)sql_u64(s, 7);
	f->deleted = (uint32_t)sql_u64(s, 8);
	f->size = sql_u64(s, 9);
	if (sql_u64(s, 10) > f->modseq)
		f->modseq = sql_u64(s, 10);
	f->seen_new = (int64_t)sql_u64(s, 12);
	f->seen_cur = (int64_t)sql_u64(s, 13);
	if (f->was.n == 0)
		TRY(arena_copy(l->m.names, sql_str(s, 14), &f->was));
	if (f->modseq > l->m.modseq)
		l->m.modseq = f->modseq;
	return OK;
}

static Err
read_folders(struct local *l)
{
	sqlite3_stmt *s;
	bool row;

	TRY(index_statement(l, LOCAL_GET_FOLDERS, &s));
	TRY(sql_step(s, &row));
	while (row) {
		Err e = read_folder(l, s);

		if (failed(e)) {
			sql_reset(s);
			return e;
		}
		TRY(sql_step(s, &row));
	}
	return OK;
}

Err
index_reload(struct mailbox *m)
{
	return read_folders(local_of(m));
}

Err
index_load_account(struct local *l)
{
	sqlite3_stmt *s;
	struct cursor c;
	uint64_t version;
	bool row;

	TRY(index_statement(l, LOCAL_GET_ACCOUNT, &s));
	TRY(sql_step(s, &row));
	if (!row)
		return fail(ERR_PERM, "index holds no account");
	l->created = (uint32_t)sql_u64(s, 0);
	l->m.modseq_ceiling = sql_u64(s, 1);
	l->m.validity = (uint32_t)sql_u64(s, 2);
	l->clean = sql_u64(s, 3) != 0;
	l->synced = sql_u64(s, 4) != 0;
	c = cursor_of(sql_str(s, 5));
	while (!cursor_done(&c))
		model_subscribe(&l->m, cursor_line(&c), true);
	version = sql_u64(s, 6);
	sql_reset(s);
	if (version != VERSION)
		return fail(ERR_PERM, "index was written by another version");
	if (l->created == 0) {
		l->created = (uint32_t)time_seconds(clock_wall());
		l->m.validity = l->created;
		l->m.account_behind = true;
	}
	TRY(read_folders(l));
	model_sort_folders(&l->m);
	if (l->m.folder_count == 0 || l->m.folders[0]->id != INBOX_ID)
		return fail(ERR_PERM, "index holds no INBOX");
	return OK;
}

Err
index_put_account(struct local *l, bool clean)
{
	AUTO_BUF names = BUF_INIT(64 * 1024 * 1024);
	const struct subscription *subscription;
	sqlite3_stmt *s;
	size_t at = 0;

	while ((subscription = str_map_each(l->m.subscriptions, &at)) != NULL)
		put_names(&names, &subscription->name, 1);
	TRY(buf_check(&names));
	TRY(index_statement(l, LOCAL_PUT_ACCOUNT, &s));
	sql_bind_u64(s, 1, l->created);
	sql_bind_u64(s, 2, l->m.modseq_ceiling);
	sql_bind_u64(s, 3, l->m.validity);
	sql_bind_u64(s, 4, clean);
	sql_bind_u64(s, 5, l->synced);
	sql_bind_str(s, 6, buf_view(&names));
	return sql_done(s);
}

Err
index_begin(struct mailbox *m)
{
	return sql_run(local_of(m)->db, "BEGIN IMMEDIATE");
}

static Err
sync_file(struct local *l, int which)
{
	sqlite3_file *file = NULL;

	if (sqlite3_file_control(l->db, "main", which, &file) == SQLITE_OK && file != NULL &&
		file->pMethods != NULL &&
		file->pMethods->xSync(file, SQLITE_SYNC_NORMAL) == SQLITE_OK)
		return OK;
	return fail(ERR_TEMP, "cannot sync index");
}

/*
 * The WAL is one file: syncing it makes every commit up to now durable. Before the first time, the
 * database that it belongs to and both their names are synced. A sync that failed may have dropped
 * what it should have written, so it is never tried again.
 */
static Err
sync_index(struct local *l)
{
	Err e = OK;

	if (l->broken)
		return fail(ERR_TEMP, "index could not be synced before");
	if (!l->synced)
		e = sync_file(l, SQLITE_FCNTL_FILE_POINTER);
	if (!failed(e))
		e = sync_file(l, SQLITE_FCNTL_JOURNAL_POINTER);
	if (!failed(e) && !l->synced)
		e = file_sync_folder(l->folder);
	l->broken = failed(e);
	if (!failed(e) && !l->synced) {
		l->synced = true;
		l->m.account_behind = true; /* remembered with the next commit */
	}
	return e;
}

Err
index_commit(struct mailbox *m, bool durable)
{
	struct local *l = local_of(m);

	if (!l->opened || m->account_behind) {
		TRY(index_put_account(l, false));
		m->account_behind = false;
	}
	TRY(sql_run(l->db, "COMMIT"));
	l->opened = true;
	files_make_moves(l);
	if (l->fresh)
		TRY(sql_run(l->db, "PRAGMA synchronous=NORMAL"));
	l->fresh = false;
	return durable ? sync_index(l) : OK;
}

Err
index_shorten(struct local *l)
{
	struct stat st;

	if (fstatat(l->folder, "index.db-wal", &st, 0) != 0 || st.st_size < WAL_LONG)
		return OK;
	return sqlite3_wal_checkpoint_v2(l->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) ==
			       SQLITE_OK
		       ? OK
		       : sql_failure(l->db, "cannot shorten index");
}

void
index_abort(struct mailbox *m)
{
	struct local *l = local_of(m);

	if (!sqlite3_get_autocommit(l->db))
		(void)failed(sql_run(l->db, "ROLLBACK"));
}

Err
index_mark(struct mailbox *m)
{
	return sql_run(local_of(m)->db, "SAVEPOINT change");
}

void
index_unmark(struct mailbox *m)
{
	(void)failed(sql_run(local_of(m)->db, "ROLLBACK TO change"));
}

Err
index_put_folder(struct mailbox *m, const struct folder *f)
{
	struct local *l = local_of(m);
	AUTO_BUF keywords = BUF_INIT((MAILBOX_KEYWORD_SIZE + 1) * MAILBOX_KEYWORD_MAX);
	sqlite3_stmt *s;

	put_names(&keywords, f->keywords, f->keyword_count);
	TRY(buf_check(&keywords));
	TRY(index_statement(l, LOCAL_PUT_FOLDER, &s));
	sql_bind_u64(s, 1, f->id);
	sql_bind_str(s, 2, f->name);
	sql_bind_u64(s, 3, f->use);
	sql_bind_u64(s, 4, f->uid_validity);
	sql_bind_u64(s, 5, f->uid_next);
	sql_bind_u64(s, 6, f->uid_ceiling);
	sql_bind_u64(s, 7, f->messages);
	sql_bind_u64(s, 8, f->unseen);
	sql_bind_u64(s, 9, f->deleted);
	sql_bind_u64(s, 10, f->size);
	sql_bind_u64(s, 11, f->modseq);
	sql_bind_str(s, 12, buf_view(&keywords));
	sql_bind_u64(s, 13, (uint64_t)f->seen_new);
	sql_bind_u64(s, 14, (uint64_t)f->seen_cur);
	sql_bind_str(s, 15, f->was);
	return sql_done(s);
}

/* Binds the range of a folder's keys. */
static Err
range_statement(struct local *l, enum local_statement which, const struct folder *f,
	sqlite3_stmt **ret)
{
	TRY(index_statement(l, which, ret));
	sql_bind_u64(*ret, 1, local_key(f, 0));
	sql_bind_u64(*ret, 2, local_key(f, UINT32_MAX));
	return OK;
}

Err
index_drop_folder(struct local *l, const struct folder *f)
{
	sqlite3_stmt *s;

	TRY(range_statement(l, LOCAL_EXPUNGE_FOLDER, f, &s));
	TRY(sql_done(s));
	TRY(range_statement(l, LOCAL_DROP_MESSAGES, f, &s));
	TRY(sql_done(s));
	TRY(range_statement(l, LOCAL_DROP_TEXTS, f, &s));
	TRY(sql_done(s));
	TRY(index_statement(l, LOCAL_DROP_FOLDER, &s));
	sql_bind_u64(s, 1, f->id);
	return sql_done(s);
}

Err
index_load(struct mailbox *m, struct folder *f)
{
	sqlite3_stmt *s;
	bool row;

	TRY(range_statement(local_of(m), LOCAL_GET_MESSAGES, f, &s));
	TRY(sql_step(s, &row));
	while (row) {
		model_push(f, &(struct mailbox_message){
				      .uid = (uint32_t)sql_u64(s, 0),
				      .flags = sql_u64(s, 1),
				      .modseq = sql_u64(s, 2),
				      .size = (uint32_t)sql_u64(s, 3),
				      .date = (int64_t)sql_u64(s, 4),
			      });
		TRY(sql_step(s, &row));
	}
	return OK;
}

static Err
add_row(struct local *l, uint64_t key, const struct mailbox_message *message, uint64_t stored,
	bool raw, const char *name, const char *info)
{
	sqlite3_stmt *s;

	TRY(index_statement(l, LOCAL_ADD_MESSAGE, &s));
	sql_bind_u64(s, 1, key);
	sql_bind_u64(s, 2, message->flags);
	sql_bind_u64(s, 3, message->modseq);
	sql_bind_u64(s, 4, message->size);
	sql_bind_u64(s, 5, (uint64_t)message->date);
	sql_bind_u64(s, 6, stored);
	sql_bind_u64(s, 7, raw);
	sql_bind_str(s, 8, str_from(name));
	if (info != NULL)
		sql_bind_str(s, 9, str_from(info));
	return sql_done(s);
}

Err
index_put_text(struct local *l, uint64_t key, const struct arrival *a)
{
	sqlite3_stmt *s;

	TRY(index_statement(l, LOCAL_ADD_TEXT, &s));
	sql_bind_u64(s, 1, key);
	sql_bind_u64(s, 2, a->header_size);
	sql_bind_str(s, 3, str_part(buf_view(&a->text), 0, a->envelope_size));
	sql_bind_str(s, 4, str_from_at(buf_view(&a->text), a->envelope_size));
	return sql_done(s);
}

Err
index_add(struct local *l, const struct folder *f, const struct mailbox_message *message,
	const struct arrival *a, bool in_new, const char *info)
{
	uint64_t key = local_key(f, message->uid);

	TRY(add_row(l, key, message, a->bytes.n, a->raw, a->name, in_new ? NULL : info));
	return index_put_text(l, key, a);
}

Err
index_change(struct local *l, const struct folder *f, const struct mailbox_message *message)
{
	sqlite3_stmt *s;

	TRY(index_statement(l, LOCAL_SET_FLAGS, &s));
	sql_bind_u64(s, 1, local_key(f, message->uid));
	sql_bind_u64(s, 2, message->flags);
	sql_bind_u64(s, 3, message->modseq);
	return sql_done(s);
}

Err
index_copy(struct local *l, const struct folder *from, uint32_t uid, const struct folder *to,
	const struct mailbox_message *copy, const struct local_file *file)
{
	sqlite3_stmt *s;

	TRY(add_row(l, local_key(to, copy->uid), copy, file->stored, file->raw, file->name,
		file->in_new ? NULL : file->info));
	TRY(index_statement(l, LOCAL_COPY_TEXT, &s));
	sql_bind_u64(s, 1, local_key(from, uid));
	sql_bind_u64(s, 2, local_key(to, copy->uid));
	return sql_done(s);
}

static Err
run_with_key(struct local *l, enum local_statement which, uint64_t key)
{
	sqlite3_stmt *s;

	TRY(index_statement(l, which, &s));
	sql_bind_u64(s, 1, key);
	return sql_done(s);
}

Err
index_remove(struct local *l, const struct folder *f, uint32_t uid, uint64_t modseq,
	const char *name)
{
	uint64_t key = local_key(f, uid);
	sqlite3_stmt *s;

	TRY(run_with_key(l, LOCAL_REMOVE_MESSAGE, key));
	TRY(run_with_key(l, LOCAL_REMOVE_TEXT, key));
	TRY(index_statement(l, LOCAL_ADD_EXPUNGED, &s));
	sql_bind_u64(s, 1, key);
	sql_bind_u64(s, 2, modseq);
	if (name != NULL)
		sql_bind_str(s, 3, str_from(name));
	return sql_done(s);
}

static Err
copy_columns(sqlite3_stmt *s, unsigned columns, struct arena *arena, struct mailbox_row *ret)
{
	ret->header_size = (uint32_t)sql_u64(s, 0);
	if ((columns & MAILBOX_ENVELOPE) != 0)
		TRY(arena_copy(arena, sql_str(s, 1), &ret->envelope));
	if ((columns & MAILBOX_STRUCTURE) != 0)
		TRY(arena_copy(arena, sql_str(s, 2), &ret->structure));
	return OK;
}

Err
index_fetch(struct mailbox *m, const struct folder *f, const uint32_t *uids, size_t count,
	unsigned columns, struct arena *arena, struct mailbox_row *ret)
{
	sqlite3_stmt *s;

	TRY(index_statement(local_of(m), LOCAL_GET_TEXT, &s));
	for (size_t i = 0; i < count; i++) {
		Err e = OK;
		bool row;

		ret[i] = (struct mailbox_row){ .uid = uids[i] };
		sql_bind_u64(s, 1, local_key(f, uids[i]));
		TRY(sql_step(s, &row));
		ret[i].gone = !row;
		if (row) {
			e = copy_columns(s, columns, arena, &ret[i]);
			sql_reset(s);
		}
		TRY(e);
	}
	return OK;
}

Err
index_expunged(struct mailbox *m, const struct folder *f, uint64_t since, struct arena *arena,
	uint32_t **ret, size_t *ret_count)
{
	uint32_t *uids = NULL;
	size_t count = 0, capacity = 0;
	sqlite3_stmt *s;
	bool row;

	TRY(range_statement(local_of(m), LOCAL_GET_EXPUNGED, f, &s));
	sql_bind_u64(s, 3, since);
	TRY(sql_step(s, &row));
	while (row) {
		if (count == capacity) {
			uint32_t *more;

			capacity = capacity == 0 ? 64 : capacity * 2;
			more = arena_try_array(arena, capacity, sizeof(*more));
			if (more == NULL) {
				sql_reset(s);
				return fail(ERR_LIMIT, "too many messages");
			}
			if (count > 0)
				memcpy(more, uids, count * sizeof(*more));
			uids = more;
		}
		uids[count++] = (uint32_t)sql_u64(s, 0);
		TRY(sql_step(s, &row));
	}
	*ret = uids;
	*ret_count = count;
	return OK;
}

Err
index_get_file(struct local *l, uint64_t key, struct local_file *ret)
{
	struct local_file file = { 0 };
	sqlite3_stmt *s;
	bool row;
	Err e;

	TRY(index_statement(l, LOCAL_GET_FILE, &s));
	sql_bind_u64(s, 1, key);
	TRY(sql_step(s, &row));
	if (!row)
		return fail(ERR_PEER, "message is gone");
	e = str_c(sql_str(s, 0), file.name, sizeof(file.name));
	file.in_new = sqlite3_column_type(s, 1) == SQLITE_NULL;
	if (!failed(e))
		e = str_c(sql_str(s, 1), file.info, sizeof(file.info));
	if (!failed(e))
		e = sqlite3_column_type(s, 2) == SQLITE_NULL
			    ? str_c(S("-"), file.pending, sizeof(file.pending))
			    : str_c(sql_str(s, 2), file.pending, sizeof(file.pending));
	file.stored = sql_u64(s, 3);
	file.raw = sql_u64(s, 4) != 0;
	sql_reset(s);
	if (failed(e))
		return fail(ERR_PERM, "index holds a bad name");
	*ret = file;
	return OK;
}

Err
index_set_pending(struct local *l, uint64_t key, const char *pending)
{
	sqlite3_stmt *s;

	TRY(index_statement(l, LOCAL_SET_PENDING, &s));
	sql_bind_u64(s, 1, key);
	sql_bind_str(s, 2, str_from(pending));
	return sql_done(s);
}

Err
index_set_info(struct local *l, uint64_t key, bool in_new, const char *info)
{
	sqlite3_stmt *s;

	TRY(index_statement(l, LOCAL_SET_INFO, &s));
	sql_bind_u64(s, 1, key);
	if (!in_new)
		sql_bind_str(s, 2, str_from(info));
	return sql_done(s);
}

Err
index_get_delivered(struct local *l, uint64_t queue_id, uint32_t recipient, bool *ret_known,
	uint64_t *ret_key)
{
	sqlite3_stmt *s;
	bool row;

	TRY(index_statement(l, LOCAL_GET_DELIVERED, &s));
	sql_bind_u64(s, 1, queue_id);
	sql_bind_u64(s, 2, recipient);
	TRY(sql_step(s, &row));
	*ret_known = row;
	if (row) {
		*ret_key = sql_u64(s, 0);
		sql_reset(s);
	}
	return OK;
}

Err
index_put_delivered(struct local *l, uint64_t queue_id, uint32_t recipient, uint64_t key)
{
	sqlite3_stmt *s;

	TRY(index_statement(l, LOCAL_PUT_DELIVERED, &s));
	sql_bind_u64(s, 1, queue_id);
	sql_bind_u64(s, 2, recipient);
	sql_bind_u64(s, 3, key);
	return sql_done(s);
}

Err
index_forget(struct mailbox *m, uint64_t below)
{
	return run_with_key(local_of(m), LOCAL_FORGET, below);
}
