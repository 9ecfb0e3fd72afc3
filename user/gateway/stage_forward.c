/* SPDX-License-Identifier: MIT */
/*
 * Stage "forward": a transit packet takes its way out (RFC 1812 5.2.1, 5.3.1; RFC 8200 3).
 *
 * Reads: route, l3, gso_*. Writes: iface_out, mtu_out, next_hop, the TTL or hop limit.
 *
 * The TTL goes down last, so that an ICMP error quotes the packet as it was received.
 */
#include <sys/socket.h>

#include "user/gateway/forward.h"
#include "user/gateway/worker.h"
#include "user/net/ipv4.h"
#include "user/net/ipv6.h"
#include "user/net/tcp_mss.h"

enum { FORWARD_NEIGH, FORWARD_SEGMENT, FORWARD_FRAGMENT, FORWARD_ERROR };

/* Bytes of the largest IP packet that this one stands for: a superpacket's segments are what the link carries. */
static uint32_t ip_bytes_on_wire(const struct pkt *p)
{
	if (likely(p->gso == PKT_GSO_NONE))
		return pkt_l3_bytes(p);
	return min_u32(pkt_l3_bytes(p), (uint32_t)(p->payload - p->l3) + p->gso_size);
}

static bool port_takes(uint32_t caps, const struct pkt *p)
{
	static const uint32_t need[] = {
		[PKT_GSO_TCP4] = PORT_CAP_TX_TSO4, [PKT_GSO_TCP6] = PORT_CAP_TX_TSO6, [PKT_GSO_UDP] = PORT_CAP_TX_USO,
	};

	return caps & need[p->gso];
}

/* What one side allows: a number, or what fits the smaller MTU of both; 0 is no limit. */
static uint16_t mss_allowed(const struct iface *side, const struct iface *other, uint8_t family)
{
	if (!(side->flags & IFACE_CLAMP_MSS))
		return 0;
	if (side->mss_clamp != IFACE_MSS_PMTU)
		return side->mss_clamp;
	return tcp_mss_of_mtu(family, min_u32(side->mtu_bytes, other->mtu_bytes));
}

static uint16_t mss_limit(const struct iface *in, const struct iface *out, const struct pkt *p)
{
	uint16_t a = mss_allowed(in, out, p->family), b = mss_allowed(out, in, p->family);

	return a && (!b || a < b) ? a : b;
}

static void forward_one(struct worker *w, struct edges *out, struct pkt *p)
{
	const struct tables *t = w->tables;
	const struct iface *to, *from = &t->ifaces[p->iface_in];
	uint8_t *ip = pkt_l3(p);
	enum drop why = forward_choose(w, p);
	unsigned int edge = FORWARD_NEIGH;

	if (unlikely(why != DROP_NONE)) {
		forward_error(out, FORWARD_ERROR, p, why);
		return;
	}
	to = &t->ifaces[p->iface_out];
	if (unlikely((p->family == AF_INET ? ip[IP4_TTL] : ip[IP6_HOPS]) <= 1)) {
		forward_error(out, FORWARD_ERROR, p, DROP_ttl);
		return;
	}
	if (unlikely(ip_bytes_on_wire(p) > p->mtu_out)) {
		if (p->flags & PKT_DF) {
			forward_too_big(out, FORWARD_ERROR, p, p->mtu_out);
			return;
		}
		edge = FORWARD_FRAGMENT;
	}
	/* Segments that are still too long go on to be fragmented. */
	if (unlikely(p->gso != PKT_GSO_NONE) && (edge == FORWARD_FRAGMENT || !port_takes(w->port_caps[to->port], p)))
		edge = FORWARD_SEGMENT;
	if (unlikely((from->flags | to->flags) & IFACE_CLAMP_MSS) && tcp_clamp_mss(p, mss_limit(from, to, p)))
		w->count->mss_clamped_pkts++;
	if (p->family == AF_INET)
		ipv4_dec_ttl(ip);
	else
		ipv6_dec_hops(ip);
	w->count->forwarded_pkts++;
	edge_push(out, edge, p);
}

static void forward_run(struct worker *w, struct batch *in, struct edges *out)
{
	for (unsigned int i = 0; i < in->n; i++)
		forward_one(w, out, in->pkt[i]);
}

const struct stage stage_forward = {
	.name = "forward", .run = forward_run,
	.next = {
		[FORWARD_NEIGH] = "neigh", [FORWARD_SEGMENT] = "segment", [FORWARD_FRAGMENT] = "fragment",
		[FORWARD_ERROR] = "icmp-error",
	},
};
