/* SPDX-License-Identifier: MIT */
/*
 * Live mirror of the kernel's links, addresses, neighbours and routes.
 *
 * At first, and whenever the kernel had to drop notifications (ENOBUFS) or a dump was not consistent
 * (NLM_F_DUMP_INTR), everything is dumped again and what is no longer there is swept; between, notifications of the
 * multicast groups keep it current. Dumps run in the background: nothing here blocks but mirror_sync().
 *
 * Links, addresses, neighbours and nexthop objects are kept here. Routes are not, so that a million of them have one
 * store: they go to the owner of that store by the route_* callbacks, which need no knowledge of netlink: each key has
 * at most one route, route_set() gives the whole of it. What the kernel does not say outright is worked out here:
 *
 * - IPv4 routes vanish without a message when their device goes down, loses its last address or its nexthop object is
 *   deleted, and nexthops of ECMP routes become dead or alive silently: such events lead to a new dump of the routes.
 *   Dumps that follow each other are spaced so that they take at most a fifth of the time, which is why the owner of
 *   the routes should also look at the link's state: link() is called at once, the routes follow.
 * - Several routes of one key (`ip route append`, one prefix on two devices) are kept in the kernel's order and the
 *   first is given out. IPv6 names a deleted sibling of an ECMP route alone: the rest is given out again.
 * - Nexthop objects and groups are resolved, with sysctl nexthop_compat_mode 0 or 1.
 *
 * One thread only.
 */
#ifndef CONTROL_NETLINK_MIRROR_H
#define CONTROL_NETLINK_MIRROR_H

#include "user/control/netlink.h"

enum mirror_event { MIRROR_ADDED, MIRROR_CHANGED, MIRROR_REMOVED };

/* Called within mirror_sync() and mirror_read(). Any may be NULL. They may look things up, not more. */
struct mirror_ops {
	/* @before: NULL when added; for MIRROR_REMOVED both are the last state. Links come before what is on them. */
	void (*link)(void *ctx, enum mirror_event ev, const struct nl_link *link, const struct nl_link *before);
	void (*addr)(void *ctx, enum mirror_event ev, const struct nl_addr *addr);
	void (*neigh)(void *ctx, enum mirror_event ev, const struct nl_neigh *neigh);

	/* From now on mark what is set; changes and deletions may come between as always. */
	void (*route_begin_resync)(void *ctx, uint8_t family);
	/* Add, or replace the route of the same key. @r is valid during the call, up to its last nexthop in use. */
	void (*route_set)(void *ctx, const struct nl_route *r);
	/* Remove if present. */
	void (*route_del)(void *ctx, const struct nl_route_key *key);
	/* @complete: remove each route of @family that was not set since. If not, keep them: another round follows. */
	void (*route_end_resync)(void *ctx, uint8_t family, bool complete);

	/* The first mirror is complete, or complete again after events were lost. */
	void (*synced)(void *ctx);
};

#define MIRROR_TABLES_MAX 4

struct mirror_config {
	uint32_t tables[MIRROR_TABLES_MAX];	/* besides main and local; 0 ends the list */
	uint32_t rcvbuf_bytes;			/* 0: MIRROR_RCVBUF_BYTES */
};

#define MIRROR_RCVBUF_BYTES (8u << 20)

struct mirror_stats {
	uint64_t messages;
	uint64_t malformed;		/* refused; the state may be stale in what they were about */
	uint64_t not_ours;		/* routes, addresses and others that are of no interest here */
	uint64_t overruns;		/* ENOBUFS: the kernel dropped notifications */
	uint64_t dumps;			/* finished */
	uint64_t dumps_interrupted;	/* not consistent, and repeated */
	uint64_t dumps_failed;		/* refused by the kernel, and repeated */
	uint64_t resyncs;		/* of everything, the first one included */
	uint64_t races;			/* dumps repeated because a change crossed them */
	uint64_t full;			/* objects not kept because of MIRROR_*_MAX */
	uint64_t nexthops_cut;		/* routes with more than NL_NEXTHOPS_MAX nexthops */
	uint64_t nexthops_unresolved;	/* routes whose nexthop object was not known yet */
	uint64_t neigh_uses;		/* mirror_neigh_use() requests sent */
	uint64_t neigh_use_errors;	/* of these, refused by the kernel */
	uint64_t links, addrs, neighs, nhobjs;	/* kept now */
	uint64_t stacks;		/* route keys now that have several routes, or IPv6 siblings */
};

/* Bounds of what is kept; what exceeds them is counted in mirror_stats.full. */
#define MIRROR_LINKS_MAX  65536
#define MIRROR_ADDRS_MAX  262144
#define MIRROR_NEIGHS_MAX 1048576
#define MIRROR_NHOBJS_MAX 262144
#define MIRROR_STACKS_MAX 1048576

struct mirror;

/**
 * mirror_create() - Subscribe to the calling thread's network namespace
 * @out:    result; mirror_destroy() it
 * @config: NULL for the defaults
 * @ops:    callbacks, copied
 * @ctx:    passed to each
 * @f:      told why not
 *
 * No callback is called yet.
 * Return: 0 or -errno
 */
int mirror_create(struct mirror **out, const struct mirror_config *config, const struct mirror_ops *ops, void *ctx,
		  struct fault *f);

/** mirror_destroy() - No callback is called. NULL is fine. */
void mirror_destroy(struct mirror *m);

/** mirror_fd() - To be polled for reading; mirror_read() when it is ready. It also fires for the mirror's own timer. */
int mirror_fd(const struct mirror *m);

/**
 * mirror_read() - Take what the kernel has sent, without blocking and with a bound on the work of one call
 *
 * Return: 0 or -errno when the mirror is beyond repair, with @f filled
 */
int mirror_read(struct mirror *m, struct fault *f);

/**
 * mirror_sync() - Run until nothing is outstanding: at the start, or in a test
 * @timeout_ms: give up after this long with -ETIMEDOUT; dumps go on by mirror_read()
 *
 * Return: 0 or -errno with @f filled
 */
int mirror_sync(struct mirror *m, int timeout_ms, struct fault *f);

/** mirror_resync() - Dump everything again: for an operator who does not trust the state. */
void mirror_resync(struct mirror *m);

/** mirror_is_synced() - No dump is running or outstanding. */
bool mirror_is_synced(const struct mirror *m);

/** mirror_stats() - Counters and sizes. */
void mirror_stats(const struct mirror *m, struct mirror_stats *stats);

/** mirror_link() - Link of this index, or NULL. Valid until the mirror is entered the next time, as all of these. */
const struct nl_link *mirror_link(const struct mirror *m, uint32_t ifindex);

/** mirror_link_by_name() - Link of this name, or NULL. */
const struct nl_link *mirror_link_by_name(const struct mirror *m, const char *name);

/** mirror_neigh() - Neighbour entry (not a proxy one), or NULL. */
const struct nl_neigh *mirror_neigh(const struct mirror *m, uint32_t ifindex, uint8_t family, const union nl_ip *ip);

/** mirror_each_link() - Call @fn for each; stop at the first result that is not 0 and return it. */
int mirror_each_link(const struct mirror *m, int (*fn)(void *ctx, const struct nl_link *link), void *ctx);

/** mirror_each_addr() - The same for addresses; @ifindex 0 means all links. */
int mirror_each_addr(const struct mirror *m, uint32_t ifindex, int (*fn)(void *ctx, const struct nl_addr *addr),
		     void *ctx);

/** mirror_each_neigh() - The same for neighbours. */
int mirror_each_neigh(const struct mirror *m, uint32_t ifindex, int (*fn)(void *ctx, const struct nl_neigh *neigh),
		      void *ctx);

/**
 * mirror_neigh_use() - Ask the kernel to resolve a neighbour, or to confirm a stale one, as if it had sent to it
 *
 * The answer is a neigh() event with a link-layer address, or with NUD_FAILED some three seconds later; the kernel does
 * not announce NUD_INCOMPLETE. The caller bounds the rate; a refusal is counted.
 * Return: 0 or -errno when it could not be asked
 */
int mirror_neigh_use(struct mirror *m, uint32_t ifindex, uint8_t family, const union nl_ip *ip);

#endif
