/* SPDX-License-Identifier: MIT */
#include "user/net/nd.h"

#include "common/csum.h"
#include "user/net/eth.h"
#include "user/net/ipv6.h"

#include <netinet/in.h>

enum {
	ND_HOPS = 255,			/* what no packet from beyond the link can have */
	ND_FLAGS = 4,			/* NA */
	ND_TARGET = 8,			/* NS, NA */
	ND_NEIGH_BYTES = 24,
	ND_RS_BYTES = 8,
	ND_RA_BYTES = 16,
	ND_RA_HOPS = 4,
	ND_RA_LIFETIME = 6,
	ND_RA_REACHABLE = 8,
	ND_RA_RETRANS = 12,

	ND_OPT_SOURCE_MAC = 1,
	ND_OPT_TARGET_MAC = 2,
	ND_OPT_MTU = 5,
	ND_OPT_BYTES = 8,		/* of each of these three */
};

static const uint8_t all_nodes[16] = { 0xff, 0x02, [15] = 1 };

/* Every option has a length that is not 0 and within the message; what is not known is skipped (4861 4.6). */
static bool parse_options(const uint8_t *at, const uint8_t *end, uint8_t mac_option, struct nd_msg *m)
{
	while (at < end) {
		uint32_t len;

		if (end - at < 8)
			return false;
		len = at[1] * 8u;
		if (len == 0 || len > (uint32_t)(end - at))
			return false;
		if (at[0] == mac_option && !m->has_mac) {
			/* An Ethernet address fills one unit, and names a station. */
			if (len != ND_OPT_BYTES || (at[2] & 1))
				return false;
			memcpy(m->mac, at + 2, 6);
			m->has_mac = true;
		} else if (at[0] == ND_OPT_MTU && len == ND_OPT_BYTES && m->type == ICMP6_ROUTER_ADVERT) {
			m->mtu_bytes = be32_at(at + 4);
		}
		at += len;
	}
	return true;
}

static bool valid_ns(const struct nd_msg *m)
{
	if (ipv6_is_multicast(m->target))
		return false;
	if (!ipv6_is_unspecified(m->src))
		return true;
	return ipv6_is_solicited_node(m->dst) && !m->has_mac;
}

static bool valid_na(const struct nd_msg *m)
{
	if (ipv6_is_multicast(m->target) || ipv6_is_unspecified(m->src))
		return false;
	return !ipv6_is_multicast(m->dst) || !(m->flags & ND_SOLICITED);
}

enum drop nd_parse(const uint8_t *ip, uint32_t bytes, struct nd_msg *m)
{
	const uint8_t *icmp = ip + IP6_HLEN;
	uint32_t len, fixed;
	uint8_t mac_option = ND_OPT_SOURCE_MAC;

	memset(m, 0, sizeof(*m));
	if (bytes < IP6_HLEN + ND_RS_BYTES || ip[0] >> 4 != 6)
		return DROP_nd_bad;
	len = be16_at(ip + IP6_PLEN);
	if (len < ND_RS_BYTES || len > bytes - IP6_HLEN || ip[IP6_NEXT] != IPPROTO_ICMPV6 || ip[IP6_HOPS] != ND_HOPS)
		return DROP_nd_bad;
	if (icmp[ICMP_CODE] != 0 || ipv6_is_multicast(ip + IP6_SRC))
		return DROP_nd_bad;
	m->type = icmp[0];
	memcpy(m->src, ip + IP6_SRC, 16);
	memcpy(m->dst, ip + IP6_DST, 16);
	switch (m->type) {
	case ICMP6_NEIGH_SOLICIT:
	case ICMP6_NEIGH_ADVERT:
		fixed = ND_NEIGH_BYTES;
		break;
	case ICMP6_ROUTER_SOLICIT:
		fixed = ND_RS_BYTES;
		break;
	case ICMP6_ROUTER_ADVERT:
		fixed = ND_RA_BYTES;
		break;
	default:
		return DROP_nd_bad;
	}
	if (len < fixed)
		return DROP_nd_bad;
	if (csum_fold(csum_partial(icmp, len, csum_ipv6_pseudo(m->src, m->dst, len, IPPROTO_ICMPV6))) != 0)
		return DROP_nd_bad;
	if (fixed == ND_NEIGH_BYTES)
		memcpy(m->target, icmp + ND_TARGET, 16);
	if (m->type == ICMP6_NEIGH_ADVERT) {
		m->flags = icmp[ND_FLAGS] & (ND_ROUTER | ND_SOLICITED | ND_OVERRIDE);
		mac_option = ND_OPT_TARGET_MAC;
	}
	if (m->type == ICMP6_ROUTER_ADVERT) {
		m->hop_limit = icmp[ND_RA_HOPS];
		m->router_lifetime_s = be16_at(icmp + ND_RA_LIFETIME);
		m->reachable_ms = be32_at(icmp + ND_RA_REACHABLE);
		m->retrans_ms = be32_at(icmp + ND_RA_RETRANS);
	}
	if (!parse_options(icmp + fixed, icmp + len, mac_option, m))
		return DROP_nd_bad;
	switch (m->type) {
	case ICMP6_NEIGH_SOLICIT:
		return valid_ns(m) ? DROP_NONE : DROP_nd_bad;
	case ICMP6_NEIGH_ADVERT:
		return valid_na(m) ? DROP_NONE : DROP_nd_bad;
	case ICMP6_ROUTER_SOLICIT:
		return ipv6_is_unspecified(m->src) && m->has_mac ? DROP_nd_bad : DROP_NONE;
	default:
		return ipv6_is_link_local(m->src) ? DROP_NONE : DROP_nd_bad;
	}
}

/* Link-layer and IP header of a message of @len bytes. Return: where it starts */
static uint8_t *begin(uint8_t *frame, const struct iface *out, const uint8_t *dst_mac, const uint8_t *src,
		      const uint8_t *dst, uint32_t len)
{
	uint8_t *ip = frame + eth_write(frame, out, dst_mac, ETHERTYPE_IP6);

	memset(ip, 0, IP6_HLEN + len);
	ip[0] = 0x60;
	put_be16(ip + IP6_PLEN, (uint16_t)len);
	ip[IP6_NEXT] = IPPROTO_ICMPV6;
	ip[IP6_HOPS] = ND_HOPS;
	memcpy(ip + IP6_SRC, src, 16);
	memcpy(ip + IP6_DST, dst, 16);
	return ip + IP6_HLEN;
}

static uint32_t finish(const uint8_t *frame, uint8_t *icmp, uint32_t len)
{
	const uint8_t *ip = icmp - IP6_HLEN;
	uint32_t sum = csum_ipv6_pseudo(ip + IP6_SRC, ip + IP6_DST, len, IPPROTO_ICMPV6);

	put_wire16(icmp + ICMP_CSUM, csum_fold(csum_partial(icmp, len, sum)));
	return (uint32_t)(icmp + len - frame);
}

static void put_mac_option(uint8_t *at, uint8_t type, const uint8_t *mac)
{
	at[0] = type;
	at[1] = 1;
	memcpy(at + 2, mac, 6);
}

uint32_t nd_build_ns(uint8_t *frame, const struct iface *out, const uint8_t *src, const uint8_t *target,
		     const uint8_t *mac)
{
	bool dad = ipv6_is_unspecified(src);
	uint32_t len = ND_NEIGH_BYTES + (dad ? 0 : ND_OPT_BYTES);
	uint8_t group[16], group_mac[6], *icmp;

	ipv6_solicited_node(target, group);
	ipv6_multicast_mac(group, group_mac);
	icmp = begin(frame, out, mac ? mac : group_mac, src, mac ? target : group, len);
	icmp[0] = ICMP6_NEIGH_SOLICIT;
	memcpy(icmp + ND_TARGET, target, 16);
	if (!dad)
		put_mac_option(icmp + ND_NEIGH_BYTES, ND_OPT_SOURCE_MAC, out->mac);
	return finish(frame, icmp, len);
}

uint32_t nd_build_na(uint8_t *frame, const struct iface *out, const uint8_t *target, const uint8_t *dst,
		     const uint8_t *dst_mac, uint8_t flags)
{
	uint32_t len = ND_NEIGH_BYTES + ND_OPT_BYTES;
	uint8_t group_mac[6], *icmp;

	if (!dst) {
		ipv6_multicast_mac(all_nodes, group_mac);
		dst = all_nodes;
		dst_mac = group_mac;
	}
	icmp = begin(frame, out, dst_mac, target, dst, len);
	icmp[0] = ICMP6_NEIGH_ADVERT;
	icmp[ND_FLAGS] = (uint8_t)(flags | (out->flags & IFACE_ROUTER ? ND_ROUTER : 0));
	memcpy(icmp + ND_TARGET, target, 16);
	put_mac_option(icmp + ND_NEIGH_BYTES, ND_OPT_TARGET_MAC, out->mac);
	return finish(frame, icmp, len);
}
