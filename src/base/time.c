/* SPDX-License-Identifier: ISC */
#include "base/time.h"

/* Days since 1970-01-01; years begin in March so that the leap day is the last one. */
static int64_t
days_from_civil(int64_t year, int month, int day)
{
	int64_t era, year_of_era, day_of_year, day_of_era;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	year_of_era = year - era * 400;
	day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
	day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
	return era * 146097 + day_of_era - 719468;
}

struct civil
time_to_civil(Time t)
{
	int64_t seconds = time_seconds(t);
	int64_t days = seconds >= 0 ? seconds / DAY : -((-seconds + DAY - 1) / DAY);
	int64_t rest = seconds - days * DAY;
	int64_t shifted = days + 719468;
	int64_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
	int64_t day_of_era = shifted - era * 146097;
	int64_t year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) /
		365;
	int64_t day_of_year =
		day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	int64_t month_index = (5 * day_of_year + 2) / 153;
	struct civil c;

	c.day = (int)(day_of_year - (153 * month_index + 2) / 5 + 1);
	c.month = (int)(month_index < 10 ? month_index + 3 : month_index - 9);
	c.year = (int)(year_of_era + era * 400 + (c.month <= 2));
	c.hour = (int)(rest / HOUR);
	c.minute = (int)(rest % HOUR / MINUTE);
	c.second = (int)(rest % MINUTE);
	c.weekday = (int)(((days % 7) + 11) % 7);
	return c;
}

Time
time_from_civil(const struct civil *c)
{
	int64_t days = days_from_civil(c->year, c->month, c->day);

	return time_from_seconds(days * DAY + c->hour * HOUR + c->minute * MINUTE + c->second);
}

bool
time_civil_valid(const struct civil *c)
{
	static const int lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = c->year % 4 == 0 && (c->year % 100 != 0 || c->year % 400 == 0);
	int length;

	if (c->month < 1 || c->month > 12)
		return false;
	length = lengths[c->month - 1] + (leap && c->month == 2);
	return c->day >= 1 && c->day <= length && c->hour >= 0 && c->hour <= 23 &&
	       c->minute >= 0 && c->minute <= 59 && c->second >= 0 && c->second <= 60;
}
