/* SPDX-License-Identifier: MIT */
/*
 * Stage "punt": ARP and neighbour discovery for the engine's own addresses go to the control thread, which owns the
 * neighbour state machines. The bytes are copied; the packet ends here.
 */
#include "user/gateway/engine.h"
#include "user/gateway/worker.h"

static void punt_run(struct worker *w, struct batch *in, struct edges *out)
{
	for (unsigned int i = 0; i < in->n; i++) {
		struct pkt *p = in->pkt[i];
		struct ctl_msg m = { .kind = CTL_PUNT, .family = p->family, .iface = p->iface_in };

		m.l3 = (uint16_t)(p->l3 - p->off);
		m.len = (uint16_t)pkt_copy_out(w->area, p, 0, m.data, sizeof(m.data));
		if (!engine_tell(w, &m)) {
			edge_drop(out, p, DROP_control_full);
			continue;
		}
		w->count->consumed_pkts++;
		pkt_put(w->area, p);
	}
}

const struct stage stage_punt = { .name = "punt", .run = punt_run };
