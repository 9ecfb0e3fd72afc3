/* SPDX-License-Identifier: MIT */
/*
 * IPv4: what a router does to a header.
 *
 * Options (RFC 1812 5.3.13): packets with a source route and malformed options are dropped by the parser, as RFC 7126
 * advises. Record route and timestamp pass unchanged, which RFC 1812 allows as a choice; so do all others, as it
 * demands of options that are not understood. Fragmentation copies them by their copy bit.
 */
#ifndef USER_NET_IPV4_H
#define USER_NET_IPV4_H

#include "common/csum.h"
#include "user/packet/area.h"
#include "user/packet/wire.h"

#define IPV4_MTU_MIN 68			/* RFC 791 3.2: every link forwards this without fragmenting */

/** ipv4_hlen() - Header length in bytes of a header that the parser took */
static inline uint32_t ipv4_hlen(const uint8_t *ip)
{
	return (ip[0] & 0x0fu) * 4;
}

/** ipv4_csum_ok() - Is the header checksum right? */
static inline bool ipv4_csum_ok(const uint8_t *ip)
{
	if (likely(ip[0] == 0x45))
		return csum_is_zero(csum_ipv4_header64(ip, 5));
	return csum_is_zero(csum_ipv4_header64(ip, ip[0] & 0x0f));
}

/** ipv4_set_csum() - Compute the header checksum anew. */
static inline void ipv4_set_csum(uint8_t *ip)
{
	put_wire16(ip + IP4_CSUM, 0);
	put_wire16(ip + IP4_CSUM, csum_fold(csum_ipv4_header(ip, ip[0] & 0x0f)));
}

/**
 * ipv4_dec_ttl() - Take one from the TTL; the checksum follows (RFC 1624).
 *
 * The caller has seen a TTL above 1. Taking 0x0100 from a word of the header adds it to the checksum, in one's
 * complement: a carry wraps round, and so does 0xffff, which is 0.
 */
static inline void ipv4_dec_ttl(uint8_t *ip)
{
	uint32_t check = wire16_at(ip + IP4_CSUM) + (uint32_t)htobe16(0x0100);

	put_wire16(ip + IP4_CSUM, (__be16)(check + (check >= 0xffff)));
	ip[IP4_TTL]--;
}

/** ipv4_set_ttl() - Any new TTL; the checksum follows. */
static inline void ipv4_set_ttl(uint8_t *ip, uint8_t ttl)
{
	__be16 from = wire16_at(ip + IP4_TTL);

	ip[IP4_TTL] = ttl;
	put_wire16(ip + IP4_CSUM, csum_replace2(wire16_at(ip + IP4_CSUM), from, wire16_at(ip + IP4_TTL)));
}

/* Address classes; @addr points to 4 bytes in wire order. */
static inline bool ipv4_is_multicast(const uint8_t *addr)
{
	return (addr[0] & 0xf0) == 224;
}

static inline bool ipv4_is_limited_broadcast(const uint8_t *addr)
{
	return u32_at(addr) == UINT32_MAX;
}

static inline bool ipv4_is_loopback(const uint8_t *addr)
{
	return addr[0] == 127;
}

static inline bool ipv4_is_link_local(const uint8_t *addr)
{
	return addr[0] == 169 && addr[1] == 254;
}

/**
 * ipv4_is_host() - Can this address name one host, as the source of a packet must (RFC 1122 3.2.1.3)?
 *
 * Not 0/8, 127/8, multicast, 240/4 or the limited broadcast. Directed broadcasts look like hosts: only who knows the
 * prefix can tell (ipv4_is_subnet_broadcast()).
 */
static inline bool ipv4_is_host(const uint8_t *addr)
{
	return addr[0] != 0 && addr[0] != 127 && addr[0] < 224;
}

/**
 * ipv4_is_subnet_broadcast() - Is this a broadcast to a subnet (RFC 1812 4.2.2.11, 5.3.5.2)?
 * @addr:       address
 * @net:        any address of the subnet
 * @prefix_len: its bits; subnets of 31 (RFC 3021) and 32 bits have no broadcast
 *
 * All bits of the host part are 1, or, the old form, 0.
 */
static inline bool ipv4_is_subnet_broadcast(const uint8_t *addr, const uint8_t *net, uint8_t prefix_len)
{
	uint32_t host = prefix_len >= 31 ? 0 : UINT32_MAX >> prefix_len, a = be32_at(addr);

	return host != 0 && ((a ^ be32_at(net)) & ~host) == 0 && ((a & host) == host || (a & host) == 0);
}

/* First bytes of addresses that need no closer look: 1 to 223, but neither 127 nor 169, which may be link-local. */
static const bool ipv4_is_plain[256] = { [1 ... 126] = true, [128 ... 168] = true, [170 ... 223] = true };

/* Everything that is not plainly a host on both sides, out of line. */
enum drop ipv4_addr_drop(const uint8_t *ip);

/**
 * ipv4_forward_check() - May a packet with these addresses be forwarded (RFC 1812 5.3.7, RFC 3927 2.7)?
 *
 * A source that is no host is a martian; so is a destination in 0/8, 127/8 or 240/4. Multicast and the limited
 * broadcast are not forwarded, link-local addresses stay on their link. For local delivery the caller has looked
 * first.
 */
static inline enum drop ipv4_forward_check(const uint8_t *ip)
{
	if (likely(ipv4_is_plain[ip[IP4_SRC]] & ipv4_is_plain[ip[IP4_DST]]))
		return DROP_NONE;
	return ipv4_addr_drop(ip);
}

/**
 * struct ipv4_fragmenter - A packet on its way to be cut into fragments.
 *
 * Begin, then next until it returns NULL with `done` set. NULL without `done` means that there was no frame: go on
 * later, or give up. End at any time; it frees what is left of the packet.
 */
struct ipv4_fragmenter {
	struct pkt *whole;
	uint32_t at;		/* bytes of the payload that are in fragments already */
	uint32_t payload_bytes;
	uint32_t room_bytes;	/* IP packet of each fragment, at most */
	uint32_t offset_bytes;	/* of the whole: not 0 when it is a fragment itself */
	uint16_t later_hlen;	/* header length of all fragments but the first */
	bool more;		/* the whole has MF */
	bool done;
	uint8_t later_options[40];
};

/**
 * ipv4_fragment_begin() - Take over a packet to be cut into fragments of at most @mtu_bytes (RFC 791 3.2).
 *
 * A partial checksum is completed first, for no fragment could be afterwards. The fragments have no link-layer header,
 * inherit all other metadata, and fit into one frame each, also when the MTU would allow more.
 *
 * Return: DROP_NONE, and the packet belongs to @f; or why it cannot be done (DF, an MTU without room for 8 bytes, a
 * superpacket), and the packet is still the caller's
 */
enum drop ipv4_fragment_begin(struct ipv4_fragmenter *f, const struct area *a, struct pkt *whole, uint32_t mtu_bytes);

/** ipv4_fragment_next() - The next fragment. Return: a packet, or NULL: see `done` */
struct pkt *ipv4_fragment_next(struct ipv4_fragmenter *f, struct area *a);

/** ipv4_fragment_end() - Free the packet that was cut. */
void ipv4_fragment_end(struct ipv4_fragmenter *f, struct area *a);

#endif
