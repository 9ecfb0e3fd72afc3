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

static void tx_drop(struct worker *w, struct pkt *p, enum drop why)
{
	static struct edges none;
	struct edges out = none;

	out.w = w;
	edge_drop(&out, p, why);
}

/* One frame in place of a chain. */
static struct pkt *linearize(struct worker *w, struct pkt *p)
{
	struct pkt *one;

	if (p->total_bytes > w->area->chunk_bytes - PKT_HEADROOM_BYTES)
		return NULL;
	one = area_alloc(w->area);
	if (!one)
		return NULL;
	one->len = (uint16_t)pkt_copy_out(w->area, p, 0, pkt_data(one), p->total_bytes);
	one->total_bytes = one->len;
	one->flags = p->flags;
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

static void port_send(struct worker *w, unsigned int port)
{
	struct tx_batch *b = &w->txb[port];
	struct port_queue *q = w->txq[port];
	uint64_t pkts_before = q->counters->tx_pkts, bytes_before = q->counters->tx_bytes;
	unsigned int sent = 0, tries = 0;

	if (unlikely(w->tapping >> port & 1))
		taps_batch(w->taps, q, TAP_OUT, b->pkt, b->n);
	w->tx_dirty |= UINT64_C(1) << port;
	for (;;) {
		sent += q->ops->tx(q, b->pkt + sent, b->n - sent);
		/* A full ring gets one chance to move before packets are lost. */
		if (likely(sent == b->n) || tries++ > 0)
			break;
		q->ops->flush(q);
	}
	/* What the port took and then dropped is in the drops: only the port knows what it sent. */
	w->count->tx_pkts += q->counters->tx_pkts - pkts_before;
	w->count->tx_bytes += q->counters->tx_bytes - bytes_before;
	for (unsigned int i = sent; i < b->n; i++)
		tx_drop(w, b->pkt[i], DROP_tx_ring_full);
	b->n = 0;
}

static void tx_run(struct worker *w, struct batch *in, struct edges *out)
{
	uint64_t touched = 0;

	for (unsigned int i = 0; i < in->n; i++) {
		struct pkt *p = in->pkt[i];
		uint32_t caps = w->port_caps[p->port_out];
		struct tx_batch *b = &w->txb[p->port_out];

		if (unlikely(p->csum == PKT_CSUM_PARTIAL && !(caps & PORT_CAP_TX_PARTIAL))) {
			enum drop why = pkt_csum_complete(w->area, p);

			if (why != DROP_NONE) {
				edge_drop(out, p, why);
				continue;
			}
			w->count->csum_completed_pkts++;
		}
		if (unlikely(p->n_frames > 1 && !(caps & PORT_CAP_TX_SG))) {
			struct pkt *one = linearize(w, p);

			if (!one) {
				edge_drop(out, p, DROP_too_long);
				continue;
			}
			p = one;
		}
		if (unlikely(!w->txq[p->port_out])) {
			cross_send(w, p);
			continue;
		}
		b->pkt[b->n++] = p;
		touched |= UINT64_C(1) << p->port_out;
		if (b->n == WORKER_RX_MAX) {
			port_send(w, p->port_out);
			touched &= ~(UINT64_C(1) << p->port_out);
		}
	}
	while (touched) {
		unsigned int port = (unsigned int)__builtin_ctzll(touched);

		touched &= touched - 1;
		port_send(w, port);
	}
}

const struct stage stage_tx = { .name = "tx", .run = tx_run };
