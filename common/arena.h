/* SPDX-License-Identifier: MIT */
/*
 * Memory for very many small blocks of a few sizes that are named by a 32-bit index: half a pointer each, no header
 * per block, and a base address that never changes, so that readers in other threads may hold it for good.
 *
 * Address space for the limit is reserved at once and made accessible in steps. Blocks are whole units; a freed block
 * goes to the list of its size, and is handed out again or split. Neighbours are not joined: sizes that are in
 * use once are in use again in the tables that this serves.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include "common/fault.h"

#include <stddef.h>
#include <stdint.h>

#define ARENA_UNIT_BYTES 8
#define ARENA_UNITS_MAX	 127u		/* largest block */

struct arena {
	uint8_t *base;
	size_t limit_units;		/* reserved */
	size_t committed_units;		/* accessible */
	size_t used_units;		/* handed out at least once; unit 0 is never, so that 0 can mean "none" */
	uint64_t listed[2];		/* bit n: free_list[n] is not empty */
	uint32_t free_list[ARENA_UNITS_MAX + 1];
};

/** arena_init() - Reserve address space for @limit_bytes. Return: 0 or -errno */
int arena_init(struct arena *a, size_t limit_bytes, struct fault *f);

/** arena_fini() - Give everything back. All zeroes is also taken. */
void arena_fini(struct arena *a);

/**
 * arena_reserve() - Make sure that the next arena_alloc() calls, of @units together, cannot fail.
 *
 * Return: 0, -ENOSPC at the limit, -ENOMEM when the kernel refuses
 */
int arena_reserve(struct arena *a, size_t units);

/** arena_alloc() - A block of 1 to ARENA_UNITS_MAX units, within what was reserved. Its content is arbitrary. */
uint32_t arena_alloc(struct arena *a, uint32_t units);

/** arena_free() - Give a block back; @units as it was allocated */
void arena_free(struct arena *a, uint32_t block, uint32_t units);

/** arena_at() - The block's memory */
static inline void *arena_at(const struct arena *a, uint32_t block)
{
	return a->base + (size_t)block * ARENA_UNIT_BYTES;
}

/** arena_bytes() - Memory that is taken from the system */
static inline size_t arena_bytes(const struct arena *a)
{
	return a->committed_units * ARENA_UNIT_BYTES;
}

#endif
