/* SPDX-License-Identifier: MIT */
/* The link-layer header of what leaves an interface. */
#ifndef USER_NET_ETH_H
#define USER_NET_ETH_H

#include "user/net/iface.h"
#include "user/packet/pkt.h"

static const uint8_t eth_broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

/**
 * eth_write() - Write the header at the start of a frame that is no packet yet.
 * Return: its bytes
 */
static inline uint32_t eth_write(uint8_t *frame, const struct iface *out, const uint8_t *dst, uint16_t type)
{
	memcpy(frame, out->l2, IFACE_L2_BYTES_MAX);
	memcpy(frame + ETH_DST, dst, 6);
	put_be16(frame + out->l2_bytes - 2, type);
	return out->l2_bytes;
}

/** eth_has_plain() - Does the packet bear a header without VLAN tags? Then new addresses make it another such one. */
static inline bool eth_has_plain(const struct pkt *p)
{
	return p->l3 - p->off == ETH_HLEN_BYTES;
}

/** eth_readdress() - New addresses for such a packet. @addrs: destination and source, as a header starts with them */
static inline void eth_readdress(struct pkt *p, const uint8_t addrs[ETH_TYPE])
{
	memcpy(pkt_data(p), addrs, ETH_TYPE);
}

/* Any header in place of any other, or of none. */
static inline void eth_replace(struct pkt *p, const struct iface *out, const uint8_t *dst)
{
	uint32_t old = (uint32_t)(p->l3 - p->off), bytes = out->l2_bytes;
	uint8_t *at = p->buf + p->l3 - bytes;

	memcpy(at, out->l2, bytes);
	memcpy(at + ETH_DST, dst, 6);
	put_wire16(at + bytes - 2, p->ether_type);
	p->n_vlans = out->n_vlans;
	p->vlan[0] = out->vlan[0].vid;
	p->vlan[1] = out->vlan[1].vid;
	p->off = (uint16_t)(p->l3 - bytes);
	p->len = (uint16_t)(p->len - old + bytes);
	p->total_bytes = p->total_bytes - old + bytes;
	p->flags |= PKT_L2;
}

/**
 * eth_push() - Give an IP packet the link-layer header of the interface that it leaves through.
 * @p:   whatever stands in front of its IP header is replaced
 * @out: an interface with a link layer
 * @dst: MAC address of the next hop
 *
 * The headroom that reception leaves, and area_alloc(), is enough for any header.
 */
static inline void eth_push(struct pkt *p, const struct iface *out, const uint8_t *dst)
{
	uint8_t addrs[ETH_TYPE];

	if (unlikely(out->l2_bytes != ETH_HLEN_BYTES || !eth_has_plain(p))) {
		eth_replace(p, out, dst);
		return;
	}
	memcpy(addrs + ETH_DST, dst, 6);
	memcpy(addrs + ETH_SRC, out->mac, 6);
	eth_readdress(p, addrs);
}

/** eth_pop() - Take off the link-layer header: the packet starts with its IP header. */
static inline void eth_pop(struct pkt *p)
{
	uint16_t old = (uint16_t)(p->l3 - p->off);

	p->off = p->l3;
	p->len = (uint16_t)(p->len - old);
	p->total_bytes -= old;
	p->n_vlans = 0;
	p->flags &= (uint16_t)~(PKT_L2 | PKT_L2_GROUP);
}

#endif
