/* SPDX-License-Identifier: MIT */
/*
 * Counters that one thread writes and any other may read while it does.
 *
 * The writer counts by plain additions to an aligned 64-bit field, which every machine of 64 bits stores in one piece;
 * the kernel reads the same fields for bpftool. A reader sees a value that the counter had a moment ago, never a
 * mixture, and of several counters not all from the same moment unless the writer rests.
 */
#ifndef COMMON_COUNTER_H
#define COMMON_COUNTER_H

#include <assert.h>
#include <stdint.h>

static_assert(sizeof(void *) == 8, "a 64-bit store is one store");

/*
 * TSan is not told of the read: it takes every one beside a plain write for a race, and to make the writer's additions
 * atomic would cost the packet path two instructions each for nothing.
 */
#if defined(__SANITIZE_THREAD__)
#define COUNTER_READ_ATTRS __attribute__((no_sanitize("thread"), noinline, unused))
#else
#define COUNTER_READ_ATTRS inline
#endif

/** counter_read() - Any thread: the value of another thread's counter. @counter: 64 bits, aligned */
static COUNTER_READ_ATTRS uint64_t counter_read(const void *counter)
{
	return *(const volatile uint64_t *)counter;
}

#endif
