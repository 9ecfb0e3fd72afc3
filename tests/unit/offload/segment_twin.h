/* SPDX-License-Identifier: MIT */
/* Segmentation again: slow, flat, and with every checksum computed from its definition. */
#ifndef TESTS_UNIT_OFFLOAD_SEGMENT_TWIN_H
#define TESTS_UNIT_OFFLOAD_SEGMENT_TWIN_H

#include "tests/unit/packet/frames.h"

/* RFC 1071 1, in host order */
static inline uint32_t twin_sum(const uint8_t *b, uint32_t n, uint32_t sum)
{
	for (uint32_t i = 0; i < n; i++)
		sum += i % 2 ? b[i] : (uint32_t)b[i] << 8;
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Of the pseudo-header; @ip: an IP header, whose destination is the final one */
static inline uint32_t twin_pseudo(const uint8_t *ip, uint8_t proto, uint32_t len)
{
	uint32_t sum = proto + (len >> 16) + (len & 0xffff);

	return ip[0] >> 4 == 4 ? twin_sum(ip + 12, 8, sum) : twin_sum(ip + 8, 32, sum);
}

/*
 * Segment @i of a superpacket, flat, with all checksums whole. @l3, @l4, @payload: offsets in @super
 * Return: false when there is no such segment
 */
static inline bool twin_segment(const struct bytes *super, uint32_t l3, uint32_t l4, uint32_t payload, bool tcp,
				bool no_csum, uint32_t gso_size, uint32_t i, struct bytes *out)
{
	uint32_t total = super->len - payload, from = i * gso_size, n, field = l4 + (tcp ? 16 : 6), sum;
	bool last;

	if (from >= total && i > 0)
		return false;
	n = total - from < gso_size ? total - from : gso_size;
	last = from + n == total;
	memcpy(out->b, super->b, payload);
	memcpy(out->b + payload, super->b + payload + from, n);
	out->len = payload + n;
	if (out->b[l3] >> 4 == 4) {
		put_be16(out->b + l3 + 2, (uint16_t)(out->len - l3));
		put_be16(out->b + l3 + 4, (uint16_t)(be16_at(super->b + l3 + 4) + i));
		put_be16(out->b + l3 + 10, 0);
		put_be16(out->b + l3 + 10, (uint16_t)~twin_sum(out->b + l3, (out->b[l3] & 15u) * 4, 0));
	} else {
		put_be16(out->b + l3 + 4, (uint16_t)(out->len - l3 - 40));
	}
	if (tcp) {
		put_be32(out->b + l4 + 4, be32_at(super->b + l4 + 4) + from);
		if (!last)
			out->b[l4 + 13] &= 0xf6;
		if (i > 0)
			out->b[l4 + 13] &= 0x7f;
	} else {
		put_be16(out->b + l4 + 4, (uint16_t)(out->len - l4));
	}
	if (no_csum)
		return true;
	put_be16(out->b + field, 0);
	sum = twin_sum(out->b + l4, out->len - l4, twin_pseudo(out->b + l3, tcp ? 6 : 17, out->len - l4));
	sum = (uint16_t)~sum;
	put_be16(out->b + field, (uint16_t)(sum ? sum : 0xffff));
	return true;
}

#endif
