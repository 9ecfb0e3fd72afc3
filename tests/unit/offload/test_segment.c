/* SPDX-License-Identifier: MIT */
#include "tests/unit/net/area_fixture.h"
#include "tests/unit/offload/segment_twin.h"
#include "user/net/pkt_csum.h"
#include "user/offload/segment.h"

#include <netinet/in.h>

struct shape {
	unsigned int vlans;		/* 0, 1, 2; 3: no link layer */
	bool six, tcp, options;
	uint8_t tcp_words;		/* of the TCP header */
	uint8_t tcp_flags;
	uint16_t gso_size;
	uint32_t payload;
	uint32_t frame_bytes;
	enum { FIELD_PARTIAL, FIELD_WHOLE, FIELD_ZERO } field;
};

/* Build a superpacket; its checksum field as wanted. Return: offset of the IP header */
static uint32_t make(const struct shape *s, struct bytes *f)
{
	static const uint16_t tpid[] = { 0, 0x8100, 0x88a8 };
	uint32_t l4_bytes = (s->tcp ? s->tcp_words * 4u : 8) + s->payload, l3, l4, field;
	uint16_t type = s->six ? 0x86dd : 0x0800;
	uint8_t proto = s->tcp ? 6 : 17;

	f->len = 0;
	if (s->vlans == 0)
		add_eth(f, type);
	if (s->vlans == 1 || s->vlans == 2) {
		add_eth(f, tpid[s->vlans]);
		if (s->vlans == 2)
			add_vlan(f, 9, 0x8100);
		add_vlan(f, 7, type);
	}
	l3 = f->len;
	if (s->six) {
		add_ip6(f, s->options ? 60 : proto, l4_bytes + s->options * 8u);
		if (s->options) {
			ADD(f, "\x00\x00\x01\x04\x00\x00\x00\x00");
			f->b[f->len - 8] = proto;
		}
	} else {
		add_ip4(f, proto, 0x4000, "\x01\x01\x01\x01\x94\x04\x00\x00", s->options ? 8 : 0, l4_bytes);
		put_be16(f->b + l3 + 4, 0xfffe);	/* IDs wrap */
	}
	l4 = f->len;
	if (s->tcp) {
		add_tcp(f, s->tcp_words, s->tcp_flags);
		put_be32(f->b + l4 + 4, 0xfffffe00);	/* and so does the sequence */
	} else {
		add_udp(f, 0);
		put_be16(f->b + l4 + 4, (uint16_t)l4_bytes);
	}
	for (uint32_t i = 0; i < s->payload; i++)
		f->b[f->len++] = (uint8_t)(i * 31 + (i >> 8) * 7 + s->gso_size);
	field = l4 + (s->tcp ? 16 : 6);
	put_be16(f->b + field, 0);
	if (s->field == FIELD_PARTIAL)
		put_be16(f->b + field, (uint16_t)twin_pseudo(f->b + l3, proto, l4_bytes));
	if (s->field == FIELD_WHOLE)
		put_be16(f->b + field,
			 (uint16_t)~twin_sum(f->b + l4, l4_bytes, twin_pseudo(f->b + l3, proto, l4_bytes)));
	return l3;
}

static struct pkt *superpacket(const struct shape *s, struct bytes *f)
{
	struct pkt *p;

	make(s, f);
	p = s->vlans == 3 ? parsed_l3(f, s->frame_bytes) : parsed_l2(f, s->frame_bytes);
	p->gso = s->tcp ? s->six ? PKT_GSO_TCP6 : PKT_GSO_TCP4 : PKT_GSO_UDP;
	p->gso_size = s->gso_size;
	p->gso_segs = 9;
	if (s->field == FIELD_PARTIAL)
		pkt_find_partial(p);
	p->iface_in = 5;
	p->iface_out = 6;
	p->mtu_out = 1500;
	return p;
}

static void agrees(const struct shape *s, enum segment_csum csum)
{
	static struct bytes super, want, got;
	struct pkt *p = superpacket(s, &super), *q;
	uint32_t l3 = (uint32_t)(p->l3 - p->off), l4 = (uint32_t)(p->l4 - p->off);
	uint32_t payload = (uint32_t)(p->payload - p->off), i;
	struct segmenter seg;

	ck_assert_int_eq(segment_begin(&seg, area, p, csum), DROP_NONE);
	for (i = 0; (q = segment_next(&seg, area)) != NULL; i++) {
		ck_assert(twin_segment(&super, l3, l4, payload, s->tcp, s->field == FIELD_ZERO, s->gso_size, i, &want));
		ck_assert_uint_eq(q->gso, PKT_GSO_NONE);
		ck_assert_uint_eq(q->gso_size, 0);
		ck_assert_uint_eq(q->n_frames, 1);
		ck_assert_uint_eq(q->iface_in, 5);
		ck_assert_uint_eq(q->iface_out, 6);
		ck_assert_uint_eq(q->mtu_out, 1500);
		metadata_is_right(q);
		if (csum == SEGMENT_CSUM_PARTIAL && s->field != FIELD_ZERO) {
			struct pkt again = *q;

			again.csum = PKT_CSUM_NONE;
			pkt_find_partial(&again);
			ck_assert_uint_eq(again.csum, PKT_CSUM_PARTIAL);
			ck_assert_uint_eq(again.csum_start, q->csum_start);
			ck_assert_uint_eq(again.csum_offset, q->csum_offset);
			ck_assert_uint_eq(q->csum, PKT_CSUM_PARTIAL);
			ck_assert_int_eq(pkt_csum_complete(area, q), DROP_NONE);
		} else if (s->field != FIELD_ZERO) {
			ck_assert_uint_eq(q->csum, PKT_CSUM_COMPLETE);
		}
		flatten(q, &got);
		ck_assert_uint_eq(got.len, want.len);
		ck_assert_msg(memcmp(got.b, want.b, got.len) == 0, "segment %u of %u bytes differs", i, got.len);
		pkt_put(area, q);
	}
	ck_assert(seg.done);
	ck_assert(!twin_segment(&super, l3, l4, payload, s->tcp, false, s->gso_size, i, &want));
	segment_end(&seg, area);
}

START_TEST(segments_agree_with_the_twin)
{
	srandom((unsigned int)_i + 1);
	for (unsigned int round = 0; round < 30; round++) {
		struct shape s = {
			.vlans = (unsigned int)random() % 4,
			.six = random() % 2,
			.tcp = random() % 3,
			.options = random() % 4 == 0,
			.tcp_words = (uint8_t)(5 + random() % 11),
			.tcp_flags = (uint8_t)(0x10 | (random() & 0xe9)),
			.gso_size = (uint16_t)(random() % 4 ? 500 + random() % 1100 : 1 + random() % 300),
			.payload = (uint32_t)random() % (random() % 3 ? 3000 : 60000),
			.frame_bytes = 200 + (uint32_t)random() % 1500,
			.field = random() % 3 ? FIELD_PARTIAL : FIELD_WHOLE,
		};

		if (!s.tcp && !s.six && random() % 4 == 0)
			s.field = FIELD_ZERO;
		if (s.gso_size < 300)
			s.payload %= 3000;
		if (s.payload / s.frame_bytes > 240)
			s.frame_bytes = 1700;
		agrees(&s, random() % 2 ? SEGMENT_CSUM_PARTIAL : SEGMENT_CSUM_COMPLETE);
	}
}
END_TEST

START_TEST(segments_at_the_edges)
{
	static const uint32_t payloads[] = { 0, 1, 999, 1000, 1001, 1999, 2000, 2001 };

	for (unsigned int i = 0; i < ARRAY_SIZE(payloads); i++) {
		struct shape s = {
			.tcp = i % 2, .tcp_words = 8, .tcp_flags = 0x99, .gso_size = 1000, .payload = payloads[i],
			.frame_bytes = 14 + 20 + 32,	/* the payload starts with the second frame */
		};

		agrees(&s, SEGMENT_CSUM_COMPLETE);
	}
}
END_TEST

/* The longest that IP allows. */
START_TEST(segments_of_64k)
{
	struct shape s = { .tcp = true, .tcp_words = 8, .tcp_flags = 0x18, .gso_size = 1448,
			   .payload = 65535 - 20 - 32, .frame_bytes = 1792 };

	agrees(&s, SEGMENT_CSUM_PARTIAL);
	s.six = true;
	s.payload = 65535 - 32;
	s.vlans = 3;
	agrees(&s, SEGMENT_CSUM_COMPLETE);
}
END_TEST

START_TEST(flags_are_distributed)
{
	struct shape s = { .tcp = true, .tcp_words = 5, .tcp_flags = 0xd9, .gso_size = 100, .payload = 300,
			   .frame_bytes = 1700 };		/* CWR, ECE, ACK, PSH, FIN */
	static const uint8_t want[] = { 0xd0, 0x50, 0x59 };
	static struct bytes f;
	struct pkt *p = superpacket(&s, &f), *q;
	struct segmenter seg;

	p->flags |= PKT_GSO_ECN;
	ck_assert_int_eq(segment_begin(&seg, area, p, SEGMENT_CSUM_PARTIAL), DROP_NONE);
	for (unsigned int i = 0; i < 3; i++) {
		q = segment_next(&seg, area);
		ck_assert_uint_eq(pkt_l4(q)[13], want[i]);
		ck_assert_uint_eq(q->tcp_flags, want[i]);
		ck_assert_uint_eq(q->flags & PKT_GSO_ECN, 0);
		ck_assert_uint_eq(be16_at(pkt_l3(q) + 4), (uint16_t)(0xfffe + i));
		pkt_put(area, q);
	}
	ck_assert(seg.done);
	segment_end(&seg, area);
}
END_TEST

/* The sum of a packet with a routing header is over another destination than the header's. */
START_TEST(routing_header_keeps_its_sum)
{
	static struct bytes f;
	struct segmenter seg;
	struct pkt *p, *q;
	uint8_t final[40];
	uint32_t l4 = 40 + 24;

	f.len = 0;
	add_ip6(&f, 43, 24 + 20 + 500);
	ADD(&f, "\x06\x02\x02\x01\x00\x00\x00\x00" "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x77");
	add_tcp(&f, 5, 0x10);
	add_fill(&f, 500);
	memcpy(final, f.b, 40);
	memcpy(final + 24, f.b + 48, 16);
	put_be16(f.b + l4 + 16, (uint16_t)twin_pseudo(final, 6, 520));
	p = parsed_l3(&f, 1700);
	p->gso = PKT_GSO_TCP6;
	p->gso_size = 200;
	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = p->l4;
	p->csum_offset = 16;
	ck_assert_int_eq(segment_begin(&seg, area, p, SEGMENT_CSUM_COMPLETE), DROP_NONE);
	while ((q = segment_next(&seg, area)) != NULL) {
		uint32_t len = (uint32_t)q->len - l4;

		ck_assert_uint_eq(twin_sum(pkt_l4(q), len, twin_pseudo(final, 6, len)), 0xffff);
		pkt_put(area, q);
	}
	segment_end(&seg, area);
}
END_TEST

START_TEST(segmenting_stops_and_goes_on)
{
	struct shape s = { .tcp = true, .tcp_words = 5, .tcp_flags = 0x10, .gso_size = 100, .payload = 1000,
			   .frame_bytes = 1700 };
	struct pkt *p, *q, *taken[600] = { NULL };
	static struct bytes f;
	struct segmenter seg;
	unsigned int n = 0, made = 0;

	p = superpacket(&s, &f);
	ck_assert_int_eq(segment_begin(&seg, area, p, SEGMENT_CSUM_COMPLETE), DROP_NONE);
	while ((taken[n] = area_alloc(area)) != NULL)
		n++;
	for (;;) {
		ck_assert_ptr_null(segment_next(&seg, area));
		if (seg.done)
			break;
		pkt_put(area, taken[--n]);
		q = segment_next(&seg, area);
		ck_assert_ptr_nonnull(q);
		ck_assert_uint_eq(be32_at(pkt_l4(q) + 4), 0xfffffe00 + 100 * made);
		made++;
		pkt_put(area, q);
		taken[n++] = area_alloc(area);
	}
	ck_assert_uint_eq(made, 10);
	segment_end(&seg, area);
	while (n > 0)
		pkt_put(area, taken[--n]);
}
END_TEST

START_TEST(segmenting_may_be_given_up)
{
	struct shape s = { .tcp = true, .tcp_words = 5, .tcp_flags = 0x10, .gso_size = 100, .payload = 1000,
			   .frame_bytes = 300 };
	static struct bytes f;
	struct segmenter seg;

	ck_assert_int_eq(segment_begin(&seg, area, superpacket(&s, &f), SEGMENT_CSUM_COMPLETE), DROP_NONE);
	pkt_put(area, segment_next(&seg, area));
	segment_end(&seg, area);
	ck_assert_ptr_null(segment_next(&seg, area));
}
END_TEST

/* ---- What is refused --------------------------------------------------------------------------------------------- */

static void no_gso(struct pkt *p) { p->gso = PKT_GSO_NONE; }
static void unknown_gso(struct pkt *p) { p->gso = 77; }
static void other_family(struct pkt *p) { p->gso = PKT_GSO_TCP6; }
static void other_proto(struct pkt *p) { p->gso = PKT_GSO_UDP; }
static void size_0(struct pkt *p) { p->gso_size = 0; }
static void syn(struct pkt *p) { p->tcp_flags |= 0x02; }
static void rst(struct pkt *p) { p->tcp_flags |= 0x04; }
static void fragment(struct pkt *p) { p->flags |= PKT_FRAG; }
static void no_l4(struct pkt *p) { p->flags &= (uint16_t)~PKT_L4; }
static void other_start(struct pkt *p) { p->csum_start++; }
static void other_offset(struct pkt *p) { p->csum_offset = 6; }
static void too_long(struct pkt *p) { p->gso_size = 1740; }
static void bad_sum(struct pkt *p) { p->csum = PKT_CSUM_NONE; }

static const struct {
	void (*spoil)(struct pkt *);
	enum drop want;
} refused[] = {
	{ no_gso, DROP_gso_unsupported }, { unknown_gso, DROP_gso_unsupported }, { other_family, DROP_gso_bad },
	{ other_proto, DROP_gso_bad }, { size_0, DROP_gso_bad }, { syn, DROP_gso_bad }, { rst, DROP_gso_bad },
	{ fragment, DROP_gso_bad }, { no_l4, DROP_gso_bad }, { other_start, DROP_gso_bad },
	{ other_offset, DROP_gso_bad }, { too_long, DROP_too_long }, { bad_sum, DROP_csum_bad },
};

START_TEST(segmenting_is_refused)
{
	struct shape s = { .tcp = true, .tcp_words = 5, .tcp_flags = 0x10, .gso_size = 100, .payload = 1000,
			   .frame_bytes = 1700 };
	static struct bytes f;
	struct pkt *p = superpacket(&s, &f);
	struct segmenter seg;

	refused[_i].spoil(p);
	ck_assert_int_eq(segment_begin(&seg, area, p, SEGMENT_CSUM_PARTIAL), refused[_i].want);
	pkt_put(area, p);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("segment");
	TCase *tc = tcase_create("segment");
	SRunner *sr;
	int failed;

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, area_setup, area_teardown);
	tcase_add_loop_test(tc, segments_agree_with_the_twin, 0, 10);
	tcase_add_test(tc, segments_at_the_edges);
	tcase_add_test(tc, segments_of_64k);
	tcase_add_test(tc, flags_are_distributed);
	tcase_add_test(tc, routing_header_keeps_its_sum);
	tcase_add_test(tc, segmenting_stops_and_goes_on);
	tcase_add_test(tc, segmenting_may_be_given_up);
	tcase_add_loop_test(tc, segmenting_is_refused, 0, ARRAY_SIZE(refused));
	suite_add_tcase(s, tc);
	sr = srunner_create(s);
	srunner_run_all(sr, CK_NORMAL);
	failed = srunner_ntests_failed(sr);
	srunner_free(sr);
	return failed != 0;
}
