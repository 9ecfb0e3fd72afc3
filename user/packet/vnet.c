/* SPDX-License-Identifier: MIT */
#include "user/packet/vnet.h"

#include <netinet/in.h>
#include <string.h>

#include <sluice/compat.h>

#include "user/packet/wire.h"

/* Bytes of all headers, IP to transport, with the transport header at @l4; 0 when they do not fit. */
static uint32_t headers_bytes(const uint8_t *packet, uint32_t len, uint32_t l4, bool tcp)
{
	uint32_t bytes;

	if (!tcp)
		return l4 + UDP_HLEN_BYTES <= len ? l4 + UDP_HLEN_BYTES : 0;
	if (l4 + TCP_HLEN_MIN > len)
		return 0;
	bytes = (packet[l4 + TCP_DOFF] >> 4) * 4u;
	return bytes >= TCP_HLEN_MIN && l4 + bytes <= len ? l4 + bytes : 0;
}

static bool is_transport_at(const uint8_t *ip, uint32_t len, uint32_t l4, uint8_t proto)
{
	if (len < IP4_HLEN_MIN)
		return false;
	if (ip[0] >> 4 == 4)
		return (ip[0] & 15u) * 4u == l4 && ip[IP4_PROTO] == proto;
	/* What stands between, extension headers, is for the parser to read. */
	return len >= IP6_HLEN && ip[0] >> 4 == 6 && (l4 == IP6_HLEN ? ip[IP6_NEXT] == proto : l4 > IP6_HLEN);
}

static enum drop read_gso(struct pkt *p, const struct virtio_net_hdr *h)
{
	uint8_t type = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	const uint8_t *ip = pkt_data(p);
	bool tcp = type != VIRTIO_NET_HDR_GSO_UDP_L4;
	uint32_t hdr, payload;
	enum pkt_gso gso;

	switch (type) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		gso = PKT_GSO_TCP4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		gso = PKT_GSO_TCP6;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		gso = PKT_GSO_UDP;
		break;
	case VIRTIO_NET_HDR_GSO_UDP:	/* IP fragmentation, which no current kernel sends */
		return DROP_gso_unsupported;
	default:
		return DROP_gso_bad;
	}
	if (!(h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) || h->gso_size == 0)
		return DROP_gso_bad;
	if (h->csum_offset != (tcp ? TCP_CSUM : UDP_CSUM) || (!tcp && h->gso_type != type))
		return DROP_gso_bad;
	if ((gso == PKT_GSO_TCP4 && ip[0] >> 4 != 4) || (gso == PKT_GSO_TCP6 && ip[0] >> 4 != 6) ||
	    !is_transport_at(ip, p->len, h->csum_start, tcp ? IPPROTO_TCP : IPPROTO_UDP))
		return DROP_gso_bad;
	hdr = headers_bytes(ip, p->len, h->csum_start, tcp);
	if (hdr == 0)
		return DROP_gso_bad;
	payload = p->total_bytes - hdr;
	if (payload <= h->gso_size)
		return DROP_NONE;
	p->gso = (uint8_t)gso;
	p->gso_size = h->gso_size;
	p->gso_segs = (uint16_t)((payload + h->gso_size - 1) / h->gso_size);
	if (h->gso_type & VIRTIO_NET_HDR_GSO_ECN)
		p->flags |= PKT_GSO_ECN;
	return DROP_NONE;
}

enum drop vnet_read(struct pkt *p, const struct virtio_net_hdr *h)
{
	p->gso = PKT_GSO_NONE;
	p->gso_size = p->gso_segs = 0;
	p->csum = PKT_CSUM_NONE;
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		/* Behind the shortest IP header, and the field in the first frame. */
		if (h->csum_start < IP4_HLEN_MIN || (uint32_t)h->csum_start + h->csum_offset + 2 > p->len)
			return DROP_csum_bad;
		p->csum = PKT_CSUM_PARTIAL;
		p->csum_start = (uint16_t)(p->off + h->csum_start);
		p->csum_offset = h->csum_offset;
	} else if (h->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		p->csum = PKT_CSUM_COMPLETE;
	}
	return h->gso_type == VIRTIO_NET_HDR_GSO_NONE ? DROP_NONE : read_gso(p, h);
}

enum drop vnet_write(const struct pkt *p, uint16_t start, struct virtio_net_hdr *h)
{
	uint32_t len = pkt_linear_bytes(p, start), hdr;

	memset(h, 0, sizeof(*h));
	if (p->csum == PKT_CSUM_PARTIAL) {
		if (p->csum_start < start || (uint32_t)(p->csum_start - start) + p->csum_offset + 2u > len)
			return DROP_csum_bad;
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = (uint16_t)(p->csum_start - start);
		h->csum_offset = p->csum_offset;
	}
	if (p->gso == PKT_GSO_NONE)
		return DROP_NONE;
	if (p->csum != PKT_CSUM_PARTIAL || p->gso_size == 0)
		return DROP_gso_bad;
	hdr = headers_bytes(p->buf + start, len, h->csum_start, p->gso != PKT_GSO_UDP);
	if (hdr == 0)
		return DROP_gso_bad;
	h->gso_type = p->gso == PKT_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4 :
		      p->gso == PKT_GSO_TCP6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_UDP_L4;
	if (p->flags & PKT_GSO_ECN && p->gso != PKT_GSO_UDP)
		h->gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	h->gso_size = p->gso_size;
	h->hdr_len = (uint16_t)hdr;
	return DROP_NONE;
}
