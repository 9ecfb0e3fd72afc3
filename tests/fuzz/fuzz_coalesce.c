/* SPDX-License-Identifier: MIT */
/*
 * Batches, compared with the twin and segmented again. Byte 0: types that the port takes, link layer or not; then
 * packets, each a byte for what to do and what belongs to it:
 *
 *	0xxxxxxx	a packet of the next xxxxxxx bytes
 *	1psuullv	the last packet again: p: one byte of it is set (offset, value: two bytes follow); s: its sequence
 *			stays; uu: 0 to 3 bytes of payload less; ll: its size of frames; v: without making the checksums
 *			right again
 */
#include "tests/fuzz/fuzz_area.h"
#include "user/packet/wire.h"

#include "tests/unit/offload/coalesce_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PKT_BYTES_MAX 400u

static struct area *stream_area(void)
{
	return fuzz_area();
}

struct last {
	uint32_t len;
	uint8_t b[PKT_BYTES_MAX];
};

static struct pkt *parsed(const struct last *last, uint32_t frame_bytes, bool eth)
{
	struct pkt *p = fuzz_pkt(stream_area(), last->b, last->len, frame_bytes);
	enum drop why = eth ? pkt_parse_eth(p) : pkt_parse_ip(p);

	if (why != DROP_NONE) {
		pkt_put(stream_area(), p);
		return NULL;
	}
	pkt_trim(stream_area(), p, p->total_bytes);
	return p;
}

static void set_len(struct last *last, const struct pkt *p, uint32_t len)
{
	uint32_t l3 = (uint32_t)(p->l3 - p->off), l4 = (uint32_t)(p->l4 - p->off);

	last->len = len;
	if (p->family == AF_INET)
		put_be16(last->b + l3 + IP4_TOTAL, (uint16_t)(len - l3));
	else
		put_be16(last->b + l3 + IP6_PLEN, (uint16_t)(len - l3 - IP6_HLEN));
	if (p->proto == IPPROTO_UDP)
		put_be16(last->b + l4 + UDP_LEN, (uint16_t)(len - l4));
}

static void fix_csums(struct last *last, const struct pkt *p, bool partial)
{
	uint32_t l3 = (uint32_t)(p->l3 - p->off), l4 = (uint32_t)(p->l4 - p->off), n = last->len - l4, sum;
	uint8_t *ip = last->b + l3, *field = last->b + l4 + (p->proto == IPPROTO_UDP ? UDP_CSUM : TCP_CSUM);

	if (p->family == AF_INET) {
		put_be16(ip + IP4_CSUM, 0);
		put_be16(ip + IP4_CSUM, (uint16_t)~twin_sum(ip, (ip[0] & 15u) * 4, 0));
	}
	sum = twin_pseudo(ip, p->proto, n);
	put_be16(field, 0);
	if (!partial)
		sum = (uint16_t)~twin_sum(last->b + l4, n, sum);
	put_be16(field, (uint16_t)sum);
}

/* The next of the stream that the last packet is in. */
static void derive(struct last *last, uint8_t op, bool partial, bool eth)
{
	struct pkt *p = parsed(last, PKT_BYTES_MAX, eth);
	uint32_t l3, l4, bytes, less = op >> 3 & 3;

	if (!p)
		return;
	l3 = (uint32_t)(p->l3 - p->off);
	l4 = (uint32_t)(p->l4 - p->off);
	bytes = p->total_bytes - (uint32_t)(p->payload - p->off);
	if (!(p->flags & PKT_L4) || p->flags & PKT_FRAG || (p->proto != IPPROTO_TCP && p->proto != IPPROTO_UDP))
		goto out;
	if (p->family == AF_INET)
		put_be16(last->b + l3 + IP4_ID, (uint16_t)(be16_at(last->b + l3 + IP4_ID) + 1));
	if (p->proto == IPPROTO_TCP && !(op & 0x20))
		put_be32(last->b + l4 + TCP_SEQ, be32_at(last->b + l4 + TCP_SEQ) + bytes);
	set_len(last, p, p->total_bytes - (bytes > less ? less : 0));
	if (!(op & 1))
		fix_csums(last, p, partial);
out:
	pkt_put(stream_area(), p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct siphash_key key = { 1, 2 };
	static struct coalescer c;
	static struct stream s;
	static struct last last;
	const uint8_t *end = data + size;
	bool eth, partial;
	uint32_t types;

	if (size < 2)
		return 0;
	types = data[0] & ALL_TYPES;
	eth = data[0] & 0x10;
	partial = data[0] & 0x20;
	last.len = 0;
	coalesce_init(&c, &key);
	for (data++; data < end && s.n < 100;) {
		uint8_t op = *data++;
		uint32_t frame_bytes = PKT_BYTES_MAX;
		struct pkt *p;

		if (op & 0x80) {
			if (op & 0x40 && end - data >= 2 && last.len > 0) {
				last.b[data[0] % last.len] = data[1];
				data += 2;
			}
			derive(&last, op, partial, eth);
			frame_bytes = op & 6 ? PKT_BYTES_MAX : 100;
		} else {
			last.len = min_u32(op, (uint32_t)(end - data));
			memcpy(last.b, data, last.len);
			data += last.len;
		}
		p = last.len > 0 ? parsed(&last, frame_bytes, eth) : NULL;
		if (!p)
			continue;
		if (partial)
			pkt_find_partial(p);
		stream_add(&s, p);
	}
	stream_run(&s, &c, types);
	fuzz_area_check(stream_area());
	return 0;
}
