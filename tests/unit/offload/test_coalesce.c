/* SPDX-License-Identifier: MIT */
#include "tests/unit/net/area_fixture.h"

#define must(what) ck_assert(what)
#include "tests/unit/offload/coalesce_packets.h"
#include "tests/unit/offload/coalesce_stream.h"

static struct coalescer coalescer;
static struct stream stream;

static struct area *stream_area(void)
{
	return area;
}

static void setup(void)
{
	static const struct siphash_key key = { 1, 2 };

	area_setup();
	coalesce_init(&coalescer, &key);
	stream.n = 0;
}

/* ---- The rules' words --------------------------------------------------------------------------------------------- */

static void give(const struct seg *s)
{
	stream_add(&stream, make(s));
}

static unsigned int run(void)
{
	return stream_run(&stream, &coalescer, ALL_TYPES);
}

/* How many packets two become. What the twin says is checked anyway; here the rule is said once more. */
static unsigned int pair(struct seg a, struct seg b)
{
	give(&a);
	give(&b);
	return run();
}

#define JOINS(a, b) ck_assert_uint_eq(pair(a, b), 1)
#define PARTS(a, b) ck_assert_uint_eq(pair(a, b), 2)

/* The second packet of a flow, with one thing changed. */
#define CHANGED(base, change) ({ struct seg s_ = next_of(base); s_.change; s_; })
/* Both with the same change. */
#define BOTH(base, change) ({ struct seg s_ = (base); s_.change; s_; })

/* ---- The rules --------------------------------------------------------------------------------------------------- */

START_TEST(segments_that_follow_each_other_join)
{
	JOINS(tcp4, next_of(tcp4));
	JOINS(tcp6(), next_of(tcp6()));
	JOINS(udp4(), next_of(udp4()));
	JOINS(udp6(), next_of(udp6()));
}
END_TEST

START_TEST(types_that_the_way_out_does_not_take_pass)
{
	struct seg base[] = { tcp4, tcp6(), udp4() };

	for (unsigned int i = 0; i < ARRAY_SIZE(base); i++) {
		struct seg b = next_of(base[i]);

		give(&base[i]);
		give(&b);
		ck_assert_uint_eq(stream_run(&stream, &coalescer, ALL_TYPES & ~(1u << (PKT_GSO_TCP4 + i))), 2);
	}
}
END_TEST

START_TEST(same_5_tuple)
{
	struct seg base[] = { tcp4, tcp6(), udp4(), udp6() };

	for (unsigned int i = 0; i < ARRAY_SIZE(base); i++) {
		PARTS(base[i], CHANGED(base[i], src = 9));
		PARTS(base[i], CHANGED(base[i], dst = 9));
		PARTS(base[i], CHANGED(base[i], sport = 9));
		PARTS(base[i], CHANGED(base[i], dport = 9));
		PARTS(base[i], CHANGED(base[i], udp = !base[i].udp));
	}
}
END_TEST

START_TEST(same_way_out)
{
	PARTS(tcp4, CHANGED(tcp4, iface = 4));
}
END_TEST

START_TEST(ack_is_set)
{
	PARTS(BOTH(tcp4, flags = 0), CHANGED(tcp4, flags = 0));
	PARTS(BOTH(tcp4, flags = 0x40), CHANGED(tcp4, flags = 0x40));
}
END_TEST

START_TEST(flags_are_only_ack_psh_ece)
{
	static const uint8_t never[] = { 0x01, 0x02, 0x04, 0x20, 0x80 };

	for (unsigned int i = 0; i < ARRAY_SIZE(never); i++) {
		uint8_t flags = (uint8_t)(0x10 | never[i]);

		PARTS(BOTH(tcp4, flags = flags), BOTH(next_of(tcp4), flags = flags));
		PARTS(tcp4, CHANGED(tcp4, flags = flags));
		PARTS(BOTH(tcp4, flags = flags), next_of(tcp4));
	}
	JOINS(BOTH(tcp4, flags = 0x50), CHANGED(tcp4, flags = 0x50));
	PARTS(tcp4, CHANGED(tcp4, flags = 0x50));
	JOINS(tcp4, CHANGED(tcp4, flags = 0x18));
	JOINS(BOTH(tcp4, reserved = 1), CHANGED(tcp4, reserved = 1));
	PARTS(tcp4, CHANGED(tcp4, reserved = 1));
}
END_TEST

START_TEST(payload_is_not_empty)
{
	PARTS(BOTH(tcp4, bytes = 0), next_of(BOTH(tcp4, bytes = 0)));
	PARTS(tcp4, CHANGED(tcp4, bytes = 0));
	PARTS(udp4(), CHANGED(udp4(), bytes = 0));
	PARTS(BOTH(udp6(), bytes = 0), CHANGED(udp6(), bytes = 0));
}
END_TEST

START_TEST(ip_options_part)
{
	PARTS(BOTH(tcp4, ip_options = 8), CHANGED(tcp4, ip_options = 8));
	PARTS(tcp4, CHANGED(tcp4, ip_options = 8));
}
END_TEST

START_TEST(extension_headers_part)
{
	PARTS(BOTH(tcp6(), ip_options = 8), CHANGED(tcp6(), ip_options = 8));
	PARTS(tcp6(), CHANGED(tcp6(), ip_options = 8));
}
END_TEST

START_TEST(fragments_part)
{
	PARTS(BOTH(tcp4, frag = 0x2000), CHANGED(tcp4, frag = 0x2000));
	PARTS(tcp4, CHANGED(tcp4, frag = 0x2000));
	PARTS(tcp4, CHANGED(tcp4, frag = 0x4001));
	PARTS(BOTH(tcp4, frag = 0x8000), CHANGED(tcp4, frag = 0x8000));
}
END_TEST

START_TEST(header_length_is_equal)
{
	PARTS(tcp4, CHANGED(tcp4, options = 16));
	PARTS(tcp4, CHANGED(tcp4, options = 0));
	JOINS(BOTH(tcp4, options = 0), BOTH(next_of(tcp4), options = 0));
	JOINS(BOTH(tcp4, options = 40), BOTH(next_of(tcp4), options = 40));
}
END_TEST

START_TEST(sequence_is_contiguous)
{
	PARTS(tcp4, CHANGED(tcp4, seq = tcp4.seq));
	PARTS(tcp4, CHANGED(tcp4, seq++));
	PARTS(tcp4, CHANGED(tcp4, seq--));
	PARTS(next_of(tcp4), tcp4);
	/* Over the wrap. */
	JOINS(BOTH(tcp4, seq = UINT32_MAX), next_of(BOTH(tcp4, seq = UINT32_MAX)));
}
END_TEST

START_TEST(segment_is_not_larger_than_the_first)
{
	PARTS(tcp4, CHANGED(tcp4, bytes++));
	PARTS(udp4(), CHANGED(udp4(), bytes++));
	JOINS(tcp4, CHANGED(tcp4, bytes--));
	JOINS(tcp4, CHANGED(tcp4, bytes = 1));
	JOINS(udp6(), CHANGED(udp6(), bytes = 1));
	JOINS(BOTH(tcp4, bytes = 1), next_of(BOTH(tcp4, bytes = 1)));
}
END_TEST

START_TEST(ttl_is_equal)
{
	PARTS(tcp4, CHANGED(tcp4, ttl--));
	PARTS(tcp6(), CHANGED(tcp6(), ttl--));
	PARTS(udp4(), CHANGED(udp4(), ttl--));
}
END_TEST

START_TEST(dscp_is_equal)
{
	PARTS(tcp4, CHANGED(tcp4, tos = 0x04));
	PARTS(tcp6(), CHANGED(tcp6(), tos = 0x80));
}
END_TEST

START_TEST(ecn_is_equal)
{
	for (uint8_t a = 0; a < 4; a++) {
		for (uint8_t b = 0; b < 4; b++) {
			ck_assert_uint_eq(pair(BOTH(tcp4, tos = a), CHANGED(tcp4, tos = b)), a == b ? 1 : 2);
			ck_assert_uint_eq(pair(BOTH(udp6(), tos = a), CHANGED(udp6(), tos = b)), a == b ? 1 : 2);
		}
	}
}
END_TEST

START_TEST(other_header_bytes_are_equal)
{
	PARTS(tcp4, CHANGED(tcp4, ack++));
	PARTS(tcp4, CHANGED(tcp4, window++));
	PARTS(tcp4, CHANGED(tcp4, urgent++));
	PARTS(tcp4, CHANGED(tcp4, timestamp++));
	PARTS(tcp6(), CHANGED(tcp6(), flow_label++));
	PARTS(udp6(), CHANGED(udp6(), flow_label++));
	PARTS(tcp4, CHANGED(tcp4, frag = 0));
}
END_TEST

START_TEST(link_layer_is_equal)
{
	struct seg base = BOTH(tcp4, eth = true), tagged;
	struct pkt *a, *b;

	base.csum = _i ? PARTIAL : WHOLE;
	tagged = BOTH(base, vlans = 5);
	JOINS(base, next_of(base));
	JOINS(tagged, next_of(tagged));
	PARTS(base, next_of(tagged));
	PARTS(tagged, CHANGED(tagged, vlans = 6));
	for (unsigned int i = 0; i < 12; i++) {
		struct seg second = next_of(base);

		a = make(&base);
		b = make(&second);
		pkt_data(b)[i] ^= 0x80;
		stream_add(&stream, a);
		stream_add(&stream, b);
		ck_assert_uint_eq(run(), 2);
	}
}
END_TEST

START_TEST(ip4_id_is_consecutive)
{
	struct seg base = BOTH(tcp4, frag = 0), wrap = BOTH(base, id = 0xffff);

	JOINS(base, next_of(base));
	JOINS(wrap, next_of(wrap));
	PARTS(base, CHANGED(base, id++));
	PARTS(base, CHANGED(base, id--));	/* the same: cannot be said to who segments */
	PARTS(base, CHANGED(base, id = 0));
	give(&base);
	for (unsigned int i = 0; i < 5; i++) {
		base = next_of(base);
		give(&base);
	}
	ck_assert_uint_eq(run(), 1);
}
END_TEST

START_TEST(ip4_id_with_df_is_any)
{
	struct seg base = tcp4;

	JOINS(tcp4, CHANGED(tcp4, id = 0));
	give(&base);
	for (unsigned int i = 0; i < 5; i++) {
		base = CHANGED(base, id = (uint16_t)(i * i * 7777));
		give(&base);
	}
	ck_assert_uint_eq(run(), 1);
}
END_TEST

START_TEST(shorter_segment_ends_the_chain)
{
	struct seg a = tcp4, b = CHANGED(a, bytes = 500), c = CHANGED(b, bytes = 500), d = CHANGED(c, bytes = 1000);
	struct seg ua = udp4(), ub = CHANGED(ua, bytes = 500), uc = CHANGED(ub, bytes = 500);

	give(&a);
	give(&b);
	give(&c);
	ck_assert_uint_eq(run(), 2);
	give(&a);
	give(&b);
	give(&c);
	give(&d);
	ck_assert_uint_eq(run(), 3);
	give(&ua);
	give(&ub);
	give(&uc);
	ck_assert_uint_eq(run(), 2);
}
END_TEST

START_TEST(psh_ends_the_chain_and_is_on_the_last_segment)
{
	struct seg a = tcp4, b = CHANGED(a, flags = 0x18), c = CHANGED(b, flags = 0x10), d = next_of(c);
	const uint32_t takes[] = { ALL_TYPES };

	give(&a);
	give(&b);
	give(&c);
	give(&d);
	ck_assert_uint_eq(coalesce_batch(&coalescer, area, stream.in, 4, takes, stream.out), 2);
	ck_assert_uint_eq(pkt_l4(stream.out[0])[13], 0x18);
	ck_assert_uint_eq(stream.out[0]->tcp_flags, 0x18);
	ck_assert_uint_eq(pkt_l4(stream.out[1])[13], 0x10);
	pkt_put(area, stream.out[0]);
	pkt_put(area, stream.out[1]);
	stream.n = 0;
	PARTS(BOTH(tcp4, flags = 0x18), next_of(tcp4));
	PARTS(BOTH(tcp4, flags = 0x18), CHANGED(tcp4, flags = 0x18));
}
END_TEST

/* Two segments, something else of the flow, two segments: each pair is one, and the something is between them. */
static void seals(struct seg between, uint32_t seq_bytes)
{
	struct seg a = tcp4, b = next_of(a), c;

	between.seq = b.seq + b.bytes;
	c = next_of(b);
	c.seq += seq_bytes;
	give(&a);
	give(&b);
	give(&between);
	give(&c);
	c = next_of(c);
	give(&c);
	ck_assert_uint_eq(run(), 3);
}

START_TEST(sealing_packets_keep_their_place)
{
	static const uint8_t flags[] = { 0x11, 0x12, 0x14, 0x30, 0x90 };

	seals(BOTH(tcp4, bytes = 0), 0);			/* a pure acknowledgment */
	for (unsigned int i = 0; i < ARRAY_SIZE(flags); i++) {
		struct seg s = BOTH(tcp4, flags = flags[i]);

		seals(s, s.bytes);
		seals(BOTH(s, bytes = 0), 0);
	}
	seals(BOTH(tcp4, csum = BAD), 0);
	seals(BOTH(tcp4, ip_options = 8), 0);
}
END_TEST

START_TEST(what_cannot_be_parsed_ends_every_chain)
{
	static const char fragment[] = "\x45\x00\x00\x1c\x00\x01\x00\x05\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02" "12345678";
	static const char cut[] = "\x45\x00\x00\x18\x00\x01\x00\x00\x40\x06\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02" "1234";
	static const char arp[] = "\xff\xff\xff\xff\xff\xff\x02\x00\x00\x00\x00\x01\x08\x06" "arp";
	const struct { const char *b; uint32_t n; bool eth; } odd[] = {
		{ fragment, sizeof(fragment) - 1, false }, { cut, sizeof(cut) - 1, false }, { arp, sizeof(arp) - 1, true },
	};
	static struct bytes f;

	for (unsigned int i = 0; i < ARRAY_SIZE(odd); i++) {
		struct seg a = tcp4, b = udp6();

		for (unsigned int k = 0; k < 4; k++) {
			if (k == 2) {
				f.len = 0;
				add(&f, odd[i].b, odd[i].n);
				stream_add(&stream, odd[i].eth ? parsed_l2(&f, 1000) : parsed_l3(&f, 1000));
			}
			give(&a);
			give(&b);
			a = next_of(a);
			b = next_of(b);
		}
		ck_assert_uint_eq(run(), 5);
	}
}
END_TEST

START_TEST(other_protocols_pass_between)
{
	static const char icmp[] = "\x45\x00\x00\x1c\x00\x01\x00\x00\x40\x01\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02" "\x08\0\0\0\0\0\0\0";
	static const char esp[] = "\x45\x00\x00\x18\x00\x01\x00\x00\x40\x32\x00\x00\x0a\x00\x00\x01\x0a\x00\x00\x02" "1234";
	struct seg b = next_of(tcp4), c = next_of(b);
	static struct bytes f;

	give(&tcp4);
	f.len = 0;
	ADD(&f, icmp);
	stream_add(&stream, parsed_l3(&f, 1000));
	give(&b);
	f.len = 0;
	ADD(&f, esp);
	stream_add(&stream, parsed_l3(&f, 1000));
	give(&c);
	ck_assert_uint_eq(run(), 3);
}
END_TEST

/* The two states of checksums take different paths. */
START_TEST(bytes_are_at_most_65535)
{
	struct seg four = BOTH(tcp4, bytes = 1648), six = BOTH(tcp6(), bytes = 1640), s;

	four.frame_bytes = six.frame_bytes = 1712;
	four.csum = six.csum = _i ? PARTIAL : WHOLE;
	s = four;
	for (unsigned int i = 0; i < 2 * 39 + 1; i++, four = next_of(four), six = next_of(six)) {
		give(&four);
		give(&six);
	}
	ck_assert_uint_eq(run(), 6);
	for (uint32_t last = 1211; last <= 1212; last++) {
		struct seg at = s;

		for (unsigned int i = 0; i < 39; i++, at = next_of(at))
			give(&at);
		at.bytes = last;			/* 52 + 39 * 1648 + 1211 = 65535 */
		give(&at);
		ck_assert_uint_eq(run(), last == 1211 ? 1 : 2);
	}
}
END_TEST

START_TEST(frames_are_at_most_what_a_packet_may_have)
{
	struct seg s = BOTH(tcp4, bytes = 10), in_two;

	s.csum = _i ? PARTIAL : WHOLE;
	in_two = BOTH(s, frame_bytes = 55);
	for (unsigned int i = 0; i < 2 * PKT_FRAMES_MAX + 1; i++, s = next_of(s))
		give(&s);
	ck_assert_uint_eq(run(), 3);
	for (unsigned int i = 0; i < PKT_FRAMES_MAX; i++, in_two = next_of(in_two))
		give(&in_two);
	ck_assert_uint_eq(run(), 2);
}
END_TEST

START_TEST(chain_of_one_leaves_as_it_came)
{
	struct seg s[] = { tcp4, BOTH(tcp6(), sport = 5), BOTH(udp4(), csum = PARTIAL), BOTH(udp6(), csum = BAD) };

	for (unsigned int i = 0; i < ARRAY_SIZE(s); i++)
		give(&s[i]);
	ck_assert_uint_eq(run(), 4);		/* bytes are compared by stream_alone() */
}
END_TEST

START_TEST(bad_checksum_passes_alone)
{
	struct seg base[] = { tcp4, tcp6(), udp4(), udp6() };

	for (unsigned int i = 0; i < ARRAY_SIZE(base); i++) {
		PARTS(BOTH(base[i], csum = BAD), next_of(base[i]));
		PARTS(base[i], CHANGED(base[i], csum = BAD));
		PARTS(BOTH(base[i], csum = BAD_PARTIAL), next_of(base[i]));
		PARTS(base[i], CHANGED(base[i], csum = BAD_PARTIAL));
		PARTS(BOTH(base[i], csum = PARTIAL), CHANGED(base[i], csum = BAD_PARTIAL));
	}
	PARTS(BOTH(tcp4, csum = BAD_IP), next_of(tcp4));
	PARTS(tcp4, CHANGED(tcp4, csum = BAD_IP));
	PARTS(BOTH(tcp4, csum = PARTIAL), CHANGED(tcp4, csum = BAD_IP));
}
END_TEST

/* Another identification, and the checksum that fits, or not. */
static void ip_csum(bool partial, bool bad)
{
	struct seg a = BOTH(tcp4, csum = partial ? PARTIAL : WHOLE), b = CHANGED(a, id = 0x7777);
	struct pkt *p[] = { make(&a), make(&b) };

	pkt_l3(p[1])[10] ^= bad;
	stream_add(&stream, p[0]);
	stream_add(&stream, p[1]);
	ck_assert_uint_eq(run(), bad ? 2 : 1);
}

START_TEST(bad_ip_checksum_passes_alone)
{
	ip_csum(_i & 1, _i & 2);
}
END_TEST

/* Zero, in the other way to write it. */
START_TEST(ip_checksum_of_ffff_passes)
{
	for (unsigned int at = 0; at < 2; at++) {
		struct seg a = BOTH(tcp4, csum = _i ? PARTIAL : WHOLE), b = next_of(a);
		struct pkt *p[] = { make(&a), make(&b) };
		uint8_t *ip = pkt_l3(p[at]);

		put_be16(ip + 4, (uint16_t)twin_sum(ip + 10, 2, be16_at(ip + 4)));
		put_be16(ip + 10, 0xffff);
		ck_assert_uint_eq(twin_sum(ip, 20, 0), 0xffff);
		stream_add(&stream, p[0]);
		stream_add(&stream, p[1]);
		ck_assert_uint_eq(run(), 2);
	}
}
END_TEST

START_TEST(partial_checksum_counts_as_right)
{
	struct seg base[] = { tcp4, tcp6(), udp4(), udp6() };

	for (unsigned int i = 0; i < ARRAY_SIZE(base); i++) {
		struct seg a = BOTH(base[i], csum = PARTIAL);

		JOINS(a, next_of(a));
		JOINS(a, CHANGED(a, bytes = 77));
		JOINS(a, next_of(base[i]));
		JOINS(base[i], next_of(a));
	}
}
END_TEST

/* Another start or field than the transport's is somebody's invention. */
START_TEST(partial_checksum_elsewhere_parts)
{
	for (unsigned int i = 0; i < 4; i++) {
		struct seg a = BOTH(tcp4, csum = PARTIAL), b = next_of(a);
		struct pkt *p[] = { make(&a), make(&b) };

		p[i % 2]->csum_start = (uint16_t)(p[i % 2]->csum_start + 2 * (i / 2));
		p[i % 2]->csum_offset = (uint16_t)(p[i % 2]->csum_offset - 2 * (1 - i / 2));
		stream_add(&stream, p[0]);
		stream_add(&stream, p[1]);
		ck_assert_uint_eq(run(), 2);
	}
}
END_TEST

START_TEST(udp_without_checksum_passes)
{
	PARTS(BOTH(udp4(), csum = NO_CSUM), CHANGED(udp4(), csum = NO_CSUM));
	PARTS(udp4(), CHANGED(udp4(), csum = NO_CSUM));
}
END_TEST

START_TEST(udp_length_agrees_with_ip)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct seg a = BOTH(udp4(), csum = PARTIAL), b = next_of(a);
		struct pkt *p[] = { make(&a), make(&b) };

		put_be16(pkt_l4(p[i]) + 4, 900);
		stream_add(&stream, p[0]);
		stream_add(&stream, p[1]);
		ck_assert_uint_eq(run(), 2);
	}
}
END_TEST

/* Zero has two ways to be written. What segments again knows one, so these pass. */
START_TEST(tcp_checksum_of_zero_passes)
{
	for (unsigned int at = 0; at < 2; at++) {
		for (unsigned int i = 0; i < 2; i++) {
			struct seg a = tcp4, b = next_of(a);
			struct pkt *p[] = { make(&a), make(&b) };
			uint8_t *l4 = pkt_l4(p[at]);

			/* Move the checksum's value into the payload: what is left of it is 0. */
			put_be16(l4 + 32, (uint16_t)twin_sum(l4 + 16, 2, be16_at(l4 + 32)));
			put_be16(l4 + 16, i ? 0xffff : 0);
			ck_assert(pkt_csum_ok(area, p[at]));
			stream_add(&stream, p[0]);
			stream_add(&stream, p[1]);
			ck_assert_uint_eq(run(), 2);
		}
	}
}
END_TEST

START_TEST(held_packets_pass)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct seg a = tcp4, b = next_of(a);
		struct pkt *p[] = { make(&a), make(&b) };

		pkt_get(p[i]);
		stream_add(&stream, p[0]);
		stream_add(&stream, p[1]);
		ck_assert_uint_eq(run(), 2);
		pkt_put(area, p[i]);
	}
}
END_TEST

START_TEST(superpackets_pass)
{
	for (unsigned int i = 0; i < 2; i++) {
		struct seg a = BOTH(tcp4, csum = PARTIAL), b = next_of(a);
		struct pkt *p[] = { make(&a), make(&b) };

		p[i]->gso = PKT_GSO_TCP4;
		p[i]->gso_size = 500;
		stream_add(&stream, p[0]);
		stream_add(&stream, p[1]);
		ck_assert_uint_eq(run(), 2);
	}
}
END_TEST

START_TEST(packets_of_several_frames_join)
{
	static const uint32_t sizes[] = { 51, 52, 53, 100, 500, 1051 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct seg in_many = BOTH(tcp4, frame_bytes = sizes[i] < 60 ? 300 : sizes[i]);

		JOINS(in_many, next_of(in_many));
		JOINS(tcp4, next_of(in_many));
		JOINS(in_many, BOTH(next_of(in_many), frame_bytes = 1700));
	}
	/* Packets of one frame behind those of several. */
	for (unsigned int i = 0; i < 8; i++) {
		struct seg a = BOTH(tcp4, csum = PARTIAL), at = a;

		for (unsigned int k = 0; k < 5; k++, at = next_of(at)) {
			at.frame_bytes = i == k ? 300 : 1700;
			give(&at);
		}
		ck_assert_uint_eq(run(), 1);
	}
	/* Nothing but headers in the first frame. */
	PARTS(tcp4, CHANGED(tcp4, frame_bytes = 52));
}
END_TEST

START_TEST(trace_goes_on_in_the_superpacket)
{
	struct seg b = next_of(tcp4);
	struct pkt *p[] = { make(&tcp4), make(&b) }, *out[2];
	const uint32_t takes[] = { ALL_TYPES };

	p[1]->flags |= PKT_TRACE;
	p[1]->trace_id = 77;
	ck_assert_uint_eq(coalesce_batch(&coalescer, area, p, 2, takes, out), 1);
	ck_assert(out[0]->flags & PKT_TRACE);
	ck_assert_uint_eq(out[0]->trace_id, 77);
	metadata_is_right(out[0]);
	pkt_put(area, out[0]);
}
END_TEST

START_TEST(nothing_is_held_when_the_batch_ends)
{
	struct seg b = next_of(tcp4);

	give(&tcp4);
	ck_assert_uint_eq(run(), 1);
	give(&b);
	ck_assert_uint_eq(run(), 1);
	ck_assert_uint_eq(run(), 0);
}
END_TEST

START_TEST(flows_interleave)
{
	for (uint16_t flows = 1; flows <= 64; flows = (uint16_t)(flows * 2)) {
		for (unsigned int round = 0; round < 3; round++) {
			for (uint16_t k = 0; k < flows; k++) {
				struct seg s = k % 4 == 0 ? tcp4 : k % 4 == 1 ? tcp6() : k % 4 == 2 ? udp4() : udp6();

				s.sport = (uint16_t)(1 + k);
				s.bytes = 100;
				s.seq = 100 * round;
				give(&s);
			}
		}
		ck_assert_uint_eq(run(), flows);
	}
}
END_TEST

START_TEST(a_full_table_loses_its_oldest_flow)
{
	struct seg s = BOTH(tcp4, bytes = 10), late;

	for (uint16_t k = 0; k < COALESCE_FLOWS_MAX + 1; k++) {
		s.sport = (uint16_t)(1 + k);
		give(&s);
	}
	late = next_of(BOTH(s, sport = 2));		/* still there */
	give(&late);
	late = next_of(BOTH(s, sport = 1));		/* gone, and back in the place of the next one */
	give(&late);
	late = next_of(next_of(BOTH(s, sport = 2)));
	give(&late);
	ck_assert_uint_eq(run(), COALESCE_FLOWS_MAX + 1 + 2);
}
END_TEST

START_TEST(a_full_table_goes_on)
{
	for (unsigned int round = 0; round < 60; round++) {
		struct seg s = BOTH(tcp4, bytes = 10);

		for (uint16_t k = 0; k < 125; k++) {
			struct seg b;

			s.sport = (uint16_t)(round * 1000 + k);
			b = next_of(s);
			give(&s);
			give(&b);
		}
		ck_assert_uint_eq(run(), 125);
	}
}
END_TEST

/* ---- segment(coalesce(x)) is x ----------------------------------------------------------------------------------- */

static uint32_t pick(uint32_t n)
{
	return (uint32_t)random() % n;
}

/* One out of @n times. */
static bool rarely(uint32_t n)
{
	return pick(n) == 0;
}

static struct seg random_flow(uint16_t number)
{
	static const uint16_t sizes[] = { 1, 2, 10, 100, 536, 1000, 1399, 1448 };
	struct seg s = tcp4;

	s.six = pick(2);
	s.udp = pick(3) == 0;
	s.eth = rarely(4);
	s.vlans = (uint8_t)pick(2);
	s.sport = number;
	s.seq = pick(2) ? (uint32_t)random() : 0xfffff000;
	s.id = pick(2) ? (uint16_t)random() : 0xfffc;
	s.frag = pick(2) ? 0x4000 : 0;
	s.bytes = sizes[pick(ARRAY_SIZE(sizes))];
	s.options = pick(3) ? 12 : (uint8_t)(4 * pick(11));
	s.csum = pick(2) ? WHOLE : PARTIAL;
	s.frame_bytes = rarely(4) ? 700 : 1700;
	return s;
}

/* Something that happens to a packet. */
static void disturb(struct seg *s, uint32_t id_policy)
{
	static const uint8_t flags[] = { 0x11, 0x12, 0x14, 0x18, 0x18, 0x18, 0x30, 0x50, 0x90, 0x00, 0x58 };

	if (id_policy == 1)
		s->id--;				/* constant */
	if (id_policy == 2)
		s->id = (uint16_t)random();
	if (!rarely(6))
		return;
	switch (pick(17)) {
	case 0: s->flags = flags[pick(ARRAY_SIZE(flags))]; break;
	case 1: s->tos = (uint8_t)pick(4); break;
	case 2: s->bytes = pick(s->bytes) + 1; break;
	case 3: s->bytes = pick(1448); break;
	case 4: s->bytes = 0; break;
	case 5: s->timestamp++; break;
	case 6: s->ack++; break;
	case 7: s->seq += pick(3000); break;
	case 8: s->csum = BAD; break;
	case 9: s->csum = s->six ? BAD_PARTIAL : BAD_IP; break;
	case 10: s->csum = s->csum == WHOLE ? PARTIAL : WHOLE; break;
	case 11: s->ip_options = 8; break;
	case 12: s->frag ^= 0x4000; break;
	case 13: s->frag = (uint16_t)(rarely(4) ? 0x2000 : 0x4000); break;
	case 14: s->id = (uint16_t)(s->id + 5); break;
	case 15: s->ttl--; break;
	case 16: s->frame_bytes = 300; break;
	}
}

START_TEST(segmenting_gives_the_same_packets_again)
{
	static struct seg flow[80], sent[200];
	unsigned int merged = 0, total = 0;

	srandom((unsigned int)_i + 1);
	for (unsigned int round = 0; round < 12; round++) {
		uint32_t flows = rarely(3) ? 1 + pick(80) : 1 + pick(8), n = 1 + pick(120), policy = pick(3);
		bool calm = rarely(3);

		for (uint16_t i = 0; i < flows; i++)
			flow[i] = random_flow(i);
		for (unsigned int i = 0; i < n; i++) {
			struct seg *f = &flow[pick(flows)];
			uint32_t burst = 1 + pick(4);

			for (; burst > 0 && i < n; burst--, i++) {
				sent[i] = *f;
				if (!calm)
					disturb(&sent[i], policy);
				/* A gap, a repetition, or what the next one expects. */
				if (rarely(40))
					continue;
				f->seq = sent[i].seq + sent[i].bytes;
				f->id = (uint16_t)(sent[i].id + 1);
				if (rarely(50))
					f->seq += f->bytes;
			}
			i--;
		}
		for (unsigned int i = 0; i + 1 < n; i++) {
			if (!calm && rarely(20)) {
				struct seg first = sent[i];

				sent[i] = sent[i + 1];
				sent[i + 1] = first;
			}
		}
		for (unsigned int i = 0; i < n; i++)
			give(&sent[i]);
		merged += n - run();
		total += n;
	}
	ck_assert_uint_gt(merged, total / 10);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("coalesce");
	TCase *tc = tcase_create("coalesce");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, area_teardown);
	tcase_add_test(tc, segments_that_follow_each_other_join);
	tcase_add_test(tc, types_that_the_way_out_does_not_take_pass);
	tcase_add_test(tc, same_5_tuple);
	tcase_add_test(tc, same_way_out);
	tcase_add_test(tc, ack_is_set);
	tcase_add_test(tc, flags_are_only_ack_psh_ece);
	tcase_add_test(tc, payload_is_not_empty);
	tcase_add_test(tc, ip_options_part);
	tcase_add_test(tc, extension_headers_part);
	tcase_add_test(tc, fragments_part);
	tcase_add_test(tc, header_length_is_equal);
	tcase_add_test(tc, sequence_is_contiguous);
	tcase_add_test(tc, segment_is_not_larger_than_the_first);
	tcase_add_test(tc, ttl_is_equal);
	tcase_add_test(tc, dscp_is_equal);
	tcase_add_test(tc, ecn_is_equal);
	tcase_add_test(tc, other_header_bytes_are_equal);
	tcase_add_loop_test(tc, link_layer_is_equal, 0, 2);
	tcase_add_test(tc, ip4_id_is_consecutive);
	tcase_add_test(tc, ip4_id_with_df_is_any);
	tcase_add_test(tc, shorter_segment_ends_the_chain);
	tcase_add_test(tc, psh_ends_the_chain_and_is_on_the_last_segment);
	tcase_add_test(tc, sealing_packets_keep_their_place);
	tcase_add_test(tc, what_cannot_be_parsed_ends_every_chain);
	tcase_add_test(tc, other_protocols_pass_between);
	tcase_add_loop_test(tc, bytes_are_at_most_65535, 0, 2);
	tcase_add_loop_test(tc, frames_are_at_most_what_a_packet_may_have, 0, 2);
	tcase_add_test(tc, chain_of_one_leaves_as_it_came);
	tcase_add_test(tc, bad_checksum_passes_alone);
	tcase_add_loop_test(tc, bad_ip_checksum_passes_alone, 0, 4);
	tcase_add_loop_test(tc, ip_checksum_of_ffff_passes, 0, 2);
	tcase_add_test(tc, partial_checksum_counts_as_right);
	tcase_add_test(tc, partial_checksum_elsewhere_parts);
	tcase_add_test(tc, udp_without_checksum_passes);
	tcase_add_test(tc, udp_length_agrees_with_ip);
	tcase_add_test(tc, tcp_checksum_of_zero_passes);
	tcase_add_test(tc, held_packets_pass);
	tcase_add_test(tc, superpackets_pass);
	tcase_add_test(tc, packets_of_several_frames_join);
	tcase_add_test(tc, trace_goes_on_in_the_superpacket);
	tcase_add_test(tc, nothing_is_held_when_the_batch_ends);
	tcase_add_test(tc, flows_interleave);
	tcase_add_test(tc, a_full_table_loses_its_oldest_flow);
	tcase_add_test(tc, a_full_table_goes_on);
	tcase_add_loop_test(tc, segmenting_gives_the_same_packets_again, 0, 20);
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
