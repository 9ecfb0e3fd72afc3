/* SPDX-License-Identifier: MIT */
#include "common/spsc.h"

#include <errno.h>
#include <stdlib.h>

int spsc_init(struct spsc *r, uint32_t slots, uint32_t slot_bytes, struct fault *f)
{
	size_t bytes;
	void *mem;

	if (!is_pow2(slots) || slots > 1u << 30)
		return fault_set(f, EINVAL, "ring of %u slots: not a power of two up to 2^30", slots);
	if (slot_bytes == 0 || __builtin_mul_overflow((size_t)slots, (size_t)slot_bytes, &bytes) ||
	    bytes > SIZE_MAX - CACHE_LINE_BYTES)
		return fault_set(f, EINVAL, "ring slots of %u bytes", slot_bytes);
	mem = aligned_alloc(CACHE_LINE_BYTES, align_up(bytes, CACHE_LINE_BYTES));
	if (!mem)
		return fault_set(f, ENOMEM, "ring of %u slots of %u bytes: no memory", slots, slot_bytes);
	memset(mem, 0, bytes);
	*r = (struct spsc){ .slots = mem, .mask = slots - 1, .slot_bytes = slot_bytes };
	return 0;
}

void spsc_fini(struct spsc *r)
{
	free(r->slots);
	r->slots = NULL;
}
