/* SPDX-License-Identifier: MIT */
/*
 * Longest-prefix match for keys of 32 and 128 bits: one writer, any number of readers that take no lock.
 *
 * Theory: a trie with 6 bits per level. The first 18 bits index a table, "top"; below it a node covers 64 slots, and
 * one u32 entry stands for each run of slots that belong to the same prefix (or for one slot that has a node below).
 * Bit s of the node's "ends" says that a run ends at slot s (but for the last run), so the number of bits at or above s
 * is the index of the entry of slot s: entries lie in reverse order, that of the last run first. Prefixes are pushed
 * down to the entries: the first leaf on the way is the answer, and a lookup never goes back. An IPv4 lookup reads the
 * table, and for what is longer than /18 one node, for what is longer than /24 two.
 *
 * The writer has a second trie of the same shape, in which each node lists the prefixes that end in its 6 bits (a
 * bitmap and their values) and its children: the routes themselves. It says what is below a prefix that comes or goes.
 * Where runs end depends on prefixes and not on values; so a new value is stored in place, entry by entry, and a
 * prefix that comes or goes changes the shape of one node only. That node is copied, published by one store, and
 * the old one is reused when the epoch has passed. A reader sees each entry before or after, never a mixture; over a
 * change that touches several entries it may see some before and some after.
 *
 * No update fails half-way: the memory that the largest may need is made available before it starts. A removal that
 * gets none works in place.
 */
#ifndef COMMON_LPM_H
#define COMMON_LPM_H

#include "common/bytes.h"
#include "common/epoch.h"
#include "common/fault.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LPM_NONE	UINT32_C(0x7fffffff)	/* no prefix matches */
#define LPM_VALUE_MAX	(LPM_NONE - 1)
#define LPM_PREFIXES_MAX 8388608u		/* bound on what a peer gone mad can make us hold */

#define LPM_TOP_BITS	18
#define LPM_STRIDE_BITS 6
#define LPM_NODE_FLAG	UINT32_C(0x80000000)	/* entry: a node below, not a value */

/* Fixed when created; a reader may keep the pointer. */
struct lpm {
	const _Atomic uint32_t *top;	/* 2^LPM_TOP_BITS entries */
	uintptr_t node_bias;		/* + 8 * entry, the flag included = address of the node's entries */
};

struct lpm_node {
	uint64_t ends;			/* bit 63, the end of the last run, is left out */
	_Atomic uint32_t entry[];	/* that of the last run, then one for each bit of ends, the highest first */
};

/**
 * lpm_create() - An empty table.
 * @key_bits: 32 or 128
 * @epoch:    what the readers are registered with; NULL where nobody reads while the writer writes
 *
 * Return: 0 or -errno
 */
int lpm_create(struct lpm **out, unsigned int key_bits, struct epoch *epoch, struct fault *f);

/** lpm_destroy() - Free it; no reader is left. NULL is also taken. */
void lpm_destroy(struct lpm *l);

/**
 * lpm_set() - Writer: add a prefix or replace its value.
 * @key:   in network order, key_bits long; bits after the prefix are ignored
 * @plen:  0 to key_bits
 * @value: 0 to LPM_VALUE_MAX
 *
 * Return: 0, -EINVAL, -ENOSPC at LPM_PREFIXES_MAX, -ENOMEM; with an error nothing has changed
 */
int lpm_set(struct lpm *l, const void *key, unsigned int plen, uint32_t value);

/** lpm_del() - Writer: remove a prefix; takes no memory. Return: 0, -ENOENT, -EINVAL */
int lpm_del(struct lpm *l, const void *key, unsigned int plen);

/** lpm_get() - Writer: the value of exactly this prefix, or LPM_NONE */
uint32_t lpm_get(const struct lpm *l, const void *key, unsigned int plen);

/** lpm_match() - Writer: the value of the longest prefix that matches @key, and its length, or LPM_NONE */
uint32_t lpm_match(const struct lpm *l, const void *key, unsigned int *plen);

/** lpm_count() - Writer: number of prefixes */
size_t lpm_count(const struct lpm *l);

/** lpm_bytes() - Writer: memory taken from the system for this table, all included */
size_t lpm_bytes(const struct lpm *l);

/**
 * lpm_walk() - Writer: call @fn for each prefix, in order of address, then of length.
 * @fn: may not change the table; key is 4 or 16 bytes, as the table's; non-zero ends the walk
 *
 * Return: 0 or what @fn returned
 */
int lpm_walk(const struct lpm *l, int (*fn)(void *ctx, const uint8_t *key, unsigned int plen, uint32_t value),
	     void *ctx);

/* Entry of slot @s in the node that @entry refers to. */
static inline uint32_t lpm_step(uintptr_t node_bias, uint32_t entry, uint64_t s)
{
	/* By the entries' address and not by the node's: one addition less in each step. */
	const _Atomic uint32_t *entries = (const _Atomic uint32_t *)(node_bias + (uintptr_t)entry * 8);
	const struct lpm_node *n = container_of(entries, const struct lpm_node, entry);

	return atomic_load_explicit(&entries[(size_t)__builtin_popcountll(n->ends >> s)], memory_order_acquire);
}

/** lpm_lookup4() - Any reader: value for an address in host order, or LPM_NONE */
static inline uint32_t lpm_lookup4(const struct lpm *l, uint32_t addr)
{
	uint32_t entry = atomic_load_explicit(&l->top[addr >> (32 - LPM_TOP_BITS)], memory_order_acquire);
	uintptr_t node_bias = l->node_bias;

	for (uint32_t rest = addr << LPM_TOP_BITS; entry & LPM_NODE_FLAG; rest <<= LPM_STRIDE_BITS)
		entry = lpm_step(node_bias, entry, rest >> (32 - LPM_STRIDE_BITS));
	return entry;
}

/** lpm_lookup6() - Any reader: value for an address in network order, or LPM_NONE */
static inline uint32_t lpm_lookup6(const struct lpm *l, const void *addr)
{
	unsigned __int128 rest = (unsigned __int128)be64_at(addr) << 64 | be64_at((const uint8_t *)addr + 8);
	uint32_t entry = atomic_load_explicit(&l->top[rest >> (128 - LPM_TOP_BITS)], memory_order_acquire);
	uintptr_t node_bias = l->node_bias;

	for (rest <<= LPM_TOP_BITS; entry & LPM_NODE_FLAG; rest <<= LPM_STRIDE_BITS)
		entry = lpm_step(node_bias, entry, (uint64_t)(rest >> (128 - LPM_STRIDE_BITS)));
	return entry;
}

#endif
