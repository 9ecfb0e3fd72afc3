/* SPDX-License-Identifier: MIT */
/* Transport checksums over whole packets, chains included. */
#ifndef USER_NET_PKT_CSUM_H
#define USER_NET_PKT_CSUM_H

#include "user/packet/area.h"

/**
 * pkt_sum() - One's complement sum of a part of a packet (see common/csum.h).
 * @at: offset in the first frame, as l3 and l4 are
 * @n:  bytes from there on; what the packet does not have is not summed
 */
uint32_t pkt_sum(const struct area *a, const struct pkt *p, uint16_t at, uint32_t n);

/**
 * pkt_pseudo_sum() - Sum of the pseudo-header for a transport of @len bytes.
 *
 * A packet with an IPv6 routing header that is not at its end yet has another final destination than its header says:
 * its sum is not this one.
 */
uint32_t pkt_pseudo_sum(const struct pkt *p, uint32_t len);

/**
 * pkt_csum_complete() - Finish a partial checksum in software; nothing to do for any other packet.
 *
 * Not for superpackets: their checksums are finished segment by segment.
 * Return: DROP_NONE, or DROP_csum_bad when start or field are outside the headers
 */
enum drop pkt_csum_complete(const struct area *a, struct pkt *p);

/**
 * pkt_csum_ok() - Is the transport checksum right?
 *
 * For packets that end here; a router does not ask. A partial checksum counts as right, so does IPv4 UDP without one.
 * A right checksum is remembered in the packet. A packet that has none that could be verified (another protocol, a
 * fragment, a cut header) is not right.
 */
bool pkt_csum_ok(const struct area *a, struct pkt *p);

#endif
