/* SPDX-License-Identifier: ISC */
#include "store/journal.h"

#include "base/memory.h"
#include "os/clock.h"
#include "os/file.h"
#include "store/journal/segment.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/statvfs.h>

/*
 * A batch lies in one segment; so while it is not synced, nothing else is. Every segment begins
 * with a record that repeats the floor and says where the segments before it ended: the last one,
 * and all those that ended irregularly (a failed sync, a torn tail). So a later start can tell a
 * record that was never acknowledged from one that was damaged.
 *
 * After a failure the first new segment is tried at once, further ones only a second apart: a
 * broken disk must not eat the segments held back.
 */

enum {
	TYPE_BEGIN = JOURNAL_TYPE_OWN,
	TYPE_FLOOR,

	BATCH_MAX = 8 * 1024 * 1024, /* octets of one batch; a single record may be longer */
	REST_MAX = 128 * 1024,       /* memory kept between batches */
	ENDS_MAX = 64,               /* segments whose end a new one repeats */
	END_SIZE = 8 + 8,
	BEGIN_MAX = 8 + 4 + ENDS_MAX * END_SIZE,
	REST_AFTER_FAILURE = 1000, /* milliseconds */
	EMPTY_MAX = 8,             /* empty segments; more are removed */
};

struct journal {
	struct journal_settings settings;
	struct segments segments;
	bool replayed;
	uint64_t current;   /* serial number; 0: none, the next record begins one */
	size_t batch_start; /* in the current segment: what lies behind is not synced */
	size_t written;     /* in the current segment: what lies behind is in `batch` alone */
	struct buf batch;
	uint64_t floor, new_floor;
	unsigned failures; /* in a row */
	Moment rest_until;
	struct journal_figures figures;
};

Err
journal_open(int folder, const struct journal_settings *settings, struct journal **ret)
{
	struct journal *j;
	Err e;

	assert(settings->segment_size >= JOURNAL_SEGMENT_MIN &&
		settings->segment_size <= SEGMENT_MAX && settings->segment_size % 4096 == 0);
	j = memory_get(sizeof(*j));
	j->settings = *settings;
	j->batch = BUF_INIT(SEGMENT_MAX);
	e = segments_open(&j->segments, folder, settings->segment_size);
	if (failed(e)) {
		free(j);
		return e;
	}
	*ret = j;
	return OK;
}

void
journal_free(struct journal *j)
{
	if (j == NULL)
		return;
	segments_close(&j->segments);
	buf_done(&j->batch);
	free(j);
}

/* Empties the segments that the floor has passed. A failure leaves one unused; it costs space only. */
static void
drop_passed(struct journal *j)
{
	for (size_t i = 0; i < j->segments.count;) {
		const struct segment *s = &j->segments.list[i];
		uint64_t serial = s->head.serial;
		bool keep = s->state == SEGMENT_CLOSED &&
			    segments_count(&j->segments, SEGMENT_EMPTY) < EMPTY_MAX;
		Err e;

		if (serial >= position_serial(j->floor))
			break;
		if (s->state == SEGMENT_EMPTY) {
			i++;
			continue;
		}
		e = keep ? segments_reuse(&j->segments, serial)
			 : segments_remove(&j->segments, serial);
		if (failed(e))
			i++;
	}
}

/* What a scan of one segment found out. */
struct scan {
	const struct segment *segment;
	Str bytes;
	size_t at;    /* where to look next */
	size_t gap;   /* where the bytes began that are no record, or == at of the record */
	size_t batch; /* the latest batch seen */
	size_t end;   /* behind the last valid record */
};

/* The next valid record, and whether bytes were passed over on the way to it. */
static bool
scan_next(struct scan *s, struct record *ret)
{
	size_t limit = s->segment->ended ? s->segment->end : s->bytes.n;

	s->gap = s->at;
	for (; s->at + RECORD_HEAD <= limit; s->at += RECORD_ALIGN) {
		const struct segment_head *head = &s->segment->head;

		if (!record_parse(str_from_at(s->bytes, s->at),
			    position_of(head->serial, s->at), head, ret))
			continue;
		s->at += record_room(ret->payload.n);
		s->end = s->at;
		if (ret->batch > s->batch)
			s->batch = ret->batch;
		return true;
	}
	return false;
}

static struct scan
scan_of(const struct segment *segment, const struct buf *bytes)
{
	return (struct scan){ .segment = segment,
		.bytes = buf_view(bytes),
		.at = SEGMENT_FIRST,
		.end = SEGMENT_FIRST };
}

/* Takes over what a segment's first record says about those before it. */
static void
learn_begin(struct journal *j, Str payload)
{
	struct cursor c = cursor_of(payload);
	uint32_t n;

	(void)cursor_u64(&c);
	n = cursor_u32(&c);
	for (uint32_t i = 0; i < n && i < ENDS_MAX; i++) {
		uint64_t batch = cursor_u64(&c), end = cursor_u64(&c);
		struct segment *segment = segments_find(&j->segments, position_serial(end));

		if (c.bad || segment == NULL)
			continue;
		segment->ended = true;
		segment->batch = position_place(batch);
		segment->end = position_place(end);
	}
}

/* The floor as a record of the journal's own states it; false when it states none. */
static bool
record_floor(const struct record *record, uint64_t *ret)
{
	struct cursor c = cursor_of(record->payload);
	uint64_t floor = cursor_u64(&c);

	if (c.bad || (record->type != TYPE_BEGIN && record->type != TYPE_FLOOR))
		return false;
	*ret = floor;
	return true;
}

/*
 * Looks through the segments, newest first, for the floor that was last set; learns on the way
 * where segments ended, and which are empty. An old segment below the floor is not read at all.
 */
static Err
find_floor(struct journal *j, struct buf *bytes)
{
	bool found = false, used = false;

	for (size_t i = j->segments.count; i-- > 0;) {
		struct segment *segment = &j->segments.list[i];
		struct record record;
		struct scan scan;

		if (found && segment->head.serial < position_serial(j->floor))
			break;
		TRY(segment_read(segment, bytes));
		scan = scan_of(segment, bytes);
		while (scan_next(&scan, &record)) {
			uint64_t floor;

			if (record.type == TYPE_BEGIN)
				learn_begin(j, record.payload);
			if (record_floor(&record, &floor) && floor >= j->floor) {
				j->floor = floor;
				found = true;
			}
		}
		if (scan.end > SEGMENT_FIRST)
			used = true;
		else if (!used)
			segment->state = SEGMENT_EMPTY;
	}
	return OK;
}

static void
tell_gap(const struct scan *s, size_t to, const struct journal_reader *reader, void *self)
{
	struct journal_damage damage = { .at = s->gap, .size = to - s->gap };

	memcpy(damage.file, s->segment->name, sizeof(damage.file));
	reader->damage(self, &damage);
}

/* Tells the records of one segment, and its damage. */
static Err
replay_segment(struct journal *j, struct segment *segment, const struct buf *bytes, bool newest,
	const struct journal_reader *reader, void *self)
{
	struct scan scan = scan_of(segment, bytes), whole = scan;
	struct record record;
	size_t synced;

	while (scan_next(&whole, &record))
		;
	/* From here on, a gap may be what a power cut left of a batch never acknowledged. */
	synced = segment->ended ? segment->batch : newest ? whole.batch : whole.end;
	for (bool more = true; more;) {
		size_t to;

		more = scan_next(&scan, &record);
		to = more ? scan.at - record_room(record.payload.n) : synced;
		if (to > scan.gap && scan.gap < synced)
			tell_gap(&scan, to, reader, self);
		if (more && record.position >= j->floor && record.type < JOURNAL_TYPE_OWN)
			TRY(reader->record(self, &(struct journal_record){ record.position,
							 record.type, record.payload }));
	}
	if (!segment->ended) {
		segment->ended = true;
		segment->batch = whole.batch > SEGMENT_FIRST ? whole.batch : SEGMENT_FIRST;
		segment->end = whole.end;
	}
	return OK;
}

Err
journal_replay(struct journal *j, const struct journal_reader *reader, void *self)
{
	AUTO_BUF bytes = BUF_INIT(SEGMENT_MAX);
	const struct segment *newest = NULL;

	assert(!j->replayed);
	TRY(find_floor(j, &bytes));
	for (size_t i = 0; i < j->segments.lost_count; i++)
		reader->damage(self, &j->segments.lost[i]);
	for (size_t i = 0; i < j->segments.count; i++)
		if (j->segments.list[i].state != SEGMENT_EMPTY)
			newest = &j->segments.list[i];
	/* What a killed process wrote may be in memory only; nothing may be built on that. */
	if (newest != NULL)
		TRY(file_sync(newest->fd));
	for (size_t i = 0; i < j->segments.count; i++) {
		struct segment *segment = &j->segments.list[i];

		if (segment->state == SEGMENT_EMPTY ||
			segment->head.serial < position_serial(j->floor))
			continue;
		TRY(segment_read(segment, &bytes));
		TRY(replay_segment(j, segment, &bytes, segment == newest, reader, self));
	}
	j->new_floor = j->floor;
	j->replayed = true;
	drop_passed(j);
	return OK;
}

Err
journal_read(struct journal *j, uint64_t position, uint16_t *ret_type, struct buf *ret)
{
	const struct segment *segment = segments_find(&j->segments, position_serial(position));
	size_t at = position_place(position), size;
	char head[RECORD_HEAD];
	struct record record;
	char *room;

	buf_reset(ret);
	if (segment == NULL || at < SEGMENT_FIRST || at + RECORD_HEAD > segment->head.size)
		return fail(ERR_PERM, "no such journal record");
	TRY(file_read_at(segment->fd, (off_t)at, head, sizeof(head)));
	if (!record_parse_size((Str){ head, sizeof(head) }, position, &segment->head, &size) ||
		size > segment->head.size - at - RECORD_HEAD)
		return fail(ERR_PERM, "no such journal record");
	room = buf_room(ret, RECORD_HEAD + size);
	if (room == NULL)
		return fail(ERR_TEMP, "no memory for a journal record");
	TRY(file_read_at(segment->fd, (off_t)at, room, RECORD_HEAD + size));
	buf_grew(ret, RECORD_HEAD + size);
	if (!record_parse(buf_view(ret), position, &segment->head, &record))
		return fail(ERR_PERM, "journal record is damaged");
	*ret_type = record.type;
	buf_eat(ret, RECORD_HEAD);
	return OK;
}

static struct segment *
current(const struct journal *j)
{
	return j->current == 0 ? NULL : segments_find(&j->segments, j->current);
}

static size_t
place(const struct journal *j)
{
	return j->written + j->batch.n;
}

size_t
journal_payload_max(const struct journal *j)
{
	return j->settings.segment_size - SEGMENT_FIRST - record_room(BEGIN_MAX) - RECORD_HEAD -
	       RECORD_ALIGN;
}

static bool
fits_segment(const struct journal *j, size_t size)
{
	const struct segment *segment = current(j);

	return segment != NULL && place(j) + record_room(size) <= segment->head.size;
}

bool
journal_fits(const struct journal *j, size_t size)
{
	if (size > journal_payload_max(j))
		return false;
	if (fits_segment(j, size))
		return j->batch.n == 0 || j->batch.n + record_room(size) <= BATCH_MAX;
	/* A new segment would be begun: not while something here is not synced. */
	return current(j) == NULL || place(j) == j->batch_start;
}

bool
journal_has_room(const struct journal *j, size_t size)
{
	return fits_segment(j, size) ||
	       segments_count(&j->segments, SEGMENT_EMPTY) > JOURNAL_HELD_BACK;
}

static void
put_record(struct journal *j, const struct segment *segment, uint16_t type, const Str *parts,
	size_t part_count)
{
	struct record record = { .type = type, .batch = (uint32_t)j->batch_start };

	record.position = position_of(segment->head.serial, place(j));
	record_write(&j->batch, &segment->head, &record, parts, part_count);
}

static void
put_end(struct buf *b, const struct segment *s)
{
	buf_u64(b, position_of(s->head.serial, s->batch));
	buf_u64(b, position_of(s->head.serial, s->end));
}

static void
put_begin(struct journal *j, const struct segment *segment)
{
	AUTO_BUF payload = BUF_INIT(BEGIN_MAX);
	uint32_t n = 0;
	size_t count_at;
	Str part;

	buf_u64(&payload, j->new_floor);
	count_at = payload.n;
	buf_u32(&payload, 0);
	for (size_t i = j->segments.count; i-- > 0 && n < ENDS_MAX;) {
		const struct segment *s = &j->segments.list[i];

		if (s->head.serial >= segment->head.serial || !s->ended ||
			s->head.serial < position_serial(j->floor))
			continue;
		put_end(&payload, s);
		n++;
	}
	buf_set_u32(&payload, count_at, n);
	part = buf_view(&payload);
	put_record(j, segment, TYPE_BEGIN, &part, 1);
}

static bool
disk_has(const struct journal *j, uint64_t octets)
{
	struct statvfs st;

	if (fstatvfs(j->segments.folder, &st) != 0)
		return false;
	return st.f_bavail * st.f_frsize >= octets + j->settings.free_min;
}

static Err
make_now(struct journal *j)
{
	bool done = false;

	/* Not held to free_min: who gets here must go on, and intake was refused before. */
	while (!done)
		TRY(segments_make_step(&j->segments, &done));
	return OK;
}

static Err
begin_segment(struct journal *j)
{
	struct segment *old = current(j), *new;

	if (old != NULL) {
		old->state = SEGMENT_CLOSED;
		old->ended = true;
		old->batch = old->end = j->batch_start;
		j->current = 0;
	}
	if (j->failures > 1 && !moment_past(j->rest_until))
		return fail(ERR_TEMP, "journal rests after failed writes");
	new = segments_first_empty(&j->segments);
	if (new == NULL) {
		TRY(make_now(j));
		new = segments_first_empty(&j->segments);
	}
	new->state = SEGMENT_CURRENT;
	j->current = new->head.serial;
	j->batch_start = j->written = SEGMENT_FIRST;
	put_begin(j, new);
	return OK;
}

Err
journal_next(struct journal *j, size_t size, uint64_t *ret)
{
	assert(j->replayed && journal_fits(j, size));
	if (!fits_segment(j, size))
		TRY(begin_segment(j));
	*ret = position_of(j->current, place(j));
	return OK;
}

Err
journal_add(struct journal *j, uint16_t type, const Str *parts, size_t part_count,
	uint64_t *ret)
{
	uint64_t position;
	size_t size = 0;

	assert(type < JOURNAL_TYPE_OWN);
	for (size_t i = 0; i < part_count; i++)
		size += parts[i].n;
	TRY(journal_next(j, size, &position));
	put_record(j, current(j), type, parts, part_count);
	if (j->batch.bad) {
		/* Nothing of it is on disk; those in the batch learn it from journal_commit. */
		return fail(ERR_TEMP, "no memory for the journal's batch");
	}
	j->figures.records++;
	*ret = position;
	return OK;
}

static void
close_suspect(struct journal *j, struct segment *segment)
{
	segment->state = SEGMENT_SUSPECT;
	segment->ended = true;
	segment->batch = segment->end = j->batch_start;
	j->current = 0;
	j->new_floor = j->floor;
	j->failures++;
	j->figures.failed++;
	j->rest_until = moment_after(REST_AFTER_FAILURE);
	buf_reset(&j->batch);
}

static Err
write_batch(struct journal *j, const struct segment *segment)
{
	Str bytes = buf_view(&j->batch);

	TRY(buf_check(&j->batch));
	TRY(file_write_at(segment->fd, (off_t)j->written, &bytes, 1));
	j->written += bytes.n;
	buf_reset(&j->batch);
	return OK;
}

Err
journal_write(struct journal *j)
{
	struct segment *segment = current(j);
	Err e;

	if (j->batch.n == 0 && !j->batch.bad)
		return OK;
	e = write_batch(j, segment);
	if (failed(e))
		close_suspect(j, segment);
	return e;
}

Err
journal_commit(struct journal *j)
{
	struct segment *segment = current(j);
	Err e;

	TRY(journal_write(j));
	if (segment == NULL || j->written == j->batch_start)
		return OK;
	e = file_sync(segment->fd);
	if (failed(e)) {
		close_suspect(j, segment);
		return e;
	}
	j->failures = 0;
	j->batch_start = j->written;
	j->figures.batches++;
	if (j->new_floor > j->floor) {
		j->floor = j->new_floor;
		drop_passed(j);
	}
	return OK;
}

uint64_t
journal_end(const struct journal *j)
{
	const struct segment *last = NULL;

	if (j->current != 0)
		return position_of(j->current, place(j));
	for (size_t i = 0; i < j->segments.count; i++)
		if (j->segments.list[i].state != SEGMENT_EMPTY)
			last = &j->segments.list[i];
	return last == NULL ? j->floor : position_of(last->head.serial, last->end);
}

uint64_t
journal_floor(const struct journal *j)
{
	return j->floor;
}

Err
journal_set_floor(struct journal *j, uint64_t floor)
{
	AUTO_BUF payload = BUF_INIT(8);
	Str part;

	if (floor <= j->new_floor)
		return OK;
	assert(floor <= journal_end(j) && journal_fits(j, 8));
	buf_u64(&payload, floor);
	if (!fits_segment(j, payload.n))
		TRY(begin_segment(j));
	part = buf_view(&payload);
	put_record(j, current(j), TYPE_FLOOR, &part, 1);
	j->new_floor = floor;
	return OK;
}

Err
journal_prepare(struct journal *j, bool *ret_more)
{
	bool done = false;

	*ret_more = false;
	if (segments_count(&j->segments, SEGMENT_EMPTY) > JOURNAL_HELD_BACK)
		return OK;
	if (j->segments.making.fd < 0 && !disk_has(j, j->settings.segment_size))
		return fail(ERR_TEMP, "disk is too full for another journal segment");
	TRY(segments_make_step(&j->segments, &done));
	*ret_more = !done || segments_count(&j->segments, SEGMENT_EMPTY) <= JOURNAL_HELD_BACK;
	return OK;
}

void
journal_rest(struct journal *j)
{
	if (j->batch.n == 0 && j->batch.cap > REST_MAX)
		buf_trim(&j->batch);
}

bool
journal_oldest(const struct journal *j, uint64_t *ret_behind, size_t *ret_closed)
{
	size_t closed = 0;

	for (size_t i = 0; i < j->segments.count; i++) {
		const struct segment *s = &j->segments.list[i];

		if (s->state == SEGMENT_EMPTY || s->state == SEGMENT_CURRENT ||
			s->head.serial < position_serial(j->floor))
			continue;
		if (closed++ == 0)
			*ret_behind = position_of(s->head.serial + 1, 0);
	}
	*ret_closed = closed;
	return closed > 0;
}

struct journal_figures
journal_figures(const struct journal *j)
{
	struct journal_figures figures = j->figures;

	figures.segments = j->segments.count;
	figures.empty = segments_count(&j->segments, SEGMENT_EMPTY);
	figures.suspect = segments_count(&j->segments, SEGMENT_SUSPECT);
	return figures;
}
