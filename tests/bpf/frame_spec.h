/* SPDX-License-Identifier: MIT */
/* Frames for tests, from a few words that say what is in them. */
#ifndef TESTS_BPF_FRAME_SPEC_H
#define TESTS_BPF_FRAME_SPEC_H

#include <arpa/inet.h>
#include <check.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define FRAME_MAX 2048

enum frame_to { TO_PORT, TO_OTHER, TO_BROADCAST, TO_MULTICAST };

#define TAG(type, id) { 0x##type, id }
#define IP4_MORE 0x2000
#define IP6_MORE 0x0001

struct frame_spec {
	enum frame_to to;
	struct {
		uint16_t type, tci;
	} tag[3];
	const char *src, *dst;	/* IPv4 or IPv6, by the text; NULL: see ethertype */
	uint8_t proto;
	uint16_t sport, dport;
	uint16_t frag;		/* IPv4: flags and offset; IPv6: offset and M of each Fragment header */
	uint8_t ihl;		/* 0: 5 */
	uint8_t version;	/* 0: the right one */
	uint8_t ext[12];	/* IPv6 extension headers; 255 stands for Hop-by-Hop, 0 ends the list */
	uint8_t ext_len;	/* length field of each but Fragment headers */
	int length_off;		/* added to the IP length field */
	uint8_t icmp_type;
	const char *target;	/* of neighbour discovery */
	uint16_t arp;		/* operation: an ARP packet from src to dst */
	uint16_t arp_hw;	/* 0: Ethernet */
	uint16_t ethertype;	/* 0: by the rest */
	uint16_t payload;	/* octets behind the first four of L4; for TCP, UDP: behind the ports */
	bool no_l4;		/* nothing behind the IP headers */
	uint16_t padding;	/* octets behind the IP packet */
	uint16_t cut;		/* octets missing at the end */
};

struct frame_buf {
	uint8_t b[FRAME_MAX];
	size_t len;
};

static const uint8_t frame_port_mac[6] = { 0x02, 0x5a, 0, 0, 0, 0x01 };

static inline void put(struct frame_buf *f, const void *p, size_t n)
{
	ck_assert_uint_le(f->len + n, FRAME_MAX);
	memcpy(f->b + f->len, p, n);
	f->len += n;
}

static inline void put8(struct frame_buf *f, unsigned int v)
{
	uint8_t b = (uint8_t)v;

	put(f, &b, 1);
}

static inline void put16(struct frame_buf *f, unsigned int v)
{
	put8(f, v >> 8);
	put8(f, v & 0xff);
}

static inline void put_zero(struct frame_buf *f, size_t n)
{
	while (n--)
		put8(f, 0);
}

static inline void put_addr(struct frame_buf *f, const char *text)
{
	bool v6 = strchr(text, ':') != NULL;
	uint8_t a[16];

	ck_assert_int_eq(inet_pton(v6 ? AF_INET6 : AF_INET, text, a), 1);
	put(f, a, v6 ? 16 : 4);
}

static inline void put_l4(struct frame_buf *f, const struct frame_spec *s)
{
	if (s->no_l4)
		return;
	if (s->icmp_type) {
		put8(f, s->icmp_type);
		put_zero(f, 7);
		if (s->target)
			put_addr(f, s->target);
	} else {
		put16(f, s->sport);
		put16(f, s->dport);
	}
	put_zero(f, s->payload);
}

static inline void put_ipv4(struct frame_buf *f, const struct frame_spec *s)
{
	unsigned int ihl = s->ihl ? s->ihl : 5;
	size_t at = f->len, total;

	put8(f, (s->version ? s->version : 4u) << 4 | ihl);
	put8(f, 0);
	put16(f, 0);		/* total length, below */
	put16(f, 0x1234);
	put16(f, s->frag);
	put8(f, 64);
	put8(f, s->proto);
	put16(f, 0);
	put_addr(f, s->src);
	put_addr(f, s->dst);
	for (unsigned int i = 5; i < ihl; i++)
		put(f, "\1\1\1\1", 4);
	put_l4(f, s);
	total = f->len - at + (size_t)s->length_off;
	f->b[at + 2] = (uint8_t)(total >> 8);
	f->b[at + 3] = (uint8_t)total;
}

static inline void put_ipv6(struct frame_buf *f, const struct frame_spec *s)
{
	size_t at = f->len, payload;
	size_t next_at = at + 6;

	put8(f, (s->version ? s->version : 6u) << 4);
	put_zero(f, 3);
	put16(f, 0);		/* payload length, below */
	put8(f, s->proto);
	put8(f, 255);
	put_addr(f, s->src);
	put_addr(f, s->dst);
	for (const uint8_t *e = s->ext; *e; e++) {
		f->b[next_at] = *e == 255 ? 0 : *e;
		next_at = f->len;
		put8(f, s->proto);
		if (*e == 44) {
			put8(f, 0);
			put16(f, s->frag);
			put_zero(f, 4);
		} else {
			put8(f, s->ext_len);
			put_zero(f, *e == 51 ? (s->ext_len + 2u) * 4 - 2 : (s->ext_len + 1u) * 8 - 2);
		}
	}
	put_l4(f, s);
	payload = f->len - at - 40 + (size_t)s->length_off;
	f->b[at + 4] = (uint8_t)(payload >> 8);
	f->b[at + 5] = (uint8_t)payload;
}

static inline void put_arp(struct frame_buf *f, const struct frame_spec *s)
{
	put16(f, s->arp_hw ? s->arp_hw : 1);
	put16(f, 0x0800);
	put8(f, 6);
	put8(f, 4);
	put16(f, s->arp);
	put(f, "\2\0\0\0\0\x63", 6);
	put_addr(f, s->src);
	put_zero(f, 6);
	put_addr(f, s->dst);
}

static inline void frame_build(struct frame_buf *f, const struct frame_spec *s)
{
	static const uint8_t macs[4][6] = {
		[TO_OTHER] = { 0x02, 0x5a, 0, 0, 0, 0x02 },
		[TO_BROADCAST] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff },
		[TO_MULTICAST] = { 0x33, 0x33, 0, 0, 0, 1 },
	};
	unsigned int type;

	f->len = 0;
	put(f, s->to == TO_PORT ? frame_port_mac : macs[s->to], 6);
	put(f, "\2\0\0\0\0\x63", 6);
	for (size_t i = 0; i < 3 && s->tag[i].type; i++) {
		put16(f, s->tag[i].type);
		put16(f, s->tag[i].tci);
	}
	type = s->arp ? 0x0806 : !s->dst ? 0x88b5 : strchr(s->dst, ':') ? 0x86dd : 0x0800;
	put16(f, s->ethertype ? s->ethertype : type);
	if (s->arp)
		put_arp(f, s);
	else if (!s->dst)
		put_zero(f, 46);
	else if (strchr(s->dst, ':'))
		put_ipv6(f, s);
	else
		put_ipv4(f, s);
	put_zero(f, s->padding);
	ck_assert_uint_lt(s->cut, f->len);
	f->len -= s->cut;
}

#endif
