/* SPDX-License-Identifier: MIT */
#include "user/net/neigh_map.h"

#include <errno.h>
#include <stdlib.h>

struct neigh_map *neigh_map_create(uint32_t n, struct fault *f)
{
	uint32_t slots = round_up_pow2(n < 8 ? 16 : 2 * n);
	struct neigh_map *m;

	if (n > NEIGH_MAP_MAX) {
		fault_set(f, E2BIG, "%u neighbours; at most %u are kept", n, NEIGH_MAP_MAX);
		return NULL;
	}
	m = calloc(1, sizeof(*m) + slots * sizeof(m->slots[0]));
	if (!m)
		fault_set(f, ENOMEM, "no memory for %u neighbours", n);
	else
		m->mask = slots - 1;
	return m;
}

void neigh_map_destroy(struct neigh_map *m)
{
	free(m);
}

static uint32_t first_slot(const struct neigh_entry *e)
{
	if (e->family == AF_INET)
		return neigh_map_hash(wire32_at(e->addr), 0, e->iface);
	return neigh_map_hash(u64_at(e->addr), u64_at(e->addr + 8), e->iface);
}

bool neigh_map_add(struct neigh_map *m, const struct neigh_entry *entry)
{
	struct neigh_entry *e;

	if (2 * (m->count + 1) > m->mask + 1)
		return false;
	for (uint32_t i = first_slot(entry);; i++) {
		e = &m->slots[i & m->mask];
		if (e->family == 0)
			break;
		if (e->family == entry->family && e->iface == entry->iface &&
		    memcmp(e->addr, entry->addr, sizeof(e->addr)) == 0)
			return true;
	}
	memcpy(e->addr, entry->addr, sizeof(e->addr));
	memcpy(e->mac, entry->mac, sizeof(e->mac));
	e->iface = entry->iface;
	e->family = entry->family;
	e->usable = entry->usable;
	e->failed = entry->failed;
	e->kernel = entry->kernel;
	m->count++;
	return true;
}
