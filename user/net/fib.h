/* SPDX-License-Identifier: MIT */
/*
 * The forwarding table: routes on top of the longest-prefix match, for both families. One writer, lock-free readers.
 *
 * Theory: each prefix may have several routes (of several origins and metrics); the best is the one that is looked up:
 * the lowest metric, and of equal ones the lower origin. The routes of a prefix together are a group, best first, which
 * never changes; equal groups are one object with a reference count, as a million prefixes have few next hops. The
 * value in the lpm is the group's index. A change makes (or finds) another group and stores its index; a group without
 * references, and its index, are used again when the epoch has passed.
 */
#ifndef USER_NET_FIB_H
#define USER_NET_FIB_H

#include "common/epoch.h"
#include "common/fault.h"

#include <linux/types.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FIB_NEXTHOPS_MAX 8
#define FIB_PREFIX_ROUTES_MAX 16	/* routes of one prefix */
#define FIB_GROUPS_MAX 1048576u		/* different groups; a group of one route takes some 256 bytes */
#define FIB_IFACE_NONE UINT16_MAX	/* leaves by a device that is no interface of the engine */

enum fib_type {
	FIB_NO_ROUTE,			/* what a lookup without a match returns */
	FIB_UNICAST,
	FIB_LOCAL,			/* an engine-only address */
	FIB_KERNEL,			/* an address of the kernel's own */
	FIB_BROADCAST,
	FIB_BLACKHOLE,
	FIB_UNREACHABLE,
	FIB_PROHIBIT,
	FIB_THROW,
	FIB_TYPES,
};

enum fib_origin {
	FIB_ORIGIN_ENGINE,		/* engine-only addresses and their subnets */
	FIB_ORIGIN_STATIC,		/* the configuration's routes */
	FIB_ORIGIN_KERNEL,
	FIB_ORIGINS,
};

struct fib_nexthop {
	uint16_t iface;			/* id, or FIB_IFACE_NONE */
	uint16_t weight;		/* 1 or more */
	uint8_t gw_family;		/* AF_INET, AF_INET6 (for IPv4, too: RFC 5549), 0: destination on the link */
	uint8_t gw[16];			/* wire order, unused bytes 0 */
};

struct fib_route {
	uint8_t type;			/* enum fib_type */
	uint8_t origin;			/* enum fib_origin; set by fib_set() */
	uint8_t n_nexthops;
	uint32_t metric;		/* set by fib_set() */
	uint32_t mtu;			/* bytes, 0: the interface's */
	struct fib_nexthop nexthops[FIB_NEXTHOPS_MAX];
};

struct fib;

/**
 * fib_create() - An empty table for both families.
 * @epoch: what the readers are registered with, and their writer is the table's; NULL where nobody reads meanwhile
 *
 * Return: 0 or -errno
 */
int fib_create(struct fib **out, struct epoch *epoch, struct fault *f);

/** fib_destroy() - Free it; no reader holds a route of it. NULL is also taken. */
void fib_destroy(struct fib *fib);

/**
 * fib_set() - Writer: add the route of (prefix, origin, metric), or replace it.
 * @family: AF_INET or AF_INET6
 * @prefix: 4 or 16 bytes, wire order; bits after @len are ignored
 * @route:  copied; its origin and metric are not looked at
 *
 * Return: 0, -EINVAL, -ENOSPC at one of the bounds, -ENOMEM; with an error nothing has changed
 */
int fib_set(struct fib *fib, uint8_t family, const uint8_t *prefix, uint8_t len, enum fib_origin origin,
	    uint32_t metric, const struct fib_route *route, struct fault *f);

/** fib_del() - Writer: remove it. Return: 0, -ENOENT, -EINVAL, or -ENOMEM when the prefix has others that stay */
int fib_del(struct fib *fib, uint8_t family, const uint8_t *prefix, uint8_t len, enum fib_origin origin,
	    uint32_t metric);

/**
 * fib_resync_begin() - Writer: the routes of @family and @origin are going to be told anew.
 *
 * Every fib_set() marks its route; fib_resync_end() removes the routes of this family and origin without a mark when
 * @complete, and keeps all when not: another round follows. fib_del() may come between. The mark is the generation
 * in which a route was told and a part of the group: marks take no memory for each prefix.
 * Return: 0
 */
int fib_resync_begin(struct fib *fib, uint8_t family, enum fib_origin origin);
void fib_resync_end(struct fib *fib, uint8_t family, enum fib_origin origin, bool complete);

/** fib_lookup4() - Any reader: the best route. Never NULL; valid until the reader's next quiescent point */
const struct fib_route *fib_lookup4(const struct fib *fib, __be32 addr);
const struct fib_route *fib_lookup6(const struct fib *fib, const struct in6_addr *addr);

/** fib_match() - Writer: the same, and the length of the prefix that matched (0 without a route) */
const struct fib_route *fib_match(const struct fib *fib, uint8_t family, const uint8_t *addr, uint8_t *len);

/**
 * fib_select() - Which next hop for this flow: weighted, the same for the same hash.
 * @r:    with at least one next hop
 * @hash: of the flow, keyed; all 32 bits are used, the upper ones decide
 *
 * Hash-threshold (RFC 2992), as the kernel does: the space of hashes is cut into one region for each next hop, as wide
 * as its weight. When one comes or goes only flows near the borders move, a quarter to a half of all.
 * Return: index into @r->nexthops
 */
unsigned int fib_select(const struct fib_route *r, uint32_t hash);

/** fib_each() - Writer: each best route, IPv4 first, in order of address; @fn returns false to end the walk */
void fib_each(const struct fib *fib, bool (*fn)(void *ctx, uint8_t family, const uint8_t *prefix, uint8_t len,
						const struct fib_route *r), void *ctx);

/** fib_each_route() - Writer: every route of one prefix, best first; @fn returns false to end the walk */
void fib_each_route(const struct fib *fib, uint8_t family, const uint8_t *prefix, uint8_t len,
		    bool (*fn)(void *ctx, const struct fib_route *r), void *ctx);

/** fib_count() - Writer: number of prefixes with a route */
size_t fib_count(const struct fib *fib, uint8_t family);

/** fib_bytes() - Writer: memory of all of it */
size_t fib_bytes(const struct fib *fib);

#endif
