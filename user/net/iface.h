/* SPDX-License-Identifier: MIT */
/*
 * An interface: what IP sees of a port, or of a VLAN on it.
 *
 * Kernel-backed interfaces mirror a device: its addresses are the kernel's, which answers ARP and ND for them. An
 * interface may have engine-only addresses, too or instead, and those are the engine's to answer for (neigh.h).
 *
 * The control thread owns interfaces; workers see them as parts of an immutable snapshot.
 */
#ifndef USER_NET_IFACE_H
#define USER_NET_IFACE_H

#include "common/bytes.h"
#include "user/packet/wire.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define IFACE_NONE UINT16_MAX
#define IFACE_NAME_MAX 32
#define IFACE_ADDRS_MAX 64
#define IFACE_L2_BYTES_MAX (ETH_HLEN_BYTES + 2 * VLAN_HLEN_BYTES)

enum iface_addr_state {
	IFACE_ADDR_TENTATIVE,		/* duplicate address detection is under way: not to be used */
	IFACE_ADDR_PREFERRED,
	IFACE_ADDR_DUPLICATED,		/* somebody else has it: not to be used */
};

struct iface_addr {
	uint8_t family;			/* AF_INET, AF_INET6 */
	uint8_t prefix_len;
	bool engine;			/* engine-only: not the kernel's */
	uint8_t state;			/* enum iface_addr_state */
	uint8_t addr[16];		/* 4 or 16 bytes, wire order */
};

enum iface_flag {
	IFACE_NO_L2 = 1 << 0,		/* TUN: packets have no link-layer header, there are no neighbours */
	IFACE_ROUTER = 1 << 1,		/* forwards IPv6: says so in neighbour advertisements */
	IFACE_CHECK_SOURCE = 1 << 2,	/* refuse our own addresses as sources, and what rp_filter says */
	IFACE_CLAMP_MSS = 1 << 3,	/* mss_clamp is in force */
};

enum iface_rp_filter {			/* RFC 3704 */
	IFACE_RP_OFF,
	IFACE_RP_LOOSE,			/* the source has some route */
	IFACE_RP_STRICT,		/* the source has its route by the interface it came in by */
};

#define IFACE_MSS_PMTU 1		/* iface->mss_clamp: what the smaller MTU of both sides allows */

struct iface_vlan {
	uint16_t tpid;			/* ETHERTYPE_CTAG, ETHERTYPE_STAG */
	uint16_t vid;			/* 1 to 4094 */
};

struct iface {
	uint16_t id;
	uint16_t port;			/* id of the port below */
	uint32_t flags;			/* enum iface_flag */
	int ifindex;			/* the kernel's; 0 when the engine's only */
	uint32_t mtu_bytes;		/* largest IP packet */
	uint8_t mac[6];
	bool up;
	uint8_t n_vlans;
	uint16_t mss_clamp;		/* bytes, or IFACE_MSS_PMTU */
	uint8_t rp_filter;		/* enum iface_rp_filter */
	struct iface_vlan vlan[2];	/* outer first */
	/* Link-layer header of what leaves here; destination and type are filled in for each packet. */
	uint8_t l2[IFACE_L2_BYTES_MAX];
	uint8_t l2_bytes;
	uint8_t n_addrs;
	char name[IFACE_NAME_MAX];
	struct iface_addr addrs[IFACE_ADDRS_MAX];
};

static inline size_t iface_addr_bytes(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

/** iface_has_addr() - Is this one of the interface's own addresses that may be used? @addr: 4 or 16 bytes */
bool iface_has_addr(const struct iface *iface, uint8_t family, const uint8_t *addr);

/**
 * iface_source_for() - Which of its addresses should a packet to @dst bear as its source?
 *
 * RFC 6724 5 as far as one interface can go: the same scope first, then the longest common prefix.
 * Return: NULL when it has none of the family that may be used
 */
const struct iface_addr *iface_source_for(const struct iface *iface, uint8_t family, const uint8_t *dst);

/** iface_set_l2() - Make the header template from mac, vlan and flags; again whenever one of these changed. */
static inline void iface_set_l2(struct iface *i)
{
	uint8_t *at = i->l2 + ETH_TYPE;

	memset(i->l2, 0, sizeof(i->l2));
	if (i->flags & IFACE_NO_L2) {
		i->l2_bytes = 0;
		return;
	}
	memcpy(i->l2 + ETH_SRC, i->mac, 6);
	for (unsigned int v = 0; v < i->n_vlans; v++, at += VLAN_HLEN_BYTES) {
		put_be16(at, i->vlan[v].tpid);
		put_be16(at + 2, i->vlan[v].vid);
	}
	i->l2_bytes = (uint8_t)(at + 2 - i->l2);
}

#endif
