// SPDX-License-Identifier: MIT
/*
 * Reading the headers of a packet, once.
 *
 * Theory of operation. Three lengths are told apart. `bytes` is what the packet has from a header on, over all its
 * frames: what is beyond it does not exist. `end` is where the first frame ends: what is beyond it exists but cannot be
 * read here. The header's own length field may be smaller than `bytes` (Ethernet padding, cut off) and never larger. So
 * a header that does not fit into `end` is DROP_hdr_split when it fits into `bytes`, and cut off otherwise.
 *
 * The common packet is taken by the straight path of parse.h. Whatever that does not take, the general parser here reads
 * from the start.
 */
#include "user/packet/parse.h"

#define slow_path __attribute__((noinline, cold))

#define IP6_EXT_HDRS_MAX 8

/* What a parse says about a packet; the rest of its flags is the port's or the engine's. */
#define PARSE_FLAGS \
	((uint32_t)(PKT_L2 | PKT_FRAG | PKT_FRAG_LATER | PKT_L4 | PKT_IP_OPTIONS | PKT_L2_GROUP | PKT_FLOW_HASH | PKT_DF))

/* A header of @need bytes is not in the first frame. Is it in the packet at all? */
static slow_path enum drop cut_off(uint32_t bytes, uint32_t need, enum drop why)
{
	return bytes < need ? why : DROP_hdr_split;
}

/*
 * Cut what follows the IP packet of @bytes bytes. Frames that held nothing else stay in the chain with len 0: only
 * their area can take them back (pkt_trim()).
 */
static slow_path void cut_chain(struct pkt *p, uint32_t bytes)
{
	struct pkt *pkts = p - p->frame, *q = p;

	p->total_bytes = bytes;
	for (;;) {
		if (q->len > bytes)
			q->len = (uint16_t)bytes;
		bytes -= q->len;
		if (q->next == PKT_NONE)
			return;
		q = &pkts[q->next];
	}
}

/*
 * The transport header, if there is a whole one; a cut one is no error to who only forwards. @bytes: of the IP payload.
 */
static enum drop parse_l4(struct pkt *p, uint32_t at, uint32_t end, uint32_t bytes, uint8_t proto, uint32_t flags)
{
	const uint8_t *h = p->buf + at;
	uint32_t linear = end - at, hlen;

	p->proto = proto;
	p->l4 = (uint16_t)at;
	p->tcp_flags = 0;
	if (likely(proto == IPPROTO_TCP)) {
		hlen = TCP_HLEN_MIN;
		if (unlikely(linear < hlen))
			goto short_header;
		hlen = (uint32_t)(h[TCP_DOFF] >> 4) * 4;
		if (unlikely(hlen < TCP_HLEN_MIN))
			goto none;
		if (unlikely(linear < hlen))
			goto short_header;
		p->tcp_flags = h[TCP_FLAGS];
		memcpy(&p->sport, h, 4);
	} else if (likely(proto == IPPROTO_UDP)) {
		hlen = UDP_HLEN_BYTES;
		if (unlikely(linear < hlen))
			goto short_header;
		memcpy(&p->sport, h, 4);
	} else {
		memset(&p->sport, 0, 4);
		if (proto != (p->family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6))
			goto none;
		hlen = ICMP_HLEN_BYTES;
		if (linear < hlen)
			goto short_header;
	}
	p->payload = (uint16_t)(at + hlen);
	p->flags = (uint16_t)(flags | PKT_L4);
	return DROP_NONE;

short_header:
	if (bytes >= hlen)
		return DROP_hdr_split;
none:
	memset(&p->sport, 0, 4);
	p->payload = (uint16_t)at;
	p->flags = (uint16_t)flags;
	return DROP_NONE;
}

static_assert(offsetof(struct pkt, dport) == offsetof(struct pkt, sport) + 2, "both ports are copied at once");

/* What follows is no transport header: a later fragment, or a header that is not there. */
static slow_path void no_l4(struct pkt *p, uint32_t at, uint8_t proto, uint32_t flags)
{
	p->proto = proto;
	p->l4 = (uint16_t)at;
	p->payload = (uint16_t)at;
	p->tcp_flags = 0;
	p->sport = 0;
	p->dport = 0;
	p->flags = (uint16_t)flags;
}

/* RFC 791 3.1: are the options well formed, and none of them a source route? */
static enum drop check_options(const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		uint8_t type = at[0];

		if (type == IP4_OPT_END)
			return DROP_NONE;
		if (type == IP4_OPT_NOP) {
			at++;
			continue;
		}
		if (type == IP4_OPT_LSRR || type == IP4_OPT_SSRR)
			return DROP_ip4_options;
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return DROP_ip4_options;
		at += at[1];
	}
	return DROP_NONE;
}

/* An IPv4 header that does not start with 0x45, or is longer than the packet. */
static slow_path enum drop parse_ip4_odd(const uint8_t *ip, uint32_t linear, uint32_t bytes, uint32_t *hlen)
{
	uint32_t total = be16_at(ip + IP4_TOTAL);

	if (ip[0] >> 4 != 4)
		return DROP_ip4_version;
	*hlen = (ip[0] & 0x0fu) * 4;
	if (*hlen < IP4_HLEN_MIN || *hlen > total)
		return DROP_ip4_hlen;
	if (total > bytes)
		return DROP_ip4_truncated;
	if (*hlen > linear)
		return DROP_hdr_split;
	return check_options(ip + IP4_HLEN_MIN, ip + *hlen);
}

static enum drop parse_ip4(struct pkt *p, uint32_t l3, uint32_t flags)
{
	uint32_t end = (uint32_t)p->off + p->len;
	uint32_t bytes = p->total_bytes - (l3 - p->off);
	const uint8_t *ip = p->buf + l3;
	uint32_t hlen = IP4_HLEN_MIN, total, frag;

	if (unlikely(end - l3 < IP4_HLEN_MIN))
		return cut_off(bytes, IP4_HLEN_MIN, DROP_ip4_short);
	total = be16_at(ip + IP4_TOTAL);
	if (unlikely(ip[0] != 0x45 || total < IP4_HLEN_MIN)) {
		enum drop why = parse_ip4_odd(ip, end - l3, bytes, &hlen);

		if (why != DROP_NONE)
			return why;
		flags |= PKT_IP_OPTIONS;
	}
	if (total != bytes) {
		if (unlikely(total > bytes))
			return DROP_ip4_truncated;
		if (likely(p->next == PKT_NONE)) {
			end = l3 + total;
			p->len = (uint16_t)(end - p->off);
			p->total_bytes = end - p->off;
		} else {
			cut_chain(p, l3 - p->off + total);
			end = (uint32_t)p->off + p->len;
		}
	}
	p->family = AF_INET;
	p->l3 = (uint16_t)l3;
	frag = be16_at(ip + IP4_FRAG);
	flags |= (frag & IP4_FRAG_DF) / (IP4_FRAG_DF / PKT_DF);
	if (unlikely(frag & (IP4_FRAG_MF | IP4_FRAG_OFFSET))) {
		flags |= PKT_FRAG;
		if (frag & IP4_FRAG_OFFSET) {
			no_l4(p, l3 + hlen, ip[IP4_PROTO], flags | PKT_FRAG_LATER);
			return DROP_NONE;
		}
	}
	return parse_l4(p, l3 + hlen, end, total - hlen, ip[IP4_PROTO], flags);
}

static_assert(IP4_FRAG_DF % PKT_DF == 0, "the DF bit is moved by a division");

struct ip6_chain {
	uint32_t at;		/* offset of the header that `next` names */
	uint32_t bytes;		/* from there on */
	uint32_t flags;
	uint8_t next;
};

static bool is_ext_hdr(uint8_t next)
{
	switch (next) {
	case IPPROTO_HOPOPTS:
	case IPPROTO_ROUTING:
	case IPPROTO_FRAGMENT:
	case IPPROTO_DSTOPTS:
	case IPPROTO_AH:
		return true;
	default:
		return false;
	}
}

/*
 * Options of a hop-by-hop header: well formed (RFC 8200 4.2), and no jumbo payload, which contradicts a payload length
 * that is not 0 (RFC 2675 3).
 */
static enum drop check_hop_by_hop(const uint8_t *at, const uint8_t *end)
{
	while (at < end) {
		if (at[0] == IP6_OPT_PAD1) {
			at++;
			continue;
		}
		if (at[0] == IP6_OPT_JUMBO)
			return DROP_ip6_truncated;
		if (end - at < 2 || at[1] > end - at - 2)
			return DROP_ip6_ext_hdr;
		at += 2 + at[1];
	}
	return DROP_NONE;
}

/*
 * Walk the extension headers of an IPv6 packet up to the transport header, ESP, or the contents of a later fragment.
 *
 * A router need not look at any but the hop-by-hop header, yet rules and flows want the transport protocol. So what
 * cannot be walked is dropped, as RFC 7112 allows for headers that a first fragment does not hold.
 */
static slow_path enum drop walk_ext_hdrs(const uint8_t *buf, uint32_t end, struct ip6_chain *c)
{
	bool in_fragment = false;
	unsigned int n;

	c->flags |= PKT_IP_OPTIONS;
	for (n = 0; is_ext_hdr(c->next); n++) {
		const uint8_t *h = buf + c->at;
		uint32_t hlen = 8;
		uint16_t frag;

		if (n == IP6_EXT_HDRS_MAX)
			return DROP_ip6_ext_hdr;
		if (end - c->at < 8)
			return cut_off(c->bytes, 8, DROP_ip6_ext_hdr);
		if (c->next == IPPROTO_AH)
			hlen = (h[1] + 2u) * 4;		/* RFC 4302 2.2 */
		else if (c->next != IPPROTO_FRAGMENT)
			hlen = (h[1] + 1u) * 8;
		if (end - c->at < hlen)
			return cut_off(c->bytes, hlen, DROP_ip6_ext_hdr);
		switch (c->next) {
		case IPPROTO_HOPOPTS: {
			enum drop why = check_hop_by_hop(h + 2, h + hlen);

			if (n != 0)
				return DROP_ip6_ext_hdr;
			if (why != DROP_NONE)
				return why;
			break;
		}
		case IPPROTO_FRAGMENT:
			if (in_fragment)
				return DROP_ip6_ext_hdr;
			in_fragment = true;
			frag = be16_at(h + IP6_FRAG_OFFSET);
			/* Neither offset nor M: an atomic fragment is a whole packet (RFC 6946). */
			if (frag & 0xfff9)
				c->flags |= PKT_FRAG;
			if (frag & 0xfff8)
				c->flags |= PKT_FRAG_LATER;
			break;
		}
		c->next = h[0];
		c->at += hlen;
		c->bytes -= hlen;
		if (c->flags & PKT_FRAG_LATER)
			break;
	}
	return DROP_NONE;
}

static enum drop parse_ip6(struct pkt *p, uint32_t l3, uint32_t flags)
{
	uint32_t end = (uint32_t)p->off + p->len;
	uint32_t bytes = p->total_bytes - (l3 - p->off);
	const uint8_t *ip = p->buf + l3;
	struct ip6_chain c;
	uint32_t total;

	if (unlikely(end - l3 < IP6_HLEN))
		return cut_off(bytes, IP6_HLEN, DROP_ip6_short);
	if (unlikely(ip[0] >> 4 != 6))
		return DROP_ip6_version;
	total = IP6_HLEN + (uint32_t)be16_at(ip + IP6_PLEN);
	if (total != bytes) {
		/* A length of 0 in front of a hop-by-hop header announces a jumbogram. */
		if (unlikely(total > bytes || (total == IP6_HLEN && ip[IP6_NEXT] == IPPROTO_HOPOPTS)))
			return DROP_ip6_truncated;
		if (likely(p->next == PKT_NONE)) {
			end = l3 + total;
			p->len = (uint16_t)(end - p->off);
			p->total_bytes = end - p->off;
		} else {
			cut_chain(p, l3 - p->off + total);
			end = (uint32_t)p->off + p->len;
		}
	}
	p->family = AF_INET6;
	p->l3 = (uint16_t)l3;
	flags |= PKT_DF;
	c = (struct ip6_chain){ .at = l3 + IP6_HLEN, .bytes = total - IP6_HLEN, .flags = flags, .next = ip[IP6_NEXT] };
	if (unlikely(is_ext_hdr(c.next))) {
		enum drop why = walk_ext_hdrs(p->buf, end, &c);

		if (why != DROP_NONE)
			return why;
		if (c.flags & PKT_FRAG_LATER) {
			no_l4(p, c.at, c.next, c.flags);
			return DROP_NONE;
		}
	}
	return parse_l4(p, c.at, end, c.bytes, c.next, c.flags);
}

/* Neither IPv4 nor IPv6: ARP, or something to be dropped by who knows why. */
static void parse_other(struct pkt *p, uint32_t l3, uint32_t flags)
{
	p->family = 0;
	p->l3 = (uint16_t)l3;
	no_l4(p, l3, 0, flags);
}

/* Up to two tags. @l3: offset behind the first tag's TPID, moved to what the last tag's type names. */
static slow_path enum drop parse_vlan(struct pkt *p, uint32_t *l3, uint16_t *type)
{
	uint32_t end = (uint32_t)p->off + p->len;

	while (*type == ETHERTYPE_CTAG || *type == ETHERTYPE_STAG) {
		if (p->n_vlans == 2)
			return DROP_vlan_depth;
		if (end - *l3 < VLAN_HLEN_BYTES)
			return cut_off(p->total_bytes - (*l3 - p->off), VLAN_HLEN_BYTES, DROP_vlan_depth);
		p->vlan[p->n_vlans++] = be16_at(p->buf + *l3);
		*type = be16_at(p->buf + *l3 + 2);
		*l3 += VLAN_HLEN_BYTES;
	}
	return DROP_NONE;
}

/* Any packet that starts with an Ethernet header. */
static slow_path enum drop parse_eth(struct pkt *p)
{
	const uint8_t *eth = pkt_data(p);
	uint32_t flags = (uint32_t)p->flags | PKT_L2;
	uint32_t l3 = (uint32_t)p->off + ETH_HLEN_BYTES;
	uint16_t type;

	if (p->len < ETH_HLEN_BYTES)
		return cut_off(p->total_bytes, ETH_HLEN_BYTES, DROP_eth_short);
	flags |= (eth[ETH_DST] & 1u) * PKT_L2_GROUP;
	type = be16_at(eth + ETH_TYPE);
	p->n_vlans = 0;
	if (type == ETHERTYPE_CTAG || type == ETHERTYPE_STAG) {
		enum drop why = parse_vlan(p, &l3, &type);

		if (why != DROP_NONE)
			return why;
	}
	p->ether_type = htons(type);
	if (type == ETHERTYPE_IP4)
		return parse_ip4(p, l3, flags);
	if (type == ETHERTYPE_IP6)
		return parse_ip6(p, l3, flags);
	parse_other(p, l3, flags);
	return DROP_NONE;
}

/* Any packet that starts with its IP header. */
static slow_path enum drop parse_ip(struct pkt *p)
{
	uint32_t flags = p->flags;

	if (p->len == 0)
		return cut_off(p->total_bytes, 1, DROP_ip4_short);
	p->n_vlans = 0;
	if (pkt_data(p)[0] >> 4 == 6) {
		p->ether_type = htons(ETHERTYPE_IP6);
		return parse_ip6(p, p->off, flags);
	}
	p->ether_type = htons(ETHERTYPE_IP4);
	return parse_ip4(p, p->off, flags);
}

enum drop pkt_parse_eth(struct pkt *p)
{
	uint32_t group = p->len >= ETH_HLEN_BYTES && pkt_data(p)[ETH_DST] & 1 ? PKT_L2_GROUP : 0;

	p->flags &= (uint16_t)~PARSE_FLAGS;
	return likely(pkt_parse_common_eth(p, group, false)) ? DROP_NONE : parse_eth(p);
}

enum drop pkt_parse_ip(struct pkt *p)
{
	const uint8_t *ip = pkt_data(p);

	p->flags &= (uint16_t)~PARSE_FLAGS;
	if (likely(parse_common_ip4(p, ip, 0, 0, false)) || likely(parse_common_ip6(p, ip, 0, 0, false)))
		return DROP_NONE;
	return parse_ip(p);
}

void pkt_find_partial(struct pkt *p)
{
	uint32_t bytes = pkt_l3_bytes(p) - (uint32_t)(p->l4 - p->l3);

	/* A fragment's checksum is whole: it covers what is in other packets. */
	if (p->csum != PKT_CSUM_NONE || (p->flags & (PKT_L4 | PKT_FRAG)) != PKT_L4)
		return;
	if (p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP)
		parse_mark_partial(p, pkt_l4(p), p->l4, p->proto == IPPROTO_TCP ? TCP_CSUM : UDP_CSUM,
				parse_pseudo_sum(pkt_l3(p), bytes, p->proto, p->family));
}
