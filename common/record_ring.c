/* SPDX-License-Identifier: MIT */
#include "common/record_ring.h"

#include <errno.h>
#include <stdlib.h>

#define HEAD_BYTES 8u		/* length, and padding that keeps records aligned */
#define WRAP UINT32_MAX		/* length of a marker: go on at the start */

int record_ring_init(struct record_ring *r, uint32_t size, struct fault *f)
{
	if (!is_pow2(size) || size < 4096 || size > 1u << 30)
		return fault_set(f, EINVAL, "record ring of %u bytes: not a power of two from 4096 to 2^30", size);
	*r = (struct record_ring){ .bytes = aligned_alloc(CACHE_LINE_BYTES, size), .size = size };
	if (!r->bytes)
		return fault_set(f, ENOMEM, "no memory for a ring of %u bytes", size);
	return 0;
}

void record_ring_fini(struct record_ring *r)
{
	free(r->bytes);
	r->bytes = NULL;
}

static uint32_t record_bytes(uint32_t len)
{
	return HEAD_BYTES + (uint32_t)align_up(len, 8);
}

void *record_ring_reserve(struct record_ring *r, uint32_t len)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint32_t at = head & (r->size - 1), need, skip = 0;

	/* Half the ring, head included: that fits before the end or behind the wrap, wherever an empty ring stands. */
	if (len > r->size / 2 - HEAD_BYTES)
		return NULL;
	need = record_bytes(len);
	if (at + need > r->size)
		skip = r->size - at;
	if (r->size - (head - r->seen_tail) < skip + need) {
		r->seen_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
		if (r->size - (head - r->seen_tail) < skip + need)
			return NULL;
	}
	if (skip) {
		uint32_t wrap = WRAP;

		memcpy(r->bytes + at, &wrap, sizeof(wrap));
		at = 0;
	}
	memcpy(r->bytes + at, &len, sizeof(len));
	r->reserved = skip + need;
	return r->bytes + at + HEAD_BYTES;
}

void record_ring_commit(struct record_ring *r)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	atomic_store_explicit(&r->head, head + r->reserved, memory_order_release);
	r->reserved = 0;
}

const void *record_ring_peek(struct record_ring *r, uint32_t *len)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed), at;

	if (r->seen_head == tail) {
		r->seen_head = atomic_load_explicit(&r->head, memory_order_acquire);
		if (r->seen_head == tail)
			return NULL;
	}
	at = tail & (r->size - 1);
	memcpy(len, r->bytes + at, sizeof(*len));
	if (*len == WRAP) {
		atomic_store_explicit(&r->tail, tail + (r->size - at), memory_order_release);
		at = 0;
		memcpy(len, r->bytes, sizeof(*len));
	}
	return r->bytes + at + HEAD_BYTES;
}

void record_ring_release(struct record_ring *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed), len;

	memcpy(&len, r->bytes + (tail & (r->size - 1)), sizeof(len));
	atomic_store_explicit(&r->tail, tail + record_bytes(len), memory_order_release);
}
