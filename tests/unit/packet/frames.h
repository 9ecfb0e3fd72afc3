/* SPDX-License-Identifier: MIT */
/* Packets for tests: headers written one after the other, and packets over memory of exactly their size. */
#ifndef TESTS_UNIT_PACKET_FRAMES_H
#define TESTS_UNIT_PACKET_FRAMES_H

#include "common/bytes.h"
#include "user/packet/pkt.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 70000u

struct bytes {
	uint32_t len;
	uint8_t b[BYTES_MAX];
};

static inline void add(struct bytes *f, const void *from, uint32_t n)
{
	if (n > 0)
		memcpy(f->b + f->len, from, n);
	f->len += n;
}

/* A literal's bytes, without its terminating zero. */
#define ADD(f, literal) add(f, literal, sizeof(literal) - 1)

static inline void add_fill(struct bytes *f, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		f->b[f->len++] = (uint8_t)(i * 7 + 1);
}

static inline void add_eth(struct bytes *f, uint16_t type)
{
	ADD(f, "\x02\x00\x00\x00\x00\x01\x02\x00\x00\x00\x00\x02");
	put_be16(f->b + f->len, type);
	f->len += 2;
}

static inline void add_vlan(struct bytes *f, uint16_t tci, uint16_t type)
{
	put_be16(f->b + f->len, tci);
	put_be16(f->b + f->len + 2, type);
	f->len += 4;
}

/* @opts: of a multiple of 4 bytes. @payload: bytes behind the header. 10.0.0.1 -> 10.0.0.2, TTL 64, no checksum */
static inline void add_ip4(struct bytes *f, uint8_t proto, uint16_t frag, const void *opts, uint32_t opts_bytes,
			   uint32_t payload)
{
	uint8_t *h = f->b + f->len;

	memset(h, 0, 20);
	h[0] = (uint8_t)(0x45 + opts_bytes / 4);
	put_be16(h + 2, (uint16_t)(20 + opts_bytes + payload));
	put_be16(h + 4, 0x1234);
	put_be16(h + 6, frag);
	h[8] = 64;
	h[9] = proto;
	memcpy(h + 12, "\x0a\x00\x00\x01\x0a\x00\x00\x02", 8);
	f->len += 20;
	add(f, opts, opts_bytes);
}

/* 2001:db8::1 -> 2001:db8::2, hop limit 64 */
static inline void add_ip6(struct bytes *f, uint8_t next, uint32_t payload)
{
	uint8_t *h = f->b + f->len;

	memset(h, 0, 40);
	h[0] = 0x60;
	put_be16(h + 4, (uint16_t)payload);
	h[6] = next;
	h[7] = 64;
	memcpy(h + 8, "\x20\x01\x0d\xb8", 4);
	h[23] = 1;
	memcpy(h + 24, "\x20\x01\x0d\xb8", 4);
	h[39] = 2;
	f->len += 40;
}

/* 4660 -> 443; @doff in words */
static inline void add_tcp(struct bytes *f, uint8_t doff, uint8_t flags)
{
	uint8_t *h = f->b + f->len;

	memset(h, 0, 60);
	memcpy(h, "\x12\x34\x01\xbb\x11\x22\x33\x44\x55\x66\x77\x88", 12);
	h[12] = (uint8_t)(doff << 4);
	h[13] = flags;
	put_be16(h + 14, 65535);
	memset(h + 20, 1, 40);
	f->len += doff < 5 ? 20 : doff * 4u;
}

static inline void add_udp(struct bytes *f, uint32_t payload)
{
	uint8_t *h = f->b + f->len;

	memcpy(h, "\x12\x34\x00\x35", 4);
	put_be16(h + 4, (uint16_t)(8 + payload));
	put_be16(h + 6, 0);
	f->len += 8;
	add_fill(f, payload);
}

/* A packet whose frames are allocations of their exact size: whatever reads or writes beyond one is seen by ASan. */
struct exact {
	struct pkt pkts[4];
	uint8_t *mem[4];
	unsigned int n;
};

/* @cuts: n - 1 ascending offsets where frames end */
static inline struct pkt *exact_make(struct exact *e, const uint8_t *b, uint32_t len, const uint32_t *cuts,
				     unsigned int n)
{
	uint32_t from = 0;

	memset(e, 0, sizeof(*e));
	e->n = n;
	for (unsigned int i = 0; i < n; i++) {
		uint32_t to = i + 1 < n ? cuts[i] : len;

		e->mem[i] = malloc(to - from);
		if (to > from)
			memcpy(e->mem[i], b + from, to - from);
		e->pkts[i].buf = e->mem[i];
		e->pkts[i].frame = i;
		e->pkts[i].next = i + 1 < n ? i + 1 : PKT_NONE;
		e->pkts[i].len = (uint16_t)(to - from);
		from = to;
	}
	e->pkts[0].total_bytes = len;
	e->pkts[0].n_frames = (uint8_t)n;
	return &e->pkts[0];
}

static inline void exact_free(struct exact *e)
{
	for (unsigned int i = 0; i < e->n; i++)
		free(e->mem[i]);
}

#endif
