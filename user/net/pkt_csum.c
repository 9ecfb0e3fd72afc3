/* SPDX-License-Identifier: MIT */
#include "user/net/pkt_csum.h"

#include "common/csum.h"
#include "user/packet/wire.h"

#include <netinet/in.h>
#include <sys/socket.h>

uint32_t pkt_sum(const struct area *a, const struct pkt *p, uint16_t at, uint32_t n)
{
	uint32_t here = min_u32(pkt_linear_bytes(p, at), n);
	uint32_t sum = csum_partial(p->buf + at, here, 0);
	uint32_t done = here;

	while (unlikely(done < n && p->next != PKT_NONE)) {
		p = area_next(a, p);
		here = min_u32(p->len, n - done);
		sum = csum_add_at(sum, csum_partial(pkt_data(p), here, 0), done);
		done += here;
	}
	return sum;
}

uint32_t pkt_pseudo_sum(const struct pkt *p, uint32_t len)
{
	const uint8_t *ip = pkt_l3(p);

	if (p->family == AF_INET)
		return csum_ipv4_pseudo(wire32_at(ip + IP4_SRC), wire32_at(ip + IP4_DST), len, p->proto);
	return csum_ipv6_pseudo(ip + IP6_SRC, ip + IP6_DST, len, p->proto);
}

enum drop pkt_csum_complete(const struct area *a, struct pkt *p)
{
	uint32_t field = (uint32_t)p->csum_start + p->csum_offset;
	uint32_t sum;

	if (p->csum != PKT_CSUM_PARTIAL)
		return DROP_NONE;
	if (p->csum_start < p->off || field + 2 > (uint32_t)p->off + p->len)
		return DROP_csum_bad;
	/* The field is in the sum: it holds the pseudo-header's. */
	sum = pkt_sum(a, p, p->csum_start, p->total_bytes);
	put_wire16(p->buf + field, csum_fold_udp(sum));
	p->csum = PKT_CSUM_COMPLETE;
	return DROP_NONE;
}

bool pkt_csum_ok(const struct area *a, struct pkt *p)
{
	uint32_t len = pkt_l3_bytes(p) - (uint32_t)(p->l4 - p->l3);
	uint32_t sum = 0;

	if (p->csum != PKT_CSUM_NONE)
		return true;
	if ((p->flags & (PKT_L4 | PKT_FRAG)) != PKT_L4)
		return false;
	switch (p->proto) {
	case IPPROTO_UDP: {
		uint32_t udp_len = be16_at(pkt_l4(p) + UDP_LEN);

		/* RFC 768: length is of header and data; what follows in the IP packet is not the datagram's. */
		if (udp_len < UDP_HLEN_BYTES || udp_len > len)
			return false;
		if (wire16_at(pkt_l4(p) + UDP_CSUM) == 0)
			return p->family == AF_INET;	/* RFC 8200 8.1: not optional in IPv6 */
		len = udp_len;
		sum = pkt_pseudo_sum(p, len);
		break;
	}
	case IPPROTO_TCP:
	case IPPROTO_ICMPV6:
		sum = pkt_pseudo_sum(p, len);
		break;
	default:		/* ICMP: the parser sets PKT_L4 for no other protocol */
		break;
	}
	if (csum_fold(csum_add(sum, pkt_sum(a, p, p->l4, len))) != 0)
		return false;
	p->csum = PKT_CSUM_COMPLETE;
	return true;
}
