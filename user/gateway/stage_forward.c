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

/*
 * What one side allows: a number, or what fits the smaller MTU of both; 0 is no limit, and so is an MTU that no segment
 * fits into.
 */
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

static void clamp_mss(struct worker *w, struct pkt *p)
{
	const struct iface *from = &w->tables->ifaces[p->iface_in], *to = &w->tables->ifaces[p->iface_out];
	uint16_t limit = mss_limit(from, to, p);

	if (limit && tcp_clamp_mss(p, limit))
		w->count->mss_clamped_pkts++;
}

/* The way out of the packet before: a batch mostly goes one way. */
struct last_way {
	const struct fib_route *route;	/* with one next hop; NULL: not known */
	uint16_t iface, mtu_bytes;
};

static inline enum drop choose(struct worker *w, struct last_way *last, struct pkt *p)
{
	const struct fib_route *r = p->route;
	enum drop why;

	if (likely(r == last->route)) {
		p->iface_out = last->iface;
		p->mtu_out = last->mtu_bytes;
		p->next_hop = 0;
		return DROP_NONE;
	}
	why = forward_choose(w, p);
	*last = (struct last_way){ .route = why == DROP_NONE && r->n_nexthops == 1 ? r : NULL, .iface = p->iface_out,
				   .mtu_bytes = p->mtu_out };
	return why;
}

/*
 * A superpacket whose segment size is a guess is cut as its way out wants it. Its sender must not be told of a smaller MTU:
 * what he sends after he has learned it looks the same, and would be refused for ever. TCP does not mind.
 */
static void guess_again(struct pkt *p)
{
	uint32_t headers = (uint32_t)(p->payload - p->l3);

	if (p->mtu_out <= headers)
		return;
	p->gso_size = (uint16_t)(p->mtu_out - headers);
	p->gso_segs = (uint16_t)((pkt_l3_bytes(p) - headers + p->gso_size - 1) / p->gso_size);
}

/* What is too long for the way out. Return: the edge to take */
static unsigned int too_long(struct worker *w, struct pkt *p)
{
	bool fits = ip_bytes_on_wire(p) <= p->mtu_out;

	if (!fits && p->flags & PKT_GSO_GUESSED) {
		guess_again(p);
		fits = ip_bytes_on_wire(p) <= p->mtu_out;
	}
	if (!fits && p->flags & PKT_DF)
		return FORWARD_ERROR;
	/* Segments that are still too long go on to be fragmented. */
	if (p->gso != PKT_GSO_NONE && (!fits || !port_takes(w->port_caps[w->tables->ifaces[p->iface_out].port], p)))
		return FORWARD_SEGMENT;
	return fits ? FORWARD_NEIGH : FORWARD_FRAGMENT;
}

static void forward_run(struct worker *w, struct batch *in, struct edges *out)
{
	const struct tables *t = w->tables;
	struct pkt **neigh = edge_open(out, FORWARD_NEIGH);
	struct last_way last = { 0 };
	unsigned int n = in->n, forwarded = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct pkt *p = in->pkt[i];
		uint8_t *ip = pkt_l3(p);
		bool ip4 = p->family == AF_INET;
		unsigned int edge = FORWARD_NEIGH;
		enum drop why = choose(w, &last, p);

		if (likely(why == DROP_NONE) && unlikely((ip4 ? ip[IP4_TTL] : ip[IP6_HOPS]) <= 1))
			why = DROP_ttl;
		if (unlikely(why != DROP_NONE)) {
			forward_error(out, FORWARD_ERROR, p, why);
			continue;
		}
		if (unlikely(p->gso != PKT_GSO_NONE || pkt_l3_bytes(p) > p->mtu_out)) {
			edge = too_long(w, p);
			if (edge == FORWARD_ERROR) {
				forward_too_big(out, FORWARD_ERROR, p, p->mtu_out);
				continue;
			}
		}
		if (unlikely(t->clamps_mss))
			clamp_mss(w, p);
		if (likely(ip4))
			ipv4_dec_ttl(ip);
		else
			ipv6_dec_hops(ip);
		forwarded++;
		if (likely(edge == FORWARD_NEIGH))
			*neigh++ = p;
		else
			edge_push(out, edge, p);
	}
	w->count->forwarded_pkts += forwarded;
	edge_close(out, FORWARD_NEIGH, neigh);
}

const struct stage stage_forward = {
	.name = "forward", .run = forward_run,
	.next = {
		[FORWARD_NEIGH] = "neigh", [FORWARD_SEGMENT] = "segment", [FORWARD_FRAGMENT] = "fragment",
		[FORWARD_ERROR] = "icmp-error",
	},
};
