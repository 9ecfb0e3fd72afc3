/* SPDX-License-Identifier: MIT */
/* ICMP (RFC 792, RFC 1122 3.2.2, RFC 1812 4.3) and ICMPv6 (RFC 4443): errors and echo. */
#ifndef USER_NET_ICMP_H
#define USER_NET_ICMP_H

#include "user/packet/area.h"

enum icmp4_type {
	ICMP4_ECHO_REPLY = 0,
	ICMP4_UNREACHABLE = 3,
	ICMP4_ECHO_REQUEST = 8,
	ICMP4_ROUTER_ADVERT = 9,
	ICMP4_ROUTER_SOLICIT = 10,
	ICMP4_TIME_EXCEEDED = 11,
	ICMP4_PARAM_PROBLEM = 12,
	ICMP4_TIMESTAMP = 13,
	ICMP4_ADDRESS_MASK_REPLY = 18,
	ICMP4_EXT_ECHO_REQUEST = 42,
	ICMP4_EXT_ECHO_REPLY = 43,
};

enum icmp6_type {
	ICMP6_UNREACHABLE = 1,
	ICMP6_TOO_BIG = 2,
	ICMP6_TIME_EXCEEDED = 3,
	ICMP6_PARAM_PROBLEM = 4,
	ICMP6_INFORMATIONAL = 128,	/* this and all above are no errors */
	ICMP6_ECHO_REQUEST = 128,
	ICMP6_ECHO_REPLY = 129,
	ICMP6_ROUTER_SOLICIT = 133,
	ICMP6_ROUTER_ADVERT = 134,
	ICMP6_NEIGH_SOLICIT = 135,
	ICMP6_NEIGH_ADVERT = 136,
	ICMP6_REDIRECT = 137,
};

#define ICMP4_ERROR_BYTES_MAX 576	/* RFC 1812 4.3.2.3 */
#define ICMP6_ERROR_BYTES_MAX 1280	/* RFC 4443 2.4 (c) */

/* What went wrong, in words of both families. */
enum icmp_cause {
	ICMP_CAUSE_TTL,			/* TTL or hop limit expired in transit */
	ICMP_CAUSE_REASSEMBLY,		/* fragments did not all come in time */
	ICMP_CAUSE_NO_ROUTE,		/* network unreachable; no route to destination */
	ICMP_CAUSE_NO_NEIGHBOUR,	/* host, address unreachable */
	ICMP_CAUSE_PROTO,		/* protocol; unrecognised next header, info: its offset in the packet */
	ICMP_CAUSE_PORT,
	ICMP_CAUSE_PROHIBITED,		/* communication administratively prohibited */
	ICMP_CAUSE_TOO_BIG,		/* fragmentation needed; packet too big. info: the MTU */
	ICMP_CAUSE_HEADER,		/* parameter problem, info: offset of the bad byte in the packet */
	ICMP_CAUSE_OPTION,		/* the same; unrecognised option in IPv6 */
	ICMP_CAUSE_N,
};

/**
 * icmp_error_forbidden() - Must no ICMP error be sent about this packet?
 *
 * RFC 1122 3.2.2, RFC 1812 4.3.2.7, RFC 4443 2.4 (e): not about ICMP errors (nor ICMP that cannot be told from one),
 * redirects, multicast or broadcast at either layer (but too big, and unrecognised options, for IPv6 multicast), later
 * fragments, or sources that are not one host. A later IPv6 fragment is forbidden only when it may be part of an ICMPv6
 * message. Directed broadcasts are seen by their link-layer broadcast; one that came as unicast, only the caller can
 * know.
 */
bool icmp_error_forbidden(const struct pkt *p, enum icmp_cause cause);

/**
 * icmp_error_build() - Make an ICMP error about a packet, to its source.
 * @a:      memory for the error; also that of @p
 * @p:      the packet as it was received, parsed. Quoted is what stands there now: look at the TTL before it is taken
 *          down, though RFC 1812 4.3.2.3 would allow either
 * @cause:  what went wrong
 * @info:   see enum icmp_cause, else 0
 * @saddr:  address to send from, 4 or 16 bytes in wire order
 *
 * Quotes as much as fits into 576 bytes, 1280 for IPv6. A partial checksum of a packet of one frame is completed in the
 * quotation. The caller has asked icmp_error_forbidden() and the rate limit.
 *
 * Return: an IP packet without link-layer header, parsed and complete, marked PKT_LOCAL_OUT; NULL when there is no
 * frame
 */
struct pkt *icmp_error_build(struct area *a, const struct pkt *p, enum icmp_cause cause, uint32_t info,
			     const uint8_t *saddr);

/** icmp_is_echo_request() - A whole echo request, either family? Its checksum has not been looked at. */
bool icmp_is_echo_request(const struct pkt *p);

/**
 * icmp_echo_reply() - Turn an echo request into its reply, in place.
 * @p:     icmp_is_echo_request(), checksum verified with pkt_csum_ok()
 * @saddr: address to send from; NULL: the one that was asked, which then must be a host's
 * @ttl:   TTL or hop limit of the reply
 *
 * Options and extension headers go back as they came. The packet is PKT_LOCAL_OUT from then on.
 */
void icmp_echo_reply(struct pkt *p, const uint8_t *saddr, uint8_t ttl);

#endif
