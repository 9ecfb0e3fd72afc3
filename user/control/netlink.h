/* SPDX-License-Identifier: MIT */
/*
 * The kernel's links, addresses, neighbours, routes and nexthop objects as rtnetlink tells them, checked and in host
 * structs; and the few things the control plane asks the kernel to change.
 *
 * The parsers take one message of any length and content: what is malformed is refused, never half taken.
 */
#ifndef CONTROL_NETLINK_H
#define CONTROL_NETLINK_H

#include "common/fault.h"

#include <linux/netlink.h>
#include <linux/types.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that an address does not use are zero, so that two of one family compare with memcmp(). */
union nl_ip {
	__be32 v4;
	struct in6_addr v6;
	uint8_t bytes[16];
};

#define NL_LLADDR_MAX 32	/* the kernel's MAX_ADDR_LEN */

struct nl_link {
	uint32_t ifindex;
	char name[IF_NAMESIZE];
	char kind[16];			/* "veth", "tun", "vlan", ...; empty for hardware and loopback */
	uint16_t arphrd;		/* ARPHRD_* */
	uint8_t operstate;		/* IF_OPER_* */
	uint8_t lladdr_len;
	uint8_t lladdr[NL_LLADDR_MAX];
	uint32_t flags;			/* IFF_*, IFF_LOWER_UP (the carrier) among them */
	uint32_t mtu;
	uint32_t parent;		/* IFLA_LINK: VLAN's lower device, veth's peer; 0 for none */
	uint32_t master;		/* bridge, bond or VRF; 0 for none */
	bool parent_elsewhere;		/* @parent is an index in another namespace */
	uint16_t vlan_id;		/* of kind "vlan" */
	__be16 vlan_proto;		/* ETH_P_8021Q or ETH_P_8021AD */
	uint32_t rx_queues, tx_queues;	/* allocated; see devinfo.h for those in use */
	uint32_t gso_max_bytes, gso_max_segs;
	uint32_t xdp_prog_id;		/* of the program attached now, by whomever; 0 for none */
	uint8_t xdp_mode;		/* XDP_ATTACHED_* */
};

/* The first fields, up to @peer, are the address's identity; no padding, so that they hash and compare as bytes. */
struct nl_addr {
	uint32_t ifindex;
	uint8_t family;
	uint8_t prefix_len;
	uint8_t zero[2];
	union nl_ip local;		/* the device's own */
	union nl_ip peer;		/* of a point-to-point address, else the same as @local */
	uint32_t flags;			/* IFA_F_* */
	__be32 broadcast;
	uint8_t scope;			/* RT_SCOPE_* */
	bool has_broadcast;
};

/* The same: identity up to @addr. */
struct nl_neigh {
	uint32_t ifindex;
	uint8_t family;
	bool proxy;			/* NTF_PROXY: not a neighbour but an address answered for */
	uint8_t zero[2];
	union nl_ip addr;
	uint16_t state;			/* NUD_* */
	uint8_t flags;			/* NTF_ROUTER and others */
	uint8_t lladdr_len;		/* 0 while unresolved */
	uint8_t lladdr[NL_LLADDR_MAX];
};

/* Nexthops of one route that are kept; further ones are cut off and counted. */
#define NL_NEXTHOPS_MAX 128

struct nl_nexthop {
	uint32_t ifindex;		/* 0: none given */
	uint32_t weight;		/* 1 or more */
	uint8_t gw_family;		/* AF_UNSPEC: on the link; may differ from the route's */
	uint8_t flags;			/* RTNH_F_DEAD, RTNH_F_LINKDOWN, RTNH_F_ONLINK, ... */
	bool encap;			/* a lightweight tunnel (MPLS, SRv6, ...), which only the kernel can do */
	union nl_ip gw;
};

/* What makes two routes the same to who looks one up. No padding, so that it hashes and compares as bytes. */
struct nl_route_key {
	union nl_ip dst;
	uint32_t table;			/* RT_TABLE_* */
	uint32_t metric;		/* RTA_PRIORITY, the lowest wins */
	uint8_t family;
	uint8_t dst_len;		/* bits */
	uint8_t zero[2];
};

static inline bool nl_route_key_same(const struct nl_route_key *a, const struct nl_route_key *b)
{
	return memcmp(a->dst.bytes, b->dst.bytes, sizeof(a->dst.bytes)) == 0 && a->table == b->table &&
	       a->metric == b->metric && a->family == b->family && a->dst_len == b->dst_len;
}

struct nl_route {
	struct nl_route_key key;
	uint8_t type;			/* RTN_* */
	uint8_t protocol;		/* RTPROT_* */
	uint8_t scope;
	bool has_prefsrc;
	union nl_ip prefsrc;
	uint32_t mtu_bytes;		/* 0: the link's */
	uint32_t nh_id;			/* nexthop object, 0: none */
	uint32_t n_nexthops;		/* 0 for blackhole, unreachable, prohibit, throw */
	bool nexthops_cut;		/* there were more than NL_NEXTHOPS_MAX */
	struct nl_nexthop nexthops[NL_NEXTHOPS_MAX];	/* the first @n_nexthops are set */
};

struct nl_nh_member {
	uint32_t id;
	uint32_t weight;
};

/* A nexthop object, or a group of them. */
struct nl_nhobj {
	uint32_t id;
	bool blackhole;
	bool fdb;			/* for VXLAN's forwarding database, no route can use it */
	bool cut;			/* the group had more than NL_NEXTHOPS_MAX members */
	struct nl_nexthop nh;		/* when @n_members is 0 */
	uint32_t n_members;
	struct nl_nh_member members[NL_NEXTHOPS_MAX];	/* the first @n_members are set */
};

enum nl_verdict {
	NL_OK,
	NL_NOT_OURS,			/* sound, but of no interest to an IP gateway; see each parser */
	NL_MALFORMED,
};

/**
 * nl_link_parse() - RTM_NEWLINK or RTM_DELLINK
 * @nlh:    whole message: nlmsg_len was checked against the datagram
 * @before: what was known of this ifindex, or NULL. Some notifications (wireless) carry few attributes; what they
 *          leave out is taken from here.
 * @link:   result, only on NL_OK
 *
 * Not ours: messages of other families, such as a bridge's about its ports, whose RTM_DELLINK deletes no link.
 */
enum nl_verdict nl_link_parse(const struct nlmsghdr *nlh, const struct nl_link *before, struct nl_link *link);

/** nl_link_index() - Interface index of a link message, 0 when it is too short. */
uint32_t nl_link_index(const struct nlmsghdr *nlh);

/** nl_addr_parse() - RTM_NEWADDR or RTM_DELADDR. Not ours: families other than IPv4 and IPv6. */
enum nl_verdict nl_addr_parse(const struct nlmsghdr *nlh, struct nl_addr *addr);

/** nl_neigh_parse() - RTM_NEWNEIGH or RTM_DELNEIGH. Not ours: bridge forwarding entries and other families. */
enum nl_verdict nl_neigh_parse(const struct nlmsghdr *nlh, struct nl_neigh *neigh);

/**
 * nl_route_parse() - RTM_NEWROUTE or RTM_DELROUTE
 * @nlh:   whole message
 * @route: result, only on NL_OK. With @nh_id and no nexthops in the message (sysctl nexthop_compat_mode 0) n_nexthops
 *         is 0 and the caller resolves the object.
 *
 * Not ours: cloned (cache) entries, multicast routes, routes that depend on TOS or on the source address, and
 * destinations within fe80::/10 and ff00::/8: those are of one link each, exist once per link under the same key, and
 * are never forwarded.
 */
enum nl_verdict nl_route_parse(const struct nlmsghdr *nlh, struct nl_route *route);

/** nl_nhobj_parse() - RTM_NEWNEXTHOP or RTM_DELNEXTHOP */
enum nl_verdict nl_nhobj_parse(const struct nlmsghdr *nlh, struct nl_nhobj *nh);

/** nl_route_bytes() - Size of @r up to its last nexthop in use: what a copy needs. */
size_t nl_route_bytes(const struct nl_route *r);

/* ---- Requests that wait for the kernel's answer. The calling thread's namespace is meant. ---- */

/** nl_link_set_up() - `ip link set dev IFINDEX up` or down. Return: 0 or -errno with @f filled */
int nl_link_set_up(uint32_t ifindex, bool up, struct fault *f);

/** nl_link_set_mtu() - `ip link set dev IFINDEX mtu BYTES`. Return: 0 or -errno with @f filled */
int nl_link_set_mtu(uint32_t ifindex, uint32_t mtu_bytes, struct fault *f);

/**
 * nl_addr_add() - `ip addr replace ADDR/LEN dev IFINDEX`; an IPv6 address skips duplicate detection
 * @ifindex:    device
 * @family:     AF_INET or AF_INET6
 * @ip:         address in network order
 * @prefix_len: bits
 * @f:          told why not
 *
 * Return: 0 or -errno
 */
int nl_addr_add(uint32_t ifindex, uint8_t family, const union nl_ip *ip, uint8_t prefix_len, struct fault *f);

#endif
