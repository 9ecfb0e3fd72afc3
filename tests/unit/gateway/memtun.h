/* SPDX-License-Identifier: MIT */
/*
 * A TUN device in memory: packets come in with a struct virtio_net_hdr and leave with one, superpackets included. It
 * does what tun.c does with its file, with the same functions for the header.
 */
#ifndef TESTS_GATEWAY_MEMTUN_H
#define TESTS_GATEWAY_MEMTUN_H

#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "user/packet/area.h"
#include "user/packet/port.h"
#include "user/packet/vnet.h"

#define MEMTUN_PKTS 512			/* each way */

struct memtun_pkt {
	struct virtio_net_hdr hdr;
	uint32_t len;
	uint32_t n_frames;		/* leaving: of the chain */
	uint8_t *bytes;
};

struct memtun {
	struct port_queue q;		/* first */
	unsigned int n_in, n_out, first_out;
	struct memtun_pkt in[MEMTUN_PKTS], out[MEMTUN_PKTS];
};

static inline unsigned int memtun_rx(struct port_queue *q, struct pkt **pkts, unsigned int max, uint64_t now_ns)
{
	struct memtun *t = (struct memtun *)q;
	struct area *a = q->area;
	unsigned int n = 0, took = 0;

	while (took < t->n_in && n < max) {
		struct memtun_pkt *m = &t->in[took];
		struct pkt *head = NULL, *tail = NULL;
		enum drop why = DROP_NONE;

		for (uint32_t at = 0; at < m->len || !head;) {
			struct pkt *p = area_take(a);
			uint32_t here = min_u32(m->len - at, a->chunk_bytes - PKT_HEADROOM_BYTES);

			if (!p)
				break;
			pkt_reset(p);
			p->off = PKT_HEADROOM_BYTES;
			p->len = (uint16_t)here;
			memcpy(pkt_data(p), m->bytes + at, here);
			at += here;
			if (!head) {
				head = p;
				head->total_bytes = m->len;
			} else {
				tail->next = p->frame;
			}
			head->n_frames++;
			tail = p;
			if (at == m->len)
				break;
		}
		if (!head || head->n_frames * (a->chunk_bytes - PKT_HEADROOM_BYTES) < m->len) {
			/* Left in the device, as a read that has no frames would not be made. */
			if (head)
				pkt_put(a, head);
			break;
		}
		took++;
		free(m->bytes);
		head->port_in = q->port->id;
		head->rx_time_ns = now_ns;
		why = vnet_read(head, &m->hdr);
		if (why != DROP_NONE) {
			q->counters->rx_drops++;
			port_drop(q, head, why);
			continue;
		}
		q->counters->rx_pkts++;
		q->counters->rx_bytes += head->total_bytes;
		pkts[n++] = head;
	}
	memmove(t->in, t->in + took, (t->n_in - took) * sizeof(t->in[0]));
	t->n_in -= took;
	return n;
}

static inline unsigned int memtun_tx(struct port_queue *q, struct pkt **pkts, unsigned int count)
{
	struct memtun *t = (struct memtun *)q;
	unsigned int i;

	for (i = 0; i < count && t->n_out < MEMTUN_PKTS; i++) {
		struct memtun_pkt *m = &t->out[t->n_out];
		struct pkt *p = pkts[i];
		enum drop why = vnet_write(p, p->off, &m->hdr);

		if (why != DROP_NONE) {
			port_drop(q, p, why);
			continue;
		}
		m->len = p->total_bytes;
		m->n_frames = p->n_frames;
		m->bytes = malloc(m->len ? m->len : 1);
		if (pkt_copy_out(q->area, p, 0, m->bytes, m->len) != m->len)
			abort();
		q->counters->tx_pkts++;
		q->counters->tx_bytes += p->total_bytes;
		t->n_out++;
		pkt_put(q->area, p);
	}
	return i;
}

static inline void memtun_flush(struct port_queue *q)
{
	(void)q;
}

static inline void memtun_close(struct port_queue *q)
{
	struct memtun *t = (struct memtun *)q;

	for (unsigned int i = 0; i < t->n_in; i++)
		free(t->in[i].bytes);
	for (unsigned int i = t->first_out; i < t->n_out; i++)
		free(t->out[i].bytes);
	port_leave(q);
	free(t);
}

static inline struct port_queue *memtun_open(struct port *port, const struct port_queue_params *params, uint32_t caps)
{
	static const struct port_ops ops = {
		.rx = memtun_rx, .tx = memtun_tx, .flush = memtun_flush, .update = memtun_flush, .close = memtun_close,
	};
	struct memtun *t = calloc(1, sizeof(*t));

	if (!t)
		abort();
	t->q = (struct port_queue){
		.ops = &ops, .port = port, .area = params->area, .counters = params->counters, .drops = params->drops,
		.qid = params->qid, .index = params->index, .fd = -1,
	};
	if (port_enter(&t->q, caps, "memory", NULL))
		abort();
	return &t->q;
}

/* The application sends: the engine receives @len bytes under @hdr (NULL: no offload). Return: false when full */
static inline bool memtun_inject(struct port_queue *q, const void *bytes, uint32_t len,
				 const struct virtio_net_hdr *hdr)
{
	struct memtun *t = (struct memtun *)q;
	struct memtun_pkt *m = &t->in[t->n_in];

	if (t->n_in == MEMTUN_PKTS)
		return false;
	*m = (struct memtun_pkt){ .len = len, .bytes = malloc(len ? len : 1) };
	if (hdr)
		m->hdr = *hdr;
	memcpy(m->bytes, bytes, len);
	t->n_in++;
	return true;
}

/* The oldest packet that the engine sent. Return: its bytes, copied to @to; or 0 */
static inline uint32_t memtun_capture(struct port_queue *q, void *to, uint32_t room, struct virtio_net_hdr *hdr,
				      uint32_t *n_frames)
{
	struct memtun *t = (struct memtun *)q;
	struct memtun_pkt *m = &t->out[t->first_out];
	uint32_t len;

	if (t->first_out == t->n_out)
		return 0;
	len = m->len;
	memcpy(to, m->bytes, min_u32(len, room));
	free(m->bytes);
	if (hdr)
		*hdr = m->hdr;
	if (n_frames)
		*n_frames = m->n_frames;
	if (++t->first_out == t->n_out)
		t->first_out = t->n_out = 0;
	return len;
}

#endif
