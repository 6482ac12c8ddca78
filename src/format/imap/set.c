/* SPDX-License-Identifier: ISC */
#include "format/imap/set.h"

#include <stdlib.h>

/* seq-number = nz-number / "*" */
static bool
take_number(struct cursor *c, uint32_t *ret)
{
	uint64_t number;

	if (cursor_take_char(c, '*')) {
		*ret = IMAP_STAR;
		return true;
	}
	if (!str_to_u64(cursor_while(c, char_is_digit), UINT32_MAX, &number) || number == 0)
		return false;
	*ret = (uint32_t)number;
	return true;
}

Err
imap_set_parse(Str s, struct arena *a, struct imap_set *ret)
{
	struct imap_set set = { .count = 1 };
	struct cursor c = cursor_of(s);

	if (str_eq(s, S("$"))) {
		*ret = (struct imap_set){ .saved = true };
		return OK;
	}
	for (size_t i = 0; i < s.n; i++)
		set.count += str_at(s, i) == ',';
	set.ranges = arena_try_array(a, set.count, sizeof(*set.ranges));
	if (set.ranges == NULL)
		return fail(ERR_LIMIT, "sequence set too long");
	for (size_t i = 0; i < set.count; i++) {
		struct imap_range *r = &set.ranges[i];

		if (i > 0)
			cursor_need_char(&c, ',');
		if (!take_number(&c, &r->first))
			return fail(ERR_PEER, "not a sequence set");
		r->last = r->first;
		if (cursor_take_char(&c, ':') && !take_number(&c, &r->last))
			return fail(ERR_PEER, "not a sequence set");
	}
	if (c.bad || c.rest.n > 0)
		return fail(ERR_PEER, "not a sequence set");
	*ret = set;
	return OK;
}

static int
compare_ranges(const void *a, const void *b)
{
	const struct imap_range *x = a, *y = b;

	return x->first < y->first ? -1 : x->first > y->first;
}

void
imap_set_settle(struct imap_set *set, uint32_t largest)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->count; i++) {
		struct imap_range r = set->ranges[i];
		uint32_t first = r.first == IMAP_STAR ? largest : r.first;
		uint32_t last = r.last == IMAP_STAR ? largest : r.last;

		if (first == 0 || last == 0)
			continue;
		set->ranges[kept].first = first < last ? first : last;
		set->ranges[kept].last = first < last ? last : first;
		kept++;
	}
	set->count = kept;
	if (kept < 2)
		return;
	qsort(set->ranges, kept, sizeof(*set->ranges), compare_ranges);
	kept = 1;
	for (size_t i = 1; i < set->count; i++) {
		struct imap_range *before = &set->ranges[kept - 1], r = set->ranges[i];

		if (before->last == UINT32_MAX || r.first <= before->last + 1) {
			if (r.last > before->last)
				before->last = r.last;
			continue;
		}
		set->ranges[kept++] = r;
	}
	set->count = kept;
}

bool
imap_set_has(const struct imap_set *set, uint32_t number)
{
	size_t low = 0, high = set->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (set->ranges[middle].last < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < set->count && set->ranges[low].first <= number;
}

static void
put_range(struct imap_set_writer *w, struct buf *b)
{
	if (w->any)
		buf_put_char(b, ',');
	w->any = true;
	buf_put_u64(b, w->first);
	if (w->last == w->first)
		return;
	buf_put_char(b, ':');
	buf_put_u64(b, w->last);
}

void
imap_set_add(struct imap_set_writer *w, struct buf *b, uint32_t number)
{
	if (w->first != 0 && number == w->last + 1) {
		w->last = number;
		return;
	}
	imap_set_end(w, b);
	w->first = w->last = number;
}

void
imap_set_end(struct imap_set_writer *w, struct buf *b)
{
	if (w->first != 0)
		put_range(w, b);
	w->first = w->last = 0;
}
