/* SPDX-License-Identifier: MIT */
#include "user/net/fib.h"

#include "common/bytes.h"
#include "common/lpm.h"
#include "common/siphash.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define MTU_MIN	      68u		/* RFC 791 3.2 */
#define GROUPS_MIN    64u
#define NO_GROUP      UINT32_MAX
#define FAMILIES      2

struct member {
	uint32_t generation;		/* in which resync the route was told last */
	struct fib_route route;
};

struct group {
	struct fib *fib;
	uint64_t hash;
	uint32_t index;			/* in fib->groups: the value in the lpm */
	uint32_t next;			/* index of the next with the same bucket, or NO_GROUP */
	uint32_t refs;			/* prefixes */
	uint32_t n;
	struct member m[];		/* best first */
};

struct fib {
	struct lpm *lpm[FAMILIES];
	/* Readers load an index from the lpm first, the array after: an index that they see is in the array. */
	struct group *_Atomic *_Atomic groups;
	uint32_t groups_cap;		/* power of two */
	uint32_t groups_used;		/* indices given out at least once */
	uint32_t *free_index;		/* room for groups_cap, so that giving back cannot fail */
	uint32_t n_free;
	uint32_t *bucket;		/* groups_cap of them */
	struct siphash_key key;		/* next hops come from routing protocols: nobody may choose collisions */
	size_t group_bytes;
	uint32_t generation[FAMILIES][FIB_ORIGINS];
	struct epoch *epoch;
};

static const struct fib_route no_route = { .type = FIB_NO_ROUTE };

static int family_index(uint8_t family)
{
	return family == AF_INET ? 0 : family == AF_INET6 ? 1 : -1;
}

static struct group *group_at(const struct fib *fib, uint32_t index)
{
	struct group *_Atomic *groups = atomic_load_explicit(&fib->groups, memory_order_acquire);

	return atomic_load_explicit(&groups[index], memory_order_acquire);
}

static size_t group_size(uint32_t n)
{
	return sizeof(struct group) + n * sizeof(struct member);
}

static void retire(struct fib *fib, void (*free_fn)(void *arg), void *arg)
{
	if (fib->epoch)
		epoch_retire(fib->epoch, free_fn, arg);
	else
		free_fn(arg);
}

/* ---- Groups ------------------------------------------------------------------------------------------------------ */

static bool nexthop_equal(const struct fib_nexthop *a, const struct fib_nexthop *b)
{
	return a->iface == b->iface && a->weight == b->weight && a->gw_family == b->gw_family &&
	       memcmp(a->gw, b->gw, sizeof(a->gw)) == 0;
}

static bool member_equal(const struct member *a, const struct member *b)
{
	const struct fib_route *x = &a->route, *y = &b->route;

	if (a->generation != b->generation || x->type != y->type || x->origin != y->origin ||
	    x->n_nexthops != y->n_nexthops || x->metric != y->metric || x->mtu != y->mtu)
		return false;
	for (unsigned int i = 0; i < x->n_nexthops; i++) {
		if (!nexthop_equal(&x->nexthops[i], &y->nexthops[i]))
			return false;
	}
	return true;
}

static uint64_t hash_members(const struct fib *fib, const struct member *m, uint32_t n)
{
	struct siphash_state s = siphash_start(&fib->key);

	for (uint32_t i = 0; i < n; i++) {
		const struct fib_route *r = &m[i].route;

		siphash13_word(&s, (uint64_t)m[i].generation << 32 | (uint32_t)r->type << 16 |
			       (uint32_t)r->origin << 8 | r->n_nexthops);
		siphash13_word(&s, (uint64_t)r->metric << 32 | r->mtu);
		for (unsigned int j = 0; j < r->n_nexthops; j++) {
			const struct fib_nexthop *nh = &r->nexthops[j];

			siphash13_word(&s, (uint64_t)nh->iface << 32 | (uint32_t)nh->weight << 16 | nh->gw_family);
			siphash13_word(&s, u64_at(nh->gw));
			siphash13_word(&s, u64_at(nh->gw + 8));
		}
	}
	return siphash13_finish(&s, n);
}

/* A reader may still hold an index that it loaded before; so it is given out again only here. */
static void group_free(void *arg)
{
	struct group *g = arg;
	struct fib *fib = g->fib;

	fib->free_index[fib->n_free++] = g->index;
	fib->group_bytes -= group_size(g->n);
	free(g);
}

static void group_put(struct fib *fib, struct group *g)
{
	uint32_t *link = &fib->bucket[g->hash & (fib->groups_cap - 1)];

	if (--g->refs > 0)
		return;
	while (*link != g->index)
		link = &group_at(fib, *link)->next;
	*link = g->next;
	retire(fib, group_free, g);
}

/* Twice the room for groups. Readers go on in the old array until they load the new one. */
static int groups_grow(struct fib *fib, struct fault *f)
{
	uint32_t cap = fib->groups_cap ? fib->groups_cap * 2 : GROUPS_MIN;
	struct group *_Atomic *old = atomic_load_explicit(&fib->groups, memory_order_relaxed);
	struct group *_Atomic *groups;
	uint32_t *bucket, *free_index;

	if (cap > FIB_GROUPS_MAX)
		return fault_set(f, ENOSPC, "more than %u different routes", FIB_GROUPS_MAX);
	groups = calloc(cap, sizeof(*groups));
	bucket = malloc(cap * sizeof(*bucket));
	free_index = malloc(cap * sizeof(*free_index));
	if (!groups || !bucket || !free_index) {
		free(groups);
		free(bucket);
		free(free_index);
		return fault_set(f, ENOMEM, "%u different routes: no memory", cap);
	}
	memset(bucket, 0xff, cap * sizeof(*bucket));	/* NO_GROUP */
	for (uint32_t i = 0; i < fib->groups_used; i++) {
		struct group *g = atomic_load_explicit(&old[i], memory_order_relaxed);

		atomic_init(&groups[i], g);
	}
	for (uint32_t b = 0; b < fib->groups_cap; b++) {
		for (uint32_t i = fib->bucket[b], next; i != NO_GROUP; i = next) {
			struct group *g = atomic_load_explicit(&old[i], memory_order_relaxed);

			next = g->next;
			g->next = bucket[g->hash & (cap - 1)];
			bucket[g->hash & (cap - 1)] = i;
		}
	}
	if (fib->n_free)
		memcpy(free_index, fib->free_index, fib->n_free * sizeof(*free_index));
	free(fib->bucket);
	free(fib->free_index);
	fib->bucket = bucket;
	fib->free_index = free_index;
	fib->groups_cap = cap;
	atomic_store_explicit(&fib->groups, groups, memory_order_release);
	if (old)
		retire(fib, free, (void *)old);
	return 0;
}

/* The group of these routes, found or made; it has no reference of the caller's yet. */
static struct group *group_get(struct fib *fib, const struct member *m, uint32_t n, int *err, struct fault *f)
{
	uint64_t hash = hash_members(fib, m, n);
	struct group *_Atomic *groups;
	struct group *g;
	uint32_t *head;

	for (uint32_t i = fib->bucket[hash & (fib->groups_cap - 1)]; i != NO_GROUP; i = g->next) {
		uint32_t same = 0;

		g = group_at(fib, i);
		if (g->hash != hash || g->n != n)
			continue;
		while (same < n && member_equal(&g->m[same], &m[same]))
			same++;
		if (same == n)
			return g;
	}
	if (!fib->n_free && fib->groups_used == fib->groups_cap) {
		*err = groups_grow(fib, f);
		if (*err)
			return NULL;
	}
	g = malloc(group_size(n));
	if (!g) {
		*err = fault_set(f, ENOMEM, "route: no memory");
		return NULL;
	}
	*g = (struct group){ .fib = fib, .hash = hash, .n = n };
	memcpy(g->m, m, n * sizeof(*m));
	g->index = fib->n_free ? fib->free_index[--fib->n_free] : fib->groups_used++;
	head = &fib->bucket[hash & (fib->groups_cap - 1)];
	g->next = *head;
	*head = g->index;
	groups = atomic_load_explicit(&fib->groups, memory_order_relaxed);
	atomic_store_explicit(&groups[g->index], g, memory_order_release);
	fib->group_bytes += group_size(n);
	return g;
}

/* ---- Routes ------------------------------------------------------------------------------------------------------ */

static int check_route(const struct fib_route *r, struct fault *f)
{
	if (r->type == FIB_NO_ROUTE || r->type >= FIB_TYPES)
		return fault_set(f, EINVAL, "route of unknown type %u", r->type);
	if (r->n_nexthops > FIB_NEXTHOPS_MAX)
		return fault_set(f, EINVAL, "route with %u next hops; at most %u", r->n_nexthops, FIB_NEXTHOPS_MAX);
	if (r->type == FIB_UNICAST && r->n_nexthops == 0)
		return fault_set(f, EINVAL, "unicast route without next hop");
	if (r->mtu && r->mtu < MTU_MIN)
		return fault_set(f, EINVAL, "route with MTU %u; at least %u", r->mtu, MTU_MIN);
	for (unsigned int i = 0; i < r->n_nexthops; i++) {
		const struct fib_nexthop *nh = &r->nexthops[i];

		if (nh->weight == 0)
			return fault_set(f, EINVAL, "next hop of weight 0");
		if (nh->gw_family && family_index(nh->gw_family) < 0)
			return fault_set(f, EINVAL, "next hop of unknown family %u", nh->gw_family);
	}
	return 0;
}

/* What is not used must not make equal routes differ. */
static void member_init(struct member *m, uint32_t generation, enum fib_origin origin, uint32_t metric,
			const struct fib_route *route)
{
	*m = (struct member){
		.generation = generation,
		.route = { .type = route->type, .origin = (uint8_t)origin, .n_nexthops = route->n_nexthops,
			   .metric = metric, .mtu = route->mtu },
	};
	for (unsigned int i = 0; i < route->n_nexthops; i++) {
		const struct fib_nexthop *from = &route->nexthops[i];
		struct fib_nexthop *nh = &m->route.nexthops[i];

		nh->iface = from->iface;
		nh->weight = from->weight;
		nh->gw_family = from->gw_family;
		if (from->gw_family)
			memcpy(nh->gw, from->gw, from->gw_family == AF_INET ? 4 : 16);
	}
}

static int order(const struct fib_route *a, uint32_t metric, enum fib_origin origin)
{
	if (a->metric != metric)
		return a->metric < metric ? -1 : 1;
	return a->origin < origin ? -1 : a->origin > origin;
}

/* Let the prefix have these routes instead of those of @old. */
static int prefix_set(struct fib *fib, int fam, const uint8_t *prefix, uint8_t len, struct group *old,
		      const struct member *m, uint32_t n, struct fault *f)
{
	struct group *g;
	int err = 0;

	g = group_get(fib, m, n, &err, f);
	if (!g)
		return err;
	g->refs++;
	if (g != old)
		err = lpm_set(fib->lpm[fam], prefix, len, g->index);
	if (err) {
		group_put(fib, g);
		return fault_set(f, -err, err == -ENOSPC ? "more than %u prefixes" : "route: no memory",
				 LPM_PREFIXES_MAX);
	}
	if (old)
		group_put(fib, old);
	return 0;
}

static struct group *prefix_group(const struct fib *fib, int fam, const uint8_t *prefix, uint8_t len)
{
	uint32_t index = lpm_get(fib->lpm[fam], prefix, len);

	return index == LPM_NONE ? NULL : group_at(fib, index);
}

int fib_set(struct fib *fib, uint8_t family, const uint8_t *prefix, uint8_t len, enum fib_origin origin,
	    uint32_t metric, const struct fib_route *route, struct fault *f)
{
	struct member m[FIB_PREFIX_ROUTES_MAX];
	int fam = family_index(family), err;
	struct group *old;
	uint32_t n = 0, at = 0, skip = 0;

	if (fam < 0)
		return fault_set(f, EINVAL, "route of unknown family %u", family);
	if (len > (fam ? 128 : 32))
		return fault_set(f, EINVAL, "prefix length %u", len);
	if (origin >= FIB_ORIGINS)
		return fault_set(f, EINVAL, "route of unknown origin %d", (int)origin);
	err = check_route(route, f);
	if (err)
		return err;

	old = prefix_group(fib, fam, prefix, len);
	if (old) {
		n = old->n;
		while (at < n && order(&old->m[at].route, metric, origin) < 0)
			at++;
		skip = at < n && order(&old->m[at].route, metric, origin) == 0;
		if (n - skip == FIB_PREFIX_ROUTES_MAX)
			return fault_set(f, ENOSPC, "more than %u routes for one prefix", FIB_PREFIX_ROUTES_MAX);
		memcpy(m, old->m, at * sizeof(m[0]));
		memcpy(&m[at + 1], &old->m[at + skip], (n - at - skip) * sizeof(m[0]));
	}
	member_init(&m[at], fib->generation[fam][origin], origin, metric, route);
	return prefix_set(fib, fam, prefix, len, old, m, n - skip + 1, f);
}

/* Remove those routes of a prefix for which @drop says so. */
static int prefix_filter(struct fib *fib, int fam, const uint8_t *prefix, uint8_t len,
			 bool (*drop)(const struct member *m, const void *ctx), const void *ctx)
{
	struct group *old = prefix_group(fib, fam, prefix, len);
	struct member m[FIB_PREFIX_ROUTES_MAX];
	uint32_t n = 0;
	int err;

	if (!old)
		return -ENOENT;
	for (uint32_t i = 0; i < old->n; i++) {
		if (!drop(&old->m[i], ctx))
			m[n++] = old->m[i];
	}
	if (n == old->n)
		return -ENOENT;
	if (n > 0)
		return prefix_set(fib, fam, prefix, len, old, m, n, NULL);
	err = lpm_del(fib->lpm[fam], prefix, len);
	if (!err)
		group_put(fib, old);
	return err;
}

struct which {
	enum fib_origin origin;
	uint32_t metric;	/* of one route */
	uint32_t generation;	/* of those that stay */
};

static bool is_route(const struct member *m, const void *ctx)
{
	const struct which *w = ctx;

	return order(&m->route, w->metric, w->origin) == 0;
}

static bool is_stale(const struct member *m, const void *ctx)
{
	const struct which *w = ctx;

	return m->route.origin == w->origin && m->generation != w->generation;
}

int fib_del(struct fib *fib, uint8_t family, const uint8_t *prefix, uint8_t len, enum fib_origin origin,
	    uint32_t metric)
{
	const struct which w = { .origin = origin, .metric = metric };
	int fam = family_index(family);

	if (fam < 0 || len > (fam ? 128 : 32))
		return -EINVAL;
	return prefix_filter(fib, fam, prefix, len, is_route, &w);
}

/* ---- Resynchronisation ------------------------------------------------------------------------------------------- */

struct prefix {
	uint8_t key[16];
	uint8_t len;
};

struct sweep {
	const struct fib *fib;
	struct which which;
	size_t key_bytes;
	struct prefix *found;
	size_t n, cap;
	bool short_of_memory;
};

static int sweep_find(void *ctx, const uint8_t *key, unsigned int plen, uint32_t value)
{
	struct sweep *s = ctx;
	const struct group *g = group_at(s->fib, value);
	uint32_t i = 0;

	while (i < g->n && !is_stale(&g->m[i], &s->which))
		i++;
	if (i == g->n)
		return 0;
	if (s->n == s->cap) {
		size_t cap = s->cap ? s->cap * 2 : 256;
		struct prefix *found = realloc(s->found, cap * sizeof(*found));

		if (!found) {
			s->short_of_memory = true;
			return 1;
		}
		s->found = found;
		s->cap = cap;
	}
	memcpy(s->found[s->n].key, key, s->key_bytes);
	s->found[s->n++].len = (uint8_t)plen;
	return 0;
}

int fib_resync_begin(struct fib *fib, uint8_t family, enum fib_origin origin)
{
	fib->generation[family_index(family)][origin]++;
	return 0;
}

void fib_resync_end(struct fib *fib, uint8_t family, enum fib_origin origin, bool complete)
{
	int fam = family_index(family);
	struct sweep s = {
		.fib = fib,
		.which = { .origin = origin, .generation = fib->generation[fam][origin] },
		.key_bytes = fam ? 16 : 4,
	};
	size_t removed;

	if (!complete)
		return;		/* what the next round does not tell either is older still, and goes then */
	/* The walk must not see changes, so it collects first; with little memory in several rounds. */
	do {
		s.n = 0;
		s.short_of_memory = false;
		removed = 0;
		lpm_walk(fib->lpm[fam], sweep_find, &s);
		for (size_t i = 0; i < s.n; i++)
			removed += prefix_filter(fib, fam, s.found[i].key, s.found[i].len, is_stale, &s.which) == 0;
	} while (s.short_of_memory && removed > 0);
	free(s.found);
}

/* ---- Reading ----------------------------------------------------------------------------------------------------- */

static const struct fib_route *route_at(const struct fib *fib, uint32_t index)
{
	return unlikely(index == LPM_NONE) ? &no_route : &group_at(fib, index)->m[0].route;
}

const struct fib_route *fib_lookup4(const struct fib *fib, __be32 addr)
{
	return route_at(fib, lpm_lookup4(fib->lpm[0], be32toh(addr)));
}

const struct fib_route *fib_lookup6(const struct fib *fib, const struct in6_addr *addr)
{
	return route_at(fib, lpm_lookup6(fib->lpm[1], addr));
}

const struct fib_route *fib_match(const struct fib *fib, uint8_t family, const uint8_t *addr, uint8_t *len)
{
	int fam = family_index(family);
	unsigned int plen = 0;
	uint32_t index = fam < 0 ? LPM_NONE : lpm_match(fib->lpm[fam], addr, &plen);

	*len = index == LPM_NONE ? 0 : (uint8_t)plen;
	return route_at(fib, index);
}

unsigned int fib_select(const struct fib_route *r, uint32_t hash)
{
	uint32_t total = 0, at;
	unsigned int i;

	if (likely(r->n_nexthops <= 1))
		return 0;
	for (i = 0; i < r->n_nexthops; i++)
		total += r->nexthops[i].weight;
	at = (uint32_t)((uint64_t)hash * total >> 32);		/* below total */
	for (i = 0; at >= r->nexthops[i].weight; i++)
		at -= r->nexthops[i].weight;
	return i;
}

struct each {
	const struct fib *fib;
	bool (*fn)(void *ctx, uint8_t family, const uint8_t *prefix, uint8_t len, const struct fib_route *r);
	void *ctx;
	uint8_t family;
};

static int each_prefix(void *ctx, const uint8_t *key, unsigned int plen, uint32_t value)
{
	const struct each *e = ctx;

	return e->fn(e->ctx, e->family, key, (uint8_t)plen, route_at(e->fib, value)) ? 0 : 1;
}

void fib_each(const struct fib *fib, bool (*fn)(void *ctx, uint8_t family, const uint8_t *prefix, uint8_t len,
						const struct fib_route *r), void *ctx)
{
	struct each e = { .fib = fib, .fn = fn, .ctx = ctx, .family = AF_INET };

	if (lpm_walk(fib->lpm[0], each_prefix, &e))
		return;
	e.family = AF_INET6;
	lpm_walk(fib->lpm[1], each_prefix, &e);
}

void fib_each_route(const struct fib *fib, uint8_t family, const uint8_t *prefix, uint8_t len,
		    bool (*fn)(void *ctx, const struct fib_route *r), void *ctx)
{
	int fam = family_index(family);
	const struct group *g = fam < 0 ? NULL : prefix_group(fib, fam, prefix, len);

	for (uint32_t i = 0; g && i < g->n; i++) {
		if (!fn(ctx, &g->m[i].route))
			return;
	}
}

size_t fib_count(const struct fib *fib, uint8_t family)
{
	int fam = family_index(family);

	return fam < 0 ? 0 : lpm_count(fib->lpm[fam]);
}

size_t fib_bytes(const struct fib *fib)
{
	size_t per_group = sizeof(struct group *) + sizeof(*fib->bucket) + sizeof(*fib->free_index);

	return sizeof(*fib) + lpm_bytes(fib->lpm[0]) + lpm_bytes(fib->lpm[1]) + fib->group_bytes +
	       fib->groups_cap * per_group;
}

int fib_create(struct fib **out, struct epoch *epoch, struct fault *f)
{
	struct fib *fib = calloc(1, sizeof(*fib));
	int err;

	if (!fib)
		return fault_set(f, ENOMEM, "forwarding table: no memory");
	fib->epoch = epoch;
	err = siphash_key_random(&fib->key, f);
	if (!err)
		err = groups_grow(fib, f);
	if (!err)
		err = lpm_create(&fib->lpm[0], 32, epoch, f);
	if (!err)
		err = lpm_create(&fib->lpm[1], 128, epoch, f);
	if (err) {
		fib_destroy(fib);
		return err;
	}
	*out = fib;
	return 0;
}

void fib_destroy(struct fib *fib)
{
	struct group *_Atomic *groups;

	if (!fib)
		return;
	/* What was retired refers to the table. */
	if (fib->epoch)
		epoch_synchronize(fib->epoch);
	groups = atomic_load_explicit(&fib->groups, memory_order_relaxed);
	for (uint32_t b = 0; b < fib->groups_cap; b++) {
		for (uint32_t i = fib->bucket[b], next; i != NO_GROUP; i = next) {
			struct group *g = atomic_load_explicit(&groups[i], memory_order_relaxed);

			next = g->next;
			free(g);
		}
	}
	lpm_destroy(fib->lpm[0]);
	lpm_destroy(fib->lpm[1]);
	free((void *)groups);
	free(fib->bucket);
	free(fib->free_index);
	free(fib);
}
