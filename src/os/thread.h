/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * A pool of threads, one conversation each, with small stacks and guard pages. Threads are kept for
 * the next conversation: making one costs more than the conversation's first reply. Idle ones end
 * after a few seconds, because the stack that they have touched is memory.
 */

#include "base/err.h"

#include <stddef.h>

struct thread_pool;

enum {
	THREAD_STACK = 64 * 1024,        /* octets; a conversation's own */
	THREAD_STACK_LARGE = 256 * 1024, /* where SQLite or OpenSSL runs deep */
};

/* run(arg) is one conversation. At most `most` at once. */
struct thread_pool *thread_pool_new(size_t most, size_t stack, void (*run)(void *arg),
	const char *name);

/* Hands one over. ERR_TEMP: `most` are busy, or no thread can be made; arg stays the caller's. */
MUST_USE Err thread_pool_run(struct thread_pool *p, void *arg);

/* How many conversations are going on. */
size_t thread_pool_busy(struct thread_pool *p);

/* Waits until none is going on. */
void thread_pool_wait(struct thread_pool *p);
