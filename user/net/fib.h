/* SPDX-License-Identifier: MIT */
/*
 * The forwarding table: routes on top of the longest-prefix match, for both families. One writer, lock-free readers.
 *
 * Each prefix may have several routes (of several origins and metrics); the best is the one that is looked up: the lowest
 * metric, and of equal ones the lower origin. Route values are shared: a million routes have few next hops.
 */
#ifndef USER_NET_FIB_H
#define USER_NET_FIB_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/epoch.h"
#include "common/fault.h"

#define FIB_NEXTHOPS_MAX 8
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
	uint8_t gw_family;		/* AF_INET, AF_INET6, or 0: the destination is on the link (RFC 5549 allows mixing) */
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

int fib_create(struct fib **out, struct epoch *epoch, struct fault *f);
void fib_destroy(struct fib *fib);

/* Writer: add the route of (prefix, origin, metric), or replace it. @prefix: 4 or 16 bytes, host bits are ignored. */
int fib_set(struct fib *fib, uint8_t family, const uint8_t *prefix, uint8_t len, enum fib_origin origin, uint32_t metric,
	    const struct fib_route *route, struct fault *f);

/* Writer: remove it. Return: 0 or -ENOENT */
int fib_del(struct fib *fib, uint8_t family, const uint8_t *prefix, uint8_t len, enum fib_origin origin,
	    uint32_t metric);

/* Writer: mark and sweep for a resynchronisation: each route of @family and @origin that fib_set() was not called for
 * between begin and end is removed at the end when @complete; an incomplete one keeps all, another round follows.
 * fib_del() may come between. (Memory for marks only while a resync runs.) */
int fib_resync_begin(struct fib *fib, uint8_t family, enum fib_origin origin);
void fib_resync_end(struct fib *fib, uint8_t family, enum fib_origin origin, bool complete);

/* Readers. Never NULL; valid until the reader's next quiescent point. */
const struct fib_route *fib_lookup4(const struct fib *fib, __be32 addr);
const struct fib_route *fib_lookup6(const struct fib *fib, const struct in6_addr *addr);

/* Which next hop for this flow: weighted, the same for the same hash. */
unsigned int fib_select(const struct fib_route *r, uint32_t hash);

/* Writer: each best route, IPv4 first, in order of address; @fn returns false to end the walk. */
void fib_each(const struct fib *fib, bool (*fn)(void *ctx, uint8_t family, const uint8_t *prefix, uint8_t len,
						const struct fib_route *r), void *ctx);
size_t fib_count(const struct fib *fib, uint8_t family);
size_t fib_bytes(const struct fib *fib);

#endif
