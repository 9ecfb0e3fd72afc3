/* SPDX-License-Identifier: MIT */
/*
 * Stage "coalesce": in front of ports that take superpackets, packets of one flow become one. Bounded by the batch:
 * whatever comes in leaves in the same run.
 *
 * Reads: what the parser found, csum, port_out, iface_out. Writes: of superpackets gso, gso_size, gso_segs, csum, and
 * the headers' lengths and checksums.
 */
#include "user/gateway/worker.h"

enum { COALESCE_TX };

/* A port's capabilities are what coalesce_batch() asks for. */
static_assert(PORT_CAP_TX_TSO4 == 1 << PKT_GSO_TCP4 && PORT_CAP_TX_TSO6 == 1 << PKT_GSO_TCP6 &&
	      PORT_CAP_TX_USO == 1 << PKT_GSO_UDP, "by the same bits");

static void coalesce_run(struct worker *w, struct batch *in, struct edges *out)
{
	struct pkt **tx = edge_open(out, COALESCE_TX);
	unsigned int n = coalesce_batch(&w->coalescer, w->area, in->pkt, in->n, w->port_caps, tx);

	w->count->coalesced_pkts += in->n - n;
	w->count->consumed_pkts += in->n - n;
	edge_close(out, COALESCE_TX, tx + n);
}

const struct stage stage_coalesce = {
	.name = "coalesce", .run = coalesce_run,
	.next = { [COALESCE_TX] = "tx" },
};
