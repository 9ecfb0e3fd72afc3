/* SPDX-License-Identifier: MIT */
#include "user/control/netlink.h"
#include "user/control/netlink_attr.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

static void clear(const struct nlattr **tb, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		tb[i] = NULL;
}

const struct nlattr *nl_run_next(struct nl_run *run)
{
	const struct nlattr *a = (const struct nlattr *)(const void *)run->at;
	size_t step;

	if (run->left == 0)
		return NULL;
	if (run->left < NL_ATTR_HDR || a->nla_len < NL_ATTR_HDR || a->nla_len > run->left) {
		run->bad = true;
		run->left = 0;
		return NULL;
	}
	step = nl_align(a->nla_len);
	if (step > run->left)	/* the last one may come without padding */
		step = run->left;
	run->at += step;
	run->left -= step;
	return a;
}

const struct nlmsghdr *nl_message_next(struct nl_messages *m)
{
	const struct nlmsghdr *nlh = (const struct nlmsghdr *)(const void *)m->at;
	size_t step;

	if (m->left == 0)
		return NULL;
	if (m->left < NL_HDR || nlh->nlmsg_len < NL_HDR || nlh->nlmsg_len > m->left) {
		m->bad = true;
		m->left = 0;
		return NULL;
	}
	step = nl_align(nlh->nlmsg_len);
	if (step > m->left)
		step = m->left;
	m->at += step;
	m->left -= step;
	return nlh;
}

bool nl_attrs(const void *at, size_t len, const struct nlattr **tb, unsigned int n)
{
	struct nl_run run = { at, len, false };
	const struct nlattr *a;

	clear(tb, n);
	while ((a = nl_run_next(&run))) {
		if (mnl_attr_get_type(a) < n)
			tb[mnl_attr_get_type(a)] = a;
	}
	return !run.bad;
}

bool nl_attrs_msg(const struct nlmsghdr *nlh, size_t hdr, const struct nlattr **tb, unsigned int n)
{
	size_t skip = nl_align(hdr);

	clear(tb, n);
	if (nlh->nlmsg_len < NL_HDR + hdr)
		return false;
	if (nlh->nlmsg_len <= NL_HDR + skip)
		return true;
	return nl_attrs((const uint8_t *)nlh + NL_HDR + skip, nlh->nlmsg_len - NL_HDR - skip, tb, n);
}

bool nl_attrs_nested(const struct nlattr *nest, const struct nlattr **tb, unsigned int n)
{
	if (nest)
		return nl_attrs(nl_data(nest), nl_len(nest), tb, n);
	clear(tb, n);
	return true;
}

bool nl_get_str(const struct nlattr *a, char *to, size_t room)
{
	const char *s;
	size_t len;

	if (!a)
		return true;
	s = nl_data(a);
	len = strnlen(s, nl_len(a));
	if (len >= room)
		return false;
	memset(to, 0, room);
	memcpy(to, s, len);
	return true;
}

bool nl_get_lladdr(const struct nlattr *a, uint8_t *to, uint8_t *len)
{
	if (!a)
		return true;
	if (nl_len(a) > NL_LLADDR_MAX)
		return false;
	memset(to, 0, NL_LLADDR_MAX);
	memcpy(to, nl_data(a), nl_len(a));
	*len = (uint8_t)nl_len(a);
	return true;
}

static bool has_header(const struct nlmsghdr *nlh, size_t hdr)
{
	return nlh->nlmsg_len >= NL_HDR + hdr;
}

uint32_t nl_link_index(const struct nlmsghdr *nlh)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	return has_header(nlh, sizeof(*ifi)) && ifi->ifi_index > 0 ? (uint32_t)ifi->ifi_index : 0;
}

static bool linkinfo_parse(const struct nlattr *nest, struct nl_link *l)
{
	const struct nlattr *info[IFLA_INFO_MAX + 1], *vlan[IFLA_VLAN_MAX + 1];

	if (!nest)
		return true;
	if (!nl_attrs_nested(nest, info, IFLA_INFO_MAX + 1) ||
	    !nl_get_str(info[IFLA_INFO_KIND], l->kind, sizeof(l->kind)))
		return false;
	if (strcmp(l->kind, "vlan") != 0)
		return true;
	return nl_attrs_nested(info[IFLA_INFO_DATA], vlan, IFLA_VLAN_MAX + 1) &&
	       nl_get_u16(vlan[IFLA_VLAN_ID], &l->vlan_id) &&
	       nl_get(vlan[IFLA_VLAN_PROTOCOL], &l->vlan_proto, sizeof(l->vlan_proto));
}

static bool linkxdp_parse(const struct nlattr *nest, struct nl_link *l)
{
	const struct nlattr *xdp[IFLA_XDP_MAX + 1];

	if (!nest)
		return true;
	l->xdp_mode = 0;
	l->xdp_prog_id = 0;
	return nl_attrs_nested(nest, xdp, IFLA_XDP_MAX + 1) && nl_get_u8(xdp[IFLA_XDP_ATTACHED], &l->xdp_mode) &&
	       nl_get_u32(xdp[IFLA_XDP_PROG_ID], &l->xdp_prog_id);
}

enum nl_verdict nl_link_parse(const struct nlmsghdr *nlh, const struct nl_link *before, struct nl_link *link)
{
	const struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[IFLA_MAX + 1];
	struct nl_link l;
	bool partial;

	memset(&l, 0, sizeof(l));	/* padding too: links are compared as bytes */
	if (!nl_attrs_msg(nlh, sizeof(*ifi), tb, IFLA_MAX + 1) || ifi->ifi_index <= 0)
		return NL_MALFORMED;
	if (ifi->ifi_family != AF_UNSPEC)
		return NL_NOT_OURS;
	partial = !tb[IFLA_MTU];
	if (before && partial)
		memcpy(&l, before, sizeof(l));
	l.ifindex = (uint32_t)ifi->ifi_index;
	l.arphrd = ifi->ifi_type;
	l.flags = ifi->ifi_flags;
	if (!nl_get_str(tb[IFLA_IFNAME], l.name, sizeof(l.name)) || !nl_get_u32(tb[IFLA_MTU], &l.mtu) ||
	    !nl_get_u8(tb[IFLA_OPERSTATE], &l.operstate) || !nl_get_lladdr(tb[IFLA_ADDRESS], l.lladdr, &l.lladdr_len) ||
	    !nl_get_u32(tb[IFLA_LINK], &l.parent) || !nl_get_u32(tb[IFLA_MASTER], &l.master) ||
	    !nl_get_u32(tb[IFLA_NUM_RX_QUEUES], &l.rx_queues) || !nl_get_u32(tb[IFLA_NUM_TX_QUEUES], &l.tx_queues) ||
	    !nl_get_u32(tb[IFLA_GSO_MAX_SIZE], &l.gso_max_bytes) ||
	    !nl_get_u32(tb[IFLA_GSO_MAX_SEGS], &l.gso_max_segs) ||
	    !linkinfo_parse(tb[IFLA_LINKINFO], &l) || !linkxdp_parse(tb[IFLA_XDP], &l) || l.name[0] == '\0')
		return NL_MALFORMED;
	if (!partial)
		l.parent_elsewhere = tb[IFLA_LINK_NETNSID] != NULL;
	memcpy(link, &l, sizeof(l));
	return NL_OK;
}

enum nl_verdict nl_addr_parse(const struct nlmsghdr *nlh, struct nl_addr *addr)
{
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[IFA_MAX + 1];
	struct nl_addr a;

	memset(&a, 0, sizeof(a));
	if (!nl_attrs_msg(nlh, sizeof(*ifa), tb, IFA_MAX + 1))
		return NL_MALFORMED;
	if (ifa->ifa_family != AF_INET && ifa->ifa_family != AF_INET6)
		return NL_NOT_OURS;
	/* IFA_LOCAL is missing from IPv6 addresses without a peer, IFA_ADDRESS is then the device's own. */
	if (ifa->ifa_index == 0 || ifa->ifa_prefixlen > 8 * nl_ip_len(ifa->ifa_family) ||
	    (!tb[IFA_LOCAL] && !tb[IFA_ADDRESS]))
		return NL_MALFORMED;
	a.ifindex = ifa->ifa_index;
	a.family = ifa->ifa_family;
	a.prefix_len = ifa->ifa_prefixlen;
	a.scope = ifa->ifa_scope;
	a.flags = ifa->ifa_flags;
	if (!nl_get_ip(tb[IFA_LOCAL] ? tb[IFA_LOCAL] : tb[IFA_ADDRESS], a.family, &a.local) ||
	    !nl_get_ip(tb[IFA_ADDRESS] ? tb[IFA_ADDRESS] : tb[IFA_LOCAL], a.family, &a.peer) ||
	    !nl_get_u32(tb[IFA_FLAGS], &a.flags))
		return NL_MALFORMED;
	if (a.family == AF_INET && tb[IFA_BROADCAST]) {
		if (!nl_get(tb[IFA_BROADCAST], &a.broadcast, sizeof(a.broadcast)))
			return NL_MALFORMED;
		a.has_broadcast = true;
	}
	memcpy(addr, &a, sizeof(a));
	return NL_OK;
}

enum nl_verdict nl_neigh_parse(const struct nlmsghdr *nlh, struct nl_neigh *neigh)
{
	const struct ndmsg *ndm = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *tb[NDA_MAX + 1];
	struct nl_neigh n;

	memset(&n, 0, sizeof(n));
	if (!nl_attrs_msg(nlh, sizeof(*ndm), tb, NDA_MAX + 1))
		return NL_MALFORMED;
	if (ndm->ndm_family != AF_INET && ndm->ndm_family != AF_INET6)
		return NL_NOT_OURS;
	if (!tb[NDA_DST] || ndm->ndm_ifindex < 0)
		return NL_MALFORMED;
	/* A proxy entry may be for all devices. */
	n.proxy = ndm->ndm_flags & NTF_PROXY;
	if (ndm->ndm_ifindex == 0 && !n.proxy)
		return NL_MALFORMED;
	n.ifindex = (uint32_t)ndm->ndm_ifindex;
	n.family = ndm->ndm_family;
	n.state = ndm->ndm_state;
	n.flags = ndm->ndm_flags;
	if (!nl_get_ip(tb[NDA_DST], n.family, &n.addr) || !nl_get_lladdr(tb[NDA_LLADDR], n.lladdr, &n.lladdr_len))
		return NL_MALFORMED;
	memcpy(neigh, &n, sizeof(n));
	return NL_OK;
}
