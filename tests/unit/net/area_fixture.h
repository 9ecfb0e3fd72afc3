/* SPDX-License-Identifier: MIT */
/* An area for tests, packets in it, and the check that all frames are home in the end. */
#ifndef TESTS_UNIT_NET_AREA_FIXTURE_H
#define TESTS_UNIT_NET_AREA_FIXTURE_H

#include "tests/unit/packet/frames.h"
#include "user/packet/area.h"

#include <check.h>

static struct area *area;

static inline void area_setup(void)
{
	const struct area_params params = { .n_frames = 512, .chunk_bytes = 2048, .huge = AREA_HUGE_NO };
	struct fault f;

	ck_assert_msg(area_create(&area, &params, &f) == 0, "%s", f.text);
}

static inline void area_teardown(void)
{
	struct fault f;

	ck_assert_uint_eq(area_leaks(area), 0);
	ck_assert_msg(area_check(area, &f) == 0, "%s", f.text);
	area_destroy(area);
}

/* A packet of these bytes in frames of at most @frame_bytes each. */
static inline struct pkt *pkt_of(const uint8_t *b, uint32_t len, uint32_t frame_bytes)
{
	struct pkt *head = NULL, *tail = NULL;
	uint32_t at = 0;

	do {
		struct pkt *p = area_alloc(area);
		uint32_t n = min_u32(len - at, frame_bytes);

		ck_assert_ptr_nonnull(p);
		memcpy(pkt_data(p), b + at, n);
		p->len = (uint16_t)n;
		at += n;
		if (tail)
			tail->next = p->frame;
		else
			head = p;
		tail = p;
		head->n_frames = (uint8_t)(head->n_frames + (p != head));
	} while (at < len);
	head->total_bytes = len;
	return head;
}

static inline struct pkt *parsed_l2(const struct bytes *f, uint32_t frame_bytes)
{
	struct pkt *p = pkt_of(f->b, f->len, frame_bytes);

	ck_assert_int_eq(pkt_parse_eth(p), DROP_NONE);
	return p;
}

static inline struct pkt *parsed_l3(const struct bytes *f, uint32_t frame_bytes)
{
	struct pkt *p = pkt_of(f->b, f->len, frame_bytes);

	ck_assert_int_eq(pkt_parse_ip(p), DROP_NONE);
	return p;
}

/* All bytes of a packet, flat. */
static inline void flatten(const struct pkt *p, struct bytes *to)
{
	to->len = pkt_copy_out(area, p, 0, to->b, BYTES_MAX);
	ck_assert_uint_eq(to->len, p->total_bytes);
}

/* Parsing a packet again must find what its maker wrote into the metadata. */
static inline void metadata_is_right(const struct pkt *p)
{
	struct pkt again = *p;
	uint16_t own = PKT_LOCAL_OUT | PKT_TRACE | PKT_CROSSED | PKT_RX_HASH | PKT_RX_TIME | PKT_GSO_ECN |
		       PKT_FLOW_HASH | PKT_L2_GROUP;
	enum drop why = p->flags & PKT_L2 ? pkt_parse_eth(&again) : pkt_parse_ip(&again);

	ck_assert_int_eq(why, DROP_NONE);
	ck_assert_uint_eq(again.total_bytes, p->total_bytes);
	ck_assert_uint_eq(again.l3, p->l3);
	ck_assert_uint_eq(again.l4, p->l4);
	ck_assert_uint_eq(again.payload, p->payload);
	ck_assert_uint_eq(again.flags & ~own, p->flags & ~own);
	ck_assert_uint_eq(again.family, p->family);
	ck_assert_uint_eq(again.proto, p->proto);
	ck_assert_uint_eq(again.tcp_flags, p->tcp_flags);
	ck_assert_uint_eq(again.ether_type, p->ether_type);
	ck_assert_uint_eq(again.n_vlans, p->n_vlans);
	ck_assert_uint_eq(again.sport, p->sport);
	ck_assert_uint_eq(again.dport, p->dport);
}

#endif
