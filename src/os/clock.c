/* SPDX-License-Identifier: ISC */
#include "os/clock.h"

#include <limits.h>
#include <time.h>

static struct timespec
read_clock(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return now;
}

Time
clock_wall(void)
{
	struct timespec now = read_clock(CLOCK_REALTIME);

	return (Time){ (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000 };
}

int64_t
clock_moment_us(void)
{
	struct timespec now = read_clock(CLOCK_BOOTTIME);

	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

Moment
clock_moment(void)
{
	return (Moment){ clock_moment_us() / 1000 };
}

Moment
moment_after(int64_t ms)
{
	return (Moment){ clock_moment().ms + ms };
}

int
moment_left(Moment m)
{
	int64_t left;

	if (m.ms == MOMENT_NEVER.ms)
		return -1;
	left = m.ms - clock_moment().ms;
	if (left < 0)
		return 0;
	return left > INT_MAX ? INT_MAX : (int)left;
}

bool
moment_past(Moment m)
{
	return m.ms != MOMENT_NEVER.ms && clock_moment().ms >= m.ms;
}
