/* SPDX-License-Identifier: MIT */
#include "user/packet/xskq.h"

#include <linux/if_ether.h>
#include <string.h>

#include <sluice/compat.h>
#include <sluice/steer.h>

#include "common/bytes.h"
#include "common/csum.h"

#define FILL_BATCH_MAX 64
#define PREFETCH_AHEAD 4
/* A port's MTU is of IP packets; two VLAN tags are not counted. */
#define ETH_TYPE_OFFSET (2 * ETH_ALEN)
#define VLAN_HLEN_BYTES 4
#define L2_BYTES_MAX (ETH_HLEN + 2 * VLAN_HLEN_BYTES)

static inline struct xskq *xskq_of(struct port_queue *q)
{
	return (struct xskq *)q;
}

void xskq_init(struct xskq *x)
{
	x->chunk_shift = (uint8_t)__builtin_ctz(x->q.area->chunk_bytes);
	x->fill_target = x->fill.size;
	x->fill_batch = x->fill.size / 4 < FILL_BATCH_MAX ? x->fill.size / 4 : FILL_BATCH_MAX;
	if (x->fill_batch == 0)
		x->fill_batch = 1;
	if (x->tx_frames_max == 0)
		x->tx_frames_max = 1;
}

/* ---- Fill and completion ------------------------------------------------------------------------------------- */

void xskq_fill(struct xskq *x)
{
	struct area *a = x->q.area;
	uint32_t want = x->fill_target - x->n_fill, room, prod = x->fill.prod, mask = x->fill.mask;
	uint32_t *top = a->free + a->n_free;

	/* The kernel may sit on frames that it never delivered: then n_fill can exceed what the ring shows. */
	if ((int32_t)want < (int32_t)x->fill_batch)
		return;
	room = ring_prod_free(&x->fill, want);
	want = min_u32(min_u32(want, room), a->n_free);
	if (want == 0)
		return;
	for (uint32_t i = 0; i < want; i++) {
		uint32_t frame = *--top;
		struct pkt *p = &a->pkts[frame];

#ifdef SLUICE_DEBUG
		assert(p->place == PLACE_FREE);
#endif
		p->place = PLACE_FILL;
		p->queue = x->q.index;
		x->fill.addrs[prod++ & mask] = (uint64_t)frame << x->chunk_shift;
	}
	x->fill.prod = prod;
	ring_prod_publish(&x->fill);
	a->n_free -= want;
	a->count[PLACE_FREE] -= want;
	a->count[PLACE_FILL] += want;
	x->n_fill += want;
	if (x->wake_rx && ring_needs_wakeup(&x->fill))
		x->wake_rx(x);
}

/* One frame of a packet that is held elsewhere: it goes nowhere before the packet's last one is back. */
static void reap_held(struct area *a, struct pkt *p)
{
	struct pkt *head;

	p->flags &= (uint16_t)~PKT_TX_HELD;
	area_move(a, p, PLACE_TX, PLACE_ENGINE);
	if (p->next != PKT_NONE)
		return;
	/* tx_mark_held() left the head's index in the last frame, whose own metadata means nothing. */
	head = p->n_frames ? p : &a->pkts[p->total_bytes];
	pkt_put(a, head);
}

/* All frames of the packet, or the first one alone. */
static void tx_mark_held(struct area *a, struct pkt *head)
{
	for (struct pkt *p = head; p; p = area_next(a, p)) {
		if (p != head) {
			p->n_frames = 0;
			p->total_bytes = head->frame;
			p->flags = 0;
		}
		p->flags |= PKT_TX_HELD;
	}
}

/* Frames already pushed above the free stack's top become its part. */
static inline void reap_account(struct xskq *x, uint32_t home)
{
	struct area *a = x->q.area;

	a->n_free += home;
	a->count[PLACE_TX] -= home;
	a->count[PLACE_FREE] += home;
	x->n_tx -= home;
}

uint32_t xskq_reap(struct xskq *x)
{
	struct area *a = x->q.area;
	uint32_t cons = x->comp.cons, mask = x->comp.mask, n, home = 0;

	if (x->n_tx == 0)
		return 0;
	n = ring_cons_avail(&x->comp, x->n_tx);
	for (uint32_t i = 0; i < n; i++) {
		uint64_t frame = x->comp.addrs[cons++ & mask] >> x->chunk_shift;
		struct pkt *p = &a->pkts[frame];

		if (unlikely(frame >= a->n_frames || p->place != PLACE_TX)) {
			x->q.counters->tx_errors++;
			continue;
		}
#ifdef SLUICE_DEBUG
		assert(p->queue == x->q.index);
#endif
		if (unlikely(p->flags & PKT_TX_HELD)) {
			reap_account(x, home);
			home = 0;
			x->n_tx--;
			reap_held(a, p);
			continue;
		}
		p->place = PLACE_FREE;
		a->free[a->n_free + home++] = (uint32_t)frame;
	}
	if (n) {
		x->comp.cons = cons;
		ring_cons_release(&x->comp);
	}
	reap_account(x, home);
	return n;
}

void xskq_home(struct xskq *x)
{
	struct area *a = x->q.area;

	for (uint32_t i = 0; i < a->n_frames; i++) {
		struct pkt *p = &a->pkts[i];

		if ((p->place != PLACE_FILL && p->place != PLACE_TX) || p->queue != x->q.index)
			continue;
		if (p->place == PLACE_TX && (p->flags & PKT_TX_HELD))
			reap_held(a, p);
		else
			area_give(a, p);
	}
	x->n_fill = x->n_tx = 0;
	x->rx_head = x->rx_tail = NULL;
	x->rx_skip = false;
}

/* ---- Reception ----------------------------------------------------------------------------------------------- */

/* A packet of one frame, as contract of struct port_ops says: zero but for what is known. */
static inline void pkt_received(struct pkt *p, const struct xskq *x, uint32_t off, uint32_t len, uint64_t now_ns)
{
	/* Line by line: in one piece gcc makes it a "rep stos", which is slow to start. */
	memset(&p->total_bytes, 0, offsetof(struct pkt, rx_time_ns) - offsetof(struct pkt, total_bytes));
	memset(&p->rx_time_ns, 0, sizeof(*p) - offsetof(struct pkt, rx_time_ns));
	p->next = PKT_NONE;
	p->total_bytes = len;
	p->off = (uint16_t)off;
	p->len = (uint16_t)len;
	p->place = PLACE_ENGINE;
	p->n_frames = 1;
	p->port_in = x->q.port->id;
	p->area = x->q.area->id;
	p->rx_time_ns = now_ns;
}

/*
 * Metadata of the XDP program, below the frame. A tag that the device has taken off goes back where it was: so a frame
 * looks the same whether its device strips tags or not.
 */
static void read_meta(struct pkt *p)
{
	struct sluice_rx_meta m;
	uint8_t *eth = pkt_data(p);

	if (p->off < sizeof(m) || p->len < ETH_HLEN)
		return;
	memcpy(&m, eth - sizeof(m), sizeof(m));
	if (m.magic != SLUICE_RX_META_MAGIC || m.version != SLUICE_RX_META_VERSION)
		return;
	if (m.valid & SLUICE_RX_META_HASH) {
		p->rx_hash = m.hash;
		p->flags |= PKT_RX_HASH;
	}
	if (m.valid & SLUICE_RX_META_TIMESTAMP) {
		p->rx_time_ns = m.timestamp_ns;
		p->flags |= PKT_RX_TIME;
	}
	if (m.valid & SLUICE_RX_META_VLAN) {
		memmove(eth - VLAN_HLEN_BYTES, eth, ETH_TYPE_OFFSET);
		put_wire16(eth - VLAN_HLEN_BYTES + ETH_TYPE_OFFSET, m.vlan_proto);
		put_be16(eth - VLAN_HLEN_BYTES + ETH_TYPE_OFFSET + 2, m.vlan_tci);
		p->off = (uint16_t)(p->off - VLAN_HLEN_BYTES);
		p->len = (uint16_t)(p->len + VLAN_HLEN_BYTES);
		p->total_bytes += VLAN_HLEN_BYTES;
	}
}

/* Drop the packet that is being put together, and what is still to come of it. */
static void rx_drop_chain(struct xskq *x, enum drop why)
{
	struct area *a = x->q.area;

	for (struct pkt *p = x->rx_head, *next; p; p = next) {
		next = area_next(a, p);
		area_give(a, p);
	}
	x->rx_head = x->rx_tail = NULL;
	x->q.counters->rx_drops++;
	((uint64_t *)x->q.drops)[why]++;
}

/*
 * A descriptor that is not a whole and sane packet of one buffer. Frames of an unfinished packet stay in PLACE_FILL, so
 * that closing finds them.
 *
 * Return: the packet that it completes, or NULL
 */
static __attribute__((noinline)) struct pkt *rx_buffer(struct xskq *x, const struct xdp_desc *d, uint64_t now_ns)
{
	struct area *a = x->q.area;
	uint64_t frame = d->addr >> x->chunk_shift;
	uint32_t off = (uint32_t)d->addr & (a->chunk_bytes - 1);
	bool more = d->options & XDP_PKT_CONTD, sane = d->len - 1 < a->chunk_bytes - off;
	struct pkt *p = NULL, *head;

	/* A frame that the kernel does not have is not for it to give. */
	if (frame < a->n_frames && a->pkts[frame].place == PLACE_FILL && a->pkts[frame].queue == x->q.index) {
		p = &a->pkts[frame];
		x->n_fill--;
	}
	if (!p || !sane || x->rx_skip) {
		if (p)
			area_give(a, p);
		if (!x->rx_skip)
			rx_drop_chain(x, DROP_too_long);
		x->rx_skip = more;
		return NULL;
	}
	head = x->rx_head;
	pkt_received(p, x, off, d->len, now_ns);
	p->place = PLACE_FILL;
	p->queue = x->q.index;
	if (!head) {
		x->rx_head = head = p;
	} else {
		x->rx_tail->next = p->frame;
		head->n_frames++;
		head->total_bytes += d->len;
	}
	x->rx_tail = p;
	if (head->n_frames > PKT_FRAMES_MAX) {
		rx_drop_chain(x, DROP_too_many_frags);
		x->rx_skip = more;
		return NULL;
	}
	if (more)
		return NULL;
	for (; p = head, head; head = area_next(a, head))
		area_move(a, p, PLACE_FILL, PLACE_ENGINE);
	head = x->rx_head;
	x->rx_head = x->rx_tail = NULL;
	if (x->rx_meta)
		read_meta(head);
	x->q.counters->rx_bytes += head->total_bytes;
	return head;
}

unsigned int xskq_rx(struct port_queue *q, struct pkt **pkts, unsigned int max, uint64_t now_ns)
{
	struct xskq *x = xskq_of(q);
	struct area *a = q->area;
	const struct xdp_desc *descs = x->rx.descs;
	struct pkt *frames = a->pkts;
	uint32_t cons = x->rx.cons, mask = x->rx.mask, chunk = a->chunk_bytes, n_frames = a->n_frames;
	uint32_t avail = ring_cons_avail(&x->rx, max), n = 0, whole = 0;
	uint8_t shift = x->chunk_shift;
	uint64_t bytes = 0;

	if (avail == 0 && x->wake_rx && (x->rx_poll || ring_needs_wakeup(&x->fill))) {
		x->wake_rx(x);
		avail = ring_cons_avail(&x->rx, max);
	}
	if (avail == 0) {
		xskq_fill(x);
		return 0;
	}
	for (; avail > 0 && n < max; avail--) {
		const struct xdp_desc *d = &descs[cons & mask];
		uint64_t addr = d->addr, ahead = descs[(cons + PREFETCH_AHEAD) & mask].addr, frame = addr >> shift;
		uint32_t len = d->len, off = (uint32_t)addr & (chunk - 1);
		struct pkt *p = &frames[frame];

		cons++;
		/* Old entries of the ring are read as well, at its end: a prefetch of anything does no harm. */
		__builtin_prefetch(&frames[ahead >> shift], 1);
		__builtin_prefetch(a->base + ahead);
		if (unlikely(frame >= n_frames || p->place != PLACE_FILL || len - 1 >= chunk - off ||
			     (d->options & XDP_PKT_CONTD) || x->rx_head || x->rx_skip)) {
			p = rx_buffer(x, d, now_ns);
			if (p)
				pkts[n++] = p;
			continue;
		}
#ifdef SLUICE_DEBUG
		assert(p->queue == q->index);
#endif
		pkt_received(p, x, off, len, now_ns);
		if (x->rx_meta)
			read_meta(p);
		bytes += len;
		whole++;
		pkts[n++] = p;
	}
	x->rx.cons = cons;
	ring_cons_release(&x->rx);
	a->count[PLACE_FILL] -= whole;
	a->count[PLACE_ENGINE] += whole;
	x->n_fill -= whole;
	q->counters->rx_pkts += n;
	q->counters->rx_bytes += bytes;
	xskq_fill(x);
	return n;
}

/* ---- Transmission -------------------------------------------------------------------------------------------- */

/* The range and the field lie in the first buffer: the kernel wants it so, and would otherwise stop at this packet. */
static inline bool tx_csum_fits(const struct pkt *p)
{
	return p->csum_start >= p->off && (uint32_t)(p->csum_start - p->off) + p->csum_offset + 2u <= p->len;
}

static void finish_checksum(struct area *a, struct pkt *p)
{
	uint8_t *field = p->buf + p->csum_start + p->csum_offset;
	uint32_t sum = csum_partial(p->buf + p->csum_start, pkt_linear_bytes(p, p->csum_start), 0);
	size_t done = pkt_linear_bytes(p, p->csum_start);

	for (const struct pkt *f = area_next(a, p); f; f = area_next(a, f)) {
		sum = csum_add_at(sum, csum_partial(pkt_data(f), f->len, 0), done);
		done += f->len;
	}
	/* Never 0, which means "none" to UDP and is the same number to everybody else. */
	put_wire16(field, csum_fold_udp(sum));
	p->csum = PKT_CSUM_COMPLETE;
}

uint32_t xskq_finish_checksums(struct xskq *x)
{
	uint32_t at = atomic_load_explicit(x->tx.consumer, memory_order_acquire), done = 0;

	for (; at != x->tx.prod; at++) {
		struct xdp_desc *d = &x->tx.descs[at & x->tx.mask];

		if (!(d->options & XDP_TX_METADATA))
			continue;
		finish_checksum(x->q.area, &x->q.area->pkts[d->addr >> x->chunk_shift]);
		d->options &= ~(uint32_t)XDP_TX_METADATA;
		done++;
	}
	return done;
}

static inline void tx_request_csum(const struct xskq *x, const struct pkt *p)
{
	struct sluice_tx_metadata m;
	uint8_t *at = pkt_data(p) - x->tx_meta_bytes;

	m.flags = XDP_TXMD_FLAGS_CHECKSUM;
	m.request.csum_start = (uint16_t)(p->csum_start - p->off);
	m.request.csum_offset = p->csum_offset;
	memcpy(at, &m, offsetof(struct sluice_tx_metadata, request.csum_offset) + sizeof(m.request.csum_offset));
}

static inline void tx_put(struct xskq *x, struct pkt *p, uint32_t options)
{
	struct xdp_desc *d = &x->tx.descs[x->tx.prod++ & x->tx.mask];

#ifdef SLUICE_DEBUG
	assert(p->place == PLACE_ENGINE);
	assert(p->area == x->q.area->id);
	assert((uint32_t)p->off + p->len <= x->q.area->chunk_bytes);
#endif
	d->addr = ((uint64_t)p->frame << x->chunk_shift) + p->off;
	d->len = p->len;
	d->options = options;
	p->place = PLACE_TX;
	p->queue = x->q.index;
}

/* Is there anything in the packet's buffers that the kernel would refuse? It skips such a descriptor and keeps it. */
static enum drop tx_check(const struct xskq *x, const struct pkt *p, uint32_t max_bytes)
{
	uint32_t total = 0, n = 0;

	if (p->gso != PKT_GSO_NONE)
		return DROP_gso_unsupported;
	if (p->total_bytes < ETH_HLEN)
		return DROP_eth_short;
	if (p->total_bytes > max_bytes)
		return DROP_too_long;
	if (p->n_frames > x->tx_frames_max)
		return DROP_too_many_frags;
	if (p->csum == PKT_CSUM_PARTIAL && !tx_csum_fits(p))
		return DROP_csum_bad;
	for (const struct pkt *f = p; f; f = area_next(x->q.area, f), n++) {
		if (f->len == 0 || f->off < x->tx_meta_bytes)
			return DROP_tx_refused;
		total += f->len;
	}
	return n == p->n_frames && total == p->total_bytes ? DROP_NONE : DROP_tx_refused;
}

/* Whatever is not one plain buffer. Return: false when the ring has no room for it */
static __attribute__((noinline)) bool tx_other(struct xskq *x, struct pkt *p, uint32_t max_bytes, uint32_t *room)
{
	struct area *a = x->q.area;
	enum drop why = tx_check(x, p, max_bytes);
	uint32_t options = 0;

	if (why != DROP_NONE) {
		port_drop(&x->q, p, why);
		return true;
	}
	if (*room < p->n_frames)
		return false;
	if (p->csum == PKT_CSUM_PARTIAL) {
		if (x->tx_meta_bytes) {
			tx_request_csum(x, p);
			options = XDP_TX_METADATA;
			x->q.counters->tx_partial_pkts++;
		} else {
			/* Taken while the port could still do it. */
			finish_checksum(a, p);
		}
	}
	if (p->refs)
		tx_mark_held(a, p);
	x->q.counters->tx_pkts++;
	x->q.counters->tx_bytes += p->total_bytes;
	*room -= p->n_frames;
	x->n_tx += p->n_frames;
	a->count[PLACE_ENGINE] -= p->n_frames;
	a->count[PLACE_TX] += p->n_frames;
	for (; p; p = area_next(a, p)) {
		tx_put(x, p, options | (p->next != PKT_NONE ? XDP_PKT_CONTD : 0));
		options = 0;
	}
	return true;
}

static inline void tx_account(struct xskq *x, uint32_t n, uint64_t bytes)
{
	ring_prod_publish(&x->tx);
	x->q.area->count[PLACE_ENGINE] -= n;
	x->q.area->count[PLACE_TX] += n;
	x->n_tx += n;
	x->q.counters->tx_pkts += n;
	x->q.counters->tx_bytes += bytes;
}

unsigned int xskq_tx(struct port_queue *q, struct pkt **pkts, unsigned int count)
{
	struct xskq *x = xskq_of(q);
	uint32_t max_bytes = q->port->mtu_bytes ? q->port->mtu_bytes + L2_BYTES_MAX : UINT32_MAX;
	uint32_t room = ring_prod_free(&x->tx, count), plain = 0, i = 0;
	uint64_t bytes = 0;
	bool kicked = false;

	while (i < count) {
		struct pkt *p = pkts[i];
		uint32_t len = p->len;

		if (likely(p->n_frames == 1 && p->refs == 0 && p->gso == PKT_GSO_NONE && p->csum != PKT_CSUM_PARTIAL &&
			   p->off >= x->tx_meta_bytes && len - ETH_HLEN <= max_bytes - ETH_HLEN && room)) {
			tx_put(x, p, 0);
			room--;
			plain++;
			bytes += len;
			i++;
			continue;
		}
		if (room && tx_other(x, p, max_bytes, &room)) {
			i++;
			continue;
		}
		if (kicked)
			break;
		/* Full: let the kernel have what is there, once. */
		kicked = true;
		tx_account(x, plain, bytes);
		plain = 0;
		bytes = 0;
		x->kick(x);
		room = ring_prod_free(&x->tx, x->tx.size);
	}
	tx_account(x, plain, bytes);
	return i;
}

void xskq_flush(struct port_queue *q)
{
	struct xskq *x = xskq_of(q);

	if (x->n_tx == 0)
		return;
	if (ring_unread(&x->tx) && ring_needs_wakeup(&x->tx))
		x->kick(x);
	xskq_reap(x);
}

bool xskq_pending(const struct port_queue *q)
{
	const struct xskq *x = (const struct xskq *)q;

	if (x->n_tx && !x->tx_stalled && ring_unread(&x->tx))
		return true;
	/* Reception is about to starve, and there is, or will be, something to feed it with. */
	return x->n_fill < x->fill_target / 4 && (q->area->n_free || x->n_tx);
}
