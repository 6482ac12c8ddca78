/* SPDX-License-Identifier: ISC */
#pragma once

/* What the load generators share. They are tools: a failure ends the program with a message. */

#include "base/str.h"

#include <stdint.h>
#include <stdio.h>

/* Ends the program, naming what failed and the system's reason. */
__attribute__((noreturn)) void load_die(const char *what);

unsigned load_number(const char *text, unsigned max); /* dies when it is none */

int64_t load_now_us(void); /* CLOCK_MONOTONIC */

int load_connect(int port); /* to 127.0.0.1, with TCP_NODELAY */
void load_set_nonblocking(int fd);

/*
 * Prints one line of JSON: how many, seconds since `started`, rate, and the delays' (microseconds)
 * p50, p99 and maximum in milliseconds. Sorts them.
 */
void load_report(FILE *out, int64_t started, int64_t *delays, size_t count);
