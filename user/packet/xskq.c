/* SPDX-License-Identifier: MIT */
#include "user/packet/xskq.h"

#include <string.h>

#include <sluice/compat.h>
#include <sluice/steer.h>

#include "common/bytes.h"
#include "common/csum.h"
#include "user/packet/wire.h"

#define FILL_BATCH_MAX 64
/* A port's MTU is of IP packets; two VLAN tags are not counted. */
#define L2_BYTES_MAX (ETH_HLEN_BYTES + 2 * VLAN_HLEN_BYTES)

/* Inlined, the two loops that touch every packet would share their registers with everything around them. */
#define own_registers __attribute__((noinline))

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
	uint32_t want = x->fill_target - x->n_fill, done = 0;
	struct pkt *frames = a->pkts;
	uint8_t shift = x->chunk_shift;
	uint16_t index = x->q.index;

	/* The kernel may sit on frames that it never delivered: then n_fill can exceed what the ring shows. */
	if ((int32_t)want < (int32_t)x->fill_batch)
		return;
	want = min_u32(min_u32(want, ring_prod_free(&x->fill, want)), a->n_free);
	if (want == 0)
		return;
	while (done < want) {
		uint32_t at = x->fill.prod & x->fill.mask, run = min_u32(want - done, x->fill.size - at);
		uint64_t *to = x->fill.addrs + at, *end = to + run;
		const uint32_t *top = a->free + a->n_free - done;

		while (to < end) {
			uint32_t frame = *--top;
			struct pkt *p = &frames[frame];

#ifdef SLUICE_DEBUG
			assert(p->place == PLACE_FREE);
#endif
			p->place = PLACE_FILL;
			p->queue = index;
			*to++ = (uint64_t)frame << shift;
		}
		x->fill.prod += run;
		done += run;
	}
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
	uint32_t n, left, n_frames = a->n_frames;
	struct pkt *frames = a->pkts;
	uint8_t shift = x->chunk_shift;

	if (x->n_tx == 0)
		return 0;
	n = left = ring_cons_avail(&x->comp, x->n_tx);
	while (left > 0) {
		uint32_t at = x->comp.cons & x->comp.mask, run = min_u32(left, x->comp.size - at), home = 0;
		const uint64_t *from = x->comp.addrs + at, *end = from + run;
		uint32_t *top = a->free + a->n_free;

		for (; from < end; from++) {
			uint64_t frame = *from >> shift;
			struct pkt *p = &frames[frame];

			/* Void, or twice the same: the frame is not the kernel's to give. */
			if (unlikely(frame >= n_frames || p->place != PLACE_TX))
				continue;
#ifdef SLUICE_DEBUG
			assert(p->queue == x->q.index);
#endif
			if (unlikely(p->flags & PKT_TX_HELD)) {
				/* It pushes on the same stack. */
				reap_account(x, home);
				home = 0;
				x->n_tx--;
				reap_held(a, p);
				top = a->free + a->n_free;
				continue;
			}
			p->place = PLACE_FREE;
			top[home++] = (uint32_t)frame;
		}
		reap_account(x, home);
		x->comp.cons += run;
		left -= run;
	}
	if (n)
		ring_cons_release(&x->comp);
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

/*
 * What all packets of a batch have in common: struct pkt from `place` on, in pieces of 16 bytes that stay in registers.
 * Zeroing each packet and setting fields one by one takes twice the instructions.
 */
typedef uint64_t pkt_piece __attribute__((vector_size(16), may_alias));

#define PKT_PIECE_COMMON 2			/* the first one */
#define PKT_PIECE_ZERO 5
#define PKT_PIECES (sizeof(struct pkt) / sizeof(pkt_piece))

static_assert(offsetof(struct pkt, place) == PKT_PIECE_COMMON * sizeof(pkt_piece), "what differs stands before it");
static_assert(offsetof(struct pkt, l3) + 8 == offsetof(struct pkt, place), "four offsets and the flags between");
static_assert(offsetof(struct pkt, rx_time_ns) + sizeof(pkt_piece) == PKT_PIECE_ZERO * sizeof(pkt_piece),
	      "all that is set stands before the pieces that are zero");

struct rx_common {
	pkt_piece of_place, of_area, of_time;
};

static struct rx_common rx_common_of(const struct xskq *x, uint64_t now_ns)
{
	struct pkt p;
	const pkt_piece *piece = (const pkt_piece *)&p;
	struct rx_common c;

	memset(&p, 0, sizeof(p));
	p.place = PLACE_ENGINE;
	p.n_frames = 1;
	p.port_in = x->q.port->id;
	p.area = x->q.area->id;
	p.rx_time_ns = now_ns;
	memcpy(&c, piece + PKT_PIECE_COMMON, sizeof(c));
	return c;
}

/* A packet of one frame, as the contract of struct port_ops says: zero but for what is known. */
static inline void pkt_received(struct pkt *p, struct rx_common c, uint32_t off, uint32_t len)
{
	pkt_piece *to = (pkt_piece *)p;

	p->next = PKT_NONE;
	p->total_bytes = len;
	p->off = (uint16_t)off;
	p->len = (uint16_t)len;
	memset(&p->l3, 0, offsetof(struct pkt, place) - offsetof(struct pkt, l3));
	to[PKT_PIECE_COMMON] = c.of_place;
	to[PKT_PIECE_COMMON + 1] = c.of_area;
	to[PKT_PIECE_COMMON + 2] = c.of_time;
	for (unsigned int i = PKT_PIECE_ZERO; i < PKT_PIECES; i++)
		to[i] = (pkt_piece){ 0 };
}

/*
 * Metadata of the XDP program, below the frame. A tag that the device has taken off goes back where it was: so a frame
 * looks the same whether its device strips tags or not.
 */
static void rx_read_meta(struct pkt *p)
{
	struct sluice_rx_meta m;
	uint8_t *eth = pkt_data(p);

	if (p->off < sizeof(m) || p->len < ETH_HLEN_BYTES)
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
		memmove(eth - VLAN_HLEN_BYTES, eth, ETH_TYPE);
		put_wire16(eth - VLAN_HLEN_BYTES + ETH_TYPE, m.vlan_proto);
		put_be16(eth - VLAN_HLEN_BYTES + ETH_TYPE + 2, m.vlan_tci);
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
static struct pkt *rx_buffer(struct xskq *x, const struct xdp_desc *d, const struct rx_common *common)
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
	pkt_received(p, *common, off, d->len);
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
	return head;
}

/* Plain packets from the ring's next entries, as long as they lie in one piece. Return: how many */
static own_registers unsigned int rx_plain(struct xskq *x, struct pkt **pkts, uint32_t most,
					   const struct rx_common *common, uint64_t *bytes)
{
	struct area *a = x->q.area;
	uint32_t at = x->rx.cons & x->rx.mask, run = min_u32(most, x->rx.size - at), n;
	const struct xdp_desc *d = x->rx.descs + at, *end = d + run;
	uint32_t chunk = a->chunk_bytes, n_frames = a->n_frames;
	uint8_t shift = x->chunk_shift, *base = a->base;
	const struct rx_common c = *common;
	struct pkt *frames = a->pkts, **to = pkts;
	uint64_t sum = 0;

	for (; d < end; d++) {
		uint64_t addr = d->addr, frame = addr >> shift, len_options;
		uint32_t off = (uint32_t)addr & (chunk - 1);
		struct pkt *p = &frames[frame];

		/* One comparison: with any option set it is beyond every length, and so is a length of 0. */
		memcpy(&len_options, &d->len, sizeof(len_options));
		if (unlikely(frame >= n_frames || p->place != PLACE_FILL || len_options - 1 >= chunk - off))
			break;
#ifdef SLUICE_DEBUG
		assert(p->queue == x->q.index);
#endif
		/* Whoever parses it comes later in the batch. */
		__builtin_prefetch(base + addr);
		pkt_received(p, c, off, (uint32_t)len_options);
		sum += len_options;
		*to++ = p;
	}
	n = (unsigned int)(to - pkts);
	x->rx.cons += n;
	x->n_fill -= n;
	a->count[PLACE_FILL] -= n;
	a->count[PLACE_ENGINE] += n;
	*bytes += sum;
	return n;
}

unsigned int xskq_rx(struct port_queue *q, struct pkt **pkts, unsigned int max, uint64_t now_ns)
{
	struct xskq *x = xskq_of(q);
	uint32_t avail = ring_cons_avail(&x->rx, max), n = 0;
	struct rx_common common;
	uint64_t bytes = 0;

	if (avail == 0 && x->wake_rx && (x->rx_poll || ring_needs_wakeup(&x->fill))) {
		x->wake_rx(x);
		avail = ring_cons_avail(&x->rx, max);
	}
	if (avail == 0) {
		xskq_fill(x);
		return 0;
	}
	common = rx_common_of(x, now_ns);
	while (avail > 0 && n < max) {
		uint32_t took = 0;
		struct pkt *p;

		if (!x->rx_head && !x->rx_skip) {
			took = rx_plain(x, pkts + n, min_u32(avail, max - n), &common, &bytes);
			avail -= took;
			n += took;
			/* All, or up to the ring's end, or up to something else. */
			if (took && (avail == 0 || n == max || (x->rx.cons & x->rx.mask) == 0))
				continue;
		}
		p = rx_buffer(x, &x->rx.descs[x->rx.cons++ & x->rx.mask], &common);
		avail--;
		if (p) {
			bytes += p->total_bytes;
			pkts[n++] = p;
		}
	}
	ring_cons_release(&x->rx);
	if (x->rx_meta) {
		for (uint32_t i = 0; i < n; i++)
			rx_read_meta(pkts[i]);
	}
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

/*
 * A kernel that refuses metadata completes the descriptor all the same (seen on 6.18: the half-made buffer is freed and
 * its destructor does that), and again when it is sent. The first completion would set the frame free too early.
 */
static void void_completion(struct xskq *x, uint64_t addr)
{
	uint32_t end = atomic_load_explicit(x->comp.producer, memory_order_acquire);

	for (uint32_t i = x->comp.cons; i != end; i++) {
		if (x->comp.addrs[i & x->comp.mask] >> x->chunk_shift == addr >> x->chunk_shift)
			x->comp.addrs[i & x->comp.mask] = UINT64_MAX;
	}
}

uint32_t xskq_finish_checksums(struct xskq *x)
{
	uint32_t at = atomic_load_explicit(x->tx.consumer, memory_order_acquire), done = 0;

	if (at != x->tx.prod)
		void_completion(x, x->tx.descs[at & x->tx.mask].addr);

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
	if (p->total_bytes < ETH_HLEN_BYTES)
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
static bool tx_other(struct xskq *x, struct pkt *p, uint32_t max_bytes, uint32_t *room)
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
		if (atomic_load_explicit(&x->tx_csum, memory_order_relaxed)) {
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

/*
 * Packets of one buffer, which are nearly all, as long as the ring lies in one piece.
 * Return: how many; the next one is of another kind, or there is no room
 */
static own_registers uint32_t tx_plain(struct xskq *x, struct pkt **pkts, uint32_t count, uint32_t room,
				       uint32_t max_bytes)
{
	struct area *a = x->q.area;
	uint32_t at = x->tx.prod & x->tx.mask, n = min_u32(min_u32(count, room), x->tx.size - at), partial = 0;
	struct pkt **from = pkts, **end = pkts + n;
	struct xdp_desc *d = x->tx.descs + at;
	uint32_t limit = max_bytes - ETH_HLEN_BYTES, meta = x->tx_meta_bytes;
	bool csum = atomic_load_explicit(&x->tx_csum, memory_order_relaxed);
	uint16_t index = x->q.index;
	uint8_t shift = x->chunk_shift;
	uint64_t bytes = 0;

	/* Locals, not fields: for all the compiler knows, a store to `place`, a byte, may change any field. */
	for (; from < end; from++, d++) {
		struct pkt *p = *from;
		uint32_t off = p->off, kind = p->csum | (uint32_t)p->gso << 8;
		uint64_t len_options = p->len;

		if (unlikely(p->n_frames != 1 || p->refs || off < meta ||
			     (uint32_t)len_options - ETH_HLEN_BYTES > limit))
			break;
		bytes += len_options;
		if (kind >= PKT_CSUM_PARTIAL) {
			if (kind != PKT_CSUM_PARTIAL || !csum || !tx_csum_fits(p)) {
				bytes -= len_options;
				break;
			}
			tx_request_csum(x, p);
			len_options |= (uint64_t)XDP_TX_METADATA << 32;
			partial++;
		}
#ifdef SLUICE_DEBUG
		assert(p->place == PLACE_ENGINE && p->area == a->id && off + p->len <= a->chunk_bytes);
#endif
		d->addr = ((uint64_t)p->frame << shift) + off;
		memcpy(&d->len, &len_options, sizeof(len_options));
		p->place = PLACE_TX;
		p->queue = index;
	}
	n = (uint32_t)(from - pkts);
	x->tx.prod += n;
	x->n_tx += n;
	a->count[PLACE_ENGINE] -= n;
	a->count[PLACE_TX] += n;
	x->q.counters->tx_pkts += n;
	x->q.counters->tx_bytes += bytes;
	x->q.counters->tx_partial_pkts += partial;
	return n;
}

unsigned int xskq_tx(struct port_queue *q, struct pkt **pkts, unsigned int count)
{
	struct xskq *x = xskq_of(q);
	uint32_t max_bytes = q->port->mtu_bytes ? q->port->mtu_bytes + L2_BYTES_MAX : UINT32_MAX;
	uint32_t room = ring_prod_free(&x->tx, count), i = 0;
	bool kicked = false;

	while (i < count) {
		uint32_t n = tx_plain(x, pkts + i, count - i, room, max_bytes);

		room -= n;
		i += n;
		if (n)
			continue;
		if (room && tx_other(x, pkts[i], max_bytes, &room)) {
			i++;
			continue;
		}
		if (kicked)
			break;
		/* Full: let the kernel have what is there, once. */
		kicked = true;
		ring_prod_publish(&x->tx);
		x->kick(x);
		room = ring_prod_free(&x->tx, x->tx.size);
	}
	ring_prod_publish(&x->tx);
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

	/* Not read yet, or not given back. */
	if (x->n_tx && !x->tx_stalled)
		return true;
	/* Reception is about to starve, and there is, or will be, something to feed it with: frames of any port's. */
	return x->n_fill < x->fill_target / 4 && (q->area->n_free || q->area->count[PLACE_TX]);
}
