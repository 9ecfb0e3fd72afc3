/* SPDX-License-Identifier: MIT */
#include "user/control/netlink.h"
#include "user/control/netlink_attr.h"

#include <linux/nexthop.h>
#include <linux/rtnetlink.h>

size_t nl_route_bytes(const struct nl_route *r)
{
	return offsetof(struct nl_route, nexthops) + r->n_nexthops * sizeof(r->nexthops[0]);
}

/* Bits after @len are zero: two spellings of one prefix must not become two routes. */
static bool prefix_is_clean(const union nl_ip *ip, uint8_t family, uint8_t len)
{
	size_t bytes = nl_ip_len(family);

	for (size_t i = len / 8; i < bytes; i++) {
		unsigned int mask = i == len / 8 ? 0xffu >> (len % 8) : 0xffu;

		if (ip->bytes[i] & mask)
			return false;
	}
	return true;
}

/* RTA_VIA: a gateway of another family, such as IPv4 by an IPv6 neighbour (RFC 8950). */
static enum nl_verdict via_parse(const struct nlattr *a, struct nl_nexthop *nh)
{
	struct rtvia via;

	if (nl_len(a) < sizeof(via))
		return NL_MALFORMED;
	memcpy(&via, nl_data(a), sizeof(via));
	if (via.rtvia_family != AF_INET && via.rtvia_family != AF_INET6)
		return NL_NOT_OURS;
	if (nl_len(a) != sizeof(via) + nl_ip_len((uint8_t)via.rtvia_family))
		return NL_MALFORMED;
	nh->gw_family = (uint8_t)via.rtvia_family;
	memcpy(&nh->gw, (const uint8_t *)nl_data(a) + sizeof(via), nl_ip_len(nh->gw_family));
	return NL_OK;
}

/* The attributes that a route with one nexthop and an entry of RTA_MULTIPATH have in common. */
static enum nl_verdict gateway_parse(const struct nlattr *const *tb, uint8_t family, struct nl_nexthop *nh)
{
	if (tb[RTA_ENCAP_TYPE])
		nh->encap = true;
	if (tb[RTA_VIA])
		return via_parse(tb[RTA_VIA], nh);
	if (!tb[RTA_GATEWAY])
		return NL_OK;
	nh->gw_family = family;
	return nl_get_ip(tb[RTA_GATEWAY], family, &nh->gw) ? NL_OK : NL_MALFORMED;
}

static enum nl_verdict multipath_parse(const struct nlattr *nest, struct nl_route *r)
{
	const uint8_t *p = nl_data(nest);
	size_t left = nl_len(nest);

	while (left > 0) {
		const struct nlattr *tb[RTA_MAX + 1];
		struct nl_nexthop *nh = &r->nexthops[r->n_nexthops];
		struct rtnexthop hop;
		enum nl_verdict v;
		size_t step;

		if (left < sizeof(hop))
			return NL_MALFORMED;
		memcpy(&hop, p, sizeof(hop));
		if (hop.rtnh_len < sizeof(hop) || hop.rtnh_len > left || hop.rtnh_ifindex < 0)
			return NL_MALFORMED;
		if (r->n_nexthops == NL_NEXTHOPS_MAX) {
			r->nexthops_cut = true;
			return NL_OK;
		}
		memset(nh, 0, sizeof(*nh));
		nh->ifindex = (uint32_t)hop.rtnh_ifindex;
		nh->weight = hop.rtnh_hops + 1u;
		nh->flags = hop.rtnh_flags;
		if (!nl_attrs(p + sizeof(hop), hop.rtnh_len - sizeof(hop), tb, RTA_MAX + 1))
			return NL_MALFORMED;
		v = gateway_parse(tb, r->key.family, nh);
		if (v != NL_OK)
			return v;
		r->n_nexthops++;
		step = nl_align(hop.rtnh_len);
		if (step >= left)
			break;
		p += step;
		left -= step;
	}
	return NL_OK;
}

static enum nl_verdict nexthops_parse(const struct nlattr *const *tb, const struct rtmsg *rtm, struct nl_route *r)
{
	struct nl_nexthop *nh = &r->nexthops[0];
	uint32_t ifindex = 0;
	enum nl_verdict v;

	switch (r->type) {
	case RTN_BLACKHOLE:
	case RTN_UNREACHABLE:
	case RTN_PROHIBIT:
	case RTN_THROW:
		return NL_OK;	/* IPv6 names the loopback device here, which leads nowhere */
	}
	if (tb[RTA_MULTIPATH])
		return multipath_parse(tb[RTA_MULTIPATH], r);
	if (!nl_get_u32(tb[RTA_OIF], &ifindex) || ifindex > INT32_MAX)
		return NL_MALFORMED;
	*nh = (struct nl_nexthop){ .ifindex = ifindex, .weight = 1, .flags = (uint8_t)(rtm->rtm_flags & 0xff) };
	v = gateway_parse(tb, r->key.family, nh);
	if (v == NL_OK && (ifindex || nh->gw_family != AF_UNSPEC || nh->encap))
		r->n_nexthops = 1;
	return v;
}

static bool destination_is_of_link(const struct nl_route_key *key)
{
	const uint8_t *d = key->dst.bytes;

	if (key->family != AF_INET6)
		return false;
	return (key->dst_len >= 8 && d[0] == 0xff) || (key->dst_len >= 10 && d[0] == 0xfe && (d[1] & 0xc0) == 0x80);
}

enum nl_verdict nl_route_parse(const struct nlmsghdr *nlh, struct nl_route *route)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[RTA_MAX + 1], *metrics[RTAX_MAX + 1];
	struct nl_route *r = route;

	if (!nl_attrs_msg(nlh, sizeof(*rtm), tb, RTA_MAX + 1))
		return NL_MALFORMED;
	if ((rtm->rtm_family != AF_INET && rtm->rtm_family != AF_INET6) || rtm->rtm_flags & RTM_F_CLONED ||
	    rtm->rtm_type > RTN_THROW || rtm->rtm_type == RTN_UNSPEC || rtm->rtm_type == RTN_MULTICAST ||
	    rtm->rtm_tos != 0 || rtm->rtm_src_len != 0)
		return NL_NOT_OURS;
	if (rtm->rtm_dst_len > 8 * nl_ip_len(rtm->rtm_family) || (rtm->rtm_dst_len > 0 && !tb[RTA_DST]))
		return NL_MALFORMED;
	memset(r, 0, offsetof(struct nl_route, nexthops));
	r->key.family = rtm->rtm_family;
	r->key.dst_len = rtm->rtm_dst_len;
	r->key.table = rtm->rtm_table;
	r->type = rtm->rtm_type;
	r->protocol = rtm->rtm_protocol;
	r->scope = rtm->rtm_scope;
	if (!nl_get_ip(tb[RTA_DST], r->key.family, &r->key.dst) || !nl_get_u32(tb[RTA_TABLE], &r->key.table) ||
	    !nl_get_u32(tb[RTA_PRIORITY], &r->key.metric) || !nl_get_u32(tb[RTA_NH_ID], &r->nh_id) ||
	    !nl_get_ip(tb[RTA_PREFSRC], r->key.family, &r->prefsrc) ||
	    !nl_attrs_nested(tb[RTA_METRICS], metrics, RTAX_MAX + 1) ||
	    !nl_get_u32(metrics[RTAX_MTU], &r->mtu_bytes) ||
	    !prefix_is_clean(&r->key.dst, r->key.family, r->key.dst_len))
		return NL_MALFORMED;
	r->has_prefsrc = tb[RTA_PREFSRC] != NULL;
	if (destination_is_of_link(&r->key))
		return NL_NOT_OURS;
	return nexthops_parse(tb, rtm, r);
}

static bool members_parse(const struct nlattr *a, struct nl_nhobj *nh)
{
	size_t n = nl_len(a) / sizeof(struct nexthop_grp);
	const uint8_t *p = nl_data(a);

	if (n == 0 || nl_len(a) % sizeof(struct nexthop_grp) != 0)
		return false;
	nh->cut = n > NL_NEXTHOPS_MAX;
	nh->n_members = (uint32_t)(n < NL_NEXTHOPS_MAX ? n : NL_NEXTHOPS_MAX);
	for (uint32_t i = 0; i < nh->n_members; i++) {
		const uint8_t *g = p + i * sizeof(struct nexthop_grp);

		/* The byte after the weight is its high part since Linux 6.12, zero before; its name differs, too. */
		memcpy(&nh->members[i].id, g, sizeof(nh->members[i].id));
		nh->members[i].weight = (((uint32_t)g[5] << 8) | g[4]) + 1;
	}
	return true;
}

enum nl_verdict nl_nhobj_parse(const struct nlmsghdr *nlh, struct nl_nhobj *nh)
{
	const struct nhmsg *nhm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NHA_MAX + 1];

	if (!nl_attrs_msg(nlh, sizeof(*nhm), tb, NHA_MAX + 1))
		return NL_MALFORMED;
	memset(nh, 0, sizeof(*nh));
	nh->blackhole = tb[NHA_BLACKHOLE] != NULL;
	nh->fdb = tb[NHA_FDB] != NULL;
	nh->nh.weight = 1;
	nh->nh.flags = (uint8_t)(nhm->nh_flags & 0xff);
	nh->nh.encap = tb[NHA_ENCAP_TYPE] != NULL;
	if (!nl_get_u32(tb[NHA_ID], &nh->id) || nh->id == 0 || !nl_get_u32(tb[NHA_OIF], &nh->nh.ifindex))
		return NL_MALFORMED;
	if (tb[NHA_GROUP])
		return members_parse(tb[NHA_GROUP], nh) ? NL_OK : NL_MALFORMED;
	if (tb[NHA_GATEWAY]) {
		if (nhm->nh_family != AF_INET && nhm->nh_family != AF_INET6)
			return NL_NOT_OURS;
		nh->nh.gw_family = nhm->nh_family;
		if (!nl_get_ip(tb[NHA_GATEWAY], nhm->nh_family, &nh->nh.gw))
			return NL_MALFORMED;
	}
	return NL_OK;
}
