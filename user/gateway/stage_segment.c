/* SPDX-License-Identifier: MIT */
/*
 * Stage "segment": superpackets for a port that cannot take them (virtio_net_hdr's terms: gso_size, gso type).
 *
 * Reads: gso, gso_size, mtu_out. Resumes: a superpacket that is half cut waits in the worker for the next turn.
 */
#include <string.h>

#include "user/gateway/worker.h"

enum { SEGMENT_NEIGH, SEGMENT_FRAGMENT };

static bool segment_start(struct worker *w, struct edges *out, struct pkt *p)
{
	const struct iface *iface = &w->tables->ifaces[p->iface_out];
	bool partial = w->port_caps[iface->port] & PORT_CAP_TX_PARTIAL;
	enum drop why = segment_begin(&w->segmenter, w->area, p, partial ? SEGMENT_CSUM_PARTIAL : SEGMENT_CSUM_COMPLETE);

	if (why != DROP_NONE) {
		edge_drop(out, p, why);
		return false;
	}
	w->count->segmented_pkts++;
	w->segmenting = true;
	return true;
}

/* Cut until the superpacket is done or a next stage's queue is full. Return: whether it is done */
static bool segment_go_on(struct worker *w, struct edges *out)
{
	struct segmenter *s = &w->segmenter;

	while (!s->done && edge_room(out, SEGMENT_NEIGH) > 0 && edge_room(out, SEGMENT_FRAGMENT) > 0) {
		struct pkt *p = segment_next(s, w->area);

		if (!p) {
			if (!s->done) {
				/* No frame. The receiver sees a gap, as if the wire had lost the rest. */
				w->drops[DROP_no_frame]++;
				w->count->created_pkts++;
			}
			s->done = true;
			break;
		}
		w->count->created_pkts++;
		edge_push(out, pkt_l3_bytes(p) > p->mtu_out ? SEGMENT_FRAGMENT : SEGMENT_NEIGH, p);
	}
	if (!s->done)
		return false;
	segment_end(s, w->area);
	w->count->consumed_pkts++;
	w->segmenting = false;
	return true;
}

static void segment_run(struct worker *w, struct batch *in, struct edges *out)
{
	unsigned int i = 0;

	while (i < in->n) {
		if (!w->segmenting && !segment_start(w, out, in->pkt[i])) {
			i++;
			continue;
		}
		/* Its place in the batch is kept while it is cut: it makes the graph come back here. */
		if (!segment_go_on(w, out))
			break;
		i++;
	}
	in->n -= i;
	memmove(in->pkt, in->pkt + i, in->n * sizeof(in->pkt[0]));
}

const struct stage stage_segment = {
	.name = "segment", .run = segment_run,
	.next = { [SEGMENT_NEIGH] = "neigh", [SEGMENT_FRAGMENT] = "fragment" },
	.resumes = true,
};
