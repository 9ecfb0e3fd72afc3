/* SPDX-License-Identifier: MIT */
/*
 * Packet memory: one area for each worker, and the ledger that knows where each frame is.
 *
 * An area is a memfd, cut into chunks of 2048 or 4096 bytes. It is registered as a UMEM with every port queue of its
 * worker, so a frame index means the same on all of them and forwarding moves an index, not bytes. Only its worker
 * touches an area; the control thread does so while the workers are paused.
 *
 * Quotas: reception must not starve because somebody holds packets for long (a neighbour that does not answer, later
 * retransmission and reassembly). Each holding place has a limit, and below `reserve` free frames nobody but reception
 * gets a frame.
 */
#ifndef USER_PACKET_AREA_H
#define USER_PACKET_AREA_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "common/fault.h"
#include "user/packet/pkt.h"

struct area {
	uint8_t *base;
	struct pkt *pkts;		/* one for each frame */
	uint32_t *free;			/* stack of frame indices */
	uint32_t n_free;
	uint32_t n_frames;
	uint32_t chunk_bytes;
	uint32_t reserve;		/* frames that only reception may take */
	uint32_t count[PLACE_N];	/* frames in each place; [PLACE_FREE] equals n_free */
	uint32_t quota[PLACE_N];	/* most frames a place may hold; UINT32_MAX: no limit */
	size_t map_bytes;
	int memfd;
	uint8_t id;
	bool huge;			/* backed by huge pages */
};

struct area_params {
	uint8_t id;
	uint32_t n_frames;
	uint32_t chunk_bytes;		/* 2048 or 4096 */
	uint32_t reserve;
	enum { AREA_HUGE_AUTO, AREA_HUGE_NO, AREA_HUGE_REQUIRE } huge;
};

/** area_create() - Reserve and touch all memory now. Return: 0, or a negative errno with the reason in @f */
int area_create(struct area **out, const struct area_params *params, struct fault *f);

/** area_destroy() - Give the memory back. Frames need not be home; see area_leaks(). */
void area_destroy(struct area *a);

/**
 * area_leaks() - How many frames are not free.
 *
 * At shutdown, with all ports closed and all queues drained, this must be 0.
 */
uint32_t area_leaks(const struct area *a);

/**
 * area_check() - Count all frames anew and compare with the ledger. Slow: for tests and debug builds.
 * Return: 0, or -EINVAL with what is wrong in @f
 */
int area_check(const struct area *a, struct fault *f);

/* Move one frame from place to place. @from is checked in debug builds. */
static inline void area_move(struct area *a, struct pkt *p, enum place from, enum place to)
{
#ifdef SLUICE_DEBUG
	assert(p->place == from);
	assert(a->count[from] > 0);
#endif
	p->place = (uint8_t)to;
	a->count[from]--;
	a->count[to]++;
}

/**
 * area_take() - A frame for reception; the reserve may be used.
 * Return: a frame in PLACE_ENGINE with off, len and metadata undefined, or NULL
 */
static inline struct pkt *area_take(struct area *a)
{
	struct pkt *p;

	if (a->n_free == 0)
		return NULL;
	p = &a->pkts[a->free[--a->n_free]];
	area_move(a, p, PLACE_FREE, PLACE_ENGINE);
	return p;
}

/**
 * area_alloc() - A frame for anything else: a packet made here, a fragment, a segment.
 * Return: an empty packet of one frame (off = PKT_HEADROOM_BYTES, len 0, metadata zero), or NULL below the reserve
 */
struct pkt *area_alloc(struct area *a);

static inline struct pkt *area_next(const struct area *a, const struct pkt *p)
{
	return p->next == PKT_NONE ? NULL : &a->pkts[p->next];
}

/* Zero all of a frame's metadata but the frame's own: buf, frame, area, place and queue. The packet has no chain. */
static inline void pkt_reset(struct pkt *p)
{
	uint8_t place = p->place, area = p->area;
	uint16_t queue = p->queue;

	/* Line by line: in one piece gcc makes it a "rep stos", which is slow to start. */
	memset(&p->total_bytes, 0, offsetof(struct pkt, rx_time_ns) - offsetof(struct pkt, total_bytes));
	memset(&p->rx_time_ns, 0, sizeof(*p) - offsetof(struct pkt, rx_time_ns));
	p->next = PKT_NONE;
	p->place = place;
	p->area = area;
	p->queue = queue;
}

/* One frame back on the free stack, from the place where it is. */
static inline void area_give(struct area *a, struct pkt *p)
{
	area_move(a, p, (enum place)p->place, PLACE_FREE);
#ifdef SLUICE_DEBUG
	assert(a->n_free < a->n_frames);
#endif
	a->free[a->n_free++] = p->frame;
}

/**
 * pkt_put() - Give up a packet; its frames go home when nobody else holds it.
 */
static inline void pkt_put(struct area *a, struct pkt *p)
{
	if (p->refs > 0) {
		p->refs--;
		return;
	}
	for (;;) {
		uint32_t next = p->next;

		area_give(a, p);
		if (next == PKT_NONE)
			break;
		p = &a->pkts[next];
	}
}

/** pkt_get() - Hold a packet beyond whoever has it in hand; undone by pkt_put(). */
static inline void pkt_get(struct pkt *p)
{
#ifdef SLUICE_DEBUG
	assert(p->refs < UINT16_MAX);
#endif
	p->refs++;
}

/**
 * pkt_hold() - Move a packet from the worker's hands into a holding place.
 * Return: false when the place's quota or the reserve forbids it; the packet stays in PLACE_ENGINE
 */
bool pkt_hold(struct area *a, struct pkt *p, enum place where);

/** pkt_unhold() - Take a packet back from a holding place. */
void pkt_unhold(struct area *a, struct pkt *p);

/**
 * pkt_copy_out() - Copy bytes of a packet, over all its frames.
 * @from: offset from the packet's start
 * Return: how many bytes were there, at most @n
 */
uint32_t pkt_copy_out(const struct area *a, const struct pkt *p, uint32_t from, void *to, uint32_t n);

/** pkt_trim() - Cut a packet to its first @total bytes; frames behind that, which may be empty already, go home. */
void pkt_trim(struct area *a, struct pkt *p, uint32_t total);

#endif
