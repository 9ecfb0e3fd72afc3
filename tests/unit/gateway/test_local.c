/* SPDX-License-Identifier: MIT */
/* What is for an engine-only address, and what goes to and comes from the control thread: RFC 1122, 4443, 8200. */
#include <errno.h>

#include "tests/unit/gateway/rig_check.h"
#include "user/net/icmp.h"

static void begin(const char *src)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, strchr(src, ':') ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
}

/* An IPv6 packet to fd01::1 with @n bytes of extension headers, the first of type @first, and 16 bytes behind them. */
static void ext6(uint8_t first, const uint8_t *hdrs, uint32_t n)
{
	begin("fd01::2");
	frame_ip(&sent, "fd01::2", "fd01::1", first, n + 16);
	if (n)
		memcpy(sent.b + sent.l4, hdrs, n);
}

/* ---- Echo -------------------------------------------------------------------------------------------------------- */

START_TEST(echo_4_comes_back_byte_by_byte)
{
	uint8_t *icmp = sent.b + 34;

	begin("10.1.0.2");
	frame_echo(&sent, "10.1.0.2", "10.1.0.1", 1000);
	sent.b[sent.l3 + IP4_TTL] = 7;
	frame_ip4_fix(&sent);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	icmp[0] = ICMP4_ECHO_REPLY;
	put_be16(icmp + 2, 0);
	put_wire16(icmp + 2, csum_fold(csum_partial(icmp, 1008, 0)));
	memcpy(sent.b, MAC_H1, 6);
	memcpy(sent.b + 6, MAC_LAN, 6);
	inet_pton(AF_INET, "10.1.0.1", sent.b + sent.l3 + IP4_SRC);
	inet_pton(AF_INET, "10.1.0.2", sent.b + sent.l3 + IP4_DST);
	sent.b[sent.l3 + IP4_TTL] = 64;
	frame_ip4_fix(&sent);
	ck_assert_uint_eq(got.len, sent.len);
	ck_assert_mem_eq(got.b, sent.b, sent.len);
	ck_assert_uint_eq(rig.w->count->echo_replies_sent, 1);
	ck_assert_uint_eq(rig.w->count->local_pkts, 1);
}
END_TEST

START_TEST(echo_6_comes_back_byte_by_byte)
{
	begin("fd01::2");
	frame_echo(&sent, "fd01::2", "fd01::1", 1000);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	sent.b[sent.l4] = ICMP6_ECHO_REPLY;
	inet_pton(AF_INET6, "fd01::1", sent.b + sent.l3 + IP6_SRC);
	inet_pton(AF_INET6, "fd01::2", sent.b + sent.l3 + IP6_DST);
	frame_csum(&sent, IPPROTO_ICMPV6, 2);
	memcpy(sent.b, MAC_H1, 6);
	memcpy(sent.b + 6, MAC_LAN, 6);
	ck_assert_uint_eq(got.len, sent.len);
	ck_assert_mem_eq(got.b, sent.b, sent.len);
}
END_TEST

START_TEST(any_address_of_ours_answers_on_any_port)
{
	begin("10.1.0.2");
	frame_echo(&sent, "10.1.0.2", "10.2.0.1", 20);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	ck_assert_mem_eq(got.b + got.l3 + IP4_SRC, sent.b + sent.l3 + IP4_DST, 4);
}
END_TEST

/* RFC 4007 6: the answer goes back to the link, no route is asked. */
START_TEST(a_link_local_address_answers_on_its_link_only)
{
	rig_addr(&rig.iface[LAN], "fe80::1", 64, true);
	rig_publish_with(&rig, LAN, "fe80::2", MAC_H1);
	begin("fe80::2");
	frame_echo(&sent, "fe80::2", "fe80::1", 20);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	ck_assert_mem_eq(got.b, MAC_H1, 6);
	memcpy(sent.b, MAC_WAN, 6);
	rig_in(&rig, WAN, &sent);
	rig_expect_silence();
	ck_drops(link_scope, 1);
}
END_TEST

START_TEST(echo_is_limited_in_rate)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 1010; i++) {
		begin("10.1.0.2");
		frame_echo(&sent, "10.1.0.2", "10.1.0.1", 20);
		rig_in(&rig, LAN, &sent);
		n += rig_sent(&rig, LAN, &got, NULL);
		rig_step(&rig);
	}
	ck_assert_uint_eq(n, 1000);
	ck_drops(icmp_echo_limited, 10);
	rig_later(&rig, 2 * NS_PER_MS);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
}
END_TEST

START_TEST(a_bad_checksum_is_not_answered)
{
	begin("10.1.0.2");
	frame_echo(&sent, "10.1.0.2", "10.1.0.1", 20);
	sent.b[sent.len - 1] ^= 1;
	rig_in(&rig, LAN, &sent);
	begin("fd01::2");
	frame_echo(&sent, "fd01::2", "fd01::1", 20);
	sent.b[sent.len - 1] ^= 1;
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(icmp_bad, 2);
}
END_TEST

START_TEST(an_answer_above_the_mtu_is_fragmented_where_allowed)
{
	rig.iface[LAN].mtu_bytes = 700;
	rig_publish(&rig);
	begin("10.1.0.2");
	frame_echo(&sent, "10.1.0.2", "10.1.0.1", 1000);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 2);
	put_be16(sent.b + sent.l3 + IP4_FRAG, IP4_FRAG_DF);
	frame_ip4_fix(&sent);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(mtu_df, 1);
}
END_TEST

START_TEST(other_icmp_types_end_here)
{
	begin("10.1.0.2");
	frame_echo(&sent, "10.1.0.2", "10.1.0.1", 20);
	sent.b[sent.l4] = ICMP4_TIMESTAMP;
	rig_in(&rig, LAN, &sent);
	begin("fd01::2");
	frame_echo(&sent, "fd01::2", "fd01::1", 20);
	sent.b[sent.l4] = ICMP6_ECHO_REPLY;
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(icmp_ignored, 2);
}
END_TEST

/* An echo request of our own address is answered to nobody. */
START_TEST(our_own_address_as_source_gets_no_answer)
{
	begin("10.1.0.2");
	frame_echo(&sent, "10.2.0.1", "10.1.0.1", 20);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(own_source, 1);
}
END_TEST

/* ---- Nobody listens ---------------------------------------------------------------------------------------------- */

static void expect_refusal(uint8_t type, uint8_t code, uint32_t info)
{
	rig_expect_sent(LAN, 1);
	ck_assert_msg(got.b[got.l4] == type && got.b[got.l4 + 1] == code, "type %u code %u", got.b[got.l4],
		      got.b[got.l4 + 1]);
	ck_assert_uint_eq(be32_at(got.b + got.l4 + 4), info);
	ck_assert_mem_eq(got.b + got.l4 + 8, sent.b + sent.l3, min_u32(sent.len - sent.l3, 548));
	ck_drops(no_listener, 1);
}

START_TEST(udp_4_is_told_port_unreachable)
{
	begin("10.1.0.2");
	frame_udp(&sent, "10.1.0.2", "10.1.0.1", 20);
	rig_in(&rig, LAN, &sent);
	expect_refusal(ICMP4_UNREACHABLE, 3, 0);
}
END_TEST

START_TEST(udp_6_is_told_port_unreachable)
{
	begin("fd01::2");
	frame_udp(&sent, "fd01::2", "fd01::1", 20);
	rig_in(&rig, LAN, &sent);
	expect_refusal(ICMP6_UNREACHABLE, 4, 0);
}
END_TEST

START_TEST(an_unknown_protocol_4_is_told_protocol_unreachable)
{
	begin("10.1.0.2");
	frame_ip(&sent, "10.1.0.2", "10.1.0.1", 132, 20);
	rig_in(&rig, LAN, &sent);
	expect_refusal(ICMP4_UNREACHABLE, 2, 0);
}
END_TEST

/* RFC 4443 3.4: the pointer is at the next-header field that named what is not known. */
static const struct {
	const char *name;
	uint8_t first, hdrs[40];
	uint32_t n, pointer;
} chains[] = {
	{ "none", 132, { 0 }, 0, 6 },
	{ "destination options", IPPROTO_DSTOPTS, { 132, 0, 1, 4 }, 8, 40 },
	{ "two headers", IPPROTO_HOPOPTS, { IPPROTO_DSTOPTS, 0, 1, 4, 0, 0, 0, 0, 132, 1, 1, 12 }, 24, 48 },
	{ "destination options, then AH", IPPROTO_DSTOPTS, { IPPROTO_AH, 1, 1, 12, [16] = 132, 4 }, 40, 56 },
	{ "AH, then destination options", IPPROTO_AH, { IPPROTO_DSTOPTS, 4, [24] = 132, 0, 1, 4 }, 32, 64 },
	{ "atomic fragment whose reserved byte is set", IPPROTO_FRAGMENT,
	  { IPPROTO_DSTOPTS, 7, 0, 0, 0, 0, 0, 0, 132, 0, 1, 4 }, 16, 48 },
};

START_TEST(an_unknown_header_6_is_pointed_at)
{
	ext6(chains[_i].first, chains[_i].hdrs, chains[_i].n);
	rig_in(&rig, LAN, &sent);
	expect_refusal(ICMP6_PARAM_PROBLEM, 1, chains[_i].pointer);
}
END_TEST

/* RFC 8200 4.7: nothing follows, and so nothing is wrong. */
START_TEST(no_next_header_is_not_refused)
{
	ext6(IPPROTO_NONE, (const uint8_t *)"", 0);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(no_listener, 1);
}
END_TEST

START_TEST(tcp_is_dropped)
{
	begin("10.1.0.2");
	frame_tcp(&sent, "10.1.0.2", "10.1.0.1", TCP_SYN, 0);
	rig_in(&rig, LAN, &sent);
	begin("fd01::2");
	frame_tcp(&sent, "fd01::2", "fd01::1", TCP_SYN, 0);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(no_listener, 2);
}
END_TEST

START_TEST(a_transport_header_that_is_cut_off_is_not_answered)
{
	static const uint8_t proto[] = { IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6 };

	for (unsigned int i = 0; i < ARRAY_SIZE(proto); i++) {
		bool v6 = proto[i] == IPPROTO_ICMPV6;

		begin(v6 ? "fd01::2" : "10.1.0.2");
		frame_ip(&sent, v6 ? "fd01::2" : "10.1.0.2", v6 ? "fd01::1" : "10.1.0.1", proto[i], 7);
		rig_in(&rig, LAN, &sent);
	}
	rig_expect_silence();
	ck_drops(l4_short, 4);
}
END_TEST

START_TEST(fragments_are_dropped)
{
	for (unsigned int later = 0; later < 2; later++) {
		begin("10.1.0.2");
		frame_udp(&sent, "10.1.0.2", "10.1.0.1", 40);
		put_be16(sent.b + sent.l3 + IP4_FRAG, later ? 6 : IP4_FRAG_MF);
		frame_ip4_fix(&sent);
		rig_in(&rig, LAN, &sent);
		ext6(IPPROTO_FRAGMENT, (uint8_t[8]){ IPPROTO_UDP, 0, 0, later ? 8 : 1 }, 8);
		rig_in(&rig, LAN, &sent);
	}
	rig_expect_silence();
	ck_drops(local_fragment, 4);
}
END_TEST

/* ---- To and from the control thread ------------------------------------------------------------------------------ */

static unsigned int n_msgs;
static struct ctl_msg msg;

static void keep_msg(void *ctx, const struct ctl_msg *m)
{
	(void)ctx;
	memcpy(&msg, m, offsetof(struct ctl_msg, data) + m->len);
	n_msgs++;
}

static void expect_punt(uint16_t iface, uint8_t family, uint32_t l3)
{
	n_msgs = 0;
	engine_read(rig.e, keep_msg, NULL);
	ck_assert_uint_eq(n_msgs, 1);
	ck_assert_uint_eq(msg.kind, CTL_PUNT);
	ck_assert_uint_eq(msg.iface, iface);
	ck_assert_uint_eq(msg.family, family);
	ck_assert_uint_eq(msg.l3, l3);
	ck_assert_uint_eq(msg.len, sent.len);
	ck_assert_mem_eq(msg.data, sent.b, sent.len);
	rig_expect_silence();
}

static void arp(void)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_ARP4);
	memset(sent.b, 0xff, 6);
	for (unsigned int i = 0; i < 28; i++)
		sent.b[14 + i] = (uint8_t)(0x30 + i);
	sent.len = 42;
}

START_TEST(arp_is_the_control_thread_s)
{
	arp();
	rig_in(&rig, LAN, &sent);
	expect_punt(LAN, 0, 14);
	ck_assert_uint_eq(rig.w->count->consumed_pkts, 1);
}
END_TEST

START_TEST(tagged_arp_says_where_it_starts)
{
	uint16_t id = rig_vlan(&rig, LAN, 7, 70);

	rig_publish(&rig);
	arp();
	memmove(sent.b + 20, sent.b + 12, sent.len - 12);
	put_be16(sent.b + 12, ETHERTYPE_STAG);
	put_be16(sent.b + 14, 7);
	put_be16(sent.b + 16, ETHERTYPE_CTAG);
	put_be16(sent.b + 18, 70);
	sent.len += 8;
	rig_in(&rig, LAN, &sent);
	expect_punt(id, 0, 22);
}
END_TEST

START_TEST(neighbour_discovery_is_the_control_thread_s)
{
	static const char *const dst[] = { "ff02::1:ff00:1", "fd01::1", "ff02::1", "ff02::2" };
	static const uint8_t type[] = { 135, 136, 134, 133 };

	begin("fd01::2");
	frame_ip(&sent, "fd01::2", dst[_i], IPPROTO_ICMPV6, 24);
	sent.b[sent.l4] = type[_i];
	sent.b[sent.l3 + IP6_HOPS] = 255;
	if (dst[_i][0] == 'f' && dst[_i][1] == 'f')
		memcpy(sent.b, "\x33\x33\0\0\0\1", 6);
	rig_in(&rig, LAN, &sent);
	expect_punt(LAN, AF_INET6, 14);
}
END_TEST

/* DAD asks from the unspecified address. */
START_TEST(neighbour_discovery_without_a_source_is_taken_too)
{
	begin("::");
	frame_ip(&sent, "::", "ff02::1:ff00:1", IPPROTO_ICMPV6, 24);
	sent.b[sent.l4] = 135;
	rig_in(&rig, LAN, &sent);
	expect_punt(LAN, AF_INET6, 14);
}
END_TEST

START_TEST(neighbour_discovery_of_others_is_forwarded_as_any_packet)
{
	begin("fd01::2");
	frame_ip(&sent, "fd01::2", "fd02::2", IPPROTO_ICMPV6, 24);
	sent.b[sent.l4] = 135;
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
}
END_TEST

START_TEST(a_full_ring_to_the_control_thread_drops)
{
	for (unsigned int i = 0; i < 300; i++) {
		arp();
		rig_in(&rig, LAN, &sent);
	}
	ck_drops(control_full, 300 - 256);
	n_msgs = 0;
	engine_read(rig.e, keep_msg, NULL);
	ck_assert_uint_eq(n_msgs, 256);
	arp();
	rig_in(&rig, LAN, &sent);
	expect_punt(LAN, 0, 14);
}
END_TEST

START_TEST(frames_of_the_control_thread_leave_as_they_are)
{
	arp();
	for (unsigned int i = 0; i < 100; i++) {
		sent.b[41] = (uint8_t)i;
		ck_assert_int_eq(engine_inject(rig.e, WAN, WAN, sent.b, sent.len), 0);
	}
	rig_step(&rig);
	rig_step(&rig);
	for (unsigned int i = 0; i < 100; i++) {
		ck_assert(rig_sent(&rig, WAN, &got, NULL));
		sent.b[41] = (uint8_t)i;
		ck_assert_uint_eq(got.len, sent.len);
		ck_assert_mem_eq(got.b, sent.b, sent.len);
	}
	rig_step(&rig);
	ck_assert_uint_eq(rig.w->count->created_pkts, 100);
	ck_assert_uint_eq(rig.w->count->tx_pkts, 100);
}
END_TEST

START_TEST(frames_of_the_control_thread_are_refused_where_they_cannot_go)
{
	arp();
	ck_assert_int_eq(engine_inject(rig.e, 7, 0, sent.b, sent.len), -ENODEV);
	ck_assert_int_eq(engine_inject(rig.e, TABLES_PORTS_MAX, 0, sent.b, sent.len), -ENODEV);
	ck_assert_int_eq(engine_inject(rig.e, WAN, WAN, sent.b, PUNT_BYTES_MAX + 1), -EMSGSIZE);
	for (unsigned int i = 0; i < 256; i++)
		ck_assert_int_eq(engine_inject(rig.e, WAN, WAN, sent.b, sent.len), 0);
	ck_assert_int_eq(engine_inject(rig.e, WAN, WAN, sent.b, sent.len), -ENOBUFS);
	/* Without frames they are drops, and in the balance. */
	rig.w->area->reserve = rig.w->area->n_frames;
	for (unsigned int i = 0; i < 4; i++)
		rig_step(&rig);
	rig_expect_silence();
	ck_drops(no_frame, 256);
}
END_TEST

static TCase *echo(void)
{
	TCase *tc = tcase_create("echo");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, echo_4_comes_back_byte_by_byte);
	tcase_add_test(tc, echo_6_comes_back_byte_by_byte);
	tcase_add_test(tc, any_address_of_ours_answers_on_any_port);
	tcase_add_test(tc, a_link_local_address_answers_on_its_link_only);
	tcase_add_test(tc, echo_is_limited_in_rate);
	tcase_add_test(tc, a_bad_checksum_is_not_answered);
	tcase_add_test(tc, an_answer_above_the_mtu_is_fragmented_where_allowed);
	tcase_add_test(tc, other_icmp_types_end_here);
	tcase_add_test(tc, our_own_address_as_source_gets_no_answer);
	return tc;
}

static TCase *nobody(void)
{
	TCase *tc = tcase_create("nobody listens");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, udp_4_is_told_port_unreachable);
	tcase_add_test(tc, udp_6_is_told_port_unreachable);
	tcase_add_test(tc, an_unknown_protocol_4_is_told_protocol_unreachable);
	tcase_add_loop_test(tc, an_unknown_header_6_is_pointed_at, 0, ARRAY_SIZE(chains));
	tcase_add_test(tc, no_next_header_is_not_refused);
	tcase_add_test(tc, tcp_is_dropped);
	tcase_add_test(tc, a_transport_header_that_is_cut_off_is_not_answered);
	tcase_add_test(tc, fragments_are_dropped);
	return tc;
}

static TCase *control(void)
{
	TCase *tc = tcase_create("control");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, arp_is_the_control_thread_s);
	tcase_add_test(tc, tagged_arp_says_where_it_starts);
	tcase_add_loop_test(tc, neighbour_discovery_is_the_control_thread_s, 0, 4);
	tcase_add_test(tc, neighbour_discovery_without_a_source_is_taken_too);
	tcase_add_test(tc, neighbour_discovery_of_others_is_forwarded_as_any_packet);
	tcase_add_test(tc, a_full_ring_to_the_control_thread_drops);
	tcase_add_test(tc, frames_of_the_control_thread_leave_as_they_are);
	tcase_add_test(tc, frames_of_the_control_thread_are_refused_where_they_cannot_go);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { echo, nobody, control };

	return rig_run("local", cases, ARRAY_SIZE(cases));
}
