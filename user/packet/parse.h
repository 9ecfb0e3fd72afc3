/* SPDX-License-Identifier: MIT */
/*
 * Reading the headers of the common packet, inline for who receives: TCP or UDP without options, extension header,
 * fragment or tag, in one frame.
 *
 * Everything is checked before anything is written, so that any doubt can be left to pkt_parse_eth() and
 * pkt_parse_ip(), which take every packet.
 */
#ifndef USER_PACKET_PARSE_H
#define USER_PACKET_PARSE_H

#include <netinet/in.h>
#include <sys/socket.h>

#include "common/bytes.h"
#include "common/csum.h"
#include "user/packet/pkt.h"
#include "user/packet/wire.h"

/* Family and protocol are constants in each copy. */
#define parse_inline inline __attribute__((always_inline))

/* Sum of the pseudo-header in front of @bytes bytes of transport, not folded. */
static parse_inline uint64_t parse_pseudo_sum(const uint8_t *ip, uint32_t bytes, uint8_t proto, uint8_t family)
{
	if (family == AF_INET)
		return csum_ipv4_pseudo64(wire32_at(ip + IP4_SRC), wire32_at(ip + IP4_DST), bytes, proto);
	return csum_ipv6_pseudo64(ip + IP6_SRC, ip + IP6_DST, bytes, proto);
}

/* Mark the packet if its checksum field holds that sum, folded. A field of 0 is UDP's "none". */
static parse_inline void parse_mark_partial(struct pkt *p, const uint8_t *h, uint32_t l4, uint16_t field,
					    uint64_t pseudo)
{
	uint16_t check = wire16_at(h + field);

	if (likely(check == 0 || !csum_is_zero(pseudo + (uint16_t)~check)))
		return;
	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = (uint16_t)l4;
	p->csum_offset = field;
}

/* Write what is known of a common packet. All but @p, @h and @hlen are constants where it is called. */
static parse_inline void parse_found(struct pkt *p, const uint8_t *h, uint32_t skip, uint32_t ip_hlen, uint32_t hlen,
				     uint8_t proto, uint8_t family, uint32_t flags)
{
	uint32_t l3 = p->off + skip;

	p->l3 = (uint16_t)l3;
	p->l4 = (uint16_t)(l3 + ip_hlen);
	p->payload = (uint16_t)(l3 + ip_hlen + hlen);
	memcpy(&p->sport, h, 4);
	p->family = family;
	p->proto = proto;
	p->tcp_flags = proto == IPPROTO_TCP ? h[TCP_FLAGS] : 0;
	p->ether_type = family == AF_INET ? htons(ETHERTYPE_IP4) : htons(ETHERTYPE_IP6);
	p->n_vlans = 0;
	p->flags |= (uint16_t)(flags | PKT_L4);
}

/*
 * What is behind the IP header; as much as a UDP header is known to be in the frame.
 * @skip:  bytes in front of the IP header
 * @total: bytes of the IP packet
 */
static parse_inline bool parse_common_l4(struct pkt *p, const uint8_t *ip, uint32_t skip, uint32_t ip_hlen,
					 uint32_t total, uint8_t proto, uint8_t family, uint32_t flags, bool partials)
{
	const uint8_t *h = ip + ip_hlen;
	uint32_t hlen;

	if (unlikely(p->next != PKT_NONE))
		return false;
	if (proto == IPPROTO_UDP) {
		if (unlikely(total < ip_hlen + UDP_HLEN_BYTES))
			return false;
		parse_found(p, h, skip, ip_hlen, UDP_HLEN_BYTES, IPPROTO_UDP, family, flags);
		if (partials)
			parse_mark_partial(p, h, p->off + skip + ip_hlen, UDP_CSUM,
					   parse_pseudo_sum(ip, total - ip_hlen, IPPROTO_UDP, family));
	} else {
		if (unlikely(proto != IPPROTO_TCP || total < ip_hlen + TCP_HLEN_MIN))
			return false;
		hlen = (h[TCP_DOFF] >> 2) & ~3u;
		if (unlikely(hlen < TCP_HLEN_MIN || total < ip_hlen + hlen))
			return false;
		parse_found(p, h, skip, ip_hlen, hlen, IPPROTO_TCP, family, flags);
		if (partials)
			parse_mark_partial(p, h, p->off + skip + ip_hlen, TCP_CSUM,
					   parse_pseudo_sum(ip, total - ip_hlen, IPPROTO_TCP, family));
	}
	if (unlikely(skip + total != p->len)) {
		p->total_bytes = skip + total;		/* padding goes */
		p->len = (uint16_t)(skip + total);
	}
	return true;
}

static parse_inline bool parse_common_ip4(struct pkt *p, const uint8_t *ip, uint32_t skip, uint32_t flags,
					  bool partials)
{
	uint32_t total;
	__be16 frag;

	if (unlikely(p->len < skip + IP4_HLEN_MIN + UDP_HLEN_BYTES || ip[0] != 0x45))
		return false;
	frag = wire16_at(ip + IP4_FRAG);
	total = be16_at(ip + IP4_TOTAL);
	if (unlikely(frag & htons(IP4_FRAG_MF | IP4_FRAG_OFFSET) || skip + total > p->len))
		return false;
	flags |= frag & htons(IP4_FRAG_DF) ? PKT_DF : 0;
	return parse_common_l4(p, ip, skip, IP4_HLEN_MIN, total, ip[IP4_PROTO], AF_INET, flags, partials);
}

static parse_inline bool parse_common_ip6(struct pkt *p, const uint8_t *ip, uint32_t skip, uint32_t flags,
					  bool partials)
{
	uint32_t total;

	if (unlikely(p->len < skip + IP6_HLEN + UDP_HLEN_BYTES || ip[0] >> 4 != 6))
		return false;
	total = (uint32_t)IP6_HLEN + be16_at(ip + IP6_PLEN);
	if (unlikely(skip + total > p->len))
		return false;
	return parse_common_l4(p, ip, skip, IP6_HLEN, total, ip[IP6_NEXT], AF_INET6, flags | PKT_DF, partials);
}

/**
 * pkt_parse_common_eth() - Is this a common packet behind an untagged Ethernet header? Then it is parsed.
 * @p:     none of the flags of an earlier parse is set
 * @flags: PKT_L2_GROUP if its destination is a group
 * @partials: look for a partial checksum, too: pkt_find_partial(); what the port knows of checksums is nothing
 *
 * Return: AF_INET or AF_INET6; 0 when it is not, and nothing has been written
 */
static parse_inline uint8_t pkt_parse_common_eth(struct pkt *p, uint32_t flags, bool partials)
{
	const uint8_t *eth = pkt_data(p), *ip = eth + ETH_HLEN_BYTES;
	__be16 type;

	/* No shorter one is common; nor does the type lie behind the end. */
	if (unlikely(p->len < ETH_HLEN_BYTES + IP4_HLEN_MIN + UDP_HLEN_BYTES))
		return 0;
	type = wire16_at(eth + ETH_TYPE);
	if (type == htons(ETHERTYPE_IP4))
		return parse_common_ip4(p, ip, ETH_HLEN_BYTES, flags | PKT_L2, partials) ? AF_INET : 0;
	if (type == htons(ETHERTYPE_IP6))
		return parse_common_ip6(p, ip, ETH_HLEN_BYTES, flags | PKT_L2, partials) ? AF_INET6 : 0;
	return 0;
}

#endif
