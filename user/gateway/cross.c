/* SPDX-License-Identifier: MIT */
/*
 * Packets that must leave by a queue of another worker.
 *
 * Theory of operation. A frame can be sent only by sockets that have its area registered, so the packet's bytes move:
 * the sender puts a reference on a ring and keeps the frames in PLACE_CROSS; the receiver copies them into frames of its
 * own area and gives the reference back on the second ring; the sender frees. Each ring has one producer and one
 * consumer. This costs a copy and is what happens only where a port has fewer queues than there are workers.
 */
#include <string.h>

#include "user/gateway/engine.h"
#include "user/gateway/worker.h"

#define CROSS_BATCH 64

static struct worker *cross_target(const struct worker *w, uint16_t port)
{
	const struct engine *e = w->engine;

	for (unsigned int i = 0; i < e->n_workers; i++)
		if (e->workers[i]->txq[port])
			return e->workers[i];
	return NULL;
}

/**
 * cross_send() - Hand a finished packet to a worker that has a queue of its port.
 */
void cross_send(struct worker *w, struct pkt *p)
{
	struct worker *to = cross_target(w, p->port_out);
	struct spsc *r;

	if (!to || !to->cross_in[w->id]) {
		worker_drop(w, p, DROP_port_removed);
		return;
	}
	r = &to->cross_in[w->id]->pkts;
	if (spsc_reserve(r, 1) == 0) {
		worker_drop(w, p, DROP_cross_full);
		return;
	}
	if (!pkt_hold(w->area, p, PLACE_CROSS)) {
		worker_drop(w, p, DROP_frame_quota);
		return;
	}
	*(struct pkt **)spsc_free_slot(r, 0) = p;
	w->count->cross_out_pkts++;
	if (spsc_commit_wakes(r, 1))
		worker_wake(to);
}

/* The packet's twin in another area: the same metadata, its bytes packed into as few frames as they need. */
static struct pkt *cross_copy(struct worker *w, const struct area *from, const struct pkt *p)
{
	struct pkt *head = area_alloc(w->area), *tail = head;
	uint32_t done = 0, room;
	uint16_t shift;

	if (!head)
		return NULL;
	/* Everything but where the bytes are; offsets move with the packet's start. */
	shift = (uint16_t)(head->off - p->off);
	head->ether_type = p->ether_type;
	head->family = p->family;
	head->proto = p->proto;
	head->tcp_flags = p->tcp_flags;
	/* The hashes stay behind: nobody after this asks. */
	head->flags = (uint16_t)((p->flags & ~(uint32_t)(PKT_FLOW_HASH | PKT_RX_HASH)) | PKT_CROSSED);
	head->trace_id = p->trace_id;
	head->n_vlans = p->n_vlans;
	head->sport = p->sport;
	head->dport = p->dport;
	head->port_in = p->port_in;
	head->iface_in = p->iface_in;
	head->port_out = p->port_out;
	head->iface_out = p->iface_out;
	head->csum = p->csum;
	head->gso = p->gso;
	head->gso_size = p->gso_size;
	head->gso_segs = p->gso_segs;
	head->csum_offset = p->csum_offset;
	head->l3 = (uint16_t)(p->l3 + shift);
	head->l4 = (uint16_t)(p->l4 + shift);
	head->payload = (uint16_t)(p->payload + shift);
	head->csum_start = (uint16_t)(p->csum_start + shift);
	head->rx_time_ns = p->rx_time_ns;
	for (;;) {
		struct pkt *more;

		room = w->area->chunk_bytes - tail->off;
		tail->len = (uint16_t)pkt_copy_out(from, p, done, pkt_data(tail), room);
		done += tail->len;
		if (done >= p->total_bytes)
			break;
		more = head->n_frames < PKT_FRAMES_MAX ? area_alloc(w->area) : NULL;
		if (!more) {
			pkt_put(w->area, head);
			return NULL;
		}
		tail->next = more->frame;
		tail = more;
		head->n_frames++;
	}
	head->total_bytes = p->total_bytes;
	return head;
}

/**
 * cross_receive() - Take over packets from other workers, and take home the frames of those given to others.
 * Return: how many packets moved either way
 */
unsigned int cross_receive(struct worker *w)
{
	struct engine *e = w->engine;
	unsigned int total = 0;

	for (unsigned int i = 0; i < e->n_workers; i++) {
		struct cross_link *in = w->cross_in[i], *out = e->workers[i]->cross_in[w->id];
		uint32_t n;

		if (!in || !out)
			continue;
		n = spsc_peek(&in->pkts, CROSS_BATCH);
		n = n ? min_u32(n, spsc_reserve(&in->home, n)) : 0;
		for (uint32_t k = 0; k < n; k++) {
			struct pkt *p = *(struct pkt **)spsc_slot(&in->pkts, k);
			struct pkt *copy = cross_copy(w, e->workers[i]->area, p);

			*(struct pkt **)spsc_free_slot(&in->home, k) = p;
			w->count->cross_in_pkts++;
			if (copy)
				w->inject_to->pkt[w->inject_to->n++] = copy;
			else
				w->drops[DROP_no_frame]++;
		}
		if (n) {
			spsc_release(&in->pkts, n);
			if (spsc_commit_wakes(&in->home, n))
				worker_wake(e->workers[i]);
			worker_graph_run(w);
		}
		total += n;
		n = spsc_peek(&out->home, CROSS_BATCH);
		for (uint32_t k = 0; k < n; k++) {
			struct pkt *p = *(struct pkt **)spsc_slot(&out->home, k);

			pkt_unhold(w->area, p);
			pkt_put(w->area, p);
		}
		spsc_release(&out->home, n);
		total += n;
	}
	return total;
}

/**
 * cross_link_drain() - Empty both rings of a link; both workers are parked.
 * @from: the worker whose frames they are
 */
void cross_link_drain(struct cross_link *l, struct worker *from, enum drop why)
{
	uint32_t n = spsc_peek(&l->pkts, UINT32_MAX);

	for (uint32_t k = 0; k < n; k++) {
		struct pkt *p = *(struct pkt **)spsc_slot(&l->pkts, k);

		pkt_unhold(from->area, p);
		from->count->cross_out_pkts--;	/* it never arrived: dropped here instead */
		worker_drop(from, p, why);
	}
	spsc_release(&l->pkts, n);
	n = spsc_peek(&l->home, UINT32_MAX);
	for (uint32_t k = 0; k < n; k++) {
		struct pkt *p = *(struct pkt **)spsc_slot(&l->home, k);

		pkt_unhold(from->area, p);
		pkt_put(from->area, p);
	}
	spsc_release(&l->home, n);
}
