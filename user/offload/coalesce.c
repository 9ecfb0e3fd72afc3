/* SPDX-License-Identifier: MIT */
#include "user/offload/coalesce.h"

#include "common/csum.h"
#include "user/net/ipv4.h"
#include "user/net/pkt_csum.h"
#include "user/packet/wire.h"

#include <netinet/in.h>
#include <sys/socket.h>

/*
 * What every segment passes through is compiled for each type of packet by itself: the type is a constant, and what it
 * decides is decided by the compiler.
 */
#define fast_path inline __attribute__((always_inline))
#define slow_path __attribute__((noinline))

#define FLOW_NONE COALESCE_FLOWS_MAX
#define IP4_FRAG_RESERVED 0x80		/* in the first byte of the field */

static_assert(PKT_FRAMES_MAX <= COALESCE_SEGS_MAX, "each segment has a frame: frames are the bound");
static_assert(FLOW_NONE <= UINT8_MAX, "a flow's number fits into a byte");

void coalesce_init(struct coalescer *c, const struct siphash_key *key)
{
	memset(c, 0, sizeof(*c));
	for (unsigned int i = 0; i < COALESCE_KEYS; i++)
		c->key[i] = siphash13_2u64(UINT64_C(0x636f616c65736365), i, key);
	memset(c->bucket, FLOW_NONE, sizeof(c->bucket));
}

/* What is coalesced, with its family: PKT_GSO_UDP alone does not tell it. */
enum kind { TCP4, TCP6, UDP4, UDP6 };

static fast_path bool is_udp(enum kind kind)
{
	return kind == UDP4 || kind == UDP6;
}

static fast_path bool is_ip4(enum kind kind)
{
	return kind == TCP4 || kind == UDP4;
}

static fast_path uint16_t csum_field(enum kind kind)
{
	return is_udp(kind) ? UDP_CSUM : TCP_CSUM;
}

static fast_path uint8_t type_of(enum kind kind)
{
	return is_udp(kind) ? PKT_GSO_UDP : is_ip4(kind) ? PKT_GSO_TCP4 : PKT_GSO_TCP6;
}

static enum kind kind_of(const struct pkt *p)
{
	if (p->proto == IPPROTO_UDP)
		return p->family == AF_INET ? UDP4 : UDP6;
	return p->family == AF_INET ? TCP4 : TCP6;
}

/* ---- Chains ------------------------------------------------------------------------------------------------------ */

/* Bytes that an open chain has more than its first packet. */
static fast_path uint32_t added_bytes(const struct coalesce_flow *f)
{
	return (f->n_segs - 1u) * f->seg_bytes - f->short_bytes;
}

/* One's complement addition of two. */
static fast_path uint16_t sum16(uint16_t a, uint16_t b)
{
	uint32_t sum = (uint32_t)a + b;

	return (uint16_t)(sum + (sum >> 16));
}

/* A 16-bit sum in which a length grows, as it does in a header and in a pseudo-header. Neither overflows. */
static fast_path uint16_t sum_grow(uint16_t sum, uint32_t added)
{
	return sum16(sum, htobe16((uint16_t)added));
}

/* Bring the headers of a chain of several packets up to date. */
static fast_path void write_headers(const struct coalesce_flow *f, enum kind kind)
{
	struct pkt *p = f->head;
	uint8_t *ip = pkt_l3(p), *l4 = ip + (is_ip4(kind) ? IP4_HLEN_MIN : IP6_HLEN), *field = l4 + csum_field(kind);
	uint32_t added = added_bytes(f);

	p->total_bytes += added;
	p->n_frames = (uint8_t)(f->n_segs + f->more_frames);
	p->gso = type_of(kind);
	p->gso_size = f->seg_bytes;
	p->gso_segs = f->n_segs;
	if (is_ip4(kind)) {
		put_be16(ip + IP4_TOTAL, (uint16_t)(be16_at(ip + IP4_TOTAL) + added));
		put_wire16(ip + IP4_CSUM, (uint16_t)~sum_grow((uint16_t)~wire16_at(ip + IP4_CSUM), added));
	} else {
		put_be16(ip + IP6_PLEN, (uint16_t)(be16_at(ip + IP6_PLEN) + added));
	}
	if (is_udp(kind))
		put_be16(l4 + UDP_LEN, (uint16_t)(be16_at(l4 + UDP_LEN) + added));
	if (likely(p->csum == PKT_CSUM_PARTIAL)) {
		put_wire16(field, sum_grow(wire16_at(field), added));
		return;
	}
	put_wire16(field, csum_fold16(pkt_pseudo_sum(p, p->total_bytes - (uint32_t)(p->l4 - p->off))));
	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = p->l4;
	p->csum_offset = csum_field(kind);
}

static slow_path void write_headers_tcp4(const struct coalesce_flow *f) { write_headers(f, TCP4); }
static slow_path void write_headers_tcp6(const struct coalesce_flow *f) { write_headers(f, TCP6); }
static slow_path void write_headers_udp4(const struct coalesce_flow *f) { write_headers(f, UDP4); }
static slow_path void write_headers_udp6(const struct coalesce_flow *f) { write_headers(f, UDP6); }

static fast_path void chain_finish(const struct coalesce_flow *f)
{
	static void (*const write[])(const struct coalesce_flow *) = {
		[TCP4] = write_headers_tcp4, [TCP6] = write_headers_tcp6,
		[UDP4] = write_headers_udp4, [UDP6] = write_headers_udp6,
	};

	if (f->head && f->n_segs > 1)
		write[f->kind](f);
}

static fast_path void chain_end(struct coalesce_flow *f)
{
	chain_finish(f);
	f->head = NULL;
	f->alike_max = 0;
}

static struct pkt *last_frame(const struct area *a, struct pkt *p)
{
	while (p->next != PKT_NONE)
		p = area_next(a, p);
	return p;
}

/* ---- Checksums --------------------------------------------------------------------------------------------------- */

/* Is the IPv4 header's checksum right, and written as segmenting would write it? */
static fast_path bool verify_ip4(const uint8_t *ip)
{
	return wire16_at(ip + IP4_CSUM) != 0xffff && csum_is_zero(csum_ipv4_header64(ip, IP4_HLEN_MIN / 4));
}

/* Is a partial checksum where it belongs, and the sum of the pseudo-header? */
static fast_path bool verify_partial(const struct pkt *p, enum kind kind)
{
	const uint8_t proto = is_udp(kind) ? IPPROTO_UDP : IPPROTO_TCP;
	uint32_t bytes = p->total_bytes - (uint32_t)(p->l4 - p->off);
	const uint8_t *ip = pkt_l3(p);
	uint64_t sum;

	if (is_ip4(kind))
		sum = csum_ipv4_pseudo64(wire32_at(ip + IP4_SRC), wire32_at(ip + IP4_DST), bytes, proto);
	else
		sum = csum_ipv6_pseudo64(ip + IP6_SRC, ip + IP6_DST, bytes, proto);
	return p->csum_start == p->l4 && p->csum_offset == csum_field(kind) &&
	       csum_is_zero(sum + (uint16_t)~wire16_at(pkt_l4(p) + csum_field(kind)));
}

static bool verify(const struct area *a, struct pkt *p, enum kind kind)
{
	uint16_t field = wire16_at(pkt_l4(p) + csum_field(kind));

	if (is_ip4(kind) && !verify_ip4(pkt_l3(p)))
		return false;
	if (p->csum == PKT_CSUM_PARTIAL)
		return verify_partial(p, kind);
	if (!is_udp(kind) && (field == 0 || field == 0xffff))
		return false;
	return pkt_csum_ok(a, p);
}

/* ---- Packets that are like the chain's first one in all that may be alike -------------------------------------------
 *
 * In a stream all segments are, but for the last of a burst. So there is no need to understand such a packet: where its
 * metadata and its headers, taken as numbers, are the head's, all that was found of the head holds for it, too.
 */

/* Metadata from @field on, as a number. */
#define META64(p, field) u64_at((const uint8_t *)(p) + offsetof(struct pkt, field))
#define META32(p, field) u32_at((const uint8_t *)(p) + offsetof(struct pkt, field))

static_assert(offsetof(struct pkt, off) == offsetof(struct pkt, total_bytes) + 4, "total_bytes, off, len");
static_assert(offsetof(struct pkt, len) == offsetof(struct pkt, total_bytes) + 6, "total_bytes, off, len");
static_assert(offsetof(struct pkt, flags) == offsetof(struct pkt, l3) + 6, "l3, l4, payload, flags");
static_assert(offsetof(struct pkt, n_vlans) == offsetof(struct pkt, place) + 7, "place to n_vlans");
static_assert(offsetof(struct pkt, gso_size) == offsetof(struct pkt, csum) + 6, "csum to gso_size");
static_assert(offsetof(struct pkt, refs) == offsetof(struct pkt, gso_segs) + 2, "gso_segs, refs");

/* 8 bytes in memory's order, by which of them count. */
#define BYTES64(a, b, c, d, e, f, g, h)                                                                               \
	htobe64(UINT64_C(0xff) * (UINT64_C(a) << 56 | UINT64_C(b) << 48 | UINT64_C(c) << 40 | UINT64_C(d) << 32 |      \
				  UINT64_C(e) << 24 | UINT64_C(f) << 16 | UINT64_C(g) << 8 | UINT64_C(h)))

/*
 * What the fields of an IPv4 header that may be another in packets that are alike add up to: identification and
 * checksum. Where this and all others are the same, one header's checksum is right if the other's is.
 */
static fast_path uint16_t ip4_rest(const uint8_t *ip)
{
	return sum16(wire16_at(ip + IP4_ID), wire16_at(ip + IP4_CSUM));
}

static fast_path bool same_meta(const struct pkt *a, const struct pkt *b)
{
	uint64_t diff = META64(a, total_bytes) ^ META64(b, total_bytes);

	diff |= META64(a, l3) ^ META64(b, l3);
	diff |= META64(a, place) ^ META64(b, place);
	diff |= META64(a, csum) ^ META64(b, csum);
	diff |= META32(a, gso_segs) ^ META32(b, gso_segs);
	return (diff | (uint32_t)(a->iface_out ^ b->iface_out)) == 0;
}

/* Difference of two headers. Not looked at: IPv4's identification and checksum; TCP's sequence and options. */
static fast_path uint64_t diff_headers(const uint8_t *a, const uint8_t *b, enum kind kind)
{
	uint64_t diff;

	if (is_ip4(kind)) {
		diff = (u64_at(a) ^ u64_at(b)) & BYTES64(1, 1, 1, 1, 0, 0, 1, 1);
		diff |= (u64_at(a + IP4_TTL) ^ u64_at(b + IP4_TTL)) & BYTES64(1, 1, 0, 0, 1, 1, 1, 1);
		diff |= u64_at(a + IP4_DST) ^ u64_at(b + IP4_DST);	/* and the ports */
		a += IP4_HLEN_MIN;
		b += IP4_HLEN_MIN;
	} else {
		diff = u64_at(a) ^ u64_at(b);
		for (unsigned int i = IP6_SRC; i < IP6_HLEN; i += 8)
			diff |= u64_at(a + i) ^ u64_at(b + i);
		a += IP6_HLEN;
		b += IP6_HLEN;
		diff |= u32_at(a) ^ u32_at(b);				/* the ports */
	}
	if (is_udp(kind))
		return diff | (u32_at(a + UDP_LEN) ^ u32_at(b + UDP_LEN));
	diff |= u64_at(a + TCP_ACK) ^ u64_at(b + TCP_ACK);
	return diff | (u32_at(a + TCP_CSUM) ^ u32_at(b + TCP_CSUM));
}

#define TCP_TIMESTAMP_BYTES 12u		/* the option, padded as all do */

static fast_path uint64_t diff_timestamp(const uint8_t *a, const uint8_t *b)
{
	a += TCP_HLEN_MIN;
	b += TCP_HLEN_MIN;
	return (u64_at(a) ^ u64_at(b)) | (u32_at(a + 8) ^ u32_at(b + 8));
}

static slow_path bool same_l2(const struct pkt *a, const struct pkt *b)
{
	uint32_t bytes = (uint32_t)(a->l3 - a->off);

	return bytes == (uint32_t)(b->l3 - b->off) && memcmp(pkt_data(a), pkt_data(b), bytes) == 0;
}

/*
 * A second packet has come: if nothing is odd about the first, see to it that others can be compared with it so.
 *
 * A whole checksum is another in each packet, and reads all payload to be verified: that waits until it must be.
 */
static fast_path void alike_prepare(struct coalesce_flow *f, const struct pkt *head, enum kind kind)
{
	uint32_t options = (uint32_t)(head->payload - head->l4) - TCP_HLEN_MIN, most;
	const uint8_t *ip = pkt_l3(head);

	f->prepared = true;
	if (head->n_frames > 1 || head->csum != PKT_CSUM_PARTIAL ||
	    (!is_udp(kind) && options != TCP_TIMESTAMP_BYTES && options != 0))
		return;
	if ((is_ip4(kind) && !verify_ip4(ip)) || !verify_partial(head, kind))
		return;
	f->verified = true;
	f->head_ip = ip;
	if (is_ip4(kind))
		f->ip4_rest = ip4_rest(ip);
	f->timestamp = options != 0;
	f->link_layer = head->off != head->l3;
	f->alike_off = head->payload;
	f->alike_len = f->seg_bytes;
	most = COALESCE_BYTES_MAX - (uint32_t)(head->payload - head->l3) - f->seg_bytes;
	f->alike_max = PKT_FRAMES_MAX;
	if (unlikely(most < (PKT_FRAMES_MAX - 1u) * f->seg_bytes))
		f->alike_max = (uint16_t)(1 + most / f->seg_bytes);
}

static fast_path bool alike_join(struct coalesce_flow *f, struct pkt *p, const uint8_t *ip, enum kind kind)
{
	const struct pkt *head = f->head;
	const uint32_t hlen = is_ip4(kind) ? IP4_HLEN_MIN : IP6_HLEN;
	const uint8_t *head_ip = f->head_ip;
	uint64_t diff;

	if (!same_meta(head, p))
		return false;
	diff = diff_headers(head_ip, ip, kind);
	if (!is_udp(kind)) {
		diff |= be32_at(ip + hlen + TCP_SEQ) ^ f->next_seq;
		if (likely(f->timestamp))
			diff |= diff_timestamp(head_ip + hlen, ip + hlen);
	}
	if (diff != 0)
		return false;
	if (is_ip4(kind) && (ip4_rest(ip) != f->ip4_rest || wire16_at(ip + IP4_CSUM) == 0xffff))
		return false;
	if (is_ip4(kind) && !(ip[IP4_FRAG] & (IP4_FRAG_DF >> 8)) &&
	    be16_at(ip + IP4_ID) != (uint16_t)(be16_at(head_ip + IP4_ID) + f->n_segs))
		return false;
	if (unlikely(f->link_layer) && !same_l2(head, p))
		return false;
	f->next_seq += f->seg_bytes;
	f->n_segs++;
	f->tail->next = p->frame;
	f->tail = p;
	p->off = f->alike_off;
	p->len = f->alike_len;
	return true;
}

/* ---- All others -------------------------------------------------------------------------------------------------- */

static bool same_ip4(const uint8_t *a, const uint8_t *b, uint32_t nth)
{
	uint32_t diff = (uint32_t)(wire16_at(a) ^ wire16_at(b)) | (u32_at(a + IP4_SRC) ^ u32_at(b + IP4_SRC)) |
			(u32_at(a + IP4_DST) ^ u32_at(b + IP4_DST)) |
			(uint32_t)(wire16_at(a + IP4_FRAG) ^ wire16_at(b + IP4_FRAG)) |
			(uint32_t)(wire16_at(a + IP4_TTL) ^ wire16_at(b + IP4_TTL));	/* and protocol */

	return diff == 0 &&
	       (b[IP4_FRAG] & (IP4_FRAG_DF >> 8) || be16_at(b + IP4_ID) == (uint16_t)(be16_at(a + IP4_ID) + nth));
}

static bool same_ip6(const uint8_t *a, const uint8_t *b)
{
	return memcmp(a, b, IP6_PLEN) == 0 && memcmp(a + IP6_NEXT, b + IP6_NEXT, IP6_HLEN - IP6_NEXT) == 0;
}

/* All but sequence, PSH and checksum. */
static bool same_tcp(const uint8_t *a, const uint8_t *b)
{
	uint32_t hlen = (a[TCP_DOFF] >> 4) * 4u;

	/* Their lengths are compared before it is relied on that they are the same. */
	return u32_at(a) == u32_at(b) && u32_at(a + TCP_ACK) == u32_at(b + TCP_ACK) && a[TCP_DOFF] == b[TCP_DOFF] &&
	       ((a[TCP_FLAGS] ^ b[TCP_FLAGS]) & ~TCP_PSH) == 0 &&
	       wire16_at(a + TCP_WINDOW) == wire16_at(b + TCP_WINDOW) &&
	       memcmp(a + TCP_URGENT, b + TCP_URGENT, hlen - TCP_URGENT) == 0;
}

/* Does a packet with @bytes of payload fit into the chain and into a superpacket at all? */
static bool fits(const struct coalesce_flow *f, const struct pkt *p, uint32_t bytes)
{
	if (bytes == 0 || bytes > f->seg_bytes || pkt_l3_bytes(f->head) + added_bytes(f) + bytes > COALESCE_BYTES_MAX ||
	    (uint32_t)f->n_segs + f->more_frames + p->n_frames > PKT_FRAMES_MAX)
		return false;
	/* A first frame of nothing but headers would be an empty one in the chain. */
	return p->gso == PKT_GSO_NONE && p->refs == 0 && pkt_linear_bytes(p, p->payload) > 0;
}

/* Are the headers what the chain's next packet has? Flags, fragments and the like are what they were in the head. */
static bool follows(const struct coalesce_flow *f, const struct pkt *p, uint32_t bytes, enum kind kind)
{
	const struct pkt *head = f->head;
	const uint8_t *l4 = pkt_l4(p);

	if (p->iface_out != head->iface_out || !same_l2(head, p))
		return false;
	if (is_ip4(kind) ? !same_ip4(pkt_l3(head), pkt_l3(p), f->n_segs) : !same_ip6(pkt_l3(head), pkt_l3(p)))
		return false;
	if (is_udp(kind))
		return u32_at(pkt_l4(head)) == u32_at(l4) && be16_at(l4 + UDP_LEN) == UDP_HLEN_BYTES + bytes &&
		       wire16_at(l4 + UDP_CSUM) != 0;
	return be32_at(l4 + TCP_SEQ) == f->next_seq && same_tcp(pkt_l4(head), l4);
}

/* Return: false when the packet must not be in the chain */
static slow_path bool any_join(const struct area *a, struct coalesce_flow *f, struct pkt *p, enum kind kind)
{
	uint32_t bytes = p->total_bytes - (uint32_t)(p->payload - p->off);
	struct pkt *head = f->head;
	bool psh = p->tcp_flags & TCP_PSH;

	if (!fits(f, p, bytes) || !follows(f, p, bytes, kind))
		return false;
	/* Payload is read as late as here: what has nothing to be joined with is not verified. */
	if (!f->verified && !verify(a, head, kind))
		return false;
	f->verified = true;
	if (!verify(a, p, kind))
		return false;

	/* Who follows a packet will not lose it here. */
	if (p->flags & PKT_TRACE && !(head->flags & PKT_TRACE)) {
		head->flags |= PKT_TRACE;
		head->trace_id = p->trace_id;
	}
	f->next_seq += bytes;
	f->short_bytes = (uint16_t)(f->seg_bytes - bytes);
	f->more_frames = (uint16_t)(f->more_frames + p->n_frames - 1);
	/* A chain of packets of several frames is counted with care to its end. */
	if (f->more_frames > 0)
		f->alike_max = 0;
	f->n_segs++;
	last_frame(a, f->tail)->next = p->frame;
	f->tail = p;
	p->len = (uint16_t)(p->len + p->off - p->payload);
	p->off = p->payload;
	if (psh) {
		pkt_l4(head)[TCP_FLAGS] |= TCP_PSH;
		head->tcp_flags |= TCP_PSH;
	}
	if (psh || bytes < f->seg_bytes)
		chain_end(f);
	return true;
}

/* ---- Flows ------------------------------------------------------------------------------------------------------- */

/*
 * Pair-multiply-shift (Thorup, "High speed hashing for integers and strings", 3.5): 32-bit words are added to secret
 * numbers and multiplied in pairs. The upper half of the sum is a universal hash: any two flows, whoever chose them, have
 * the same with a probability of 2^-32.
 */
static fast_path uint64_t hash_pair(const uint64_t *key, uint32_t a, uint32_t b)
{
	return (key[0] + a) * (key[1] + b);
}

static fast_path uint64_t flow_tag(const struct coalescer *c, const uint8_t *ip, const uint8_t *l4, uint16_t iface_out,
				   enum kind kind)
{
	/* Interfaces belong to one port each: the way out is in the hash, too. */
	uint64_t sum = hash_pair(c->key, u32_at(l4), iface_out | (uint32_t)kind << 16);

	if (is_ip4(kind))
		return sum + hash_pair(c->key + 2, u32_at(ip + IP4_SRC), u32_at(ip + IP4_DST));
	for (unsigned int i = 0; i < 32; i += 8)
		sum += hash_pair(c->key + 2 + i / 4, u32_at(ip + IP6_SRC + i), u32_at(ip + IP6_SRC + i + 4));
	return sum;
}

/*
 * What is one-to-one keeps the hash universal: two flows meet in a bucket once in COALESCE_BUCKETS. Without it, ports that
 * follow each other, as those of one host's connections do, would be in a row or, by bad luck, all in few buckets.
 */
static fast_path uint8_t *flow_bucket(struct coalescer *c, uint64_t tag)
{
	uint32_t hash = (uint32_t)(tag >> 32);

	hash ^= hash >> 15;
	hash *= UINT32_C(0x9e3779b1);
	return &c->bucket[hash >> (32 - __builtin_ctz(COALESCE_BUCKETS))];
}

/*
 * Two flows with the same tag share a place: what comes of one then ends the chain of the other, and no more harm is
 * done.
 */
static fast_path struct coalesce_flow *flow_find(struct coalescer *c, uint64_t tag)
{
	unsigned int i = *flow_bucket(c, tag);
	struct coalesce_flow *f = &c->flow[i];

	while (unlikely(f->tag != tag) && i != FLOW_NONE) {
		i = f->next;
		f = &c->flow[i];
	}
	return f;
}

static fast_path bool is_none(const struct coalescer *c, const struct coalesce_flow *f)
{
	return f == &c->flow[FLOW_NONE];
}

/* The table is full: the oldest flow leaves. Return: its place */
static slow_path uint8_t flow_leave(struct coalescer *c)
{
	uint8_t flow = (uint8_t)c->oldest, *at;

	c->oldest = (c->oldest + 1) % COALESCE_FLOWS_MAX;
	chain_end(&c->flow[flow]);
	at = flow_bucket(c, c->flow[flow].tag);
	while (*at != flow)
		at = &c->flow[*at].next;
	*at = c->flow[flow].next;
	return flow;
}

static fast_path struct coalesce_flow *flow_enter(struct coalescer *c, uint64_t tag)
{
	unsigned int flow = likely(c->n_flows < COALESCE_FLOWS_MAX) ? c->n_flows++ : flow_leave(c);
	uint8_t *bucket = flow_bucket(c, tag);
	struct coalesce_flow *f = &c->flow[flow];

	f->tag = tag;
	f->next = *bucket;
	*bucket = (uint8_t)flow;
	return f;
}

static void end_all(struct coalescer *c)
{
	if (c->n_flows == 0)
		return;
	for (const struct coalesce_flow *f = c->flow, *end = f + c->n_flows; f < end; f++)
		chain_finish(f);
	c->n_flows = 0;
	c->oldest = 0;
	memset(c->bucket, FLOW_NONE, sizeof(c->bucket));
}

/* ---- The batch --------------------------------------------------------------------------------------------------- */

/* May this packet be the first of a chain? */
static fast_path bool may_begin(const struct pkt *p, uint32_t bytes, uint32_t types, enum kind kind)
{
	const uint8_t *ip = pkt_l3(p), *l4 = ip + (is_ip4(kind) ? IP4_HLEN_MIN : IP6_HLEN);

	if (!(types >> type_of(kind) & 1) || p->gso != PKT_GSO_NONE || p->refs > 0 || bytes == 0)
		return false;
	if (is_ip4(kind) && ip[IP4_FRAG] & IP4_FRAG_RESERVED)
		return false;
	if (is_udp(kind))
		return be16_at(l4 + UDP_LEN) == UDP_HLEN_BYTES + bytes && wire16_at(l4 + UDP_CSUM) != 0;
	/* What PSH is on is the last of a chain, and so nothing's first. */
	return (p->tcp_flags & ~TCP_ECE) == TCP_ACKED;
}

/* Put a packet out, and see if others can be joined to it. @f: its flow, without a chain, or none */
static fast_path void chain_begin(struct coalescer *c, struct coalesce_flow *f, struct pkt *p, uint64_t tag,
				  enum kind kind)
{
	uint32_t bytes = p->total_bytes - (uint32_t)(p->payload - p->off);

	*c->out++ = p;
	if (!may_begin(p, bytes, c->takes[p->port_out], kind))
		return;
	if (likely(is_none(c, f)))
		f = flow_enter(c, tag);
	f->kind = (uint8_t)kind;
	f->head = p;
	f->tail = p;
	f->next_seq = be32_at(pkt_l3(p) + (is_ip4(kind) ? IP4_HLEN_MIN : IP6_HLEN) + TCP_SEQ) + bytes;
	f->seg_bytes = (uint16_t)bytes;
	f->n_segs = 1;
	f->short_bytes = 0;
	f->more_frames = (uint16_t)(p->n_frames - 1);
	f->alike_max = 0;
	f->prepared = false;
	f->verified = false;
}

/* There is a chain, and its head was not found to be like this packet. Return: false when the chain has ended */
static fast_path bool unlike_join(struct coalescer *c, struct coalesce_flow *f, struct pkt *p, enum kind kind)
{
	if (!f->prepared) {
		alike_prepare(f, f->head, kind);
		if (f->alike_max > 1 && alike_join(f, p, pkt_l3(p), kind))
			return true;
	}
	if (any_join(c->area, f, p, kind))
		return true;
	chain_end(f);
	return false;
}

/* The paths that are less common, out of line for each kind. */
#define PATHS(kind, KIND)                                                                                             \
	static slow_path void chain_begin_##kind(struct coalescer *c, struct coalesce_flow *f, struct pkt *p,          \
						 uint64_t tag)                                                         \
	{                                                                                                              \
		chain_begin(c, f, p, tag, KIND);                                                                       \
	}                                                                                                              \
	static slow_path bool unlike_join_##kind(struct coalescer *c, struct coalesce_flow *f, struct pkt *p)          \
	{                                                                                                              \
		return unlike_join(c, f, p, KIND);                                                                     \
	}                                                                                                              \
	static fast_path void push_##kind(struct coalescer *c, struct pkt *p)                                          \
	{                                                                                                              \
		const uint8_t *ip = pkt_l3(p), *l4 = ip + (is_ip4(KIND) ? IP4_HLEN_MIN : IP6_HLEN);                    \
		uint64_t tag = flow_tag(c, ip, l4, p->iface_out, KIND);                                                \
		struct coalesce_flow *f = flow_find(c, tag);                                                           \
                                                                                                                       \
		if (likely(f->n_segs < f->alike_max && alike_join(f, p, ip, KIND)))                                    \
			return;                                                                                        \
		if (!f->head || !unlike_join_##kind(c, f, p))                                                          \
			chain_begin_##kind(c, f, p, tag);                                                              \
	}

PATHS(tcp4, TCP4)
PATHS(tcp6, TCP6)
PATHS(udp4, UDP4)
PATHS(udp6, UDP6)

/* A packet that is not TCP or UDP, or has more than the common headers, or cannot be read. */
static slow_path void push_odd(struct coalescer *c, struct pkt *p)
{
	bool transport = p->proto == IPPROTO_TCP || p->proto == IPPROTO_UDP;
	struct coalesce_flow *f;

	*c->out++ = p;
	if (p->family == 0 || p->flags & PKT_FRAG || (transport && !(p->flags & PKT_L4))) {
		end_all(c);
	} else if (transport) {
		f = flow_find(c, flow_tag(c, pkt_l3(p), pkt_l4(p), p->iface_out, kind_of(p)));
		if (!is_none(c, f))
			chain_end(f);
	}
}

unsigned int coalesce_batch(struct coalescer *c, const struct area *a, struct pkt *const *in, unsigned int n,
			    const uint32_t *takes, struct pkt **out)
{
	c->area = a;
	c->takes = takes;
	c->out = out;
	for (unsigned int i = 0; i < n; i++) {
		struct pkt *p = in[i];
		bool tcp = p->proto == IPPROTO_TCP;

		if (unlikely((p->flags & (PKT_L4 | PKT_FRAG | PKT_IP_OPTIONS)) != PKT_L4 ||
			     (!tcp && p->proto != IPPROTO_UDP)))
			push_odd(c, p);
		else if (tcp && p->family == AF_INET)
			push_tcp4(c, p);
		else if (tcp)
			push_tcp6(c, p);
		else if (p->family == AF_INET)
			push_udp4(c, p);
		else
			push_udp6(c, p);
	}
	end_all(c);
	return (unsigned int)(c->out - out);
}
