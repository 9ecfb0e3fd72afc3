/* SPDX-License-Identifier: MIT */
#include "common/arena.h"
#include "common/bytes.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#define STEP_UNITS_MIN (64 * 1024 / ARENA_UNIT_BYTES)	/* a multiple of every page size in use */

int arena_init(struct arena *a, size_t limit_bytes, struct fault *f)
{
	size_t units = align_up(limit_bytes / ARENA_UNIT_BYTES, STEP_UNITS_MIN);
	void *base;

	if (units > UINT32_MAX)
		return fault_set(f, EINVAL, "arena of %zu bytes: too large", limit_bytes);
	/* Without access the space is not charged, whatever the policy of overcommitment. */
	base = mmap(NULL, units * ARENA_UNIT_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return fault_errno(f, "reserve %zu bytes of address space", limit_bytes);
	*a = (struct arena){ .base = base, .limit_units = units, .used_units = 1 };
	return 0;
}

void arena_fini(struct arena *a)
{
	if (a->base)
		munmap(a->base, a->limit_units * ARENA_UNIT_BYTES);
	*a = (struct arena){ .base = NULL };
}

int arena_reserve(struct arena *a, size_t units)
{
	size_t want = a->used_units + units, step;

	if (likely(want <= a->committed_units))
		return 0;
	if (want > a->limit_units)
		return -ENOSPC;
	/* An eighth more, so that a large table does not call the kernel for each page and wastes little. */
	step = align_up(max_size(a->committed_units / 8, want - a->committed_units), STEP_UNITS_MIN);
	step = min_size(step, a->limit_units - a->committed_units);
	if (mprotect(a->base + a->committed_units * ARENA_UNIT_BYTES, step * ARENA_UNIT_BYTES, PROT_READ | PROT_WRITE))
		return -ENOMEM;
	a->committed_units += step;
	return 0;
}

static uint32_t list_pop(struct arena *a, uint32_t units)
{
	uint32_t block = a->free_list[units];

	memcpy(&a->free_list[units], arena_at(a, block), sizeof(uint32_t));
	if (!a->free_list[units])
		a->listed[units / 64] &= ~(UINT64_C(1) << units % 64);
	return block;
}

/* The smallest size from @from on whose list has a block, or 0. */
static uint32_t list_from(const struct arena *a, uint32_t from)
{
	for (uint32_t i = from / 64; i < ARRAY_SIZE(a->listed); i++) {
		uint64_t bits = a->listed[i];

		if (i == from / 64)
			bits &= UINT64_MAX << from % 64;
		if (bits)
			return i * 64 + (uint32_t)__builtin_ctzll(bits);
	}
	return 0;
}

uint32_t arena_alloc(struct arena *a, uint32_t units)
{
	uint32_t size, block;

	if (a->free_list[units])
		return list_pop(a, units);
	/* A rest of one unit would be of no use to anybody. */
	size = list_from(a, units + 2);
	if (size) {
		block = list_pop(a, size);
		arena_free(a, block + units, size - units);
		return block;
	}
	block = (uint32_t)a->used_units;
	a->used_units += units;
	return block;
}

void arena_free(struct arena *a, uint32_t block, uint32_t units)
{
	memcpy(arena_at(a, block), &a->free_list[units], sizeof(uint32_t));
	a->free_list[units] = block;
	a->listed[units / 64] |= UINT64_C(1) << units % 64;
}
