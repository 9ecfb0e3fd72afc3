/* SPDX-License-Identifier: MIT */
#include "common/lpm.h"
#include "common/arena.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SLOTS	       64u
#define LAST_END       (UINT64_C(1) << (SLOTS - 1))
#define KEY_BITS_MAX   128u
#define TOP_BYTES      (sizeof(_Atomic uint32_t) << LPM_TOP_BITS)
#define SPACE_BYTES    (UINT64_C(1) << 32)	/* address space for the tries: far more than IPv4 can need */
#define RETIRED_MIN    64u
#define LEVELS_MAX     (KEY_BITS_MAX / LPM_STRIDE_BITS + 1)

typedef unsigned __int128 u128;		/* left-aligned: a 32-bit key is in the topmost bits */

/*
 * Node of the writer's trie, in the same arena as the readers' nodes. A prefix that ends r bits (0 to 6) into the node
 * with the value b is bit (1 << r) + b of "present", as a binary heap is numbered: lengths 0 to 5 are the first word,
 * length 6 is the second. r is 0 in the root alone, for the default route. The values of the prefixes follow in order
 * of their bits, then the children in order of their slots.
 */
struct route_node {
	uint64_t present[2];
	uint64_t children;
	uint32_t item[];
};

#define ROUTE_NODE_UNITS(items) ((uint32_t)(sizeof(struct route_node) / ARENA_UNIT_BYTES) + ((items) + 1) / 2)
#define LPM_NODE_UNITS(entries) ((uint32_t)(sizeof(struct lpm_node) / ARENA_UNIT_BYTES) + ((entries) + 1) / 2)

static_assert(sizeof(struct route_node) % ARENA_UNIT_BYTES == 0, "items start at a unit");
static_assert(sizeof(struct lpm_node) == ARENA_UNIT_BYTES, "entries start at a unit");
static_assert(ROUTE_NODE_UNITS(127 + 64) <= ARENA_UNITS_MAX, "the largest node is a block");
static_assert(LPM_TOP_BITS % LPM_STRIDE_BITS == 0, "nodes begin where the top table ends");

/*
 * The most that one update allocates: one node of each kind is copied and perhaps the pair above it (a child comes or
 * goes), and the rest of the path is new pairs of one child each.
 */
#define PAIR_UNITS_MAX	 (ROUTE_NODE_UNITS(127 + 64) + LPM_NODE_UNITS(64))
#define PAIR_UNITS_NEW	 (ROUTE_NODE_UNITS(1) + LPM_NODE_UNITS(3))
#define UPDATE_UNITS_MAX (2 * PAIR_UNITS_MAX + LEVELS_MAX * PAIR_UNITS_NEW)

struct retired {
	uint64_t stamp;
	uint32_t block, units;
};

struct table {
	struct lpm lpm;			/* what readers know */
	_Atomic uint32_t *top;
	struct arena arena;
	uint32_t root;			/* route_node */
	unsigned int key_bits;
	size_t count;
	struct epoch *epoch;
	/* Nodes that a reader may still hold: a ring, oldest first. */
	struct retired *retired;
	size_t retired_first, retired_count, retired_cap, retired_look;
};

/* Where an update is: one element for each level from the root down. */
struct level {
	uint32_t route;		/* block of the route_node */
	uint32_t slot;		/* where the key goes on */
	uint32_t inherited;	/* value of the longest prefix that ends above this node */
};

static struct table *table_of(const struct lpm *l)
{
	return (struct table *)(uintptr_t)l;	/* first member */
}

static struct route_node *route_at(const struct table *t, uint32_t block)
{
	return arena_at(&t->arena, block);
}

static struct lpm_node *node_at(const struct table *t, uint32_t entry)
{
	return arena_at(&t->arena, entry & ~LPM_NODE_FLAG);
}

static unsigned int popcount(uint64_t v)
{
	return (unsigned int)__builtin_popcountll(v);
}

/* Bits below @n; @n is at most 64. */
static uint64_t below(unsigned int n)
{
	return n < 64 ? (UINT64_C(1) << n) - 1 : UINT64_MAX;
}

static u128 key_load(const struct table *t, const void *key, unsigned int plen)
{
	u128 k = (u128)be32_at(key) << 96;

	if (t->key_bits == 128)
		k = (u128)be64_at(key) << 64 | be64_at((const uint8_t *)key + 8);
	return plen ? k >> (KEY_BITS_MAX - plen) << (KEY_BITS_MAX - plen) : 0;
}

/* The 6 bits of the key at @depth; past the key's end zeroes follow. */
static uint32_t key_slot(u128 k, unsigned int depth)
{
	return (uint32_t)(k << depth >> (KEY_BITS_MAX - LPM_STRIDE_BITS));
}

static uint32_t key_top(u128 k)
{
	return (uint32_t)(k >> (KEY_BITS_MAX - LPM_TOP_BITS));
}

/* The first index in the top table of the node at @depth on the key's way; of use down to the table's depth. */
static uint32_t node_top(u128 k, unsigned int depth)
{
	return depth < LPM_TOP_BITS ? key_top(k) >> (LPM_TOP_BITS - depth) << (LPM_TOP_BITS - depth) : key_top(k);
}

/* The depth of the node in which a prefix ends: a multiple of the stride. */
static unsigned int depth_of(unsigned int plen)
{
	return plen ? (plen - 1) / LPM_STRIDE_BITS * LPM_STRIDE_BITS : 0;
}

/* ---- Route nodes ------------------------------------------------------------------------------------------------- */

static bool has_prefix(const struct route_node *n, uint32_t bit)
{
	return n->present[bit / 64] >> bit % 64 & 1;
}

static bool has_child(const struct route_node *n, uint32_t slot)
{
	return n->children >> slot & 1;
}

static unsigned int n_values(const struct route_node *n)
{
	return popcount(n->present[0]) + popcount(n->present[1]);
}

static unsigned int n_items(const struct route_node *n)
{
	return n_values(n) + popcount(n->children);
}

static unsigned int value_index(const struct route_node *n, uint32_t bit)
{
	return popcount(n->present[0] & below(bit < 64 ? bit : 64)) +
	       popcount(n->present[1] & below(bit < 64 ? 0 : bit - 64));
}

static unsigned int child_index(const struct route_node *n, uint32_t slot)
{
	return n_values(n) + popcount(n->children & below(slot));
}

/* The value of the longest prefix in the node, of @r_max bits at most, that covers @slot; else @inherited. */
static uint32_t node_match(const struct route_node *n, uint32_t slot, unsigned int r_max, uint32_t inherited)
{
	for (unsigned int r = r_max + 1; r-- > 0;) {
		uint32_t bit = (1u << r) + (slot >> (LPM_STRIDE_BITS - r));

		if (has_prefix(n, bit))
			return n->item[value_index(n, bit)];
	}
	return inherited;
}

/* The slots of a prefix of @r bits with the value @b. */
static uint64_t slots_of(unsigned int r, uint32_t b)
{
	unsigned int width = SLOTS >> r;

	return below(width) << b * width;
}

/* The slots that prefixes of more than @r bits in the node cover. @r is -1 for all. */
static uint64_t slots_covered(const struct route_node *n, int r)
{
	uint64_t covered = r < LPM_STRIDE_BITS ? n->present[1] : 0;
	uint64_t bits = n->present[0] & ~below(1u << (r + 1));

	for (; bits; bits &= bits - 1) {
		unsigned int bit = (unsigned int)__builtin_ctzll(bits), len = 31 - (unsigned int)__builtin_clz(bit);

		covered |= slots_of(len, bit - (1u << len));
	}
	return covered;
}

/* Where the runs of the readers' node end: on both sides of each prefix and of each child. */
static uint64_t run_ends(const struct route_node *n)
{
	uint64_t single = n->present[1] | n->children;		/* each a run of its own */
	uint64_t ends = single | single >> 1;

	for (uint64_t bits = n->present[0] & ~UINT64_C(3); bits; bits &= bits - 1) {
		unsigned int bit = (unsigned int)__builtin_ctzll(bits), len = 31 - (unsigned int)__builtin_clz(bit);
		unsigned int width = SLOTS >> len, first = (bit - (1u << len)) * width;

		ends |= UINT64_C(1) << (first + width - 1);
		if (first)
			ends |= UINT64_C(1) << (first - 1);
	}
	return ends & ~LAST_END;
}

/* Copy a node with one item more; the old one is freed. Only the writer knows it: no need to wait. */
static uint32_t route_insert(struct table *t, uint32_t block, unsigned int at, uint32_t item)
{
	struct route_node *old = route_at(t, block), *n;
	unsigned int items = n_items(old);
	uint32_t copy = arena_alloc(&t->arena, ROUTE_NODE_UNITS(items + 1));

	n = route_at(t, copy);
	memcpy(n, old, sizeof(*n) + at * sizeof(n->item[0]));
	n->item[at] = item;
	memcpy(&n->item[at + 1], &old->item[at], (items - at) * sizeof(n->item[0]));
	arena_free(&t->arena, block, ROUTE_NODE_UNITS(items));
	return copy;
}

/* Without room, close the gap in place: what is left over at the end may be too small to be of use again. */
static uint32_t route_remove(struct table *t, uint32_t block, unsigned int at, bool room)
{
	struct route_node *old = route_at(t, block), *n;
	unsigned int items = n_items(old);
	uint32_t copy, units = ROUTE_NODE_UNITS(items - 1);

	if (!room) {
		memmove(&old->item[at], &old->item[at + 1], (items - 1 - at) * sizeof(old->item[0]));
		if (ROUTE_NODE_UNITS(items) > units)
			arena_free(&t->arena, block + units, ROUTE_NODE_UNITS(items) - units);
		return block;
	}
	copy = arena_alloc(&t->arena, units);
	n = route_at(t, copy);
	memcpy(n, old, sizeof(*n) + at * sizeof(n->item[0]));
	memcpy(&n->item[at], &old->item[at + 1], (items - 1 - at) * sizeof(n->item[0]));
	arena_free(&t->arena, block, ROUTE_NODE_UNITS(items));
	return copy;
}

static uint32_t route_new(struct table *t)
{
	uint32_t block = arena_alloc(&t->arena, ROUTE_NODE_UNITS(0));

	*route_at(t, block) = (struct route_node){ .children = 0 };
	return block;
}

/* Let the level above (or the table) know that a route node has moved. */
static void route_moved(struct table *t, const struct level *levels, unsigned int i)
{
	struct route_node *up;

	if (i == 0) {
		t->root = levels[0].route;
		return;
	}
	up = route_at(t, levels[i - 1].route);
	up->item[child_index(up, levels[i - 1].slot)] = levels[i].route;
}

/* ---- Readers' nodes ---------------------------------------------------------------------------------------------- */

static _Atomic uint32_t *entry_of(struct lpm_node *n, uint32_t slot)
{
	return &n->entry[popcount(n->ends >> slot)];
}

static uint32_t entry_load(const _Atomic uint32_t *entry)
{
	return atomic_load_explicit(entry, memory_order_relaxed);	/* the writer's own stores */
}

static void entry_publish(_Atomic uint32_t *entry, uint32_t v)
{
	atomic_store_explicit(entry, v, memory_order_release);
}

static void retired_free(struct table *t)
{
	while (t->retired_count > 0 && epoch_passed(t->epoch, t->retired[t->retired_first].stamp)) {
		const struct retired *r = &t->retired[t->retired_first];

		arena_free(&t->arena, r->block, r->units);
		t->retired_first = (t->retired_first + 1) & (t->retired_cap - 1);
		t->retired_count--;
	}
}

static bool retired_grow(struct table *t)
{
	size_t cap = t->retired_cap ? t->retired_cap * 2 : RETIRED_MIN;
	struct retired *r = malloc(cap * sizeof(*r));

	if (!r)
		return false;
	for (size_t i = 0; i < t->retired_count; i++)
		r[i] = t->retired[(t->retired_first + i) & (t->retired_cap - 1)];
	free(t->retired);
	t->retired = r;
	t->retired_first = 0;
	t->retired_cap = cap;
	return true;
}

/* The node that @entry refers to was unpublished. */
static void node_retire(struct table *t, uint32_t entry)
{
	uint32_t units = LPM_NODE_UNITS(popcount(node_at(t, entry)->ends) + 1), block = entry & ~LPM_NODE_FLAG;

	if (t->epoch && t->retired_count == t->retired_cap && !retired_grow(t)) {
		epoch_synchronize(t->epoch);
		retired_free(t);
		arena_free(&t->arena, block, units);
		return;
	}
	if (!t->epoch) {
		arena_free(&t->arena, block, units);
		return;
	}
	t->retired[(t->retired_first + t->retired_count++) & (t->retired_cap - 1)] =
		(struct retired){ epoch_stamp(t->epoch), block, units };
}

/* A readers' node as the route node wants it. Children come from @old, but for the one at @slot, which is @child. */
static uint32_t node_build(struct table *t, const struct route_node *routes, uint32_t inherited, uint32_t old,
			   uint32_t slot, uint32_t child)
{
	uint64_t ends = run_ends(routes);
	unsigned int i = popcount(ends) + 1;
	uint32_t block = arena_alloc(&t->arena, LPM_NODE_UNITS(i));
	struct lpm_node *n = arena_at(&t->arena, block);

	n->ends = ends;
	for (ends |= LAST_END; ends; ends &= ends - 1) {
		uint32_t s = (uint32_t)__builtin_ctzll(ends), v;

		if (!has_child(routes, s))
			v = node_match(routes, s, LPM_STRIDE_BITS, inherited);
		else if (s == slot && child)
			v = child;
		else
			v = entry_load(entry_of(node_at(t, old), s));
		atomic_store_explicit(&n->entry[--i], v, memory_order_relaxed);
	}
	return block | LPM_NODE_FLAG;
}

/*
 * Give @value to the slots @slots of a node and to all that inherits from them. @entry refers to the readers' node at
 * and below the top table's depth, @top is the first index of the node in the top table above.
 */
static void spread(struct table *t, const struct route_node *n, unsigned int depth, uint32_t top, uint32_t entry,
		   uint64_t slots, uint32_t value)
{
	struct lpm_node *node = depth >= LPM_TOP_BITS ? node_at(t, entry) : NULL;

	if (node)
		slots &= node->ends | LAST_END;	/* no run crosses the border of a prefix */
	for (; slots; slots &= slots - 1) {
		uint32_t s = (uint32_t)__builtin_ctzll(slots), width = 0, first = 0;

		if (!node) {
			width = 1u << (LPM_TOP_BITS - LPM_STRIDE_BITS - depth);
			first = top + s * width;
		}
		if (has_child(n, s)) {
			const struct route_node *c = route_at(t, n->item[child_index(n, s)]);
			uint32_t below_entry = 0;

			if (depth + LPM_STRIDE_BITS >= LPM_TOP_BITS)
				below_entry = entry_load(node ? entry_of(node, s) : &t->top[first]);
			spread(t, c, depth + LPM_STRIDE_BITS, first, below_entry, ~slots_covered(c, -1), value);
		} else if (node) {
			entry_publish(entry_of(node, s), value);
		} else {
			for (uint32_t i = 0; i < width; i++)
				entry_publish(&t->top[first + i], value);
		}
	}
}

/* ---- Updates ----------------------------------------------------------------------------------------------------- */

/* Walk towards the node at @depth. Return: the index of the last level that exists */
static unsigned int descend(const struct table *t, u128 k, unsigned int depth, struct level *levels)
{
	unsigned int last = depth / LPM_STRIDE_BITS;

	levels[0] = (struct level){ t->root, key_slot(k, 0), LPM_NONE };
	for (unsigned int i = 0; i < last; i++) {
		const struct route_node *n = route_at(t, levels[i].route);

		if (!has_child(n, levels[i].slot))
			return i;
		levels[i + 1] = (struct level){
			.route = n->item[child_index(n, levels[i].slot)],
			.slot = key_slot(k, (i + 1) * LPM_STRIDE_BITS),
			.inherited = node_match(n, levels[i].slot, LPM_STRIDE_BITS, levels[i].inherited),
		};
	}
	return last;
}

/* The entry through which readers come to the node of level @i: in the top table, or in the node above. */
static _Atomic uint32_t *link_to(struct table *t, u128 k, const struct level *levels, unsigned int i)
{
	_Atomic uint32_t *link = &t->top[key_top(k)];

	for (unsigned int j = LPM_TOP_BITS / LPM_STRIDE_BITS; j < i; j++)
		link = entry_of(node_at(t, entry_load(link)), levels[j].slot);
	return link;
}

/* Replace the readers' node of level @i by one that has the shape of its routes now. */
static void rebuild(struct table *t, u128 k, const struct level *levels, unsigned int i, uint32_t child)
{
	_Atomic uint32_t *link = link_to(t, k, levels, i);
	uint32_t old = entry_load(link);

	entry_publish(link, node_build(t, route_at(t, levels[i].route), levels[i].inherited, old, levels[i].slot,
				       child));
	node_retire(t, old);
}

static int make_room(struct table *t, size_t units)
{
	if (t->retired_count >= t->retired_look) {
		epoch_poll(t->epoch);
		retired_free(t);
		/* Readers that are slow must not make each update look again in vain. */
		t->retired_look = max_size(RETIRED_MIN, 2 * t->retired_count);
	}
	return arena_reserve(&t->arena, units);
}

/* Readers come to the new nodes of levels @first to @last, whose route nodes are in place, by a single store. */
static void publish_chain(struct table *t, u128 k, const struct level *levels, unsigned int first,
			  unsigned int last)
{
	uint32_t entry = 0;

	for (unsigned int i = last; i >= first && i * LPM_STRIDE_BITS >= LPM_TOP_BITS; i--)
		entry = node_build(t, route_at(t, levels[i].route), levels[i].inherited, 0, levels[i].slot, entry);
	if (!entry)
		return;		/* all above the top table's depth */
	if (first * LPM_STRIDE_BITS > LPM_TOP_BITS)
		rebuild(t, k, levels, first - 1, entry);
	else
		entry_publish(&t->top[key_top(k)], entry);
}

int lpm_set(struct lpm *l, const void *key, unsigned int plen, uint32_t value)
{
	struct table *t = table_of(l);
	unsigned int depth = depth_of(plen), r = plen - depth, last = depth / LPM_STRIDE_BITS, have;
	struct level levels[LEVELS_MAX + 1];
	struct route_node *n;
	uint32_t b, bit, entry = 0;
	uint64_t slots;
	u128 k;
	int err;

	if (plen > t->key_bits || value > LPM_VALUE_MAX)
		return -EINVAL;
	if (t->count >= LPM_PREFIXES_MAX)
		return -ENOSPC;
	err = make_room(t, UPDATE_UNITS_MAX);
	if (err)
		return err;

	k = key_load(t, key, plen);
	have = descend(t, k, depth, levels);
	for (unsigned int i = have; i < last; i++) {
		uint32_t child = route_new(t);
		unsigned int at;

		n = route_at(t, levels[i].route);
		levels[i + 1] = (struct level){
			.route = child,
			.slot = key_slot(k, (i + 1) * LPM_STRIDE_BITS),
			.inherited = node_match(n, levels[i].slot, LPM_STRIDE_BITS, levels[i].inherited),
		};
		at = child_index(n, levels[i].slot);
		levels[i].route = route_insert(t, levels[i].route, at, child);
		n = route_at(t, levels[i].route);
		n->children |= UINT64_C(1) << levels[i].slot;
		route_moved(t, levels, i);
	}

	b = levels[last].slot >> (LPM_STRIDE_BITS - r);
	bit = (1u << r) + b;
	n = route_at(t, levels[last].route);
	if (has_prefix(n, bit)) {
		n->item[value_index(n, bit)] = value;
	} else {
		levels[last].route = route_insert(t, levels[last].route, value_index(n, bit), value);
		n = route_at(t, levels[last].route);
		n->present[bit / 64] |= UINT64_C(1) << bit % 64;
		route_moved(t, levels, last);
		t->count++;
		if (have < last)
			publish_chain(t, k, levels, have + 1, last);
		else if (depth >= LPM_TOP_BITS)
			rebuild(t, k, levels, last, 0);
	}

	slots = slots_of(r, b) & ~slots_covered(n, (int)r);
	if (depth >= LPM_TOP_BITS)
		entry = entry_load(link_to(t, k, levels, last));
	spread(t, n, depth, node_top(k, depth), entry, slots, value);
	return 0;
}

/* Take an empty node out of the level above. */
static void remove_child(struct table *t, struct level *levels, unsigned int i, bool room)
{
	struct level *up = &levels[i - 1];

	arena_free(&t->arena, levels[i].route, ROUTE_NODE_UNITS(0));
	up->route = route_remove(t, up->route, child_index(route_at(t, up->route), up->slot), room);
	route_at(t, up->route)->children &= ~(UINT64_C(1) << up->slot);
	route_moved(t, levels, i - 1);
}

int lpm_del(struct lpm *l, const void *key, unsigned int plen)
{
	struct table *t = table_of(l);
	unsigned int depth = depth_of(plen), r = plen - depth, last = depth / LPM_STRIDE_BITS, i;
	uint32_t b, bit, value, entry = 0, gone[LEVELS_MAX], n_gone = 0;
	struct level levels[LEVELS_MAX + 1];
	struct route_node *n;
	uint64_t slots;
	bool room;
	u128 k;

	if (plen > t->key_bits)
		return -EINVAL;
	k = key_load(t, key, plen);
	if (descend(t, k, depth, levels) < last)
		return -ENOENT;
	b = levels[last].slot >> (LPM_STRIDE_BITS - r);
	bit = (1u << r) + b;
	n = route_at(t, levels[last].route);
	if (!has_prefix(n, bit))
		return -ENOENT;

	room = make_room(t, UPDATE_UNITS_MAX) == 0;
	levels[last].route = route_remove(t, levels[last].route, value_index(n, bit), room);
	n = route_at(t, levels[last].route);
	n->present[bit / 64] &= ~(UINT64_C(1) << bit % 64);
	route_moved(t, levels, last);
	t->count--;
	slots = slots_of(r, b) & ~slots_covered(n, (int)r);
	value = r ? node_match(n, levels[last].slot, r - 1, levels[last].inherited) : LPM_NONE;

	/* What is empty now goes; readers come to it until the lowest level that stays has a leaf in its place. */
	for (i = last; i > 0 && n_items(route_at(t, levels[i].route)) == 0; i--) {
		if (i * LPM_STRIDE_BITS >= LPM_TOP_BITS)
			gone[n_gone++] = entry_load(link_to(t, k, levels, i));
		remove_child(t, levels, i, room);
	}
	n = route_at(t, levels[i].route);
	depth = i * LPM_STRIDE_BITS;
	if (i < last) {
		slots = UINT64_C(1) << levels[i].slot;
		value = node_match(n, levels[i].slot, LPM_STRIDE_BITS, levels[i].inherited);
	}
	if (depth >= LPM_TOP_BITS) {
		/* Without room the node keeps borders of runs that nothing needs any more: right, if not smallest. */
		if (room)
			rebuild(t, k, levels, i, 0);
		entry = entry_load(link_to(t, k, levels, i));
	}
	spread(t, n, depth, node_top(k, depth), entry, slots, value);
	while (n_gone > 0)
		node_retire(t, gone[--n_gone]);
	return 0;
}

/* ---- Life and reading -------------------------------------------------------------------------------------------- */

int lpm_create(struct lpm **out, unsigned int key_bits, struct epoch *epoch, struct fault *f)
{
	struct table *t;
	int err;

	if (key_bits != 32 && key_bits != 128)
		return fault_set(f, EINVAL, "routing table for keys of %u bits: 32 or 128", key_bits);
	t = calloc(1, sizeof(*t));
	if (!t)
		return fault_set(f, ENOMEM, "routing table: no memory");
	err = arena_init(&t->arena, SPACE_BYTES, f);
	if (err)
		goto err_free;
	t->top = mmap(NULL, TOP_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (t->top == MAP_FAILED) {
		err = fault_errno(f, "routing table of %zu bytes", TOP_BYTES);
		goto err_arena;
	}
	err = arena_reserve(&t->arena, ROUTE_NODE_UNITS(0));
	if (err) {
		fault_set(f, -err, "routing table: no memory");
		goto err_top;
	}
	for (size_t i = 0; i < TOP_BYTES / sizeof(t->top[0]); i++)
		atomic_init(&t->top[i], LPM_NONE);
	t->root = route_new(t);
	t->key_bits = key_bits;
	t->epoch = epoch;
	t->retired_look = RETIRED_MIN;
	t->lpm.top = t->top;
	/* The flag in an entry adds 2^31 units, which the bias takes off again: the reader need not mask it. */
	t->lpm.node_bias = (uintptr_t)t->arena.base - (uintptr_t)LPM_NODE_FLAG * ARENA_UNIT_BYTES +
			   offsetof(struct lpm_node, entry);
	*out = &t->lpm;
	return 0;
err_top:
	munmap(t->top, TOP_BYTES);
err_arena:
	arena_fini(&t->arena);
err_free:
	free(t);
	return err;
}

void lpm_destroy(struct lpm *l)
{
	struct table *t = table_of(l);

	if (!l)
		return;
	munmap(t->top, TOP_BYTES);
	arena_fini(&t->arena);
	free(t->retired);
	free(t);
}

uint32_t lpm_get(const struct lpm *l, const void *key, unsigned int plen)
{
	const struct table *t = table_of(l);
	unsigned int depth = depth_of(plen), r = plen - depth, last = depth / LPM_STRIDE_BITS;
	struct level levels[LEVELS_MAX + 1];
	const struct route_node *n;
	uint32_t bit;

	if (plen > t->key_bits || descend(t, key_load(t, key, plen), depth, levels) < last)
		return LPM_NONE;
	n = route_at(t, levels[last].route);
	bit = (1u << r) + (levels[last].slot >> (LPM_STRIDE_BITS - r));
	return has_prefix(n, bit) ? n->item[value_index(n, bit)] : LPM_NONE;
}

uint32_t lpm_match(const struct lpm *l, const void *key, unsigned int *plen)
{
	const struct table *t = table_of(l);
	struct level levels[LEVELS_MAX + 1];
	unsigned int last = descend(t, key_load(t, key, t->key_bits), depth_of(t->key_bits), levels);

	for (unsigned int i = last + 1; i-- > 0;) {
		const struct route_node *n = route_at(t, levels[i].route);

		for (unsigned int r = LPM_STRIDE_BITS + 1; r-- > 0;) {
			uint32_t bit = (1u << r) + (levels[i].slot >> (LPM_STRIDE_BITS - r));

			if (has_prefix(n, bit)) {
				*plen = i * LPM_STRIDE_BITS + r;
				return n->item[value_index(n, bit)];
			}
		}
	}
	return LPM_NONE;
}

size_t lpm_count(const struct lpm *l)
{
	return table_of(l)->count;
}

size_t lpm_bytes(const struct lpm *l)
{
	const struct table *t = table_of(l);

	return sizeof(*t) + TOP_BYTES + arena_bytes(&t->arena) + t->retired_cap * sizeof(t->retired[0]);
}

struct walk {
	const struct table *t;
	int (*fn)(void *ctx, const uint8_t *key, unsigned int plen, uint32_t value);
	void *ctx;
};

static int walk_node(const struct walk *w, const struct route_node *n, u128 k, unsigned int depth)
{
	for (uint32_t s = 0; s < SLOTS; s++) {
		/* A shift past the key's end: no prefix and no child is there. */
		u128 at = k | (u128)s << (KEY_BITS_MAX - LPM_STRIDE_BITS) >> depth;
		uint8_t key[16];
		int ret;

		put_be64(key, (uint64_t)(at >> 64));
		put_be64(key + 8, (uint64_t)at);
		for (unsigned int r = 0; r <= LPM_STRIDE_BITS; r++) {
			uint32_t b = s >> (LPM_STRIDE_BITS - r), bit = (1u << r) + b;

			if (b << (LPM_STRIDE_BITS - r) != s || !has_prefix(n, bit))
				continue;
			ret = w->fn(w->ctx, key, depth + r, n->item[value_index(n, bit)]);
			if (ret)
				return ret;
		}
		if (!has_child(n, s))
			continue;
		ret = walk_node(w, route_at(w->t, n->item[child_index(n, s)]), at, depth + LPM_STRIDE_BITS);
		if (ret)
			return ret;
	}
	return 0;
}

int lpm_walk(const struct lpm *l, int (*fn)(void *ctx, const uint8_t *key, unsigned int plen, uint32_t value),
	     void *ctx)
{
	const struct walk w = { table_of(l), fn, ctx };

	return walk_node(&w, route_at(w.t, w.t->root), 0, 0);
}
