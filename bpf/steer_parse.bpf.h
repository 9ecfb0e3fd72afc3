/* SPDX-License-Identifier: GPL-2.0-only */
/* The parser of steer.bpf.c: Ethernet, VLAN tags, ARP, IPv4, IPv6 and the first bytes of what they carry. */
#ifndef BPF_STEER_PARSE_BPF_H
#define BPF_STEER_PARSE_BPF_H

#include <stdbool.h>

#define PARSED		SLUICE_VERDICT_COUNT	/* otherwise the verdict of a frame that cannot be parsed */

#define ND_SOLICIT	135	/* RFC 4861 4.3 */
#define ND_ADVERT	136
#define ND_LEN		24	/* up to and with the target address */

enum {
	IPPROTO_EXT_HOPOPTS = 0,
	IPPROTO_EXT_ROUTING = 43,
	IPPROTO_EXT_FRAGMENT = 44,
	IPPROTO_ICMP6 = 58,
	IPPROTO_EXT_DSTOPTS = 60,
};

/* What was found in a frame. Lives on the stack, zeroed; IPv4 addresses are in the first word. */
struct frame {
	__be32 src[4], dst[4];
	__be32 target[4];	/* of neighbour discovery */
	__u32 len;		/* of the whole frame */
	__u32 l3;		/* offset of the network header */
	__u32 l4;		/* offset of what the IP headers carry, and its length; 0 where that cannot be told */
	__u32 l4_len;
	__u32 vlan;
	__u32 rule_id;
	__u16 ethertype;	/* host order, behind the tags */
	__u16 src_port, dst_port;
	__be16 stripped_proto;
	__u16 stripped_tci;
	__u8 family;		/* 4, 6 or 0 */
	__u8 protocol;
	__u8 icmp_type, icmp_code;
	__u8 flags;		/* SLUICE_TRACE_... */
	__u8 nd;		/* ICMPv6 type, if it is one of the two above and whole */
	bool other_host;
	bool vlan_stripped;
};

struct vlan_tag {
	__be16 tci;
	__be16 ethertype;
};

struct arp_ipv4 {
	__be16 hw_type, proto_type;
	__u8 hw_len, proto_len;
	__be16 op;
	__u8 sender_mac[6];
	__u8 sender_ip[4];
	__u8 target_mac[6];
	__u8 target_ip[4];
};

struct ipv4_header {
	__u8 version_ihl, tos;
	__be16 total_len, id, frag_off;
	__u8 ttl, protocol;
	__be16 checksum;
	__be32 src, dst;
};

struct ipv6_header {
	__be32 version_class_flow;
	__be16 payload_len;
	__u8 next_header, hop_limit;
	__be32 src[4], dst[4];
};

struct ext_header {
	__u8 next_header, len;
	__be16 frag_off;	/* of the Fragment header */
};

static __always_inline __u32 tag_of(__be16 proto, __u16 tci)
{
	__u32 id = tci & SLUICE_VLAN_ID_MASK;

	/* VLAN 0 is no VLAN: the tag is there for its priority (802.1Q 6.9.1). */
	return id && proto == bpf_htons(ETH_P_8021AD) ? id | SLUICE_VLAN_8021AD : id;
}

static __always_inline bool is_tag(__be16 proto)
{
	return proto == bpf_htons(ETH_P_8021Q) || proto == bpf_htons(ETH_P_8021AD);
}

/* The outer two tags, one of which the device may have taken off; the third and further ones are not IP. */
static __always_inline __u32 parse_link(struct xdp_md *ctx, struct frame *f)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct vlan_tag *tag;
	const __u8 *mac = config.mac;
	__u32 tags[2] = { 0, 0 }, n = 0;
	__be16 proto;

	if ((void *)(eth + 1) > end)
		return SLUICE_VERDICT_pass_short;
	if (eth->h_dest[0] & 1)
		f->flags |= SLUICE_TRACE_GROUP;
	else
		f->other_host = *(__u16 *)&eth->h_dest[0] != *(__u16 *)&mac[0] ||
				*(__u16 *)&eth->h_dest[2] != *(__u16 *)&mac[2] ||
				*(__u16 *)&eth->h_dest[4] != *(__u16 *)&mac[4];
	proto = eth->h_proto;
	tag = (void *)(eth + 1);
	if (f->vlan_stripped) {
		tags[0] = tag_of(f->stripped_proto, f->stripped_tci);
		n = 1;
	}
	if (is_tag(proto)) {
		if ((void *)(tag + 1) > end)
			return SLUICE_VERDICT_pass_short;
		if (n == 0)
			tags[0] = tag_of(proto, bpf_ntohs(tag->tci));
		else
			tags[1] = tag_of(proto, bpf_ntohs(tag->tci));
		proto = tag->ethertype;
		tag++;
		if (n == 0 && is_tag(proto)) {
			if ((void *)(tag + 1) > end)
				return SLUICE_VERDICT_pass_short;
			tags[1] = tag_of(proto, bpf_ntohs(tag->tci));
			proto = tag->ethertype;
			tag++;
		}
	}
	f->vlan = sluice_vlan_key(tags[0], tags[1]);
	f->ethertype = bpf_ntohs(proto);
	f->l3 = (__u32)((void *)tag - data);
	return PARSED;
}

/* The network header's place, again: packet pointers do not survive in a struct. At most two tags are before it. */
static __always_inline void *l3_of(struct xdp_md *ctx, const struct frame *f)
{
	return (void *)(long)ctx->data + (f->l3 & 0x1f);
}

static __always_inline __u32 parse_arp(struct xdp_md *ctx, struct frame *f)
{
	void *end = (void *)(long)ctx->data_end;
	struct arp_ipv4 *arp = l3_of(ctx, f);

	if ((void *)(arp + 1) > end)
		return SLUICE_VERDICT_pass_short;
	if (arp->hw_type != bpf_htons(1) || arp->proto_type != bpf_htons(ETH_P_IP) || arp->hw_len != 6 ||
	    arp->proto_len != 4)
		return SLUICE_VERDICT_pass_malformed;
	f->family = 4;		/* of the addresses; the ethertype says that it is ARP */
	__builtin_memcpy(&f->src[0], arp->sender_ip, 4);
	__builtin_memcpy(&f->dst[0], arp->target_ip, 4);
	return PARSED;
}

/*
 * The first bytes behind the IP headers, as far as they are in the packet and in the linear part. What is cut off
 * leaves the frame without ports: rules of prefix and protocol still apply.
 */
static __always_inline void parse_l4(struct xdp_md *ctx, struct frame *f)
{
	__u8 *l4 = (void *)(long)ctx->data + (f->l4 & 0x7fff), *end = (void *)(long)ctx->data_end;
	__u32 i;

	if (f->l4_len < 4 || l4 + 4 > end)
		return;
	switch (f->protocol) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
		f->src_port = bpf_ntohs(*(__be16 *)l4);
		f->dst_port = bpf_ntohs(*(__be16 *)(l4 + 2));
		f->flags |= SLUICE_TRACE_HAS_PORTS;
		break;
	case IPPROTO_ICMP:
		if (f->family == 4) {
			f->icmp_type = l4[0];
			f->icmp_code = l4[1];
		}
		break;
	case IPPROTO_ICMP6:
		if (f->family != 6)
			break;
		f->icmp_type = l4[0];
		f->icmp_code = l4[1];
		if (l4[0] != ND_SOLICIT && l4[0] != ND_ADVERT)
			break;
		if (f->l4_len < ND_LEN || l4 + ND_LEN > end)
			break;
		f->nd = l4[0];
		for (i = 0; i < 4; i++)
			f->target[i] = *(__be32 *)(l4 + 8 + 4 * i);
		break;
	}
}

static __always_inline __u32 parse_ipv4(struct xdp_md *ctx, struct frame *f)
{
	void *end = (void *)(long)ctx->data_end;
	struct ipv4_header *ip = l3_of(ctx, f);
	__u32 header_len, total_len;

	if ((void *)(ip + 1) > end)
		return SLUICE_VERDICT_pass_short;
	header_len = (ip->version_ihl & 0x0f) * 4;
	total_len = bpf_ntohs(ip->total_len);
	if (ip->version_ihl >> 4 != 4 || header_len < sizeof(*ip) || total_len < header_len)
		return SLUICE_VERDICT_pass_malformed;
	if ((void *)ip + header_len > end || total_len > f->len - f->l3)
		return SLUICE_VERDICT_pass_short;
	f->family = 4;
	f->protocol = ip->protocol;
	f->src[0] = ip->src;
	f->dst[0] = ip->dst;
	if (ip->frag_off & bpf_htons(0x3fff)) {		/* more to come, or an offset */
		f->flags |= SLUICE_TRACE_FRAGMENT;
		return PARSED;
	}
	f->l4 = f->l3 + header_len;
	f->l4_len = total_len - header_len;
	return PARSED;
}

static __always_inline __u32 parse_ipv6(struct xdp_md *ctx, struct frame *f)
{
	void *end = (void *)(long)ctx->data_end;
	struct ipv6_header *ip = l3_of(ctx, f);
	__u32 payload_len, at = 0, i;	/* at: octets of extension headers */
	struct ext_header *ext;
	__u8 next;

	if ((void *)(ip + 1) > end)
		return SLUICE_VERDICT_pass_short;
	if ((ip->version_class_flow & bpf_htonl(0xf0000000)) != bpf_htonl(0x60000000))
		return SLUICE_VERDICT_pass_malformed;
	payload_len = bpf_ntohs(ip->payload_len);
	next = ip->next_header;
	if (payload_len == 0 && next == IPPROTO_EXT_HOPOPTS)	/* RFC 2675; also the kernel's BIG TCP */
		return SLUICE_VERDICT_pass_jumbogram;
	if (payload_len > f->len - f->l3 - sizeof(*ip))
		return SLUICE_VERDICT_pass_short;
	f->family = 6;
	for (i = 0; i < 4; i++) {
		f->src[i] = ip->src[i];
		f->dst[i] = ip->dst[i];
	}
	ext = (void *)(ip + 1);
#pragma clang loop unroll(disable)
	for (i = 0; i <= SLUICE_STEER_MAX_EXT_HEADERS; i++) {
		__u32 len;

		if (next != IPPROTO_EXT_HOPOPTS && next != IPPROTO_EXT_ROUTING && next != IPPROTO_EXT_DSTOPTS &&
		    next != IPPROTO_EXT_FRAGMENT && next != IPPROTO_AH) {
			f->protocol = next;
			f->l4 = f->l3 + (__u32)sizeof(*ip) + at;
			f->l4_len = payload_len - at;
			return PARSED;
		}
		if ((void *)ext + 8 > end)
			return SLUICE_VERDICT_pass_short;
		if (next == IPPROTO_EXT_FRAGMENT) {
			len = 8;
			if (ext->frag_off & bpf_htons(0xfff9)) {	/* offset or more to come */
				if (at + len > payload_len)
					return SLUICE_VERDICT_pass_malformed;
				f->flags |= SLUICE_TRACE_FRAGMENT;
				f->protocol = ext->next_header;
				return PARSED;
			}
		} else if (next == IPPROTO_AH) {
			len = (ext->len + 2u) * 4;	/* RFC 4302 2.2: words less two */
		} else {
			len = (ext->len + 1u) * 8;
		}
		next = ext->next_header;
		at += len;
		if (at > payload_len)
			return SLUICE_VERDICT_pass_malformed;
		ext = (void *)ext + len;
	}
	return SLUICE_VERDICT_pass_ext_headers;
}

#endif
