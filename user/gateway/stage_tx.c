/* SPDX-License-Identifier: MIT */
/*
 * Stage "tx": finished packets to their ports, in order.
 *
 * Reads: port_out, csum, n_frames, total_bytes. Only here does software pay for what the port cannot do: a partial
 * checksum is finished, a chain is made one frame.
 */
#include <string.h>

#include "user/gateway/tap.h"
#include "user/gateway/worker.h"
#include "user/net/pkt_csum.h"

/* One frame in place of a chain. Return: NULL when that cannot be, and the packet has been dropped */
static struct pkt *linearize(struct worker *w, struct edges *out, struct pkt *p)
{
	struct pkt *one;

	if (p->total_bytes > w->area->chunk_bytes - PKT_HEADROOM_BYTES) {
		edge_drop(out, p, DROP_too_long);
		return NULL;
	}
	one = area_alloc(w->area);
	if (!one) {
		edge_drop(out, p, DROP_no_frame);
		return NULL;
	}
	one->len = (uint16_t)pkt_copy_out(w->area, p, 0, pkt_data(one), p->total_bytes);
	one->total_bytes = one->len;
	one->flags = p->flags & (uint16_t)~PKT_FLOW_HASH;
	one->trace_id = p->trace_id;
	one->family = p->family;
	one->proto = p->proto;
	one->port_in = p->port_in;
	one->port_out = p->port_out;
	one->iface_out = p->iface_out;
	one->csum = p->csum;
	one->csum_offset = p->csum_offset;
	one->l3 = (uint16_t)(p->l3 - p->off + one->off);
	one->l4 = (uint16_t)(p->l4 - p->off + one->off);
	one->payload = (uint16_t)(p->payload - p->off + one->off);
	one->csum_start = (uint16_t)(p->csum_start - p->off + one->off);
	pkt_put(w->area, p);
	return one;
}

static bool port_takes(uint32_t caps, const struct pkt *p)
{
	return (p->csum != PKT_CSUM_PARTIAL || caps & PORT_CAP_TX_PARTIAL) &&
	       (p->n_frames == 1 || caps & PORT_CAP_TX_SG);
}

/* Do in software what the port cannot. Return: the packet to send, or NULL when it had to be dropped */
static struct pkt *adapt(struct worker *w, struct edges *out, struct pkt *p, uint32_t caps)
{
	if (p->csum == PKT_CSUM_PARTIAL && !(caps & PORT_CAP_TX_PARTIAL)) {
		enum drop why = pkt_csum_complete(w->area, p);

		if (why != DROP_NONE) {
			edge_drop(out, p, why);
			return NULL;
		}
		w->count->csum_completed_pkts++;
	}
	if (p->n_frames == 1 || caps & PORT_CAP_TX_SG)
		return p;
	return linearize(w, out, p);
}

static void port_send(struct worker *w, struct edges *out, unsigned int port, struct pkt **pkts, unsigned int n)
{
	struct port_queue *q = w->txq[port];
	uint64_t pkts_before, bytes_before;
	unsigned int sent = 0, tries = 0;

	if (unlikely(!q)) {
		for (unsigned int i = 0; i < n; i++)
			cross_send(w, pkts[i]);
		return;
	}
	if (unlikely(w->tapping >> port & 1))
		taps_batch(w->taps, q, TAP_OUT, pkts, n);
	pkts_before = q->counters->tx_pkts;
	bytes_before = q->counters->tx_bytes;
	w->tx_dirty |= UINT64_C(1) << port;
	for (;;) {
		sent += q->ops->tx(q, pkts + sent, n - sent);
		/* A full ring gets one chance to move before packets are lost. */
		if (likely(sent == n) || tries++ > 0)
			break;
		q->ops->flush(q);
	}
	/* What the port took and then dropped is in the drops: only the port knows what it sent. */
	w->count->tx_pkts += q->counters->tx_pkts - pkts_before;
	w->count->tx_bytes += q->counters->tx_bytes - bytes_before;
	for (unsigned int i = sent; i < n; i++)
		edge_drop(out, pkts[i], DROP_tx_ring_full);
}

/* Packets of several ports, or some that their port does not take as they are. */
static aside void send_mixed(struct worker *w, struct batch *in, struct edges *out)
{
	struct pkt *pkts[STAGE_BATCH_MAX];
	uint64_t ports = 0;

	for (unsigned int i = 0; i < in->n; i++)
		ports |= UINT64_C(1) << in->pkt[i]->port_out;
	for (; ports; ports &= ports - 1) {
		unsigned int port = (unsigned int)__builtin_ctzll(ports), n = 0;
		uint32_t caps = w->port_caps[port];

		for (unsigned int i = 0; i < in->n; i++) {
			struct pkt *p = in->pkt[i];

			if (!p || p->port_out != port)
				continue;
			in->pkt[i] = NULL;
			if (!port_takes(caps, p))
				p = adapt(w, out, p, caps);
			if (p)
				pkts[n++] = p;
		}
		port_send(w, out, port, pkts, n);
	}
}

static void tx_run(struct worker *w, struct batch *in, struct edges *out)
{
	struct pkt **p = in->pkt, **end = p + in->n;
	uint16_t port = (*p)->port_out;
	uint32_t caps = w->port_caps[port];

	/* Mostly they all go to one port, which takes them as they are. */
	while (p < end && (*p)->port_out == port && port_takes(caps, *p))
		p++;
	if (likely(p == end))
		port_send(w, out, port, in->pkt, in->n);
	else
		send_mixed(w, in, out);
}

const struct stage stage_tx = { .name = "tx", .run = tx_run };
