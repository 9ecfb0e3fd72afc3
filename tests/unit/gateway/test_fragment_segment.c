/* SPDX-License-Identifier: MIT */
/* One packet becomes many: fragments (RFC 791 3.2), segments, and stages that stop and go on; checksums on the way. */
#include "tests/unit/gateway/rig_check.h"
#include "user/net/icmp.h"

static void mtu(unsigned int iface, uint32_t bytes)
{
	rig.iface[iface].mtu_bytes = bytes;
	rig_publish(&rig);
}

/* The port at the lan's other side gets what is sent in one piece of memory. */
static uint8_t joined[70000];

static void udp4(uint32_t payload, uint16_t id)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP4);
	frame_udp(&sent, "10.1.0.2", "10.2.0.2", payload);
	put_be16(sent.b + sent.l3 + IP4_ID, id);
	frame_ip4_fix(&sent);
}

/* ---- Fragments --------------------------------------------------------------------------------------------------- */

/* Take the fragments of one datagram from the wan; they must be those of `sent`. Return: how many */
static unsigned int expect_fragments(uint32_t mtu_bytes)
{
	uint32_t want = sent.len - sent.l4, at = 0;
	unsigned int n = 0;

	while (at < want) {
		uint32_t bytes, field;

		if (!rig_sent(&rig, WAN, &got, NULL)) {
			rig_step(&rig);
			ck_assert(rig_sent(&rig, WAN, &got, NULL));
		}
		rig.q[WAN]->ops->flush(rig.q[WAN]);
		bytes = got.len - got.l4;
		field = be16_at(got.b + got.l3 + IP4_FRAG);
		ck_assert_uint_le(20 + bytes, mtu_bytes);
		ck_assert_uint_eq(be16_at(got.b + got.l3 + IP4_TOTAL), 20 + bytes);
		ck_assert_uint_eq(be16_at(got.b + got.l3 + IP4_ID), be16_at(sent.b + sent.l3 + IP4_ID));
		ck_assert_uint_eq(got.b[got.l3 + IP4_TTL], 63);
		ck_assert_uint_eq(csum_fold(csum_ipv4_header(got.b + got.l3, 5)), 0);
		ck_assert_uint_eq((field & IP4_FRAG_OFFSET) * 8, at);
		ck_assert_uint_eq(!(field & IP4_FRAG_MF), at + bytes == want);
		ck_assert_mem_eq(got.b, MAC_H2, 6);
		memcpy(joined + at, got.b + got.l4, bytes);
		at += bytes;
		n++;
	}
	ck_assert_mem_eq(joined, sent.b + sent.l4, want);
	return n;
}

START_TEST(fragments_are_the_datagram)
{
	mtu(WAN, 620);
	udp4(1472, 7);
	rig_in(&rig, LAN, &sent);
	ck_assert_uint_eq(expect_fragments(620), 3);
	rig_expect_silence();
	ck_assert_uint_eq(rig.w->count->fragmented_pkts, 1);
	ck_assert_uint_eq(rig.w->count->created_pkts, 3);
	ck_assert_uint_eq(rig.w->count->consumed_pkts, 1);
}
END_TEST

/* A queue in front of a stage holds 256: 64 datagrams of 31 fragments each fill it eight times. */
START_TEST(a_full_queue_stops_cutting_and_it_goes_on)
{
	rig_fini(&rig);
	rig_init_with(&rig, 4096, PORT_CAP_TX_PARTIAL);
	mtu(WAN, 68);
	for (unsigned int i = 0; i < 64; i++) {
		udp4(1472, (uint16_t)(100 + i));
		rig_inject(&rig, LAN, &sent);
	}
	rig.w->tables = atomic_load(&rig.e->tables);
	worker_step(rig.w);
	/* The transmit ring takes 256; the rest is dropped there, each by itself. */
	ck_assert_uint_eq(rig.w->count->created_pkts, 64 * 31);
	ck_assert_uint_eq(rig.w->count->fragmented_pkts, 64);
	ck_drops(stage_full, 0);
	ck_drops(no_frame, 0);
	ck_assert_uint_eq(rig.counters[WAN].tx_pkts + rig_drops(&rig, DROP_tx_ring_full), 64 * 31);
	for (unsigned int i = 0; i < 8; i++) {
		udp4(1472, (uint16_t)(100 + i));
		ck_assert_uint_eq(expect_fragments(68), 31);
	}
}
END_TEST

START_TEST(a_partial_checksum_is_whole_in_the_fragments)
{
	__be16 whole;

	mtu(WAN, 620);
	udp4(1472, 7);
	whole = wire16_at(sent.b + sent.l4 + UDP_CSUM);
	put_wire16(sent.b + sent.l4 + UDP_CSUM, csum_fold16(frame_pseudo(&sent, IPPROTO_UDP)));
	rig_in(&rig, LAN, &sent);
	put_wire16(sent.b + sent.l4 + UDP_CSUM, whole);
	ck_assert_uint_eq(expect_fragments(620), 3);
}
END_TEST

START_TEST(a_fragment_is_cut_further)
{
	mtu(WAN, 620);
	udp4(1200, 7);
	put_be16(sent.b + sent.l3 + IP4_FRAG, IP4_FRAG_MF | 50);
	frame_ip4_fix(&sent);
	rig_in(&rig, LAN, &sent);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert(rig_sent(&rig, WAN, &got, NULL));
		ck_assert_uint_eq(be16_at(got.b + got.l3 + IP4_FRAG), IP4_FRAG_MF | (50 + i * 75));
	}
	rig_expect_silence();
}
END_TEST

START_TEST(an_mtu_of_nothing_fits_no_fragment)
{
	mtu(WAN, 27);
	udp4(100, 7);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(fragment_fit, 1);
	mtu(WAN, 0);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(fragment_fit, 2);
}
END_TEST

START_TEST(without_frames_the_rest_of_a_datagram_is_given_up)
{
	mtu(WAN, 68);
	udp4(1472, 7);
	rig.w->area->reserve = rig.w->area->n_free - 5;
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 5);
	ck_drops(no_frame, 1);
	rig.w->area->reserve = 64;
	udp4(1472, 8);
	rig_in(&rig, LAN, &sent);
	ck_assert_uint_eq(expect_fragments(68), 31);
}
END_TEST

START_TEST(a_long_packet_in_several_frames_is_cut)
{
	mtu(WAN, 1500);
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP4);
	frame_udp(&sent, "10.1.0.2", "10.2.0.2", 8000);
	rig_in(&rig, LAN, &sent);
	ck_assert_uint_eq(expect_fragments(1500), 6);
}
END_TEST

START_TEST(fragments_wait_for_their_neighbour)
{
	mtu(WAN, 620);
	rig.no_neighbours = true;
	rig_publish(&rig);
	udp4(1472, 7);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_assert_uint_eq(rig.w->area->count[PLACE_NEIGH], 3);
	rig.no_neighbours = false;
	rig_publish(&rig);
	rig_step(&rig);
	ck_assert_uint_eq(expect_fragments(620), 3);
}
END_TEST

START_TEST(an_oversized_datagram_to_a_lost_neighbour_is_told_of)
{
	mtu(WAN, 68);
	rig.failed_neighbours = true;
	rig_publish(&rig);
	for (unsigned int i = 0; i < 40; i++) {
		udp4(1472, (uint16_t)i);
		rig_inject(&rig, LAN, &sent);
	}
	rig_step(&rig);
	ck_assert_uint_ge(rig.w->count->icmp_errors_sent, 1);
	ck_assert_uint_eq(rig_drops(&rig, DROP_neigh_failed) + rig_drops(&rig, DROP_stage_full), 40 * 31);
}
END_TEST

/* ---- Superpackets ------------------------------------------------------------------------------------------------ */

/* TCP of @payload bytes from the TUN in segments of @size, as the kernel hands it over. */
static void super_send(const char *src, const char *dst, uint32_t payload, uint16_t size, uint8_t flags)
{
	bool v6 = strchr(src, ':');
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = v6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = size, .csum_start = v6 ? 40 : 20, .csum_offset = TCP_CSUM, .hdr_len = v6 ? 60 : 40,
	};

	frame_eth(&sent, NULL, NULL, 0);
	frame_tcp(&sent, src, dst, flags, payload);
	put_be32(sent.b + sent.l4 + TCP_SEQ, 0xfffff000);
	if (!v6) {
		put_be16(sent.b + sent.l3 + IP4_FRAG, IP4_FRAG_DF);
		frame_ip4_fix(&sent);
	}
	put_wire16(sent.b + sent.l4 + TCP_CSUM, csum_fold16(frame_pseudo(&sent, IPPROTO_TCP)));
	ck_assert(memtun_inject(rig.q[TUN], sent.b, sent.len, &h));
}

/* Segments of `sent` have left by a port, whole and in order; with @partial the port finishes their checksums. */
static void expect_segments(unsigned int port, uint32_t size, bool partial)
{
	uint32_t payload = sent.len - sent.l4 - 20, at = 0;
	uint8_t flags = sent.b[sent.l4 + TCP_FLAGS];
	uint32_t n = 0;

	for (; at < payload; n++) {
		uint32_t bytes = min_u32(size, payload - at);
		struct memport_sent s;

		ck_assert(rig_sent(&rig, port, &got, &s));
		rig.q[port]->ops->flush(rig.q[port]);
		ck_assert_uint_eq(got.len, (uint32_t)got.l4 + 20 + bytes);
		ck_assert_mem_eq(got.b + got.l4 + 20, sent.b + sent.l4 + 20 + at, bytes);
		ck_assert_uint_eq(be32_at(got.b + got.l4 + TCP_SEQ), 0xfffff000 + at);
		ck_assert_uint_eq(got.b[got.l4 + TCP_FLAGS],
				  at + bytes == payload ? flags : flags & (uint8_t)~(TCP_PSH | TCP_FIN));
		if (got.b[got.l3] >> 4 == 4) {
			ck_assert_uint_eq(be16_at(got.b + got.l3 + IP4_TOTAL), 40 + bytes);
			ck_assert_uint_eq(be16_at(got.b + got.l3 + IP4_ID), 0x1234 + n);
			ck_assert_uint_eq(got.b[got.l3 + IP4_TTL], 63);
			ck_assert_uint_eq(csum_fold(csum_ipv4_header(got.b + got.l3, 5)), 0);
		} else {
			ck_assert_uint_eq(be16_at(got.b + got.l3 + IP6_PLEN), 20 + bytes);
			ck_assert_uint_eq(got.b[got.l3 + IP6_HOPS], 63);
		}
		ck_assert_uint_eq(s.partial, partial);
		if (partial) {
			ck_assert_uint_eq(s.csum_start, got.l4);
			ck_assert_uint_eq(s.csum_offset, TCP_CSUM);
			ck_assert_uint_eq(wire16_at(got.b + got.l4 + TCP_CSUM),
					  csum_fold16(frame_pseudo(&got, IPPROTO_TCP)));
		} else {
			ck_assert(frame_csum_ok(&got, IPPROTO_TCP));
		}
		at += bytes;
	}
	rig_expect_silence();
}

static const struct {
	const char *src, *dst;
	uint32_t payload;
	uint16_t size;
} supers[] = {
	{ "10.3.0.2", "10.1.0.2", 65000, 1460 },
	{ "10.3.0.2", "10.1.0.2", 1461, 1460 },
	{ "10.3.0.2", "10.1.0.2", 2920, 1460 },
	{ "10.3.0.2", "10.1.0.2", 5000, 100 },
	{ "fd03::2", "fd01::2", 65000, 1440 },
	{ "fd03::2", "fd01::2", 1441, 1440 },
};

START_TEST(a_superpacket_is_cut_for_a_port_that_cannot)
{
	super_send(supers[_i].src, supers[_i].dst, supers[_i].payload, supers[_i].size, TCP_ACKED | TCP_PSH | TCP_FIN);
	rig_step(&rig);
	expect_segments(LAN, supers[_i].size, true);
	ck_assert_uint_eq(rig.w->count->segmented_pkts, 1);
	ck_assert_uint_eq(rig.w->count->consumed_pkts, 1);
}
END_TEST

START_TEST(its_segments_have_whole_checksums_where_the_port_finishes_none)
{
	rig_fini(&rig);
	rig_init_with(&rig, 2048, 0);
	super_send(supers[_i].src, supers[_i].dst, supers[_i].payload, supers[_i].size, TCP_ACKED);
	rig_step(&rig);
	expect_segments(LAN, supers[_i].size, false);
}
END_TEST

/* 650 segments through a queue of 256. */
START_TEST(a_full_queue_stops_segmenting_and_it_goes_on)
{
	super_send("10.3.0.2", "10.1.0.2", 65000, 100, TCP_ACKED);
	rig_step(&rig);
	ck_assert_uint_eq(rig.w->count->created_pkts, 650);
	ck_drops(stage_full, 0);
	ck_assert_uint_eq(rig.counters[LAN].tx_pkts + rig_drops(&rig, DROP_tx_ring_full), 650);
}
END_TEST

START_TEST(a_superpacket_passes_whole_to_a_port_that_can)
{
	struct virtio_net_hdr h;
	uint32_t n_frames;

	super_send(supers[_i].src, strchr(supers[_i].src, ':') ? "fd03::9" : "10.3.0.9", supers[_i].payload,
		   supers[_i].size, TCP_ACKED | TCP_PSH);
	rig_step(&rig);
	got.len = memtun_capture(rig.q[TUN], got.b, sizeof(got.b), &h, &n_frames);
	ck_assert_uint_eq(got.len, sent.len);
	ck_assert_uint_eq(h.gso_size, supers[_i].size);
	ck_assert_uint_eq(h.gso_type, sent.b[0] >> 4 == 6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
	ck_assert_uint_eq(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	if (sent.b[0] >> 4 == 6) {
		sent.b[IP6_HOPS]--;
	} else {
		sent.b[IP4_TTL]--;
		frame_ip4_fix(&sent);
	}
	ck_assert_mem_eq(got.b, sent.b, sent.len);
	rig_expect_silence();
	ck_assert_uint_eq(rig.w->count->segmented_pkts, 0);
}
END_TEST

START_TEST(one_whose_segments_are_too_long_is_cut_twice)
{
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1460,
		.csum_start = 20, .csum_offset = TCP_CSUM, .hdr_len = 40,
	};
	uint32_t bytes = 0;
	unsigned int n = 0;

	mtu(LAN, 600);
	frame_eth(&sent, NULL, NULL, 0);
	frame_tcp(&sent, "10.3.0.2", "10.1.0.2", TCP_ACKED, 1460 * 20);
	put_wire16(sent.b + sent.l4 + TCP_CSUM, csum_fold16(frame_pseudo(&sent, IPPROTO_TCP)));
	ck_assert(memtun_inject(rig.q[TUN], sent.b, sent.len, &h));
	rig_step(&rig);
	while (rig_sent(&rig, LAN, &got, NULL)) {
		ck_assert_uint_le(got.len - got.l3, 600);
		bytes += got.len - got.l4;
		n++;
	}
	ck_assert_uint_eq(bytes, 20 * 1480);
	ck_assert_uint_eq(n, 20 * 3);
	ck_assert_uint_eq(rig.w->count->fragmented_pkts, 20);
}
END_TEST

START_TEST(a_superpacket_without_frames_is_given_up)
{
	super_send("10.3.0.2", "10.1.0.2", 65000, 1460, TCP_ACKED);
	rig.w->area->reserve = rig.w->area->n_free - 50;
	rig_step(&rig);
	ck_drops(no_frame, 1);
	ck_assert_uint_lt(rig.w->count->tx_pkts, 45);
	rig.w->area->reserve = 64;
}
END_TEST

START_TEST(a_header_of_the_device_that_lies_is_dropped)
{
	struct virtio_net_hdr h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1460,
		.csum_start = 20, .csum_offset = TCP_CSUM, .hdr_len = 40,
	};

	/* A SYN cannot be repeated in each segment. */
	super_send("10.3.0.2", "10.1.0.2", 5000, 1460, TCP_SYN);
	rig_step(&rig);
	ck_drops(gso_bad, 1);
	frame_eth(&sent, NULL, NULL, 0);
	frame_udp(&sent, "10.3.0.2", "10.1.0.2", 5000);
	ck_assert(memtun_inject(rig.q[TUN], sent.b, sent.len, &h));
	rig_step(&rig);
	ck_drops(gso_bad, 2);
	rig_expect_silence();
}
END_TEST

/* A veth's peer that keeps its segmentation: longer than the link, and a checksum that shows who sent it. */
START_TEST(a_superpacket_that_no_descriptor_tells_of_is_cut_as_its_link_would_have_it)
{
	bool v6 = _i;

	rig.port[LAN].caps |= PORT_CAP_RX_GSO;
	engine_port_caps_changed(rig.e);
	frame_eth(&sent, MAC_LAN, MAC_H1, v6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	frame_tcp(&sent, v6 ? "fd01::2" : "10.1.0.2", v6 ? "fd02::2" : "10.2.0.2", TCP_ACKED | TCP_PSH, 20000);
	put_be32(sent.b + sent.l4 + TCP_SEQ, 0xfffff000);
	put_wire16(sent.b + sent.l4 + TCP_CSUM, csum_fold16(frame_pseudo(&sent, IPPROTO_TCP)));
	rig_in(&rig, LAN, &sent);
	expect_segments(WAN, v6 ? 1440 : 1460, true);
	/* A whole checksum: nobody on this machine sent it, and it is what it looks like. */
	mtu(WAN, 1500);
	frame_csum(&sent, IPPROTO_TCP, TCP_CSUM);
	rig_in(&rig, LAN, &sent);
	ck_assert_uint_eq(rig.w->count->segmented_pkts, 1);
	if (v6)
		ck_drops(mtu_df, 1);
	else
		ck_assert_uint_eq(rig.w->count->fragmented_pkts, 1);
}
END_TEST

/* ---- Checksums --------------------------------------------------------------------------------------------------- */

/* A veth sender's packet: the field holds the pseudo-header's sum, no flag says so. */
static __be16 veth_send(unsigned int port, bool v6, const char *dst, bool tcp)
{
	uint16_t field = tcp ? TCP_CSUM : UDP_CSUM;
	__be16 whole;

	if (port == TUN)
		frame_eth(&sent, NULL, NULL, 0);
	else
		frame_eth(&sent, MAC_LAN, MAC_H1, v6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	if (tcp)
		frame_tcp(&sent, v6 ? "fd01::2" : "10.1.0.2", dst, TCP_ACKED, 333);
	else
		frame_udp(&sent, v6 ? "fd01::2" : "10.1.0.2", dst, 333);
	whole = wire16_at(sent.b + sent.l4 + field);
	put_wire16(sent.b + sent.l4 + field, csum_fold16(frame_pseudo(&sent, tcp ? IPPROTO_TCP : IPPROTO_UDP)));
	rig_in(&rig, port, &sent);
	return whole;
}

START_TEST(a_partial_checksum_stays_so_for_a_port_that_finishes_it)
{
	bool v6 = _i & 1, tcp = _i & 2;
	struct memport_sent s;

	veth_send(LAN, v6, v6 ? "fd02::2" : "10.2.0.2", tcp);
	ck_assert(rig_sent(&rig, WAN, &got, &s));
	ck_assert(s.partial);
	ck_assert_uint_eq(s.csum_start, got.l4);
	ck_assert_uint_eq(s.csum_offset, tcp ? TCP_CSUM : UDP_CSUM);
	ck_assert_mem_eq(got.b + got.l4, sent.b + sent.l4, sent.len - sent.l4);
	ck_assert_uint_eq(rig.counters[WAN].tx_partial_pkts, 1);
	ck_assert_uint_eq(rig.w->count->csum_completed_pkts, 0);
}
END_TEST

START_TEST(a_partial_checksum_is_finished_for_a_port_that_does_not)
{
	bool v6 = _i & 1, tcp = _i & 2;
	struct memport_sent s;
	__be16 whole;

	rig_fini(&rig);
	rig_init_with(&rig, 2048, 0);
	whole = veth_send(LAN, v6, v6 ? "fd02::2" : "10.2.0.2", tcp);
	ck_assert(rig_sent(&rig, WAN, &got, &s));
	ck_assert(!s.partial);
	ck_assert_uint_eq(wire16_at(got.b + got.l4 + (tcp ? TCP_CSUM : UDP_CSUM)), whole);
	ck_assert(frame_csum_ok(&got, tcp ? IPPROTO_TCP : IPPROTO_UDP));
	ck_assert_uint_eq(rig.w->count->csum_completed_pkts, 1);
}
END_TEST

START_TEST(a_partial_checksum_is_told_to_a_tun)
{
	bool v6 = _i & 1, tcp = _i & 2;
	struct memport_sent s;

	veth_send(LAN, v6, v6 ? "fd03::2" : "10.3.0.2", tcp);
	ck_assert(rig_sent(&rig, TUN, &got, &s));
	ck_assert(s.partial);
	ck_assert_uint_eq(s.csum_start, got.l4);
	ck_assert_uint_eq(s.csum_offset, tcp ? TCP_CSUM : UDP_CSUM);
}
END_TEST

/* Where no sender can be this machine, a field that looks partial is what it is: a wrong checksum, passed on. */
START_TEST(a_port_without_partial_senders_is_not_looked_at)
{
	struct memport_sent s;

	rig.port[LAN].caps &= ~(uint32_t)PORT_CAP_RX_PARTIAL;
	engine_port_caps_changed(rig.e);
	veth_send(LAN, false, "10.2.0.2", true);
	ck_assert(rig_sent(&rig, WAN, &got, &s));
	ck_assert(!s.partial);
	ck_assert_mem_eq(got.b + got.l4, sent.b + sent.l4, sent.len - sent.l4);
}
END_TEST

/* ---- Chains ------------------------------------------------------------------------------------------------------ */

START_TEST(a_chain_becomes_one_frame_where_the_port_wants_it)
{
	struct memport_sent s;
	uint32_t cut = 600;

	/* Received in pieces: a driver with small buffers. */
	rig_fini(&rig);
	rig_init_buffers(&rig, PORT_CAP_TX_PARTIAL, cut);
	veth_send(LAN, false, "10.2.0.2", true);
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP4);
	rig_expect_sent(WAN, 1);
	frame_tcp(&sent, "10.1.0.2", "10.2.0.2", TCP_ACKED, 1400);
	put_wire16(sent.b + sent.l4 + TCP_CSUM, csum_fold16(frame_pseudo(&sent, IPPROTO_TCP)));
	rig_in(&rig, LAN, &sent);
	ck_assert(rig_sent(&rig, WAN, &got, &s));
	ck_assert_uint_eq(s.n_frames, 1);
	ck_assert(s.partial);
	ck_assert_uint_eq(s.csum_start, got.l4);
	ck_assert_uint_eq(got.len, sent.len);
	ck_assert_mem_eq(got.b + got.l4, sent.b + sent.l4, sent.len - sent.l4);
}
END_TEST

START_TEST(a_chain_stays_one_where_the_port_takes_it)
{
	struct memport_sent s;

	rig_fini(&rig);
	rig_init_buffers(&rig, PORT_CAP_TX_PARTIAL | PORT_CAP_TX_SG, 600);
	udp4(1400, 9);
	rig_in(&rig, LAN, &sent);
	ck_assert(rig_sent(&rig, WAN, &got, &s));
	ck_assert_uint_eq(s.n_frames, 3);
	ck_assert_mem_eq(got.b + got.l4, sent.b + sent.l4, sent.len - sent.l4);
}
END_TEST

/* Frames of padding alone leave the chain, or the port would refuse a buffer of nothing. */
START_TEST(padding_leaves_a_chain)
{
	struct memport_sent s;

	rig_fini(&rig);
	rig_init_buffers(&rig, PORT_CAP_TX_PARTIAL | PORT_CAP_TX_SG, 600);
	for (unsigned int i = 0; i < 2; i++) {
		uint32_t len;

		udp4(i ? 700 : 100, 9);
		len = sent.len;
		memset(sent.b + len, 0xee, 1500 - len);
		sent.len = 1500;
		rig_in(&rig, LAN, &sent);
		ck_assert(rig_sent(&rig, WAN, &got, &s));
		ck_assert_uint_eq(s.n_frames, i + 1);
		ck_assert_uint_eq(got.len, len);
		ck_assert_mem_eq(got.b + got.l4, sent.b + sent.l4, len - sent.l4);
	}
}
END_TEST

START_TEST(a_chain_that_does_not_fit_a_frame_is_dropped)
{
	mtu(WAN, 9000);
	rig.port[WAN].mtu_bytes = 9000;
	udp4(8000, 9);
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(too_long, 1);
}
END_TEST

START_TEST(a_chain_without_a_frame_to_copy_to_is_dropped_as_such)
{
	rig_fini(&rig);
	rig_init_buffers(&rig, PORT_CAP_TX_PARTIAL, 600);
	udp4(1400, 9);
	rig.w->area->reserve = rig.w->area->n_frames;
	rig_in(&rig, LAN, &sent);
	rig_expect_silence();
	ck_drops(no_frame, 1);
	rig.w->area->reserve = 64;
}
END_TEST

/* ---- MSS --------------------------------------------------------------------------------------------------------- */

static void syn(bool v6, uint16_t mss, bool partial)
{
	frame_eth(&sent, MAC_LAN, MAC_H1, v6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	frame_tcp(&sent, v6 ? "fd01::2" : "10.1.0.2", v6 ? "fd02::2" : "10.2.0.2", TCP_SYN, 4);
	sent.b[sent.l4 + TCP_DOFF] = 0x60;
	sent.b[sent.l4 + 20] = 2;
	sent.b[sent.l4 + 21] = 4;
	put_be16(sent.b + sent.l4 + 22, mss);
	frame_csum(&sent, IPPROTO_TCP, TCP_CSUM);
	if (partial)
		put_wire16(sent.b + sent.l4 + TCP_CSUM, csum_fold16(frame_pseudo(&sent, IPPROTO_TCP)));
	rig_in(&rig, LAN, &sent);
}

static void clamp(unsigned int iface, uint16_t mss, uint32_t mtu_bytes)
{
	rig.iface[iface].flags |= IFACE_CLAMP_MSS;
	rig.iface[iface].mss_clamp = mss;
	rig.iface[iface].mtu_bytes = mtu_bytes;
	rig_publish(&rig);
}

static const struct {
	const char *name;
	uint16_t lan, wan;		/* settings; 0: off */
	uint32_t mtu_lan, mtu_wan;
	uint16_t mss, want4, want6;
} msses[] = {
	{ "off", 0, 0, 1500, 1400, 1460, 1460, 1460 },
	{ "a number", 0, 1200, 1500, 1500, 1460, 1200, 1200 },
	{ "a number on the way in", 1200, 0, 1500, 1500, 1460, 1200, 1200 },
	{ "the smaller of two", 1300, 1200, 1500, 1500, 1460, 1200, 1200 },
	{ "less already", 0, 1200, 1500, 1500, 1000, 1000, 1000 },
	{ "equal", 0, 1200, 1500, 1500, 1200, 1200, 1200 },
	{ "MTU of the way out", 0, IFACE_MSS_PMTU, 1500, 1400, 1460, 1360, 1340 },
	{ "MTU of the way in", 0, IFACE_MSS_PMTU, 1300, 1500, 1460, 1260, 1240 },
	{ "MTU, and a smaller number", 1000, IFACE_MSS_PMTU, 1500, 1400, 1460, 1000, 1000 },
};

START_TEST(mss_is_clamped)
{
	bool v6 = _i & 1, partial = _i & 2;
	unsigned int k = (unsigned int)_i / 4;
	uint16_t want = v6 ? msses[k].want6 : msses[k].want4;
	struct memport_sent s;

	if (msses[k].lan)
		clamp(LAN, msses[k].lan, msses[k].mtu_lan);
	if (msses[k].wan)
		clamp(WAN, msses[k].wan, msses[k].mtu_wan);
	rig.iface[LAN].mtu_bytes = msses[k].mtu_lan;
	rig_publish(&rig);
	syn(v6, msses[k].mss, partial);
	ck_assert(rig_sent(&rig, WAN, &got, &s));
	ck_assert_msg(be16_at(got.b + got.l4 + 22) == want, "%s: %u", msses[k].name, be16_at(got.b + got.l4 + 22));
	ck_assert_uint_eq(s.partial, partial);
	if (partial)
		ck_assert_uint_eq(wire16_at(got.b + got.l4 + TCP_CSUM), csum_fold16(frame_pseudo(&got, IPPROTO_TCP)));
	else
		ck_assert(frame_csum_ok(&got, IPPROTO_TCP));
	ck_assert_uint_eq(rig.w->count->mss_clamped_pkts, want != msses[k].mss);
}
END_TEST

/* An MTU without room for a segment must not make an MSS of nothing. */
START_TEST(mss_is_never_clamped_to_nothing)
{
	clamp(LAN, IFACE_MSS_PMTU, 40);
	syn(false, 1460, false);
	rig_expect_sent(WAN, 1);
	ck_assert_uint_eq(be16_at(got.b + got.l4 + 22), 1460);
}
END_TEST

START_TEST(only_a_syn_is_clamped)
{
	clamp(WAN, 1000, 1500);
	frame_eth(&sent, MAC_LAN, MAC_H1, ETHERTYPE_IP4);
	frame_tcp(&sent, "10.1.0.2", "10.2.0.2", TCP_ACKED, 4);
	sent.b[sent.l4 + TCP_DOFF] = 0x60;
	memcpy(sent.b + sent.l4 + 20, "\x02\x04\x05\xb4", 4);
	frame_csum(&sent, IPPROTO_TCP, TCP_CSUM);
	rig_in(&rig, LAN, &sent);
	rig_expect_sent(WAN, 1);
	ck_assert_mem_eq(got.b + got.l4, sent.b + sent.l4, 24);
}
END_TEST

static TCase *fragments(void)
{
	TCase *tc = tcase_create("fragments");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_test(tc, fragments_are_the_datagram);
	tcase_add_test(tc, a_full_queue_stops_cutting_and_it_goes_on);
	tcase_add_test(tc, a_partial_checksum_is_whole_in_the_fragments);
	tcase_add_test(tc, a_fragment_is_cut_further);
	tcase_add_test(tc, an_mtu_of_nothing_fits_no_fragment);
	tcase_add_test(tc, without_frames_the_rest_of_a_datagram_is_given_up);
	tcase_add_test(tc, a_long_packet_in_several_frames_is_cut);
	tcase_add_test(tc, fragments_wait_for_their_neighbour);
	tcase_add_test(tc, an_oversized_datagram_to_a_lost_neighbour_is_told_of);
	return tc;
}

static TCase *superpackets(void)
{
	TCase *tc = tcase_create("superpackets");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_loop_test(tc, a_superpacket_is_cut_for_a_port_that_cannot, 0, ARRAY_SIZE(supers));
	tcase_add_loop_test(tc, its_segments_have_whole_checksums_where_the_port_finishes_none, 0, ARRAY_SIZE(supers));
	tcase_add_test(tc, a_full_queue_stops_segmenting_and_it_goes_on);
	tcase_add_loop_test(tc, a_superpacket_passes_whole_to_a_port_that_can, 0, ARRAY_SIZE(supers));
	tcase_add_test(tc, one_whose_segments_are_too_long_is_cut_twice);
	tcase_add_test(tc, a_superpacket_without_frames_is_given_up);
	tcase_add_test(tc, a_header_of_the_device_that_lies_is_dropped);
	tcase_add_loop_test(tc, a_superpacket_that_no_descriptor_tells_of_is_cut_as_its_link_would_have_it, 0, 2);
	return tc;
}

static TCase *checksums(void)
{
	TCase *tc = tcase_create("checksums");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_loop_test(tc, a_partial_checksum_stays_so_for_a_port_that_finishes_it, 0, 4);
	tcase_add_loop_test(tc, a_partial_checksum_is_finished_for_a_port_that_does_not, 0, 4);
	tcase_add_loop_test(tc, a_partial_checksum_is_told_to_a_tun, 0, 4);
	tcase_add_test(tc, a_port_without_partial_senders_is_not_looked_at);
	tcase_add_test(tc, a_chain_becomes_one_frame_where_the_port_wants_it);
	tcase_add_test(tc, a_chain_stays_one_where_the_port_takes_it);
	tcase_add_test(tc, padding_leaves_a_chain);
	tcase_add_test(tc, a_chain_that_does_not_fit_a_frame_is_dropped);
	tcase_add_test(tc, a_chain_without_a_frame_to_copy_to_is_dropped_as_such);
	return tc;
}

static TCase *mss(void)
{
	TCase *tc = tcase_create("mss");

	tcase_add_checked_fixture(tc, rig_setup, rig_teardown);
	tcase_add_loop_test(tc, mss_is_clamped, 0, 4 * ARRAY_SIZE(msses));
	tcase_add_test(tc, mss_is_never_clamped_to_nothing);
	tcase_add_test(tc, only_a_syn_is_clamped);
	return tc;
}

int main(void)
{
	static TCase *(*const cases[])(void) = { fragments, superpackets, checksums, mss };

	return rig_run("fragment and segment", cases, ARRAY_SIZE(cases));
}
