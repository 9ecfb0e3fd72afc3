/* SPDX-License-Identifier: MIT */
#include "user/packet/memport.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <sluice/compat.h>

#include "common/bytes.h"
#include "user/packet/xskq.h"

#define RING_ENTRIES 256

/* The indices that a socket shares with the kernel, each on a line of its own. */
struct shared {
	_Alignas(CACHE_LINE_BYTES) _Atomic uint32_t producer;
	_Alignas(CACHE_LINE_BYTES) _Atomic uint32_t consumer;
	_Alignas(CACHE_LINE_BYTES) _Atomic uint32_t flags;
};

struct memport {
	struct xskq x;			/* first */
	struct shared shared[4];
	/* The kernel's view of the same rings. */
	struct ring rx, tx, fill, comp;
	uint32_t rx_offset;
	uint32_t buffer_bytes;
};

static int make_ring(struct ring *ours, struct ring *theirs, struct shared *shared, uint32_t entries,
		     size_t entry_bytes)
{
	void *memory = aligned_alloc(CACHE_LINE_BYTES, align_up(entries * entry_bytes, CACHE_LINE_BYTES));

	if (!memory)
		return -ENOMEM;
	memset(memory, 0, entries * entry_bytes);
	*ours = (struct ring){
		.mask = entries - 1, .size = entries, .producer = &shared->producer, .consumer = &shared->consumer,
		.flags = &shared->flags, .descs = memory,
	};
	*theirs = *ours;
	return 0;
}

static void mem_free(struct memport *m)
{
	free(m->x.rx.descs);
	free(m->x.tx.descs);
	free(m->x.fill.addrs);
	free(m->x.comp.addrs);
	free(m);
}

/* The caller is the kernel: it reads the ring when it likes. */
static void mem_kick(struct xskq *x)
{
	x->q.counters->tx_wakeups++;
	xskq_reap(x);
}

static void mem_update(struct port_queue *q)
{
	(void)q;
}

static void mem_close(struct port_queue *q)
{
	struct memport *m = (struct memport *)q;

	xskq_home(&m->x);
	port_leave(q);
	mem_free(m);
}

static const struct port_ops mem_ops = {
	.rx = xskq_rx,
	.tx = xskq_tx,
	.flush = xskq_flush,
	.pending = xskq_pending,
	.update = mem_update,
	.close = mem_close,
};

int memport_open(struct port *port, const struct port_queue_params *queue, const struct memport_params *params,
		 struct port_queue **out, struct fault *f)
{
	uint32_t entries = params->ring_entries ? params->ring_entries : RING_ENTRIES;
	uint32_t chunk = queue->area->chunk_bytes, caps = params->caps;
	struct memport *m;
	int err;

	if (!is_pow2(entries))
		return fault_set(f, EINVAL, "port %s: rings of %u entries: a power of two is wanted", port->name,
				 entries);
	m = aligned_alloc(CACHE_LINE_BYTES, sizeof(*m));
	if (!m)
		return fault_set(f, ENOMEM, "port %s: out of memory", port->name);
	memset(m, 0, sizeof(*m));
	m->rx_offset = params->rx_offset ? params->rx_offset : PKT_HEADROOM_BYTES;
	m->buffer_bytes = params->buffer_bytes ? params->buffer_bytes : chunk - m->rx_offset;
	if (m->rx_offset >= chunk || m->buffer_bytes > chunk - m->rx_offset) {
		mem_free(m);
		return fault_set(f, EINVAL, "port %s: %u bytes at %u in frames of %u", port->name, params->buffer_bytes,
				 params->rx_offset, chunk);
	}
	m->x.q = (struct port_queue){
		.ops = &mem_ops, .port = port, .area = queue->area, .counters = queue->counters, .drops = queue->drops,
		.qid = queue->qid, .index = queue->index, .fd = -1,
	};
	err = make_ring(&m->x.rx, &m->rx, &m->shared[0], entries, sizeof(struct xdp_desc));
	if (!err)
		err = make_ring(&m->x.tx, &m->tx, &m->shared[1], entries, sizeof(struct xdp_desc));
	if (!err)
		err = make_ring(&m->x.fill, &m->fill, &m->shared[2], entries, sizeof(uint64_t));
	if (!err)
		err = make_ring(&m->x.comp, &m->comp, &m->shared[3], entries, sizeof(uint64_t));
	if (err) {
		mem_free(m);
		return fault_set(f, ENOMEM, "port %s: out of memory", port->name);
	}
	/* As in copy mode: sending wants a call, receiving does not. */
	atomic_store_explicit(m->x.tx.flags, XDP_RING_NEED_WAKEUP, memory_order_relaxed);
	m->x.kick = mem_kick;
	m->x.rx_meta = params->rx_meta;
	m->x.tx_frames_max = (uint16_t)params->tx_frames_max;
	m->x.tx_meta_bytes = params->tx_metadata ? sizeof(struct sluice_tx_metadata) : 0;
	m->x.tx_csum = params->tx_metadata;
	xskq_init(&m->x);
	if (params->tx_metadata)
		caps |= PORT_CAP_TX_PARTIAL;
	if (m->x.tx_frames_max > 1)
		caps |= PORT_CAP_TX_SG;
	err = port_enter(&m->x.q, caps, "memory", f);
	if (err) {
		fault_prefix(f, "port %s: ", port->name);
		mem_free(m);
		return err;
	}
	xskq_fill(&m->x);
	*out = &m->x.q;
	return 0;
}

/* ---- The kernel's part ----------------------------------------------------------------------------------------- */

int memport_inject_meta(struct port_queue *q, const void *packet, uint32_t len, const void *meta, uint32_t meta_bytes)
{
	struct memport *m = (struct memport *)q;
	const uint8_t *from = packet;
	uint32_t buffers = len == 0 ? 1 : (len + m->buffer_bytes - 1) / m->buffer_bytes;

	if (ring_cons_avail(&m->fill, buffers) < buffers)
		return -ENOBUFS;
	if (ring_prod_free(&m->rx, buffers) < buffers)
		return -ENOSPC;
	for (uint32_t i = 0; i < buffers; i++) {
		uint64_t addr = m->fill.addrs[m->fill.cons++ & m->fill.mask] + m->rx_offset;
		uint32_t here = min_u32(len, m->buffer_bytes);
		uint8_t *at = q->area->base + addr;

		memcpy(at, from, here);
		if (i == 0 && meta_bytes)
			memcpy(at - meta_bytes, meta, meta_bytes);
		from += here;
		len -= here;
		m->rx.descs[m->rx.prod++ & m->rx.mask] = (struct xdp_desc){
			.addr = addr, .len = here, .options = len ? XDP_PKT_CONTD : 0,
		};
	}
	ring_cons_release(&m->fill);
	ring_prod_publish(&m->rx);
	return 0;
}

int memport_inject_desc(struct port_queue *q, uint64_t addr, uint32_t len, uint32_t options)
{
	struct memport *m = (struct memport *)q;

	if (ring_prod_free(&m->rx, 1) == 0)
		return -ENOSPC;
	m->rx.descs[m->rx.prod++ & m->rx.mask] = (struct xdp_desc){ .addr = addr, .len = len, .options = options };
	ring_prod_publish(&m->rx);
	return 0;
}

int64_t memport_steal(struct port_queue *q)
{
	struct memport *m = (struct memport *)q;
	uint64_t addr;

	if (ring_cons_avail(&m->fill, 1) == 0)
		return -ENOBUFS;
	addr = m->fill.addrs[m->fill.cons++ & m->fill.mask];
	ring_cons_release(&m->fill);
	return (int64_t)addr;
}

bool memport_capture(struct port_queue *q, void *to, uint32_t room, struct memport_sent *sent)
{
	struct memport *m = (struct memport *)q;
	struct memport_sent out = { 0 };
	uint32_t frames = 1;
	struct xdp_desc d;

	if (ring_cons_avail(&m->tx, 1) == 0)
		return false;
	/* As the kernel does: nothing is sent that could not be completed. */
	while (m->tx.descs[(m->tx.cons + frames - 1) & m->tx.mask].options & XDP_PKT_CONTD)
		frames++;
	if (ring_prod_free(&m->comp, frames) < frames)
		return false;
	do {
		uint32_t copy;

		d = m->tx.descs[m->tx.cons++ & m->tx.mask];
		if (d.options & XDP_TX_METADATA) {
			struct sluice_tx_metadata md;

			memcpy(&md, q->area->base + d.addr - sizeof(md), sizeof(md));
			out.partial = md.flags & XDP_TXMD_FLAGS_CHECKSUM;
			out.csum_start = md.request.csum_start;
			out.csum_offset = md.request.csum_offset;
		}
		copy = to && room > out.bytes ? min_u32(d.len, room - out.bytes) : 0;
		if (copy)
			memcpy((uint8_t *)to + out.bytes, q->area->base + d.addr, copy);
		out.bytes += d.len;
		out.n_frames++;
		m->comp.addrs[m->comp.prod++ & m->comp.mask] = d.addr;
	} while (--frames > 0);
	ring_cons_release(&m->tx);
	ring_prod_publish(&m->comp);
	if (sent)
		*sent = out;
	return true;
}

uint32_t memport_drain(struct port_queue *q)
{
	uint32_t n = 0;

	while (memport_capture(q, NULL, 0, NULL))
		n++;
	return n;
}
