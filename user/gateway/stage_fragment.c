/* SPDX-License-Identifier: MIT */
/*
 * Stage "fragment": IPv4 packets above the MTU of their way out (RFC 791 3.2, RFC 1812 4.2.2.7).
 *
 * Reads: mtu_out. Resumes: a packet that is half cut waits in the worker for the next turn.
 */
#include "user/gateway/forward.h"
#include "user/gateway/worker.h"

enum { FRAGMENT_NEIGH };

static bool fragment_begin(struct worker *w, struct edges *out, struct pkt *p)
{
	enum drop why = ipv4_fragment_begin(&w->fragmenter, w->area, p, p->mtu_out);

	if (why != DROP_NONE) {
		edge_drop(out, p, why);
		return false;
	}
	w->count->fragmented_pkts++;
	w->fragmenting = true;
	return true;
}

/* Cut until the packet is done or the next stage's queue is full. Return: whether it is done */
static bool fragment_go_on(struct worker *w, struct edges *out)
{
	struct ipv4_fragmenter *f = &w->fragmenter;
	struct pkt *p;

	while (!f->done && edge_room(out, FRAGMENT_NEIGH) > 0) {
		p = ipv4_fragment_next(f, w->area);
		if (!p) {
			if (f->done)
				break;
			/* No frame: a datagram without one of its fragments is worth nothing. */
			w->drops[DROP_no_frame]++;
			w->count->created_pkts++;
			f->done = true;
			break;
		}
		w->count->created_pkts++;
		edge_push(out, FRAGMENT_NEIGH, p);
	}
	if (!f->done)
		return false;
	ipv4_fragment_end(f, w->area);
	w->count->consumed_pkts++;	/* the whole; its fragments were counted as created */
	w->fragmenting = false;
	return true;
}

static void fragment_run(struct worker *w, struct batch *in, struct edges *out)
{
	unsigned int i = 0;

	while (i < in->n) {
		if (!w->fragmenting && !fragment_begin(w, out, in->pkt[i])) {
			i++;
			continue;
		}
		/* The packet's place in the batch is kept while it is cut: it makes the graph come back here. */
		if (!fragment_go_on(w, out))
			break;
		i++;
	}
	in->n -= i;
	memmove(in->pkt, in->pkt + i, in->n * sizeof(in->pkt[0]));
}

const struct stage stage_fragment = {
	.name = "fragment", .run = fragment_run,
	.next = { [FRAGMENT_NEIGH] = "neigh" },
	.resumes = true,
};
