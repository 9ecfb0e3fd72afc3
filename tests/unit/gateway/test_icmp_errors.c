/* SPDX-License-Identifier: MIT */
/* Which drops a sender is told about, by which message, and when not: RFC 792, 1122 3.2.2, 1812 4.3.2, 1191, 4443. */
#include "tests/unit/gateway/rig_check.h"
#include "user/net/icmp.h"

static void udp(const char *src, const char *dst, uint32_t payload)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, strchr(src, ':') ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	frame_udp(&sent, src, dst, payload);
}

static void set_ttl(struct frame *f, uint8_t ttl)
{
	if (f->b[f->l3] >> 4 == 6) {
		f->b[f->l3 + IP6_HOPS] = ttl;
		return;
	}
	f->b[f->l3 + IP4_TTL] = ttl;
	frame_ip4_fix(f);
}

static void set_df(struct frame *f)
{
	put_be16(f->b + f->l3 + IP4_FRAG, IP4_FRAG_DF);
	frame_ip4_fix(f);
}

/* Is `got` an error from @src to the sender of @about, and does it quote that as it was sent? */
static void ck_error(const struct frame *about, uint8_t type, uint8_t code, const char *src, uint32_t info)
{
	const uint8_t *ip = got.b + got.l3, *was = about->b + about->l3, *icmp = got.b + got.l4;
	bool v6 = was[0] >> 4 == 6;
	uint32_t quoted = min_u32(about->len - about->l3, v6 ? 1280 - 48 : 576 - 28);
	uint8_t from[16];

	ck_assert_int_eq(ip[0] >> 4, v6 ? 6 : 4);
	inet_pton(v6 ? AF_INET6 : AF_INET, src, from);
	if (v6) {
		ck_assert_mem_eq(ip + IP6_SRC, from, 16);
		ck_assert_mem_eq(ip + IP6_DST, was + IP6_SRC, 16);
		ck_assert_uint_eq(ip[IP6_NEXT], IPPROTO_ICMPV6);
		ck_assert_uint_eq(ip[IP6_HOPS], 64);
		ck_assert_uint_eq(be16_at(ip + IP6_PLEN), 8 + quoted);
		ck_assert(frame_csum_ok(&got, IPPROTO_ICMPV6));
	} else {
		ck_assert_mem_eq(ip + IP4_SRC, from, 4);
		ck_assert_mem_eq(ip + IP4_DST, was + IP4_SRC, 4);
		ck_assert_uint_eq(ip[IP4_PROTO], IPPROTO_ICMP);
		ck_assert_uint_eq(ip[IP4_TTL], 64);
		ck_assert_uint_eq(be16_at(ip + IP4_TOTAL), 28 + quoted);
		ck_assert_uint_eq(csum_fold(csum_ipv4_header(ip, 5)), 0);
		ck_assert_uint_eq(csum_fold(csum_partial(icmp, 8 + quoted, 0)), 0);
	}
	ck_assert_uint_eq(got.len, (uint32_t)got.l4 + 8 + quoted);
	ck_assert_msg(icmp[0] == type && icmp[1] == code, "type %u code %u", icmp[0], icmp[1]);
	ck_assert_uint_eq(be32_at(icmp + 4), info);
	ck_assert_mem_eq(icmp + 8, was, quoted);
}

/* The sender on the lan has been told, and nothing else happened. */
static void expect_error(enum drop why, uint8_t type, uint8_t code, const char *src, uint32_t info)
{
	rig_expect_sent(LAN, 1);
	ck_error(&sent, type, code, src, info);
	ck_assert_mem_eq(got.b, MAC_H1, 6);
	ck_assert_mem_eq(got.b + 6, MAC_LAN, 6);
	rig_expect_silence();
	ck_assert_uint_eq(rig_drops(&rig, why), 1);
	ck_assert_uint_eq(rig.w->count->icmp_errors_sent, 1);
}

static void expect_no_error(enum drop why)
{
	rig_expect_silence();
	ck_assert_uint_eq(rig_drops(&rig, why), 1);
	ck_assert_uint_eq(rig.w->count->icmp_errors_sent, 0);
}

/* ---- What is told ------------------------------------------------------------------------------------------------ */

START_TEST(ttl_that_expires)
{
	for (uint8_t ttl = 0; ttl < 2; ttl++) {
		udp("10.1.0.2", "10.2.0.2", 30);
		set_ttl(&sent, ttl);
		rig_in(&rig, LAN, &sent);
		rig_expect_sent(LAN, 1);
		ck_error(&sent, ICMP4_TIME_EXCEEDED, 0, "10.1.0.1", 0);
		udp("fd01::2", "fd02::2", 30);
		set_ttl(&sent, ttl);
		rig_in(&rig, LAN, &sent);
		rig_expect_sent(LAN, 1);
		ck_error(&sent, ICMP6_TIME_EXCEEDED, 0, "fd01::1", 0);
	}
	rig_expect_silence();
	ck_drops(ttl, 4);
}
END_TEST

START_TEST(no_route_4)
{
	udp("10.1.0.2", "10.77.0.1", 30);
	rig_in(&rig, LAN, &sent);
	expect_error(DROP_no_route, ICMP4_UNREACHABLE, 0, "10.1.0.1", 0);
}
END_TEST

START_TEST(no_route_6)
{
	udp("fd01::2", "fd77::1", 30);
	rig_in(&rig, LAN, &sent);
	expect_error(DROP_no_route, ICMP6_UNREACHABLE, 0, "fd01::1", 0);
}
END_TEST

static const struct {
	enum fib_type type;
	enum drop why;
	uint8_t code4, code6;
} types[] = {
	{ FIB_UNREACHABLE, DROP_unreachable, 1, 3 },
	{ FIB_PROHIBIT, DROP_prohibit, 13, 1 },
	{ FIB_THROW, DROP_no_route, 0, 0 },
};

START_TEST(routes_that_refuse_4)
{
	rig_route(&rig, "10.66.0.0", 16, types[_i].type, 0, NULL);
	udp("10.1.0.2", "10.66.0.1", 30);
	rig_in(&rig, LAN, &sent);
	expect_error(types[_i].why, ICMP4_UNREACHABLE, types[_i].code4, "10.1.0.1", 0);
}
END_TEST

START_TEST(routes_that_refuse_6)
{
	rig_route(&rig, "fd66::", 16, types[_i].type, 0, NULL);
	udp("fd01::2", "fd66::1", 30);
	rig_in(&rig, LAN, &sent);
	expect_error(types[_i].why, ICMP6_UNREACHABLE, types[_i].code6, "fd01::1", 0);
}
END_TEST

START_TEST(a_blackhole_is_silent)
{
	rig_route(&rig, "10.66.0.0", 16, FIB_BLACKHOLE, 0, NULL);
	udp("10.1.0.2", "10.66.0.1", 30);
	rig_in(&rig, LAN, &sent);
	expect_no_error(DROP_blackhole);
}
END_TEST

START_TEST(the_kernel_s_addresses_are_not_answered_for)
{
	rig_route(&rig, "10.66.0.1", 32, FIB_KERNEL, 0, NULL);
	udp("10.1.0.2", "10.66.0.1", 30);
	rig_in(&rig, LAN, &sent);
	expect_no_error(DROP_kernel_address);
}
END_TEST

START_TEST(a_port_that_is_down)
{
	rig.iface[WAN].up = false;
	rig_publish(&rig);
	udp("10.1.0.2", "10.2.0.2", 30);
	rig_in(&rig, LAN, &sent);
	expect_error(DROP_port_down, ICMP4_UNREACHABLE, 1, "10.1.0.1", 0);
}
END_TEST

START_TEST(a_neighbour_that_does_not_answer)
{
	rig.failed_neighbours = true;
	rig_publish(&rig);
	udp("fd01::2", "fd02::2", 30);
	set_ttl(&sent, 9);
	rig_in(&rig, LAN, &sent);
	/* Quoted is the packet as it would have left: RFC 1812 4.3.2.3 allows either. */
	set_ttl(&sent, 8);
	expect_error(DROP_neigh_failed, ICMP6_UNREACHABLE, 3, "fd01::1", 0);
}
END_TEST

/* ---- MTU --------------------------------------------------------------------------------------------------------- */

START_TEST(too_big_4_tells_the_mtu_of_the_way_out)
{
	rig.iface[WAN].mtu_bytes = 1400;
	rig_publish(&rig);
	udp("10.1.0.2", "10.2.0.2", 1400 - 28);
	set_df(&sent);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	udp("10.1.0.2", "10.2.0.2", 1401 - 28);
	set_df(&sent);
	rig_in(&rig, LAN, &sent);
	expect_error(DROP_mtu_df, ICMP4_UNREACHABLE, 4, "10.1.0.1", 1400);
}
END_TEST

START_TEST(too_big_6_tells_the_mtu_of_the_way_out)
{
	rig.iface[WAN].mtu_bytes = 1400;
	rig_publish(&rig);
	udp("fd01::2", "fd02::2", 1400 - 48);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	udp("fd01::2", "fd02::2", 1401 - 48);
	rig_in(&rig, LAN, &sent);
	expect_error(DROP_mtu_df, ICMP6_TOO_BIG, 0, "fd01::1", 1400);
}
END_TEST

START_TEST(a_route_s_mtu_counts_when_it_is_smaller)
{
	struct fib_route route = { .type = FIB_UNICAST, .n_nexthops = 1, .mtu = 1300 };
	uint8_t net[16] = { 10, 20 };

	route.nexthops[0] = (struct fib_nexthop){ .iface = WAN, .weight = 1, .gw_family = AF_INET,
						  .gw = { 10, 2, 0, 2 } };
	ck_assert_int_eq(fib_set(rig.e->fib, AF_INET, net, 16, FIB_ORIGIN_STATIC, 0, &route, &rig.f), 0);
	udp("10.1.0.2", "10.20.0.2", 1301 - 28);
	set_df(&sent);
	rig_in(&rig, LAN, &sent);
	expect_error(DROP_mtu_df, ICMP4_UNREACHABLE, 4, "10.1.0.1", 1300);
}
END_TEST

START_TEST(a_superpacket_is_too_big_when_its_segments_are)
{
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1460,
		.csum_start = 20, .csum_offset = 16, .hdr_len = 40,
	};

	rig.iface[WAN].mtu_bytes = 1400;
	rig_publish(&rig);
	frame_eth(&sent, NULL, NULL, 0);
	frame_tcp(&sent, "10.3.0.2", "10.2.0.2", TCP_ACKED, 20000);
	set_df(&sent);
	put_wire16(sent.b + sent.l4 + TCP_CSUM, csum_fold16(frame_pseudo(&sent, IPPROTO_TCP)));
	ck_assert(memtun_inject(rig.q[TUN], sent.b, sent.len, &h));
	rig_step(&rig);
	rig_expect_sent(TUN, 1);
	ck_error(&sent, ICMP4_UNREACHABLE, 4, "10.1.0.1", 1400);
	rig_expect_silence();
	ck_drops(mtu_df, 1);
	h.gso_size = 1360;
	ck_assert(memtun_inject(rig.q[TUN], sent.b, sent.len, &h));
	rig_step(&rig);
	rig_expect_sent(WAN, 15);
}
END_TEST

/* ---- Contents ---------------------------------------------------------------------------------------------------- */

START_TEST(a_quotation_is_as_long_as_allowed)
{
	udp("10.1.0.2", "10.77.0.1", 1400);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	ck_error(&sent, ICMP4_UNREACHABLE, 0, "10.1.0.1", 0);
	ck_assert_uint_eq(got.len - got.l3, 576);
	udp("fd01::2", "fd77::1", 1400);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	ck_error(&sent, ICMP6_UNREACHABLE, 0, "fd01::1", 0);
	ck_assert_uint_eq(got.len - got.l3, 1280);
}
END_TEST

START_TEST(a_partial_checksum_is_whole_in_the_quotation)
{
	__be16 whole;

	udp("10.1.0.2", "10.77.0.1", 40);
	whole = wire16_at(sent.b + sent.l4 + UDP_CSUM);
	put_wire16(sent.b + sent.l4 + UDP_CSUM, csum_fold16(frame_pseudo(&sent, IPPROTO_UDP)));
	rig_in(&rig, LAN, &sent);
	put_wire16(sent.b + sent.l4 + UDP_CSUM, whole);
	expect_error(DROP_no_route, ICMP4_UNREACHABLE, 0, "10.1.0.1", 0);
}
END_TEST

START_TEST(padding_is_not_quoted)
{
	udp("10.1.0.2", "10.77.0.1", 1);
	memset(sent.b + sent.len, 0xee, 17);
	sent.len += 17;
	rig_inject(&rig, LAN, &sent);
	sent.len -= 17;
	rig_step(&rig);
	expect_error(DROP_no_route, ICMP4_UNREACHABLE, 0, "10.1.0.1", 0);
}
END_TEST

START_TEST(an_error_leaves_by_the_vlan_that_the_packet_came_by)
{
	uint16_t id = rig_vlan(&rig, LAN, 7, 0);

	rig_addr(&rig.iface[id], "10.7.0.1", 24, true);
	rig_route(&rig, "10.7.0.0", 24, FIB_UNICAST, id, NULL);
	rig_publish_with(&rig, id, "10.7.0.2", MAC_H1);
	udp("10.7.0.2", "10.77.0.1", 20);
	memmove(sent.b + 16, sent.b + 12, sent.len - 12);
	put_be16(sent.b + 12, ETHERTYPE_CTAG);
	put_be16(sent.b + 14, 7);
	sent.len += 4;
	sent.l3 = 18;
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	ck_assert_uint_eq(be16_at(got.b + 12), ETHERTYPE_CTAG);
	ck_assert_uint_eq(be16_at(got.b + 14), 7);
	got.l3 = 18;
	got.l4 = 38;
	ck_error(&sent, ICMP4_UNREACHABLE, 0, "10.7.0.1", 0);
}
END_TEST

/* ---- Whose address ----------------------------------------------------------------------------------------------- */

START_TEST(an_interface_without_an_address_borrows_one)
{
	frame_eth(&sent, NULL, NULL, 0);
	frame_udp(&sent, "10.3.0.2", "10.77.0.1", 20);
	rig_in(&rig, TUN, &sent);
	rig_expect_sent(TUN, 1);
	ck_error(&sent, ICMP4_UNREACHABLE, 0, "10.1.0.1", 0);
}
END_TEST

START_TEST(of_two_addresses_the_one_nearer_to_the_sender)
{
	rig_addr(&rig.iface[LAN], "10.5.0.1", 24, true);
	rig_route(&rig, "10.5.0.0", 24, FIB_UNICAST, LAN, NULL);
	rig_publish_with(&rig, LAN, "10.5.0.2", MAC_H1);
	udp("10.5.0.2", "10.77.0.1", 20);
	rig_in(&rig, LAN, &sent);
	expect_error(DROP_no_route, ICMP4_UNREACHABLE, 0, "10.5.0.1", 0);
}
END_TEST

/* A link-local source would be dropped by the first router on the way back (RFC 4291 2.5.6). */
START_TEST(a_global_address_of_another_interface_beats_a_link_local_one)
{
	rig.iface[TUN].n_addrs = 0;
	rig_addr(&rig.iface[TUN], "fe80::33", 64, true);
	rig_publish(&rig);
	frame_eth(&sent, NULL, NULL, 0);
	frame_udp(&sent, "fd03::2", "fd77::1", 20);
	rig_in(&rig, TUN, &sent);
	rig_expect_sent(TUN, 1);
	ck_error(&sent, ICMP6_UNREACHABLE, 0, "fd01::1", 0);
}
END_TEST

START_TEST(an_address_that_is_not_sure_yet_is_not_used)
{
	rig.iface[LAN].addrs[0].state = IFACE_ADDR_TENTATIVE;
	rig_publish(&rig);
	udp("10.1.0.2", "10.77.0.1", 20);
	rig_in(&rig, LAN, &sent);
	expect_error(DROP_no_route, ICMP4_UNREACHABLE, 0, "10.2.0.1", 0);
}
END_TEST

START_TEST(without_any_address_there_is_no_error)
{
	for (unsigned int i = 0; i < RIG_PORTS; i++)
		rig.iface[i].n_addrs = 0;
	rig_publish(&rig);
	udp("10.1.0.2", "10.77.0.1", 20);
	rig_in(&rig, LAN, &sent);
	expect_no_error(DROP_no_route);
}
END_TEST

/* ---- What is not told -------------------------------------------------------------------------------------------- */

static void icmp(const char *src, const char *dst, uint8_t type)
{
	bool v6 = strchr(src, ':');

	frame_eth(&sent, MAC_LAN, MAC_H1, v6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	frame_echo(&sent, src, dst, 40);
	sent.b[sent.l4] = type;
	set_ttl(&sent, 1);
}

START_TEST(errors_are_not_answered_4)
{
	static const uint8_t error[] = { ICMP4_UNREACHABLE, 4, 5, ICMP4_TIME_EXCEEDED, ICMP4_PARAM_PROBLEM, 200 };

	icmp("10.1.0.2", "10.2.0.2", error[_i]);
	rig_in(&rig, LAN, &sent);
	expect_no_error(DROP_ttl);
	ck_assert_uint_eq(rig.w->count->icmp_errors_forbidden, 1);
}
END_TEST

START_TEST(errors_are_not_answered_6)
{
	static const uint8_t error[] = { ICMP6_UNREACHABLE, ICMP6_TOO_BIG, ICMP6_TIME_EXCEEDED, ICMP6_PARAM_PROBLEM,
					 100, ICMP6_REDIRECT };

	icmp("fd01::2", "fd02::2", error[_i]);
	rig_in(&rig, LAN, &sent);
	expect_no_error(DROP_ttl);
	ck_assert_uint_eq(rig.w->count->icmp_errors_forbidden, 1);
}
END_TEST

START_TEST(queries_are_answered)
{
	icmp("10.1.0.2", "10.2.0.2", ICMP4_ECHO_REQUEST);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	ck_error(&sent, ICMP4_TIME_EXCEEDED, 0, "10.1.0.1", 0);
	icmp("fd01::2", "fd02::2", ICMP6_ECHO_REQUEST);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	ck_error(&sent, ICMP6_TIME_EXCEEDED, 0, "fd01::1", 0);
}
END_TEST

START_TEST(of_fragments_only_the_first_is_answered)
{
	udp("10.1.0.2", "10.2.0.2", 40);
	put_be16(sent.b + sent.l3 + IP4_FRAG, 8);
	set_ttl(&sent, 1);
	rig_in(&rig, LAN, &sent);
	expect_no_error(DROP_ttl);
	put_be16(sent.b + sent.l3 + IP4_FRAG, IP4_FRAG_MF);
	set_ttl(&sent, 1);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	ck_error(&sent, ICMP4_TIME_EXCEEDED, 0, "10.1.0.1", 0);
}
END_TEST

START_TEST(what_came_by_a_link_layer_group_is_not_answered)
{
	udp("10.1.0.2", "10.77.0.1", 40);
	memset(sent.b, 0xff, 6);
	rig_in(&rig, LAN, &sent);
	expect_no_error(DROP_l2_multicast);
}
END_TEST

START_TEST(packets_of_our_own_are_not_answered)
{
	rig_route(&rig, "10.66.0.0", 16, FIB_UNICAST, WAN, "10.2.0.2");
	rig.failed_neighbours = true;
	rig_publish(&rig);
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP4);
	frame_echo(&sent, "10.66.0.2", "10.1.0.1", 40);
	rig_in(&rig, LAN, &sent);
	expect_no_error(DROP_neigh_failed);
	ck_assert_uint_eq(rig.w->count->created_pkts, 0);
}
END_TEST

START_TEST(errors_are_limited_in_rate)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < 1100; i++) {
		udp("10.1.0.2", "10.77.0.1", 20);
		rig_in(&rig, LAN, &sent);
		n += rig_sent(&rig, LAN, &got, NULL);
		rig_step(&rig);
	}
	ck_assert_uint_eq(n, 1000);
	ck_assert_uint_eq(rig.w->count->icmp_errors_limited, 100);
	rig_later(&rig, 10 * NS_PER_MS);
	for (unsigned int i = 0; i < 20; i++)
		rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 10);
	ck_drops(no_route, 1120);
}
END_TEST

/* Without a frame for the error the packet is dropped all the same. */
START_TEST(no_frame_no_error)
{
	udp("10.1.0.2", "10.77.0.1", 20);
	rig.w->area->reserve = rig.w->area->n_frames;
	rig_in(&rig, LAN, &sent);
	expect_no_error(DROP_no_route);
}
END_TEST

static TCase *told(void)
{
	TCase *tc = tcase_create("told");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, ttl_that_expires);
	tcase_add_test(tc, no_route_4);
	tcase_add_test(tc, no_route_6);
	tcase_add_loop_test(tc, routes_that_refuse_4, 0, ARRAY_SIZE(types));
	tcase_add_loop_test(tc, routes_that_refuse_6, 0, ARRAY_SIZE(types));
	tcase_add_test(tc, a_blackhole_is_silent);
	tcase_add_test(tc, the_kernel_s_addresses_are_not_answered_for);
	tcase_add_test(tc, a_port_that_is_down);
	tcase_add_test(tc, a_neighbour_that_does_not_answer);
	tcase_add_test(tc, too_big_4_tells_the_mtu_of_the_way_out);
	tcase_add_test(tc, too_big_6_tells_the_mtu_of_the_way_out);
	tcase_add_test(tc, a_route_s_mtu_counts_when_it_is_smaller);
	tcase_add_test(tc, a_superpacket_is_too_big_when_its_segments_are);
	return tc;
}

static TCase *contents(void)
{
	TCase *tc = tcase_create("contents");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, a_quotation_is_as_long_as_allowed);
	tcase_add_test(tc, a_partial_checksum_is_whole_in_the_quotation);
	tcase_add_test(tc, padding_is_not_quoted);
	tcase_add_test(tc, an_error_leaves_by_the_vlan_that_the_packet_came_by);
	tcase_add_test(tc, an_interface_without_an_address_borrows_one);
	tcase_add_test(tc, of_two_addresses_the_one_nearer_to_the_sender);
	tcase_add_test(tc, a_global_address_of_another_interface_beats_a_link_local_one);
	tcase_add_test(tc, an_address_that_is_not_sure_yet_is_not_used);
	tcase_add_test(tc, without_any_address_there_is_no_error);
	return tc;
}

static TCase *not_told(void)
{
	TCase *tc = tcase_create("not told");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_loop_test(tc, errors_are_not_answered_4, 0, 6);
	tcase_add_loop_test(tc, errors_are_not_answered_6, 0, 6);
	tcase_add_test(tc, queries_are_answered);
	tcase_add_test(tc, of_fragments_only_the_first_is_answered);
	tcase_add_test(tc, what_came_by_a_link_layer_group_is_not_answered);
	tcase_add_test(tc, packets_of_our_own_are_not_answered);
	tcase_add_test(tc, errors_are_limited_in_rate);
	tcase_add_test(tc, no_frame_no_error);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { told, contents, not_told };

	return rig_run("icmp errors", cases, ARRAY_SIZE(cases));
}
