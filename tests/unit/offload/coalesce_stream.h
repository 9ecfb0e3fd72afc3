/* SPDX-License-Identifier: MIT */
/*
 * A batch of packets through the coalescer, and everything that must hold of what comes out: what the twin says has
 * joined, nothing copied, order kept, and every packet again, byte for byte, from the segmenter.
 *
 * Who includes this has defined must(condition), and `stream_area`.
 */
#ifndef TESTS_UNIT_OFFLOAD_COALESCE_STREAM_H
#define TESTS_UNIT_OFFLOAD_COALESCE_STREAM_H

#include "tests/unit/offload/coalesce_twin.h"
#include "user/net/pkt_csum.h"
#include "user/offload/coalesce.h"
#include "user/offload/segment.h"

#define STREAM_PKTS_MAX 256
#define STREAM_PKT_BYTES_MAX 4096
#define ALL_TYPES (1u << PKT_GSO_TCP4 | 1u << PKT_GSO_TCP6 | 1u << PKT_GSO_UDP)

static struct area *stream_area(void);

struct original {
	uint32_t len, l3, l4;
	uint8_t raw[STREAM_PKT_BYTES_MAX];
	uint8_t whole[STREAM_PKT_BYTES_MAX];	/* with its checksum finished */
	uint8_t id[40];
	uint32_t frame;
	uint8_t csum, gso, n_frames;
	bool unknown, v4, df;
	unsigned int leader;
};

struct stream {
	unsigned int n, n_out;
	struct pkt *in[STREAM_PKTS_MAX], *out[STREAM_PKTS_MAX];
	struct original was[STREAM_PKTS_MAX];
	unsigned int emitted[STREAM_PKTS_MAX], n_emitted;
	struct twin twin;
};

static inline void stream_add(struct stream *s, struct pkt *p)
{
	bool transport = p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP;
	struct original *o = &s->was[s->n];

	must(s->n < STREAM_PKTS_MAX && p->total_bytes <= STREAM_PKT_BYTES_MAX);
	*o = (struct original){
		.len = p->total_bytes, .l3 = (uint32_t)(p->l3 - p->off), .l4 = (uint32_t)(p->l4 - p->off),
		.frame = p->frame, .csum = p->csum, .gso = p->gso, .n_frames = p->n_frames,
		.unknown = p->family == 0 || p->flags & PKT_FRAG || (transport && !(p->flags & PKT_L4)),
		.v4 = p->family == AF_INET,
	};
	pkt_copy_out(stream_area(), p, 0, o->raw, o->len);
	memcpy(o->whole, o->raw, o->len);
	o->df = o->v4 && be16_at(o->raw + o->l3 + 6) & 0x4000;
	if (p->csum == PKT_CSUM_PARTIAL) {
		uint16_t sum = (uint16_t)~twin_sum(o->whole + o->l4, o->len - o->l4, 0);

		put_be16(o->whole + (p->csum_start - p->off) + p->csum_offset, sum ? sum : 0xffff);
	}
	if (!o->unknown && transport)
		twin_id(p, o->id);
	s->in[s->n++] = p;
}

/* One packet is out: none that should be behind it, or before, may have been on the wrong side. */
static inline void stream_emitted(struct stream *s, unsigned int i)
{
	for (unsigned int k = 0; k < s->n_emitted; k++) {
		const struct original *a = &s->was[s->emitted[k]], *b = &s->was[i];

		must(s->emitted[k] < i || (!a->unknown && !b->unknown && memcmp(a->id, b->id, 40) != 0));
	}
	s->emitted[s->n_emitted++] = i;
}

static inline void stream_same(const struct original *o, struct pkt *q)
{
	static uint8_t got[STREAM_PKT_BYTES_MAX], want[STREAM_PKT_BYTES_MAX];

	must(pkt_csum_complete(stream_area(), q) == DROP_NONE);
	must(q->total_bytes == o->len);
	pkt_copy_out(stream_area(), q, 0, got, o->len);
	memcpy(want, o->whole, o->len);
	if (o->v4)
		must(twin_sum(got + o->l3, 20, 0) == 0xffff);
	if (o->df) {
		memset(got + o->l3 + 4, 0, 2);
		memset(want + o->l3 + 4, 0, 2);
		memset(got + o->l3 + 10, 0, 2);
		memset(want + o->l3 + 10, 0, 2);
	}
	must(memcmp(got, want, o->len) == 0);
}

static inline void stream_alone(const struct original *o, const struct pkt *p)
{
	static uint8_t got[STREAM_PKT_BYTES_MAX];

	must(p->gso == o->gso && p->n_frames == o->n_frames && p->total_bytes == o->len);
	must(p->csum == o->csum || (o->csum == PKT_CSUM_NONE && p->csum == PKT_CSUM_COMPLETE));
	pkt_copy_out(stream_area(), p, 0, got, o->len);
	must(memcmp(got, o->raw, o->len) == 0);
}

/* The frames of a superpacket are those of its packets, each with something in it. */
static inline void stream_frames(const struct stream *s, const struct pkt *p, unsigned int leader)
{
	const struct pkt *f = p;
	uint32_t frames = 0, bytes = 0;

	for (unsigned int i = leader; i < s->n; i++) {
		if (s->was[i].leader != leader)
			continue;
		must(f && f->frame == s->was[i].frame);
		for (unsigned int k = 0; k < s->was[i].n_frames; k++) {
			must(f && f->len > 0);
			bytes += f->len;
			frames++;
			f = area_next(stream_area(), f);
		}
	}
	must(!f && frames == p->n_frames && bytes == p->total_bytes);
}

static inline void stream_superpacket(struct stream *s, struct pkt *p, unsigned int leader, unsigned int members)
{
	const struct original *o = &s->was[leader];
	struct segmenter seg;
	unsigned int i = leader;
	struct pkt *q;

	must(p->gso_segs == members && p->csum == PKT_CSUM_PARTIAL && p->csum_start == p->l4);
	must(pkt_l3_bytes(p) <= 65535 && p->n_frames <= PKT_FRAMES_MAX && members <= 64);
	if (o->v4)
		must(twin_sum(pkt_l3(p), 20, 0) == 0xffff);
	must(twin_right(stream_area(), p));
	stream_frames(s, p, leader);
	must(segment_begin(&seg, stream_area(), p, members % 2 ? SEGMENT_CSUM_PARTIAL : SEGMENT_CSUM_COMPLETE) ==
	     DROP_NONE);
	while ((q = segment_next(&seg, stream_area())) != NULL) {
		while (i < s->n && s->was[i].leader != leader)
			i++;
		must(i < s->n);
		stream_same(&s->was[i], q);
		stream_emitted(s, i++);
		pkt_put(stream_area(), q);
	}
	must(seg.done);
	segment_end(&seg, stream_area());
}

/* Coalesce all that was added, check, and free it. Return: how many packets came out */
static inline unsigned int stream_run(struct stream *s, struct coalescer *c, uint32_t types)
{
	const uint32_t takes[] = { types };		/* all is for port 0 */
	unsigned int leader = 0;

	s->twin.n = s->twin.n_flows = 0;
	s->n_emitted = 0;
	for (unsigned int i = 0; i < s->n; i++)
		s->was[i].leader = twin_push(&s->twin, stream_area(), s->in[i], types);
	s->n_out = coalesce_batch(c, stream_area(), s->in, s->n, takes, s->out);

	for (unsigned int k = 0; k < s->n_out; k++, leader++) {
		unsigned int members = 0;

		while (leader < s->n && s->was[leader].leader != leader)
			leader++;
		must(leader < s->n && s->out[k] == s->in[leader]);
		for (unsigned int i = leader; i < s->n; i++)
			members += s->was[i].leader == leader;
		if (members > 1) {
			stream_superpacket(s, s->out[k], leader, members);
		} else {
			stream_alone(&s->was[leader], s->out[k]);
			stream_emitted(s, leader);
			pkt_put(stream_area(), s->out[k]);
		}
	}
	must(s->n_emitted == s->n);
	s->n = 0;
	return s->n_out;
}

#endif
