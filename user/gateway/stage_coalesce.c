/* SPDX-License-Identifier: MIT */
/*
 * Stage "coalesce": the place in front of the ports where packets of one flow may become superpackets. Bounded by the
 * batch: whatever comes in leaves in the same run. Until there is something to merge with, every packet passes.
 */
#include "user/gateway/worker.h"

enum { COALESCE_TX };

static void coalesce_run(struct worker *w, struct batch *in, struct edges *out)
{
	(void)w;
	for (unsigned int i = 0; i < in->n; i++)
		edge_push(out, COALESCE_TX, in->pkt[i]);
}

const struct stage stage_coalesce = {
	.name = "coalesce", .run = coalesce_run,
	.next = { [COALESCE_TX] = "tx" },
};
