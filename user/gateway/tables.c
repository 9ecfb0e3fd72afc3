/* SPDX-License-Identifier: MIT */
#include "user/gateway/tables.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Tagged interfaces in port order, so that each port's are adjacent. */
static void tagged_fill(struct tables *t)
{
	uint16_t n = 0;

	for (uint16_t port = 0; port < TABLES_PORTS_MAX; port++) {
		struct port_ifaces *pi = &t->by_port[port];

		*pi = (struct port_ifaces){ .untagged = IFACE_NONE, .first_tagged = n };
		for (uint16_t i = 0; i < t->n_ifaces; i++) {
			const struct iface *iface = &t->ifaces[i];

			if (iface->port != port)
				continue;
			if (iface->n_vlans == 0) {
				pi->untagged = i;
				continue;
			}
			t->tagged[n++] = (struct tagged_iface){
				.vlan = { iface->vlan[0].vid, iface->n_vlans == 2 ? iface->vlan[1].vid : 0 }, .iface = i,
			};
			pi->n_tagged++;
		}
	}
}

int tables_build(struct tables **out, const struct iface *ifaces, uint16_t n_ifaces, struct neigh_map *neighs,
		 struct fib *fib, uint64_t version, struct fault *f)
{
	struct tables *t = calloc(1, sizeof(*t));

	if (t) {
		t->ifaces = calloc(n_ifaces ? n_ifaces : 1u, sizeof(*t->ifaces));
		t->tagged = calloc(n_ifaces ? n_ifaces : 1u, sizeof(*t->tagged));
	}
	if (!t || !t->ifaces || !t->tagged) {
		if (t) {
			free(t->ifaces);
			free(t->tagged);
		}
		free(t);
		neigh_map_destroy(neighs);
		return fault_set(f, ENOMEM, "no memory for %u interfaces", n_ifaces);
	}
	t->version = version;
	t->fib = fib;
	t->neighs = neighs;
	t->n_ifaces = n_ifaces;
	memcpy(t->ifaces, ifaces, n_ifaces * sizeof(*ifaces));
	tagged_fill(t);
	for (uint16_t i = 0; i < n_ifaces; i++) {
		t->clamps_mss |= (ifaces[i].flags & IFACE_CLAMP_MSS) != 0;
		t->checks_source |= (ifaces[i].flags & IFACE_CHECK_SOURCE) != 0;
	}
	*out = t;
	return 0;
}

void tables_free(void *tables)
{
	struct tables *t = tables;

	if (!t)
		return;
	neigh_map_destroy(t->neighs);
	free(t->tagged);
	free(t->ifaces);
	free(t);
}
