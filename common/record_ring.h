/* SPDX-License-Identifier: MIT */
/*
 * A ring of records of varying length between one producer thread and one consumer thread: captures.
 *
 * Theory: a byte ring whose records are contiguous and start at multiples of 8. A record that does not fit before the
 * end is put at the start, with a marker where it would have begun. head and tail count bytes and run freely; as in
 * spsc.h each side owns one and keeps a copy of the other's.
 */
#ifndef COMMON_RECORD_RING_H
#define COMMON_RECORD_RING_H

#include <stdalign.h>
#include <stdatomic.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/fault.h"

struct record_ring {
	alignas(CACHE_LINE_BYTES) uint8_t *bytes;
	uint32_t size;			/* a power of two */
	alignas(CACHE_LINE_BYTES) _Atomic uint32_t head;
	uint32_t seen_tail;
	uint32_t reserved;		/* bytes of the open reservation, markers included */
	alignas(CACHE_LINE_BYTES) _Atomic uint32_t tail;
	uint32_t seen_head;
};

/** record_ring_init() - @size: bytes, a power of two from 4096 on. Return: 0 or -errno */
int record_ring_init(struct record_ring *r, uint32_t size, struct fault *f);
void record_ring_fini(struct record_ring *r);

/**
 * record_ring_reserve() - Producer: room for one record of @len bytes, aligned to 8.
 * Return: where to write it, or NULL when the ring is too full (or @len could never fit)
 */
void *record_ring_reserve(struct record_ring *r, uint32_t len);

/** record_ring_commit() - Producer: hand over what was reserved last. */
void record_ring_commit(struct record_ring *r);

/** record_ring_peek() - Consumer: the oldest record, or NULL; @len receives its length. */
const void *record_ring_peek(struct record_ring *r, uint32_t *len);

/** record_ring_release() - Consumer: give back what record_ring_peek() returned last. */
void record_ring_release(struct record_ring *r);

#endif
