/* SPDX-License-Identifier: MIT */
/* IPv6: hop limit, addresses and their scopes. Addresses are pointers to 16 bytes at any alignment. */
#ifndef USER_NET_IPV6_H
#define USER_NET_IPV6_H

#include "common/bytes.h"
#include "user/packet/pkt.h"
#include "user/packet/wire.h"

#define IPV6_MTU_MIN 1280		/* RFC 8200 5 */

/** ipv6_dec_hops() - Take one from the hop limit; the caller has seen one above 1. No checksum covers it. */
static inline void ipv6_dec_hops(uint8_t *ip)
{
	ip[IP6_HOPS]--;
}

static inline bool ipv6_equal(const uint8_t *a, const uint8_t *b)
{
	return u64_at(a) == u64_at(b) && u64_at(a + 8) == u64_at(b + 8);
}

static inline bool ipv6_is_unspecified(const uint8_t *addr)
{
	return (u64_at(addr) | u64_at(addr + 8)) == 0;
}

static inline bool ipv6_is_loopback(const uint8_t *addr)
{
	return u64_at(addr) == 0 && u64_at(addr + 8) == htobe64(1);
}

static inline bool ipv6_is_multicast(const uint8_t *addr)
{
	return addr[0] == 0xff;
}

static inline bool ipv6_is_link_local(const uint8_t *addr)
{
	return addr[0] == 0xfe && (addr[1] & 0xc0) == 0x80;
}

/* ::ffff:0:0/96: an IPv4 address inside a socket call, never on a wire (RFC 4291 2.5.5.2) */
static inline bool ipv6_is_v4_mapped(const uint8_t *addr)
{
	return u64_at(addr) == 0 && u32_at(addr + 8) == htobe32(0xffff);
}

enum ipv6_scope {		/* of a multicast address: RFC 4291 2.7, RFC 7346 */
	IPV6_SCOPE_INTERFACE = 1,
	IPV6_SCOPE_LINK = 2,
	IPV6_SCOPE_REALM = 3,
	IPV6_SCOPE_ADMIN = 4,
	IPV6_SCOPE_SITE = 5,
	IPV6_SCOPE_ORGANISATION = 8,
	IPV6_SCOPE_GLOBAL = 14,
};

/** ipv6_multicast_scope() - The scope field of a multicast address */
static inline unsigned int ipv6_multicast_scope(const uint8_t *addr)
{
	return addr[1] & 0x0f;
}

/** ipv6_is_host() - Can this address name one node, as the source of a packet must (RFC 4443 2.4 e.6)? */
static inline bool ipv6_is_host(const uint8_t *addr)
{
	return !ipv6_is_multicast(addr) && !ipv6_is_unspecified(addr) && !ipv6_is_loopback(addr) &&
	       !ipv6_is_v4_mapped(addr);
}

/* First bytes of 2000::/3 and fc00::/7, what the world and what private networks use: no closer look is needed. */
static const bool ipv6_is_plain[256] = { [0x20 ... 0x3f] = true, [0xfc ... 0xfd] = true };

/* Everything but two such addresses, out of line. */
enum drop ipv6_addr_drop(const uint8_t *ip);

/**
 * ipv6_forward_check() - May a packet with these addresses be forwarded (RFC 4291 2.5)?
 *
 * Sources that are no node and destinations ::, ::1 and ::ffff:0:0/96 are martians; multicast is not forwarded;
 * link-local addresses stay on their link.
 */
static inline enum drop ipv6_forward_check(const uint8_t *ip)
{
	if (likely(ipv6_is_plain[ip[IP6_SRC]] && ipv6_is_plain[ip[IP6_DST]]))
		return DROP_NONE;
	return ipv6_addr_drop(ip);
}

/** ipv6_solicited_node() - ff02::1:ff00:0/104 and the last 24 bits of @addr (RFC 4291 2.7.1) */
static inline void ipv6_solicited_node(const uint8_t *addr, uint8_t group[16])
{
	static const uint8_t prefix[13] = { 0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff };

	memcpy(group, prefix, sizeof(prefix));
	memcpy(group + 13, addr + 13, 3);
}

/** ipv6_is_solicited_node() - Is this the solicited-node group of any address? */
static inline bool ipv6_is_solicited_node(const uint8_t *addr)
{
	return u64_at(addr) == htobe64(UINT64_C(0xff02000000000000)) && be32_at(addr + 8) == 1 && addr[12] == 0xff;
}

/** ipv6_multicast_mac() - The Ethernet group of a multicast address (RFC 2464 7) */
static inline void ipv6_multicast_mac(const uint8_t *addr, uint8_t mac[6])
{
	mac[0] = 0x33;
	mac[1] = 0x33;
	memcpy(mac + 2, addr + 12, 4);
}

#endif
