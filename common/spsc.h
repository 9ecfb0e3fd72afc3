/* SPDX-License-Identifier: MIT */
/*
 * A ring of fixed-size slots between one producer thread and one consumer thread.
 *
 * Theory: head counts slots ever filled, tail slots ever emptied; both run freely modulo 2^32 and never touch in
 * memory. Each side owns one, publishes it with release, and keeps a copy of the other's that it refreshes (acquire)
 * only when the copy does not suffice, so that the cache line of the other side is fetched once per batch and not once
 * per slot. Nothing moves until commit or release: a reservation that is not used costs nothing.
 *
 *	producer			consumer
 *	n = spsc_reserve(r, want)	n = spsc_peek(r, want)
 *	fill spsc_free_slot(r, 0..n-1)	use spsc_slot(r, 0..n-1)
 *	spsc_commit(r, n)		spsc_release(r, n)
 *
 * A consumer that sleeps (on an eventfd) calls spsc_wait_begin() before and spsc_wait_end() after; the producer then
 * uses spsc_commit_wakes(), which says when a wake-up is needed.
 */
#ifndef COMMON_SPSC_H
#define COMMON_SPSC_H

#include "common/bytes.h"
#include "common/fault.h"

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct spsc {
	/* Fixed after init. */
	alignas(CACHE_LINE_BYTES) uint8_t *slots;
	uint32_t mask;
	uint32_t slot_bytes;
	/* The producer's. */
	alignas(CACHE_LINE_BYTES) _Atomic uint32_t head;
	uint32_t seen_tail;
	/* The consumer's. */
	alignas(CACHE_LINE_BYTES) _Atomic uint32_t tail;
	uint32_t seen_head;
	/* Written when the consumer goes to sleep, read by every spsc_commit_wakes(). */
	alignas(CACHE_LINE_BYTES) _Atomic uint32_t waiting;
};

/**
 * spsc_init() - An empty ring.
 * @r:          memory of the caller, at a cache line
 * @slots:      how many slots: a power of two, at most 2^30
 * @slot_bytes: size of one slot; slots are aligned to it where it is a power of two up to 64
 *
 * Return: 0 or -errno
 */
int spsc_init(struct spsc *r, uint32_t slots, uint32_t slot_bytes, struct fault *f);

/** spsc_fini() - Free the slots; both threads are done with the ring. All zeroes is also taken. */
void spsc_fini(struct spsc *r);

/** spsc_reserve() - Producer: how many slots are free, counted no further than @want */
static inline uint32_t spsc_reserve(struct spsc *r, uint32_t want)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	uint32_t n = r->mask + 1 - (head - r->seen_tail);

	if (n < want) {
		r->seen_tail = atomic_load_explicit(&r->tail, memory_order_acquire);
		n = r->mask + 1 - (head - r->seen_tail);
	}
	return n < want ? n : want;
}

/** spsc_free_slot() - Producer: the @i-th reserved slot, counted from 0 */
static inline void *spsc_free_slot(const struct spsc *r, uint32_t i)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	return r->slots + (size_t)((head + i) & r->mask) * r->slot_bytes;
}

/** spsc_commit() - Producer: hand the first @n reserved slots over */
static inline void spsc_commit(struct spsc *r, uint32_t n)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	atomic_store_explicit(&r->head, head + n, memory_order_release);
}

/**
 * spsc_commit_wakes() - spsc_commit() to a consumer that may sleep.
 *
 * Return: true when the consumer waits and must be woken; true only once for each spsc_wait_begin()
 */
static inline bool spsc_commit_wakes(struct spsc *r, uint32_t n)
{
	uint32_t head = atomic_load_explicit(&r->head, memory_order_relaxed);

	/*
	 * Sequentially consistent on both sides: of "head is stored, waiting is read" here and "waiting is stored,
	 * head is read" in spsc_wait_begin(), one must see the other.
	 */
	atomic_store_explicit(&r->head, head + n, memory_order_seq_cst);
	if (likely(!atomic_load_explicit(&r->waiting, memory_order_seq_cst)))
		return false;
	return atomic_exchange_explicit(&r->waiting, 0, memory_order_relaxed) != 0;
}

/** spsc_peek() - Consumer: how many slots are filled, counted no further than @want */
static inline uint32_t spsc_peek(struct spsc *r, uint32_t want)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	uint32_t n = r->seen_head - tail;

	if (n < want) {
		r->seen_head = atomic_load_explicit(&r->head, memory_order_acquire);
		n = r->seen_head - tail;
	}
	return n < want ? n : want;
}

/** spsc_slot() - Consumer: the @i-th filled slot, counted from 0 */
static inline void *spsc_slot(const struct spsc *r, uint32_t i)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	return r->slots + (size_t)((tail + i) & r->mask) * r->slot_bytes;
}

/** spsc_release() - Consumer: give the first @n filled slots back */
static inline void spsc_release(struct spsc *r, uint32_t n)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->tail, tail + n, memory_order_release);
}

/**
 * spsc_wait_begin() - Consumer: say that it is about to sleep.
 *
 * Return: true when the ring is empty and the next commit will wake; false when there is work after all
 */
static inline bool spsc_wait_begin(struct spsc *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);

	atomic_store_explicit(&r->waiting, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&r->head, memory_order_seq_cst) == tail)
		return true;
	atomic_store_explicit(&r->waiting, 0, memory_order_relaxed);
	return false;
}

/** spsc_wait_end() - Consumer: awake again, for whatever reason */
static inline void spsc_wait_end(struct spsc *r)
{
	atomic_store_explicit(&r->waiting, 0, memory_order_relaxed);
}

/** spsc_count() - Filled slots, for statistics: any thread, out of date when it returns */
static inline uint32_t spsc_count(const struct spsc *r)
{
	uint32_t tail = atomic_load_explicit(&r->tail, memory_order_acquire);
	uint32_t n = atomic_load_explicit(&r->head, memory_order_acquire) - tail;

	return n <= r->mask ? n : r->mask + 1;	/* the tail may have moved in between */
}

#endif
