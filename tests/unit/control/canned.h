/* SPDX-License-Identifier: MIT */
/* Netlink messages as a kernel would send them, made by libmnl. */
#ifndef TESTS_CONTROL_CANNED_H
#define TESTS_CONTROL_CANNED_H

#include "user/control/netlink.h"

#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/if_link.h>
#include <linux/neighbour.h>
#include <linux/nexthop.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CANNED_BYTES 16384

struct canned {
	_Alignas(struct nlmsghdr) uint8_t buf[CANNED_BYTES];
	struct nlmsghdr *nlh;
};

static inline void *canned_begin(struct canned *c, int type, int flags, size_t header)
{
	memset(c->buf, 0, sizeof(c->buf));
	c->nlh = mnl_nlmsg_put_header(c->buf);
	c->nlh->nlmsg_type = (uint16_t)type;
	c->nlh->nlmsg_flags = (uint16_t)flags;
	return mnl_nlmsg_put_extra_header(c->nlh, header);
}

static inline void canned_ip(struct canned *c, uint16_t type, const char *ip)
{
	uint8_t b[16];
	int v6 = strchr(ip, ':') != NULL;

	inet_pton(v6 ? AF_INET6 : AF_INET, ip, b);
	mnl_attr_put(c->nlh, type, v6 ? 16 : 4, b);
}

static inline void canned_link(struct canned *c, int type, int ifindex, const char *name, unsigned int flags)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 1 };
	struct ifinfomsg *ifi = canned_begin(c, type, 0, sizeof(*ifi));

	ifi->ifi_index = ifindex;
	ifi->ifi_type = 1;
	ifi->ifi_flags = flags;
	mnl_attr_put_strz(c->nlh, IFLA_IFNAME, name);
	mnl_attr_put_u32(c->nlh, IFLA_MTU, 1500);
	mnl_attr_put_u8(c->nlh, IFLA_OPERSTATE, 6);
	mnl_attr_put(c->nlh, IFLA_ADDRESS, sizeof(mac), mac);
	mnl_attr_put_u32(c->nlh, IFLA_NUM_RX_QUEUES, 4);
	mnl_attr_put_u32(c->nlh, IFLA_NUM_TX_QUEUES, 2);
}

static inline void canned_vlan(struct canned *c, int ifindex, const char *name, uint16_t id, uint16_t proto,
			       uint32_t parent)
{
	struct nlattr *info, *data;

	canned_link(c, RTM_NEWLINK, ifindex, name, IFF_UP);
	mnl_attr_put_u32(c->nlh, IFLA_LINK, parent);
	info = mnl_attr_nest_start(c->nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(c->nlh, IFLA_INFO_KIND, "vlan");
	data = mnl_attr_nest_start(c->nlh, IFLA_INFO_DATA);
	mnl_attr_put_u16(c->nlh, IFLA_VLAN_ID, id);
	mnl_attr_put_u16(c->nlh, IFLA_VLAN_PROTOCOL, htons(proto));
	mnl_attr_nest_end(c->nlh, data);
	mnl_attr_nest_end(c->nlh, info);
}

static inline void canned_addr(struct canned *c, int type, int ifindex, const char *ip, uint8_t len)
{
	struct ifaddrmsg *ifa = canned_begin(c, type, 0, sizeof(*ifa));

	ifa->ifa_family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	ifa->ifa_prefixlen = len;
	ifa->ifa_index = (uint32_t)ifindex;
	canned_ip(c, IFA_ADDRESS, ip);
	if (ifa->ifa_family == AF_INET) {
		canned_ip(c, IFA_LOCAL, ip);
		canned_ip(c, IFA_BROADCAST, "255.255.255.255");
	}
}

static inline void canned_neigh(struct canned *c, int type, int ifindex, const char *ip, uint16_t state)
{
	static const uint8_t mac[6] = { 2, 0, 0, 0, 0, 2 };
	struct ndmsg *ndm = canned_begin(c, type, 0, sizeof(*ndm));

	ndm->ndm_family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	ndm->ndm_ifindex = ifindex;
	ndm->ndm_state = state;
	canned_ip(c, NDA_DST, ip);
	if (state & ~(NUD_INCOMPLETE | NUD_FAILED))
		mnl_attr_put(c->nlh, NDA_LLADDR, sizeof(mac), mac);
}

/* A route of the main table; @dst as in "10.0.0.0/8"; a gateway or a nexthop object may follow. */
static inline void canned_route(struct canned *c, int type, int flags, const char *dst, uint8_t rtn)
{
	struct rtmsg *rtm = canned_begin(c, type, flags, sizeof(*rtm));
	const char *slash = strchr(dst, '/');
	char ip[64] = "";

	memcpy(ip, dst, (size_t)(slash - dst));
	rtm->rtm_family = strchr(ip, ':') ? AF_INET6 : AF_INET;
	rtm->rtm_dst_len = (uint8_t)atoi(slash + 1);
	rtm->rtm_table = RT_TABLE_MAIN;
	rtm->rtm_protocol = RTPROT_BOOT;
	rtm->rtm_type = rtn;
	if (rtm->rtm_dst_len)
		canned_ip(c, RTA_DST, ip);
	mnl_attr_put_u32(c->nlh, RTA_TABLE, RT_TABLE_MAIN);
	mnl_attr_put_u32(c->nlh, RTA_PRIORITY, 100);
}

static inline void canned_via(struct canned *c, const char *gw, uint32_t ifindex)
{
	if (gw)
		canned_ip(c, RTA_GATEWAY, gw);
	mnl_attr_put_u32(c->nlh, RTA_OIF, ifindex);
}

/* RTA_MULTIPATH of @n gateways on interfaces 1, 2, ..., with weights 1, 2, ... */
static inline void canned_multipath(struct canned *c, const char *const *gw, unsigned int n)
{
	struct nlattr *nest = mnl_attr_nest_start(c->nlh, RTA_MULTIPATH);

	for (unsigned int i = 0; i < n; i++) {
		struct rtnexthop *hop = mnl_nlmsg_get_payload_tail(c->nlh);
		uint32_t before = c->nlh->nlmsg_len;

		c->nlh->nlmsg_len += (uint32_t)sizeof(*hop);
		hop->rtnh_flags = 0;
		hop->rtnh_hops = (uint8_t)i;
		hop->rtnh_ifindex = (int)i + 1;
		canned_ip(c, RTA_GATEWAY, gw[i]);
		hop->rtnh_len = (uint16_t)(c->nlh->nlmsg_len - before);
	}
	mnl_attr_nest_end(c->nlh, nest);
}

static inline void canned_nexthop(struct canned *c, int type, uint32_t id, const char *gw, uint32_t ifindex)
{
	struct nhmsg *nhm = canned_begin(c, type, 0, sizeof(*nhm));

	nhm->nh_family = strchr(gw, ':') ? AF_INET6 : AF_INET;
	mnl_attr_put_u32(c->nlh, NHA_ID, id);
	mnl_attr_put_u32(c->nlh, NHA_OIF, ifindex);
	canned_ip(c, NHA_GATEWAY, gw);
}

/* Members 1 to @n, of weights 256, 257, ...: the high byte counts. */
static inline void canned_group(struct canned *c, int type, uint32_t id, unsigned int n)
{
	struct nhmsg *nhm = canned_begin(c, type, 0, sizeof(*nhm));
	uint8_t members[256][8] = { { 0 } };

	for (unsigned int i = 0; i < n; i++) {
		uint32_t member = i + 1;
		unsigned int w = 255 + i;

		memcpy(members[i], &member, sizeof(member));
		members[i][4] = (uint8_t)w;
		members[i][5] = (uint8_t)(w >> 8);
	}
	nhm->nh_family = AF_UNSPEC;
	mnl_attr_put_u32(c->nlh, NHA_ID, id);
	mnl_attr_put(c->nlh, NHA_GROUP, n * 8, members);
}

#endif
