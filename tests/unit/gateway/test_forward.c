/* SPDX-License-Identifier: MIT */
/* Forwarding, byte by byte: RFC 1812 5.2 and 5.3, RFC 8200 3, RFC 1624, IEEE 802.1Q. */
#include "tests/unit/gateway/rig_check.h"

/* @f as the next hop must see it: TTL one less, header checksum by full computation, @dst and @src as link layer. */
static struct frame *hop(const struct frame *f, const uint8_t *dst, const uint8_t *src)
{
	static struct frame want;
	uint8_t *ip;

	frame_eth(&want, dst, src, f->b[f->l3] >> 4 == 6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	memcpy(want.b + want.len, f->b + f->l3, f->len - f->l3);
	want.len += f->len - f->l3;
	ip = want.b + want.l3;
	if (ip[0] >> 4 == 6) {
		ip[7]--;
	} else {
		ip[8]--;
		frame_ip4_fix(&want);
	}
	return &want;
}

static void ck_frame(const struct frame *is, const struct frame *want)
{
	ck_assert_uint_eq(is->len, want->len);
	ck_assert_mem_eq(is->b, want->b, want->len);
}

static void udp4(const char *src, const char *dst, uint32_t payload)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP4);
	frame_udp(&sent, src, dst, payload);
}

static void udp6(const char *src, const char *dst, uint32_t payload)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP6);
	frame_udp(&sent, src, dst, payload);
}

/* ---- Plain packets ----------------------------------------------------------------------------------------------- */

START_TEST(ip4_leaves_with_ttl_checksum_and_macs_changed_and_nothing_else)
{
	udp4("10.1.0.2", "10.2.0.2", 100);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, hop(&sent, MAC_H2, MAC_WAN));
	ck_assert_uint_eq(rig.w->count->forwarded_pkts, 1);
}
END_TEST

START_TEST(ip6_leaves_with_hop_limit_and_macs_changed_and_nothing_else)
{
	udp6("fd01::2", "fd02::2", 100);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, hop(&sent, MAC_H2, MAC_WAN));
}
END_TEST

START_TEST(a_gateway_s_mac_is_used_for_what_lies_behind_it)
{
	udp4("10.1.0.2", "10.9.1.1", 10);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, hop(&sent, MAC_H2, MAC_WAN));
	udp6("fd01::2", "fd09::1", 10);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, hop(&sent, MAC_H2, MAC_WAN));
}
END_TEST

/* RFC 1624: the incremental checksum is right for every value, also where the old RFC 1141 form yields 0xffff. */
START_TEST(ip4_checksum_is_right_for_every_identification)
{
	for (unsigned int first = 0; first < 0x10000; first += 64) {
		for (unsigned int id = first; id < first + 64; id++) {
			udp4("10.1.0.2", "10.2.0.2", 0);
			put_be16(sent.b + sent.l3 + IP4_ID, (uint16_t)id);
			frame_ip4_fix(&sent);
			rig_inject(&rig, LAN, &sent);
		}
		rig_step(&rig);
		while (rig_sent(&rig, WAN, &got, NULL))
			ck_assert_uint_eq(csum_fold(csum_ipv4_header(got.b + got.l3, 5)), 0);
		rig_step(&rig);
	}
	ck_assert_uint_eq(rig.w->count->tx_pkts, 0x10000);
}
END_TEST

START_TEST(padding_is_cut)
{
	udp4("10.1.0.2", "10.2.0.2", 3);
	memset(sent.b + sent.len, 0xee, 15);
	sent.len += 15;
	rig_inject(&rig, LAN, &sent);
	sent.len -= 15;
	rig_step(&rig);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, hop(&sent, MAC_H2, MAC_WAN));
}
END_TEST

START_TEST(options_pass_unchanged)
{
	static const uint8_t router_alert[4] = { IP4_OPT_ROUTER_ALERT, 4, 0, 0 };
	uint8_t *ip;

	udp4("10.1.0.2", "10.2.0.2", 40);
	ip = sent.b + sent.l3;
	memmove(ip + 24, ip + 20, 48);
	memcpy(ip + 20, router_alert, 4);
	ip[0] = 0x46;
	put_be16(ip + IP4_TOTAL, 24 + 48);
	frame_ip4_fix(&sent);
	sent.len += 4;
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, hop(&sent, MAC_H2, MAC_WAN));
}
END_TEST

START_TEST(extension_headers_pass_unchanged)
{
	uint8_t *ip;

	udp6("fd01::2", "fd02::2", 40);
	ip = sent.b + sent.l3;
	memmove(ip + 48, ip + 40, 48);
	memset(ip + 40, 0, 8);
	ip[40] = IPPROTO_UDP;
	ip[42] = 1;			/* PadN */
	ip[43] = 4;
	ip[6] = IPPROTO_HOPOPTS;
	put_be16(ip + IP6_PLEN, 8 + 48);
	sent.len += 8;
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, hop(&sent, MAC_H2, MAC_WAN));
}
END_TEST

START_TEST(to_a_tun_goes_the_bare_ip_packet)
{
	udp4("10.1.0.2", "10.3.0.2", 33);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(TUN, 1);
	ck_frame(&got, hop(&sent, NULL, NULL));
	udp6("fd01::2", "fd03::2", 33);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(TUN, 1);
	ck_frame(&got, hop(&sent, NULL, NULL));
}
END_TEST

START_TEST(from_a_tun_comes_the_bare_ip_packet)
{
	frame_eth(&sent, NULL, NULL, 0);
	frame_udp(&sent, "10.3.0.2", "10.2.0.2", 33);
	rig_in(&rig, TUN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, hop(&sent, MAC_H2, MAC_WAN));
}
END_TEST

START_TEST(order_is_kept)
{
	for (unsigned int n = 0; n < 200; n++) {
		udp4("10.1.0.2", "10.2.0.2", 20);
		put_be16(sent.b + sent.l3 + IP4_ID, (uint16_t)n);
		frame_ip4_fix(&sent);
		rig_inject(&rig, LAN, &sent);
	}
	for (unsigned int n = 0; n < 4; n++)
		rig_step(&rig);
	for (unsigned int n = 0; n < 200; n++) {
		ck_assert(rig_sent(&rig, WAN, &got, NULL));
		ck_assert_uint_eq(be16_at(got.b + got.l3 + IP4_ID), n);
	}
}
END_TEST

/* A packet of one frame in a chain by its padding: what it leaves as is one frame. */
START_TEST(padding_that_fills_frames_of_a_chain_is_cut)
{
	udp4("10.1.0.2", "10.2.0.2", 20);
	memset(sent.b + sent.len, 0xee, 4000);
	sent.len += 4000;
	rig_inject(&rig, LAN, &sent);
	sent.len -= 4000;
	rig_step(&rig);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, hop(&sent, MAC_H2, MAC_WAN));
}
END_TEST

/* ---- Tags -------------------------------------------------------------------------------------------------------- */

/* Put tags between the addresses and the EtherType. */
static void tag(struct frame *f, uint16_t tpid0, uint16_t tci0, uint16_t tpid1, uint16_t tci1)
{
	uint16_t n = tpid1 ? 8 : 4;

	memmove(f->b + 12 + n, f->b + 12, f->len - 12);
	put_be16(f->b + 12, tpid0);
	put_be16(f->b + 14, tci0);
	if (tpid1) {
		put_be16(f->b + 16, tpid1);
		put_be16(f->b + 18, tci1);
	}
	f->len += n;
	f->l3 = (uint16_t)(f->l3 + n);
	f->l4 = (uint16_t)(f->l4 + n);
}

static uint16_t vlan_net(unsigned int port, uint16_t outer, uint16_t inner, const char *net4, const char *host4,
			 const uint8_t *mac)
{
	uint16_t id = rig_vlan(&rig, port, outer, inner);

	rig_route(&rig, net4, 24, FIB_UNICAST, id, host4);
	rig_publish_with(&rig, id, host4, mac);
	return id;
}

START_TEST(vlan_in_untagged_out)
{
	struct frame *want;

	vlan_net(LAN, 7, 0, "10.7.0.0", "10.7.0.2", MAC_H1);
	udp4("10.7.0.2", "10.2.0.2", 60);
	want = hop(&sent, MAC_H2, MAC_WAN);
	tag(&sent, ETHERTYPE_CTAG, 0x6007, 0, 0);	/* with a priority */
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, want);
}
END_TEST

START_TEST(untagged_in_vlan_out)
{
	struct frame *want;

	vlan_net(WAN, 7, 0, "10.7.0.0", "10.7.0.2", MAC_H2);
	udp4("10.1.0.2", "10.7.0.9", 60);
	want = hop(&sent, MAC_H2, MAC_WAN);
	tag(want, ETHERTYPE_CTAG, 7, 0, 0);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, want);
}
END_TEST

START_TEST(qinq_in_and_out_with_other_tags)
{
	struct frame *want;

	vlan_net(LAN, 7, 70, "10.7.0.0", "10.7.0.2", MAC_H1);
	vlan_net(WAN, 8, 80, "10.8.0.0", "10.8.0.2", MAC_H2);
	udp4("10.7.0.2", "10.8.0.9", 60);
	want = hop(&sent, MAC_H2, MAC_WAN);
	tag(want, ETHERTYPE_STAG, 8, ETHERTYPE_CTAG, 80);
	tag(&sent, ETHERTYPE_STAG, 7, ETHERTYPE_CTAG, 70);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, want);
}
END_TEST

START_TEST(between_two_vlans_of_one_port)
{
	struct frame *want;

	vlan_net(LAN, 7, 0, "10.7.0.0", "10.7.0.2", MAC_H1);
	vlan_net(LAN, 8, 0, "10.8.0.0", "10.8.0.2", MAC_H2);
	udp4("10.7.0.2", "10.8.0.9", 60);
	want = hop(&sent, MAC_H2, MAC_LAN);
	tag(want, ETHERTYPE_CTAG, 8, 0, 0);
	tag(&sent, ETHERTYPE_CTAG, 7, 0, 0);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	ck_frame(&got, want);
}
END_TEST

START_TEST(vlan_in_tun_out)
{
	struct frame *want;

	vlan_net(LAN, 7, 0, "10.7.0.0", "10.7.0.2", MAC_H1);
	udp4("10.7.0.2", "10.3.0.9", 60);
	want = hop(&sent, NULL, NULL);
	tag(&sent, ETHERTYPE_CTAG, 7, 0, 0);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(TUN, 1);
	ck_frame(&got, want);
}
END_TEST

START_TEST(a_priority_tag_is_no_vlan)
{
	struct frame *want;

	udp4("10.1.0.2", "10.2.0.2", 60);
	want = hop(&sent, MAC_H2, MAC_WAN);
	tag(&sent, ETHERTYPE_CTAG, 0xe000, 0, 0);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_frame(&got, want);
}
END_TEST

START_TEST(a_vlan_nobody_configured_is_dropped)
{
	static const uint16_t tags[][2] = { { 9, 0 }, { 7, 71 }, { 70, 0 }, { 8, 0 }, { 0, 7 } };

	vlan_net(LAN, 7, 0, "10.7.0.0", "10.7.0.2", MAC_H1);
	vlan_net(LAN, 8, 80, "10.8.0.0", "10.8.0.2", MAC_H1);
	for (unsigned int i = 0; i < ARRAY_SIZE(tags); i++) {
		udp4("10.7.0.2", "10.2.0.2", 60);
		tag(&sent, ETHERTYPE_CTAG, tags[i][0], tags[i][1] ? ETHERTYPE_CTAG : 0, tags[i][1]);
		rig_in(&rig, LAN, &sent);
		ck_drops(vlan_unknown, i + 1);
	}
	rig_expect_silence();
}
END_TEST

/* ---- Routes ------------------------------------------------------------------------------------------------------ */

START_TEST(the_longest_prefix_wins)
{
	rig_route(&rig, "10.9.5.0", 24, FIB_UNICAST, TUN, NULL);
	rig_route(&rig, "10.9.5.5", 32, FIB_UNICAST, LAN, "10.1.0.2");
	rig_route(&rig, "0.0.0.0", 0, FIB_BLACKHOLE, 0, NULL);
	udp4("10.1.0.2", "10.9.4.255", 10);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	udp4("10.1.0.2", "10.9.5.4", 10);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(TUN, 1);
	udp4("10.1.0.2", "10.9.5.5", 10);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
	udp4("10.1.0.2", "11.0.0.1", 10);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(blackhole, 1);
}
END_TEST

/* Two ways with weights 1 and 3. */
static void two_ways(void)
{
	struct fib_route route = { .type = FIB_UNICAST, .n_nexthops = 2 };
	uint8_t net[16] = { 10, 20 };

	route.nexthops[0] = (struct fib_nexthop){ .iface = TUN, .weight = 1 };
	route.nexthops[1] = (struct fib_nexthop){ .iface = WAN, .weight = 3, .gw_family = AF_INET,
						  .gw = { 10, 2, 0, 2 } };
	ck_assert_int_eq(fib_set(rig.e->fib, AF_INET, net, 16, FIB_ORIGIN_STATIC, 0, &route, &rig.f), 0);
}

START_TEST(flows_spread_over_next_hops_by_weight_and_keep_theirs)
{
	unsigned int tun = 0, wan = 0;
	bool way[256];

	two_ways();
	for (unsigned int round = 0; round < 2; round++) {
		for (unsigned int flow = 0; flow < 256; flow++) {
			bool by_tun;

			udp4("10.1.0.2", "10.20.0.9", 10);
			put_be16(sent.b + sent.l4, (uint16_t)(5000 + flow));
			frame_csum(&sent, IPPROTO_UDP, UDP_CSUM);
			rig_in(&rig, LAN, &sent);
			by_tun = rig_sent(&rig, TUN, &got, NULL);
			ck_assert(by_tun != rig_sent(&rig, WAN, &got, NULL));
			if (round)
				ck_assert(way[flow] == by_tun);
			way[flow] = by_tun;
			tun += by_tun;
			wan += !by_tun;
		}
	}
	/* 512 packets of 256 flows: 128 of them, with 6 standard deviations on each side. */
	ck_assert_uint_ge(tun, 128 - 84);
	ck_assert_uint_le(tun, 128 + 84);
}
END_TEST

START_TEST(all_fragments_of_a_datagram_take_one_way)
{
	two_ways();
	for (unsigned int flow = 0; flow < 64; flow++) {
		unsigned int n = 0;

		for (unsigned int part = 0; part < 3; part++) {
			udp4("10.1.0.2", "10.20.0.9", 40);
			put_be16(sent.b + sent.l4, (uint16_t)(5000 + flow));
			put_be16(sent.b + sent.l3 + IP4_FRAG, (uint16_t)(part * 6 | (part < 2 ? IP4_FRAG_MF : 0)));
			put_be16(sent.b + sent.l3 + IP4_DST + 2, (uint16_t)flow);
			frame_ip4_fix(&sent);
			rig_in(&rig, LAN, &sent);
		}
		while (rig_sent(&rig, TUN, &got, NULL))
			n++;
		ck_assert(n == 0 || n == 3);
		while (rig_sent(&rig, WAN, &got, NULL))
			n++;
		ck_assert_uint_eq(n, 3);
	}
}
END_TEST

START_TEST(a_route_by_no_port_of_ours_drops)
{
	rig_route(&rig, "10.30.0.0", 16, FIB_UNICAST, FIB_IFACE_NONE, NULL);
	rig_route(&rig, "10.31.0.0", 16, FIB_UNICAST, 900, NULL);
	udp4("10.1.0.2", "10.30.0.1", 10);
	rig_in(&rig, LAN, &sent);
	udp4("10.1.0.2", "10.31.0.1", 10);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(no_port, 2);
}
END_TEST

/* ---- What is not accepted ---------------------------------------------------------------------------------------- */

static const struct {
	const char *src, *dst;
	enum drop why;
} refused[] = {
	{ "0.0.0.0", "10.2.0.2", DROP_martian_source },
	{ "0.1.2.3", "10.2.0.2", DROP_martian_source },
	{ "127.0.0.1", "10.2.0.2", DROP_martian_source },
	{ "224.0.0.1", "10.2.0.2", DROP_martian_source },
	{ "240.0.0.1", "10.2.0.2", DROP_martian_source },
	{ "255.255.255.255", "10.2.0.2", DROP_martian_source },
	{ "127.0.0.1", "10.2.0.1", DROP_martian_source },
	{ "10.1.0.2", "0.0.0.0", DROP_martian_destination },
	{ "10.1.0.2", "127.0.0.1", DROP_martian_destination },
	{ "10.1.0.2", "250.0.0.1", DROP_martian_destination },
	{ "10.1.0.2", "224.0.0.5", DROP_multicast },
	{ "10.1.0.2", "239.255.255.255", DROP_multicast },
	{ "10.1.0.2", "255.255.255.255", DROP_broadcast },
	{ "10.1.0.2", "10.1.0.255", DROP_broadcast },
	{ "169.254.1.1", "10.2.0.2", DROP_link_scope },
	{ "10.1.0.2", "169.254.1.1", DROP_link_scope },
	{ "::", "fd02::2", DROP_martian_source },
	{ "::1", "fd02::2", DROP_martian_source },
	{ "ff02::1", "fd02::2", DROP_martian_source },
	{ "::ffff:10.1.0.2", "fd02::2", DROP_martian_source },
	{ "::1", "fd02::1", DROP_martian_source },
	{ "fd01::2", "::", DROP_martian_destination },
	{ "fd01::2", "::1", DROP_martian_destination },
	{ "fd01::2", "::ffff:10.2.0.2", DROP_martian_destination },
	{ "fd01::2", "ff02::5", DROP_multicast },
	{ "fd01::2", "ff0e::5", DROP_multicast },
	{ "fe80::2", "fd02::2", DROP_link_scope },
	{ "fd01::2", "fe80::2", DROP_link_scope },
	{ "::ffff:10.1.0.2", "fd0f::1", DROP_martian_source },
	{ "127.0.0.1", "10.77.0.1", DROP_martian_source },
};

static void refused_one(int i)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, strchr(refused[i].src, ':') ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	frame_udp(&sent, refused[i].src, refused[i].dst, 20);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	for (unsigned int why = 1; why < DROP_N; why++)
		ck_assert_msg(rig_drops(&rig, why) == (why == refused[i].why), "%s to %s: drop %u is %llu",
			      refused[i].src, refused[i].dst, why, (unsigned long long)rig_drops(&rig, why));
	ck_assert_uint_eq(rig.w->count->icmp_errors_sent, 0);
}

START_TEST(addresses_not_to_be_forwarded)
{
	refused_one(_i);
}
END_TEST

/* The reason does not depend on whether there is a route for everything. */
START_TEST(addresses_not_to_be_forwarded_with_a_default_route)
{
	rig_route(&rig, "0.0.0.0", 0, FIB_UNICAST, WAN, "10.2.0.2");
	rig_route(&rig, "::", 0, FIB_UNICAST, WAN, "fd02::2");
	refused_one(_i);
}
END_TEST

START_TEST(a_frame_for_another_station_is_dropped)
{
	udp4("10.1.0.2", "10.2.0.2", 20);
	sent.b[5] ^= 1;
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(not_our_mac, 1);
}
END_TEST

START_TEST(unicast_in_a_link_layer_group_is_not_taken)
{
	static const struct {
		const char *src, *dst;
		enum drop why;
	} t[] = {
		{ "10.1.0.2", "10.2.0.2", DROP_l2_multicast }, { "10.1.0.2", "10.1.0.1", DROP_l2_multicast },
		{ "10.1.0.2", "224.0.0.5", DROP_multicast },   { "10.1.0.2", "255.255.255.255", DROP_broadcast },
		{ "10.1.0.2", "10.1.0.255", DROP_broadcast },  { "fd01::2", "fd02::2", DROP_l2_multicast },
		{ "fd01::2", "fd01::1", DROP_l2_multicast },   { "fd01::2", "ff02::5", DROP_multicast },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
		uint64_t before = rig_drops(&rig, t[i].why);

		frame_eth(&sent, MAC_LAN, MAC_H1, strchr(t[i].src, ':') ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
		memset(sent.b, 0xff, 6);
		frame_echo(&sent, t[i].src, t[i].dst, 20);
		rig_in(&rig, LAN, &sent);
		rig_expect_silence();
		ck_assert_msg(rig_drops(&rig, t[i].why) == before + 1, "%s to %s", t[i].src, t[i].dst);
	}
}
END_TEST

START_TEST(a_wrong_header_checksum_drops)
{
	udp4("10.1.0.2", "10.2.0.2", 20);
	sent.b[sent.l3 + IP4_CSUM] ^= 0x10;
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(ip4_checksum, 1);
}
END_TEST

START_TEST(an_ethertype_we_do_not_know_drops)
{
	udp4("10.1.0.2", "10.2.0.2", 20);
	put_be16(sent.b + 12, 0x88cc);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(eth_type, 1);
}
END_TEST

/* ---- Where a packet may come from -------------------------------------------------------------------------------- */

static void source_check(enum iface_rp_filter how)
{
	rig.iface[LAN].flags |= IFACE_CHECK_SOURCE;
	rig.iface[LAN].rp_filter = (uint8_t)how;
	rig_publish(&rig);
}

static const struct {
	const char *src, *dst;
	enum drop why[3];		/* off, loose, strict */
} sources[] = {
	{ "10.1.0.2", "10.2.0.2", { 0, 0, 0 } },
	{ "10.9.0.2", "10.2.0.2", { 0, 0, DROP_rp_filter } },
	{ "10.77.0.2", "10.2.0.2", { 0, DROP_rp_filter, DROP_rp_filter } },
	{ "10.2.0.1", "10.2.0.2", { DROP_own_source, DROP_own_source, DROP_own_source } },
	{ "10.1.0.1", "10.2.0.2", { DROP_own_source, DROP_own_source, DROP_own_source } },
	{ "10.66.0.1", "10.2.0.2", { 0, DROP_rp_filter, DROP_rp_filter } },
	{ "fd01::2", "fd02::2", { 0, 0, 0 } },
	{ "fd09::2", "fd02::2", { 0, 0, DROP_rp_filter } },
	{ "fd77::2", "fd02::2", { 0, DROP_rp_filter, DROP_rp_filter } },
	{ "fd02::1", "fd02::2", { DROP_own_source, DROP_own_source, DROP_own_source } },
};

START_TEST(source_addresses_are_checked_as_set)
{
	unsigned int how = (unsigned int)_i % 3;
	enum drop why = sources[_i / 3].why[how];
	const char *src = sources[_i / 3].src;

	source_check((enum iface_rp_filter)how);
	rig_route(&rig, "10.66.0.0", 16, FIB_BLACKHOLE, 0, NULL);
	frame_eth(&sent, MAC_LAN, MAC_H1, strchr(src, ':') ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	frame_udp(&sent, src, sources[_i / 3].dst, 20);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, why == DROP_NONE);
	if (why != DROP_NONE)
		ck_assert_uint_eq(rig_drops(&rig, why), 1);
}
END_TEST

START_TEST(sources_of_packets_for_us_are_checked_too)
{
	source_check(IFACE_RP_STRICT);
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP4);
	frame_echo(&sent, "10.9.0.2", "10.1.0.1", 20);
	rig_in(&rig, LAN, &sent);
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP6);
	frame_echo(&sent, "fd09::2", "fd01::1", 20);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(rp_filter, 2);
}
END_TEST

/* A link-local source has no route, and is right on every link. */
START_TEST(link_local_sources_are_not_asked_for_a_route)
{
	rig_addr(&rig.iface[LAN], "fe80::1", 64, true);
	source_check(IFACE_RP_STRICT);
	rig_publish_with(&rig, LAN, "fe80::2", MAC_H1);
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP6);
	frame_echo(&sent, "fe80::2", "fe80::1", 20);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(LAN, 1);
}
END_TEST

static TCase *plain(void)
{
	TCase *tc = tcase_create("plain");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, ip4_leaves_with_ttl_checksum_and_macs_changed_and_nothing_else);
	tcase_add_test(tc, ip6_leaves_with_hop_limit_and_macs_changed_and_nothing_else);
	tcase_add_test(tc, a_gateway_s_mac_is_used_for_what_lies_behind_it);
	tcase_add_test(tc, ip4_checksum_is_right_for_every_identification);
	tcase_add_test(tc, padding_is_cut);
	tcase_add_test(tc, padding_that_fills_frames_of_a_chain_is_cut);
	tcase_add_test(tc, options_pass_unchanged);
	tcase_add_test(tc, extension_headers_pass_unchanged);
	tcase_add_test(tc, to_a_tun_goes_the_bare_ip_packet);
	tcase_add_test(tc, from_a_tun_comes_the_bare_ip_packet);
	tcase_add_test(tc, order_is_kept);
	return tc;
}

static TCase *tags(void)
{
	TCase *tc = tcase_create("tags");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, vlan_in_untagged_out);
	tcase_add_test(tc, untagged_in_vlan_out);
	tcase_add_test(tc, qinq_in_and_out_with_other_tags);
	tcase_add_test(tc, between_two_vlans_of_one_port);
	tcase_add_test(tc, vlan_in_tun_out);
	tcase_add_test(tc, a_priority_tag_is_no_vlan);
	tcase_add_test(tc, a_vlan_nobody_configured_is_dropped);
	return tc;
}

static TCase *routes(void)
{
	TCase *tc = tcase_create("routes");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, the_longest_prefix_wins);
	tcase_add_test(tc, flows_spread_over_next_hops_by_weight_and_keep_theirs);
	tcase_add_test(tc, all_fragments_of_a_datagram_take_one_way);
	tcase_add_test(tc, a_route_by_no_port_of_ours_drops);
	return tc;
}

static TCase *refusals(void)
{
	TCase *tc = tcase_create("refusals");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_loop_test(tc, addresses_not_to_be_forwarded, 0, ARRAY_SIZE(refused));
	tcase_add_loop_test(tc, addresses_not_to_be_forwarded_with_a_default_route, 0, ARRAY_SIZE(refused));
	tcase_add_test(tc, a_frame_for_another_station_is_dropped);
	tcase_add_test(tc, unicast_in_a_link_layer_group_is_not_taken);
	tcase_add_test(tc, a_wrong_header_checksum_drops);
	tcase_add_test(tc, an_ethertype_we_do_not_know_drops);
	tcase_add_loop_test(tc, source_addresses_are_checked_as_set, 0, 3 * ARRAY_SIZE(sources));
	tcase_add_test(tc, sources_of_packets_for_us_are_checked_too);
	tcase_add_test(tc, link_local_sources_are_not_asked_for_a_route);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { plain, tags, routes, refusals };

	return rig_run("forward", cases, ARRAY_SIZE(cases));
}
