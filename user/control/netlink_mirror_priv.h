/* SPDX-License-Identifier: MIT */
/* Private to netlink_mirror.c, netlink_objects.c and netlink_routes.c, and to the tests that feed it messages. */
#ifndef CONTROL_NETLINK_MIRROR_PRIV_H
#define CONTROL_NETLINK_MIRROR_PRIV_H

#include "user/control/netlink_mirror.h"

/* What is dumped, in this order: a route's nexthop objects are known before it, and links before what lies on them. */
enum dump {
	DUMP_LINK, DUMP_ADDR4, DUMP_ADDR6, DUMP_NHOBJ, DUMP_ROUTE4, DUMP_ROUTE6, DUMP_NEIGH4, DUMP_NEIGH6,
	DUMP_COUNT,
	DUMP_NONE = DUMP_COUNT,
};

#define DUMP_BIT(d)	(1u << (d))
#define DUMP_ALL	(DUMP_BIT(DUMP_COUNT) - 1)
#define DUMP_ROUTES	(DUMP_BIT(DUMP_ROUTE4) | DUMP_BIT(DUMP_ROUTE6))

enum table { TABLE_LINK, TABLE_ADDR, TABLE_NEIGH, TABLE_NHOBJ, TABLE_COUNT };

struct object;
struct stack;
struct touch;

struct mirror {
	struct mirror_ops ops;
	void *ctx;
	struct mirror_config config;
	struct mirror_stats stats;

	int epoll_fd, timer_fd, nl_fd;	/* -1 in tests without a kernel */
	uint32_t portid;

	/* Dumps: one runs at a time, the kernel allows no more on a socket. */
	enum dump running;
	uint32_t seq;			/* of the running dump */
	uint32_t pending;		/* DUMP_BIT()s */
	bool interrupted;		/* the running one is not consistent */
	bool crossed;			/* a change crossed the running one in a way that only another can tell */
	bool resyncing;			/* synced() is due at the end */
	uint64_t started_ns, progress_ns;
	uint64_t not_before_ns[DUMP_COUNT];

	struct object *objects[TABLE_COUNT];
	uint32_t gen[DUMP_COUNT];	/* dumps begun: what an entry was last seen in */

	/*
	 * Keys that notifications were about while the running dump is being read. Newer kernels dump without the lock
	 * under which changes are made and announced, so a dump may tell an older state than a notification before it.
	 */
	struct touch *touched;

	struct stack *stacks;
	struct nl_route dumped;		/* last route of the running dump; key.family 0: none */
	bool dead_seen[2];		/* IPv4, IPv6: some nexthop is not usable now */
	unsigned int unresolved_rounds[2];	/* dumps in a row with unknown nexthop objects */
	bool unresolved[2];

	struct nl_route route;		/* message being worked on: too large for comfort on a stack */
	struct nl_nhobj nhobj;
	uint8_t *buf;
};

/** mirror_alloc() - A mirror without sockets: what mirror_create() starts from, and what tests feed. */
struct mirror *mirror_alloc(const struct mirror_config *config, const struct mirror_ops *ops, void *ctx);

/** mirror_input() - One datagram of netlink messages, of any content. @buf is aligned for struct nlmsghdr. */
void mirror_input(struct mirror *m, const void *buf, size_t len);

/** mirror_begin_dump() - Note that the dump runs; the caller sends the request of sequence number m->seq. */
void mirror_begin_dump(struct mirror *m, enum dump d);

/** mirror_pend() - Dump these (DUMP_BIT()s) again, soon. */
static inline void mirror_pend(struct mirror *m, uint32_t bits)
{
	m->pending |= bits;
}

/* ---- netlink_objects.c ---- */

#define TOUCH_KEY_BYTES 40

/** touch_note() - A notification tells of this key: the running dump, if it is @d, may not overrule it. */
void touch_note(struct mirror *m, enum dump d, const void *key, size_t bytes, bool deleted);

enum touch_state { TOUCH_NONE, TOUCH_SET, TOUCH_SET_AGAIN, TOUCH_DELETED };

/** touch_check() - May the dump tell of this key? TOUCH_NONE: yes. TOUCH_SET_AGAIN: asked for the second time. */
enum touch_state touch_check(struct mirror *m, const void *key, size_t bytes);

/** touch_clear() - The dump has ended. */
void touch_clear(struct mirror *m);

/** objects_message() - RTM_{NEW,DEL}{LINK,ADDR,NEIGH,NEXTHOP}; @dumped: part of the running dump. */
void objects_message(struct mirror *m, const struct nlmsghdr *nlh, bool dumped);

/** objects_end_dump() - Remove what the complete dump did not tell of. */
void objects_end_dump(struct mirror *m, enum dump d);

/** objects_free() - Without events. */
void objects_free(struct mirror *m);

/** nhobj_use() - Nexthop object, noting that a route depends on it; NULL when it is not known. */
const struct nl_nhobj *nhobj_use(struct mirror *m, uint32_t id);

/* ---- netlink_routes.c ---- */

/** routes_message() - RTM_NEWROUTE or RTM_DELROUTE */
void routes_message(struct mirror *m, const struct nlmsghdr *nlh, bool dumped);

/** routes_begin_dump() - Tells the owner of the routes. */
void routes_begin_dump(struct mirror *m, enum dump d);

/** routes_end_dump() - Tells the owner; @complete: what was not seen is gone. */
void routes_end_dump(struct mirror *m, enum dump d, bool complete);

/** routes_free() - Without events. */
void routes_free(struct mirror *m);

#endif
