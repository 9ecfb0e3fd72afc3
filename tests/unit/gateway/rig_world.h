/* SPDX-License-Identifier: MIT */
/*
 * The rig with a bit of everything switched on, and what must hold whatever frames come: counters balance, no frame is
 * lost, and what leaves is well formed. For random input.
 */
#ifndef TESTS_GATEWAY_RIG_WORLD_H
#define TESTS_GATEWAY_RIG_WORLD_H

#include "tests/unit/gateway/rig.h"

static inline void rig_world(struct rig *r, uint32_t caps)
{
	struct fib_route two = { .type = FIB_UNICAST, .n_nexthops = 2 };
	uint8_t net[16] = { 10, 20 };
	uint16_t vlan, qinq;

	rig_init_ports(r, 1024, caps, caps & PORT_CAP_TX_SG ? 700 : 0);
	vlan = rig_vlan(r, LAN, 7, 0);
	qinq = rig_vlan(r, WAN, 8, 80);
	rig_addr(&r->iface[vlan], "10.7.0.1", 24, true);
	rig_addr(&r->iface[LAN], "fe80::1", 64, true);
	rig_addr(&r->iface[TUN], "fe80::3", 64, true);
	rig_route(r, "10.7.0.0", 24, FIB_UNICAST, vlan, NULL);
	rig_route(r, "10.8.0.0", 24, FIB_UNICAST, qinq, "10.8.0.2");
	rig_route(r, "fd08::", 64, FIB_UNICAST, qinq, "fd08::2");
	rig_route(r, "10.66.0.0", 16, FIB_PROHIBIT, 0, NULL);
	rig_route(r, "10.67.0.0", 16, FIB_UNREACHABLE, 0, NULL);
	rig_route(r, "10.68.0.0", 16, FIB_KERNEL, 0, NULL);
	rig_route(r, "10.69.0.0", 16, FIB_UNICAST, FIB_IFACE_NONE, NULL);
	two.nexthops[0] = (struct fib_nexthop){ .iface = TUN, .weight = 1 };
	two.nexthops[1] = (struct fib_nexthop){ .iface = WAN, .weight = 1, .gw_family = AF_INET,
					    .gw = { 10, 2, 0, 2 } };
	if (fib_set(r->e->fib, AF_INET, net, 16, FIB_ORIGIN_STATIC, 0, &two, &r->f))
		rig_fail(r, "fib_set");
	r->iface[vlan].flags |= IFACE_CHECK_SOURCE;
	r->iface[vlan].rp_filter = IFACE_RP_STRICT;
	r->iface[WAN].flags |= IFACE_CLAMP_MSS;
	r->iface[WAN].mss_clamp = IFACE_MSS_PMTU;
	r->iface[qinq].mtu_bytes = 600;
	r->port[LAN].caps |= PORT_CAP_RX_GSO;
	engine_port_caps_changed(r->e);
	r->neighs[r->n_neighs++] = (struct rig_neigh){ qinq, "10.8.0.2", MAC_H2 };
	rig_publish_with(r, vlan, "10.7.0.2", MAC_H1);
}

static inline void rig_world_ignore(void *ctx, const struct ctl_msg *m)
{
	(void)ctx;
	(void)m;
}

/* Is what left by a port a packet that this engine may send? */
static inline void rig_world_sent(struct rig *r, unsigned int port, const struct frame *f, uint32_t bytes)
{
	uint32_t at = 0, total;

	if (r->port[port].has_l2) {
		if (bytes < 34 || memcmp(f->b + 6, r->port[port].mac, 6) != 0)
			rig_fail(r, "sent a frame without our address");
		for (at = 12; be16_at(f->b + at) == ETHERTYPE_CTAG || be16_at(f->b + at) == ETHERTYPE_STAG;)
			at += 4;
		at += 2;
	}
	if (f->b[at] >> 4 == 4) {
		total = be16_at(f->b + at + IP4_TOTAL);
		if (csum_fold(csum_ipv4_header(f->b + at, f->b[at] & 15)) != 0)
			rig_fail(r, "sent a wrong header checksum");
	} else {
		total = 40u + be16_at(f->b + at + IP6_PLEN);
		if (f->b[at] >> 4 != 6)
			rig_fail(r, "sent what is no IP");
	}
	if (total != bytes - at)
		rig_fail(r, "sent a length that is not the packet's");
	if (port != TUN && total > 1500)
		rig_fail(r, "sent more than the MTU");
}

/* Run until nothing moves any more, and look at all that leaves. */
static inline void rig_world_settle(struct rig *r, struct frame *scratch)
{
	bool moved = true;

	while (moved) {
		uint64_t before = r->w->count->rx_pkts;

		rig_step(r);
		moved = r->w->count->rx_pkts != before;
		for (unsigned int i = 0; i < RIG_PORTS; i++) {
			struct memport_sent s;

			while (rig_sent(r, i, scratch, &s)) {
				rig_world_sent(r, i, scratch, s.bytes);
				r->q[i]->ops->flush(r->q[i]);
				moved = true;
			}
		}
		engine_read(r->e, rig_world_ignore, NULL);
	}
}

/* Nothing is under way: the books must be right. What waits for neighbours is dropped first. */
static inline void rig_world_check(struct rig *r)
{
	const uint32_t *n = r->w->area->count;
	uint64_t sent = 0, received = 0;

	worker_drain(r->w, DROP_shutdown);
	if (!rig_balanced(r))
		rig_fail(r, "counters do not balance");
	for (unsigned int i = 0; i < RIG_PORTS; i++) {
		sent += r->counters[i].tx_pkts;
		received += r->counters[i].rx_pkts;
	}
	if (sent != r->w->count->tx_pkts || received != r->w->count->rx_pkts)
		rig_fail(r, "the engine's counters are not the ports'");
	if (n[PLACE_ENGINE] || n[PLACE_TX] || n[PLACE_NEIGH] || n[PLACE_CROSS])
		rig_fail(r, "frames are not home");
	if (r->w->drops[0])
		rig_fail(r, "dropped for no reason");
	r->w->now_ns += 10 * NS_PER_S;		/* rate limits are full again */
}

#endif
