/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Time: an instant, microseconds since 1970-01-01 UTC. No clock and no zone data here: os/clock.h
 * has the clock, format/date.h the texts.
 */

#include <stdbool.h>
#include <stdint.h>

typedef struct Time {
	int64_t us;
} Time;

enum {
	MINUTE = 60, /* seconds */
	HOUR = 60 * MINUTE,
	DAY = 24 * HOUR,
};

struct civil {
	int year;                 /* with century */
	int month;                /* 1 to 12 */
	int day;                  /* 1 to 31 */
	int hour, minute, second; /* second may be 60 when read */
	int weekday;              /* 0 is Sunday */
};

static inline Time
time_from_seconds(int64_t seconds)
{
	return (Time){ seconds * 1000000 };
}

static inline int64_t
time_seconds(Time t)
{
	return t.us >= 0 ? t.us / 1000000 : -((-t.us + 999999) / 1000000);
}

static inline Time
time_add_seconds(Time t, int64_t seconds)
{
	return (Time){ t.us + seconds * 1000000 };
}

/* Proleptic Gregorian calendar, UTC. */
struct civil time_to_civil(Time t);
Time time_from_civil(const struct civil *c);
/* True for a day that the calendar has and a time that a clock shows (60 as a leap second). */
bool time_civil_valid(const struct civil *c);
