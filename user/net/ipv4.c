/* SPDX-License-Identifier: MIT */
#include "user/net/ipv4.h"

#include "user/net/derive.h"
#include "user/net/pkt_csum.h"

#include <sys/socket.h>

enum drop ipv4_addr_drop(const uint8_t *ip)
{
	const uint8_t *src = ip + IP4_SRC, *dst = ip + IP4_DST;

	if (!ipv4_is_host(src))
		return DROP_martian_source;
	if (ipv4_is_multicast(dst))
		return DROP_multicast;
	if (ipv4_is_limited_broadcast(dst))
		return DROP_broadcast;
	if (!ipv4_is_host(dst))
		return DROP_martian_destination;
	if (ipv4_is_link_local(src) || ipv4_is_link_local(dst))
		return DROP_link_scope;
	return DROP_NONE;
}

/* Options for all fragments but the first, padded to words. Return: their bytes */
static uint32_t copied_options(const uint8_t *at, const uint8_t *end, uint8_t *out)
{
	uint32_t n = 0;

	while (at < end && at[0] != IP4_OPT_END) {
		uint32_t len = at[0] == IP4_OPT_NOP ? 1 : at[1];

		if (at[0] & IP4_OPT_COPY) {
			memcpy(out + n, at, len);
			n += len;
		}
		at += len;
	}
	while (n % 4 != 0)
		out[n++] = IP4_OPT_END;
	return n;
}

enum drop ipv4_fragment_begin(struct ipv4_fragmenter *f, const struct area *a, struct pkt *whole, uint32_t mtu_bytes)
{
	const uint8_t *ip = pkt_l3(whole);
	uint32_t hlen = ipv4_hlen(ip), frag = be16_at(ip + IP4_FRAG);
	enum drop why;

	if (whole->gso != PKT_GSO_NONE)
		return DROP_gso_unsupported;
	if (frag & IP4_FRAG_DF)
		return DROP_mtu_df;
	mtu_bytes = min_u32(mtu_bytes, a->chunk_bytes - PKT_HEADROOM_BYTES);
	if (mtu_bytes < hlen + 8)
		return DROP_fragment_fit;
	why = pkt_csum_complete(a, whole);
	if (why != DROP_NONE)
		return why;
	f->whole = whole;
	f->at = 0;
	f->payload_bytes = pkt_l3_bytes(whole) - hlen;
	f->room_bytes = mtu_bytes;
	f->offset_bytes = (frag & IP4_FRAG_OFFSET) * 8;
	f->later_hlen = (uint16_t)(IP4_HLEN_MIN + copied_options(ip + IP4_HLEN_MIN, ip + hlen, f->later_options));
	f->more = frag & IP4_FRAG_MF;
	f->done = false;
	return DROP_NONE;
}

/*
 * What the parser would say of a fragment. @frag: the header's field. The transport header is there if the whole had
 * it, and this is the first fragment, and its MTU was not so small that the header itself is cut.
 */
static void describe(struct pkt *p, const struct pkt *whole, uint32_t hlen, uint32_t bytes, uint32_t frag)
{
	uint32_t l4_hlen = (uint32_t)(whole->payload - whole->l4);

	p->len = (uint16_t)(hlen + bytes);
	p->total_bytes = p->len;
	p->l3 = p->off;
	p->l4 = (uint16_t)(p->off + hlen);
	p->payload = (uint16_t)(p->l4 + l4_hlen);
	p->n_vlans = 0;
	p->flags &= (uint16_t)~(PKT_L2 | PKT_L2_GROUP | PKT_IP_OPTIONS | PKT_FRAG | PKT_FRAG_LATER);
	if (hlen > IP4_HLEN_MIN)
		p->flags |= PKT_IP_OPTIONS;
	if (frag & (IP4_FRAG_MF | IP4_FRAG_OFFSET))
		p->flags |= PKT_FRAG;
	if (frag & IP4_FRAG_OFFSET)
		p->flags |= PKT_FRAG_LATER;
	if ((frag & IP4_FRAG_OFFSET) || l4_hlen > bytes) {
		p->flags &= (uint16_t)~PKT_L4;
		p->payload = p->l4;
		p->tcp_flags = 0;
		p->sport = 0;
		p->dport = 0;
	}
}

struct pkt *ipv4_fragment_next(struct ipv4_fragmenter *f, struct area *a)
{
	const struct pkt *whole = f->whole;
	const uint8_t *from = pkt_l3(whole);
	uint32_t hlen, bytes, frag;
	bool first = f->at == 0, last;
	struct pkt *p;
	uint8_t *ip;

	if (f->done)
		return NULL;
	p = area_alloc(a);
	if (!p)
		return NULL;
	pkt_inherit(p, whole);
	hlen = first ? ipv4_hlen(from) : f->later_hlen;
	bytes = f->payload_bytes - f->at;
	last = hlen + bytes <= f->room_bytes;
	if (!last)
		bytes = (f->room_bytes - hlen) & ~7u;
	frag = (f->offset_bytes + f->at) / 8;
	if (!last || f->more)
		frag |= IP4_FRAG_MF;
	describe(p, whole, hlen, bytes, frag);

	ip = pkt_l3(p);
	memcpy(ip, from, first ? hlen : IP4_HLEN_MIN);
	if (!first)
		memcpy(ip + IP4_HLEN_MIN, f->later_options, hlen - IP4_HLEN_MIN);
	ip[0] = (uint8_t)(0x40 | hlen / 4);
	put_be16(ip + IP4_TOTAL, (uint16_t)(hlen + bytes));
	put_be16(ip + IP4_FRAG, (uint16_t)frag);
	ipv4_set_csum(ip);
	pkt_copy_out(a, whole, (uint32_t)(whole->l3 - whole->off) + ipv4_hlen(from) + f->at, ip + hlen, bytes);
	f->at += bytes;
	f->done = last;
	return p;
}

void ipv4_fragment_end(struct ipv4_fragmenter *f, struct area *a)
{
	if (f->whole)
		pkt_put(a, f->whole);
	f->whole = NULL;
	f->done = true;
}
