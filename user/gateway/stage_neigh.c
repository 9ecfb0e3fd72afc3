/* SPDX-License-Identifier: MIT */
/*
 * Stage "neigh": the next hop's link-layer address, and the Ethernet header with it.
 *
 * Reads: route, next_hop, iface_out. Writes: off, len, total_bytes, port_out, the header's bytes.
 *
 * A packet whose next hop is not known waits in a queue of bounded length while the control thread, or the kernel by
 * its hand, asks for it. When it stays silent the packets are dropped and their senders told (RFC 1122 2.3.2.2,
 * RFC 1812 5.2.7.1, RFC 4861 7.2.2).
 *
 * Transit packets whose gateway is known do not come here: the stage "forward" keeps that answer for a batch.
 */
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "user/gateway/engine.h"
#include "user/gateway/forward.h"
#include "user/gateway/worker.h"
#include "user/net/eth.h"

enum { NEIGH_TX, NEIGH_COALESCE, NEIGH_ERROR };

#define WAITS_CHECK_NS (100 * NS_PER_MS)

/* The address to resolve: the gateway's, or on a link of ours the destination itself. */
static const uint8_t *next_hop_addr(const struct pkt *p, uint8_t *family)
{
	const struct fib_nexthop *nh = forward_next_hop(p);

	if (nh && nh->gw_family) {
		*family = nh->gw_family;
		return nh->gw;
	}
	*family = p->family;
	return pkt_l3(p) + (p->family == AF_INET ? IP4_DST : IP6_DST);
}

static struct neigh_wait *wait_find(struct worker *w, uint16_t iface, uint8_t family, const uint8_t *addr)
{
	size_t bytes = family == AF_INET ? 4 : 16;

	for (unsigned int i = 0; i < NEIGH_WAITS_MAX; i++) {
		struct neigh_wait *nw = &w->waits[i];

		if (nw->family == family && nw->iface == iface && memcmp(nw->addr, addr, bytes) == 0)
			return nw;
	}
	return NULL;
}

static struct neigh_wait *wait_create(struct worker *w, uint16_t iface, uint8_t family, const uint8_t *addr,
				      enum drop *why)
{
	size_t bytes = family == AF_INET ? 4 : 16;
	struct ctl_msg m = { .kind = CTL_RESOLVE, .family = family, .iface = iface };
	struct neigh_wait *nw = NULL;

	for (unsigned int i = 0; i < NEIGH_WAITS_MAX && !nw; i++)
		if (w->waits[i].family == 0)
			nw = &w->waits[i];
	*why = DROP_neigh_table_full;
	if (!nw)
		return NULL;
	memcpy(m.addr, addr, bytes);
	*why = DROP_control_full;
	if (!engine_tell(w, &m))
		return NULL;
	w->count->neigh_requests++;
	nw->family = family;
	nw->iface = iface;
	memcpy(nw->addr, addr, bytes);
	nw->n = 0;
	nw->deadline_ns = w->now_ns + NEIGH_WAIT_NS;
	if (w->n_waits++ == 0)
		w->waits_check_ns = w->now_ns + WAITS_CHECK_NS;
	return nw;
}

static void wait_for(struct worker *w, struct edges *out, struct pkt *p, uint8_t family, const uint8_t *addr)
{
	struct neigh_wait *nw = wait_find(w, p->iface_out, family, addr);
	enum drop why;

	if (!nw)
		nw = wait_create(w, p->iface_out, family, addr, &why);
	if (!nw) {
		edge_drop(out, p, why);
		return;
	}
	if (nw->n >= w->limits.neigh_queue_pkts) {
		/* The newest are worth most: the oldest gives way (RFC 1122 2.3.2.2 asks to keep the latest). */
		struct pkt *old = nw->pkt[0];

		memmove(nw->pkt, nw->pkt + 1, (nw->n - 1u) * sizeof(nw->pkt[0]));
		nw->n--;
		pkt_unhold(w->area, old);
		edge_drop(out, old, DROP_neigh_queue_full);
	}
	if (!pkt_hold(w->area, p, PLACE_NEIGH)) {
		edge_drop(out, p, DROP_frame_quota);
		return;
	}
	nw->pkt[nw->n++] = p;
}

/* Packets for a port that takes superpackets may become one. */
static unsigned int port_edge(const struct worker *w, unsigned int port)
{
	return w->port_caps[port] & PORT_CAPS_SUPERPACKETS ? NEIGH_COALESCE : NEIGH_TX;
}

static void neigh_one(struct worker *w, struct edges *out, struct pkt *p)
{
	const struct tables *t = w->tables;
	const struct iface *iface = &t->ifaces[p->iface_out];
	struct neigh_entry *n;
	const uint8_t *addr;
	uint8_t family;

	p->port_out = iface->port;
	if (iface->flags & IFACE_NO_L2) {
		if (p->off != p->l3)
			eth_pop(p);
		edge_push(out, port_edge(w, iface->port), p);
		return;
	}
	addr = next_hop_addr(p, &family);
	if (likely(family == AF_INET))
		n = neigh_map_lookup4(t->neighs, p->iface_out, wire32_at(addr));
	else
		n = neigh_map_lookup6(t->neighs, p->iface_out, addr);
	if (likely(n && n->usable)) {
		neigh_map_mark_used(n);
		eth_push(p, iface, n->mac);
		edge_push(out, port_edge(w, iface->port), p);
	} else if (n && n->failed) {
		forward_error(out, NEIGH_ERROR, p, DROP_neigh_failed);
	} else {
		wait_for(w, out, p, family, addr);
	}
}

/* The neighbour answered: its packets go on in order. */
static void wait_resolved(struct worker *w, struct neigh_wait *nw, const struct neigh_entry *n)
{
	const struct iface *iface = &w->tables->ifaces[nw->iface];
	struct edges *out = &w->edges[w->neigh_stage];

	for (unsigned int i = 0; i < nw->n; i++) {
		struct pkt *p = nw->pkt[i];

		pkt_unhold(w->area, p);
		p->port_out = iface->port;	/* the tables may have changed since */
		eth_push(p, iface, n->mac);
		edge_push(out, port_edge(w, iface->port), p);
	}
	nw->n = 0;
}

static void wait_failed(struct worker *w, struct neigh_wait *nw)
{
	struct edges *out = &w->edges[w->neigh_stage];

	for (unsigned int i = 0; i < nw->n; i++) {
		pkt_unhold(w->area, nw->pkt[i]);
		forward_error(out, NEIGH_ERROR, nw->pkt[i], DROP_neigh_failed);
	}
	nw->n = 0;
}

/**
 * neigh_waits_check() - Send or drop what waits, when the tables have changed or time has passed.
 */
void neigh_waits_check(struct worker *w)
{
	const struct tables *t = w->tables;

	if (t->version == w->waits_version && w->now_ns < w->waits_check_ns)
		return;
	w->waits_version = t->version;
	w->waits_check_ns = w->now_ns + WAITS_CHECK_NS;
	for (unsigned int i = 0; i < NEIGH_WAITS_MAX; i++) {
		struct neigh_wait *nw = &w->waits[i];
		const struct neigh_entry *n = NULL;

		if (nw->family == 0)
			continue;
		if (nw->iface < t->n_ifaces && t->ifaces[nw->iface].up)
			n = nw->family == AF_INET ? neigh_map_lookup4(t->neighs, nw->iface, wire32_at(nw->addr)) :
						    neigh_map_lookup6(t->neighs, nw->iface, nw->addr);
		if (n && n->usable)
			wait_resolved(w, nw, n);
		else if ((n && n->failed) || w->now_ns >= nw->deadline_ns)
			wait_failed(w, nw);
		else
			continue;
		nw->family = 0;
		w->n_waits--;
		worker_graph_run(w);
	}
}

void neigh_waits_drain(struct worker *w, enum drop why)
{
	for (unsigned int i = 0; i < NEIGH_WAITS_MAX; i++) {
		struct neigh_wait *nw = &w->waits[i];

		for (unsigned int k = 0; k < nw->n; k++) {
			pkt_unhold(w->area, nw->pkt[k]);
			worker_drop(w, nw->pkt[k], why);
		}
		*nw = (struct neigh_wait){ 0 };
	}
	w->n_waits = 0;
}

static void neigh_run(struct worker *w, struct batch *in, struct edges *out)
{
	for (unsigned int i = 0; i < in->n; i++)
		neigh_one(w, out, in->pkt[i]);
}

const struct stage stage_neigh = {
	.name = "neigh", .run = neigh_run,
	.next = { [NEIGH_TX] = "tx", [NEIGH_COALESCE] = "coalesce", [NEIGH_ERROR] = "icmp-error" },
};
