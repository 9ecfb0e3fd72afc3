/* SPDX-License-Identifier: MIT */
/*
 * Stage "forward": a transit packet takes its way out (RFC 1812 5.2.1, 5.3.1; RFC 8200 3).
 *
 * Reads: route, l3, gso_*. Writes: iface_out, mtu_out, next_hop, the TTL or hop limit; and what the stage "neigh"
 * writes, where that is no more than two addresses which a batch shares.
 *
 * The TTL goes down last, so that an ICMP error quotes the packet as it was received.
 */
#include <string.h>
#include <sys/socket.h>

#include "user/gateway/forward.h"
#include "user/gateway/worker.h"
#include "user/net/eth.h"
#include "user/net/ipv4.h"
#include "user/net/ipv6.h"
#include "user/net/tcp_mss.h"

enum { FORWARD_TX, FORWARD_NEIGH, FORWARD_SEGMENT, FORWARD_FRAGMENT, FORWARD_ERROR };

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

static aside void clamp_mss(struct worker *w, struct pkt *p)
{
	const struct iface *from = &w->tables->ifaces[p->iface_in], *to = &w->tables->ifaces[p->iface_out];
	uint16_t limit = mss_limit(from, to, p);

	if (limit && tcp_clamp_mss(p, limit))
		w->count->mss_clamped_pkts++;
}

/* A way out, which all packets of a route take. A batch mostly goes one way: that of the packet before is kept. */
struct way {
	const struct fib_route *route;	/* with one next hop; NULL: not known */
	struct pkt_way out;
	bool to_gateway;		/* whose address is known, by an untagged link; else stage "neigh" goes on */
	uint8_t addrs[ETH_TYPE];	/* the gateway's and the interface's, as a header starts with them */
};

/* The gateway's link-layer address where nothing else is to be asked or done. */
static const uint8_t *gateway_mac(const struct worker *w, const struct iface *iface, const struct fib_nexthop *nh)
{
	struct neigh_map *neighs = w->tables->neighs;
	struct neigh_entry *n = NULL;

	if (iface->l2_bytes != ETH_HLEN_BYTES || w->port_caps[iface->port] & PORT_CAPS_SUPERPACKETS)
		return NULL;
	if (nh->gw_family == AF_INET)
		n = neigh_map_lookup4(neighs, iface->id, wire32_at(nh->gw));
	else if (nh->gw_family == AF_INET6)
		n = neigh_map_lookup6(neighs, iface->id, nh->gw);
	if (!n || !n->usable)
		return NULL;
	neigh_map_mark_used(n);
	return n->mac;
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

/* The way of a packet that forward_choose() has chosen. */
static aside struct way way_of(const struct worker *w, struct pkt *p)
{
	const struct iface *iface = &w->tables->ifaces[p->iface_out];
	const struct fib_route *r = p->route;
	const uint8_t *mac = gateway_mac(w, iface, &r->nexthops[p->next_hop]);
	struct way way = { .route = r->n_nexthops == 1 ? r : NULL, .to_gateway = mac };

	p->port_out = iface->port;
	way.out = p->way;
	if (mac) {
		memcpy(way.addrs + ETH_DST, mac, 6);
		memcpy(way.addrs + ETH_SRC, iface->mac, 6);
	}
	return way;
}

/* Which edge for a superpacket, or for what is longer than the way out takes? */
static unsigned int long_edge(const struct worker *w, struct pkt *p)
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

static inline void dec_ttl(const struct pkt *p, uint8_t *ip)
{
	if (p->family == AF_INET)
		ipv4_dec_ttl(ip);
	else
		ipv6_dec_hops(ip);
}

/* Return: whether it is forwarded; else its sender is told */
static aside bool forward_long(struct worker *w, struct edges *out, struct pkt *p)
{
	unsigned int edge = long_edge(w, p);

	if (edge == FORWARD_ERROR) {
		forward_too_big(out, FORWARD_ERROR, p, p->mtu_out);
		return false;
	}
	if (w->tables->clamps_mss)
		clamp_mss(w, p);
	dec_ttl(p, pkt_l3(p));
	edge_push(out, edge, p);
	return true;
}

static void forward_run(struct worker *w, struct batch *in, struct edges *out)
{
	bool clamps_mss = w->tables->clamps_mss;
	struct pkt **tx = edge_open(out, FORWARD_TX);
	struct way way = { 0 };
	unsigned int n = in->n, refused = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct pkt *p = in->pkt[i];
		uint8_t *ip = pkt_l3(p);
		enum drop why = DROP_NONE;

		if (likely(p->route == way.route)) {
			p->way = way.out;
		} else {
			why = forward_choose(w, p);
			if (why == DROP_NONE)
				way = way_of(w, p);
		}
		if (likely(why == DROP_NONE) && unlikely((p->family == AF_INET ? ip[IP4_TTL] : ip[IP6_HOPS]) <= 1))
			why = DROP_ttl;
		if (unlikely(why != DROP_NONE)) {
			forward_error(out, FORWARD_ERROR, p, why);
			refused++;
			continue;
		}
		if (unlikely(p->gso != PKT_GSO_NONE || pkt_l3_bytes(p) > p->mtu_out)) {
			refused += !forward_long(w, out, p);
			continue;
		}
		if (likely(way.to_gateway && eth_has_plain(p))) {
			eth_readdress(p, way.addrs);
			*tx++ = p;
		} else {
			edge_push(out, FORWARD_NEIGH, p);
		}
		dec_ttl(p, ip);
		if (unlikely(clamps_mss))
			clamp_mss(w, p);
	}
	w->count->forwarded_pkts += n - refused;
	edge_close(out, FORWARD_TX, tx);
}

const struct stage stage_forward = {
	.name = "forward", .run = forward_run,
	.next = {
		[FORWARD_TX] = "tx", [FORWARD_NEIGH] = "neigh", [FORWARD_SEGMENT] = "segment",
		[FORWARD_FRAGMENT] = "fragment", [FORWARD_ERROR] = "icmp-error",
	},
};
