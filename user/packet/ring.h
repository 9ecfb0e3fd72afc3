/* SPDX-License-Identifier: MIT */
/*
 * One of the four rings of an AF_XDP socket: single producer, single consumer, in memory shared with the kernel.
 *
 * Each side keeps its own index and a cached copy of the other's, which is read again only when the cached one does not
 * suffice. Nothing is ever reserved: the producer writes as many entries as are free and publishes exactly these, so
 * that its index cannot run ahead of what was written.
 *
 * The memory port (memport.h) lays out the same rings in plain memory and plays the kernel's side with the same
 * functions.
 */
#ifndef USER_PACKET_RING_H
#define USER_PACKET_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/if_xdp.h>

struct ring {
	uint32_t prod;			/* producer: next to write; consumer: what is known of it */
	uint32_t cons;			/* consumer: next to read; producer: what is known of it */
	uint32_t mask;
	uint32_t size;			/* a power of two */
	_Atomic uint32_t *producer;	/* the shared ones */
	_Atomic uint32_t *consumer;
	_Atomic uint32_t *flags;	/* XDP_RING_NEED_WAKEUP; NULL when the kernel has none */
	union {
		struct xdp_desc *descs;	/* reception and transmission */
		uint64_t *addrs;	/* fill and completion */
	};
};

/** ring_prod_free() - Producer: how many entries can be written; looks at the consumer if fewer than @want are known */
static inline uint32_t ring_prod_free(struct ring *r, uint32_t want)
{
	uint32_t n = r->size - (r->prod - r->cons);

	if (n < want) {
		r->cons = atomic_load_explicit(r->consumer, memory_order_acquire);
		n = r->size - (r->prod - r->cons);
	}
	return n;
}

/** ring_prod_publish() - Producer: hand over what was written up to r->prod */
static inline void ring_prod_publish(struct ring *r)
{
	atomic_store_explicit(r->producer, r->prod, memory_order_release);
}

/** ring_cons_avail() - Consumer: how many entries can be read; looks at the producer if fewer than @want are known */
static inline uint32_t ring_cons_avail(struct ring *r, uint32_t want)
{
	uint32_t n = r->prod - r->cons;

	if (n < want) {
		r->prod = atomic_load_explicit(r->producer, memory_order_acquire);
		n = r->prod - r->cons;
	}
	return n;
}

/** ring_cons_release() - Consumer: give back what was read up to r->cons */
static inline void ring_cons_release(struct ring *r)
{
	atomic_store_explicit(r->consumer, r->cons, memory_order_release);
}

/** ring_unread() - Producer: how many published entries the consumer has not taken */
static inline uint32_t ring_unread(const struct ring *r)
{
	return r->prod - atomic_load_explicit(r->consumer, memory_order_acquire);
}

/** ring_needs_wakeup() - Does the kernel sleep until a system call? */
static inline bool ring_needs_wakeup(const struct ring *r)
{
	return !r->flags || (atomic_load_explicit(r->flags, memory_order_relaxed) & XDP_RING_NEED_WAKEUP);
}

#endif
