/* SPDX-License-Identifier: MIT */
/*
 * Neighbours of the engine's own addresses: who has which MAC address, and the defence of what is ours.
 *
 * Theory of operation. One table for all interfaces, for IPv4 (ARP) and IPv6 (ND) alike, with the states of RFC 4861
 * 7.3.2. It lives in the control thread, keeps no clock and sends nothing itself: events go in with the time, frames
 * and changes come out through callbacks, and whoever drives it calls neigh_tick() at neigh_deadline(). Callbacks must
 * not call back into the table.
 *
 * An entry is only ever created by neigh_resolve(): what others send can change entries, never add one. So neither
 * gratuitous ARP nor a flood of solicitations fills the table. It is bounded, and full means: first the entries that
 * failed go, then the stale ones, the longest stale first; what is reachable, being probed or being resolved stays, and
 * the new one is refused. At most half of the table may be in resolution, so that a scan of a prefix leaves room.
 *
 * An unused entry: REACHABLE for 15 to 45 s, then STALE, forgotten after ten minutes. A used one goes from STALE over
 * DELAY (5 s) to PROBE (3 unicast requests, 1 s apart) and back to REACHABLE, or is forgotten. Unresolved: INCOMPLETE
 * (3 requests, 1 s apart), then FAILED for one second, in which nobody asks again (RFC 1122 2.3.2.1).
 *
 * Addresses of ours are checked before use, IPv6 by RFC 4862 5.4, IPv4 by RFC 5227 (which takes 4 to 7 s; it may be
 * left out), announced, answered for, and defended: IPv4 by RFC 5227 2.4 (c), one announcement in 10 s.
 */
#ifndef USER_NET_NEIGH_H
#define USER_NET_NEIGH_H

#include "common/fault.h"
#include "user/net/iface.h"

#include <sluice/drops.h>

#define NEIGH_ADDRS_MAX 512		/* addresses of ours, over all interfaces */

enum neigh_state {
	NEIGH_NONE,			/* no entry */
	NEIGH_INCOMPLETE,
	NEIGH_REACHABLE,
	NEIGH_STALE,
	NEIGH_DELAY,
	NEIGH_PROBE,
	NEIGH_FAILED,
	NEIGH_STATE_N,
};

struct neigh {
	uint16_t iface;			/* id */
	uint8_t family;
	uint8_t state;			/* enum neigh_state */
	bool router;			/* IPv6: it said so */
	uint8_t mac[6];			/* not in INCOMPLETE and FAILED */
	uint8_t addr[16];
	uint32_t slot;			/* stays the same as long as the entry lives; below max_entries */
	uint64_t changed_ns;		/* last change of state or mac */
	uint64_t used_ns;
};

enum neigh_event {
	NEIGH_EVENT_RESOLVED,		/* now has a MAC address, or another one */
	NEIGH_EVENT_STATE,		/* another state only; the MAC address is the same */
	NEIGH_EVENT_FAILED,		/* did not answer: drop what waits for it */
	NEIGH_EVENT_GONE,		/* forgotten; @n is still readable */
};

enum neigh_addr_state {			/* of an address of ours */
	NEIGH_ADDR_TENTATIVE,		/* looking for a duplicate: not to be used */
	NEIGH_ADDR_PREFERRED,
	NEIGH_ADDR_DUPLICATED,		/* somebody else has it: not to be used */
};

struct neigh_ops {
	/** iface - The interface with this id as it is now, or NULL when it is gone or has no link layer. */
	const struct iface *(*iface)(void *ctx, uint16_t id);

	/** send - A frame to send, link-layer header included. */
	void (*send)(void *ctx, const struct iface *out, const uint8_t *frame, uint32_t bytes);

	/** changed - An entry changed. */
	void (*changed)(void *ctx, const struct neigh *n, enum neigh_event event);

	/**
	 * address - The state of an address of ours changed.
	 * @mac: of the station that has it too, for a duplicate and for a conflict about a preferred one; else NULL
	 */
	void (*address)(void *ctx, uint16_t iface, uint8_t family, const uint8_t *addr, enum neigh_addr_state state,
			const uint8_t *mac);
};

struct neigh_params {
	uint32_t max_entries;		/* 2 to 65536 */
	/* 0 for the default */
	uint64_t reachable_ns;		/* RFC 4861 REACHABLE_TIME, before its random factor of 0.5 to 1.5; 30 s */
	uint64_t retrans_ns;		/* RFC 4861 RETRANS_TIMER, of ARP as well; 1 s */
	uint64_t stale_ns;		/* after which an unused entry is forgotten; 10 min */
	uint32_t probes;		/* requests before a neighbour is given up, at most 255; 3 */
	const struct neigh_ops *ops;
	void *ctx;
	uint64_t seed[2];		/* random: keys the hash and the timers' jitter */
};

struct neigh_table;

/** neigh_create() - Reserve everything now. Return: 0, or a negative errno with the reason in @f */
int neigh_create(struct neigh_table **out, const struct neigh_params *params, struct fault *f);

void neigh_destroy(struct neigh_table *t);

/* ---- Neighbours -------------------------------------------------------------------------------------------------- */

/**
 * neigh_resolve() - Somebody wants to send to @addr: make sure that the answer is there or on its way.
 *
 * The answer comes through ops->changed, unless the entry is known already: look at the result. Counts as a use.
 * Return: the entry's state (enum neigh_state), or -ENOBUFS when the table is full, -EADDRNOTAVAIL when the interface
 * has no address of ours to ask from, -ENODEV when it is gone, down or has no link layer
 */
int neigh_resolve(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr, uint64_t now_ns);

/** neigh_used() - Something was sent to the entry in this slot (see neigh_map.h); stale entries are probed for that. */
void neigh_used(struct neigh_table *t, uint32_t slot, uint64_t now_ns);

/** neigh_confirm() - A transport knows that this neighbour is reachable (RFC 4861 7.3.1). */
void neigh_confirm(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr, uint64_t now_ns);

/** neigh_find() - Return: the entry, valid until the next call of any other function, or NULL */
const struct neigh *neigh_find(const struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr);

/**
 * neigh_next() - Walk over all entries, in order of slots.
 * @slot: 0 at first; the last entry's slot + 1 from then on
 * Return: an entry, or NULL at the end
 */
const struct neigh *neigh_next(const struct neigh_table *t, uint32_t slot);

/** neigh_count() - Entries in @state, or all for NEIGH_NONE. */
uint32_t neigh_count(const struct neigh_table *t, enum neigh_state state);

/** neigh_flush() - Forget all neighbours of an interface: it went down, or its MAC address changed. */
void neigh_flush(struct neigh_table *t, uint16_t iface, uint64_t now_ns);

/* ---- What comes in ----------------------------------------------------------------------------------------------- */

/**
 * neigh_input_arp() - An ARP packet came in.
 * @arp:   behind the link-layer header
 * Return: DROP_NONE, or DROP_arp_bad
 */
enum drop neigh_input_arp(struct neigh_table *t, uint16_t iface, const uint8_t *arp, uint32_t bytes, uint64_t now_ns);

/**
 * neigh_input_nd() - A neighbour discovery message came in.
 * @ip:      its IPv6 header
 * @bytes:   of the IP packet
 * @src_mac: the frame's source
 * Return: DROP_NONE, or DROP_nd_bad
 */
enum drop neigh_input_nd(struct neigh_table *t, uint16_t iface, const uint8_t *ip, uint32_t bytes,
			 const uint8_t *src_mac, uint64_t now_ns);

/* ---- Time -------------------------------------------------------------------------------------------------------- */

/** neigh_deadline() - When neigh_tick() has something to do; UINT64_MAX: never */
uint64_t neigh_deadline(const struct neigh_table *t);

/** neigh_tick() - Do all that is due. Return: the next deadline */
uint64_t neigh_tick(struct neigh_table *t, uint64_t now_ns);

/* ---- Addresses of ours ------------------------------------------------------------------------------------------- */

/**
 * neigh_addr_add() - Take an engine-only address into use.
 * @detect: look for a duplicate first; ops->address tells the result. Without, it is preferred at once
 *
 * Return: 0; -EEXIST; -ENOBUFS when there are NEIGH_ADDRS_MAX; -ENODEV
 */
int neigh_addr_add(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr, uint8_t prefix_len,
		   bool detect, uint64_t now_ns);

/** neigh_addr_del() - Give an address up. Return: 0 or -ENOENT */
int neigh_addr_del(struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr);

/** neigh_addr_state_of() - Return: an address's enum neigh_addr_state, or -ENOENT */
int neigh_addr_state_of(const struct neigh_table *t, uint16_t iface, uint8_t family, const uint8_t *addr);

/** neigh_addr_restart() - The interface is up again, or has another MAC address: detect and announce anew. */
void neigh_addr_restart(struct neigh_table *t, uint16_t iface, uint64_t now_ns);

/** neigh_iface_gone() - Forget neighbours and addresses of an interface that was removed. */
void neigh_iface_gone(struct neigh_table *t, uint16_t iface, uint64_t now_ns);

#endif
