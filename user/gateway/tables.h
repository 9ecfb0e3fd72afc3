/* SPDX-License-Identifier: MIT */
/*
 * What the workers know of the world: interfaces, neighbours, routes.
 *
 * The control thread builds a new snapshot when something changes and publishes its pointer; workers load it once per
 * batch and never see it change. Routes are the exception: there may be a million, so the forwarding table is one
 * structure that is updated in place under readers (see fib.h) and every snapshot points to the same.
 */
#ifndef USER_GATEWAY_TABLES_H
#define USER_GATEWAY_TABLES_H

#include <stdint.h>

#include "user/net/fib.h"
#include "user/net/iface.h"
#include "user/net/neigh_map.h"
#include "user/packet/port.h"

#define TABLES_PORTS_MAX 32
#define TABLES_IFACES_MAX 1024

/* The interfaces on one port. */
struct port_ifaces {
	uint16_t untagged;			/* interface id, or IFACE_NONE */
	uint16_t n_tagged;
	uint16_t first_tagged;			/* index into tables->tagged */
};

struct tagged_iface {
	uint16_t vlan[2];			/* VLAN ids, host order; [1] is 0 for a single tag */
	uint16_t iface;
};

struct tables {
	uint64_t version;
	struct fib *fib;			/* shared by all snapshots */
	struct neigh_map *neighs;		/* owned */
	uint16_t n_ifaces;
	bool clamps_mss, checks_source;		/* some interface does */
	struct port_ifaces by_port[TABLES_PORTS_MAX];
	struct tagged_iface *tagged;		/* owned */
	struct iface *ifaces;			/* owned; index = id */
};

/**
 * tables_build() - A snapshot of these interfaces.
 * @ifaces:   copied; ifaces[i].id == i; entries that are not in use have port IFACE_NONE
 * @neighs:   taken over, also on failure
 * @fib:      shared, not owned
 */
int tables_build(struct tables **out, const struct iface *ifaces, uint16_t n_ifaces, struct neigh_map *neighs,
		 struct fib *fib, uint64_t version, struct fault *f);

/** tables_free() - For epoch_retire(). */
void tables_free(void *tables);

/** tables_iface_of() - The interface that a frame came in by, of those of its port @pi, or IFACE_NONE. */
static inline uint16_t tables_iface_of(const struct tables *t, const struct port_ifaces *pi, const struct pkt *p)
{
	uint16_t outer, inner;

	if (__builtin_expect(p->n_vlans == 0, 1))
		return pi->untagged;
	outer = p->vlan[0] & 0x0fff;
	inner = p->n_vlans == 2 ? p->vlan[1] & 0x0fff : 0;
	if (outer == 0 && p->n_vlans == 1)	/* a priority tag is no VLAN (802.1Q 6.9.1) */
		return pi->untagged;
	for (unsigned int i = 0; i < pi->n_tagged; i++) {
		const struct tagged_iface *ti = &t->tagged[pi->first_tagged + i];

		if (ti->vlan[0] == outer && ti->vlan[1] == inner)
			return ti->iface;
	}
	return IFACE_NONE;
}

#endif
