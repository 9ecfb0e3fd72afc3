/* SPDX-License-Identifier: MIT */
/*
 * An interface: where IP meets a link. Either a port as such (untagged frames) or a VLAN on it (one tag or two).
 *
 * An interface may have a device of the kernel's beside it, whose addresses, routes and neighbours are mirrored, and
 * engine-only addresses, which the kernel knows nothing of; one, both or neither.
 */
#ifndef USER_NET_IFACE_H
#define USER_NET_IFACE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#define IFACE_NAME_MAX 32
#define IFACE_ADDRS_MAX 32
#define IFACE_MSS_PMTU 1		/* iface->mss_clamp: what the smaller MTU of both sides allows */

enum iface_rp_filter {			/* RFC 3704 */
	IFACE_RP_OFF,
	IFACE_RP_LOOSE,			/* the source has some route */
	IFACE_RP_STRICT,		/* the source has its route by the interface it came in by */
};

struct iface_addr {
	uint8_t family;			/* AF_INET, AF_INET6 */
	uint8_t prefix_len;		/* bits */
	bool engine;			/* engine-only; else the kernel's too */
	bool tentative;			/* not verified to be unique yet, or found to be another's: not to be used */
	uint8_t addr[16];		/* wire order, unused bytes 0 */
};

struct iface {
	uint16_t id;
	uint16_t port;			/* id of the port it is on */
	bool up;
	bool check_source;		/* some source check is on: saves looking at each */
	bool clamps_mss;
	uint8_t n_vlans;		/* tags on its frames: 0, 1, 2 */
	uint8_t mac[6];
	uint16_t vlan[2];		/* VLAN ids, outer first, host order */
	uint16_t tpid[2];		/* their EtherTypes, host order */
	uint16_t mss_clamp;		/* bytes, or IFACE_MSS_PMTU */
	uint32_t mtu_bytes;		/* largest IP packet */
	enum iface_rp_filter rp_filter;
	int ifindex;			/* of the kernel's device, 0: none */
	unsigned int n_addrs;
	struct iface_addr addrs[IFACE_ADDRS_MAX];
	char name[IFACE_NAME_MAX];
};

static inline size_t iface_addr_bytes(uint8_t family)
{
	return family == AF_INET ? 4 : 16;
}

/** iface_has_addr() - Is this one of the interface's own addresses? @addr: 4 or 16 bytes */
bool iface_has_addr(const struct iface *iface, uint8_t family, const uint8_t *addr);

/**
 * iface_source_for() - Which of its addresses should a packet to @dst bear as its source?
 *
 * RFC 6724 5 as far as one interface can go: the same scope first, then the longest common prefix.
 * Return: NULL when it has none of the family that may be used
 */
const struct iface_addr *iface_source_for(const struct iface *iface, uint8_t family, const uint8_t *dst);

#endif
