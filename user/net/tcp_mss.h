/* SPDX-License-Identifier: MIT */
/* The MSS option of TCP SYNs that pass through (RFC 9293 3.7.1). */
#ifndef USER_NET_TCP_MSS_H
#define USER_NET_TCP_MSS_H

#include "user/packet/pkt.h"

/** tcp_mss_of_mtu() - The largest MSS for an MTU: less the headers, no options (RFC 6691). Return: 0 if none fits */
uint16_t tcp_mss_of_mtu(uint8_t family, uint32_t mtu_bytes);

/**
 * tcp_clamp_mss() - Lower the MSS option of a SYN to @mss_max, in place.
 *
 * For every packet: whatever is no TCP SYN with a whole header is left alone, and so is a SYN without the option, for
 * that means 536 (1220 in IPv6), less than a sane limit. The checksum follows; a partial one does not cover the option
 * yet.
 *
 * Return: true when the option was lowered
 */
bool tcp_clamp_mss(struct pkt *p, uint16_t mss_max);

#endif
