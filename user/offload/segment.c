/* SPDX-License-Identifier: MIT */
#include "user/offload/segment.h"

#include "common/csum.h"
#include "user/net/derive.h"
#include "user/net/ipv4.h"
#include "user/net/pkt_csum.h"
#include "user/packet/wire.h"

#include <netinet/in.h>
#include <sys/socket.h>

static uint16_t csum_field(const struct pkt *p)
{
	return p->proto == IPPROTO_TCP ? TCP_CSUM : UDP_CSUM;
}

/* Does what the packet says of itself agree with its headers? */
static enum drop check(const struct area *a, const struct pkt *p)
{
	uint8_t family, proto = IPPROTO_TCP;

	switch (p->gso) {
	case PKT_GSO_TCP4:
		family = AF_INET;
		break;
	case PKT_GSO_TCP6:
		family = AF_INET6;
		break;
	case PKT_GSO_UDP:
		family = p->family;
		proto = IPPROTO_UDP;
		break;
	default:
		return DROP_gso_unsupported;
	}
	if (p->family != family || p->proto != proto || (p->flags & (PKT_L4 | PKT_FRAG)) != PKT_L4 || p->gso_size == 0)
		return DROP_gso_bad;
	if (p->tcp_flags & (TCP_SYN | TCP_RST))
		return DROP_gso_bad;
	if (p->csum == PKT_CSUM_PARTIAL && (p->csum_start != p->l4 || p->csum_offset != csum_field(p)))
		return DROP_gso_bad;
	if ((uint32_t)(p->payload - p->off) + p->gso_size > a->chunk_bytes - PKT_HEADROOM_BYTES)
		return DROP_too_long;
	return DROP_NONE;
}

enum drop segment_begin(struct segmenter *s, const struct area *a, struct pkt *super, enum segment_csum csum)
{
	enum drop why = check(a, super);
	bool no_csum;

	if (why != DROP_NONE)
		return why;
	no_csum = super->csum != PKT_CSUM_PARTIAL && super->gso == PKT_GSO_UDP && super->family == AF_INET &&
		  wire16_at(pkt_l4(super) + UDP_CSUM) == 0;
	/* New checksums must not make a bad packet good. */
	if (!no_csum && !pkt_csum_ok(a, super))
		return DROP_csum_bad;
	*s = (struct segmenter){
		.super = super,
		.from = super,
		.from_at = (uint32_t)(super->payload - super->off),
		.left_bytes = super->total_bytes - (uint32_t)(super->payload - super->off),
		.l4_bytes = super->total_bytes - (uint32_t)(super->l4 - super->off),
		.complete = csum == SEGMENT_CSUM_COMPLETE,
		.no_csum = no_csum,
	};
	return DROP_NONE;
}

/* Copy the next payload bytes. */
static void copy_payload(struct segmenter *s, const struct area *a, uint8_t *to, uint32_t n)
{
	s->left_bytes -= n;
	while (n > 0) {
		uint32_t here = min_u32(s->from->len - s->from_at, n);

		memcpy(to, pkt_data(s->from) + s->from_at, here);
		to += here;
		n -= here;
		s->from_at += here;
		if (s->from_at == s->from->len && s->left_bytes + n > 0) {
			s->from = area_next(a, s->from);
			s->from_at = 0;
		}
	}
}

/* Headers of a segment with @bytes of payload, all offsets included. */
static void put_headers(const struct segmenter *s, struct pkt *p, uint32_t bytes)
{
	const struct pkt *super = s->super;
	int32_t shift = (int32_t)p->off - super->off;

	p->len = (uint16_t)((uint32_t)(super->payload - super->off) + bytes);
	p->total_bytes = p->len;
	p->l3 = (uint16_t)(p->l3 + shift);
	p->l4 = (uint16_t)(p->l4 + shift);
	p->payload = (uint16_t)(p->payload + shift);
	p->gso = PKT_GSO_NONE;
	p->gso_size = 0;
	p->gso_segs = 0;
	p->flags &= (uint16_t)~PKT_GSO_ECN;
	memcpy(pkt_data(p), pkt_data(super), (size_t)(super->payload - super->off));
}

static void stamp_ip(const struct segmenter *s, struct pkt *p)
{
	uint8_t *ip = pkt_l3(p);
	uint32_t bytes = pkt_l3_bytes(p);

	if (p->family == AF_INET6) {
		put_be16(ip + IP6_PLEN, (uint16_t)(bytes - IP6_HLEN));
		return;
	}
	put_be16(ip + IP4_TOTAL, (uint16_t)bytes);
	put_be16(ip + IP4_ID, (uint16_t)(be16_at(ip + IP4_ID) + s->n));
	ipv4_set_csum(ip);
}

static void stamp_l4(const struct segmenter *s, struct pkt *p)
{
	uint32_t bytes = pkt_l3_bytes(p) - (uint32_t)(p->l4 - p->l3);
	uint8_t *l4 = pkt_l4(p), *field = l4 + csum_field(p);
	uint32_t pseudo;

	if (p->proto == IPPROTO_TCP) {
		put_be32(l4 + TCP_SEQ, be32_at(l4 + TCP_SEQ) + s->sent_bytes);
		if (s->left_bytes > 0)
			l4[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
		if (s->n > 0)
			l4[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
		p->tcp_flags = l4[TCP_FLAGS];
	} else {
		put_be16(l4 + UDP_LEN, (uint16_t)bytes);
	}

	if (s->no_csum)
		return;
	/*
	 * The sum in the superpacket's field stays right but for the length. That is not so when it is computed anew: a
	 * routing header hides the destination that it is over.
	 */
	if (s->super->csum == PKT_CSUM_PARTIAL)
		pseudo = csum_add(csum_sub(wire16_at(field), htobe32(s->l4_bytes)), htobe32(bytes));
	else
		pseudo = pkt_pseudo_sum(p, bytes);
	put_wire16(field, csum_fold16(pseudo));
	if (s->complete) {
		put_wire16(field, csum_fold_udp(csum_partial(l4, bytes, 0)));
		p->csum = PKT_CSUM_COMPLETE;
	} else {
		p->csum = PKT_CSUM_PARTIAL;
		p->csum_start = p->l4;
		p->csum_offset = csum_field(p);
	}
}

struct pkt *segment_next(struct segmenter *s, struct area *a)
{
	struct pkt *p;
	uint32_t bytes;

	if (s->done)
		return NULL;
	bytes = min_u32(s->left_bytes, s->super->gso_size);
	p = area_alloc(a);
	if (!p)
		return NULL;
	pkt_inherit(p, s->super);
	put_headers(s, p, bytes);
	copy_payload(s, a, p->buf + p->payload, bytes);
	stamp_ip(s, p);
	stamp_l4(s, p);
	s->n++;
	s->sent_bytes += bytes;
	s->done = s->left_bytes == 0;
	return p;
}

void segment_end(struct segmenter *s, struct area *a)
{
	if (s->super)
		pkt_put(a, s->super);
	s->super = NULL;
	s->done = true;
}
