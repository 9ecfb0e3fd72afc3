/* SPDX-License-Identifier: MIT */
/* 100,000 mutated frames into each port: no crash, every packet in the books, every frame home. */
#include <check.h>
#include <stdlib.h>

#include "tests/unit/gateway/rig_world.h"

#define FRAMES 100000u
#define ROUND 48u			/* frames between two looks at the books */

static struct rig rig;
static struct frame f, scratch;
static uint64_t state;

/* xorshift64*: the same frames in every run of a seed */
static uint32_t random_below(uint32_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * UINT64_C(2685821657736338717) >> 32) % n);
}

static const char *const addrs4[] = {
	"10.1.0.2", "10.2.0.2", "10.3.0.2", "10.1.0.1", "10.2.0.1", "10.7.0.2", "10.7.0.1", "10.8.0.9", "10.9.3.4",
	"10.20.1.1", "10.66.0.1", "10.67.0.1", "10.68.0.1", "10.69.0.1", "10.77.0.1", "10.2.0.99", "10.1.0.255",
	"224.0.0.5", "255.255.255.255", "127.0.0.1", "169.254.3.3",
};
static const char *const addrs6[] = {
	"fd01::2", "fd02::2", "fd03::2", "fd01::1", "fd02::1", "fe80::1", "fe80::2", "fd08::9", "fd09::9", "fd77::1",
	"fd02::99", "ff02::1", "ff02::1:ff00:1", "ff0e::5", "::1", "::",
};

static const char *any(const char *const *addrs, size_t n)
{
	/* The first ones are where traffic goes. */
	return addrs[random_below(2) ? random_below(3) : random_below((uint32_t)n)];
}

/* A good packet of some kind. */
static void make(unsigned int port)
{
	bool v6 = random_below(2);
	const char *src = v6 ? any(addrs6, ARRAY_SIZE(addrs6)) : any(addrs4, ARRAY_SIZE(addrs4));
	const char *dst = v6 ? any(addrs6, ARRAY_SIZE(addrs6)) : any(addrs4, ARRAY_SIZE(addrs4));
	uint32_t payload = random_below(8) ? random_below(1400) : random_below(7000);
	uint8_t proto;

	frame_eth(&f, port == TUN ? NULL : port == LAN ? MAC_LAN : MAC_WAN, MAC_H1, v6 ? ETHERTYPE_IP6 : ETHERTYPE_IP4);
	switch (random_below(5)) {
	case 0:
		frame_echo(&f, src, dst, payload);
		break;
	case 1:
		frame_tcp(&f, src, dst, random_below(2) ? TCP_SYN : TCP_ACKED, payload);
		break;
	case 2:
		frame_ip(&f, src, dst, (uint8_t)random_below(256), payload);
		break;
	default:
		frame_udp(&f, src, dst, payload);
		break;
	}
	proto = f.b[f.l3 + (v6 ? IP6_NEXT : IP4_PROTO)];
	if (random_below(4) == 0 && (proto == IPPROTO_TCP || proto == IPPROTO_UDP))
		put_wire16(f.b + f.l4 + (proto == IPPROTO_TCP ? TCP_CSUM : UDP_CSUM),
			   csum_fold16(frame_pseudo(&f, proto)));
	if (!v6 && random_below(6) == 0)
		put_be16(f.b + f.l3 + IP4_FRAG, (uint16_t)random_below(0x10000));
	if (!v6 && random_below(6) == 0)
		f.b[f.l3] = (uint8_t)(0x40 | random_below(16));
	if (random_below(8) == 0)
		f.b[f.l3 + (v6 ? IP6_HOPS : IP4_TTL)] = (uint8_t)random_below(3);
	if (!v6)
		frame_ip4_fix(&f);
}

static void mutate(unsigned int port)
{
	if (port != TUN && random_below(5) == 0) {
		uint32_t n = 4 * (1 + random_below(3));

		memmove(f.b + 12 + n, f.b + 12, f.len - 12);
		for (uint32_t i = 0; i < n; i += 4) {
			put_be16(f.b + 12 + i, random_below(2) ? ETHERTYPE_CTAG : ETHERTYPE_STAG);
			put_be16(f.b + 14 + i, (uint16_t)(random_below(2) ? random_below(65536) :
								  i ? 80 : 7 + random_below(2)));
		}
		f.len += n;
	}
	if (random_below(3))
		return;
	for (uint32_t n = random_below(8); n > 0; n--) {
		uint32_t at = random_below(2) ? random_below(min_u32(f.len, 80)) : random_below(f.len);

		f.b[at] = (uint8_t)(random_below(2) ? random_below(256) : f.b[at] ^ 1u << random_below(8));
	}
	if (random_below(3) == 0)
		f.len = 1 + random_below(f.len);
	if (random_below(4) == 0) {
		uint32_t more = random_below(2000);

		for (uint32_t i = 0; i < more; i++)
			f.b[f.len + i] = (uint8_t)i;
		f.len += more;
	}
}

static bool put(unsigned int port)
{
	struct virtio_net_hdr h = { 0 };

	if (port != TUN)
		return memport_inject(rig.q[port], f.b, f.len) == 0;
	switch (random_below(3)) {
	case 0:		/* as the kernel would have it for TCP */
		h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h.gso_type = f.b[0] >> 4 == 6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4;
		h.gso_size = (uint16_t)(100 + random_below(1400));
		h.csum_start = f.l4;
		h.csum_offset = TCP_CSUM;
		break;
	case 1:
		h.flags = (uint8_t)random_below(4);
		h.gso_type = (uint8_t)(random_below(4) ? (random_below(2) ? VIRTIO_NET_HDR_GSO_TCPV4 :
								     VIRTIO_NET_HDR_GSO_TCPV6) : random_below(8));
		h.gso_size = (uint16_t)(random_below(4) ? 200 + random_below(1300) : random_below(65536));
		h.csum_start = (uint16_t)(random_below(4) ? f.l4 : random_below(3000));
		h.csum_offset = (uint16_t)(random_below(4) ? (random_below(2) ? 16 : 6) : random_below(3000));
		h.hdr_len = (uint16_t)random_below(100);
		break;
	default:
		break;
	}
	return memtun_inject(rig.q[port], f.b, f.len, &h);
}

static const uint32_t variants[] = { PORT_CAP_TX_PARTIAL, 0, PORT_CAP_TX_PARTIAL | PORT_CAP_TX_SG };

START_TEST(random_frames_are_all_accounted_for)
{
	unsigned int port = (unsigned int)_i % RIG_PORTS;
	uint32_t frames = _i < RIG_PORTS ? FRAMES : FRAMES / 10, sent = 0;

	state = 0x9e3779b97f4a7c15 + (uint64_t)_i;
	rig_world(&rig, variants[_i / RIG_PORTS]);
	while (sent < frames) {
		for (uint32_t n = 0; n < ROUND; n++) {
			make(port);
			mutate(port);
			if (!put(port))
				break;
			sent++;
		}
		rig_world_settle(&rig, &scratch);
		/* The world changes now and then. */
		if (random_below(16) == 0) {
			rig.no_neighbours = random_below(4) == 0;
			rig.failed_neighbours = random_below(4) == 0;
			rig.iface[WAN].up = random_below(8);
			rig.iface[WAN].mtu_bytes = random_below(4) ? 1500 : 68 + random_below(1432);
			rig_publish(&rig);
		}
		if (random_below(4) == 0)
			rig_world_check(&rig);
		else
			rig_later(&rig, NS_PER_S);
	}
	rig_world_settle(&rig, &scratch);
	rig_world_check(&rig);
	ck_assert_uint_ge(rig.counters[port].rx_pkts + rig.counters[port].rx_drops, frames);
	/* The frames were not all refuse. */
	ck_assert_uint_ge(rig.w->count->forwarded_pkts, frames / 20);
	ck_assert_uint_ge(rig.w->count->icmp_errors_sent, frames / 200);
	ck_assert_uint_eq(rig_fini(&rig), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("random");
	TCase *tc = tcase_create("random");
	SRunner *r = srunner_create(s);
	int failed;

	tcase_set_timeout(tc, 600);
	tcase_add_loop_test(tc, random_frames_are_all_accounted_for, 0, RIG_PORTS * ARRAY_SIZE(variants));
	suite_add_tcase(s, tc);
	srunner_run_all(r, CK_ENV);
	failed = srunner_ntests_failed(r);
	srunner_free(r);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
