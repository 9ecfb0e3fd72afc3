/* SPDX-License-Identifier: MIT */
/*
 * Stage "input": the first look at what a port received.
 *
 * Reads: off, len, total_bytes, port_in, what the port knew. Writes: everything that parsing finds, iface_in.
 */
#include <netinet/in.h>
#include <string.h>
#include <linux/if_ether.h>
#include <sys/socket.h>

#include "user/gateway/trace.h"
#include "user/gateway/worker.h"
#include "user/packet/parse.h"

enum { INPUT_IP4, INPUT_IP6, INPUT_PUNT, INPUT_GONE };

/* For whom is this frame? RFC 1122 2.3: unicast to another station is not ours, even if the device let it through. */
static bool mac_is_other(const struct pkt *p, const struct iface *iface)
{
	return !(p->flags & PKT_L2_GROUP) && memcmp(pkt_data(p), iface->mac, sizeof(iface->mac)) != 0;
}

/*
 * In generic mode a veth keeps its peer's segmentation offload on, and what comes in may be longer than the link's MTU:
 * a superpacket whose segment size no descriptor tells. Segments that fit the link it came by are what its sender would
 * have sent; only a partial checksum shows that the sender is this machine, and that it is no forgery.
 */
static void find_superpacket(struct pkt *p, const struct iface *iface)
{
	uint32_t headers = (uint32_t)(p->payload - p->l3);

	if (p->proto != IPPROTO_TCP || p->csum != PKT_CSUM_PARTIAL || iface->mtu_bytes <= headers)
		return;
	p->flags |= PKT_GSO_GUESSED;
	p->gso = p->family == AF_INET ? PKT_GSO_TCP4 : PKT_GSO_TCP6;
	p->gso_size = (uint16_t)(iface->mtu_bytes - headers);
	p->gso_segs = (uint16_t)((pkt_l3_bytes(p) - headers + p->gso_size - 1) / p->gso_size);
}

/* A packet that may be followed. Its interface is part of the story; headers that failed to parse are not. */
static void input_trace(struct worker *w, struct pkt *p, const struct port_ifaces *ifaces, enum drop why)
{
	if (why == DROP_NONE) {
		p->iface_in = tables_iface_of(w->tables, ifaces, p);
	} else {
		p->iface_in = IFACE_NONE;
		p->family = 0;
		p->sport = p->dport = 0;
	}
	trace_select(w->tracer, w->now_ns, w->port_caps[p->port_in] & WORKER_PORT_L2, p);
}

/* Any packet. Return: the edge to take, or INPUT_GONE */
static aside unsigned int input_any(struct worker *w, struct edges *out, struct pkt *p, const struct port_ifaces *ifaces)
{
	const struct tables *t = w->tables;
	uint32_t caps = w->port_caps[p->port_in];
	enum drop why = caps & WORKER_PORT_L2 ? pkt_parse_eth(p) : pkt_parse_ip(p);

	if (unlikely(w->tracing))
		input_trace(w, p, ifaces, why);
	if (why == DROP_NONE) {
		if (unlikely(p->next != PKT_NONE))
			pkt_trim(w->area, p, p->total_bytes);	/* frames of nothing but padding */
		p->iface_in = tables_iface_of(t, ifaces, p);
		if (p->iface_in == IFACE_NONE)
			why = DROP_vlan_unknown;
		else if (caps & WORKER_PORT_L2 && mac_is_other(p, &t->ifaces[p->iface_in]))
			why = DROP_not_our_mac;
	}
	if (why == DROP_NONE && p->family == 0) {
		if (p->ether_type == htons(ETH_P_ARP))
			return INPUT_PUNT;
		why = DROP_eth_type;
	}
	if (unlikely(why != DROP_NONE)) {
		edge_drop(out, p, why);
		return INPUT_GONE;
	}
	if (caps & PORT_CAP_RX_PARTIAL && p->csum == PKT_CSUM_NONE)
		pkt_find_partial(p);
	if (caps & PORT_CAP_RX_GSO && p->gso == PKT_GSO_NONE && pkt_l3_bytes(p) > t->ifaces[p->iface_in].mtu_bytes)
		find_superpacket(p, &t->ifaces[p->iface_in]);
	return p->family == AF_INET ? INPUT_IP4 : INPUT_IP6;
}

/* The 6 bytes of the address at @mac, and two more that are cut off. */
static inline uint64_t mac_at(const uint8_t *mac)
{
	return le64toh(u64_at(mac)) << 16;
}

/* Common packets of untagged frames to the interface's own address have a short way. A batch comes from one port. */
static void input_run(struct worker *w, struct batch *in, struct edges *out)
{
	static const struct iface nowhere;
	const struct tables *t = w->tables;
	const struct port_ifaces *ifaces = &t->by_port[in->pkt[0]->port_in];
	const struct iface *untagged = ifaces->untagged == IFACE_NONE ? &nowhere : &t->ifaces[ifaces->untagged];
	uint32_t caps = w->port_caps[in->pkt[0]->port_in];
	bool short_way = caps & WORKER_PORT_L2 && !(caps & PORT_CAP_RX_GSO) && untagged != &nowhere && !w->tracing;
	uint64_t own_mac = mac_at(untagged->mac);
	bool partials = caps & PORT_CAP_RX_PARTIAL;
	struct pkt **ip4 = edge_open(out, INPUT_IP4), **ip6 = edge_open(out, INPUT_IP6);
	unsigned int n = in->n;

	for (unsigned int i = 0; i < n; i++) {
		struct pkt *p = in->pkt[i];
		uint8_t family = 0;
		unsigned int edge;

		if (likely(short_way && mac_at(pkt_data(p)) == own_mac))
			family = pkt_parse_common_eth(p, 0, partials);
		if (likely(family)) {
			p->iface_in = untagged->id;
			edge = family == AF_INET ? INPUT_IP4 : INPUT_IP6;
		} else {
			edge = input_any(w, out, p, ifaces);
		}
		if (likely(edge == INPUT_IP4))
			*ip4++ = p;
		else if (likely(edge == INPUT_IP6))
			*ip6++ = p;
		else if (edge == INPUT_PUNT)
			edge_push(out, INPUT_PUNT, p);
	}
	edge_close(out, INPUT_IP4, ip4);
	edge_close(out, INPUT_IP6, ip6);
}

const struct stage stage_input = {
	.name = "input", .run = input_run,
	.next = { [INPUT_IP4] = "ip4-input", [INPUT_IP6] = "ip6-input", [INPUT_PUNT] = "punt" },
};
