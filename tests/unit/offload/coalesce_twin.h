/* SPDX-License-Identifier: MIT */
/*
 * Coalescing again: slow, with plain lists, and every rule as it is written down. It says which packet joins which, and
 * touches none.
 */
#ifndef TESTS_UNIT_OFFLOAD_COALESCE_TWIN_H
#define TESTS_UNIT_OFFLOAD_COALESCE_TWIN_H

#include "tests/unit/offload/segment_twin.h"
#include "user/packet/area.h"

#include <netinet/in.h>
#include <sys/socket.h>

#define TWIN_FLOWS_MAX 64
#define TWIN_HEADERS_MAX 256

struct twin_flow {
	uint8_t id[40];			/* addresses, ports, family, protocol, way out */
	uint8_t headers[TWIN_HEADERS_MAX];	/* of the open chain's first packet; see twin_headers() */
	uint32_t headers_bytes;
	bool open, right;		/* right: the first packet's checksums */
	unsigned int leader;		/* its number */
	uint32_t seg_bytes, l3_bytes, n_frames, n_segs, next_seq;
	uint16_t first_id;
};

/* Flows by age, the oldest first. */
struct twin {
	unsigned int n_flows, n;
	struct twin_flow flow[TWIN_FLOWS_MAX];
};

/* All headers, but without what may be another in each packet: length, IPv4 ID, checksums, sequence, PSH. */
static inline uint32_t twin_headers(const struct pkt *p, uint8_t *to)
{
	uint32_t n = (uint32_t)(p->payload - p->off), l3 = (uint32_t)(p->l3 - p->off), l4 = (uint32_t)(p->l4 - p->off);

	if (n > TWIN_HEADERS_MAX)
		abort();
	memcpy(to, pkt_data(p), n);
	if (p->family == AF_INET) {
		memset(to + l3 + 2, 0, 4);
		memset(to + l3 + 10, 0, 2);
	} else {
		memset(to + l3 + 4, 0, 2);
	}
	if (p->proto == IPPROTO_TCP) {
		memset(to + l4 + 4, 0, 4);
		memset(to + l4 + 16, 0, 2);
		to[l4 + 13] &= 0xf7;
	} else {
		memset(to + l4 + 4, 0, 4);
	}
	return n;
}

static inline void twin_id(const struct pkt *p, uint8_t *id)
{
	memset(id, 0, 40);
	if (p->family == AF_INET)
		memcpy(id, pkt_l3(p) + 12, 8);
	else
		memcpy(id, pkt_l3(p) + 8, 32);
	memcpy(id + 32, pkt_l4(p), 4);
	id[36] = p->family;
	id[37] = p->proto;
	memcpy(id + 38, &p->iface_out, 2);
}

/* Are the checksums right, and written in the one way that segmenting writes them? */
static inline bool twin_right(const struct area *a, const struct pkt *p)
{
	static uint8_t l4[BYTES_MAX];
	uint32_t n = pkt_copy_out(a, p, (uint32_t)(p->l4 - p->off), l4, BYTES_MAX), pseudo;
	const uint8_t *ip = pkt_l3(p);
	uint16_t field = be16_at(l4 + (p->proto == IPPROTO_TCP ? 16 : 6));

	if (p->family == AF_INET && (twin_sum(ip, 20, 0) != 0xffff || be16_at(ip + 10) == 0xffff))
		return false;
	pseudo = twin_pseudo(ip, p->proto, n);
	if (p->csum == PKT_CSUM_PARTIAL)
		return p->csum_start == p->l4 && p->csum_offset == (p->proto == IPPROTO_TCP ? 16 : 6) &&
		       field % 0xffff == pseudo % 0xffff;
	if (field == 0 || (p->proto == IPPROTO_TCP && field == 0xffff))
		return false;
	return twin_sum(l4, n, pseudo) == 0xffff;
}

/* Can it be in a superpacket at all? */
static inline bool twin_may(const struct pkt *p)
{
	uint32_t payload = p->total_bytes - (uint32_t)(p->payload - p->off);
	const uint8_t *ip = pkt_l3(p), *l4 = pkt_l4(p);

	if (p->gso || p->refs || payload == 0)
		return false;
	if (p->family == AF_INET ? ip[0] != 0x45 || (be16_at(ip + 6) & ~0x4000) : p->l4 - p->l3 != 40)
		return false;
	if (p->proto == IPPROTO_UDP)
		return be16_at(l4 + 4) == 8 + payload && be16_at(l4 + 6) != 0;
	return (l4[13] | 0x48) == 0x58 && l4[13] & 0x10;	/* ACK; PSH and ECE or not; nothing else */
}

static inline struct twin_flow *twin_enter(struct twin *t, const uint8_t *id)
{
	if (t->n_flows == TWIN_FLOWS_MAX) {
		memmove(t->flow, t->flow + 1, sizeof(t->flow) - sizeof(t->flow[0]));
		t->n_flows--;
	}
	memcpy(t->flow[t->n_flows].id, id, 40);
	return &t->flow[t->n_flows++];
}

static inline bool twin_joins(const struct area *a, const struct twin_flow *f, const struct pkt *p, uint32_t bytes)
{
	const uint8_t *ip = pkt_l3(p);
	uint8_t headers[TWIN_HEADERS_MAX];
	uint32_t n = twin_headers(p, headers);

	/* A frame of nothing but headers would be left empty. */
	if (n == p->len)
		return false;
	if (n != f->headers_bytes || memcmp(headers, f->headers, n) != 0)
		return false;
	if (p->family == AF_INET && !(be16_at(ip + 6) & 0x4000) && be16_at(ip + 4) != (uint16_t)(f->first_id + f->n_segs))
		return false;
	if (p->proto == IPPROTO_TCP && be32_at(pkt_l4(p) + 4) != f->next_seq)
		return false;
	return bytes <= f->seg_bytes && f->l3_bytes + bytes <= 65535 && f->n_frames + p->n_frames <= PKT_FRAMES_MAX &&
	       f->n_segs < 64 && f->right && twin_right(a, p);
}

/* The next packet. Return: the number of the packet that it joins, or its own */
static inline unsigned int twin_push(struct twin *t, const struct area *a, const struct pkt *p, uint32_t types)
{
	bool transport = p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP, may, psh;
	uint32_t bytes = p->total_bytes - (uint32_t)(p->payload - p->off);
	struct twin_flow *f = NULL;
	unsigned int self = t->n++;
	uint8_t id[40];

	if (p->family == 0 || p->flags & PKT_FRAG || (transport && !(p->flags & PKT_L4))) {
		t->n_flows = 0;
		return self;
	}
	if (!transport || !(types & (p->proto == IPPROTO_UDP ? 1 << PKT_GSO_UDP :
				     p->family == AF_INET ? 1 << PKT_GSO_TCP4 : 1 << PKT_GSO_TCP6)))
		return self;
	twin_id(p, id);
	for (unsigned int i = 0; i < t->n_flows; i++)
		if (memcmp(t->flow[i].id, id, 40) == 0)
			f = &t->flow[i];
	may = twin_may(p);
	psh = p->proto == IPPROTO_TCP && pkt_l4(p)[13] & 8;
	if (f && f->open && may && twin_joins(a, f, p, bytes)) {
		f->n_segs++;
		f->l3_bytes += bytes;
		f->n_frames += p->n_frames;
		f->next_seq += bytes;
		f->open = !psh && bytes == f->seg_bytes;
		return f->leader;
	}
	if (f)
		f->open = false;
	if (!may || psh)
		return self;
	if (!f)
		f = twin_enter(t, id);
	f->headers_bytes = twin_headers(p, f->headers);
	f->open = true;
	f->right = twin_right(a, p);
	f->leader = self;
	f->seg_bytes = bytes;
	f->l3_bytes = pkt_l3_bytes(p);
	f->n_frames = p->n_frames;
	f->n_segs = 1;
	f->next_seq = be32_at(pkt_l4(p) + 4) + bytes;
	f->first_id = be16_at(pkt_l3(p) + 4);
	return self;
}

#endif
