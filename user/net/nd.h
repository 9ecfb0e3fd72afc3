/* SPDX-License-Identifier: MIT */
/* Neighbour discovery messages of IPv6 (RFC 4861, RFC 4862) over Ethernet. */
#ifndef USER_NET_ND_H
#define USER_NET_ND_H

#include "user/net/iface.h"
#include "user/net/icmp.h"

#define ND_FRAME_BYTES_MAX (IFACE_L2_BYTES_MAX + 40 + 24 + 8)

enum nd_flag {				/* of an advertisement */
	ND_ROUTER = 0x80,
	ND_SOLICITED = 0x40,
	ND_OVERRIDE = 0x20,
};

struct nd_msg {
	uint8_t type;			/* ICMP6_ROUTER_SOLICIT to ICMP6_NEIGH_ADVERT */
	uint8_t flags;			/* enum nd_flag */
	bool has_mac;			/* source (NS, RS, RA) or target (NA) link-layer address */
	uint8_t mac[6];
	uint8_t src[16], dst[16];
	uint8_t target[16];		/* NS, NA */
	/* RA */
	uint8_t hop_limit;
	uint16_t router_lifetime_s;
	uint32_t reachable_ms, retrans_ms;	/* 0: not said */
	uint32_t mtu_bytes;			/* 0: not said */
};

/**
 * nd_parse() - Read a neighbour discovery message, with every check of RFC 4861 6.1, 7.1.
 * @ip:    IPv6 header, the message right behind it: not fragmented, as RFC 6980 wants, and with no extension header
 * @bytes: of the IP packet, all of them there
 *
 * Redirects are not for routers: refused.
 * Return: DROP_NONE or DROP_nd_bad
 */
enum drop nd_parse(const uint8_t *ip, uint32_t bytes, struct nd_msg *m);

/**
 * nd_build_ns() - Make a neighbour solicitation, a whole frame with tags.
 * @frame:  ND_FRAME_BYTES_MAX
 * @src:    address of ours, or :: for duplicate address detection, which then says no link-layer address
 * @target: whom to ask for
 * @mac:    of the target, to probe it; NULL: unknown, ask its solicited-node group
 *
 * Return: bytes of the frame
 */
uint32_t nd_build_ns(uint8_t *frame, const struct iface *out, const uint8_t *src, const uint8_t *target,
		     const uint8_t *mac);

/**
 * nd_build_na() - Make a neighbour advertisement for an address of ours, with its link-layer address.
 * @target:  address of ours, also the source
 * @dst:     who asked; NULL: all nodes
 * @dst_mac: link-layer address of @dst
 * @flags:   enum nd_flag; ND_ROUTER is added for an interface that routes
 */
uint32_t nd_build_na(uint8_t *frame, const struct iface *out, const uint8_t *target, const uint8_t *dst,
		     const uint8_t *dst_mac, uint8_t flags);

#endif
