/* SPDX-License-Identifier: MIT */
#include "user/net/arp.h"

#include "user/net/eth.h"
#include "user/net/ipv4.h"

enum {
	ARP_HTYPE = 0,
	ARP_PTYPE = 2,
	ARP_HLEN = 4,
	ARP_PLEN = 5,
	ARP_OP = 6,
	ARP_SHA = 8,
	ARP_SPA = 14,
	ARP_THA = 18,
	ARP_TPA = 24,
	ARP_HTYPE_ETHERNET = 1,
};

static bool is_station(const uint8_t *mac)
{
	static const uint8_t zero[6];

	return !(mac[0] & 1) && memcmp(mac, zero, 6) != 0;
}

enum drop arp_parse(const uint8_t *arp, uint32_t bytes, struct arp_msg *m)
{
	if (bytes < ARP_BYTES || be16_at(arp + ARP_HTYPE) != ARP_HTYPE_ETHERNET ||
	    be16_at(arp + ARP_PTYPE) != ETHERTYPE_IP4 || arp[ARP_HLEN] != 6 || arp[ARP_PLEN] != 4)
		return DROP_arp_bad;
	m->op = be16_at(arp + ARP_OP);
	memcpy(m->sender_mac, arp + ARP_SHA, 6);
	memcpy(m->sender, arp + ARP_SPA, 4);
	memcpy(m->target_mac, arp + ARP_THA, 6);
	memcpy(m->target, arp + ARP_TPA, 4);
	if ((m->op != ARP_REQUEST && m->op != ARP_REPLY) || !is_station(m->sender_mac))
		return DROP_arp_bad;
	if (u32_at(m->sender) != 0 && !ipv4_is_host(m->sender))
		return DROP_arp_bad;
	return DROP_NONE;
}

uint32_t arp_build(uint8_t *frame, const struct iface *out, const uint8_t *dst, const struct arp_msg *m)
{
	uint8_t *arp = frame + eth_write(frame, out, dst, ETHERTYPE_ARP4);

	put_be16(arp + ARP_HTYPE, ARP_HTYPE_ETHERNET);
	put_be16(arp + ARP_PTYPE, ETHERTYPE_IP4);
	arp[ARP_HLEN] = 6;
	arp[ARP_PLEN] = 4;
	put_be16(arp + ARP_OP, m->op);
	memcpy(arp + ARP_SHA, out->mac, 6);
	memcpy(arp + ARP_SPA, m->sender, 4);
	memcpy(arp + ARP_THA, m->target_mac, 6);
	memcpy(arp + ARP_TPA, m->target, 4);
	return (uint32_t)(arp + ARP_BYTES - frame);
}

uint32_t arp_build_request(uint8_t *frame, const struct iface *out, const uint8_t *sender, const uint8_t *target)
{
	struct arp_msg m = { .op = ARP_REQUEST };

	memcpy(m.sender, sender, 4);
	memcpy(m.target, target, 4);
	return arp_build(frame, out, eth_broadcast, &m);
}

uint32_t arp_build_announcement(uint8_t *frame, const struct iface *out, const uint8_t *addr)
{
	return arp_build_request(frame, out, addr, addr);
}

uint32_t arp_build_reply(uint8_t *frame, const struct iface *out, const struct arp_msg *request)
{
	struct arp_msg m = { .op = ARP_REPLY };

	memcpy(m.sender, request->target, 4);
	memcpy(m.target_mac, request->sender_mac, 6);
	memcpy(m.target, request->sender, 4);
	return arp_build(frame, out, request->sender_mac, &m);
}
