/* SPDX-License-Identifier: MIT */
/* Superpackets on the way to a port that takes them: what of the coalescer can be seen from outside. */
#include "tests/unit/gateway/rig_check.h"

/* A TCP segment of a stream from h1, and its sequence; @to: IPv4 or IPv6. */
static void segment(const char *from, const char *to, uint32_t seq, uint32_t bytes)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, strchr(to, ':') ? ETH_P_IPV6 : ETH_P_IP);
	frame_tcp(&sent, from, to, TCP_ACKED, bytes);
	put_be32(sent.b + sent.l4 + TCP_SEQ, seq);
	if (!strchr(to, ':')) {
		put_be16(sent.b + sent.l3 + IP4_FRAG, IP4_FRAG_DF);
		frame_ip4_fix(&sent);
	}
	for (uint32_t i = 0; i < bytes; i++)
		sent.b[sent.l4 + TCP_HLEN_MIN + i] = (uint8_t)((seq + i) * 13 >> 3);
	frame_csum(&sent, IPPROTO_TCP, TCP_CSUM);
	rig_inject(&rig, LAN, &sent);
}

static void becomes_one(const char *from, const char *to, uint8_t gso_type)
{
	struct virtio_net_hdr h = { 0 };
	uint32_t n_frames = 0;

	for (uint32_t i = 0; i < 10; i++)
		segment(from, to, i * 1000, i < 9 ? 1000 : 300);
	rig_step(&rig);
	got.len = memtun_capture(rig.q[TUN], got.b, sizeof(got.b), &h, &n_frames);
	got.l3 = 0;
	got.l4 = strchr(to, ':') ? 40 : 20;
	ck_assert_uint_eq(got.len, got.l4 + 20 + 9300);
	ck_assert_uint_eq(n_frames, 10);
	ck_assert_uint_eq(h.gso_type, gso_type);
	ck_assert_uint_eq(h.gso_size, 1000);
	ck_assert_uint_eq(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	ck_assert_uint_eq(h.csum_start, got.l4);
	ck_assert_uint_eq(h.hdr_len, got.l4 + 20);
	put_wire16(got.b + h.csum_start + h.csum_offset, csum_fold(csum_partial(got.b + got.l4, got.len - got.l4, 0)));
	ck_assert(frame_csum_ok(&got, IPPROTO_TCP));
	for (uint32_t i = 0; i < 9300; i++)
		ck_assert_uint_eq(got.b[got.l4 + 20 + i], (uint8_t)(i * 13 >> 3));
	rig_expect_silence();
	ck_assert_uint_eq(rig.w->count->coalesced_pkts, 9);
	ck_assert_uint_eq(rig.w->count->consumed_pkts, 9);
	ck_assert_uint_eq(rig.w->count->tx_pkts, 1);
}

START_TEST(segments_become_a_superpacket_ip4)
{
	becomes_one("10.1.0.2", "10.3.0.2", VIRTIO_NET_HDR_GSO_TCPV4);
}
END_TEST

START_TEST(segments_become_a_superpacket_ip6)
{
	becomes_one("fd01::2", "fd03::2", VIRTIO_NET_HDR_GSO_TCPV6);
}
END_TEST

START_TEST(a_port_without_superpackets_gets_segments)
{
	for (uint32_t i = 0; i < 5; i++)
		segment("10.1.0.2", "10.2.0.2", i * 1000, 1000);
	rig_step(&rig);
	rig_expect_sent(WAN, 5);
	ck_assert_uint_eq(rig.w->count->coalesced_pkts, 0);
}
END_TEST

/* The rig's TUN takes superpackets of TCP only. */
START_TEST(a_type_that_the_port_does_not_take_passes)
{
	for (uint32_t i = 0; i < 5; i++) {
		frame_eth(&sent, MAC_LAN, MAC_H1, ETH_P_IP);
		frame_udp(&sent, "10.1.0.2", "10.3.0.2", 500);
		put_be16(sent.b + sent.l3 + IP4_ID, (uint16_t)i);
		frame_ip4_fix(&sent);
		rig_inject(&rig, LAN, &sent);
	}
	rig_step(&rig);
	rig_expect_sent(TUN, 5);
	ck_assert_uint_eq(rig.w->count->coalesced_pkts, 0);
}
END_TEST

START_TEST(batches_are_apart)
{
	for (uint32_t i = 0; i < 4; i++) {
		segment("10.1.0.2", "10.3.0.2", i * 1000, 1000);
		rig_step(&rig);
	}
	rig_expect_sent(TUN, 4);
}
END_TEST

static TCase *coalesce_case(void)
{
	TCase *tc = tcase_create("coalesce");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, segments_become_a_superpacket_ip4);
	tcase_add_test(tc, segments_become_a_superpacket_ip6);
	tcase_add_test(tc, a_port_without_superpackets_gets_segments);
	tcase_add_test(tc, a_type_that_the_port_does_not_take_passes);
	tcase_add_test(tc, batches_are_apart);
	return tc;
}

int main(void)
{
	TCase *(*const cases[])(void) = { coalesce_case };

	return rig_run("coalesce", cases, ARRAY_SIZE(cases));
}
