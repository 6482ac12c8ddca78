/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * Clocks. Wall time is for people and for what is kept; waiting uses Moment, which runs on while
 * the machine sleeps (CLOCK_BOOTTIME) and never jumps.
 */

#include "base/time.h"

typedef struct Moment {
	int64_t ms; /* since boot */
} Moment;

Time clock_wall(void);
Moment clock_moment(void);
int64_t clock_moment_us(void); /* the same clock in microseconds, for measuring delays */

Moment moment_after(int64_t ms); /* now + ms */
int moment_left(Moment m);       /* milliseconds for poll: 0 when past, -1 for MOMENT_NEVER */
bool moment_past(Moment m);
static const Moment MOMENT_NEVER = { INT64_MAX };
