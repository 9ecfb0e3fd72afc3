/* SPDX-License-Identifier: MIT */
/*
 * Stages and the graph that joins them.
 *
 * A stage takes a batch of packets and pushes each onto one of its named edges. The graph is a list of stages in
 * downstream order; at start each edge's name is resolved to the queue of the stage it leads to. After each stage the
 * worker runs the most downstream stage that has something queued, so whatever a stage pushes downstream finds an
 * empty queue: a stage that makes one packet of each never overflows. A stage that makes several of one (fragments,
 * segments) says `resumes`, looks at edge_room() and leaves the rest in its batch for the next turn.
 *
 * Most packets take one edge of a stage, its main edge: that one is opened for the run of a batch (edge_open()), and a
 * packet is one store.
 *
 * An edge may also lead upstream (what was made here is routed like anything else; what leaves a tunnel enters again):
 * such packets count their passes in pkt->depth.
 */
#ifndef USER_GATEWAY_STAGE_H
#define USER_GATEWAY_STAGE_H

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>

#include "user/packet/pkt.h"

#define STAGE_BATCH_MAX 256	/* packets queued in front of a stage */
#define STAGE_EDGES_MAX 8
#define STAGES_MAX 24
#define STAGE_DEPTH_MAX 4	/* passes of one packet through an upstream edge */

struct worker;

struct batch {
	unsigned int n;
	struct pkt *pkt[STAGE_BATCH_MAX];
};

/* Where a stage's packets go, for one worker. */
struct edges {
	struct worker *w;
	struct batch *to[STAGE_EDGES_MAX];
	unsigned int n;				/* edges that there are */
	uint8_t stage[STAGE_EDGES_MAX];		/* where each leads: places in the graph */
};

struct stage {
	const char *name;
	/**
	 * run - Handle a batch: every packet is pushed, dropped or consumed.
	 *
	 * With `resumes`, what the stage has no room for is left at the batch's start and in->n says how much.
	 */
	void (*run)(struct worker *w, struct batch *in, struct edges *out);
	const char *next[STAGE_EDGES_MAX];	/* names of stages, by the stage's own edge numbers */
	bool resumes;
};

/* Drop a packet under a reason. */
void edge_drop(struct edges *out, struct pkt *p, enum drop why);

static inline unsigned int edge_room(const struct edges *out, unsigned int edge)
{
	return STAGE_BATCH_MAX - out->to[edge]->n;
}

/* Hand a packet on. A full queue drops it under its own reason; downstream edges never are (see above). */
static inline void edge_push(struct edges *out, unsigned int edge, struct pkt *p)
{
	struct batch *b = out->to[edge];

	if (__builtin_expect(b->n == STAGE_BATCH_MAX, 0)) {
		edge_drop(out, p, DROP_stage_full);
		return;
	}
	b->pkt[b->n++] = p;
}

/**
 * edge_open() - Hand a whole batch on: write packets from here on, then say by edge_close() where they end.
 *
 * For one edge downstream, which nothing else is pushed to meanwhile, and at most as many packets as came in.
 */
static inline struct pkt **edge_open(const struct edges *out, unsigned int edge)
{
#ifdef SLUICE_DEBUG
	assert(out->to[edge]->n == 0);
#endif
	return out->to[edge]->pkt;
}

static inline void edge_close(const struct edges *out, unsigned int edge, struct pkt **end)
{
	out->to[edge]->n = (unsigned int)(end - out->to[edge]->pkt);
}

/* Hand a packet to a stage upstream. */
static inline void edge_push_back(struct edges *out, unsigned int edge, struct pkt *p)
{
	if (++p->depth > STAGE_DEPTH_MAX)
		edge_drop(out, p, DROP_loop_depth);
	else
		edge_push(out, edge, p);
}

/* The stages, each in its own file. */
extern const struct stage stage_input;
extern const struct stage stage_punt;
extern const struct stage stage_ip4_input;
extern const struct stage stage_ip6_input;
extern const struct stage stage_ip_local;
extern const struct stage stage_icmp_error;
extern const struct stage stage_ip_out;
extern const struct stage stage_forward;
extern const struct stage stage_segment;
extern const struct stage stage_fragment;
extern const struct stage stage_neigh;
extern const struct stage stage_coalesce;
extern const struct stage stage_tx;

#endif
