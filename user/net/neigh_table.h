/* SPDX-License-Identifier: MIT */
/* Private to neigh.c, neigh_input.c and neigh_addr.c: what is in the table. */
#ifndef USER_NET_NEIGH_TABLE_H
#define USER_NET_NEIGH_TABLE_H

#include "common/clock.h"
#include "common/ratelimit.h"
#include "common/siphash.h"
#include "user/net/neigh.h"

#define SLOT_NONE UINT32_MAX
#define NEVER UINT64_MAX

/* RFC 4861 10 */
#define SOLICITS 3			/* MAX_MULTICAST_SOLICIT and MAX_UNICAST_SOLICIT */
#define RETRANS_NS (1 * NS_PER_S)
#define REACHABLE_NS (30 * NS_PER_S)
#define DELAY_NS (5 * NS_PER_S)
/* Ours */
#define STALE_NS (600 * NS_PER_S)
#define FAILED_NS (1 * NS_PER_S)
#define REPLIES_PER_S 1000		/* answers to requests for addresses of ours */
#define REPLIES_BURST 200

struct entry {
	struct neigh n;
	uint64_t deadline_ns;
	uint32_t heap_at;		/* index in the heap of deadlines */
	uint32_t hash_next;		/* chain of the hash, or of the free list */
	uint32_t older, newer;		/* list of its state, by time of entering it */
	uint8_t solicits;		/* requests sent in this state */
};

struct state_list {
	uint32_t oldest, newest;
	uint32_t n;
};

/* An address of ours, and where it is in its life. */
struct own_addr {
	uint16_t iface;
	uint8_t family;
	uint8_t prefix_len;
	uint8_t state;			/* enum neigh_addr_state */
	bool detect;
	uint8_t probes;			/* left to send */
	uint8_t announcements;		/* left to send */
	uint8_t addr[16];
	uint64_t deadline_ns;
	uint64_t defended_ns;		/* last time; 0: never */
};

struct neigh_table {
	const struct neigh_ops *ops;
	void *ctx;
	struct siphash_key key;
	uint64_t random;
	uint64_t reachable_ns, retrans_ns, stale_ns;
	uint32_t probes;
	struct entry *entries;
	uint32_t max_entries;
	uint32_t free;			/* list of free slots */
	uint32_t *buckets;
	uint32_t bucket_mask;
	uint32_t *heap;			/* slots by deadline, the earliest first */
	uint32_t heap_n;
	struct state_list lists[NEIGH_STATE_N];
	struct ratelimit replies;
	bool replies_ready;		/* the limit is set up with the first time seen */
	uint32_t n_addrs;
	struct own_addr addrs[NEIGH_ADDRS_MAX];
};

static inline uint32_t addr_bytes(uint8_t family)
{
	return family == 2 /* AF_INET */ ? 4 : 16;
}

/* A number below @n, for timers: cheap, and not for secrets. */
uint64_t table_random(struct neigh_table *t, uint64_t n);

struct entry *table_find(const struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr);

/* Change state, and the MAC address unless @mac is NULL; sets the state's timer, tells who wants to know. */
void entry_update(struct neigh_table *t, struct entry *e, enum neigh_state state, const uint8_t *mac, uint64_t now_ns);

void entry_forget(struct neigh_table *t, struct entry *e);

/* The interface, if it can send frames. */
const struct iface *table_iface(const struct neigh_table *t, uint16_t id);

/* May one more answer be sent now? */
bool table_may_reply(struct neigh_table *t, uint64_t now_ns);

/* An address of ours on this interface, in any state; NULL when it is not ours. */
struct own_addr *own_addr_find(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr);

/* The address to ask @target from: one of its subnet, else a link-local one, else any; NULL when there is none. */
const uint8_t *own_addr_source(const struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *target);

/* Somebody else uses this address of ours. */
void own_addr_conflict(struct neigh_table *t, struct own_addr *own, const uint8_t *mac, uint64_t now_ns);

uint64_t own_addr_deadline(const struct neigh_table *t);
void own_addr_tick(struct neigh_table *t, uint64_t now_ns);

#endif
