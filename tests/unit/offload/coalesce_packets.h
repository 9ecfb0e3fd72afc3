/* SPDX-License-Identifier: MIT */
/* Packets of streams, for the coalescer: everything that a rule is about can be set. */
#ifndef TESTS_UNIT_OFFLOAD_COALESCE_PACKETS_H
#define TESTS_UNIT_OFFLOAD_COALESCE_PACKETS_H

#include "tests/unit/net/area_fixture.h"
#include "tests/unit/offload/segment_twin.h"

struct seg {
	bool six, udp, eth;
	uint8_t vlans;
	uint8_t ttl, tos;
	uint16_t id, frag;
	uint32_t flow_label;
	uint8_t ip_options;		/* bytes */
	uint8_t src, dst;		/* last bytes of the addresses */
	uint16_t sport, dport;
	uint32_t seq, ack;
	uint8_t flags, reserved;
	uint16_t window, urgent;
	uint8_t options;		/* bytes of TCP options */
	uint32_t timestamp;
	uint32_t bytes;			/* of payload */
	enum { WHOLE, PARTIAL, NO_CSUM, BAD, BAD_PARTIAL, BAD_IP } csum;
	uint32_t frame_bytes;
	uint16_t iface;
};

static const struct seg tcp4 = {
	.ttl = 64, .frag = 0x4000, .id = 100, .src = 1, .dst = 2, .sport = 1000, .dport = 2000, .seq = 0xfffffc00, .ack = 7,
	.flags = 0x10, .window = 500, .options = 12, .timestamp = 99, .bytes = 1000, .frame_bytes = 1700, .iface = 3,
};

static inline struct seg tcp6(void)
{
	struct seg s = tcp4;

	s.six = true;
	s.flow_label = 0x12345;
	return s;
}

static inline struct seg udp4(void)
{
	struct seg s = tcp4;

	s.udp = true;
	return s;
}

static inline struct seg udp6(void)
{
	struct seg s = tcp6();

	s.udp = true;
	return s;
}

/* What follows it in its flow, of the same size. */
static inline struct seg next_of(struct seg s)
{
	s.seq += s.bytes;
	s.id++;
	return s;
}

static inline void add_l2(struct bytes *f, const struct seg *s)
{
	uint16_t type = s->six ? 0x86dd : 0x0800;

	if (!s->eth)
		return;
	add_eth(f, s->vlans ? 0x8100 : type);
	if (s->vlans)
		add_vlan(f, s->vlans, type);
}

static inline void add_l3(struct bytes *f, const struct seg *s, uint32_t l4_bytes)
{
	uint8_t proto = s->udp ? 17 : 6, *ip = f->b + f->len;

	if (s->six) {
		add_ip6(f, s->ip_options ? 60 : proto, l4_bytes + s->ip_options);
		put_be32(ip, 0x60000000 | (uint32_t)s->tos << 20 | s->flow_label);
		ip[7] = s->ttl;
		ip[23] = s->src;
		ip[39] = s->dst;
		if (s->ip_options) {
			ADD(f, "\x00\x00\x01\x04\x00\x00\x00\x00");
			ip[40] = proto;
		}
		return;
	}
	add_ip4(f, proto, s->frag, "\x01\x01\x01\x01\x94\x04\x00\x00", s->ip_options, l4_bytes);
	ip[1] = s->tos;
	put_be16(ip + 4, s->id);
	ip[8] = s->ttl;
	ip[15] = s->src;
	ip[19] = s->dst;
	put_be16(ip + 10, (uint16_t)~twin_sum(ip, 20u + s->ip_options, 0));
	if (s->csum == BAD_IP)
		ip[10] ^= 1;
}

static inline void add_l4(struct bytes *f, const struct seg *s, uint32_t l4_bytes, uint32_t pseudo)
{
	uint8_t *l4 = f->b + f->len, *field = l4 + (s->udp ? 6 : 16);
	uint16_t sum;

	if (s->udp) {
		add_udp(f, 0);
		put_be16(l4 + 4, (uint16_t)l4_bytes);
	} else {
		add_tcp(f, (uint8_t)(5 + s->options / 4), s->flags);
		put_be32(l4 + 4, s->seq);
		put_be32(l4 + 8, s->ack);
		l4[12] |= s->reserved;
		put_be16(l4 + 14, s->window);
		put_be16(l4 + 18, s->urgent);
		if (s->options >= 12)
			put_be32(l4 + 24, s->timestamp);
	}
	put_be16(l4, s->sport);
	put_be16(l4 + 2, s->dport);
	for (uint32_t i = 0; i < s->bytes; i++)
		f->b[f->len++] = (uint8_t)((s->seq + i) * 31 + ((s->seq + i) >> 8) * 7 + s->sport);
	put_be16(field, 0);
	sum = (uint16_t)~twin_sum(l4, l4_bytes, pseudo);
	if (s->csum == PARTIAL || s->csum == BAD_PARTIAL)
		sum = (uint16_t)(pseudo + (s->csum == BAD_PARTIAL));
	else if (s->udp && sum == 0)
		sum = 0xffff;
	put_be16(field, s->csum == NO_CSUM ? 0 : s->csum == BAD ? (uint16_t)(sum ^ 0x0100) : sum);
}

static inline struct pkt *make(const struct seg *s)
{
	uint32_t l4_bytes = (s->udp ? 8 : 20u + s->options) + s->bytes, l3;
	static struct bytes f;
	struct pkt *p;

	f.len = 0;
	add_l2(&f, s);
	l3 = f.len;
	add_l3(&f, s, l4_bytes);
	add_l4(&f, s, l4_bytes, twin_pseudo(f.b + l3, s->udp ? 17 : 6, l4_bytes));
	p = s->eth ? parsed_l2(&f, s->frame_bytes) : parsed_l3(&f, s->frame_bytes);
	p->iface_out = s->iface;
	if (s->csum == PARTIAL || s->csum == BAD_PARTIAL) {
		p->csum = PKT_CSUM_PARTIAL;
		p->csum_start = p->l4;
		p->csum_offset = s->udp ? 6 : 16;
	}
	return p;
}

#endif
