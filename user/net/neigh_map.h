/* SPDX-License-Identifier: MIT */
/*
 * Which link-layer address has this neighbour? An immutable map for the workers, made anew by the control thread when
 * something changes; the neighbour state machines (the kernel's, and ours in neigh.h) are its business.
 *
 * Open addressing, at most half full. One byte of each entry, the mark of use, is written by workers and read by the
 * control thread, which keeps used neighbours alive.
 */
#ifndef USER_NET_NEIGH_MAP_H
#define USER_NET_NEIGH_MAP_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/fault.h"

#define NEIGH_MAP_MAX 65536u	/* neighbours */

struct neigh_entry {
	uint8_t addr[16];	/* wire order, unused bytes 0 */
	uint16_t iface;
	uint8_t family;		/* AF_INET, AF_INET6; 0: slot empty */
	bool usable;		/* mac may be sent to */
	bool failed;		/* it did not answer: its packets are refused at once */
	bool kernel;		/* the kernel's entry; else ours */
	uint8_t mac[6];
	_Atomic uint8_t used;	/* a worker has sent to it since the map was made */
};

struct neigh_map {
	uint32_t mask;
	uint32_t count;
	struct neigh_entry slots[];
};

/** neigh_map_create() - An empty map for @n neighbours. Return: NULL without memory, or above NEIGH_MAP_MAX */
struct neigh_map *neigh_map_create(uint32_t n, struct fault *f);
void neigh_map_destroy(struct neigh_map *m);

/**
 * neigh_map_add() - Before the map is published. Of two entries of one address the first stays.
 * @entry: copied; its mark of use is cleared
 * Return: false when there is no room
 */
bool neigh_map_add(struct neigh_map *m, const struct neigh_entry *entry);

static inline uint32_t neigh_map_hash(uint64_t hi, uint64_t lo, uint16_t iface)
{
	/* Neighbours are on our links: whoever can choose addresses there has better ways to harm. */
	return (uint32_t)(((hi ^ iface) * UINT64_C(0x9e3779b97f4a7c15) ^ lo) * UINT64_C(0xc2b2ae3d27d4eb4f) >> 32);
}

/** neigh_map_lookup4() - Return: the entry or NULL. @addr in wire order */
static inline struct neigh_entry *neigh_map_lookup4(struct neigh_map *m, uint16_t iface, __be32 addr)
{
	for (uint32_t i = neigh_map_hash(addr, 0, iface);; i++) {
		struct neigh_entry *e = &m->slots[i & m->mask];

		if (likely(wire32_at(e->addr) == addr && e->iface == iface && e->family == AF_INET))
			return e;
		if (e->family == 0)
			return NULL;
	}
}

/** neigh_map_lookup6() - Return: the entry or NULL. @addr: 16 bytes at any alignment */
static inline struct neigh_entry *neigh_map_lookup6(struct neigh_map *m, uint16_t iface, const uint8_t *addr)
{
	uint64_t hi = u64_at(addr), lo = u64_at(addr + 8);

	for (uint32_t i = neigh_map_hash(hi, lo, iface);; i++) {
		struct neigh_entry *e = &m->slots[i & m->mask];

		if (likely(u64_at(e->addr) == hi && u64_at(e->addr + 8) == lo && e->iface == iface &&
			   e->family == AF_INET6))
			return e;
		if (e->family == 0)
			return NULL;
	}
}

/** neigh_map_mark_used() - Any worker. The line is written only once. */
static inline void neigh_map_mark_used(struct neigh_entry *e)
{
	if (unlikely(!atomic_load_explicit(&e->used, memory_order_relaxed)))
		atomic_store_explicit(&e->used, 1, memory_order_relaxed);
}

#endif
