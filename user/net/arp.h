/* SPDX-License-Identifier: MIT */
/* ARP over Ethernet for IPv4 (RFC 826), with the probes and announcements of RFC 5227. */
#ifndef USER_NET_ARP_H
#define USER_NET_ARP_H

#include "user/net/iface.h"

#include <sluice/drops.h>

#define ARP_BYTES 28
#define ARP_FRAME_BYTES_MAX (IFACE_L2_BYTES_MAX + ARP_BYTES)

enum arp_op { ARP_REQUEST = 1, ARP_REPLY = 2 };

struct arp_msg {
	uint16_t op;			/* enum arp_op */
	uint8_t sender_mac[6];
	uint8_t sender[4];		/* IPv4 address; 0.0.0.0 in a probe */
	uint8_t target_mac[6];
	uint8_t target[4];
};

/**
 * arp_parse() - Read an ARP packet.
 * @arp:   behind the link-layer header
 * @bytes: what is there; padding is no fault
 *
 * Refused is what names no station: a sender's MAC address that is a group or zero, a sender's IPv4 address that is
 * neither a host's nor 0.0.0.0, other hardware or protocols, other operations.
 * Return: DROP_NONE or DROP_arp_bad
 */
enum drop arp_parse(const uint8_t *arp, uint32_t bytes, struct arp_msg *m);

/** arp_is_probe() - Does its sender only ask whether the address is free (RFC 5227 1.1)? */
static inline bool arp_is_probe(const struct arp_msg *m)
{
	return m->op == ARP_REQUEST && u32_at(m->sender) == 0;
}

/** arp_is_gratuitous() - Is it an announcement, by request or reply? */
static inline bool arp_is_gratuitous(const struct arp_msg *m)
{
	return u32_at(m->sender) == u32_at(m->target);
}

/**
 * arp_build() - Make a whole frame, tags included.
 * @frame: ARP_FRAME_BYTES_MAX
 * @out:   gives the sender's MAC address
 * @dst:   link-layer destination
 * @m:     sender_mac is not read
 *
 * Return: bytes of the frame, without padding
 */
uint32_t arp_build(uint8_t *frame, const struct iface *out, const uint8_t *dst, const struct arp_msg *m);

/** arp_build_request() - Who has @target? From @sender, broadcast; a probe when @sender is 0.0.0.0 */
uint32_t arp_build_request(uint8_t *frame, const struct iface *out, const uint8_t *sender, const uint8_t *target);

/** arp_build_announcement() - This interface has @addr: a request that asks for itself, broadcast (RFC 5227 2.3). */
uint32_t arp_build_announcement(uint8_t *frame, const struct iface *out, const uint8_t *addr);

/** arp_build_reply() - The answer to a request or probe for an address of ours, unicast. */
uint32_t arp_build_reply(uint8_t *frame, const struct iface *out, const struct arp_msg *request);

#endif
