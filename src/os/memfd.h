/* SPDX-License-Identifier: ISC */
#pragma once

/*
 * A message between processes: a memfd sealed against writing, growing and shrinking, so that what
 * was checked is byte for byte what is stored.
 */

#include "base/str.h"

#include <sys/types.h>

/* An empty one to be written. ERR_TEMP when out of descriptors or memory. */
MUST_USE Err memfd_new(int *ret);
MUST_USE Err memfd_write(int fd, Str s); /* appends */
MUST_USE Err memfd_seal(int fd);
/* Made, written and sealed in one go. */
MUST_USE Err memfd_from(Str s, int *ret);

/* For whoever receives one. ERR_PEER when it is not a sealed memfd of exactly `size` octets. */
MUST_USE Err memfd_check(int fd, size_t size);
/* Reads n octets at `at`. ERR_TEMP when fewer are there. */
MUST_USE Err memfd_read(int fd, off_t at, char *buffer, size_t n);
