/* SPDX-License-Identifier: MIT */
/*
 * Stage "input": the first look at what a port received.
 *
 * Reads: off, len, total_bytes, port_in, what the port knew. Writes: everything that parsing finds, iface_in.
 */
#include <netinet/in.h>
#include <linux/if_ether.h>
#include <sys/socket.h>

#include "user/gateway/trace.h"
#include "user/gateway/worker.h"

enum { INPUT_IP4, INPUT_IP6, INPUT_PUNT };

/* For whom is this frame? RFC 1122 2.3: unicast to another station is not ours, even if the device let it through. */
static bool mac_is_other(const struct pkt *p, const struct iface *iface)
{
	const uint8_t *dst = pkt_data(p);

	return ((u32_at(dst) ^ u32_at(iface->mac)) | (wire16_at(dst + 4) ^ wire16_at(iface->mac + 4))) &&
	       !(p->flags & PKT_L2_GROUP);
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

static enum drop (*parser_of(uint32_t caps))(struct pkt *p)
{
	if (!(caps & WORKER_PORT_L2))
		return pkt_parse_ip;
	return caps & PORT_CAP_RX_PARTIAL ? pkt_parse_eth_partial : pkt_parse_eth;
}

/* A batch comes from one port: worker_step(). */
static void input_run(struct worker *w, struct batch *in, struct edges *out)
{
	const struct tables *t = w->tables;
	const struct port_ifaces *ifaces = &t->by_port[in->pkt[0]->port_in];
	uint32_t caps = w->port_caps[in->pkt[0]->port_in];
	enum drop (*parse)(struct pkt *p) = parser_of(caps);
	struct pkt **ip4 = edge_open(out, INPUT_IP4), **ip6 = edge_open(out, INPUT_IP6);
	unsigned int n = in->n;

	for (unsigned int i = 0; i < n; i++) {
		struct pkt *p = in->pkt[i];
		enum drop why = parse(p);
		uint16_t iface;

		if (unlikely(w->tracing))
			input_trace(w, p, ifaces, why);
		if (unlikely(why != DROP_NONE)) {
			edge_drop(out, p, why);
			continue;
		}
		if (unlikely(p->next != PKT_NONE))
			pkt_trim(w->area, p, p->total_bytes);	/* frames of nothing but padding */
		iface = tables_iface_of(t, ifaces, p);
		if (unlikely(iface == IFACE_NONE)) {
			edge_drop(out, p, DROP_vlan_unknown);
			continue;
		}
		p->iface_in = iface;
		if (caps & WORKER_PORT_L2 && unlikely(mac_is_other(p, &t->ifaces[iface]))) {
			edge_drop(out, p, DROP_not_our_mac);
			continue;
		}
		if (caps & PORT_CAP_RX_GSO && unlikely(p->gso == PKT_GSO_NONE && pkt_l3_bytes(p) > t->ifaces[iface].mtu_bytes))
			find_superpacket(p, &t->ifaces[iface]);
		if (likely(p->family == AF_INET))
			*ip4++ = p;
		else if (p->family == AF_INET6)
			*ip6++ = p;
		else if (p->ether_type == htons(ETH_P_ARP))
			edge_push(out, INPUT_PUNT, p);
		else
			edge_drop(out, p, DROP_eth_type);
	}
	edge_close(out, INPUT_IP4, ip4);
	edge_close(out, INPUT_IP6, ip6);
}

const struct stage stage_input = {
	.name = "input", .run = input_run,
	.next = { [INPUT_IP4] = "ip4-input", [INPUT_IP6] = "ip6-input", [INPUT_PUNT] = "punt" },
};
